//! Writes a batch that was decided without a lock. The write begins with an update, the guard, that finds its row only if the
//! database is still in the expected state. Nothing is written unless it does.
//!
//! On PostgreSQL guard and rows are one statement, which is also the whole transaction: there is no BEGIN and no COMMIT. On SQLite
//! the guard and a few rows are one text of several statements; more rows have a statement for each table.

use std::sync::Arc;

use sea_orm::sea_query::ValueType;
use sea_orm::sqlx::postgres::{PgArguments, PgHasArrayType};
use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{self, Arguments, AssertSqlSafe, Encode, Executor as _, Postgres, Row as _, Type};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, RuntimeErr, Statement, Value};
use uuid::Uuid;

use super::answer_check;
use super::batch_write::{BatchWrite, Cell, ColumnType, TableRows, or_null, push, push_table, sqlite_statements};
use super::commit_notices;
use super::transaction::{Failure as _, WritePermit, unconfirmed};
use super::write_health::Pending;
use crate::domain::Date;
use crate::store::{Backend, Readable as _, Result, Store, StoreError};

/// The most rows of one table that SQLite writes in one text with the guard. Longer texts would have too many different shapes to
/// be kept prepared.
const MAX_ROWS_IN_ONE_TEXT: usize = 4;

/// The update that a guarded write begins with.
#[derive(Debug)]
pub(in crate::store) struct Guard {
    /// The statement. On PostgreSQL it returns one row if the database is in the expected state, and otherwise none. On SQLite it
    /// violates a constraint if the database is in another state.
    pub(in crate::store) sql: String,
    /// Its values.
    pub(in crate::store) values: Vec<Value>,
}

/// What became of a guarded write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardedWrite {
    /// The batch is committed.
    Committed,
    /// The database is not in the expected state: the head, the register, the schema or the clocks. Nothing was written.
    Overtaken,
    /// The database refused a row, for example because it has one with the same key. Nothing was written. On SQLite this can also
    /// mean that the database is not in the expected state.
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
        let written = match self.backend {
            Backend::Postgres => self.write_in_one_statement(&permit, guard, rows.parts).await,
            Backend::Sqlite if rows.parts.iter().all(|it| it.count() <= MAX_ROWS_IN_ONE_TEXT) => {
                self.write_in_one_text(&permit, guard, rows.parts).await
            }
            Backend::Sqlite => self.write_in_transaction(permit, guard, rows).await,
        };
        match written {
            Err(StoreError::UniqueConflict(_) | StoreError::ConstraintViolation(_)) => Ok(GuardedWrite::Conflict),
            written => written,
        }
    }

    async fn write_in_one_statement(
        &self,
        _permit: &WritePermit,
        guard: Guard,
        parts: Vec<TableRows>,
    ) -> Result<GuardedWrite> {
        let marker = answer_check::new_marker();
        let (sql, arguments) = guarded_statement(guard, parts, marker)?;
        let pending = Pending::new(Arc::clone(&self.write_health));
        let mut connection = self.batch_writes.get_postgres_connection_pool().acquire().await.map_err(failed)?;
        // Rust drops this before the connection, so that writes are in doubt before the connection goes back to its pool.
        let pending = pending;
        // `fetch_all` waits for the end of the statement, and so for the end of the commit.
        let fetched = connection.fetch_all(sqlx::query_with(AssertSqlSafe(sql), arguments));
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
            Err(_) => drop(pending),
        }
        written
    }

    async fn write_in_one_text(
        &self,
        _permit: &WritePermit,
        guard: Guard,
        parts: Vec<TableRows>,
    ) -> Result<GuardedWrite> {
        let mut sql = String::with_capacity(4_096);
        push(&mut sql, &["BEGIN IMMEDIATE; ", &guard.sql]);
        let mut arguments = SqliteArguments::default();
        guard.values.into_iter().try_for_each(|value| bind(&mut arguments, value))?;
        for (statement, values) in parts.into_iter().flat_map(sqlite_statements) {
            push(&mut sql, &["; ", &statement]);
            values.into_iter().try_for_each(|value| bind(&mut arguments, value))?;
        }
        sql.push_str("; COMMIT");
        let pending = Pending::new(Arc::clone(&self.write_health));
        let mut connection = self.batch_writes.get_sqlite_connection_pool().acquire().await.map_err(failed)?;
        let pending = pending;
        match connection.execute(sqlx::query_with(AssertSqlSafe(sql), arguments)).await.map_err(failed) {
            Ok(_) => {
                pending.committed();
                Ok(GuardedWrite::Committed)
            }
            Err(error) => {
                // A violated constraint leaves the transaction open. After a failed ROLLBACK the connection is not used again.
                if !error.may_be_connection_fault() && connection.execute("ROLLBACK").await.is_ok() {
                    pending.ended();
                }
                Err(error)
            }
        }
    }

    async fn write_in_transaction(&self, permit: WritePermit, guard: Guard, rows: BatchWrite) -> Result<GuardedWrite> {
        let tx = self.begin_batch(permit).await?;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, guard.sql, guard.values);
        let guarded = tx.at().db.execute_raw(statement).await.map_err(StoreError::from);
        let (tx, _) = tx.continue_if_ok(guarded).await?;
        let written = rows.write(&tx).await;
        let (tx, ()) = tx.continue_if_ok(written).await?;
        tx.commit().await?;
        Ok(GuardedWrite::Committed)
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
fn bind<A: Arguments>(arguments: &mut A, value: Value) -> Result<()>
where
    Option<bool>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    Option<i64>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    Option<String>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    Option<Vec<u8>>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    Option<Date>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
    Option<Uuid>: for<'q> Encode<'q, A::Database> + Type<A::Database>,
{
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

/// The error for a value of a type that no column has: a bug of this program, found before anything is sent.
fn wrong_type() -> StoreError {
    StoreError::Unusable("a value whose type no column has".to_owned())
}

fn failed(error: sqlx::Error) -> StoreError {
    DbErr::Query(RuntimeErr::SqlxError(error.into())).into()
}
