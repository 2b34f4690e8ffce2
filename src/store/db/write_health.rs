//! Tracks whether the last write ended well, and which connections may be used after one that did not.
//!
//! SQLite rolls a transaction back by itself when the disk is full or fails, and the driver does not notice: it goes on
//! counting one transaction too many, and the next BEGIN becomes a SAVEPOINT whose release commits nothing. So this module
//! keeps two rules. A connection whose transaction did not end in a successful COMMIT or ROLLBACK is never used again, on
//! either database: a lost answer leaves a PostgreSQL connection just as unfit. And after such an end nothing is
//! acknowledged on SQLite until a later commit has been read back from another connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement};

use crate::store::{Result, StoreError};

/// How long after a transaction that did not end well each PostgreSQL connection that is released is closed: the pool does
/// not say which one it was on.
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
    /// Whether the writing connection may be used again: the last transaction on it ended well, and the driver counts no
    /// open one. The BEGIN IMMEDIATE that follows proves the same of SQLite itself, which refuses it inside a transaction.
    pub(in crate::store) fn accepts_writer(&self, connection: &SqliteConnection) -> bool {
        !self.discard_writer.swap(false, Ordering::SeqCst) && !connection.is_in_transaction()
    }

    /// Whether a PostgreSQL connection that is released goes back to its pool.
    pub(in crate::store) fn keeps_released(&self) -> bool {
        let last = *self.last_doubt.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() > CLOSED_AFTER_DOUBT)
    }

    /// Whether a reading connection may be used again.
    pub(in crate::store) fn accepts_reader(
        &self,
        connection: &SqliteConnection,
        metadata: &PoolConnectionMetadata,
    ) -> bool {
        let before = *self.discard_readers_before.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = before.is_some_and(|before| before.elapsed() < metadata.age);
        !is_old && !connection.is_in_transaction()
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

    /// A transaction could not be begun, or did not end in a successful COMMIT or ROLLBACK.
    fn doubt(&self) {
        self.in_doubt.store(true, Ordering::SeqCst);
        self.rules.discard_writer.store(true, Ordering::SeqCst);
        *self.rules.last_doubt.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// A write has succeeded.
    fn trust(&self) {
        if self.in_doubt.swap(false, Ordering::SeqCst) {
            let now = Instant::now();
            *self.rules.discard_readers_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
    }

    /// Commits on SQLite. In doubt, a mark goes into the file with the commit and is read back from another connection:
    /// only when that connection sees it is the commit believed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Full`]: the outcome is unknown.
    pub(in crate::store) async fn commit_on_sqlite(&self, transaction: DatabaseTransaction) -> Result<()> {
        if !self.is_in_doubt() {
            return Ok(transaction.commit().await?);
        }
        let mark = self.mark(&transaction).await?.wrapping_add(1);
        transaction.execute_unprepared(&format!("PRAGMA user_version = {mark}")).await?;
        transaction.commit().await?;
        let seen = self.mark(&self.reads).await?;
        if seen != mark {
            tracing::error!(mark, seen, "a commit that was reported as done is not in the file");
            return Err(StoreError::Unavailable("a commit that was reported as done is not in the file".to_owned()));
        }
        Ok(())
    }

    /// The mark in the file: `PRAGMA user_version`, which nothing else here uses.
    async fn mark(&self, on: &impl ConnectionTrait) -> Result<i32> {
        let row = on.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version")).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("a file without a user_version"))?;
        Ok(row.try_get_by_index(0)?)
    }
}

/// Follows one transaction from before its BEGIN. Dropped before [`Pending::ended`], it puts this process's writes in doubt.
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

    /// The transaction ended in a successful COMMIT: nothing is in doubt any more.
    pub(in crate::store) fn committed(self) {
        self.health.trust();
        self.ended();
    }

    /// The transaction ended in a successful COMMIT or ROLLBACK.
    pub(in crate::store) fn ended(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.has_ended {
            self.health.doubt();
        }
    }
}
