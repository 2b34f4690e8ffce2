//! Sends the changes of one programme's offers to watchers. A watch begins with a snapshot or at a position in the record,
//! and then gets every change in order.
//!
//! | part | what it does | where |
//! |---|---|---|
//! | tail | one for each watched programme: reads new events, folds them, and broadcasts each step in memory | [`tail`] |
//! | feed | one for each watcher: sends the steps in its scope; reads the record if the ring no longer has its next step | [`feed`] |
//! | fold | computes the offer before and after each event, with the same fold as the writer | [`steps`] |
//!
//! The ring is the buffer of the broadcast. Only the record is reliable: a wake-up may be lost, the ring may have dropped
//! steps, another process may have written. A feed therefore takes a step from the ring only if its number follows the
//! number of the last step that it handled. So it neither misses a step nor sends a step twice. Only a few messages are
//! buffered for a slow watcher.

mod feed;
mod slots;
mod steps;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast, mpsc, watch};

use super::retry::with_retry;
use super::{App, AppError, Result, authorise};
use crate::domain::event::Seq;
use crate::domain::ids::{OfferId, Programme};
use crate::domain::offer::Offer;
use crate::domain::offer::lifecycle::State;
use crate::domain::refusal::EntityKind;
use crate::domain::region::Region;
use crate::domain::role::{Action, Caller};
use crate::store::events::Recorded;
use crate::store::programmes;
use feed::Feed;
pub use slots::WatchSlot;
use slots::WatchSlots;
use steps::WatchStep;
pub use steps::{RecordPosition, Scope};
pub(super) use tail::ChangeNotifier;

/// Encodes a change, from the event and from its offer after the event. Called once for each event, for all watchers of a
/// tail.
pub type EncodeChange<T> = fn(&Recorded, &Offer) -> T;

/// Limits on watches in this process.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// The most watchers at a time. Each has a task, a stream and a few messages.
    pub watchers: usize,
    /// The most watchers of one caller at a time; `None` for no limit.
    pub per_caller: Option<NonZeroUsize>,
    /// The number of steps that a tail keeps for slower watchers: some seconds of a busy programme, about 16 MiB.
    pub ring: usize,
    /// The most snapshots at a time; further snapshots wait. Each holds one of the few read connections.
    pub snapshots: usize,
    /// The most reads at a time by watchers that begin or that are behind the ring.
    pub catching_up: usize,
    /// How long a snapshot may take, including the time that a slow watcher takes to receive it. A snapshot holds a
    /// connection, and keeps SQLite's log from being truncated.
    pub snapshot: Duration,
    /// How long a message may wait until the watcher takes it. After that the watch ends.
    pub stalled: Duration,
    /// After this time without a message, a watcher gets a checkpoint.
    pub quiet: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            watchers: 1_000,
            per_caller: None,
            ring: 16_384,
            snapshots: 2,
            catching_up: 2,
            snapshot: Duration::from_secs(60),
            stalled: Duration::from_secs(30),
            quiet: Duration::from_secs(5),
        }
    }
}

/// Where a watcher begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With a snapshot of every offer.
    Snapshot,
    /// After this event, or 0 for the beginning. The hash is not checked.
    After(Seq),
    /// After this event. The hash is checked.
    Resume(RecordPosition),
}

/// The request of a watcher.
#[derive(Debug, Clone)]
pub struct WatchRequest {
    /// The programme.
    pub programme: Programme,
    /// Only offers in these regions; all regions if empty.
    pub regions: Vec<Region>,
    /// Only offers in these states; all states if empty.
    pub states: Vec<State>,
    /// Where to begin.
    pub start: Start,
}

/// A message to a watcher.
#[derive(Debug)]
pub enum WatchMessage<T> {
    /// An offer of the snapshot.
    Offer(Box<Offer>),
    /// The snapshot is complete as of this position; changes follow.
    SnapshotEnd(RecordPosition),
    /// An offer in scope changed.
    Change(T),
    /// An offer changed and left the scope: it no longer matches the request, or the caller may no longer see it.
    Gone(OfferId, RecordPosition),
    /// All changes up to this position were sent. Comes at the end of the record, and from time to time.
    Checkpoint(RecordPosition),
}

/// All watches of this process. There must be only one for each [`App`], because it takes the wake-ups of the writer. Cheap to
/// clone.
#[derive(Debug)]
pub struct Watches<T>(Arc<Inner<T>>);

impl<T> Clone for Watches<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<T> {
    app: App,
    encode: EncodeChange<T>,
    limits: WatchLimits,
    /// The running tails. Only the task of a tail holds a strong sender, so that the channel closes when the task ends.
    tails: Mutex<HashMap<Programme, broadcast::WeakSender<Arc<WatchStep<T>>>>>,
    /// Starts the task that receives hints from other processes, with the first watch.
    listening: Once,
    slots: Arc<WatchSlots>,
    snapshots: Semaphore,
    catching_up: Semaphore,
    stopping: watch::Sender<bool>,
}

impl<T: Clone + Send + Sync + 'static> Watches<T> {
    /// Makes the watches of an app. No watch is running yet.
    #[must_use]
    pub fn new(app: App, encode: EncodeChange<T>, limits: WatchLimits) -> Self {
        Self(Arc::new(Inner {
            app,
            encode,
            limits,
            tails: Mutex::default(),
            listening: Once::new(),
            slots: Arc::new(WatchSlots::new(limits.watchers, limits.per_caller)),
            snapshots: Semaphore::new(limits.snapshots),
            catching_up: Semaphore::new(limits.catching_up),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Ends all watches and refuses new ones.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// The number of slots that are taken, which is the number of watchers.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.0.slots.taken()
    }

    /// Takes a slot for a watcher of this caller. The watcher holds the slot as long as its stream exists.
    ///
    /// # Errors
    /// [`AppError::Denied`] if the caller may not read; [`AppError::WatchesTooMany`] if this caller has too many watches;
    /// [`AppError::Overloaded`] if there are too many watchers in all.
    pub fn take_slot(&self, caller: &Caller) -> Result<WatchSlot> {
        authorise(caller, Action::Read)?;
        self.0.slots.take(&caller.actor)
    }

    /// Runs a watch for a caller that holds a [`WatchSlot`]. Returns `Ok` if the watcher closes the receiver.
    ///
    /// # Errors
    /// [`AppError::Denied`] and [`AppError::NotFound`] at the start, when the caller's access is checked;
    /// [`AppError::Diverged`] for a position that is not in this record;
    /// [`AppError::TooSlow`]; [`AppError::Stopping`]; [`AppError::Unavailable`] if the database is unavailable for longer
    /// than the retries last.
    pub async fn watch(&self, caller: &Caller, request: WatchRequest, to: mpsc::Sender<WatchMessage<T>>) -> Result<()> {
        authorise(caller, Action::Read)?;
        let it = &*self.0;
        // Limits the reads if a thousand watchers arrive before the terms are in the cache.
        let permit =
            if it.app.has_cached_terms(&request.programme) { None } else { it.catching_up.acquire().await.ok() };
        it.app.terms(&request.programme).await?;
        drop(permit);
        let mut stopping = it.stopping.subscribe();
        let scope = Scope { regions: request.regions, states: request.states, reach: caller.reach(Action::Read) };
        let feed = Feed::new(self, request.programme, scope, to.clone());
        tokio::select! {
            biased;
            // The sender lives as long as `self`, so this cannot fail.
            _ = stopping.wait_for(|stopping| *stopping) => Err(AppError::Stopping),
            () = to.closed() => Ok(()),
            ended = feed.run(request.start) => ended,
        }
    }

    /// Subscribes to the tail of a programme, and starts the tail if there is none. The receiver gets only later steps;
    /// earlier steps are in the record already.
    async fn subscribe(&self, programme: &Programme) -> Result<broadcast::Receiver<Arc<WatchStep<T>>>> {
        self.0.listening.call_once(|| drop(tokio::spawn(tail::listen(self.clone()))));
        if let Some(receiver) = self.subscribe_to_running(programme) {
            return Ok(receiver);
        }
        // Limits the reads of the head if a thousand watchers arrive together.
        let _permit = self.0.catching_up.acquire().await;
        if let Some(receiver) = self.subscribe_to_running(programme) {
            return Ok(receiver);
        }
        // The head is read before the tail starts there, so a watcher that reads the record afterwards misses nothing.
        let head = self.head(programme).await?;
        let mut tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = tails.get(programme).and_then(broadcast::WeakSender::upgrade) {
            return Ok(tail.subscribe());
        }
        let (tail, receiver) = broadcast::channel(self.0.limits.ring);
        tails.insert(programme.clone(), tail.downgrade());
        drop(tokio::spawn(tail::follow(self.clone(), programme.clone(), head, tail)));
        Ok(receiver)
    }

    /// Subscribes to the tail of a programme if it is running.
    fn subscribe_to_running(&self, programme: &Programme) -> Option<broadcast::Receiver<Arc<WatchStep<T>>>> {
        let tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.get(programme).and_then(broadcast::WeakSender::upgrade).map(|tail| tail.subscribe())
    }

    /// Reads the position of a programme's last event.
    async fn head(&self, programme: &Programme) -> Result<RecordPosition> {
        let head = with_retry(|| programmes::head_of(self.0.app.store(), programme)).await?;
        let head = head.ok_or_else(|| AppError::not_found(EntityKind::Programme, programme))?;
        Ok(RecordPosition { seq: head.last(), hash: head.hash })
    }

    /// Removes a tail that has no watchers left, and returns whether it did. The next watcher starts another tail.
    fn remove_unused(&self, programme: &Programme, tail: &broadcast::Sender<Arc<WatchStep<T>>>) -> bool {
        let mut tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unused = tail.receiver_count() == 0;
        if is_unused {
            tails.remove(programme);
        }
        is_unused
    }
}
