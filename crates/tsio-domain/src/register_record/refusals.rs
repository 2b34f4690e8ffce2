//! Makes the refusals about reference data.

use crate::ids::ImportId;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};

/// The maximum number of rows that a refusal names. Of the other rows, it gives only the number.
const MAX_NAMED_ROWS: usize = 50;

/// Returns the refusal of a new file that contradicts another file of the same date. `rows` are the rows of the new
/// file that differ, each with the import from which it differs. The caller has to say which import the new file
/// replaces.
#[must_use]
pub fn import_disagrees(rows: &[(String, ImportId)]) -> Refusal {
    let limits = rows.iter().take(MAX_NAMED_ROWS).map(|(row, import)| {
        let remedy = format!("import the right file with --replaces {import}, or leave this one out");
        Limit::plain(LimitKind::Import, LimitSubject::ImportRow { row: row.clone(), import: *import }, remedy)
    });
    let unnamed = rows.len().saturating_sub(MAX_NAMED_ROWS);
    let more =
        if unnamed > 0 { format!("; {MAX_NAMED_ROWS} are named, {unnamed} more are not") } else { String::new() };
    Refusal {
        reason: Reason::ImportDisagrees,
        message: format!("a file of the same date says otherwise in {} row(s){more}", rows.len()),
        limits: limits.collect(),
        largest: None,
        approval: None,
    }
}

/// Returns the refusal to withdraw an import that does not count.
#[must_use]
pub fn import_not_landed(import: ImportId, state: super::ImportState) -> Refusal {
    let limit = Limit::plain(LimitKind::Import, import, "nothing to do: it does not count");
    Refusal::of(Reason::ImportNotLanded, format!("import {import} does not count: it is {state}"), limit)
}
