//! Work after an import: updates the search by name, and deletes the rows of abandoned imports.
//!
//! Both run in short transactions. If the process dies in between, the next import or start continues.

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
/// After this many microseconds an import that has not landed counts as abandoned: staging the largest file takes seconds. A
/// slower process finds that its rows were deleted, and its import fails.
const ABANDONED_AFTER: i64 = 3_600 * 1_000_000;

impl App {
    /// Deletes the rows of interrupted imports, and resumes an interrupted indexing. Run at start and before each import.
    pub async fn clean_staging(&self) -> Result<()> {
        // With a clock that is ahead, an import that another server is staging would look abandoned.
        self.check_clock().await?;
        let before = Micros(self.clock().now().at.0.saturating_sub(ABANDONED_AFTER));
        for abandoned in with_retry(|| store::imports::leftovers(self.store(), before)).await? {
            self.discard(&abandoned).await;
        }
        self.index_landed().await;
        Ok(())
    }

    /// Deletes an import that never landed. If that fails, the next cleaning tries again.
    pub(super) async fn discard(&self, import: &Import) {
        if let Err(error) = self.try_discard(import).await {
            tracing::warn!(%error, import = %import.id, "rows of an import given up are left for the next cleaning");
        }
    }

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
        if let Err(error) = self.try_index().await {
            tracing::warn!(%error, "the search by name is behind the register until the next import or start");
        }
    }

    async fn try_index(&self) -> std::result::Result<(), WriteError> {
        let store = self.store();
        for import in &with_retry(|| store::imports::not_indexed(store)).await? {
            let mut schools = Some(0);
            while let Some(after) = schools {
                let step = || async {
                    let tx = self.locked().await?;
                    let last = search::index_schools(&tx, import.kind, import.id, after, NAMES_PER_WRITE).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                schools = with_retry(step).await?;
            }
            let mut trusts = Some(0);
            while let Some(after) = trusts {
                let step = || async {
                    let tx = self.locked().await?;
                    let last = search::index_trusts(&tx, import.kind, import.id, after, NAMES_PER_WRITE).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                trusts = with_retry(step).await?;
            }
            let mark = || async {
                let tx = self.locked().await?;
                // If its state has changed again since, it stays marked, to be indexed again.
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

    /// The time for a new event of the register's record, in a transaction that holds the register's lock. It is never before
    /// the last recorded time.
    pub(in crate::app) async fn register_now(&self, locked: &WriteTx) -> store::Result<Now> {
        Ok(self.clock().now_after(store::imports::last_recorded(locked).await?))
    }

    /// Begins a write transaction that holds the register's lock, and an appender to the register's record.
    ///
    /// # Errors
    /// [`WriteError::Bug`] if the record has not begun.
    pub(super) async fn locked_record(&self) -> std::result::Result<(WriteTx, RegisterAppender), WriteError> {
        let tx = self.begin_write().await?;
        let locked = store::register::lock(&tx).await;
        let (tx, head) = tx.proceed(locked).await?;
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
