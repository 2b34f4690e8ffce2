//! Tracks whether the last write ended well. If it did not, decides which connections may still be used.
//!
//! SQLite rolls a transaction back by itself when the disk is full or fails, and the driver does not notice. The driver still
//! counts that transaction as open, so it turns the next BEGIN into a SAVEPOINT, whose release commits nothing. This module
//! enforces two rules against that:
//!
//! * A connection whose transaction did not end in a successful COMMIT or ROLLBACK is never used again. This holds on both
//!   databases, because a lost answer makes a PostgreSQL connection unusable too.
//! * After such an end, SQLite's next commit is acknowledged only once another connection has read it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement};

use crate::store::{Result, StoreError};

/// For how long released PostgreSQL connections are closed, after a transaction did not end well. All of them are closed, because
/// the pool does not say which of them the transaction used.
const CLOSED_AFTER_DOUBT: Duration = Duration::from_secs(1);

/// Which pooled connections may be used again.
#[derive(Debug, Default)]
pub(in crate::store) struct ConnectionRules {
    discard_writer: AtomicBool,
    last_doubt: Mutex<Option<Instant>>,
    /// Readers opened before this moment are replaced: they may have been opened while the disk was read-only.
    discard_readers_before: Mutex<Option<Instant>>,
}

impl ConnectionRules {
    /// Whether the writing connection may be used again: its last transaction ended well, and the driver counts no open transaction.
    /// If the driver is wrong about that, SQLite itself refuses the next BEGIN IMMEDIATE. Resets the flag that the last transaction
    /// did not end well.
    pub(in crate::store) fn accepts_writer(&self, connection: &SqliteConnection) -> bool {
        !self.discard_writer.swap(false, Ordering::SeqCst) && !connection.is_in_transaction()
    }

    /// Whether a PostgreSQL connection that is released goes back to its pool.
    pub(in crate::store) fn keeps_released(&self) -> bool {
        let last_doubt = *self.last_doubt.lock().unwrap_or_else(PoisonError::into_inner);
        last_doubt.is_none_or(|moment| moment.elapsed() > CLOSED_AFTER_DOUBT)
    }

    /// Whether a reading connection may be used again.
    pub(in crate::store) fn accepts_reader(
        &self,
        connection: &SqliteConnection,
        metadata: &PoolConnectionMetadata,
    ) -> bool {
        let before = *self.discard_readers_before.lock().unwrap_or_else(PoisonError::into_inner);
        let opened_before = before.is_some_and(|before| before.elapsed() < metadata.age);
        !opened_before && !connection.is_in_transaction()
    }
}

/// The health of the writes of this process.
#[derive(Debug)]
pub(in crate::store) struct WriteHealth {
    rules: Arc<ConnectionRules>,
    reads: DatabaseConnection,
    in_doubt: AtomicBool,
}

impl WriteHealth {
    pub(in crate::store) fn new(rules: Arc<ConnectionRules>, reads: DatabaseConnection) -> Self {
        Self { rules, reads, in_doubt: AtomicBool::new(false) }
    }

    /// Whether a write ended in an unexpected way, and none has succeeded since.
    pub(in crate::store) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::SeqCst)
    }

    /// Puts writes in doubt, after a transaction that could not begin or did not end in a successful COMMIT or ROLLBACK.
    fn put_in_doubt(&self) {
        self.in_doubt.store(true, Ordering::SeqCst);
        self.rules.discard_writer.store(true, Ordering::SeqCst);
        *self.rules.last_doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Ends the doubt after a successful write.
    fn end_doubt(&self) {
        if self.in_doubt.swap(false, Ordering::SeqCst) {
            let now = Instant::now();
            *self.rules.discard_readers_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
    }

    /// Commits on SQLite. If writes are in doubt, the commit also writes a mark to the file: a number, which another connection then
    /// reads back. The commit counts as done only if that connection sees the mark.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database cannot be reached or the mark is not in the file; [`StoreError::Full`]. The outcome
    /// is unknown after any error.
    pub(in crate::store) async fn commit_on_sqlite(&self, transaction: DatabaseTransaction) -> Result<()> {
        if !self.is_in_doubt() {
            return Ok(transaction.commit().await?);
        }
        let mark = self.read_mark(&transaction).await?.wrapping_add(1);
        transaction.execute_unprepared(&format!("PRAGMA user_version = {mark}")).await?;
        transaction.commit().await?;
        let seen = self.read_mark(&self.reads).await?;
        if seen != mark {
            tracing::error!(mark, seen, "a commit that was reported as done is not in the file");
            return Err(StoreError::Unavailable("a commit that was reported as done is not in the file".to_owned()));
        }
        Ok(())
    }

    /// Reads the mark in the file: `PRAGMA user_version`, which this program uses for nothing else.
    async fn read_mark(&self, connection: &impl ConnectionTrait) -> Result<i32> {
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version")).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("a file without a user_version"))?;
        Ok(row.try_get_by_index(0)?)
    }
}

/// Follows one transaction from before its BEGIN. A drop without [`Pending::ended`] or [`Pending::committed`] puts the writes of
/// this process in doubt.
#[derive(Debug)]
pub(in crate::store) struct Pending {
    health: Arc<WriteHealth>,
    has_ended: bool,
}

impl Pending {
    pub(in crate::store) const fn new(health: Arc<WriteHealth>) -> Self {
        Self { health, has_ended: false }
    }

    pub(in crate::store) fn health(&self) -> &WriteHealth {
        &self.health
    }

    /// Notes that the transaction ended in a successful COMMIT, and ends the doubt.
    pub(in crate::store) fn committed(self) {
        self.health.end_doubt();
        self.ended();
    }

    /// Notes that the transaction ended in a successful COMMIT or ROLLBACK.
    pub(in crate::store) fn ended(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.has_ended {
            self.health.put_in_doubt();
        }
    }
}
