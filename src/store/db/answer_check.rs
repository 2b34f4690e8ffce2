//! Checks that an answer of PostgreSQL belongs to the statement that was sent.
//!
//! If something between this program and PostgreSQL repeats a message, the connection is one answer ahead. Each statement then
//! gets the answer of the statement before, or an empty answer. Existing rows seem to be missing, and a COMMIT seems to be done
//! before it is. So each statement whose answer decides something sends a new number, the marker, which must come back. Such
//! statements are reads that may find nothing, and acknowledgements of a COMMIT.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use crate::store::{Backend, Conn, Result, StoreError};

/// The number of rows in the answer to a COMMIT, drawn at random each time. Every other statement of a batch has fewer rows in its
/// answer.
const COMMIT_ROWS: std::ops::RangeInclusive<u64> = 2..=128;

/// A new marker, which identifies one statement. It is negative, unlike the numbers of queries and rows.
pub(in crate::store) fn new_marker() -> i64 {
    fastrand::i64(i64::MIN..0)
}

/// The error for an answer that does not belong to the statement. The connection is not used again, because its transaction does
/// not end well.
pub(in crate::store) fn out_of_step() -> StoreError {
    StoreError::Unavailable("an answer did not belong to what was asked".to_owned())
}

/// Sends a statement that returns only its marker. Does nothing on SQLite.
///
/// # Errors
/// [`StoreError::Unavailable`] if the marker does not come back.
pub(in crate::store) async fn check(conn: &Conn<'_>) -> Result<()> {
    if conn.backend == Backend::Sqlite {
        return Ok(());
    }
    let marker = new_marker();
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT $1::bigint", [marker.into()]);
    let row = conn.db.query_one_raw(statement).await?;
    let returned = row.and_then(|row| row.try_get_by_index::<i64>(0).ok());
    if returned == Some(marker) { Ok(()) } else { Err(out_of_step()) }
}

/// Commits on PostgreSQL, and checks that the answer belongs to this COMMIT. AND CHAIN begins another transaction, which writes
/// nothing. The pool rolls it back when it gets the connection back.
///
/// # Errors
/// The outcome is unknown after any error. [`StoreError::Unavailable`] if the answer belongs to another statement.
pub(in crate::store) async fn commit(transaction: &DatabaseTransaction) -> Result<()> {
    let rows = fastrand::u64(COMMIT_ROWS);
    let sql = format!("COMMIT AND CHAIN; SELECT FROM generate_series(1, {rows})");
    let result = transaction.execute_unprepared(&sql).await?;
    if result.rows_affected() == rows { Ok(()) } else { Err(out_of_step()) }
}
