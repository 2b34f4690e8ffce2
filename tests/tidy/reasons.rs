//! Rules for the reasons of statuses: two tables define them, other code uses the variants of their enums, and each reason has a
//! test.

use std::collections::BTreeMap;

use crate::source::{Finding, Source};

/// The tables: path, the enum that the table defines, and the folders of the code that uses its reasons.
const TABLES: [(&str, &str, &[&str]); 2] = [
    ("crates/tsio-domain/src/refusal/reason.rs", "Reason", &["crates/tsio-domain/src/", "src/app/"]),
    ("src/grpc/message/reason.rs", "ServiceReason", &["src/grpc/"]),
];
/// Code that may contain reasons as literals. The command line uses the contract, not the enums of the server. `src/proto.rs` has
/// the names of status codes, which are also the names of some reasons.
const MAY_USE_LITERALS: [&str; 2] = ["src/cli/", "src/proto.rs"];
/// Reasons that no test of the running service provokes, and why.
const UNTESTED: [(&str, &str); 1] = [("INTERNAL", "a fault of the program, which no call can cause")];
/// Tests that name reasons without provoking each of them.
const LISTS_ONLY: [&str; 1] = ["tests/it/model/"];

/// Returns the reasons of all tables: the text on the wire, and the path of the variant.
pub(crate) fn all(files: &[Source]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, name, _) in TABLES {
        for file in files.iter().filter(|it| it.path == path) {
            let rows = file.text.lines().filter_map(row);
            found.extend(rows.map(|(variant, code)| (code.to_owned(), format!("{name}::{variant}"))));
        }
    }
    found
}

/// Splits a row `    Variant = "CODE",` into the variant and the code. Returns `None` for any other line.
fn row(line: &str) -> Option<(&str, &str)> {
    let (variant, rest) = line.strip_prefix("    ")?.split_once(" = \"")?;
    let (code, _) = rest.split_once("\",")?;
    let is_code = !code.is_empty() && code.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    (is_code && variant.bytes().all(|it| it.is_ascii_alphabetic())).then_some((variant, code))
}

/// Finds reasons that code of the program contains as literals. It has to use the variants of the enums.
pub(crate) fn literals(file: &Source, reasons: &BTreeMap<String, String>) -> Vec<Finding> {
    let is_table = TABLES.iter().any(|(path, ..)| *path == file.path);
    let is_program = file.path.starts_with("src/") || file.path.starts_with("crates/tsio-domain/src/");
    let is_exempt = MAY_USE_LITERALS.iter().any(|it| file.path.starts_with(it));
    if is_table || !is_program || is_exempt || is_test(&file.path) {
        return Vec::new();
    }
    let program = program_of(&file.text);
    let mut found: Vec<Finding> = Vec::new();
    for (code, variant) in reasons {
        for (offset, _) in program.match_indices(&format!("\"{code}\"")) {
            let line = 1 + program[..offset].matches('\n').count();
            found.push(file.finding(line, format!("\"{code}\" is a reason: name it as {variant}")));
        }
    }
    found.sort_by_key(|it| it.line);
    found
}

/// Returns the reasons that no code uses.
pub(crate) fn unused(files: &[Source], reasons: &BTreeMap<String, String>) -> Vec<String> {
    let is_table = |file: &Source| TABLES.iter().any(|(path, ..)| *path == file.path);
    let is_used = |variant: &str| {
        let name = variant.split("::").next().unwrap_or_default();
        let folders: Vec<&str> = TABLES.iter().filter(|it| it.1 == name).flat_map(|it| it.2).copied().collect();
        files
            .iter()
            .filter(|it| {
                folders.iter().any(|folder| it.path.starts_with(folder)) && !is_table(it) && !is_test(&it.path)
            })
            .any(|it| it.words(variant).iter().any(|offset| *offset < program_of(&it.text).len()))
    };
    reasons.iter().filter(|(_, variant)| !is_used(variant)).map(|(code, _)| code.clone()).collect()
}

/// Returns the reasons that no test of the running service names.
pub(crate) fn untested(files: &[Source], reasons: &BTreeMap<String, String>) -> Vec<String> {
    let tests =
        |it: &&Source| it.path.starts_with("tests/it/") && !LISTS_ONLY.iter().any(|folder| it.path.starts_with(folder));
    let named = |code: &str| files.iter().filter(tests).any(|it| it.text.contains(&format!("\"{code}\"")));
    let is_exempt = |code: &str| UNTESTED.iter().any(|(it, _)| *it == code);
    reasons.keys().filter(|it| !is_exempt(it) && !named(it)).cloned().collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("/testing.rs")
}

/// Returns a file's text without the tests at its end.
fn program_of(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}
