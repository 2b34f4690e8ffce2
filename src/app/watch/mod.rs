//! Following one programme's offers: a snapshot or a place in the record, then every change in order, for ever.
//!
//! | who | what it does | where |
//! |---|---|---|
//! | tail | one a programme that is watched: reads the record on, folds it, and hands each step round in memory | [`tail`] |
//! | watcher | takes the steps its caller may see and asked for; behind the tail's ring it reads the record by itself | [`feed`] |
//! | fold | the offer before and after each event, by the same fold as the writer's: the same for everybody | [`steps`] |
//!
//! The record is the only truth: a wake-up may be lost, a ring may have turned over, another process may have written. A
//! watcher counts: it takes the step after its own and no other, so that it can neither lose one nor see one twice.
//! Nothing is buffered for who does not take it.

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

/// How the wire shows a change: the event, and its offer as it is after it. Asked once a process, for all watchers.
pub type Show<T> = fn(&Recorded, &Offer) -> T;

/// Bounds of watching in this process.
#[derive(Debug, Clone, Copy)]
pub struct WatchLimits {
    /// Watchers at a time. Each is a task, a stream and a few messages.
    pub watchers: usize,
    /// Watchers of one caller at a time, where that is bounded.
    pub of_one: Option<NonZeroUsize>,
    /// Steps the tail of a programme keeps for those behind it: some seconds of a busy programme, some 16 MiB.
    pub ring: usize,
    /// Snapshots at a time; others wait. Each holds one of the few connections for reading.
    pub snapshots: usize,
    /// Reads of the record at a time by those who are behind the ring.
    pub catching_up: usize,
    /// How long a snapshot may take, its caller's slowness included: it holds a connection, and SQLite's log open.
    pub snapshot: Duration,
    /// How long a watcher may take none of its messages.
    pub stalled: Duration,
    /// A watcher hears something at least so often: where it is.
    pub quiet: Duration,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self {
            watchers: 1_000,
            of_one: None,
            ring: 4_096,
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
    /// With every offer as it is now.
    Snapshot,
    /// After this event, 0 for the first; its hash is not checked.
    After(Seq),
    /// After this event of this history.
    Resume(RecordPosition),
}

/// What a watcher asks for.
#[derive(Debug, Clone)]
pub struct WatchRequest {
    /// The programme.
    pub programme: Programme,
    /// Only offers in these regions; in any when empty.
    pub regions: Vec<Region>,
    /// Only offers in these states; in any when empty.
    pub states: Vec<State>,
    /// From where on.
    pub start: Start,
}

/// What a watcher is told.
#[derive(Debug)]
pub enum WatchMessage<T> {
    /// An offer of the snapshot.
    Offer(Box<Offer>),
    /// The snapshot is complete, as of here; changes follow.
    SnapshotEnd(RecordPosition),
    /// An offer changed, and is one of those asked for.
    Change(Arc<T>),
    /// An offer changed, and is no longer one of those asked for, or no longer the caller's to see.
    Gone(OfferId, RecordPosition),
    /// Everything up to here was told: at the end of the record, and now and then.
    Checkpoint(RecordPosition),
}

/// Everybody who watches in this process. One an [`App`]: it takes the wake-ups of its writer. Cheap to clone.
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
    show: Show<T>,
    limits: WatchLimits,
    /// The tails that run. The task of each has the only strong end, so that watchers hear of its end.
    tails: Mutex<HashMap<Programme, broadcast::WeakSender<Arc<WatchStep<T>>>>>,
    listening: Once,
    places: Arc<WatchSlots>,
    snapshots: Semaphore,
    catching_up: Semaphore,
    stopping: watch::Sender<bool>,
}

impl<T: Send + Sync + 'static> Watches<T> {
    /// Nobody yet.
    #[must_use]
    pub fn new(app: App, show: Show<T>, limits: WatchLimits) -> Self {
        Self(Arc::new(Inner {
            app,
            show,
            limits,
            tails: Mutex::default(),
            listening: Once::new(),
            places: Arc::new(WatchSlots::new(limits.watchers, limits.of_one)),
            snapshots: Semaphore::new(limits.snapshots),
            catching_up: Semaphore::new(limits.catching_up),
            stopping: watch::Sender::new(false),
        }))
    }

    /// Ends everybody's watching, and begins none any more.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// How many watch.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.0.places.taken()
    }

    /// Takes a place to watch from, to be held as long as the watcher's stream exists.
    ///
    /// # Errors
    /// [`AppError::Denied`] when the caller may not read; [`AppError::WatchesTooMany`] of one caller;
    /// [`AppError::Overloaded`] when too many watch.
    pub fn place(&self, caller: &Caller) -> Result<WatchSlot> {
        authorise(caller, Action::Read)?;
        self.0.places.take(&caller.actor)
    }

    /// Watches until it ends; for a caller with a [`WatchSlot`]. Success means that nobody listens any more.
    ///
    /// # Errors
    /// [`AppError::Denied`] and [`AppError::NotFound`] at the start, when the caller's access is checked;
    /// [`AppError::Diverged`] for a place that is not in this history;
    /// [`AppError::TooSlow`]; [`AppError::Stopping`]; [`AppError::Unavailable`] when the database is away for longer than
    /// the retries last.
    pub async fn watch(&self, caller: &Caller, asked: WatchRequest, to: mpsc::Sender<WatchMessage<T>>) -> Result<()> {
        authorise(caller, Action::Read)?;
        let it = &*self.0;
        // In turns until they are known, for a thousand who come at once would each read them.
        let turn = if it.app.has_cached_terms(&asked.programme) { None } else { it.catching_up.acquire().await.ok() };
        it.app.terms(&asked.programme).await?;
        drop(turn);
        let mut stopping = it.stopping.subscribe();
        let scope = Scope { regions: asked.regions, states: asked.states, reach: caller.reach(Action::Read) };
        let feed = Feed::new(self, asked.programme, scope, to.clone());
        tokio::select! {
            biased;
            // It lives as long as this does.
            _ = stopping.wait_for(|stopping| *stopping) => Err(AppError::Stopping),
            () = to.closed() => Ok(()),
            ended = feed.run(asked.start) => ended,
        }
    }

    /// What the tail of a programme hands round from here on. What it handed round before is in the record already.
    async fn subscribe(&self, programme: &Programme) -> Result<broadcast::Receiver<Arc<WatchStep<T>>>> {
        self.0.listening.call_once(|| drop(tokio::spawn(tail::listen(self.clone()))));
        if let Some(receiver) = self.follows(programme) {
            return Ok(receiver);
        }
        // In turns: a thousand watchers that come at once would have the database answer each that it is where it is.
        let _turn = self.0.catching_up.acquire().await;
        if let Some(receiver) = self.follows(programme) {
            return Ok(receiver);
        }
        // Before a tail can start at it: a reader of the record after this misses nothing in between.
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

    /// What the tail of a programme hands round, where it has one.
    fn follows(&self, programme: &Programme) -> Option<broadcast::Receiver<Arc<WatchStep<T>>>> {
        let tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        tails.get(programme).and_then(broadcast::WeakSender::upgrade).map(|tail| tail.subscribe())
    }

    async fn head(&self, programme: &Programme) -> Result<RecordPosition> {
        let head = with_retry(|| programmes::head_of(self.0.app.store(), programme)).await?;
        let head = head.ok_or_else(|| AppError::not_found(EntityKind::Programme, programme))?;
        Ok(RecordPosition { seq: head.last(), hash: head.hash })
    }

    /// Whether a tail has nobody left and was forgotten; the next watcher starts another.
    fn left(&self, programme: &Programme, tail: &broadcast::Sender<Arc<WatchStep<T>>>) -> bool {
        let mut tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tail.receiver_count() == 0;
        if left {
            tails.remove(programme);
        }
        left
    }
}
