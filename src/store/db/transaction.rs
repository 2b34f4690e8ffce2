//! Transactions: how they begin and end.
//!
//! All writes but those of [`super::guarded_write`] go through a [`WriteTx`], which only [`Store::write`] and
//! [`Store::begin_batch`] make. It ends with [`WriteTx::commit`], [`WriteTx::confirm`] or [`WriteTx::rollback`].
//!
//! A transaction may also end in another way, for example after an error or because the caller disconnected. Then the
//! writes of this process are in doubt: the whole process treats writing as suspect until a write succeeds
//! ([`super::write_health`]).

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::held_connections::Waiting;
use super::write_health::Pending;
use super::{answer_check, commit_notices};
use crate::store::{Backend, Conn, GuardedWriter, Readable, Result, Store, StoreError};

/// How long a check of the storage waits for its permit to write.
const PROBE_PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of bytes that a check of the storage writes on PostgreSQL and rolls back. They are incompressible, so that
/// they need new pages.
const PROBE_BYTES: usize = 64 * 1024;
/// An SQL statement that adds a record to the WAL without changing data, so that the commit has to wait for the standby.
const EMIT_WAL_MESSAGE: &str = "SELECT pg_logical_emit_message(true, 'tsio', '')";

/// The permit for one write transaction, released when the transaction ends.
#[derive(Debug)]
pub struct WritePermit {
    _permit: OwnedSemaphorePermit,
}

/// A transaction that writes. Only the app layer begins and ends it.
#[derive(Debug)]
pub struct WriteTx {
    // Rust drops this field first, so that writes are in doubt before the connection goes back to its pool.
    pending: Pending,
    tx: DatabaseTransaction,
    backend: Backend,
    _permit: WritePermit,
}

async fn permit_of(permits: &Arc<Semaphore>) -> Result<WritePermit> {
    let permit = Arc::clone(permits).acquire_owned().await;
    permit.map(|permit| WritePermit { _permit: permit }).map_err(|_| StoreError::Unavailable("closing".to_owned()))
}

/// An error that ends a transaction.
pub trait Failure {
    /// Whether the connection may be unusable.
    fn may_be_connection_fault(&self) -> bool;
}

impl Failure for StoreError {
    fn may_be_connection_fault(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Full(_) => true,
            Self::Contention(_)
            | Self::UniqueConflict(_)
            | Self::ConstraintViolation(_)
            | Self::Unreadable(_)
            | Self::Outdated(_)
            | Self::Unusable(_) => false,
        }
    }
}

/// A transaction that reads one snapshot.
#[derive(Debug)]
pub struct ReadTx {
    tx: DatabaseTransaction,
    backend: Backend,
}

impl Store {
    /// Waits for a permit to write something else than a batch. Permits are given in the order of the requests.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store is being closed.
    pub async fn write_permit(&self) -> Result<WritePermit> {
        permit_of(&self.write_permits).await
    }

    /// Waits for a permit to write a batch. Permits are given in the order of the requests, and each batch needs a new one. So
    /// if several programmes (such as 2021-22 and 2022-23) compete for a connection, their batches take turns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store is being closed.
    pub async fn batch_permit(&self) -> Result<WritePermit> {
        permit_of(&self.batch_permits).await
    }

    /// Begins a write transaction: READ COMMITTED on PostgreSQL, IMMEDIATE on SQLite (a plain BEGIN fails with concurrent
    /// writers).
    ///
    /// # Errors
    /// [`StoreError::Outdated`] after a newer program has migrated the schema; [`StoreError::Unavailable`];
    /// [`StoreError::Contention`] if another process keeps the database locked.
    pub async fn write(&self, permit: WritePermit) -> Result<WriteTx> {
        let tx = self.begin(&self.writes, permit).await?;
        if self.backend == Backend::Postgres {
            self.lock_schema(&tx.tx).await?;
        }
        Ok(tx)
    }

    /// Begins a write transaction for a batch, which contains commands of one programme (such as 2021-22). Its SQL statements are
    /// always the same and find their rows by key, so PostgreSQL keeps their plans; see [`WriteTx::use_custom_plans`].
    /// [`crate::store::programmes::lock`] checks the schema version.
    pub async fn begin_batch(&self, permit: WritePermit) -> Result<WriteTx> {
        let _waiting = self.register_batch_pool_waiter();
        self.begin(&self.batch_writes, permit).await
    }

    /// Registers that a batch is going to take a connection of the pool. Does not wait. The batch counts as waiting until the
    /// returned guard is dropped. Meanwhile the pool gets back held connections if it has too few. Returns `None` on SQLite.
    fn register_batch_pool_waiter(&self) -> Option<Waiting<'_>> {
        match &self.guarded_writes {
            GuardedWriter::Postgres(held) => Some(held.register_pool_waiter()),
            GuardedWriter::Sqlite(_) => None,
        }
    }

    async fn begin(&self, pool: &DatabaseConnection, permit: WritePermit) -> Result<WriteTx> {
        let sqlite_transaction_mode = match self.backend {
            Backend::Sqlite => Some(SqliteTransactionMode::Immediate),
            // The session's default isolation level is right. Setting it again would cost a statement.
            Backend::Postgres => None,
        };
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        let pending = Pending::new(Arc::clone(&self.write_health));
        #[expect(clippy::disallowed_methods, reason = "the only place that begins to write")]
        let result = pool.begin_with_options(options).await;
        let tx = result.map_err(|error| match StoreError::from(error) {
            // BEGIN depends on no data, so the connection is at fault. The next attempt gets another connection.
            StoreError::Unusable(text) | StoreError::ConstraintViolation(text) => StoreError::Unavailable(text),
            other => other,
        })?;
        Ok(WriteTx { pending, tx, backend: self.backend, _permit: permit })
    }

    /// Begins a read of one snapshot.
    pub async fn snapshot(&self) -> Result<ReadTx> {
        let options = match self.backend {
            Backend::Sqlite => TransactionOptions::default(),
            Backend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(sea_orm::AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        #[expect(clippy::disallowed_methods, reason = "the only place that begins a snapshot")]
        let tx = self.reads.begin_with_options(options).await?;
        Ok(ReadTx { tx, backend: self.backend })
    }

    /// Waits until all data that this process has read is as durable as data that this process has committed itself. If
    /// PostgreSQL commits to a standby, the standby then has the data too. Call it before returning a stored answer that was
    /// read outside a transaction: the commit that stored the answer may still wait for its standby, or its wait may have
    /// been interrupted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the durability cannot be confirmed.
    pub async fn confirm(&self) -> Result<()> {
        match self.backend {
            // On SQLite, data that another connection can read was synced before.
            Backend::Sqlite => Ok(()),
            Backend::Postgres => self.begin(&self.writes, self.write_permit().await?).await?.confirm().await,
        }
    }

    /// Tries to write after a write that failed. If the attempt succeeds, writes are no longer in doubt.
    ///
    /// # Errors
    /// [`StoreError::Full`]; [`StoreError::Contention`]; [`StoreError::Unavailable`], also if there is no permit in time.
    pub(in crate::store) async fn probe_writes(&self) -> Result<()> {
        let no_permit = |_| StoreError::Unavailable("other writers kept all permits busy".to_owned());
        let permit = timeout(PROBE_PERMIT_TIMEOUT, self.write_permit()).await.map_err(no_permit)??;
        if self.backend == Backend::Sqlite {
            // Moves the WAL into the database file, unless a reader still needs it, so that the next commit can reuse its
            // space. If that fails, the commit below fails too.
            let _ = self.writes.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await;
        }
        let tx = self.begin(&self.writes, permit).await?;
        match self.backend {
            // While writes are in doubt, the commit itself writes a mark and reads it back.
            Backend::Sqlite => tx.commit().await,
            // The first transaction inserts a large row and is rolled back. It fails if the disk is full. Then `confirm` commits
            // a second transaction, which waits for the standby.
            Backend::Postgres => {
                let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(PROBE_BYTES).collect();
                let sql = "INSERT INTO requests (actor, request_id, rpc, fingerprint, answer, recorded_at) \
                           VALUES ('', '00000000-0000-0000-0000-000000000000', '', $1, $2, 0)";
                let values = [vec![0_u8; 32].into(), bytes.into()];
                tx.tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
                tx.rollback().await?;
                self.confirm().await
            }
        }
    }
}

impl WriteTx {
    /// Commits. If the commit fails, its outcome is unknown until the data is read again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also if PostgreSQL committed but its wait for the standby was interrupted.
    pub async fn commit(self) -> Result<()> {
        let Self { pending, tx, .. } = self;
        match self.backend {
            Backend::Sqlite => pending.health().commit_on_sqlite(tx).await?,
            Backend::Postgres => {
                let (result, was_warned) = commit_notices::watch(answer_check::commit(&tx)).await;
                let result = result.and(if was_warned { Err(unconfirmed()) } else { Ok(()) });
                if result.is_err() {
                    // This must happen before the connection goes back to its pool.
                    drop(pending);
                    return result;
                }
            }
        }
        pending.committed();
        Ok(())
    }

    /// Ends a transaction after an error and returns the error. Rolls back, unless the connection may be at fault.
    pub async fn give_up<E: Failure>(self, error: E) -> E {
        // A failed ROLLBACK puts the writes in doubt by itself.
        if !error.may_be_connection_fault() && self.rollback().await.is_err() {
            tracing::warn!("a transaction could not be rolled back");
        }
        error
    }

    /// Returns the transaction with a successful result, or ends it after an error.
    ///
    /// # Errors
    /// The error of the result.
    pub async fn continue_if_ok<T, E: Failure>(
        self,
        result: std::result::Result<T, E>,
    ) -> std::result::Result<(Self, T), E> {
        match result {
            Ok(value) => Ok((self, value)),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    /// Ends a transaction that has read a stored answer, before the answer is returned. On PostgreSQL the commit that
    /// stored the answer may not have reached the standby yet. This commit comes after it and waits for the standby.
    ///
    /// # Errors
    /// As [`WriteTx::commit`].
    pub async fn confirm(self) -> Result<()> {
        if self.backend == Backend::Postgres {
            self.tx.execute_unprepared(EMIT_WAL_MESSAGE).await?;
        }
        self.commit().await
    }

    /// Rolls back.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; even then nothing was written.
    pub async fn rollback(self) -> Result<()> {
        let Self { pending, tx, .. } = self;
        // ROLLBACK depends on no data, so the connection is at fault.
        tx.rollback().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        pending.ended();
        Ok(())
    }

    /// Makes PostgreSQL plan each further SQL statement of this transaction again, for its actual parameter values. Also
    /// allows plans that read whole tables. By default a connection of batches keeps one plan for each statement, and
    /// PostgreSQL is made to prefer plans that find rows by key (`PLAN_BY_KEY`). The few batches that read whole tables need
    /// other plans.
    pub async fn use_custom_plans(&self) -> Result<()> {
        if self.backend == Backend::Postgres {
            let sql = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; \
                       SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";
            self.tx.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    /// Checks that PostgreSQL's replies in this transaction belong to the SQL statements that were sent. If they do not, existing
    /// rows may seem to be missing, and a command may be refused by mistake.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the next reply belongs to another statement.
    pub async fn check_connection_in_sync(&self) -> Result<()> {
        answer_check::check(&self.at()).await
    }

    pub(in crate::store) const fn backend(&self) -> Backend {
        self.backend
    }
}

pub(super) fn unconfirmed() -> StoreError {
    tracing::warn!("PostgreSQL did not wait for its standby to the end: the outcome of a commit is unknown");
    StoreError::Unavailable("the wait for the standby was cut short".to_owned())
}

impl Readable for WriteTx {
    fn at(&self) -> Conn<'_> {
        Conn { db: (&self.tx).into(), backend: self.backend }
    }

    fn can_lock(&self) -> bool {
        true
    }
}

/// Reads outside a transaction, with the plans and the connections of batches. The caller has a permit to write. A batch uses
/// this if it is decided without the lock of its programme.
#[derive(Debug)]
pub(in crate::store) struct BatchReader<'a> {
    store: &'a Store,
    pending: Pending,
    _waiting: Option<Waiting<'a>>,
    _permit: &'a WritePermit,
}

impl Store {
    /// Makes a reader for a batch that is decided without the lock of its programme. It reads the data that the decision needs.
    /// It must be ended with [`BatchReader::end`].
    pub(in crate::store) fn batch_reader<'a>(&'a self, permit: &'a WritePermit) -> BatchReader<'a> {
        let pending = Pending::new(Arc::clone(&self.write_health));
        BatchReader { store: self, pending, _waiting: self.register_batch_pool_waiter(), _permit: permit }
    }
}

impl BatchReader<'_> {
    /// Ends the read with its result. After a fault of the connection, the writes of this process are in doubt. The connection
    /// may be back in its pool already. The next user of the connection also checks that the database's replies belong to its
    /// statements.
    pub(in crate::store) fn end<T>(self, result: Result<T>) -> Result<T> {
        match &result {
            Err(error) if error.may_be_connection_fault() => drop(self.pending),
            _ => self.pending.ended(),
        }
        result
    }
}

impl Readable for BatchReader<'_> {
    fn at(&self) -> Conn<'_> {
        Conn { db: (&self.store.batch_writes).into(), backend: self.store.backend }
    }
}

impl Readable for ReadTx {
    fn at(&self) -> Conn<'_> {
        Conn { db: (&self.tx).into(), backend: self.backend }
    }
}
