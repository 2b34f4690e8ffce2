//! After an import: the search by name brought up to date, and rows of imports given up deleted.
//!
//! Both in short transactions, and both taken up again by the next import or start when a process dies in between.

use super::record::RegisterAppender;
use crate::app::retry::with_retry;
use crate::app::write_error::WriteError;
use crate::app::{App, Result};
use crate::domain::time::{Micros, Now};
use crate::store::imports::{Import, ImportState, StagedRows};
use crate::store::register::search;
use crate::store::{self, StoreError, WriteTx};

/// Names brought up to date by one transaction.
const NAMES: u64 = 1_000;
/// Rows deleted by one transaction.
const ROWS: u64 = 2_000;
/// An import that has not landed by then never will: staging the largest file takes seconds. A process that is slower
/// finds, when it lands, that its rows are no longer there, and says so.
const STALE: i64 = 3_600 * 1_000_000;

impl App {
    /// Deletes the rows of interrupted imports, and resumes an interrupted indexing. Run at start and before each import.
    pub async fn clean_staging(&self) -> Result<()> {
        // A clock that is ahead takes an import that another server stages for one that was left.
        self.check_clock().await?;
        let before = Micros(self.clock().now().at.0.saturating_sub(STALE));
        for left in with_retry(|| store::imports::leftovers(self.store(), before)).await? {
            self.discard(&left).await;
        }
        self.index_landed().await;
        Ok(())
    }

    /// Deletes an import that never landed. What cannot be deleted now is left to the next cleaning.
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
            let found = store::imports::find(&tx, id).await?;
            let found = found.filter(|it| matches!(it.state, ImportState::Staging | ImportState::Discarded));
            if let Some(it) = &found {
                store::imports::put(&tx, &[&Import { state: ImportState::Discarded, ..it.clone() }]).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(found.is_some())
        };
        if !with_retry(mark).await? {
            return Ok(());
        }
        let some = || async {
            let tx = store.write(store.write_permit().await?).await?;
            let gone = StagedRows::delete_some(&tx, import.kind, id, ROWS).await?;
            if gone == 0 {
                store::imports::delete(&tx, id).await?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(gone)
        };
        while with_retry(some).await? > 0 {}
        Ok(())
    }

    /// Tells the search by name of every import whose state has changed. What fails is taken up by the next call.
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
                    let last = search::index_schools(&tx, import.kind, import.id, after, NAMES).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                schools = with_retry(step).await?;
            }
            let mut trusts = Some(0);
            while let Some(after) = trusts {
                let step = || async {
                    let tx = self.locked().await?;
                    let last = search::index_trusts(&tx, import.kind, import.id, after, NAMES).await?;
                    tx.commit().await?;
                    Ok::<_, WriteError>(last)
                };
                trusts = with_retry(step).await?;
            }
            let mark = || async {
                let tx = self.locked().await?;
                // Its state may have changed again since: then it is to be indexed again.
                let now = store::imports::find(&tx, import.id).await?.filter(|it| it.state == import.state);
                if let Some(it) = now {
                    store::imports::put(&tx, &[&Import { indexed: true, ..it }]).await?;
                }
                tx.commit().await?;
                Ok::<_, WriteError>(())
            };
            with_retry(mark).await?;
        }
        Ok(())
    }

    /// The moment to record beside the programmes, in a transaction that holds the register's lock: never before what was
    /// recorded there last.
    pub(in crate::app) async fn register_now(&self, locked: &WriteTx) -> store::Result<Now> {
        Ok(self.clock().now_after(store::imports::last_recorded(locked).await?))
    }

    /// A write transaction that holds the register's lock, and what appends to its record, which has begun.
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

    /// A write transaction that holds the register's lock.
    pub(super) async fn locked(&self) -> std::result::Result<WriteTx, WriteError> {
        let tx = self.begin_write().await?;
        store::register::lock(&tx).await?;
        Ok(tx)
    }
}
