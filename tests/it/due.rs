//! What needs attention: which items are listed, since when, on which day each falls due, and to whom.

use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::work_service_client::WorkServiceClient;
use tsio::proto::{DueItem, DueKind, ListDueRequest};

use super::client::{Client, YEAR, reason};
use super::harness::{Db, Server, both};
use super::money::{WITH_LEADER, WITH_PARTNER, accept_offer, create_award, create_fund_with, start_delivery};
use super::samples::{
    JANUARY, NOVEMBER, REGISTER_MARCH, SEPTEMBER, as_person, identify, import_all, offer_id, run_filed, run_ok,
    run_refused_for, start_with_august, text,
};

both!(
    a_first_contact_is_due_ten_days_after_identify,
    each_stage_of_a_school_falls_due_on_its_day,
    a_past_day_shows_what_was_due_then,
    the_offer_of_a_trust_waits_for_no_school_contact,
    money_that_nobody_claims_is_due_after_the_awards,
    the_files_say_which_schools_need_a_person,
    referrals_approvals_and_low_funds_are_due_at_once,
    everybody_sees_only_what_is_theirs,
    the_pages_are_the_list,
    all_wrong_conditions_are_reported_together
);

/// A maintained school in the West Midlands (local authority 330) that is offered support itself, and a trust that is.
const SCHOOL: &str = "910001";
const TRUST: &str = "uid:90001";
/// A day after everything that the scenarios do has fallen due.
const FAR: &str = "2100-01-01";

/// The items of `tsio due` with these arguments.
fn due(server: &Server, args: &[&str]) -> Vec<Value> {
    let list = run_ok(server, &[&["due"], args].concat());
    list.as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

/// The items of one kind about one school or trust, on a day: since when, and the day on which each fell due.
fn dates(server: &Server, kind: &str, subject: &str, on: &str) -> Vec<(String, String)> {
    let items = due(server, &["--kind", kind, "--on", on]);
    let of_subject = items.iter().filter(|it| {
        let names = [format!("{}", it["urn"]), format!("uid:{}", it["trust_uid"])];
        names.contains(&subject.to_owned())
    });
    of_subject.map(|it| (text(it, "since"), text(it, "due"))).collect()
}

fn pair(since: &str, due: &str) -> Vec<(String, String)> {
    vec![(since.to_owned(), due.to_owned())]
}

fn contact(server: &Server, offer: &str, party: &str, on: &str) {
    run_ok(server, &["offers", "contact", offer, "--party", party, "--on", on]);
}

async fn a_first_contact_is_due_ten_days_after_identify(db: Db) {
    let server = start_with_august(&db);
    let items = due(&server, &["--kind", "first-contact", "--on", FAR]);
    assert_eq!(items.len(), 19);
    let (since, due_on) = (text(&items[0], "since"), text(&items[0], "due"));
    let day = |text: &str| text.parse::<chrono::NaiveDate>().unwrap();
    assert_eq!(day(&due_on) - day(&since), chrono::TimeDelta::days(10));
    // It is in time on the day itself, and overdue on the next.
    let next_day = day(&due_on).succ_opt().unwrap().to_string();
    assert_eq!(due(&server, &["--kind", "first-contact", "--on", &due_on]), [Value::Null; 0]);
    assert_eq!(due(&server, &["--kind", "first-contact", "--on", &next_day]).len(), 19);
    let school = items.iter().find(|it| it["urn"] == 910_001).unwrap();
    assert_eq!(
        [&school["kind"], &school["rule"], &school["subject"], &school["region"], &school["local_authority"]],
        [
            &json!("first_contact"),
            &json!("stage_days.first_contact = 10"),
            &json!("Ashmoor Road Primary School"),
            &json!("West Midlands"),
            &json!(330)
        ]
    );
    assert_eq!(school["command"], json!("tsio offers contact 910001 --party responsible-body --on DATE"));
    contact(&server, SCHOOL, "responsible-body", "2021-09-13");
    assert_eq!(due(&server, &["--kind", "first-contact", "--on", FAR]).len(), 18);
}

async fn each_stage_of_a_school_falls_due_on_its_day(db: Db) {
    let server = start_with_august(&db);
    let on = |kind: &str, day: &str| dates(&server, kind, SCHOOL, day);
    contact(&server, SCHOOL, "responsible-body", "2021-09-13");
    assert_eq!(on("school-contact", "2021-09-23"), []);
    assert_eq!(on("school-contact", "2021-09-24"), pair("2021-09-13", "2021-09-23"));
    contact(&server, SCHOOL, "school", "2021-09-20");
    assert_eq!(on("school-contact", FAR), []);
    assert_eq!(on("acceptance", "2021-10-18"), []);
    assert_eq!(on("acceptance", "2021-10-19"), pair("2021-09-20", "2021-10-18"));
    run_ok(&server, &["offers", "accept", SCHOOL, "--by", "school", "--on", "2021-10-01"]);
    assert_eq!(on("acceptance", FAR), []);
    assert_eq!(on("first-day", "2021-11-12"), []);
    assert_eq!(on("first-day", "2021-11-13"), pair("2021-10-01", "2021-11-12"));

    let award = create_award(&server, "nle", SCHOOL, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    run_ok(&server, &["offers", "start", SCHOOL, "--on", "2021-10-11"]);
    assert_eq!(on("first-day", FAR), []);
    run_ok(&server, &["awards", "book", &award, "--days", "2", "--on", "2021-10-20"]);
    assert_eq!(on("claim", "2021-11-19"), []);
    assert_eq!(on("claim", "2021-11-20"), pair("2021-10-20", "2021-11-19"));
    // The item has the command that deals with it.
    let claim = due(&server, &["--kind", "claim", "--on", FAR]).remove(0);
    let command = text(&claim, "command");
    run_ok(&server, &command.split_whitespace().skip(1).collect::<Vec<_>>());
    assert_eq!(on("claim", FAR), []);
    // Nothing is committed any more.
    assert_eq!(on("close", "2021-11-19"), []);
    assert_eq!(on("close", "2021-11-20"), pair("2021-10-20", "2021-11-19"));
    run_ok(&server, &["offers", "close", SCHOOL, "--outcome", "completed", "--on", "2021-12-01"]);
    assert_eq!(on("close", FAR), []);
}

async fn a_past_day_shows_what_was_due_then(db: Db) {
    let server = start_with_august(&db);
    let on = |kind: &str, day: &str| dates(&server, kind, SCHOOL, day);
    contact(&server, SCHOOL, "responsible-body", "2021-09-13");
    contact(&server, SCHOOL, "school", "2021-09-27");
    run_ok(&server, &["offers", "accept", SCHOOL, "--by", "school", "--on", "2021-11-01"]);
    create_fund_with(&server, "credit", "40000");
    let credit = ["awards", "credit", SCHOOL, "--amount", "1000", "--on", "2021-12-15"];
    run_ok(&server, &[&credit[..], &WITH_PARTNER].concat());
    run_ok(&server, &["offers", "start", SCHOOL, "--on", "2021-12-20"]);
    run_ok(&server, &["awards", "draw", "910001/credit", "--amount", "1000", "--on", "2021-12-21"]);
    run_ok(&server, &["offers", "close", SCHOOL, "--outcome", "completed", "--on", "2022-03-01"]);
    // Each stage was overdue from the day after its limit until the day before the next step.
    let rows = [
        ("school-contact", "2021-09-23", "2021-09-24", "2021-09-26", "2021-09-27"),
        ("acceptance", "2021-10-25", "2021-10-26", "2021-10-31", "2021-11-01"),
        ("first-day", "2021-12-13", "2021-12-14", "2021-12-19", "2021-12-20"),
        ("close", "2022-01-20", "2022-01-21", "2022-02-28", "2022-03-01"),
    ];
    for (kind, last_day_in_time, first, last, day_of_next_step) in rows {
        assert_eq!(on(kind, last_day_in_time), [], "{kind} on {last_day_in_time}");
        for day in [first, last] {
            assert_eq!(on(kind, day).len(), 1, "{kind} on {day}");
        }
        assert_eq!(on(kind, day_of_next_step), [], "{kind} on {day_of_next_step}");
    }
}

async fn the_offer_of_a_trust_waits_for_no_school_contact(db: Db) {
    let server = start_with_august(&db);
    contact(&server, TRUST, "responsible-body", "2021-09-13");
    assert_eq!(dates(&server, "school-contact", TRUST, FAR), []);
    assert_eq!(dates(&server, "acceptance", TRUST, FAR), pair("2021-09-13", "2021-10-11"));
    let item = due(&server, &["--kind", "acceptance", "--on", FAR]).remove(0);
    assert_eq!(item["command"], json!("tsio offers accept uid:90001 --by trust --on DATE"));
    // A contact that was a mistake does not count.
    let number = run_ok(&server, &["offers", "show", TRUST])["contacts"][0]["contact"].to_string();
    run_ok(&server, &["offers", "correct", TRUST, "--contact", &number, "--note", "another trust"]);
    assert_eq!(dates(&server, "acceptance", TRUST, FAR), []);
    assert_eq!(dates(&server, "first-contact", TRUST, FAR).len(), 1);
}

async fn money_that_nobody_claims_is_due_after_the_awards(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "40000");
    accept_offer(&server, 910_001);
    create_award(&server, "credit", SCHOOL, &[&["--amount", "4000"], &WITH_PARTNER[..]].concat());
    // Awards are made until 31 August 2022.
    assert_eq!(dates(&server, "unclaimed", SCHOOL, "2022-09-30"), []);
    assert_eq!(dates(&server, "unclaimed", SCHOOL, "2022-10-01"), pair("2022-08-31", "2022-09-30"));
    let item = due(&server, &["--kind", "unclaimed", "--on", FAR]).remove(0);
    assert_eq!((&item["strand"], &item["rule"]), (&json!("credit"), &json!("stage_days.claim = 30")));
    let command = text(&item, "command");
    run_ok(&server, &command.split_whitespace().skip(1).collect::<Vec<_>>());
    assert_eq!(dates(&server, "unclaimed", SCHOOL, FAR), []);
}

/// The URNs of the items of one kind, each with its reason.
fn reasons(server: &Server, kind: &str) -> Vec<(i64, String)> {
    let items = due(server, &["--kind", kind]);
    items.iter().map(|it| (it["urn"].as_i64().unwrap(), text(it, "reason"))).collect()
}

async fn the_files_say_which_schools_need_a_person(db: Db) {
    let server = start_with_august(&db);
    let urns = |kind: &str| reasons(&server, kind).into_iter().map(|(urn, _)| urn).collect::<Vec<_>>();
    assert_eq!(urns("unplaced"), [910_060, 910_062, 910_063, 910_064]);
    assert_eq!(urns("unknown"), [0; 0]);
    for file in [SEPTEMBER, NOVEMBER, JANUARY] {
        import_all(&server, &[file]);
        identify(&server);
    }
    assert_eq!(urns("unknown"), [910_031, 910_032, 990_002]);
    assert_eq!(urns("recipient-changed"), [0; 0]);
    import_all(&server, &REGISTER_MARCH);
    identify(&server);
    // The three schools that identify reports as blocked on an offer of their own, and the one whose predecessor is on an offer.
    let changed = reasons(&server, "recipient-changed");
    let expected = [
        (910_042, "belongs to trust 90002, Two Becks Education Trust, now"),
        (910_053, "belongs to no multi-academy trust now"),
        (910_057, "belongs to trust 90001, Alderquill Learning Trust, now"),
    ];
    let changed: Vec<(i64, &str)> = changed.iter().map(|(urn, reason)| (*urn, reason.as_str())).collect();
    assert_eq!(changed, expected);
    let blocked = due(&server, &["--kind", "blocked"]).remove(0);
    assert_eq!((&blocked["urn"], &blocked["since"]), (&json!(990_001), &json!("2022-01-31")));
    let name = "its predecessor 900001 is on the open offer to Millrace Lane Primary School";
    assert_eq!(blocked["reason"], json!(name));
    let of_changed = due(&server, &["--kind", "recipient-changed"]).remove(0);
    assert_eq!((&of_changed["since"], &of_changed["due"]), (&json!("2022-03-31"), &json!("2022-03-31")));
    // Another owner's items are not others because of the condition.
    run_ok(&server, &["offers", "assign", "910042", "--to", "ann"]);
    let of_owner = |owner: &str| {
        let items =
            due(&server, &["--owner", owner, "--kind", "recipient-changed", "--kind", "unplaced", "--kind", "blocked"]);
        items.iter().map(|it| it["urn"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of_owner("ann"), [910_042]);
    let of_nobody = of_owner("-");
    assert!(!of_nobody.contains(&910_042) && of_nobody.contains(&990_001), "{of_nobody:?}");
    // A command for a person, who has to look at the offer of a trust, and can close that of a school.
    let offer = offer_id(&server, 910_042);
    let close = format!("tsio offers close {} --outcome superseded", &offer[offer.len() - 8..]);
    assert_eq!(of_changed["command"], json!(close));
    run_ok(&server, &["schools", "place", "910060", "--kind", "maintained", "--reason", "by letter"]);
    assert_eq!(urns("unplaced"), [910_062, 910_063, 910_064]);
}

async fn referrals_approvals_and_low_funds_are_due_at_once(db: Db) {
    let server = start_with_august(&db);
    let raise = ["referrals", "raise", "--urn", "910010", "--origin", "self-identified", "--ground", "would_benefit"];
    let raised = run_ok(&server, &[&raise[..], &["--on", "2021-11-02", "--because", "came forward"]].concat());
    let referral = text(&raised, "referral");
    let kinds = ["--kind", "referral-discussion", "--kind", "referral-decision"];
    let waiting = due(&server, &kinds).remove(0);
    assert_eq!(
        [&waiting["kind"], &waiting["since"], &waiting["due"], &waiting["referral"], &waiting["rule"]],
        [
            &json!("referral_discussion"),
            &json!("2021-11-02"),
            &json!("2021-11-02"),
            &json!(referral),
            &json!("E3_EXCEPTIONAL")
        ]
    );
    // It was not raised yet on the day before.
    assert_eq!(due(&server, &[&kinds[..], &["--on", "2021-11-01"]].concat()), [Value::Null; 0]);
    let command = text(&waiting, "command").replace("DATE", "2021-11-09").replace("TEXT", "visited");
    run_ok(&server, &command.split_whitespace().skip(1).collect::<Vec<_>>());
    let waiting = due(&server, &kinds).remove(0);
    let reason = "discussed with the regional schools commissioner on 2021-11-09, not decided";
    assert_eq!((&waiting["kind"], &waiting["reason"]), (&json!("referral_decision"), &json!(reason)));

    // Exactly a tenth is left of one fund, a pound less of another.
    create_fund_with(&server, "credit", "10000");
    create_fund_with(&server, "nlg", "10000");
    for (strand, amount) in [("credit", "9000"), ("nlg", "9001")] {
        run_ok(&server, &["funds", "withdraw", strand, amount, "--on", "2021-09-05"]);
        run_ok(&server, &["funds", "allocate", strand, amount, "--on", "2021-09-06"]);
    }
    accept_offer(&server, 910_001);
    accept_offer(&server, 90_001);
    create_award(&server, "credit", SCHOOL, &[&["--amount", "9000"], &WITH_PARTNER[..]].concat());
    create_award(&server, "nlg", TRUST, &["--amount", "9001", "--because", "governors asked"]);
    let low = due(&server, &["--kind", "low-fund"]);
    let low: Vec<_> = low.iter().map(|it| (text(it, "strand"), text(it, "since"), text(it, "command"))).collect();
    assert_eq!(low, [("nlg".to_owned(), "2021-10-01".to_owned(), "tsio funds allocate nlg AMOUNT".to_owned())]);

    let filed = run_filed(&server, &["funds", "allocate", "credit", "£60,000", "--on", "2021-09-02"]);
    // It waits for somebody else than the person who asked.
    assert_eq!(due(&server, &["--kind", "approval"]), [Value::Null; 0]);
    let waiting = due(&server, &as_person("rita", "finance-approver", &["--kind", "approval", "--mine"])).remove(0);
    assert_eq!((&waiting["approval"], &waiting["owner"]), (&filed["approval"], &json!("rita")));
}

async fn everybody_sees_only_what_is_theirs(db: Db) {
    let server = start_with_august(&db);
    run_ok(&server, &["offers", "assign", SCHOOL, "--to", "oakfield"]);
    let all = due(&server, &["--on", FAR]);
    assert_eq!(all.len(), 19 + 4);
    let count = |args: &[&str]| due(&server, &[args, &["--on", FAR]].concat()).len();
    let with = |key: &str, value: Value| all.iter().filter(|it| it[key] == value).count();
    let west = with("region", json!("West Midlands"));
    assert!((1..19).contains(&west), "{west}");
    let officer = |args: &[&str]| {
        let regional = ["--actor", "carol", "--roles", "case-officer", "--regions", "West Midlands"];
        count(&[&regional[..], args].concat())
    };
    assert_eq!(officer(&[]), west);
    assert_eq!(count(&["--region", "west-midlands"]), west);
    assert_eq!(officer(&["--region", "north-of-england"]), 0);
    assert_eq!(count(&["--local-authority", "330"]), {
        // The offers to schools there, and the one to a trust that lists a school there.
        let of_schools = with("local_authority", json!(330));
        let trusts = all.iter().filter(|it| it["trust_uid"] == 90_001 && it["urn"].is_null());
        of_schools + trusts.count()
    });
    let partner = as_person("oakfield", "delivery-partner", &["--on", FAR]);
    let of_partner = due(&server, &partner);
    assert_eq!(of_partner.len(), 1, "{of_partner:?}");
    assert_eq!((&of_partner[0]["urn"], &of_partner[0]["owner"]), (&json!(910_001), &json!("oakfield")));
    assert_eq!(count(&["--owner", "oakfield"]), 1);
    assert_eq!(count(&["--owner", "-"]), 22);
    assert_eq!(count(&["--mine", "--actor", "oakfield"]), 1);
}

async fn the_pages_are_the_list(db: Db) {
    let server = start_with_august(&db);
    for school in ["910001", "910002", "910003"] {
        contact(&server, school, "responsible-body", "2021-09-13");
    }
    let award = {
        accept_offer(&server, 910_007);
        let award = create_award(&server, "nle", "910007", &[&["--days", "3"], &WITH_LEADER[..]].concat());
        start_delivery(&server, "910007");
        award
    };
    for _ in 0..3 {
        run_ok(&server, &["awards", "book", &award, "--days", "1", "--on", "2021-10-20"]);
    }
    let client = Client::of(&server).await;
    let mut work = WorkServiceClient::new(client.channel());
    let request = |page_size, page_token: &str| ListDueRequest {
        programme: YEAR.to_owned(),
        date: FAR.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let whole = work.list_due(client.ask(request(500, ""))).await.unwrap().into_inner();
    assert_eq!(whole.next_page_token, "");
    // 4 unplaced schools, 3 bookings, 3 contacts with schools, 15 first contacts.
    assert_eq!(whole.items.len(), 25);
    let order = |it: &DueItem| (it.due_date.clone(), it.kind);
    assert!(whole.items.is_sorted_by_key(order));
    for page_size in [1, 2, 7] {
        let (mut items, mut token) = (Vec::new(), String::new());
        loop {
            let page = work.list_due(client.ask(request(page_size, &token))).await.unwrap().into_inner();
            items.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(items, whole.items, "pages of {page_size}");
    }
    // A token belongs to its conditions.
    let first = work.list_due(client.ask(request(1, ""))).await.unwrap().into_inner();
    let other = ListDueRequest { kinds: vec![DueKind::Claim.into()], ..request(1, &first.next_page_token) };
    let status = work.list_due(client.ask(other)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
}

async fn all_wrong_conditions_are_reported_together(db: Db) {
    let server = start_with_august(&db);
    let client = Client::of(&server).await;
    let mut work = WorkServiceClient::new(client.channel());
    let wrong = ListDueRequest {
        programme: String::new(),
        date: "5/10/2021".to_owned(),
        region: "Nowhere".to_owned(),
        local_authority: 1_000,
        owner: "a b\u{7f}".to_owned(),
        kinds: vec![DueKind::Close.into(), 0, 99],
        ..Default::default()
    };
    let status = work.list_due(client.ask(wrong)).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let fields: Vec<&str> = details.field_violations.iter().map(|it| it.field.as_str()).collect();
    for field in ["programme", "date", "region", "local_authority", "owner", "kinds[1]", "kinds[2]"] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    assert!(!fields.contains(&"kinds[0]"), "{fields:?}");
    run_refused_for(&server, "NOT_FOUND", &["due", "--programme", "2030-31"]);
}
