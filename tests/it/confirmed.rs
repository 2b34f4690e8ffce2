//! Referrals and imported files. A monthly file confirms a referral, and a trust with one open school is referred as
//! that school. Each discussion records whom it was held with.

use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::RecordDiscussionRequest;
use tsio::proto::referral_service_client::ReferralServiceClient;

use super::client::{Client, fresh, reason};
use super::files::Folder;
use super::harness::{Db, Server, both};
use super::samples::{
    AUGUST, CREATED, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, as_person, identify_counts, import, import_all,
    numbers, offer_id, offer_of, run_filed, run_ok, run_refused_for, start_with_august, text, verify_ok,
};

both!(
    a_month_confirms_a_referral_at_once,
    a_decision_of_two_people_confirms_no_referral,
    a_trust_with_one_open_school_is_referred_as_that_school,
    standalone_schools_are_not_referred_together,
    a_discussion_records_its_partner,
);

/// The arguments that refer schools, which the options in `whom` name.
fn raise_args<'a>(whom: &[&'a str]) -> Vec<&'a str> {
    let words = ["--origin", "self-identified", "--ground", "would_benefit", "--because", "they wrote"];
    let words = [&["referrals", "raise"], whom, &words[..], &["--on", "2021-11-02"]].concat();
    as_person("ann", "case-officer", &words)
}

fn raise(server: &Server, whom: &[&str]) -> Value {
    run_ok(server, &raise_args(whom))
}

fn discuss(server: &Server, referral: &str, with: &[&str]) -> Value {
    let words = [&["referrals", "discuss", referral, "--on", "2021-11-09", "--note", "to visit"], with].concat();
    run_ok(server, &as_person("ann", "case-officer", &words))
}

/// The arguments that decide a referral; the verb is `approve` or `decline`.
fn decide_args<'a>(verb: &'a str, referral: &'a str) -> Vec<&'a str> {
    let words = ["referrals", verb, referral, "--on", "2021-11-12", "--because", "as discussed"];
    as_person("dora", "regional-director", &words)
}

/// Lists referrals with these options, and returns the id and the state of each.
fn list_referrals(server: &Server, words: &[&str]) -> Vec<(String, String)> {
    let list = run_ok(server, &[&["referrals", "list"], words].concat());
    list.as_array().unwrap().iter().map(|it| (text(it, "referral"), text(it, "state"))).collect()
}

/// 910017 is good in August and requires improvement in September. 910030 does not require improvement in either month.
async fn a_month_confirms_a_referral_at_once(db: Db) {
    let server = start_with_august(&db);
    let referral = text(&raise(&server, &["--urn", "910017"]), "referral");
    let other = text(&raise(&server, &["--urn", "910030"]), "referral");
    let (open, confirmed) = (|id: &String| (id.clone(), "open".to_owned()), (referral.clone(), "confirmed".to_owned()));
    assert_eq!(list_referrals(&server, &["--state", "open"]), [open(&other), open(&referral)]);

    let september = text(&import(&server, SEPTEMBER), "import_id");
    let check_confirmed = |server: &Server| {
        assert_eq!(list_referrals(server, &["--state", "confirmed"]), std::slice::from_ref(&confirmed));
        assert_eq!(list_referrals(server, &["--filter", "state = CONFIRMED"]), std::slice::from_ref(&confirmed));
        assert_eq!(list_referrals(server, &["--filter", "NOT state = OPEN"]), std::slice::from_ref(&confirmed));
        assert_eq!(list_referrals(server, &["--state", "open"]), [open(&other)]);
        assert_eq!(list_referrals(server, &["--filter", "NOT state = CONFIRMED"]), [open(&other)]);
        assert_eq!(list_referrals(server, &[]), [open(&other), confirmed.clone()]);
        let shown = run_ok(server, &["referrals", "show", &referral]);
        assert_eq!((&shown["state"], &shown["outcome_reason"]), (&json!("confirmed"), &Value::Null));
    };
    check_confirmed(&server);
    let dry = run_ok(&server, &["offers", "identify", "--dry-run"]);
    assert_eq!(dry["confirmed_referrals"], json!([referral]));

    // If the month is withdrawn before the confirmation is recorded, the referral is open again.
    let ask = ["import", "withdraw", &september, "--reason", "a draft"];
    let approval = text(&run_filed(&server, &as_person("ann", "administrator", &ask)), "approval");
    run_ok(&server, &as_person("bob", "administrator", &["approvals", "give", &approval]));
    assert_eq!(list_referrals(&server, &["--state", "confirmed"]), []);
    assert_eq!(list_referrals(&server, &[]), [open(&other), open(&referral)]);
    assert_eq!(run_ok(&server, &["offers", "identify"])["confirmed_referrals"], json!([]));

    import(&server, SEPTEMBER);
    check_confirmed(&server);
    let made = run_ok(&server, &["offers", "identify"]);
    assert_eq!((identify_counts(&made)[CREATED], &made["confirmed_referrals"]), (3, &json!([referral])));
    check_confirmed(&server);
    let offer = offer_id(&server, 910_017);
    assert_eq!(run_ok(&server, &["referrals", "show", &referral])["offer"], json!(offer));
    let events = run_ok(&server, &["offers", "events", &offer]);
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds, ["identified", "referral_confirmed"]);
    assert_eq!(run_ok(&server, &["offers", "identify"])["confirmed_referrals"], json!([]), "it is confirmed only once");
    run_refused_for(&server, "REFERRAL_NOT_OPEN", &decide_args("approve", &referral));
    drop(server);
    verify_ok(&db);
}

/// The entry position of 990002 is unknown. Two people decide that it is met, so the school gets an offer. The decision
/// does not confirm the referral of the school: a person must still decide it.
async fn a_decision_of_two_people_confirms_no_referral(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST, SEPTEMBER]);
    import_all(&server, &REGISTER_MARCH);
    let decide = |position| {
        let ask = ["eligibility", "decide", "990002", "--position", position, "--reason", "seen"];
        let refused = run_filed(&server, &as_person("olga", "case-officer", &ask));
        let give = ["approvals", "give", &text(&refused, "approval")];
        run_ok(&server, &as_person("dora", "regional-director", &give));
    };
    let referral = text(&raise(&server, &["--urn", "990002"]), "referral");
    decide("met");
    assert_eq!(list_referrals(&server, &["--state", "confirmed"]), []);
    let made = run_ok(&server, &["offers", "identify"]);
    let offer = offer_id(&server, 990_002);
    assert_eq!(
        (&made["confirmed_referrals"], run_ok(&server, &["offers", "show", &offer])["schools"][0]["rules"].clone()),
        (&json!([]), json!(["E2_RI_TWICE_ON_ENTRY"]))
    );
    assert_eq!(list_referrals(&server, &[]), [(referral.clone(), "open".to_owned())]);
    // Once a referral is approved, its school stays eligible, even if two people later decide that the entry position
    // is not met.
    discuss(&server, &referral, &[]);
    let approved = run_ok(&server, &decide_args("approve", &referral));
    assert_eq!((&approved["offer"], &approved["exceptional_urns"]), (&json!(offer), &json!([990_002])));
    decide("not-met");
    assert_eq!(run_ok(&server, &["offers", "identify"])["not_eligible"], 0);
    let by_rule = numbers(&run_ok(&server, &["eligibility", "list", "--filter", "E3_EXCEPTIONAL"]), "urn");
    assert_eq!(by_rule, [990_002]);
    drop(server);
    verify_ok(&db);
}

/// 910041 is the only school of trust 90022. Of the two schools of trust 90004, 910053 closes and 910054 stays open.
async fn a_trust_with_one_open_school_is_referred_as_that_school(db: Db) {
    let (server, folder) = (start_with_august(&db), Folder::new());
    let closing = "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name),CloseDate\n\
        910053,380,Oldacre Academy,Academy converter,Closed,31-12-2021\n";
    let file = folder.write("june.csv", closing.as_bytes());
    run_ok(&server, &["import", "register", &file, "--as-at", "2022-06-30"]);
    for (uid, urn) in [("90022", "910041"), ("90004", "910054")] {
        let raised = raise(&server, &["--uid", uid, "--urn", urn]);
        let number: i64 = urn.parse().unwrap();
        assert_eq!((&raised["uid"], &raised["urns"]), (&Value::Null, &json!([number])), "{uid}");
        let referral = text(&raised, "referral");
        discuss(&server, &referral, &[]);
        let approved = run_ok(&server, &decide_args("approve", &referral));
        let made = &approved["made_offer"];
        assert_eq!((&made["recipient_kind"], &made["recipient"]), (&json!("standalone"), &json!(number)), "{uid}");
        assert_eq!(offer_of(&server, number)["offer"], approved["offer"]);
    }
    // A trust with several schools is referred as a trust.
    let several = raise(&server, &["--uid", "90001", "--urn", "910048"]);
    assert_eq!(several["uid"], 90_001);
    drop(server);
    verify_ok(&db);
}

/// All three schools are placed by hand in trust 90024 as a single-academy trust. Schools placed so are separate
/// recipients. 910064 is in the West Midlands, and the others are in the South-East.
async fn standalone_schools_are_not_referred_together(db: Db) {
    let server = start_with_august(&db);
    for urn in ["910060", "910062", "910064"] {
        let place = ["schools", "place", urn, "--kind", "single-academy-trust", "--trust", "90024", "--reason", "seen"];
        run_ok(&server, &place);
    }
    let both = ["--uid", "90024", "--urn", "910060", "--urn", "910062"];
    let error = run_refused_for(&server, "CANNOT_BE_REFERRED", &raise_args(&both));
    let limits: Vec<_> = error["limits"].as_array().unwrap().iter().map(|it| text(it, "account")).collect();
    assert_eq!(limits, ["school 910060", "school 910062"], "{error}");
    let says = ["each by itself", "910060", "910062"];
    assert!(says.iter().all(|it| error.to_string().contains(it)), "{error}");
    // A school of another region does not exist for the caller.
    let south_east = ["--regions", "South-East England and South London"];
    let in_two_regions = [&both[..], &["--urn", "910064"]].concat();
    let hidden = run_refused_for(&server, "NOT_FOUND", &[&south_east[..], &raise_args(&in_two_regions)].concat());
    assert_eq!(text(&hidden, "message"), "school 910064 does not exist");

    // Each school can be referred alone. After that, the refusal of the joint referral also names the open referral.
    let referral = text(&raise(&server, &both[..4]), "referral");
    let again = run_refused_for(&server, "REFERRAL_OPEN", &raise_args(&both));
    assert!(again["limits"][0]["account"].as_str().unwrap().contains(&referral), "{again}");
    assert_eq!(again["limits"].as_array().unwrap().len(), 3, "{again}");
    let other = text(&raise(&server, &["--urn", "910062"]), "referral");
    for (referral, urn) in [(&referral, 910_060), (&other, 910_062)] {
        discuss(&server, referral, &[]);
        let approved = run_ok(&server, &decide_args("approve", referral));
        assert_eq!(approved["made_offer"]["recipient"], json!(urn));
        let offer = run_ok(&server, &["offers", "show", &text(&approved, "offer")]);
        assert_eq!(numbers(&offer["schools"], "urn"), [urn]);
    }
    drop(server);
    verify_ok(&db);
}

async fn a_discussion_records_its_partner(db: Db) {
    let server = start_with_august(&db);
    let referral = text(&raise(&server, &["--urn", "910030"]), "referral");
    for with in ["school", "trust", "responsible-body"] {
        discuss(&server, &referral, &["--with", with]);
        for verb in ["approve", "decline"] {
            let error = run_refused_for(&server, "DISCUSSION_MISSING", &decide_args(verb, &referral));
            assert!(error["message"].as_str().unwrap().contains("regional schools commissioner"), "{error}");
        }
    }
    // A decision requires a discussion with the regional schools commissioner. A call without a partner counts as a
    // discussion with the commissioner, because calls of earlier versions named no partner.
    let client = Client::of(&server).await;
    let mut service = ReferralServiceClient::new(client.channel());
    let discussion = |held_with| RecordDiscussionRequest {
        request_id: fresh(),
        referral: referral.clone(),
        date: "2021-11-10".to_owned(),
        note: "with the chair of governors".to_owned(),
        held_with,
        ..Default::default()
    };
    let unknown_partner = service.record_discussion(client.ask(discussion(99))).await.unwrap_err();
    assert_eq!(
        (unknown_partner.code(), reason(&unknown_partner).as_str()),
        (Code::InvalidArgument, "FIELD_VIOLATIONS")
    );
    service.record_discussion(client.ask(discussion(0))).await.unwrap();
    let shown = run_ok(&server, &["referrals", "show", &referral]);
    let with: Vec<_> = shown["discussions"].as_array().unwrap().iter().map(|it| it["held_with"].clone()).collect();
    assert_eq!(with, ["school", "trust", "responsible_body", "regional_schools_commissioner"]);
    run_ok(&server, &decide_args("approve", &referral));
    drop(server);
    verify_ok(&db);
}
