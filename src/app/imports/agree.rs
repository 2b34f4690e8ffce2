//! Two files of one date may not disagree: the second is refused, the rows named, unless it says which it replaces.
//!
//! Only what decides something is compared: judgements, groups and their status, types, dates of joining. A name spelt
//! otherwise is no disagreement, and neither is a row that only one of the files has.

use std::collections::HashMap;
use std::hash::Hash;

use crate::store::imports::{Month, StagedRows};

/// The rows of ours that theirs contradicts, each by its key, in our order.
pub(super) fn disagreements(ours: &StagedRows, theirs: &StagedRows) -> Vec<String> {
    match (ours, theirs) {
        (StagedRows::Ofsted(ours), StagedRows::Ofsted(theirs)) => {
            unlike(ours, theirs, |it| it.urn, |it| (current(it), previous(it)), |urn| format!("URN {urn}"))
        }
        (StagedRows::Groups(ours), StagedRows::Groups(theirs)) => {
            unlike(ours, theirs, |it| it.uid, |it| (it.kind, &it.status), |uid| format!("group {uid}"))
        }
        (StagedRows::Membership(ours), StagedRows::Membership(theirs)) => {
            let said = |it: &crate::store::imports::Member| {
                (it.kind, it.status.clone(), it.joined_on, it.school_type.clone(), it.la_code)
            };
            unlike(ours, theirs, |it| (it.urn, it.uid), said, |(urn, uid)| format!("URN {urn} in group {uid}"))
        }
        (StagedRows::Links(ours), StagedRows::Links(theirs)) => {
            let key = |it: &crate::store::imports::Link| (it.urn, it.link_urn, it.link_type.clone());
            unlike(ours, theirs, key, |it| it.linked_on, |(urn, to, _)| format!("URN {urn} linked with {to}"))
        }
        (StagedRows::Establishments(ours), StagedRows::Establishments(theirs)) => {
            let said = |it: &crate::store::imports::Establishment| {
                (it.la_code, it.school_type.clone(), it.status.clone(), it.diocese.clone(), it.closed_on)
            };
            unlike(ours, theirs, |it| it.urn, said, |urn| format!("URN {urn}"))
        }
        _ => Vec::new(),
    }
}

fn current(it: &Month) -> impl PartialEq + use<'_> {
    (&it.cur_number, it.cur_urn, it.cur_started, it.cur_ended, it.cur_published, it.cur_grade)
}

fn previous(it: &Month) -> impl PartialEq + use<'_> {
    (&it.prev_number, it.prev_urn, it.prev_started, it.prev_ended, it.prev_published, it.prev_grade)
}

fn unlike<'r, R, K: Hash + Eq, S: PartialEq>(
    ours: &'r [R],
    theirs: &'r [R],
    key: impl Fn(&'r R) -> K,
    said: impl Fn(&'r R) -> S,
    name: impl Fn(&K) -> String,
) -> Vec<String> {
    let theirs: HashMap<K, &R> = theirs.iter().map(|row| (key(row), row)).collect();
    let other = |row: &'r R| theirs.get(&key(row)).is_some_and(|other| said(other) != said(row));
    ours.iter().filter(|row| other(row)).map(|row| name(&key(row))).collect()
}
