//! Checks that an offer takes its responsible body from the newest register until the first contact with that body.
//!
//! In the samples, 910003 and 910020 have a diocese, 910002 has none, and no file of establishments names 910024 and 910028.

use serde_json::{Value, json};

use super::files::Folder;
use super::harness::{Db, Server, both, cli};
use super::samples::{
    ALREADY_OPEN, AUGUST, CREATED, REGISTER_AUGUST, identify_counts, import_all, offer_id, run_ok, run_refused_for,
    text, verify_ok,
};

both!(the_responsible_body_follows_the_register_until_it_is_contacted,);

/// Identifies offers, and returns the JSON of the answer.
fn identify(server: &Server) -> Value {
    run_ok(server, &["offers", "identify"])
}

/// Returns the number of schools whose diocese is unknown, according to the warning of identify; `None` without this warning.
fn schools_with_unknown_diocese(answer: &Value) -> Option<u32> {
    let warnings = answer["warnings"].as_array().unwrap();
    let warning = warnings.iter().find(|it| it["code"] == "DIOCESE_UNKNOWN")?;
    let message = text(warning, "message");
    let after_names = message.strip_prefix("no file of establishments names ").unwrap();
    Some(after_names.split(" school(s)").next().unwrap().parse().unwrap())
}

/// Returns the responsible body of a school's offer.
fn responsible_body(server: &Server, urn: i64) -> Value {
    run_ok(server, &["offers", "show", &offer_id(server, urn)])["responsible_body"].clone()
}

/// Returns the kinds of the events of a school's offer.
fn kinds(server: &Server, urn: i64) -> Vec<Value> {
    let events = run_ok(server, &["offers", "events", &offer_id(server, urn)]);
    events.as_array().unwrap().iter().map(|it| it["kind"].clone()).collect()
}

/// Records a contact with a school's responsible body, and returns what the command wrote to standard error.
fn contact(server: &Server, urn: i64) -> String {
    let offer = offer_id(server, urn);
    let output = cli(server, &["offers", "contact", &offer, "--party", "responsible-body", "--on", "2021-09-08"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stderr
}

async fn the_responsible_body_follows_the_register_until_it_is_contacted(db: Db) {
    let (server, folder) = (Server::start(&db), Folder::new());
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    import_all(&server, &[groups, membership, links, AUGUST]);
    // The 11 maintained schools of the README's first row. For other schools the trust is contacted.
    let made = identify(&server);
    assert_eq!((identify_counts(&made)[CREATED], schools_with_unknown_diocese(&made)), (19, Some(11)));
    assert_eq!(responsible_body(&server, 910_003), "local authority 886 (Kent)");

    import_all(&server, &[establishments]);
    assert_eq!(
        responsible_body(&server, 910_003),
        "Diocese of Quenby",
        "the import changes the body before identify runs"
    );
    let school = ["offers", "contact", &offer_id(&server, 910_003), "--party", "school", "--on", "2021-09-08"];
    let error = run_refused_for(&server, "CONTACT_MISSING", &school);
    assert!(error["message"].as_str().unwrap().contains("Diocese of Quenby"), "{error}");
    assert!(!contact(&server, 910_003).contains("DIOCESE_UNKNOWN"));
    assert_eq!(kinds(&server, 910_003), ["identified", "responsible_body_changed", "contacted"]);
    assert!(!contact(&server, 910_002).contains("DIOCESE_UNKNOWN"), "a file says that the school has no diocese");
    assert_eq!(kinds(&server, 910_002), ["identified", "contacted"]);
    assert!(contact(&server, 910_024).contains("names 1 school(s)"), "no file names the diocese of the school");

    // 910028 is the last school that was not contacted and is in no file of establishments. 910020 has its diocese recorded.
    let again = identify(&server);
    assert_eq!((identify_counts(&again)[ALREADY_OPEN], schools_with_unknown_diocese(&again)), (19, Some(1)));
    assert_eq!(kinds(&server, 910_020), ["identified", "responsible_body_changed"]);
    let june = "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name),Diocese (name)\n\
        910003,886,St Wilfreda,Voluntary aided school,Open,Diocese of Elsewhere\n\
        910020,878,Rushbarrow,Voluntary controlled school,Open,Diocese of Elsewhere\n";
    let file = folder.write("june.csv", june.as_bytes());
    run_ok(&server, &["import", "register", &file, "--as-at", "2022-06-30"]);
    assert_eq!(
        (responsible_body(&server, 910_003), responsible_body(&server, 910_020)),
        (json!("Diocese of Quenby"), json!("Diocese of Elsewhere"))
    );
    identify(&server);
    assert_eq!(
        kinds(&server, 910_003),
        ["identified", "responsible_body_changed", "contacted"],
        "the body does not change after the contact"
    );
    drop(server);
    verify_ok(&db);
}
