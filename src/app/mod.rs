//! The use cases. A use case authorises the caller, loads the state that is needed, and calls the other steps in their order.
//!
//! There are three kinds of use case. Some only read. Some pass a command to the [`writer`] of its programme. Some land or
//! withdraw reference data ([`imports`]). The rules of the scheme are in the domain, and the encoding of messages is in
//! `grpc`.

pub(crate) mod answers;
pub mod clock;
pub(crate) mod commands;
mod due;
pub(crate) mod eligibility;
mod error;
pub(crate) mod execute;
pub(crate) mod imports;
mod names;
mod offers;
mod programme_lookup;
pub(crate) mod queries;
pub(crate) mod register;
pub(crate) mod request;
mod retry;
mod rules;
pub(crate) mod terms;
mod terms_cache;
#[cfg(test)]
mod testing;
pub mod verify;
pub(crate) mod watch;
mod write_error;
pub(crate) mod writer;
mod writer_metrics;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::app::terms_cache::TermsCache;
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, RequestId};
use crate::domain::role::{Action, Caller};
pub use crate::store::Pool;
pub use crate::store::approvals::ApprovalField;
pub use crate::store::awards::{AwardField, AwardFilter};
pub use crate::store::db::condition::{Comparison, Condition, Operand};
pub use crate::store::db::page::Page;
pub use crate::store::entries::{EntryField, EntryPageQuery, FundEntry, Sums};
pub use crate::store::events::{EventField, Recorded, Text};
pub use crate::store::imports::ImportField;
pub use crate::store::offers::{OfferField, OfferFilter, OfferOrder, OfferPageQuery, OfferPageStart};
pub use crate::store::programmes::LoadedTerms;
pub use crate::store::referrals::{ReferralField, ReferralFilter};
use crate::store::requests::Stored;
use crate::store::{ReadTx, Store, WriteTx, programmes, requests};
use clock::Clock;
pub use due::{DueItem, DueKey, DueQuery};
pub use error::{AppError, Violation};
pub use imports::{Denial, Withdrawal};
pub use names::NamedKind;
pub use offers::OfferInFull;
use offers::OfferReader;
use programme_lookup::ProgrammeLookup;
pub use queries::approvals::ApprovalScope;
pub use queries::awards::AwardWithText;
pub use queries::funds::{Fund, FundField, FundKey, PositionConditions};
pub use queries::offer_summary::{OfferSummary, StageDays, SummaryDimension, SummaryQuery, SummarySums};
pub use queries::referrals::ReferralInFull;
use request::RequestIdentity;
use retry::with_retry;
pub use rules::Upgraded;
use watch::ChangeNotifier;
use write_error::WriteError;
use writer::Writer;
pub use writer_metrics::WriterMetrics;

/// How long the database may take to answer a ping, or to return its time.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Result of every use case.
pub type Result<T> = std::result::Result<T, AppError>;

/// Everything the use cases work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    terms: Arc<TermsCache>,
    writer: Writer,
    /// Wakes the watches of this process after a change.
    changes: Arc<ChangeNotifier>,
    reader: OfferReader,
    programme_lookup: ProgrammeLookup,
    /// Allows one verification at a time, because each uses three of the few read connections until it ends.
    verify_permit: Semaphore,
}

/// How this server's clock differs from the time of the last recorded event, and from the database's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockSkew {
    /// How far the clock is behind the last event that was recorded in any programme; 0 if it is not behind.
    pub behind: Duration,
    /// The difference from the database's clock, in either direction; 0 on SQLite.
    pub apart: Duration,
    /// [`AppError::ClockWrong`] if `apart` is too large, otherwise `None`.
    pub wrong: Option<AppError>,
}

impl App {
    /// Makes the use cases over an open, migrated database. Starts the tasks that they need on the current runtime.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        let terms = Arc::new(TermsCache::default());
        let changes = Arc::new(ChangeNotifier::default());
        let writer = Writer::new(store.clone(), clock.clone(), Arc::clone(&terms), Arc::clone(&changes));
        let reader = OfferReader::start(store.clone());
        let (programme_lookup, verify_permit) = (ProgrammeLookup::default(), Semaphore::new(1));
        let inner = Inner { store, clock, terms, writer, changes, reader, programme_lookup, verify_permit };
        Self { inner: Arc::new(inner) }
    }

    /// Makes the writers lose their kept state in so many of a hundred batches, for tests.
    #[cfg(debug_assertions)]
    pub fn lose_state(&self, percent: u8) {
        self.inner.writer.lose_state(percent);
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Begins a read transaction over one snapshot. Tries again if the database is unavailable, because a pooled connection
    /// may have been lost.
    async fn snapshot(&self) -> Result<ReadTx> {
        Ok(with_retry(|| self.store().snapshot()).await?)
    }

    /// Checks that the database answers, and that this program can use it. After a failed write, also checks that the
    /// database can be written.
    ///
    /// # Errors
    /// [`AppError::Unavailable`], [`AppError::StorageFull`], [`AppError::Outdated`].
    pub async fn ready(&self) -> Result<()> {
        let pinged = timeout(PING_TIMEOUT, self.inner.store.ping()).await;
        Ok(pinged.map_err(|_| AppError::no_answer())??)
    }

    /// Compares this server's clock with the database's and with the last recorded event.
    ///
    /// # Errors
    /// [`AppError::Unavailable`].
    pub async fn clock_skew(&self) -> Result<ClockSkew> {
        let before = self.clock().now().at;
        let times =
            timeout(PING_TIMEOUT, programmes::times(self.store())).await.map_err(|_| AppError::no_answer())??;
        let apart = Duration::from_micros(self.clock().ahead_of(before, times.database).unsigned_abs());
        let wrong = self.clock().check(before, times.database).err().map(AppError::from);
        Ok(ClockSkew { behind: self.clock().behind(times.recorded), apart, wrong })
    }

    /// Fails if this server's clock is too far from the database's.
    ///
    /// # Errors
    /// [`AppError::ClockWrong`] if they differ by more than [`clock::APART`] (PostgreSQL only);
    /// [`AppError::Unavailable`].
    pub(crate) async fn check_clock(&self) -> Result<()> {
        self.clock_skew().await?.wrong.map_or(Ok(()), Err)
    }

    /// Begins a write transaction that does not belong to a programme's writer, and checks the clock.
    async fn begin_write(&self) -> std::result::Result<WriteTx, WriteError> {
        let tx = self.store().write(self.store().write_permit().await?).await?;
        let before = self.clock().now().at;
        let times = programmes::times(&tx).await;
        let (tx, times) = tx.continue_if_ok(times).await?;
        let checked = self.clock().check(before, times.database).map_err(WriteError::from);
        Ok(tx.continue_if_ok(checked).await?.0)
    }

    /// Sets the metrics to which the writers report. Only the first call has an effect.
    pub fn measure(&self, metrics: Arc<dyn WriterMetrics>) {
        self.inner.writer.measure(metrics);
    }

    /// The number of commands that wait to be taken into a batch, in all programmes of this process.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.writer.waiting()
    }

    /// Whether a write ended in an unexpected way, and none has succeeded since.
    #[must_use]
    pub fn is_write_in_doubt(&self) -> bool {
        self.store().is_write_in_doubt()
    }

    /// The current state of the connection pools.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        self.store().pools()
    }

    /// Whether a request of this caller with this id is stored already, for the same method and, if one is given, the same
    /// fingerprint. Repeating such a request changes nothing.
    ///
    /// # Errors
    /// [`AppError::Unavailable`].
    pub(crate) async fn was_answered(
        &self,
        actor: &Actor,
        request: RequestId,
        (rpc, fingerprint): (&str, Option<Hash>),
    ) -> Result<bool> {
        let stored = with_retry(|| requests::one(self.store(), actor, request)).await?;
        Ok(stored.is_some_and(|it| it.rpc == rpc && fingerprint.is_none_or(|expected| expected == it.fingerprint)))
    }

    fn programme_lookup(&self) -> &ProgrammeLookup {
        &self.inner.programme_lookup
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

/// Returns the stored answer of a repeated request.
///
/// # Errors
/// [`AppError::RequestIdReused`] if the stored request had another method or other content.
pub(crate) fn replay_stored_answer(stored: &Stored, request: &RequestIdentity) -> Result<Vec<u8>> {
    let is_same_request = stored.fingerprint == request.fingerprint && stored.rpc == request.rpc;
    if is_same_request { Ok(stored.answer.clone()) } else { Err(AppError::RequestIdReused) }
}

/// Fails if none of the caller's roles allows the action.
///
/// # Errors
/// [`AppError::Denied`].
pub(crate) fn authorise(caller: &Caller, action: Action) -> Result<()> {
    if caller.may(action) { Ok(()) } else { Err(AppError::Denied(vec![action])) }
}
