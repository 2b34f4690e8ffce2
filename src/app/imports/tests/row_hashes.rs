//! Tests the hash of a file's rows.

use super::*;

/// The same file with its rows in the opposite order.
fn with_rows_reversed(file: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = file.split_inclusive(|it| *it == b'\n').collect();
    lines[1..].reverse();
    lines.concat()
}

/// The record has the hash of the rows as they were before they were stored. `verify` hashes the stored rows.
#[tokio::test]
async fn rows_have_the_same_hash_before_and_after_they_are_stored() {
    let test_app = TestApp::new().await;
    let names =
        ["gias_groups_2021-08.csv", "gias_membership_2021-08.csv", "gias_links.csv", "gias_establishments_full.csv"];
    for name in names.into_iter().chain([SEPTEMBER.0]) {
        let source = if name == SEPTEMBER.0 { ImportSource::Ofsted } else { ImportSource::Register };
        let hash = |bytes: &[u8]| {
            let parsed = source.parse(bytes, &Reading::of(date("2021-09-30"))).unwrap();
            parsed.rows(ImportId(new_id())).hash().unwrap()
        };
        let before = hash(&sample(name));
        assert_eq!(hash(&with_rows_reversed(&sample(name))), before, "{name}");
        let outcome = test_app.import_sample(name, "2021-09-30").await;
        let stored = store::imports::rows_hash(test_app.app.store(), outcome.kind, outcome.import.unwrap()).await;
        assert_eq!(before, stored.unwrap(), "{name}");
        assert_eq!(before.count, outcome.accepted, "{name}");
    }
}
