//! Does the work that follows an import: updates the search by name, and deletes the rows of abandoned imports.
//!
//! Both run in short transactions. If the process dies between two of them, the next import or the next start continues.

use super::record::RegisterAppender;
use crate::app::retry::with_retry;
use crate::app::write_error::WriteError;
use crate::app::{App, Result};
use crate::domain::time::{Micros, Now};
use crate::store::imports::{Import, ImportState, StagedRows};
use crate::store::register::search;
use crate::store::{self, StoreError, WriteTx};

/// The number of names that one transaction updates.
const NAMES_PER_WRITE: u64 = 1_000;
/// The number of rows that one transaction deletes.
const ROWS_PER_DELETE: u64 = 2_000;
/// After this many microseconds, an import that has not landed counts as abandoned. Staging the largest file takes only
/// seconds. A process that takes longer finds that its rows were deleted, and its import fails.
const ABANDONED_AFTER_MICROS: i64 = 3_600 * 1_000_000;

impl App {
    /// Deletes the rows of abandoned imports, and resumes an interrupted update of the search. Runs when a server starts
    /// and before each import.
    ///
    /// # Errors
    /// [`crate::app::AppError::ClockWrong`]; [`crate::app::AppError::Unavailable`]. An import that cannot be deleted, or a
    /// search that cannot be updated, is only logged.
    pub async fn clean_staging(&self) -> Result<()> {
        // With a clock that is ahead, an import that another server is staging would look abandoned.
        self.check_clock().await?;
        let before = Micros(self.clock().now().at.0.saturating_sub(ABANDONED_AFTER_MICROS));
        for abandoned in with_retry(|| store::imports::leftovers(self.store(), before)).await? {
            self.discard(&abandoned).await;
        }
        self.index_landed().await;
        Ok(())
    }

    /// Deletes an import that has not landed, with its rows. If that fails, the next cleaning tries again.
    pub(super) async fn discard(&self, import: &Import) {
        if let Err(error) = self.try_discard(import).await {
            tracing::warn!(%error, import = %import.id, "rows of an import given up are left for the next cleaning");
        }
    }

    /// Marks an import as discarded, so that it cannot land any more. Then deletes its rows in several transactions, and
    /// itself with the last. Does nothing if the import has landed or does not exist.
    async fn try_discard(&self, import: &Import) -> store::Result<()> {
        let (store, id) = (self.store(), import.id);
        let mark = || async {
            let tx = store.write(store.write_permit().await?).await?;
            store::register::lock(&tx).await?;
            let import = store::imports::find(&tx, id).await?;
            let import = import.filter(|it| matches!(it.state, ImportState::Staging | ImportState::Discarded));
            if let Some(it) = &import {
                store::imports::put(&tx, &[&Import { state: ImportState::Discarded, ..it.clone() }]).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(import.is_some())
        };
        if !with_retry(mark).await? {
            return Ok(());
        }
        let delete_some = || async {
            let tx = store.write(store.write_permit().await?).await?;
            let deleted = StagedRows::delete_some(&tx, import.kind, id, ROWS_PER_DELETE).await?;
            if deleted == 0 {
                store::imports::delete(&tx, id).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(deleted)
        };
        while with_retry(delete_some).await? > 0 {}
        Ok(())
    }

    /// Updates the search by name for every import whose state has changed. If that fails, the next call tries again.
    pub(super) async fn index_landed(&self) {
        if let Err(error) = self.try_index_landed().await {
            tracing::warn!(%error, "the search by name is behind the register until the next import or start");
        }
    }

    async fn try_index_landed(&self) -> std::result::Result<(), WriteError> {
        let store = self.store();
        for import in &with_retry(|| store::imports::not_indexed(store)).await? {
            let mut schools_from = Some(0);
            while let Some(after) = schools_from {
                let step = || async {
                    let tx = self.locked().await?;
                    let last = search::index_schools(&tx, import.kind, import.id, after, NAMES_PER_WRITE).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                schools_from = with_retry(step).await?;
            }
            let mut trusts_from = Some(0);
            while let Some(after) = trusts_from {
                let step = || async {
                    let tx = self.locked().await?;
                    let last = search::index_trusts(&tx, import.kind, import.id, after, NAMES_PER_WRITE).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                trusts_from = with_retry(step).await?;
            }
            let mark = || async {
                let tx = self.locked().await?;
                // If the state of the import has changed again, the import stays marked as not indexed.
                let unchanged = store::imports::find(&tx, import.id).await?.filter(|it| it.state == import.state);
                if let Some(it) = unchanged {
                    store::imports::put(&tx, &[&Import { indexed: true, ..it }]).await?;
                }
                tx.commit().await?;
                Ok::<_, WriteError>(())
            };
            with_retry(mark).await?;
        }
        Ok(())
    }

    /// The time for a new event of the register's record, in a transaction that holds the register's lock. The time is never
    /// before the last recorded time.
    pub(in crate::app) async fn register_now(&self, locked: &WriteTx) -> store::Result<Now> {
        Ok(self.clock().now_after(store::imports::last_recorded(locked).await?))
    }

    /// Begins a write transaction that holds the register's lock. Returns it with an appender to the register's record.
    ///
    /// # Errors
    /// [`WriteError::Bug`] if the record has not begun; [`WriteError::ClockWrong`]; [`WriteError::Store`].
    pub(super) async fn locked_record(&self) -> std::result::Result<(WriteTx, RegisterAppender), WriteError> {
        let tx = self.begin_write().await?;
        let locked = store::register::lock(&tx).await;
        let (tx, head) = tx.continue_if_ok(locked).await?;
        if !head.has_begun() {
            tx.rollback().await?;
            return Err(WriteError::Bug("the register's record has not begun".to_owned()));
        }
        Ok((tx, RegisterAppender::after(head)))
    }

    /// Begins a write transaction that holds the register's lock.
    pub(super) async fn locked(&self) -> std::result::Result<WriteTx, WriteError> {
        let tx = self.begin_write().await?;
        store::register::lock(&tx).await?;
        Ok(tx)
    }
}
