//! Follows offers over the command line: contacts in order, acceptance, closing, reopening, and searches.

use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Db, Server, both, cli};
use super::samples::{
    as_person, identify, numbers, offer_id, offer_of, run_ok, run_refused, run_refused_for, start_with_august, text,
};

both!(
    contacts_come_in_order,
    accepted_then_closed,
    offers_are_found_by_filter_and_search,
    notes_regions_etags_and_request_ids_of_an_offer,
    one_command_contacts_a_local_authority
);

/// The gRPC code of a refusal by a rule of the scheme.
const CODE: &str = "FAILED_PRECONDITION";

fn contact<'a>(offer: &'a str, party: &'a str, on: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["offers", "contact", offer, "--party", party, "--on", on], more].concat()
}

fn accept<'a>(offer: &'a str, by: &'a str, on: &'a str) -> [&'a str; 7] {
    ["offers", "accept", offer, "--by", by, "--on", on]
}

fn state(server: &Server, offer: &str) -> Value {
    run_ok(server, &["offers", "show", offer])["state"].clone()
}

async fn contacts_come_in_order(db: Db) {
    let server = start_with_august(&db);
    #[rustfmt::skip]
    let bodies = [
        // recipient  school     responsible body
        (910_001,     910_001,   "Birmingham"),                // no diocese: the local authority
        (910_003,     910_003,   "Diocese of Quenby"),
        (910_005,     910_005,   "Diocese of Orrin and Thace"),
        (910_040,     910_040,   "trust 90021"),               // a single-academy trust
        (90_001,      910_045,   "trust 90001"),
    ];
    for (recipient, school, body) in bodies {
        let offer = offer_id(&server, recipient);
        let shown = run_ok(&server, &["offers", "show", &offer]);
        assert!(text(&shown, "responsible_body").contains(body), "{recipient}: {shown}");
        let urn = school.to_string();
        let early =
            run_refused_for(&server, "CONTACT_MISSING", &contact(&offer, "school", "2021-10-05", &["--urn", &urn]));
        assert_eq!((&early["code"], &early["limits"][0]["kind"]), (&json!(CODE), &json!("contact")));
        assert!(text(&early, "message").contains(body), "{recipient}: which contact is missing? {early}");
        assert_eq!(state(&server, &offer), "identified");

        let contacted = run_ok(&server, &contact(&offer, "responsible-body", "2021-10-04", &[]));
        assert_eq!(contacted[0]["state"], "contacted", "{recipient}");
        // A contact on the day before the body's contact is too early; one on the same day is not.
        run_refused_for(&server, "CONTACT_MISSING", &contact(&offer, "school", "2021-10-03", &["--urn", &urn]));
        let contacted = run_ok(&server, &contact(&offer, "school", "2021-10-04", &["--urn", &urn]));
        assert_eq!(contacted[0]["contacts"].as_array().unwrap().len(), 2, "{contacted}");
        assert_eq!(contacted[0]["warnings"][0]["code"], "DATE_IN_THE_PAST");
    }
    // A contact with a school on a trust's offer has to name the school, which has to be on the offer.
    let trust = offer_id(&server, 90_001);
    run_refused_for(&server, "SCHOOL_NOT_ON_OFFER", &contact(&trust, "school", "2021-10-05", &[]));
    run_refused_for(&server, "SCHOOL_NOT_ON_OFFER", &contact(&trust, "school", "2021-10-05", &["--urn", "910049"]));
    run_refused_for(&server, "OUTSIDE_PROGRAMME", &contact(&trust, "responsible-body", "2021-08-31", &[]));
    run_refused_for(&server, "FIELD_VIOLATIONS", &contact(&trust, "responsible-body", "2999-01-01", &[]));
    check_contacts_of_several_offers(&server);
    check_corrected_contacts(&server);
    super::samples::verify_ok(&db);
}

/// Contacts several offers in one call: the call succeeds for all of them or for none.
fn check_contacts_of_several_offers(server: &Server) {
    let offers = [910_002, 910_007, 910_008, 90_002].map(|it| offer_id(server, it));
    let [a, b, c, d] = offers.each_ref().map(String::as_str);
    let all = |party| ["offers", "contact", a, b, c, d, "--party", party, "--on", "2021-11-01"];
    // The refusal names all three offers, because each would be refused.
    let error = run_refused_for(
        server,
        "CONTACT_MISSING",
        &["offers", "contact", a, b, c, "--party", "school", "--on", "2021-11-01"],
    );
    assert_eq!(error["limits"].as_array().unwrap().len(), 3, "{error}");
    run_ok(server, &contact(a, "responsible-body", "2021-10-30", &[]));
    run_refused_for(server, "CONTACT_MISSING", &["offers", "contact", a, b, "--party", "school", "--on", "2021-11-01"]);
    assert_eq!(count_contacts(server, a), 1, "a call refused for one offer records nothing on another");
    let contacted = run_ok(server, &all("responsible-body"));
    assert_eq!(contacted.as_array().unwrap().iter().map(|it| text(it, "offer")).collect::<Vec<_>>(), offers);
    assert_eq!([a, b, c, d].map(|it| count_contacts(server, it)), [2, 1, 1, 1]);
    let two_offers =
        cli(server, &["offers", "contact", a, b, "--party", "school", "--urn", "910002", "--on", "2021-11-01"]);
    assert_eq!(two_offers.code, 2, "--urn needs a single offer");
}

fn count_contacts(server: &Server, offer: &str) -> usize {
    run_ok(server, &["offers", "show", offer])["contacts"].as_array().unwrap().len()
}

/// Corrects contacts. A contact that another contact or the acceptance depends on cannot be corrected.
fn check_corrected_contacts(server: &Server) {
    let offer = offer_id(server, 910_009);
    let body = run_ok(server, &contact(&offer, "responsible-body", "2021-10-04", &[]))[0]["contacts"][0]["contact"]
        .to_string();
    let school = run_ok(server, &contact(&offer, "school", "2021-10-05", &[]))[0]["contacts"][1]["contact"].to_string();
    fn correct<'a>(offer: &'a str, contact: &'a str) -> [&'a str; 7] {
        ["offers", "correct", offer, "--contact", contact, "--note", "wrong number"]
    }
    let error = run_refused_for(server, "CONTACT_NOT_CORRECTABLE", &correct(&offer, &body));
    assert!(text(&error, "message").contains(&school), "the contact that depends on this one is not named: {error}");
    let after = run_ok(server, &correct(&offer, &school));
    assert_eq!(after["contacts"].as_array().unwrap().len(), 2, "a corrected contact is still listed");
    assert!(after["contacts"][1]["corrected_by"].as_i64().unwrap() > after["contacts"][1]["contact"].as_i64().unwrap());
    run_refused_for(server, "CONTACT_NOT_CORRECTABLE", &correct(&offer, &school));
    let after = run_ok(server, &correct(&offer, &body));
    assert_eq!(after["state"], "identified", "all contacts are corrected");
    run_refused_for(server, "CONTACT_MISSING", &contact(&offer, "school", "2021-10-05", &[]));
    // An acceptance depends on the wrong contact until the right one is recorded too.
    run_ok(server, &contact(&offer, "responsible-body", "2021-10-04", &[]));
    let wrong = run_ok(server, &contact(&offer, "school", "2021-10-06", &[]))[0]["contacts"][3]["contact"].to_string();
    run_ok(server, &["offers", "accept", &offer, "--by", "school", "--on", "2021-10-11"]);
    run_refused_for(server, "CONTACT_NOT_CORRECTABLE", &correct(&offer, &wrong));
    run_ok(server, &contact(&offer, "school", "2021-10-08", &[]));
    assert_eq!(run_ok(server, &correct(&offer, &wrong))["state"], "accepted");
}

async fn accepted_then_closed(db: Db) {
    let server = start_with_august(&db);
    let record_contact =
        |offer: &str, party, on, more: &[&str]| drop(run_ok(&server, &contact(offer, party, on, more)));
    let [school, sat, trust] = [910_001, 910_040, 90_001].map(|it| offer_id(&server, it));
    // A school can accept from the day on which it was contacted.
    run_refused_for(&server, "STATE_NOT_ALLOWED", &accept(&school, "school", "2021-10-11"));
    record_contact(&school, "responsible-body", "2021-10-04", &[]);
    run_refused_for(&server, "CONTACT_MISSING", &accept(&school, "school", "2021-10-11"));
    record_contact(&school, "school", "2021-10-12", &[]);
    run_refused_for(&server, "CONTACT_MISSING", &accept(&school, "school", "2021-10-11"));
    run_refused_for(&server, "ACCEPTOR_NOT_ALLOWED", &accept(&school, "trust", "2021-10-12"));
    let accepted = run_ok(&server, &accept(&school, "school", "2021-10-12"));
    assert_eq!(accepted["state"], "accepted");
    run_refused_for(&server, "STATE_NOT_ALLOWED", &accept(&school, "school", "2021-10-12"));
    // Only the trust may accept a trust's offer. For a single-academy trust, the school or the trust may accept.
    record_contact(&trust, "responsible-body", "2021-10-04", &[]);
    record_contact(&sat, "responsible-body", "2021-10-04", &[]);
    run_refused_for(&server, "ACCEPTOR_NOT_ALLOWED", &accept(&trust, "school", "2021-10-05"));
    for offer in [&trust, &sat] {
        let accepted = run_ok(&server, &accept(offer, "trust", "2021-10-05"));
        assert_eq!(accepted["state"], "accepted");
    }
    // Delivery cannot start without an award.
    let error = run_refused_for(&server, "AWARD_MISSING", &["offers", "start", &school]);
    assert_eq!((&error["code"], &error["limits"][0]["kind"]), (&json!(CODE), &json!("award")));
    check_closing(&server);
    check_reopening(&server, &school);
    super::samples::verify_ok(&db);
}

/// Closes offers with each outcome and declines offers with each reason.
fn check_closing(server: &Server) {
    let close = |urn: i64, outcome: &str| {
        let offer = offer_id(server, urn);
        cli(server, &["offers", "close", &offer, "--outcome", outcome])
    };
    let completed = close(910_002, "completed");
    assert_eq!(
        (completed.code, &completed.json["error"]["reason"]),
        (1, &json!("STATE_NOT_ALLOWED")),
        "only an offer in delivery can be completed"
    );
    let outcomes = [
        (910_002, "withdrawn"),
        (910_003, "ineligible"),
        (910_005, "superseded"),
        (910_007, "lapsed"),
        (910_008, "declined"),
    ];
    for (urn, outcome) in outcomes {
        let answer = close(urn, outcome);
        assert_eq!(answer.code, 0, "{outcome}: {}", answer.stderr);
        assert_eq!((&answer.json["state"], &answer.json["outcome"]), (&json!("closed"), &json!(outcome)));
        let again = close(urn, outcome);
        assert_eq!(again.json["error"]["reason"], "STATE_NOT_ALLOWED", "{outcome} twice");
    }
    // An offer cannot lapse before the programme has ended, on 31 August 2022.
    let offer = offer_id(server, 910_009);
    let lapsed = ["offers", "close", &offer, "--outcome", "lapsed", "--on", "2022-08-31"];
    run_refused_for(server, "PROGRAMME_NOT_ENDED", &lapsed);
    for (urn, reason) in [
        (910_009, "support-in-place"),
        (910_020, "no-capacity"),
        (910_024, "not-wanted"),
        (910_028, "changing-trust"),
        (910_042, "other"),
    ] {
        let offer = offer_id(server, urn);
        let declined = run_ok(server, &["offers", "decline", &offer, "--reason", reason, "--note", "they rang"]);
        assert_eq!((&declined["state"], &declined["outcome"]), (&json!("closed"), &json!("declined")));
        let events = run_ok(server, &["offers", "events", &offer]);
        let last = events.as_array().unwrap().last().unwrap();
        assert_eq!((text(last, "reason_code"), text(last, "text")), (reason.replace('-', "_"), "they rang".to_owned()));
    }
    assert_eq!(cli(server, &["offers", "decline", &offer, "--reason", "bored"]).code, 2);
    // Identify does not make the 10 closed offers again.
    assert_eq!(identify(server), [0, 0, 9, 10, 0, 4]);
    assert_eq!(run_ok(server, &["offers", "list"]).as_array().unwrap().len(), 19);
    assert_eq!(run_ok(server, &["offers", "list", "--state", "closed"]).as_array().unwrap().len(), 10);
}

/// Reopens a closed offer, for which a second administrator has to give the approval.
fn check_reopening(server: &Server, accepted: &str) {
    let reopen = |who: &'static str, roles: &'static str| {
        cli(server, &as_person(who, roles, &["offers", "reopen", accepted, "--reason", "closed by mistake"]))
    };
    assert_eq!(reopen("ann", "administrator").json["error"]["reason"], "STATE_NOT_ALLOWED", "the offer is open");
    run_ok(server, &["offers", "close", accepted, "--outcome", "withdrawn", "--note", "meant another"]);
    assert_eq!(reopen("ann", "case-officer").json["error"]["reason"], "ROLE_MISSING");
    let filed = reopen("ann", "administrator");
    assert_eq!((filed.code, &filed.json["error"]), (3, &Value::Null), "{}", filed.stdout);
    let approval = text(&filed.json, "approval");
    let list = run_ok(server, &["approvals", "list"]);
    assert_eq!(
        (&list[0]["approval"], &list[0]["action"], &list[0]["subject"]),
        (&json!(approval), &json!("reopen_offer"), &json!(accepted))
    );
    let give =
        |who: &'static str, roles: &'static str| cli(server, &as_person(who, roles, &["approvals", "give", &approval]));
    assert_eq!(give("ann", "administrator").json["error"]["reason"], "SELF_APPROVAL");
    assert_eq!(give("bob", "case-officer").json["error"]["code"], "PERMISSION_DENIED");
    assert_eq!(state(server, accepted), "closed");
    let given = give("bob", "administrator");
    assert_eq!(given.code, 0, "{}", given.stderr);
    assert_eq!(
        (&given.json["offer"]["state"], &given.json["offer"]["outcome"]),
        (&json!("accepted"), &Value::Null),
        "the offer has the state from before the closing"
    );
    assert_eq!(give("cleo", "administrator").json["error"]["reason"], "APPROVAL_NOT_OPEN");
    assert_eq!(run_ok(server, &["approvals", "list"]), json!([]));
    let all = run_ok(server, &["approvals", "list", "--all"]);
    assert_eq!((&all[0]["state"], &all[0]["requested_by"]), (&json!("carried_out"), &json!("ann")));
}

async fn offers_are_found_by_filter_and_search(db: Db) {
    let server = start_with_august(&db);
    let [mine, hers] = [910_001, 90_001].map(|it| offer_id(&server, it));
    let list = |more: &[&str]| {
        let mut recipients = numbers(&run_ok(&server, &[&["offers", "list"], more].concat()), "recipient");
        recipients.sort_unstable();
        recipients
    };
    run_ok(&server, &["offers", "assign", &mine, "--to", "a.officer"]);
    run_ok(&server, &["offers", "assign", &hers, "--to", "b.officer"]);
    run_ok(&server, &contact(&hers, "responsible-body", "2021-10-04", &[]));
    let mine_listed = run_ok(&server, &as_person("a.officer", "case-officer", &["offers", "list", "--mine"]));
    assert_eq!(numbers(&mine_listed, "recipient"), [910_001]);
    assert_eq!((list(&["--assignee", "b.officer"]), list(&["--assignee", "-"]).len()), (vec![90_001], 17));
    assert_eq!((list(&["--state", "contacted"]), list(&["--state", "identified"]).len()), (vec![90_001], 18));
    assert_eq!(list(&["--state", "contacted", "--assignee", "a.officer"]), [0; 0]);
    // 910001 is in Birmingham, and most schools of 90001 are in the West Midlands too.
    let region = list(&["--region", "West Midlands"]);
    assert!(region.contains(&910_001) && region.contains(&90_001) && !region.contains(&90_002), "{region:?}");
    assert_eq!(run_refused(&server, &["offers", "list", "--region", "Atlantis"])["code"], "INVALID_ARGUMENT");
    #[rustfmt::skip]
    let searches: [(&str, &[i64]); 12] = [
        // A search text is not a pattern, and no name contains these texts.
        ("%", &[]),
        ("a_e", &[]),
        ("\\", &[]),
        ("ashmoor road",    &[910_001]),          // any case
        ("910001",          &[910_001]),          // a URN
        ("90001",           &[90_001]),           // a UID
        ("910046",          &[90_001]),           // the URN of a school on a trust's offer
        ("Hartsmoor",       &[90_001]),           // the name of that school
        ("Alderquill",      &[90_001]),
        ("Wilfreda",        &[910_003]),
        ("91000",           &[]),                 // a part of a number finds nothing
        ("50%_",            &[]),                 // no character is a wildcard
    ];
    for (search, expected) in searches {
        assert_eq!(list(&["--search", search]), expected, "{search}");
    }
    run_ok(&server, &["offers", "assign", &mine, "--to", "-"]);
    assert_eq!(list(&["--assignee", "-"]).len(), 18);
    assert_eq!(offer_of(&server, 910_001)["assignee"], Value::Null);
    run_ok(&server, &["offers", "close", &mine, "--outcome", "withdrawn"]);
    run_ok(&server, &["offers", "assign", &mine, "--to", "a.officer"]);
    assert_eq!(cli(&server, &["offers", "list", "--mine", "--assignee", "x"]).code, 2);
}

async fn notes_regions_etags_and_request_ids_of_an_offer(db: Db) {
    let server = start_with_august(&db);
    let offer = offer_id(&server, 910_001);
    let note = "head teacher on leave until May; £5 – “so”";
    run_ok(&server, &as_person("a.officer", "case-officer", &["offers", "note", &offer, note]));
    let events = run_ok(&server, &["offers", "events", &offer]);
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|it| text(it, "kind")).collect();
    assert_eq!(kinds, ["identified", "noted"]);
    assert_eq!((text(&events[1], "actor"), text(&events[1], "text")), ("a.officer".to_owned(), note.to_owned()));
    assert!(!events[1]["body"].to_string().contains("leave"), "the event contains free text: {events}");
    run_refused_for(&server, "FIELD_VIOLATIONS", &["offers", "note", &offer, "  "]);
    run_refused_for(&server, "FIELD_VIOLATIONS", &["offers", "note", &offer, &"x".repeat(10_001)]);

    // Only an administrator may change a region, and only to one of the eight.
    let region = |roles, to| as_person("ann", roles, &["offers", "region", &offer, "--to", to]);
    run_refused_for(&server, "ROLE_MISSING", &region("case-officer,regional-director,finance", "North of England"));
    assert_eq!(run_refused(&server, &region("administrator", "Mercia"))["code"], "INVALID_ARGUMENT");
    assert_eq!(offer_of(&server, 910_001)["region"], "West Midlands");
    assert_eq!(run_ok(&server, &region("administrator", "North of England"))["region"], "North of England");

    // A call with a stale etag changes nothing.
    let stale = text(&offer_of(&server, 910_001), "etag");
    let contacted = run_ok(&server, &contact(&offer, "responsible-body", "2021-10-04", &["--etag", &stale]));
    let fresh = text(&contacted[0], "etag");
    assert_ne!(fresh, stale);
    let error = run_refused_for(&server, "ETAG_STALE", &contact(&offer, "school", "2021-10-05", &["--etag", &stale]));
    assert_eq!(error["code"], "ABORTED");
    assert_eq!(text(&offer_of(&server, 910_001), "etag"), fresh);
    run_ok(&server, &contact(&offer, "school", "2021-10-05", &["--etag", &fresh]));
    check_request_ids(&server, &offer);
    super::samples::verify_ok(&db);
}

/// Repeats calls with the same request id, and checks the fields of an error.
fn check_request_ids(server: &Server, offer: &str) {
    // A refused call leaves its request id free. A repeated success gets the same answer and is not carried out twice.
    let id = Uuid::new_v4().to_string();
    let close = ["offers", "close", offer, "--outcome", "completed", "--request-id", &id];
    let answer = cli(server, &close);
    assert_eq!((answer.code, &answer.json["error"]["request_id"]), (1, &json!(id)), "{}", answer.stdout);
    // Nothing happened, so a person has no use for it.
    assert!(!answer.stderr.contains("--request-id"), "{}", answer.stderr);
    let accept = ["offers", "accept", offer, "--by", "school", "--on", "2021-10-11", "--request-id", &id];
    let first = run_ok(server, &accept);
    assert_eq!(run_ok(server, &accept), first);
    let reused = run_refused_for(server, "REQUEST_ID_REUSED", &["offers", "note", offer, "x", "--request-id", &id]);
    assert_eq!(reused["code"], "ALREADY_EXISTS");
    let refused_start = run_refused(server, &["offers", "start", offer]);
    assert!(
        Uuid::parse_str(&text(&refused_start, "request_id")).is_ok(),
        "the error has no generated request id: {refused_start}"
    );
    let events = run_ok(server, &["offers", "events", offer]);
    let accepted = events.as_array().unwrap().iter().filter(|it| it["kind"] == "accepted").count();
    assert_eq!(accepted, 1);
    // An error and its limits have at least these keys.
    let error = run_refused(server, &["offers", "start", offer]);
    let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(["code", "reason", "message", "largest", "limits"].iter().all(|key| keys.contains(key)), "{keys:?}");
    let expected = ["account", "available", "committed", "kind", "largest", "limit", "requested", "spent", "unit"];
    let keys: Vec<_> = error["limits"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(expected.iter().all(|key| keys.contains(key)), "{keys:?}");
    for key in ["limit", "committed", "spent", "available", "requested", "largest"] {
        assert_eq!(error["limits"][0][key], Value::Null, "a limit that has no numbers shows a number: {error}");
    }
    assert_eq!(error["largest"], Value::Null);
    for wrong in
        [&["offers", "accept", offer][..], &["offers", "fly", offer], &["offers", "start", offer, "--on", "2021-02-30"]]
    {
        assert_eq!(cli(server, wrong).code, 2, "{wrong:?}");
    }
}

async fn one_command_contacts_a_local_authority(db: Db) {
    let server = start_with_august(&db);
    let recipients = |args: &[&str]| {
        let list = run_ok(&server, &[&["offers", "list", "--order-by", "name"], args].concat());
        let mut found = super::samples::numbers(&list, "recipient");
        found.sort_unstable();
        found
    };
    // 910045 (LA 330) and 910047 (LA 383) are on the offer to trust 90001.
    for (code, expected) in [
        ("391", vec![910_002, 910_028, 910_044]),
        ("330", vec![90_001, 910_001]),
        ("383", vec![90_001, 900_001, 910_005]),
        ("999", vec![]),
    ] {
        assert_eq!(recipients(&["--local-authority", code]), expected, "{code}");
    }
    let contact = |code: &'static str, party: &'static str, more: &[&'static str]| {
        let args = ["offers", "contact", "--local-authority", code, "--party", party, "--on", "2021-09-13"];
        let mut changed = super::samples::numbers(&run_ok(&server, &[&args[..], more].concat()), "recipient");
        changed.sort_unstable();
        changed
    };
    let everybody = [910_002, 910_028, 910_044];
    assert_eq!(contact("391", "responsible-body", &["--dry-run"]), everybody);
    assert_eq!(recipients(&["--state", "contacted"]), [0; 0]);
    // No school there waits yet, because the responsible bodies come first.
    assert_eq!(contact("391", "school", &[]), [0; 0]);
    assert_eq!(contact("391", "responsible-body", &[]), everybody);
    assert_eq!(recipients(&["--state", "contacted"]), everybody);
    assert_eq!(contact("391", "responsible-body", &[]), [0; 0]);
    assert_eq!(contact("391", "school", &[]), everybody);
    assert_eq!(contact("391", "school", &[]), [0; 0]);
    // The school of a trust's offer has to be named.
    assert_eq!(contact("330", "responsible-body", &[]), [90_001, 910_001]);
    assert_eq!(contact("330", "school", &[]), [910_001]);
    let elsewhere = ["--actor", "carol", "--roles", "case-officer", "--regions", "South-West England"];
    let list = ["offers", "list", "--local-authority", "391"];
    assert_eq!(run_ok(&server, &[&elsewhere[..], &list].concat()), json!([]));
    let both = ["offers", "contact", "910001", "--local-authority", "330", "--party", "school", "--on", "2021-09-13"];
    assert_eq!(cli(&server, &both).code, 2);
}
