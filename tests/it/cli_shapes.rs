//! The output that scripts read: the keys of each JSON document, the demo and the completions. Also, that no name of a
//! person is stored.

use std::fs;

use serde_json::{Value, json};

use super::harness::{Db, Server, both, tsio};
use super::samples::{
    REGISTER_AUGUST, all_files, identify, import_all, import_args, offer_id, run_ok, run_refused, run_refused_for,
    start_with_august,
};

both!(each_document_has_its_keys, no_name_of_a_person_is_kept);

/// Checks that an object has these keys. A later version may add others.
fn check_keys(document: &Value, keys: &[&str]) {
    let object = document.as_object().unwrap_or_else(|| panic!("no object: {document}"));
    for key in keys {
        assert!(object.contains_key(*key), "no {key}: {document}");
    }
}

async fn each_document_has_its_keys(db: Db) {
    let server = start_with_august(&db);
    let counts = run_ok(&server, &["eligibility", "summary", "--programme", "2021-22"]);
    // The counts in the first row of the README's table: after the files of August.
    let expected = json!({
        "programme": "2021-22", "as_at": "2021-08-31", "schools": 73, "eligible_schools": 28,
        "by_rule": {"E1_RI_IN_YEAR": 0, "E2_RI_TWICE_ON_ENTRY": 28, "E3_EXCEPTIONAL": 0},
        "mat": {"schools": 10, "trusts": 5},
        "standalone": {"schools": 14, "maintained": 11, "single_academy_trust": 2, "single_school_mat": 1},
        "unplaced": 4, "closed": 0, "unknown": 0, "decided_by_person": 0,
    });
    assert_eq!(counts, expected);

    let files = [import_args(REGISTER_AUGUST[0])[2].clone(), import_args(REGISTER_AUGUST[1])[2].clone()];
    let imported = run_ok(&server, &["import", "register", &files[0], &files[1], "--as-at", "2021-08-31"]);
    assert_eq!(imported.as_array().map(Vec::len), Some(2), "one element per file");
    check_keys(&imported[0], &["import_id", "kind", "as_at", "rows", "accepted", "unchanged", "problems"]);
    assert_eq!((&imported[0]["kind"], &imported[1]["kind"]), (&json!("groups"), &json!("membership")));

    let identified = run_ok(&server, &["offers", "identify"]);
    check_keys(&identified, &["created", "updated", "already_open", "already_closed", "blocked", "unplaced", "closed"]);
    assert!(identified["blocked"].is_i64() && identified["unplaced"].is_i64(), "{identified}");

    let offers = run_ok(&server, &["offers", "list"]);
    let keys = ["offer", "programme", "recipient_kind", "recipient", "name", "region", "state", "etag"];
    offers.as_array().unwrap().iter().for_each(|offer| check_keys(offer, &keys));
    let kinds = |kind: &str| offers.as_array().unwrap().iter().filter(|it| it["recipient_kind"] == kind).count();
    assert_eq!((kinds("standalone"), kinds("mat")), (14, 5));
    let offer = offer_id(&server, 90_001);
    let shown = run_ok(&server, &["offers", "show", &offer]);
    check_keys(&shown, &[&keys[..], &["schools", "awards", "caps", "contacts"]].concat());
    assert_eq!((&shown["awards"], &shown["contacts"]), (&json!([]), &json!([])));
    // A trust has a cap of 5 days. Governance and fees have no cap: only their funds limit them.
    let cap = json!({
        "fund": null, "programme": "2021-22", "strand": "nle", "region": null, "unit": "half_days",
        "allocated": 10, "committed": 0, "spent": 0, "available": 10,
    });
    assert_eq!(shown["caps"], json!([cap]));
    check_keys(&shown["schools"][0], &["urn", "name", "rules"]);
    assert_eq!(shown["schools"][0]["rules"], json!(["E2_RI_TWICE_ON_ENTRY"]));
    let events = run_ok(&server, &["offers", "events", &offer]);
    check_keys(
        &events[0],
        &["sequence", "kind", "actor", "effective_date", "recorded_time", "reason_code", "text", "hash"],
    );

    check_lookups(&server);
    check_tables(&server);
}

/// Checks the commands that find and show schools and trusts, and the answers for absent ids.
fn check_lookups(server: &Server) {
    let found = run_ok(server, &["schools", "find", "ashmoor"]);
    assert_eq!(super::samples::numbers(&found, "urn"), [910_001]);
    check_keys(&found[0], &["urn", "name", "laestab", "la_code", "region", "placement", "trust_uid"]);
    assert_eq!((&found[0]["laestab"], &found[0]["la_code"]), (&json!(3_302_001), &json!(330)));
    assert_eq!(found[0]["region"], "West Midlands");
    assert_eq!(run_ok(server, &["schools", "find", "nobody of that name"]), json!([]));
    check_order_of_search(server);
    let school = run_ok(server, &["schools", "show", "910040"]);
    check_keys(&school, &["urn", "name", "memberships", "months", "links"]);
    assert_eq!(school["months"][0]["current"]["urn_judged"], 900_010);
    let trusts = run_ok(server, &["trusts", "find", "two becks"]);
    assert_eq!((&trusts[0]["uid"], &trusts[0]["schools"]), (&json!(90_002), &json!(3)));
    let trust = run_ok(server, &["trusts", "show", "90002"]);
    assert_eq!(super::samples::numbers(&trust["schools"], "urn"), [910_050, 910_051, 910_052]);
    for missing in [["schools", "show", "123456"], ["trusts", "show", "99999"]] {
        assert_eq!(run_refused(server, &missing)["code"], "NOT_FOUND");
    }
    let absent_id = "00000000-0000-4000-8000-000000000000";
    let unknown: [&[&str]; 4] = [
        &["offers", "show", absent_id],
        &["offers", "note", absent_id, "x"],
        &["import", "show", absent_id],
        &["approvals", "give", absent_id],
    ];
    for words in unknown {
        assert_eq!(run_refused(server, words)["code"], "NOT_FOUND", "{words:?}");
    }
    assert_eq!(run_refused(server, &["offers", "show", "not-an-id"])["code"], "INVALID_ARGUMENT");
    check_placing(server);
}

/// Checks that a person can place a school that no placement rule fits, with a reason. The school then gets an offer.
/// The beginning of a name counts more than that of a word, and that more than the middle of a word. Then names are in order.
fn check_order_of_search(server: &Server) {
    let found = |args: &[&str]| super::samples::numbers(&run_ok(server, &[&["schools", "find"], args].concat()), "urn");
    // Lowerbeck, a sixth form and Lower School, Foxlow, Mallow, Oxhollow.
    let low = [910_050, 910_062, 910_044, 910_076, 910_017];
    assert_eq!(found(&["low"]), low);
    for limit in 1..low.len() {
        assert_eq!(found(&["low", "--limit", &limit.to_string()]), low[..limit]);
    }
    let answer = super::harness::cli(server, &["schools", "find", "low", "--limit", "2"]);
    assert!(answer.stderr.contains("there are more: --limit 0"), "{}", answer.stderr);
    // 20 rows, if no limit is given.
    assert_eq!(found(&["school"]).len(), 20);
    assert!(found(&["school", "--limit", "0"]).len() > 20);
    assert_eq!(found(&["910001"]), [910_001]);
}

fn check_placing(server: &Server) {
    let place = |urn: &'static str| ["schools", "place", urn, "--kind", "maintained", "--reason", "agreed by phone"];
    let error = run_refused(server, &place("910001"));
    assert_eq!(error["reason"], "ALREADY_PLACED");
    let in_trust = |kind: &'static str, trust: &'static str| {
        ["schools", "place", "910063", "--kind", kind, "--trust", trust, "--reason", "agreed by phone"]
    };
    // No trust has these UIDs: one is in no file, one is of a sponsor, and one of a federation.
    for uid in ["99999", "90041", "90051"] {
        assert_eq!(run_refused(server, &in_trust("mat", uid))["code"], "NOT_FOUND", "{uid}");
    }
    // A closed trust, and two trusts of another kind.
    for (kind, uid) in [("mat", "90007"), ("single-academy-trust", "90001"), ("single-school-mat", "90021")] {
        let error = run_refused(server, &in_trust(kind, uid));
        assert_eq!((&error["code"], &error["reason"]), (&json!("FAILED_PRECONDITION"), &json!("TRUST_NOT_SUITABLE")));
    }
    let placed = run_ok(server, &place("910063"));
    assert_eq!((&placed["urn"], &placed["placement"]), (&json!(910_063), &json!("maintained")));
    assert_eq!(identify(server), [1, 0, 19, 0, 0, 3]);
    assert_eq!(super::samples::offer_of(server, 910_063)["recipient_kind"], "standalone");
    // The register still has no placement for the school. The decision is shown separately, and applies in the
    // programme.
    let school = run_ok(server, &["schools", "show", "910063"]);
    let decided = json!([{"programme": "2021-22", "placement": "maintained", "trust_uid": null}]);
    assert_eq!((&school["placement"], &school["placed_by_hand"]), (&json!("unplaced"), &decided));
    assert_eq!(run_ok(server, &["eligibility", "explain", "910063"])["schools"][0]["placement"], "maintained");
}

/// Checks that commands print tables without `--output json`.
fn check_tables(server: &Server) {
    let url = server.url();
    for words in [&["eligibility", "summary"][..], &["offers", "list"], &["import", "list"], &["terms", "list"]] {
        let answer = tsio(&[&["--server", &url], words].concat());
        assert_eq!((answer.code, answer.json), (0, Value::Null), "{words:?} prints a table");
        assert!(answer.stdout.lines().count() > 1, "{words:?}: {}", answer.stdout);
    }
    let answer = tsio(&["--server", "http://127.0.0.1:1", "--output", "json", "offers", "list"]);
    assert_eq!((answer.code, &answer.json["error"]["reason"]), (1, &json!("SERVER_UNREACHABLE")));
}

/// All head teachers and heads of groups are called `XQZ` in the samples. The name must not be stored or logged in any
/// letter case.
async fn no_name_of_a_person_is_kept(db: Db) {
    let server = Server::start_with(&db, &[]);
    import_all(&server, &all_files());
    identify(&server);
    let name = b"XQZ";
    let files_with_name =
        all_files().iter().filter(|file| contains(&fs::read(super::samples::path(file.0)).unwrap(), name)).count();
    assert!(files_with_name >= 4, "only {files_with_name} samples have the name");
    assert_eq!(run_ok(&server, &["schools", "find", "XQZ"]), json!([]));
    assert_eq!(run_ok(&server, &["trusts", "find", "XQZ"]), json!([]));
    // The reported problems of wrong rows quote no cell that could be a name.
    let wrong = super::samples::path("bad/wrong_dates.csv");
    run_refused_for(&server, "FILE_REFUSED", &["import", "ofsted", &wrong, "--as-at", "2021-07-31"]);
    run_ok(&server, &["import", "ofsted", &wrong, "--as-at", "2021-07-31", "--accept-problems"]);
    let log = server.stderr();
    assert!(!contains(log.as_bytes(), name), "in the log: {log}");
    let kept = all_data(&db);
    assert!(contains(&kept, b"Alderquill") && contains(&kept, b"Ashmoor Road"), "the search reads the stored data");
    assert!(!contains(&kept, name), "a person's name is in the database");
}

/// Whether the bytes contain the expected ones, in any letter case.
fn contains(bytes: &[u8], expected: &[u8]) -> bool {
    bytes.windows(expected.len()).any(|window| window.eq_ignore_ascii_case(expected))
}

/// All data of a database: on PostgreSQL each row of each table as text, on SQLite the bytes of the file and of its
/// write-ahead log.
fn all_data(db: &Db) -> Vec<u8> {
    if db.is_postgres() {
        let tables = db.psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        let rows = tables.lines().map(|table| db.psql(&format!("SELECT t::text FROM \"{table}\" t")));
        return rows.collect::<Vec<_>>().join("\n").into_bytes();
    }
    let url = db.url();
    let file = url.trim_start_matches("sqlite://").split('?').next().unwrap();
    ["", "-wal"].iter().flat_map(|tail| fs::read(format!("{file}{tail}")).unwrap_or_default()).collect()
}

#[test]
fn the_demo_prints_the_numbers_of_the_readme() {
    let demo = tsio(&["demo"]);
    assert_eq!(demo.code, 0, "{}{}", demo.stdout, demo.stderr);
    let story = demo.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for number in [
        "73 schools, 28 eligible: 10 in 5 trusts; 14 standalone (11 maintained, 2 in a single-academy trust, 1 the only school of its trust); 4 cannot be placed; 0 unknown; 0 closed",
        "76 schools, 31 eligible: 10 in 5 trusts; 16 standalone (13 maintained, 2 in a single-academy trust, 1 the only school of its trust); 5 cannot be placed; 3 unknown; 0 closed",
        "19 offers made",
        "3 offers made",
        "Diocese of Quenby",
        "CONTACT_MISSING",
        "AWARD_MISSING",
        "SELF_APPROVAL",
        "0 differences",
    ] {
        assert!(story.contains(number), "{number:?} is not in:\n{}", demo.stdout);
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().to_str().unwrap();
    assert_eq!(tsio(&["demo", "--keep", kept]).code, 0);
    assert_eq!(tsio(&["demo", "--keep", kept]).code, 1, "the demo does not overwrite an existing file");
    let verified = tsio(&["verify", "--database", &format!("sqlite:{kept}/demo.db")]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
}

#[test]
fn completions_and_help_are_printed() {
    for (shell, says) in [("bash", "complete -F _tsio"), ("zsh", "#compdef tsio"), ("fish", "complete -c tsio")] {
        let printed = tsio(&["completions", shell]);
        assert_eq!(printed.code, 0);
        assert!(printed.stdout.contains(says), "{shell}: {}", printed.stdout);
    }
    let help = tsio(&["offers", "contact", "--help"]);
    assert!(help.code == 0 && help.stdout.contains("Example"), "{}", help.stdout);
    for wrong in
        [&[][..], &["offers"], &["offers", "lst"], &["completions", "cmd.exe"], &["--output", "xml", "offers", "list"]]
    {
        assert_eq!(tsio(wrong).code, 2, "{wrong:?}");
    }
}
