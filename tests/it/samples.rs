//! Imports the sample files, runs commands of the command line, and reads their JSON. The scenarios share these helpers.
//!
//! The scenarios contain the expected numbers, which were copied by hand from `samples/README.md`.

use serde_json::Value;

use super::harness::{Output, Server, cli};

/// A sample file and its as-at date.
pub(crate) type File = (&'static str, &'static str);

/// The register of August 2021.
pub(crate) const REGISTER_AUGUST: [File; 4] = [
    ("gias_groups_2021-08.csv", "2021-08-31"),
    ("gias_membership_2021-08.csv", "2021-08-31"),
    ("gias_links.csv", "2021-11-30"),
    ("gias_establishments_full.csv", "2021-08-31"),
];
/// The register of March 2022.
pub(crate) const REGISTER_MARCH: [File; 3] = [
    ("gias_groups_2022-03.csv", "2022-03-31"),
    ("gias_membership_2022-03.csv", "2022-03-31"),
    ("gias_establishments_search.csv", "2022-03-31"),
];
pub(crate) const AUGUST: File = ("ofsted_2021-08-31.csv", "2021-08-31");
pub(crate) const SEPTEMBER: File = ("ofsted_2021-09-30.csv", "2021-09-30");
pub(crate) const SEPTEMBER_CORRECTED: File = ("ofsted_2021-09-30_corrected.csv", "2021-09-30");
pub(crate) const NOVEMBER: File = ("ofsted_2021-11-30_regional.csv", "2021-11-30");
pub(crate) const JANUARY: File = ("ofsted_2022-01-31.csv", "2022-01-31");
pub(crate) const LAST: File = ("ofsted_2023-01-31.csv", "2023-01-31");

/// Returns every valid sample file, in the order of their dates.
pub(crate) fn all_files() -> Vec<File> {
    let months = [AUGUST, SEPTEMBER, NOVEMBER, JANUARY];
    REGISTER_AUGUST.into_iter().chain(months).chain(REGISTER_MARCH).chain([LAST]).collect()
}

/// Returns the path of a sample file.
pub(crate) fn path(name: &str) -> String {
    format!("{}/samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the arguments of the command that imports a file.
pub(crate) fn import_args((name, as_at): File) -> [String; 5] {
    let noun = if name.starts_with("ofsted") { "ofsted" } else { "register" };
    ["import", noun, &path(name), "--as-at", as_at].map(str::to_owned)
}

/// Runs a command, checks that it succeeds, and returns its JSON.
pub(crate) fn run_ok(server: &Server, args: &[&str]) -> Value {
    let Output { code, json, stdout, stderr } = cli(server, args);
    assert_eq!(code, 0, "{args:?}\n{stdout}{stderr}");
    assert!(!json.is_null(), "{args:?} printed no document: {stdout}");
    json
}

/// Runs a command, checks that it is refused, and returns its error. The reason must be on standard error too.
pub(crate) fn run_refused(server: &Server, args: &[&str]) -> Value {
    let Output { code, json, stdout, stderr } = cli(server, args);
    assert_eq!(code, 1, "{args:?}\n{stdout}{stderr}");
    let error = json["error"].clone();
    assert!(error.is_object(), "{args:?} printed no error: {stdout}");
    let reason = error["reason"].as_str().unwrap();
    assert!(stderr.contains(reason), "{args:?}: standard error has no {reason}: {stderr}");
    error
}

/// Runs a command, checks that it is refused for this reason, and returns its error.
pub(crate) fn run_refused_for(server: &Server, reason: &str, args: &[&str]) -> Value {
    let error = run_refused(server, args);
    assert_eq!(error["reason"], reason, "{args:?}: {error}");
    error
}

/// Runs a command, checks that it is filed and waits for a second person, and returns its document: the approval and the message.
pub(crate) fn run_filed(server: &Server, args: &[&str]) -> Value {
    let Output { code, json, stdout, stderr } = cli(server, args);
    assert_eq!(code, 3, "{args:?}\n{stdout}{stderr}");
    assert!(json["approval"].is_string() && json["error"].is_null(), "{args:?}: {stdout}");
    json
}

/// Adds arguments, so that this person with these roles runs the command. Without them the local operator runs it.
pub(crate) fn as_person<'a>(actor: &'a str, roles: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [&["--actor", actor, "--roles", roles], args].concat()
}

/// Imports one file, checks that this succeeds, and returns the outcome of the file.
pub(crate) fn import(server: &Server, file: File) -> Value {
    let args = import_args(file);
    let answer = run_ok(server, &args.each_ref().map(String::as_str));
    assert_eq!(answer.as_array().map(Vec::len), Some(1), "{answer}");
    answer[0].clone()
}

/// Imports files, and checks that each row of each file is accepted without problems.
pub(crate) fn import_all(server: &Server, files: &[File]) {
    for file in files {
        let answer = import(server, *file);
        assert_eq!(answer["accepted"], answer["rows"], "{file:?}: {answer}");
        assert_eq!(answer["problems"], serde_json::json!([]), "{file:?}");
    }
}

/// A row of the README's table of months: schools, eligible, E1, E2, both, MAT schools, trusts, standalone, maintained, SAT,
/// single-school MAT, unplaced, unknown. `both` is not printed: it is the number of schools that both rules count.
pub(crate) type Counts = [i64; 13];

/// Turns the JSON of a summary into a row of the README's table of months.
pub(crate) fn summary_counts(summary: &Value) -> Counts {
    let number = |path: &str| summary.pointer(path).and_then(Value::as_i64).unwrap_or_else(|| panic!("{path}"));
    let [eligible, e1, e2] =
        ["/eligible_schools", "/by_rule/E1_RI_IN_YEAR", "/by_rule/E2_RI_TWICE_ON_ENTRY"].map(number);
    let placed = [
        "/mat/schools",
        "/mat/trusts",
        "/standalone/schools",
        "/standalone/maintained",
        "/standalone/single_academy_trust",
        "/standalone/single_school_mat",
    ];
    let [mat, trusts, standalone, maintained, sat, single] = placed.map(number);
    let [schools, unplaced, unknown] = ["/schools", "/unplaced", "/unknown"].map(number);
    let both = e1 + e2 - eligible;
    [schools, eligible, e1, e2, both, mat, trusts, standalone, maintained, sat, single, unplaced, unknown]
}

/// Returns the current counts of the schools of a programme.
pub(crate) fn summary(server: &Server, programme: &str) -> Counts {
    summary_counts(&run_ok(server, &["eligibility", "summary", "--programme", programme]))
}

/// The index of the number of created offers in the counts of identify.
pub(crate) const CREATED: usize = 0;
/// The index of the number of offers that were open before, in the counts of identify.
pub(crate) const ALREADY_OPEN: usize = 2;
/// The index of the number of schools that cannot be added to an offer, in the counts of identify.
pub(crate) const BLOCKED: usize = 4;

/// Identifies offers of 2021-22, and returns the counts as [`identify_counts`].
pub(crate) fn identify(server: &Server) -> [i64; 6] {
    identify_counts(&run_ok(server, &["offers", "identify", "--programme", "2021-22"]))
}

/// Identifies offers of 2021-22, and returns how many were created.
pub(crate) fn identify_created(server: &Server) -> i64 {
    identify(server)[CREATED]
}

/// Reads the counts in the JSON of identify: created, updated, already open, already closed, blocked, unplaced.
pub(crate) fn identify_counts(answer: &Value) -> [i64; 6] {
    ["created", "updated", "already_open", "already_closed", "blocked", "unplaced"]
        .map(|key| answer[key].as_i64().unwrap_or_else(|| panic!("{key}: {answer}")))
}

/// Returns the number with this key of each element of a list.
pub(crate) fn numbers(list: &Value, key: &str) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|it| it[key].as_i64().unwrap()).collect()
}

/// Returns the only offer made to this URN or UID.
pub(crate) fn offer_of(server: &Server, recipient: i64) -> Value {
    let list = run_ok(server, &["offers", "list", "--search", &recipient.to_string()]);
    let mut offers = list.as_array().unwrap().iter().filter(|it| it["recipient"] == recipient);
    let offer = offers.next().unwrap_or_else(|| panic!("no offer to {recipient}: {list}"));
    assert!(offers.next().is_none(), "two offers to {recipient}: {list}");
    offer.clone()
}

/// Returns the id of the only offer made to this URN or UID.
pub(crate) fn offer_id(server: &Server, recipient: i64) -> String {
    text(&offer_of(server, recipient), "offer")
}

/// Returns the text with this key of a JSON document.
pub(crate) fn text(document: &Value, key: &str) -> String {
    document[key].as_str().unwrap_or_else(|| panic!("{key}: {document}")).to_owned()
}

/// Starts a server, imports the files of August 2021, and identifies their 19 offers.
pub(crate) fn start_with_august(db: &super::harness::Db) -> Server {
    let server = Server::start(db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    assert_eq!(identify_created(&server), 19);
    server
}

/// Runs `tsio verify`, and checks that it finds no difference in any record.
pub(crate) fn verify_ok(db: &super::harness::Db) {
    let answer = super::harness::tsio(&["verify", "--database", &db.url()]);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
}
