//! Writes a batch that was decided without a lock. The write begins with an update, the guard, that finds its row only if the
//! database is still in the expected state. Nothing is written unless it does.
//!
//! On PostgreSQL guard and rows are one statement, which is also the whole transaction: there is no BEGIN and no COMMIT. On SQLite
//! guard and rows are statements of one transaction on a connection of their own ([`super::batch_connection`]).

use std::sync::Arc;

use sea_orm::sea_query::ValueType;
use sea_orm::sqlx::postgres::{PgArguments, PgHasArrayType};
use sea_orm::sqlx::{self, Arguments as _, AssertSqlSafe, Encode, Executor as _, Postgres, Row as _, Type};
use sea_orm::{DbErr, RuntimeErr, Value};
use uuid::Uuid;

use super::answer_check;
use super::batch_write::{
    BatchWrite, Cell, ColumnType, TableRows, or_null, push, push_table, sqlite_statements, wrong_type,
};
use super::commit_notices;
use super::held_connections::HeldConnections;
use super::transaction::{Failure as _, WritePermit, unconfirmed};
use super::write_health::Pending;
use crate::domain::Date;
use crate::store::{GuardedWriter, Result, Store, StoreError};

/// The update that a guarded write begins with.
#[derive(Debug)]
pub(in crate::store) struct Guard {
    /// The statement. It updates one row if the database is in the expected state, and otherwise none. On PostgreSQL it returns that
    /// row.
    pub(in crate::store) sql: String,
    /// Its values, in the order in which their parameters first occur.
    pub(in crate::store) values: Vec<Value>,
}

/// What became of a guarded write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardedWrite {
    /// The batch is committed.
    Committed,
    /// The database is not in the expected state: the head, the register, the schema or the clocks. Nothing was written.
    Overtaken,
    /// The database refused a row, for example because it has one with the same key. Nothing was written.
    Conflict,
}

impl Store {
    /// Writes rows and commits them, if the guard allows it.
    ///
    /// # Errors
    /// The outcome is unknown after an error: [`StoreError::Unavailable`], [`StoreError::Full`]. Nothing was written after
    /// [`StoreError::Contention`] and [`StoreError::Unusable`].
    pub(in crate::store) async fn write_guarded(
        &self,
        permit: WritePermit,
        guard: Guard,
        rows: BatchWrite,
    ) -> Result<GuardedWrite> {
        let written = match &self.guarded_writes {
            GuardedWriter::Sqlite(connection) => {
                let pending = Pending::new(Arc::clone(&self.write_health));
                let rows = rows.parts.into_iter().flat_map(sqlite_statements);
                connection.write(&permit, pending, [(guard.sql, guard.values)].into_iter().chain(rows).collect()).await
            }
            GuardedWriter::Postgres(held) => self.write_in_one_statement(held, &permit, (guard, rows.parts)).await,
        };
        match written {
            Err(StoreError::UniqueConflict(_) | StoreError::ConstraintViolation(_)) => Ok(GuardedWrite::Conflict),
            written => written,
        }
    }

    async fn write_in_one_statement(
        &self,
        held: &HeldConnections,
        _permit: &WritePermit,
        (guard, parts): (Guard, Vec<TableRows>),
    ) -> Result<GuardedWrite> {
        let marker = answer_check::new_marker();
        let (sql, arguments) = guarded_statement(guard, parts, marker)?;
        let pending = Pending::new(Arc::clone(&self.write_health));
        let mut taken = held.take().await?;
        // Rust drops this before the connection, so that writes are in doubt before the connection goes back to its pool.
        let pending = pending;
        // `fetch_all` waits for the end of the statement, and so for the end of the commit.
        let fetched = taken.connection.fetch_all(sqlx::query_with(AssertSqlSafe(sql), arguments));
        let (fetched, was_warned) = commit_notices::watch(fetched).await;
        let written = fetched.map_err(failed).and_then(|rows| {
            // The marker is compared first: an answer to another statement may have other columns.
            let row = rows.first().filter(|row| row.try_get::<i64, _>(0).is_ok_and(|returned| returned == marker));
            let guards = row.and_then(|row| row.try_get::<i64, _>(1).ok()).ok_or_else(answer_check::out_of_step)?;
            match guards {
                _ if was_warned => Err(unconfirmed()),
                0 => Ok(GuardedWrite::Overtaken),
                _ => Ok(GuardedWrite::Committed),
            }
        });
        match &written {
            Ok(GuardedWrite::Committed) => pending.committed(),
            Ok(GuardedWrite::Overtaken | GuardedWrite::Conflict) => pending.ended(),
            // The statement failed as a whole, and the connection is ready for the next one.
            Err(error) if !error.may_be_connection_fault() => pending.ended(),
            Err(_) => {
                drop(pending);
                return written;
            }
        }
        held.hold(taken);
        written
    }
}

/// The statement of PostgreSQL that writes the rows if the guard returns a row. It returns the marker, and the number of rows that
/// the guard returned.
fn guarded_statement(guard: Guard, parts: Vec<TableRows>, marker: i64) -> Result<(String, PgArguments)> {
    let mut sql = String::with_capacity(4_096);
    let mut arguments = PgArguments::default();
    push(&mut sql, &["WITH guard AS (", &guard.sql, ")"]);
    guard.values.into_iter().try_for_each(|value| bind(&mut arguments, value))?;
    for (part, TableRows { table, shared, cells }) in parts.into_iter().enumerate() {
        sql.push_str(", ");
        push_table(&mut sql, (part, table), arguments.len(), ", guard");
        let shared = shared.into_iter().zip(table.shared);
        shared.into_iter().try_for_each(|(cell, (_, kind))| bind(&mut arguments, or_null(cell, *kind)))?;
        bind_columns(&mut arguments, table.columns, cells)?;
    }
    bind(&mut arguments, marker.into())?;
    push(&mut sql, &[" SELECT $", &arguments.len().to_string(), "::bigint, COUNT(*) FROM guard"]);
    Ok((sql, arguments))
}

/// Binds one array for each column.
fn bind_columns(arguments: &mut PgArguments, columns: &[(&str, ColumnType)], cells: Vec<Cell>) -> Result<()> {
    let mut by_column: Vec<Vec<Cell>> = columns.iter().map(|_| Vec::new()).collect();
    for (cell, position) in cells.into_iter().zip((0..columns.len()).cycle()) {
        if let Some(column) = by_column.get_mut(position) {
            column.push(cell);
        }
    }
    for ((_, kind), cells) in columns.iter().zip(by_column) {
        match kind {
            ColumnType::Uuid | ColumnType::OptionalUuid => bind_array::<Uuid>(arguments, cells),
            ColumnType::Bytes | ColumnType::OptionalBytes => bind_array::<Vec<u8>>(arguments, cells),
            ColumnType::Text | ColumnType::OptionalText => bind_array::<String>(arguments, cells),
            ColumnType::Int | ColumnType::OptionalInt => bind_array::<i64>(arguments, cells),
            ColumnType::Bool => bind_array::<bool>(arguments, cells),
            ColumnType::Date | ColumnType::OptionalDate => bind_array::<Date>(arguments, cells),
        }?;
    }
    Ok(())
}

/// Binds the values of one column as an array.
fn bind_array<T>(arguments: &mut PgArguments, cells: Vec<Cell>) -> Result<()>
where
    T: ValueType + PgHasArrayType + Type<Postgres> + for<'q> Encode<'q, Postgres>,
{
    let value = |cell: Cell| cell.map(T::try_from).transpose().map_err(|_| wrong_type());
    let column: Vec<Option<T>> = cells.into_iter().map(value).collect::<Result<_>>()?;
    arguments.add(column).map_err(|error| StoreError::ConstraintViolation(error.to_string()))
}

/// Binds one value.
fn bind(arguments: &mut PgArguments, value: Value) -> Result<()> {
    let bound = match value {
        Value::Bool(it) => arguments.add(it),
        Value::BigInt(it) => arguments.add(it),
        Value::String(it) => arguments.add(it),
        Value::Bytes(it) => arguments.add(it),
        Value::ChronoDate(it) => arguments.add(it),
        Value::Uuid(it) => arguments.add(it),
        _ => return Err(wrong_type()),
    };
    bound.map_err(|error| StoreError::ConstraintViolation(error.to_string()))
}

fn failed(error: sqlx::Error) -> StoreError {
    DbErr::Query(RuntimeErr::SqlxError(error.into())).into()
}
