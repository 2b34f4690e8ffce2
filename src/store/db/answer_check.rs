//! Checks that an answer of PostgreSQL belongs to the statement that was sent.
//!
//! A connection that is one answer ahead, since something on the way repeated a message, gives each statement the answer of
//! the one before, or an empty one: rows that are there seem to be missing, and a COMMIT seems to be done before it is. So
//! every decision that depends on an absence, and every acknowledgement, depends on a number that was made for that one question and
//! came back with its answer.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use crate::store::{Backend, Conn, Result, StoreError};

/// Rows that the answer to a COMMIT has: more than any statement of a batch has, and their number is drawn each time.
const ROWS: std::ops::RangeInclusive<u64> = 2..=128;

/// A new number that identifies one statement. It is negative, unlike all numbers in rows.
pub(in crate::store) fn question() -> i64 {
    fastrand::i64(i64::MIN..0)
}

/// The error of a connection that is out of step. The connection is not used again, because its transaction does not end well.
pub(in crate::store) fn out_of_step() -> StoreError {
    StoreError::Unavailable("an answer did not belong to what was asked".to_owned())
}

/// Sends a statement that returns only its own number.
///
/// # Errors
/// [`StoreError::Unavailable`] if another number comes back.
pub(in crate::store) async fn check(conn: &Conn<'_>) -> Result<()> {
    if conn.backend == Backend::Sqlite {
        return Ok(());
    }
    let asked = question();
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT $1::bigint", [asked.into()]);
    let row = conn.db.query_one_raw(statement).await?;
    let said = row.and_then(|row| row.try_get_by_index::<i64>(0).ok());
    if said == Some(asked) { Ok(()) } else { Err(out_of_step()) }
}

/// Commits on PostgreSQL, and makes sure that the answer is the COMMIT's own. The transaction that AND CHAIN begins holds
/// nothing, and is rolled back when its connection goes back to the pool.
///
/// # Errors
/// [`StoreError::Unavailable`]: the outcome is unknown.
pub(in crate::store) async fn commit(transaction: &DatabaseTransaction) -> Result<()> {
    let rows = fastrand::u64(ROWS);
    let sql = format!("COMMIT AND CHAIN; SELECT FROM generate_series(1, {rows})");
    let committed = transaction.execute_unprepared(&sql).await?;
    if committed.rows_affected() == rows { Ok(()) } else { Err(out_of_step()) }
}
