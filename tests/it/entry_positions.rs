//! Two people of a region decide an unknown entry position of a school. One person requests the decision, and another
//! one approves it. The decision is counted separately, and a file with a judgement of the school overrides it.
//!
//! Of the samples, 990002 and 990003 opened on 1 September 2021, and no file has the judgement with which they entered
//! the year. With the register of March 2022, 990002 in Birmingham is in a single-academy trust, and 990003 in Devon is
//! in trust 90002.

mod lineage;

use serde_json::{Value, json};

use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::{DecideEntryRequest, EntryPosition, GiveApprovalRequest};

use super::client::{Client, YEAR, fresh, reason};
use super::files::Folder;
use super::harness::{Db, Server, both, cli};
use super::money::refusal;
use super::raw_sql::{RawSql, verified_heads};
use super::record::check_each_is_named;
use super::samples::{
    AUGUST, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, as_person, identify, identify_created, import_all, numbers,
    offer_of, path, run_filed, run_ok, run_refused_for, summary_counts, text, verify_ok,
};

both!(
    two_people_decide_and_every_answer_agrees,
    only_two_people_of_the_region_may_decide,
    only_the_region_sees_who_decided,
    a_later_file_overrides_a_decision,
    a_contrary_decision_states_the_offer,
    a_repeated_call_gets_the_same_answer,
    a_decision_is_verified_against_its_event,
    a_preview_decides_nothing,
);

const WEST: &str = "West Midlands";
const OTHER_REGION: &str = "South-West England";
/// The arguments that decide the entry position of 990002 as met.
const DECIDE_MET: [&str; 7] = ["eligibility", "decide", "990002", "--position", "met", "--reason", "both reports seen"];
/// The schools whose eligibility is unknown after September.
const UNKNOWN: [i64; 3] = [910_032, 990_002, 990_003];
/// The positions of numbers in [`counts`].
const ELIGIBLE: usize = 1;
const BY_E2: usize = 3;
const STANDALONE: usize = 7;
const IN_SINGLE_ACADEMY_TRUST: usize = 9;
const COUNT_OF_UNKNOWN: usize = 12;

/// Starts a server and imports the files of August and September, and the register of March.
fn september(db: &Db) -> Server {
    let server = Server::start(db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST, SEPTEMBER]);
    import_all(&server, &REGISTER_MARCH);
    server
}

/// The arguments of a command by a caller of these regions.
fn in_regions<'a>(regions: &'a str, actor: &'a str, roles: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["--regions", regions], as_person(actor, roles, args).as_slice()].concat()
}

/// The arguments of a command by the case officer olga of the West Midlands.
fn officer<'a>(args: &[&'a str]) -> Vec<&'a str> {
    in_regions(WEST, "olga", "case-officer", args)
}

/// The arguments of a command by the regional director dora of the West Midlands.
fn director<'a>(args: &[&'a str]) -> Vec<&'a str> {
    in_regions(WEST, "dora", "regional-director", args)
}

/// Runs a command that needs an approval, and returns the id of the approval.
fn request_approval(server: &Server, args: &[&str]) -> String {
    text(&run_filed(server, args), "approval")
}

/// Decides a school's entry position in any region, and returns the decision.
fn decide(server: &Server, urn: &str, position: &str) -> Value {
    let ask = ["eligibility", "decide", urn, "--position", position, "--reason", "seen"];
    let approval = request_approval(server, &as_person("olga", "case-officer", &ask));
    run_ok(server, &as_person("dora", "regional-director", &["approvals", "give", &approval]))["entry_decision"].clone()
}

/// The schools whose eligibility is unknown.
fn unknown_schools(server: &Server) -> Vec<i64> {
    numbers(&run_ok(server, &["eligibility", "list", "--filter", "unknown"]), "urn")
}

fn summary(server: &Server) -> Value {
    run_ok(server, &["eligibility", "summary"])
}

/// The answer of rule E2 for a school: outcome, reason and decision; and whether the school is eligible.
fn explain_e2(server: &Server, args: &[&str]) -> (Value, String, Value, bool) {
    let school = run_ok(server, args)["schools"][0].clone();
    let rules = school["rules"].as_array().unwrap();
    let e2 = rules.iter().find(|it| it["rule"] == "E2_RI_TWICE_ON_ENTRY").unwrap();
    (e2["outcome"].clone(), text(e2, "reason"), e2["decided"].clone(), school["eligible"] == true)
}

/// The reason that `eligibility explain` gives for a decision by olga and dora.
fn explanation(decision: &Value) -> String {
    let (on, event) = (text(decision, "date"), decision["event"].as_i64().unwrap());
    format!(
        "decided by a person, as no file as at 2021-08-31 or before shows this URN; \
         asked by olga, decided by dora on {on}, event {event}; \
         a file that says with what judgements the school entered the year goes before it"
    )
}

async fn two_people_decide_and_every_answer_agrees(db: Db) {
    let server = september(&db);
    // The counts are those of September in the README, but with the placements of March.
    let before = summary_counts(&summary(&server));
    assert_eq!((before[..5].to_vec(), before[COUNT_OF_UNKNOWN]), (vec![76, 31, 3, 28, 0], 3));
    let listed = run_ok(&server, &["eligibility", "list", "--filter", "unknown"]);
    assert_eq!(numbers(&listed, "urn"), UNKNOWN);
    for school in listed.as_array().unwrap() {
        let command = format!("tsio eligibility decide {} --position POSITION --reason TEXT", school["urn"]);
        assert_eq!(school["command"], command, "the list names the command that decides it");
    }
    let made = identify_created(&server);

    let approval = request_approval(&server, &officer(&DECIDE_MET));
    assert_eq!(unknown_schools(&server), UNKNOWN, "one person alone cannot decide");
    for caller in [officer(&["approvals", "list"]), director(&["approvals", "list", "--waiting"])] {
        let open = run_ok(&server, &caller)[0].clone();
        let entry = json!({ "urn": 990_002, "position": "met", "region": WEST, "before": null, "offers": [] });
        assert_eq!((&open["approval"], &open["action"]), (&json!(approval), &json!("decide_entry")));
        assert_eq!(
            (&open["entry"], &open["subject"], &open["reason"]),
            (&entry, &Value::Null, &json!("both reports seen"))
        );
    }
    let given = run_ok(&server, &director(&["approvals", "give", &approval]));
    let decision = given["entry_decision"].clone();
    assert_eq!((&given["approval"]["state"], &decision["position"]), (&json!("carried_out"), &json!("met")));
    let people = (text(&decision, "asked_by"), text(&decision, "decided_by"), decision["counts"] == true);
    assert_eq!(people, ("olga".to_owned(), "dora".to_owned(), true));

    // Every command shows the decision.
    let (outcome, reason, decided, eligible) = explain_e2(&server, &["eligibility", "explain", "990002"]);
    assert_eq!((outcome, decided, eligible), (json!("met"), decision.clone(), true));
    assert_eq!(reason, explanation(&decision));
    assert_eq!(run_ok(&server, &["schools", "show", "990002"])["entry_decisions"], json!([decision]));
    let mut expected = before;
    // One more school is eligible: by E2 alone, in a single-academy trust, standalone.
    for index in [ELIGIBLE, BY_E2, STANDALONE, IN_SINGLE_ACADEMY_TRUST] {
        expected[index] += 1;
    }
    expected[COUNT_OF_UNKNOWN] -= 1;
    assert_eq!((summary_counts(&summary(&server)), &summary(&server)["decided_by_person"]), (expected, &json!(1)));
    assert_eq!(unknown_schools(&server), [910_032, 990_003]);
    let list = |filter: &str| numbers(&run_ok(&server, &["eligibility", "list", "--filter", filter]), "urn");
    assert_eq!(list("decided"), [990_002]);
    assert!(list("E2_RI_TWICE_ON_ENTRY").contains(&990_002) && list("eligible AND decided") == [990_002]);
    let changes = ["eligibility", "changes", "--from", "2021-08-31", "--to", "2021-09-30"];
    let changes = run_ok(&server, &changes);
    let of_school = changes.as_array().unwrap().iter().find(|it| it["urn"] == 990_002).unwrap().clone();
    assert_eq!(
        (&of_school["change"], &of_school["rules"]),
        (&json!("became_eligible"), &json!(["E2_RI_TWICE_ON_ENTRY"]))
    );
    assert_eq!(identify_created(&server), 1, "one new offer, after the {made} made before");
    assert_eq!(offer_of(&server, 990_002)["recipient_kind"], "standalone");

    // A decision *not met* is counted as a decision, but makes no school eligible.
    assert_eq!(decide(&server, "990003", "not-met")["position"], "not_met");
    expected[COUNT_OF_UNKNOWN] -= 1;
    assert_eq!((summary_counts(&summary(&server)), &summary(&server)["decided_by_person"]), (expected, &json!(2)));
    let (outcome, _, _, eligible) = explain_e2(&server, &["eligibility", "explain", "990003"]);
    assert_eq!((outcome, eligible), (json!("not_met"), false));
    assert_eq!(
        (unknown_schools(&server), list("decided"), list("decided AND NOT eligible")),
        (vec![910_032], vec![990_002, 990_003], vec![990_003])
    );
    // Two people can change the decision.
    assert_eq!(decide(&server, "990003", "met")["position"], "met");
    let again = ["eligibility", "decide", "990003", "--position", "met", "--reason", "once more"];
    let again = run_refused_for(&server, "ENTRY_NOT_UNKNOWN", &as_person("olga", "case-officer", &again));
    assert!(text(&again, "message").contains("decided already: met"), "{again}");
    drop(server);
    verify_ok(&db);
}

/// The requester dora may withdraw the approval as a caller of another region. For other callers of that region it does
/// not exist.
fn withdraw_as_requester(server: &Server, regions: &str, approval: &str) {
    let withdraw = ["approvals", "withdraw", approval];
    run_refused_for(server, "NOT_FOUND", &in_regions(regions, "dan", "regional-director", &withdraw));
    let withdrawn = run_ok(server, &in_regions(regions, "DORA", "regional-director", &withdraw));
    assert_eq!(withdrawn["state"], "withdrawn");
}

async fn only_two_people_of_the_region_may_decide(db: Db) {
    let server = september(&db);
    let not_found = |args: &[&str]| text(&run_refused_for(&server, "NOT_FOUND", args), "message");
    for role in ["reader", "delivery-partner", "finance", "finance-approver", "administrator"] {
        run_refused_for(&server, "ROLE_MISSING", &as_person("olga", role, &DECIDE_MET));
    }
    // In another region the answer is the same as for a school that does not exist.
    let absent_school = ["eligibility", "decide", "123456", "--position", "met", "--reason", "seen"];
    let absent = not_found(&in_regions(OTHER_REGION, "olga", "case-officer", &absent_school));
    let hidden = not_found(&in_regions(OTHER_REGION, "olga", "case-officer", &DECIDE_MET));
    assert_eq!(hidden, absent.replace("123456", "990002"));
    // These schools cannot be decided: the entry position is known, or another school has succeeded the school.
    for (urn, says) in [("910003", "is met"), ("910004", "is not met"), ("900001", "counts as URN 990001 now")] {
        let ask = ["eligibility", "decide", urn, "--position", "met", "--reason", "seen"];
        let error = run_refused_for(&server, "ENTRY_NOT_UNKNOWN", &as_person("olga", "case-officer", &ask));
        assert!(text(&error, "message").contains(says), "{urn}: {error}");
    }
    let ask = [&["eligibility", "decide", "990002", "--programme", "2022-23"], &DECIDE_MET[3..]].concat();
    let error = run_refused_for(&server, "ENTRY_NOT_UNKNOWN", &as_person("olga", "case-officer", &ask));
    assert!(text(&error, "message").contains("no rule of the programme asks"), "{error}");

    // A director may request a decision, but may not give or deny their own approval, also not under their name in
    // capitals.
    let approval = request_approval(&server, &director(&DECIDE_MET));
    let give = ["approvals", "give", approval.as_str()];
    let deny = ["approvals", "deny", approval.as_str(), "--reason", "no"];
    for (caller, refusal) in [("dora", "SELF_APPROVAL"), ("DORA", "SELF_APPROVAL")] {
        for words in [&give[..], &deny] {
            run_refused_for(&server, refusal, &in_regions(WEST, caller, "regional-director", words));
        }
    }
    for role in ["case-officer", "finance-approver", "administrator"] {
        run_refused_for(&server, "ROLE_MISSING", &as_person("dan", role, &give));
    }
    let absent_approval = "00000000-0000-7000-8000-000000000000";
    let absent =
        not_found(&in_regions(OTHER_REGION, "dan", "regional-director", &["approvals", "give", absent_approval]));
    for words in [&give[..], &deny] {
        let hidden = not_found(&in_regions(OTHER_REGION, "dan", "regional-director", words));
        assert_eq!(hidden, absent.replace(absent_approval, &approval));
    }
    let sees = |regions, role, waiting: &[&str]| {
        let words = [&["approvals", "list"], waiting].concat();
        run_ok(&server, &in_regions(regions, "dan", role, &words)).as_array().unwrap().len()
    };
    for (regions, role, seen, waits) in [
        (WEST, "regional-director", 1, 1),
        (WEST, "case-officer", 1, 0),
        (OTHER_REGION, "regional-director", 0, 0),
        (OTHER_REGION, "case-officer", 0, 0),
        ("South-West England;West Midlands", "regional-director", 1, 1),
        ("", "administrator", 0, 0),
        ("", "finance-approver", 0, 0),
        (WEST, "reader", 0, 0),
    ] {
        assert_eq!(
            (sees(regions, role, &[]), sees(regions, role, &["--waiting"])),
            (seen, waits),
            "{role} of {regions}"
        );
    }
    // The requester gets the open approval again. Another caller gets a separate approval for the same school.
    assert_eq!(request_approval(&server, &director(&DECIDE_MET)), approval);
    let contrary = ["eligibility", "decide", "990002", "--position", "not-met", "--reason", "seen"];
    let open = run_filed(&server, &officer(&contrary));
    let says = "deciding that the entry position of school 990002 is not met needs a second person";
    assert!(text(&open, "message").starts_with(says), "{open}");
    let other = text(&open, "approval");
    assert_ne!(other, approval);
    run_refused_for(&server, "APPROVAL_OF_ANOTHER", &officer(&["approvals", "withdraw", &approval]));
    withdraw_as_requester(&server, OTHER_REGION, &approval);
    let denied = run_ok(&server, &director(&["approvals", "deny", &other, "--reason", "the reports say otherwise"]));
    assert_eq!((&denied["state"], unknown_schools(&server)), (&json!("denied"), UNKNOWN.to_vec()));
    drop(server);
    verify_ok(&db);
}

/// The names of the two people are shown only to callers of the region. The decision is shown to all callers.
async fn only_the_region_sees_who_decided(db: Db) {
    let (server, other_region) = (september(&db), "South-West England");
    let approval = request_approval(&server, &officer(&DECIDE_MET));
    run_ok(&server, &director(&["approvals", "give", &approval]));
    let seen =
        |regions| explain_e2(&server, &in_regions(regions, "rita", "reader", &["eligibility", "explain", "990002"]));
    let (outcome, reason, decided, eligible) = seen(other_region);
    assert_eq!(
        (outcome, eligible, &decided["asked_by"], &decided["decided_by"]),
        (json!("met"), true, &Value::Null, &Value::Null)
    );
    assert!(reason.contains("decided by a person") && !reason.contains("olga") && !reason.contains("dora"), "{reason}");
    assert!(seen(WEST).1.contains("asked by olga, decided by dora"));
    let shown = run_ok(&server, &in_regions(other_region, "rita", "reader", &["schools", "show", "990002"]));
    assert_eq!(shown["entry_decisions"], json!([decided]));
}

/// Writes a file with the September rows of these schools, to be imported for a day before the year. Returns its path.
fn july(folder: &Folder, urns: &[&str]) -> String {
    let september = std::fs::read(path(SEPTEMBER.0)).unwrap();
    let lines: Vec<&[u8]> = september.split(|byte| *byte == b'\n').collect();
    let has = |line: &[u8], what: &str| line.windows(what.len()).any(|it| it == what.as_bytes());
    let header = lines.iter().position(|line| has(line, ",URN,LAESTAB,")).unwrap();
    let is_selected = |line: &&&[u8]| urns.iter().any(|urn| has(line, &format!(",{urn},")));
    let rows: Vec<&[u8]> = std::iter::once(lines[header]).chain(lines.iter().filter(is_selected).copied()).collect();
    assert_eq!(rows.len(), urns.len() + 1);
    folder.write("july.csv", &[rows.join(&b'\n'), b"\n".to_vec()].concat())
}

async fn a_later_file_overrides_a_decision(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    decide(&server, "990003", "met");
    identify(&server);
    let trust = run_ok(&server, &["offers", "show", &text(&offer_of(&server, 90_002), "offer")]);
    assert!(numbers(&trust["schools"], "urn").contains(&990_003), "{trust}");
    let waiting = request_approval(&server, &officer(&DECIDE_MET));
    let before = summary_counts(&summary(&server));

    // As at 31 July 2021, 990002 requires improvement for the second time, and 990003 is inadequate.
    let file = july(&folder, &["990002", "990003"]);
    run_ok(&server, &["import", "ofsted", &file, "--as-at", "2021-07-31", "--accept-problems"]);
    let (outcome, reason, decided, eligible) = explain_e2(&server, &["eligibility", "explain", "990003"]);
    assert_eq!((outcome, decided, eligible), (json!("not_met"), Value::Null, false));
    let says = "the current grade is 4; the files take precedence over the decision `met` in event";
    assert!(reason.contains(says), "{reason}");
    let shown = run_ok(&server, &["schools", "show", "990003"])["entry_decisions"].clone();
    assert_eq!((&shown[0]["position"], &shown[0]["counts"]), (&json!("met"), &json!(false)));
    let (outcome, _, decided, eligible) = explain_e2(&server, &["eligibility", "explain", "990002"]);
    assert_eq!((outcome, decided, eligible), (json!("met"), Value::Null, true));
    let after = summary(&server);
    assert_eq!(&after["decided_by_person"], &json!(0));
    assert_eq!(
        (summary_counts(&after)[ELIGIBLE], summary_counts(&after)[COUNT_OF_UNKNOWN]),
        (before[ELIGIBLE], 1),
        "one school became eligible and one stopped being"
    );

    // The earlier approval cannot be given any more, and stays open.
    let refused = run_refused_for(&server, "APPROVAL_NOT_OPEN", &director(&["approvals", "give", &waiting]));
    assert!(text(&refused, "message").contains("no longer unknown"), "{refused}");
    assert_eq!(run_ok(&server, &officer(&["approvals", "list"]))[0]["state"], "open");

    // The offer of the overridden decision stays. Identify names it to callers who may see it.
    let offer = text(&offer_of(&server, 90_002), "offer");
    for words in [&["offers", "identify", "--dry-run"][..], &["offers", "identify"]] {
        let made = run_ok(&server, words);
        assert_eq!((&made["not_eligible"], &made["updated"]), (&json!(1), &json!(0)), "{made}");
        let named = &made["not_eligible_schools"][0];
        assert_eq!((&named["urn"], &named["offer"]), (&json!(990_003), &json!(offer)));
        // The offer has other eligible schools, so the command only shows it.
        assert_eq!(named["command"], format!("tsio offers show {offer}"));
        let why = text(named, "reason");
        let says = [
            "E2_RI_TWICE_ON_ENTRY is not met, the current grade is 4",
            "the files take precedence over the decision `met` in event",
        ];
        assert!(says.iter().all(|it| why.contains(it)), "{why}");
    }
    let elsewhere = as_person("olga", "case-officer", &["--regions", WEST, "offers", "identify"]);
    assert_eq!(run_ok(&server, &elsewhere)["not_eligible"], 0);
    let school = run_ok(&server, &["eligibility", "explain", "990003"])["schools"][0].clone();
    assert_eq!((&school["offer"], &school["command"]), (&json!(offer), &json!(format!("tsio offers show {offer}"))));
    drop(server);
    verify_ok(&db);
}

/// A decision *not met* follows a decision *met*. Its approval states the open offers that depend on the earlier
/// decision. It cannot be given if these have changed.
async fn a_contrary_decision_states_the_offer(db: Db) {
    let server = september(&db);
    decide(&server, "990002", "met");
    let contrary = ["eligibility", "decide", "990002", "--position", "not-met", "--reason", "seen again"];
    let outdated = request_approval(&server, &officer(&contrary));
    identify(&server);
    let offer = text(&offer_of(&server, 990_002), "offer");
    let refused = run_refused_for(&server, "APPROVAL_NOT_OPEN", &director(&["approvals", "give", &outdated]));
    let says = format!("no open offer is stated, it is on open offer {offer} now");
    assert!(text(&refused, "message").contains(&says), "{refused}");
    let current = request_approval(&server, &officer(&contrary));
    let listed = run_ok(&server, &director(&["approvals", "list", "--waiting"]));
    let stated = |of: &str| {
        let open = listed.as_array().unwrap().iter().find(|it| it["approval"] == of).unwrap();
        (open["entry"]["before"].clone(), open["entry"]["offers"].clone())
    };
    assert_eq!((stated(&outdated), stated(&current)), ((json!("met"), json!([])), (json!("met"), json!([offer]))));
    run_ok(&server, &director(&["approvals", "give", &current]));
    // The offer is for this school alone, so the list names the command that closes it.
    let named = run_ok(&server, &["offers", "identify"])["not_eligible_schools"].clone();
    let command = format!("tsio offers close {offer} --outcome ineligible");
    assert_eq!((numbers(&named, "urn"), &named[0]["command"]), (vec![990_002], &json!(command)));
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    run_ok(&server, &words);
    assert_eq!(run_ok(&server, &["offers", "identify"])["not_eligible"], 0);
    drop(server);
    verify_ok(&db);
}

async fn a_repeated_call_gets_the_same_answer(db: Db) {
    let mut server = september(&db);
    let id = fresh();
    let words = |args: &[&'static str]| {
        let words: Vec<String> = officer(args).into_iter().map(str::to_owned).collect();
        [vec!["--request-id".to_owned(), id.clone()], words].concat()
    };
    let call: Vec<String> = words(&DECIDE_MET);
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    let approval = request_approval(&server, &call);
    assert_eq!(request_approval(&server, &call), approval);
    server.restart();
    assert_eq!(request_approval(&server, &call), approval);
    let other = words(&["eligibility", "decide", "990002", "--position", "not-met", "--reason", "both reports seen"]);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    run_refused_for(&server, "REQUEST_ID_REUSED", &other);
    let give = director(&["approvals", "give", &approval]);
    let give = [&["--request-id", "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f"], give.as_slice()].concat();
    let given = run_ok(&server, &give)["entry_decision"].clone();
    for _ in 0..2 {
        assert_eq!(run_ok(&server, &call), given, "the call gets the answer that it would get without an approval");
        server.restart();
    }
    // A stored answer does not depend on the monthly files, whose rows this change makes unreadable.
    RawSql::of(&db).await.run("UPDATE ofsted_rows SET cur_grade = cur_grade + 70").await.unwrap();
    assert_ne!(cli(&server, &["eligibility", "summary"]).code, 0);
    assert_eq!((run_ok(&server, &call), run_ok(&server, &give)["entry_decision"].clone()), (given.clone(), given));
    // For a caller of another region the school does not exist.
    let elsewhere = [&call[..2], &in_regions("South-West England", "olga", "case-officer", &DECIDE_MET)].concat();
    run_refused_for(&server, "NOT_FOUND", &elsewhere);
    let approvals = run_ok(&server, &officer(&["approvals", "list", "--all"]));
    assert_eq!(approvals.as_array().map(Vec::len), Some(1), "{approvals}");
    drop(server);
    RawSql::of(&db).await.run("UPDATE ofsted_rows SET cur_grade = cur_grade - 70").await.unwrap();
    verify_ok(&db);
}

async fn a_decision_is_verified_against_its_event(db: Db) {
    let mut server = september(&db);
    decide(&server, "990002", "met");
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    // The events: 1 adopts the rules, 2 opens the approval, 3 gives the approval, 4 is the decision.
    let rows = [
        [
            "UPDATE approvals SET region = 'South-West England'",
            "it cannot be read: its region is",
            "UPDATE approvals SET region = 'West Midlands'",
        ],
        [
            "UPDATE entry_decisions SET met = NOT met",
            "entry position of school 990002: the record says",
            "UPDATE entry_decisions SET met = NOT met",
        ],
        [
            "UPDATE entry_decisions SET seq = 3",
            "entry position of school 990002: the record says",
            "UPDATE entry_decisions SET seq = 4",
        ],
        [
            "UPDATE entry_decisions SET urn = 990003",
            "entry position of school 990003: the database has it",
            "UPDATE entry_decisions SET urn = 990002",
        ],
    ];
    let rows = rows.map(|[tamper, named, mend]| (tamper.to_owned(), named.to_owned(), mend.to_owned())).into();
    check_each_is_named(&db, &mut raw_sql, rows).await;
}

async fn a_preview_decides_nothing(db: Db) {
    let server = september(&db);
    let client = Client::of(&server).await;
    let service = || EligibilityServiceClient::new(client.channel());
    let ask = |validate_only| DecideEntryRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        urn: 990_002,
        position: EntryPosition::Met.into(),
        reason: "both reports seen".to_owned(),
        validate_only,
    };
    let before = verified_heads(&db);
    let tried = service().decide_entry(client.ask(ask(true))).await.unwrap_err();
    assert_eq!((reason(&tried).as_str(), refusal(&tried).approval.as_str()), ("APPROVAL_REQUIRED", ""));
    assert_eq!(verified_heads(&db), before);
    let refused = service().decide_entry(client.ask(ask(false))).await.unwrap_err();
    let before = verified_heads(&db);
    let mut approvals = ApprovalServiceClient::new(client.channel());
    let by_bob = |message: &GiveApprovalRequest| {
        let mut request = client.named("bob").ask(message.clone());
        request.metadata_mut().insert("x-tsio-roles", "regional-director".parse().unwrap());
        request
    };
    let mut give =
        GiveApprovalRequest { request_id: fresh(), approval: refusal(&refused).approval, validate_only: true };
    let preview = approvals.give_approval(by_bob(&give)).await.unwrap().into_inner();
    assert_eq!((verified_heads(&db), unknown_schools(&server)), (before, UNKNOWN.to_vec()));
    give.validate_only = false;
    assert_eq!(approvals.give_approval(by_bob(&give)).await.unwrap().into_inner(), preview);
    for (wrong, field) in [
        (DecideEntryRequest { position: 0, ..ask(true) }, "position"),
        (DecideEntryRequest { reason: String::new(), ..ask(true) }, "reason"),
        (DecideEntryRequest { urn: 0, ..ask(true) }, "urn"),
    ] {
        let tried = service().decide_entry(client.ask(wrong)).await.unwrap_err();
        assert!(reason(&tried) == "FIELD_VIOLATIONS" && tried.message().contains(field), "{tried:?}");
    }
}
