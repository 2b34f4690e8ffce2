//! Rows that nothing of the record accounts for, looked for by `verify` alone: those of programmes that have no book, and
//! approvals whose state says another thing than who gave them.

use sea_orm::QueryResult;

use super::bulk::select_by_place;
use super::{Readable, Result};
use crate::domain::ids::{ApprovalId, Programme};

/// Tables whose key begins with the programme: one step through the key a programme, however many rows.
const BY_PROGRAMME: [&str; 4] = ["events", "entries", "bookings", "invoices"];
/// The others.
const BY_ID: [&str; 2] = ["accounts", "awards"];

/// Tables that have rows of a programme without a book, each with that programme.
///
/// # Errors
/// As the database has it.
pub async fn without_a_book(from: &impl Readable) -> Result<Vec<(&'static str, String)>> {
    let conn = from.at();
    let read = |row: &QueryResult| Ok(row.try_get_by_index::<String>(0)?);
    let of_none = "NOT IN (SELECT programme FROM books) ORDER BY 1";
    let mut found = Vec::new();
    for table in BY_PROGRAMME {
        let sql = format!(
            "WITH RECURSIVE p(programme) AS (SELECT MIN(programme) FROM {table} UNION ALL \
             SELECT (SELECT MIN(t.programme) FROM {table} t WHERE t.programme > p.programme) FROM p \
             WHERE p.programme IS NOT NULL) \
             SELECT programme FROM p WHERE programme IS NOT NULL AND programme {of_none}"
        );
        found.extend(select_by_place(&conn, &sql, vec![], read).await?.into_iter().map(|it| (table, it)));
    }
    for table in BY_ID {
        let sql = format!("SELECT DISTINCT programme FROM {table} WHERE programme {of_none}");
        found.extend(select_by_place(&conn, &sql, vec![], read).await?.into_iter().map(|it| (table, it)));
    }
    Ok(found)
}

/// Approvals of a programme that are open and given, or neither.
///
/// # Errors
/// As the database has it.
pub async fn approvals(from: &impl Readable, programme: &Programme) -> Result<Vec<ApprovalId>> {
    let sql = "SELECT id FROM approvals WHERE programme = $1 AND (state = 'open') <> (given_by IS NULL) ORDER BY id";
    let read = |row: &QueryResult| Ok(ApprovalId(row.try_get_by_index(0)?));
    select_by_place(&from.at(), sql, vec![programme.as_str().into()], read).await
}
