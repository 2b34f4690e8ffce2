//! Refusals about reference data.

use crate::ids::ImportId;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};

/// Rows named in a refusal; more are counted.
const NAMED: usize = 50;

/// Files of one date may not contradict each other: these rows of a new file do, each with the import that it contradicts. The
/// new file has to say which import it replaces.
#[must_use]
pub fn disagrees(rows: &[(String, ImportId)]) -> Refusal {
    let limits = rows.iter().take(NAMED).map(|(row, import)| {
        let remedy = format!("import the right file with --replaces {import}, or leave this one out");
        Limit::plain(LimitKind::Import, LimitSubject::ImportRow { row: row.clone(), import: *import }, remedy)
    });
    let beyond = rows.len().saturating_sub(NAMED);
    let more = if beyond > 0 { format!("; {NAMED} are named, {beyond} more are not") } else { String::new() };
    Refusal {
        reason: Reason::ImportDisagrees,
        message: format!("a file of the same date says otherwise in {} row(s){more}", rows.len()),
        limits: limits.collect(),
        largest: None,
        approval: None,
    }
}

/// Only an import that counts can be withdrawn: this one does not.
#[must_use]
pub fn not_landed(import: ImportId, state: super::ImportState) -> Refusal {
    let limit = Limit::plain(LimitKind::Import, import, "nothing to do: it does not count");
    Refusal::of(Reason::ImportNotLanded, format!("import {import} does not count: it is {state}"), limit)
}
