//! Terms, files, schools, trusts and eligibility.

use serde_json::Value;

use super::Shapes;
use crate::files::Folder;
use crate::harness::cli;
use crate::samples::{AUGUST, REGISTER_MARCH, SEPTEMBER, SEPTEMBER_CORRECTED, import_all, import_args, path, text};

const OLGA: [&str; 2] = ["olga", "case-officer"];
const DORA: [&str; 2] = ["dora", "regional-director"];
/// The register of June 2022, in which two schools have closed.
const JUNE: &str = "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name),CloseDate\n\
    910003,886,School 910003,Community school,Closed,31-12-2021\n\
    910060,886,School 910060,Community school,Created in error,\n";
const LINKS: &str = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
    910003,990010,Elmtree Academy,Successor,31-12-2021\n";

pub(super) fn terms(shapes: &mut Shapes) {
    let file = format!("{}/terms/2021-22.toml", env!("CARGO_MANIFEST_DIR"));
    shapes.run(&["terms", "list"]);
    shapes.run(&["terms", "load", &file]);
    shapes.run(&["terms", "check", &file]);
    shapes.run(&["terms", "show", "2021-22"]);
    shapes.run(&["terms", "diff", "2021-22", "2022-23"]);
}

/// September, March and June: an unknown entry position is decided, and eligible schools become blocked, closed or not
/// eligible.
pub(super) fn months(shapes: &mut Shapes) {
    let september = import_args(SEPTEMBER);
    let september = september.each_ref().map(String::as_str);
    shapes.run(&[&september[..], &["--dry-run"]].concat());
    shapes.run(&september);
    shapes.run(&["offers", "identify", "--dry-run"]);
    shapes.run(&["offers", "identify"]);
    import_all(&shapes.server, &REGISTER_MARCH);
    shapes.run(&["eligibility", "list", "--filter", "unknown"]);
    let decide = |urn: &'static str, position: &'static str| {
        ["eligibility", "decide", urn, "--position", position, "--reason", "both reports seen"]
    };
    shapes.by_two(OLGA, DORA, &decide("990002", "met"));
    shapes.run(&["offers", "identify"]);
    shapes.by_two(OLGA, DORA, &decide("990002", "not-met"));
    let folder = Folder::new();
    for (name, content) in [("june.csv", JUNE), ("links.csv", LINKS)] {
        let file = folder.write(name, content.as_bytes());
        shapes.run(&["import", "register", &file, "--as-at", "2022-06-30"]);
    }
    let identified = shapes.run(&["offers", "identify"]);
    for left_out in ["blocked", "unplaced", "closed", "not_eligible"] {
        assert_ne!(identified[left_out], 0, "{left_out}: {identified}");
    }
}

pub(super) fn lookups(shapes: &mut Shapes) {
    shapes.run(&["eligibility", "summary"]);
    for filter in ["eligible", "unknown", "unplaced", "closed", "decided"] {
        let listed = shapes.run(&["eligibility", "list", "--filter", filter]);
        assert_ne!(listed, Value::Array(Vec::new()), "{filter}");
    }
    for number in ["910001", "910003", "990002", "990003", "900001", "910063"] {
        shapes.run(&["eligibility", "explain", number]);
    }
    shapes.run(&["eligibility", "explain", "90002", "--trust"]);
    shapes.run(&["eligibility", "changes", "--from", "2021-08-31", "--to", "2021-09-30"]);
    shapes.run(&["schools", "find", "school", "--limit", "0"]);
    for urn in ["910001", "910003", "910040", "910048", "910063", "990001", "990002"] {
        shapes.run(&["schools", "show", urn]);
    }
    let place = |urn: &'static str, more: &[&'static str]| {
        [&["schools", "place", urn, "--reason", "agreed by phone", "--kind"], more].concat()
    };
    shapes.run(&place("910063", &["maintained"]));
    shapes.run(&place("910064", &["mat", "--trust", "90001"]));
    shapes.run(&["schools", "show", "910064"]);
    shapes.run(&["trusts", "find", "trust", "--limit", "0"]);
    shapes.run(&["trusts", "show", "90001"]);
    shapes.run(&["trusts", "show", "90002"]);
    shapes.run(&["areas"]);
}

/// Files that have problems, are refused, replace another file, or are withdrawn.
pub(super) fn imports(shapes: &mut Shapes) {
    let wrong = path("bad/wrong_dates.csv");
    let wrong = ["import", "ofsted", &wrong, "--as-at", "2021-07-31", "--accept-problems"];
    let wrong = text(&shapes.run(&wrong)[0], "import_id");
    shapes.run(&["import", "show", &wrong]);
    let files = [path("gias_groups_2022-03.csv"), path("bad/not_csv.html")];
    let several = cli(&shapes.server, &["import", "register", &files[0], &files[1], "--as-at", "2022-03-31"]);
    assert_eq!(several.code, 1, "{}", several.stderr);
    shapes.add("import_register", &several.json);
    shapes.refused("FILE_REFUSED", &[], &["import", "register", &files[1], "--as-at", "2022-03-31"]);

    let listed = shapes.run(&["import", "list"]);
    let id_of = |as_at: &str, kind: &str| {
        let mut all = listed.as_array().unwrap().iter();
        text(all.find(|it| it["as_at"] == as_at && it["kind"] == kind).unwrap(), "import_id")
    };
    let (august, september) = (id_of(AUGUST.1, "ofsted"), id_of(SEPTEMBER.1, "ofsted"));
    let corrected = import_args(SEPTEMBER_CORRECTED);
    let corrected = corrected.each_ref().map(String::as_str);
    shapes.run(&[&corrected[..], &["--replaces", &september]].concat());
    let withdraw = ["import", "withdraw", &august, "--reason", "wrong month"];
    let given = shapes.by_two(["ann", "administrator"], ["bob", "administrator"], &withdraw);
    assert_ne!(given["affected_offers"], Value::Array(Vec::new()), "{given}");
    for import in [&august, &september] {
        shapes.run(&["import", "show", import]);
    }
    shapes.run(&["import", "list"]);
}
