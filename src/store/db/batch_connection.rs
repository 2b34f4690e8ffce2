//! The connection that writes batches without the lock on SQLite. A batch is written in one visit to a thread that may block: the
//! driver of the other connections would wake the caller after each statement.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::Value as SqliteValue;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use sea_orm::Value;

use super::batch_write::wrong_type;
use super::transaction::{Failure as _, WritePermit};
use super::write_health::Pending;
use crate::store::{GuardedWrite, LOCK_TIMEOUT, Result, SQLITE_CACHE_SIZE, StoreError, Use, WAL_AUTOCHECKPOINT};

/// How many statements are kept prepared: more than the tables that batches write, times the numbers of rows of a statement.
const PREPARED_STATEMENTS: usize = 200;

/// A statement with its values.
pub(in crate::store) type BoundStatement = (String, Vec<Value>);

/// The connection. After a transaction that did not end well it is closed, and opened again for the next one.
#[derive(Debug, Clone)]
pub(in crate::store) struct BatchConnection {
    path: Arc<Path>,
    /// The connection while no batch uses it.
    idle: Arc<Mutex<Idle>>,
}

#[derive(Debug, Default)]
struct Idle {
    connection: Option<Connection>,
    /// Whether the store is closed. Then no connection is kept.
    is_closed: bool,
}

/// What a batch leaves behind.
struct Outcome {
    written: Result<GuardedWrite>,
    /// Whether its transaction has ended, so that the connection is ready for the next one.
    has_ended: bool,
}

impl BatchConnection {
    /// Opens the connection to a SQLite file that is served. To look at a file no connection is needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be opened.
    pub(in crate::store) fn open(path: &Path, purpose: Use) -> Result<Self> {
        let connection = if purpose == Use::Serve { Some(connect(path)?) } else { None };
        Ok(Self { path: path.into(), idle: Arc::new(Mutex::new(Idle { connection, is_closed: false })) })
    }

    /// Runs the statements of a batch in a transaction of their own, and commits it if the first statement, the guard, finds its row.
    /// The batch is written to its end even if the caller stops waiting. The writes of this process are then in doubt, and other
    /// transactions wait for the file as for that of another process.
    ///
    /// # Errors
    /// As for [`crate::store::Store::write_guarded`].
    pub(in crate::store) async fn write(
        &self,
        _permit: &WritePermit,
        pending: Pending,
        statements: Vec<BoundStatement>,
    ) -> Result<GuardedWrite> {
        let this = self.clone();
        let outcome = tokio::task::spawn_blocking(move || this.write_blocking(statements)).await;
        let Outcome { written, has_ended } = outcome.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        match &written {
            Ok(GuardedWrite::Committed) => pending.committed(),
            _ if has_ended => pending.ended(),
            _ => drop(pending),
        }
        written
    }

    /// Closes the connection. A batch that uses it closes it at its end.
    pub(in crate::store) fn close(&self) {
        let mut idle = self.idle();
        idle.is_closed = true;
        drop(idle.connection.take());
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_blocking(&self, statements: Vec<BoundStatement>) -> Outcome {
        let idle = self.idle().connection.take();
        let connection = match idle.map_or_else(|| connect(&self.path), Ok) {
            Ok(connection) => connection,
            Err(error) => return Outcome { written: Err(error), has_ended: false },
        };
        let written = write_and_commit(&connection, statements);
        let has_ended = match &written {
            Ok(GuardedWrite::Committed) => true,
            Err(error) if error.may_be_connection_fault() => false,
            // Nothing was committed. An error of BEGIN has begun no transaction.
            _ => connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok(),
        };
        let mut idle = self.idle();
        if has_ended && !idle.is_closed {
            idle.connection = Some(connection);
        }
        Outcome { written, has_ended }
    }
}

/// Opens the connection, with the settings of the other connections that write.
fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_AUTOCHECKPOINT)?;
    connection.pragma_update(None, "cache_size", SQLITE_CACHE_SIZE)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

/// Writes and commits, unless the guard finds no row.
fn write_and_commit(connection: &Connection, statements: Vec<BoundStatement>) -> Result<GuardedWrite> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for (index, (sql, values)) in statements.into_iter().enumerate() {
        let values: Vec<SqliteValue> = values.into_iter().map(bound).collect::<Result<_>>()?;
        let changed = connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        if index == 0 && changed == 0 {
            return Ok(GuardedWrite::Overtaken);
        }
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    if connection.is_autocommit() {
        Ok(GuardedWrite::Committed)
    } else {
        Err(StoreError::Unavailable("a transaction is open after its COMMIT".to_owned()))
    }
}

/// A value as SQLite stores it: a day as text, an id as its 16 bytes.
fn bound(value: Value) -> Result<SqliteValue> {
    let stored = match value {
        Value::Bool(it) => it.map(|it| i64::from(it).into()),
        Value::BigInt(it) => it.map(SqliteValue::from),
        Value::String(it) => it.map(SqliteValue::from),
        Value::Bytes(it) => it.map(SqliteValue::from),
        Value::ChronoDate(it) => it.map(|it| SqliteValue::from(it.to_string())),
        Value::Uuid(it) => it.map(|it| SqliteValue::from(it.as_bytes().to_vec())),
        _ => return Err(wrong_type()),
    };
    Ok(stored.unwrap_or(SqliteValue::Null))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::db::bulk_sql::select_rows;
    use crate::store::{Readable as _, Store, Use};

    #[tokio::test]
    async fn a_batch_is_committed_if_its_guard_finds_a_row_and_no_row_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tsio.db");
        let store = Store::open(&format!("sqlite:{}", file.display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let connection = BatchConnection::open(&file, Use::Serve).unwrap();
        let write = async |expected: i64, request: u128| {
            let guard = "UPDATE register_lock SET next_seq = next_seq + 1, head = zeroblob(32) WHERE next_seq = $1";
            let row = "INSERT INTO requests (actor, request_id, rpc, fingerprint, answer, recorded_at) VALUES ('a', ?, '', x'', x'', 0)";
            let request = Uuid::from_u128(request).into();
            let statements = vec![(guard.to_owned(), vec![expected.into()]), (row.to_owned(), vec![request])];
            let pending = Pending::new(Arc::clone(&store.write_health));
            let written = connection.write(&store.write_permit().await.unwrap(), pending, statements).await;
            assert!(!store.is_write_in_doubt());
            let sql = "SELECT next_seq, (SELECT COUNT(*) FROM requests) FROM register_lock";
            let state = select_rows(&store.at(), sql, Vec::new(), |it: (i64, i64)| Ok(it)).await.unwrap();
            (written, state)
        };
        assert!(matches!(write(1, 1).await, (Ok(GuardedWrite::Committed), state) if state == [(2, 1)]));
        assert!(matches!(write(1, 2).await, (Ok(GuardedWrite::Overtaken), state) if state == [(2, 1)]));
        assert!(matches!(write(2, 1).await, (Err(StoreError::UniqueConflict(_)), state) if state == [(2, 1)]));
        assert!(matches!(write(2, 2).await, (Ok(GuardedWrite::Committed), state) if state == [(3, 2)]));
    }
}
