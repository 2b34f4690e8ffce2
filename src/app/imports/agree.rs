//! Compares a file to import with a landed file of the same kind and date. If they disagree, the import is refused, and the
//! refusal names the rows. The exception is an import that replaces the landed file.
//!
//! Only columns that a rule uses are compared: judgements, groups and their status, types, dates of joining. It is no
//! disagreement if a name is spelled differently, or if a row is in only one of the files.

use std::collections::HashMap;
use std::hash::Hash;

use crate::store::imports::{Month, StagedRows};

/// Names the rows of the file to import that the landed file contradicts, in the order of the file to import.
pub(super) fn disagreements(new_rows: &StagedRows, landed_rows: &StagedRows) -> Vec<String> {
    match (new_rows, landed_rows) {
        (StagedRows::Ofsted(new_rows), StagedRows::Ofsted(landed_rows)) => rows_that_differ(
            new_rows,
            landed_rows,
            |it| it.urn,
            |it| (current(it), previous(it)),
            |urn| format!("URN {urn}"),
        ),
        (StagedRows::Groups(new_rows), StagedRows::Groups(landed_rows)) => rows_that_differ(
            new_rows,
            landed_rows,
            |it| it.uid,
            |it| (it.kind, &it.status),
            |uid| format!("group {uid}"),
        ),
        (StagedRows::Membership(new_rows), StagedRows::Membership(landed_rows)) => {
            let compared = |it: &crate::store::imports::Member| {
                (it.kind, it.status.clone(), it.joined_on, it.school_type.clone(), it.la_code)
            };
            rows_that_differ(
                new_rows,
                landed_rows,
                |it| (it.urn, it.uid),
                compared,
                |(urn, uid)| format!("URN {urn} in group {uid}"),
            )
        }
        (StagedRows::Links(new_rows), StagedRows::Links(landed_rows)) => {
            let key = |it: &crate::store::imports::Link| (it.urn, it.link_urn, it.link_type.clone());
            rows_that_differ(
                new_rows,
                landed_rows,
                key,
                |it| it.linked_on,
                |(urn, to, _)| format!("URN {urn} linked with {to}"),
            )
        }
        (StagedRows::Establishments(new_rows), StagedRows::Establishments(landed_rows)) => {
            let compared = |it: &crate::store::imports::Establishment| {
                (it.la_code, it.school_type.clone(), it.status.clone(), it.diocese.clone(), it.closed_on)
            };
            rows_that_differ(new_rows, landed_rows, |it| it.urn, compared, |urn| format!("URN {urn}"))
        }
        _ => Vec::new(),
    }
}

/// The compared columns of the current judgement.
fn current(it: &Month) -> impl PartialEq + use<'_> {
    (&it.cur_number, it.cur_urn, it.cur_started, it.cur_ended, it.cur_published, it.cur_grade)
}

/// The compared columns of the previous judgement.
fn previous(it: &Month) -> impl PartialEq + use<'_> {
    (&it.prev_number, it.prev_urn, it.prev_started, it.prev_ended, it.prev_published, it.prev_grade)
}

/// Names the new rows for which there is a landed row with the same key and other compared columns.
fn rows_that_differ<'r, R, K: Hash + Eq, S: PartialEq>(
    new_rows: &'r [R],
    landed_rows: &'r [R],
    key: impl Fn(&'r R) -> K,
    compared: impl Fn(&'r R) -> S,
    name: impl Fn(&K) -> String,
) -> Vec<String> {
    let landed_rows: HashMap<K, &R> = landed_rows.iter().map(|row| (key(row), row)).collect();
    let differs = |row: &'r R| landed_rows.get(&key(row)).is_some_and(|other| compared(other) != compared(row));
    new_rows.iter().filter(|row| differs(row)).map(|row| name(&key(row))).collect()
}
