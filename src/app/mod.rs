//! The use cases: who may, in which order, over which facts.
//!
//! A use case is given the time of its call, checks the caller's roles, checks the fields, and then either reads, or hands a
//! command to the one [`writer`] of its programme, or lands reference data ([`imports`]). No rule of the scheme is here, and
//! nothing here knows the wire.

pub mod answers;
pub mod clock;
pub(crate) mod commands;
pub mod eligibility;
mod error;
pub(crate) mod execute;
pub mod imports;
mod offers;
mod programme_lookup;
pub mod queries;
pub mod register;
pub mod request;
mod retry;
mod rules;
pub mod terms;
mod terms_cache;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod watch;
mod write_error;
pub mod writer;
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
pub use crate::store::entries::{EntryField, EntryPageQuery as WantedEntries, FundEntry, Sums};
pub use crate::store::events::{EventField, Recorded, Text};
pub use crate::store::imports::ImportField;
pub use crate::store::offers::{
    OfferField, OfferFilter, OfferOrder, OfferPageQuery as WantedOffers, OfferPageStart as OfferPlace,
};
pub use crate::store::programmes::LoadedTerms;
pub use crate::store::referrals::{ReferralField, ReferralFilter};
use crate::store::requests::Stored;
use crate::store::{ReadTx, Store, WriteTx, programmes, requests};
use clock::Clock;
pub use error::{AppError, Violation};
pub use imports::{Denial, Withdrawal};
use offers::OfferReader;
pub use offers::{OfferInFull, OffersAtOnce};
use programme_lookup::ProgrammeLookup;
pub use queries::approvals::ApprovalScope as WhichApprovals;
pub use queries::awards::ToldAward;
pub use queries::funds::{AskedPosition, Fund, FundField, FundKey, FundPosition};
pub use queries::referrals::ReferralInFull;
use request::RequestIdentity;
use retry::with_retry;
use watch::ChangeNotifier;
use write_error::WriteError;
use writer::Writer;
pub use writer_metrics::WriterMetrics;

/// How long the database may take to give a sign of life.
const READY: Duration = Duration::from_secs(5);

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
    /// What wakes those who follow a programme of this process.
    wakes: Arc<ChangeNotifier>,
    reader: OfferReader,
    routes: ProgrammeLookup,
    /// Whose turn it is to verify: each reads a whole record, over three of the few connections there are for reading.
    verifying: Semaphore,
}

/// How this server's clock stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockSkew {
    /// By how much it is behind what was recorded last, in any programme.
    pub behind: Duration,
    /// By how much it is from the database's, either way; 0 on SQLite.
    pub apart: Duration,
    /// [`AppError::ClockWrong`] where that is too much.
    pub wrong: Option<AppError>,
}

impl App {
    /// The use cases over an open, migrated database. Starts the tasks they need on the current runtime.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        let terms = Arc::new(TermsCache::default());
        let wakes = Arc::new(ChangeNotifier::default());
        let writer = Writer::new(store.clone(), clock.clone(), Arc::clone(&terms), Arc::clone(&wakes));
        let reader = OfferReader::start(store.clone());
        let (routes, verifying) = (ProgrammeLookup::default(), Semaphore::new(1));
        Self { inner: Arc::new(Inner { store, clock, terms, writer, wakes, reader, routes, verifying }) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Begins a read of one snapshot; tried again when the database is away, since a connection may have died unseen.
    async fn snapshot(&self) -> Result<ReadTx> {
        Ok(with_retry(|| self.store().snapshot()).await?)
    }

    /// Whether the database answers, and can be written as far as is known.
    ///
    /// # Errors
    /// [`AppError::Unavailable`], [`AppError::StorageFull`], [`AppError::Outdated`].
    pub async fn ready(&self) -> Result<()> {
        let pinged = timeout(READY, self.inner.store.ping()).await;
        Ok(pinged.map_err(|_| AppError::no_answer())??)
    }

    /// Holds this server's clock against the database's and against what was recorded last.
    ///
    /// # Errors
    /// [`AppError::Unavailable`].
    pub async fn clock_skew(&self) -> Result<ClockSkew> {
        let before = self.clock().now().at;
        let times = timeout(READY, programmes::times(self.store())).await.map_err(|_| AppError::no_answer())??;
        let apart = Duration::from_micros(self.clock().ahead_of(before, times.database).unsigned_abs());
        let wrong = self.clock().check(before, times.database).err().map(AppError::from);
        Ok(ClockSkew { behind: self.clock().behind(times.recorded), apart, wrong })
    }

    /// Refuses to go on with a clock that is too far from the database's.
    ///
    /// # Errors
    /// [`AppError::ClockWrong`] when it is more than [`clock::APART`] from the database's, which only PostgreSQL has;
    /// [`AppError::Unavailable`].
    pub(crate) async fn check_clock(&self) -> Result<()> {
        self.clock_skew().await?.wrong.map_or(Ok(()), Err)
    }

    /// Begins to write beside the programmes, with a clock that agrees with the database's.
    async fn begin_write(&self) -> std::result::Result<WriteTx, WriteError> {
        let tx = self.store().write(self.store().write_permit().await?).await?;
        let before = self.clock().now().at;
        let times = programmes::times(&tx).await;
        let (tx, times) = tx.proceed(times).await?;
        let checked = self.clock().check(before, times.database).map_err(WriteError::from);
        Ok(tx.proceed(checked).await?.0)
    }

    /// Has what goes on inside counted, from now on.
    pub fn measure(&self, measures: Arc<dyn WriterMetrics>) {
        self.inner.writer.measure(measures);
    }

    /// Commands that wait to be taken into a group, in all programmes of this process.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.writer.waiting()
    }

    /// Whether a write did not end as it should, and none has succeeded since.
    #[must_use]
    pub fn is_write_in_doubt(&self) -> bool {
        self.store().is_write_in_doubt()
    }

    /// The pools of connections, as they are at this moment.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        self.store().pools()
    }

    /// Whether this caller's request was answered before, as a call of this method; where it is known, with this
    /// fingerprint. Such a call changes nothing any more.
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
        Ok(stored.is_some_and(|it| it.rpc == rpc && fingerprint.is_none_or(|given| given == it.fingerprint)))
    }

    fn routes(&self) -> &ProgrammeLookup {
        &self.inner.routes
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

/// The stored answer of a request that comes again, unless it was given to another call.
///
/// # Errors
/// [`AppError::RequestIdReused`].
pub(crate) fn replay_stored_answer(stored: &Stored, request: &RequestIdentity) -> Result<Vec<u8>> {
    let same = stored.fingerprint == request.fingerprint && stored.rpc == request.rpc;
    if same { Ok(stored.answer.clone()) } else { Err(AppError::RequestIdReused) }
}

/// Refuses a caller none of whose roles allows the action.
///
/// # Errors
/// [`AppError::Denied`].
pub(crate) fn authorise(caller: &Caller, action: Action) -> Result<()> {
    if caller.may(action) { Ok(()) } else { Err(AppError::Denied(action)) }
}
