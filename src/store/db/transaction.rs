//! Transactions: who may begin one, and how it ends.
//!
//! [`WriteTx`] is the only way to write, and [`Store::write`] and [`Store::begin_batch`] the only ways to one. It ends in
//! [`WriteTx::commit`], [`WriteTx::confirm`] or [`WriteTx::rollback`]; any other end, an error or a caller who has
//! gone, puts the writes of this process in doubt ([`super::write_health`]).

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::write_health::Pending;
use super::{answer_check, commit_notices};
use crate::store::{Backend, Conn, Readable, Result, Store, StoreError};

/// How long a check of the storage waits for its turn to write.
const PROBE_PERMIT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that a check of the storage writes on PostgreSQL and rolls back: incompressible, so that they take new pages.
const PROBE_BYTES: usize = 64 * 1024;
/// Writes a record that a commit waits for as for any other, and that changes nothing.
const EMIT: &str = "SELECT pg_logical_emit_message(true, 'tsio', '')";

/// The right to begin one write transaction, given up when it ends.
#[derive(Debug)]
pub struct WritePermit {
    _permit: OwnedSemaphorePermit,
}

/// A transaction that writes. Store functions that write take one; only the app's writers begin and end it.
#[derive(Debug)]
pub struct WriteTx {
    // Dropped first: the connection is marked before it goes back to its pool.
    pending: Pending,
    tx: DatabaseTransaction,
    backend: Backend,
    _turn: WritePermit,
}

/// Why a transaction came to nothing.
pub trait Failure {
    /// Whether the connection it ran on may be unfit for use.
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
    /// Waits for its turn to write: first come, first served, so that programmes which share a writer take turns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is being closed.
    pub async fn write_permit(&self) -> Result<WritePermit> {
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        permit.map(|permit| WritePermit { _permit: permit }).map_err(|_| StoreError::Unavailable("closing".to_owned()))
    }

    /// Begins the transaction of a writer whose turn it is: READ COMMITTED on PostgreSQL, IMMEDIATE on SQLite (a plain
    /// BEGIN fails among concurrent writers).
    ///
    /// # Errors
    /// [`StoreError::Outdated`] once a newer program has migrated.
    pub async fn write(&self, turn: WritePermit) -> Result<WriteTx> {
        let tx = self.begin(&self.writes, turn).await?;
        if self.backend == Backend::Postgres {
            self.hold_schema(&tx.tx).await?;
        }
        Ok(tx)
    }

    /// The same for a group of a programme's commands: its statements are always the same and find their rows by key, so
    /// PostgreSQL keeps their plans; see [`WriteTx::use_custom_plans`]. Whether the schema is still known is seen by
    /// [`crate::store::programmes::lock`].
    pub async fn begin_batch(&self, turn: WritePermit) -> Result<WriteTx> {
        self.begin(&self.books, turn).await
    }

    async fn begin(&self, pool: &DatabaseConnection, turn: WritePermit) -> Result<WriteTx> {
        let sqlite_transaction_mode = match self.backend {
            Backend::Sqlite => Some(SqliteTransactionMode::Immediate),
            // The session's own default: naming it would cost a statement.
            Backend::Postgres => None,
        };
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        let pending = Pending::new(Arc::clone(&self.write_health));
        #[expect(clippy::disallowed_methods, reason = "the one place that begins to write")]
        let begun = pool.begin_with_options(options).await;
        let tx = begun.map_err(|error| match StoreError::from(error) {
            // BEGIN depends on no data: a failure is the connection's, and the next one is another.
            StoreError::Unusable(text) | StoreError::ConstraintViolation(text) => StoreError::Unavailable(text),
            other => other,
        })?;
        Ok(WriteTx { pending, tx, backend: self.backend, _turn: turn })
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
        #[expect(clippy::disallowed_methods, reason = "the one place that begins a snapshot")]
        let tx = self.reads.begin_with_options(options).await?;
        Ok(ReadTx { tx, backend: self.backend })
    }

    /// Waits until everything that could be read before this call is as durable as a commit of this process's own. A stored
    /// answer that was read outside a transaction is handed out only after it: the commit that stored it may still wait for
    /// its standby, or its wait may have been cut short.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that cannot be known.
    pub async fn confirm(&self) -> Result<()> {
        match self.backend {
            // What another connection can read was synced before.
            Backend::Sqlite => Ok(()),
            Backend::Postgres => self.begin(&self.writes, self.write_permit().await?).await?.confirm().await,
        }
    }

    /// Tries to write after a write that failed: success ends the doubt.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub(in crate::store) async fn probe_writes(&self) -> Result<()> {
        let busy = |_| StoreError::Unavailable("others write without an end".to_owned());
        let turn = timeout(PROBE_PERMIT_TIMEOUT, self.write_permit()).await.map_err(busy)??;
        if self.backend == Backend::Sqlite {
            // What lies in the log goes into the file, as far as nobody reads it: the next commit begins the log again, and
            // needs no more space for it. Whether that succeeds, the commit below tells.
            let _ = self.writes.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await;
        }
        let tx = self.begin(&self.writes, turn).await?;
        match self.backend {
            // In doubt, the commit itself leaves a mark and reads it back.
            Backend::Sqlite => tx.commit().await,
            // A row like those that could not be written, taken back again; then a commit, which waits for the standby.
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
    /// Commits. When this fails, the outcome is unknown: read again before saying anything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when PostgreSQL committed but did not wait for its standby to the
    /// end.
    pub async fn commit(self) -> Result<()> {
        let Self { pending, tx, .. } = self;
        match self.backend {
            Backend::Sqlite => pending.health().commit_on_sqlite(tx).await?,
            Backend::Postgres => {
                let (committed, was_warned) = commit_notices::watch(answer_check::commit(&tx)).await;
                let committed = committed.and(if was_warned { Err(unconfirmed()) } else { Ok(()) });
                if committed.is_err() {
                    // Before the connection goes back to its pool.
                    drop(pending);
                    return committed;
                }
            }
        }
        pending.committed();
        Ok(())
    }

    /// Ends a transaction that came to nothing, and hands on why. It is rolled back, unless the connection may be at fault.
    pub async fn give_up<E: Failure>(self, why: E) -> E {
        // A ROLLBACK that fails shows by itself, in doubt.
        if !why.may_be_connection_fault() && self.rollback().await.is_err() {
            tracing::warn!("a transaction could not be rolled back");
        }
        why
    }

    /// Goes on with a result, or gives the transaction up.
    ///
    /// # Errors
    /// That of the result.
    pub async fn proceed<T, E: Failure>(self, result: std::result::Result<T, E>) -> std::result::Result<(Self, T), E> {
        match result {
            Ok(value) => Ok((self, value)),
            Err(why) => Err(self.give_up(why).await),
        }
    }

    /// Ends a transaction in which a stored answer was read that is now handed out. On PostgreSQL the commit that stored it
    /// may not have reached the standby: this one comes after it, and waits as any commit does.
    ///
    /// # Errors
    /// As [`WriteTx::commit`].
    pub async fn confirm(self) -> Result<()> {
        if self.backend == Backend::Postgres {
            self.tx.execute_unprepared(EMIT).await?;
        }
        self.commit().await
    }

    /// Gives everything up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing was written either way.
    pub async fn rollback(self) -> Result<()> {
        let Self { pending, tx, .. } = self;
        // ROLLBACK depends on no data: a failure is the connection's.
        tx.rollback().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        pending.ended();
        Ok(())
    }

    /// Plans the statements of the rest of this group each for itself: for the few that look at whole tables.
    pub async fn use_custom_plans(&self) -> Result<()> {
        if self.backend == Backend::Postgres {
            let sql = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on; \
                       SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";
            self.tx.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    /// Makes sure that what was read in this transaction is what was asked for: a refusal may depend on what is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not.
    pub async fn check_connection_in_sync(&self) -> Result<()> {
        answer_check::check(&self.at()).await
    }

    pub(in crate::store) const fn backend(&self) -> Backend {
        self.backend
    }
}

fn unconfirmed() -> StoreError {
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

impl Readable for ReadTx {
    fn at(&self) -> Conn<'_> {
        Conn { db: (&self.tx).into(), backend: self.backend }
    }
}
