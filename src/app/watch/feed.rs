//! One watcher: its snapshot, what it missed, and then what the tail hands round.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::time::{Instant, timeout, timeout_at};

use super::steps::{OfferFold, PAGE, RecordPosition, Scope, Sight, WatchStep};
use super::{Start, WatchMessage, Watches};
use crate::app::retry::with_retry;
use crate::app::{AppError, OfferFilter, OfferOrder, OfferPlace, Result, WantedOffers};
use crate::domain::event::Seq;
use crate::domain::ids::Programme;
use crate::domain::refusal::EntityKind;
use crate::store::{events, offers, programmes};

/// Offers of one page of a snapshot.
const OFFERS: u64 = 200;

/// A watcher at its place.
pub(super) struct Feed<'a, T> {
    watches: &'a Watches<T>,
    programme: Programme,
    scope: Scope,
    to: Sender<WatchMessage<T>>,
    /// The last place it was told; it can resume there.
    said: Option<RecordPosition>,
    /// When it was last told anything.
    told: Instant,
}

impl<'a, T: Send + Sync + 'static> Feed<'a, T> {
    pub(super) fn new(
        watches: &'a Watches<T>,
        programme: Programme,
        scope: Scope,
        to: Sender<WatchMessage<T>>,
    ) -> Self {
        Self { watches, programme, scope, to, said: None, told: Instant::now() }
    }

    /// Tells for ever.
    pub(super) async fn run(mut self, start: Start) -> Result<()> {
        // First, so that nothing can come between what is read by itself and what is handed round.
        let mut tail = self.watches.subscribe(&self.programme).await?;
        let mut position = match start {
            Start::Snapshot => self.snapshot().await?,
            Start::After(seq) => self.place_of(seq).await?,
            Start::Resume(position) => position,
        };
        loop {
            position = self.catch_up(position).await?;
            position = self.live(position, &mut tail).await?;
        }
    }

    /// Takes steps from the tail as long as each is the next one; answers the place after which one is missing.
    async fn live(
        &mut self,
        mut position: RecordPosition,
        tail: &mut Receiver<Arc<WatchStep<T>>>,
    ) -> Result<RecordPosition> {
        loop {
            let quiet = self.told.checked_add(self.watches.0.limits.quiet).unwrap_or(self.told);
            match timeout_at(quiet, tail.recv()).await {
                Err(_) => self.say(WatchMessage::Checkpoint(position), position).await?,
                Ok(Ok(step)) if step.position.seq <= position.seq => {}
                Ok(Ok(step)) if step.position.seq.0 == position.seq.0.saturating_add(1) => {
                    position = self.take(&step).await?;
                }
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => return Ok(position),
                Ok(Err(RecvError::Closed)) => {
                    *tail = self.watches.subscribe(&self.programme).await?;
                    return Ok(position);
                }
            }
        }
    }

    /// Reads the record on from a place to its end, and says that it is there.
    async fn catch_up(&mut self, mut position: RecordPosition) -> Result<RecordPosition> {
        let mut fold = OfferFold::default();
        loop {
            let it = &*self.watches.0;
            let turn = it.catching_up.acquire().await;
            let steps = fold.read(it.app.store(), &self.programme, position, it.show).await?;
            drop(turn);
            for step in &steps {
                position = self.take(step).await?;
            }
            if steps.len() < PAGE {
                break;
            }
        }
        self.say(WatchMessage::Checkpoint(position), position).await?;
        Ok(position)
    }

    /// Tells a step, if it is for this watcher.
    async fn take(&mut self, step: &WatchStep<T>) -> Result<RecordPosition> {
        let position = step.position;
        let told = step.moved.as_ref().and_then(|moved| {
            if self.scope.sees(&moved.after) {
                return Some(WatchMessage::Change(Arc::clone(&moved.shown)));
            }
            let seen = moved.before.as_ref().is_some_and(|before| self.scope.sees(before));
            seen.then_some(WatchMessage::Gone(moved.offer, position))
        });
        let late = || self.told.elapsed() >= self.watches.0.limits.quiet;
        if let Some(told) = told.or_else(|| late().then_some(WatchMessage::Checkpoint(position))) {
            self.say(told, position).await?;
        }
        Ok(position)
    }

    /// Every offer as it is now, over one snapshot, and the place it is of.
    async fn snapshot(&mut self) -> Result<RecordPosition> {
        let watches = self.watches;
        let limits = watches.0.limits;
        let _turn = watches.0.snapshots.acquire().await;
        let late = |_| {
            AppError::TooSlow(format!("the snapshot took longer than {} s: begin again", limits.snapshot.as_secs()))
        };
        let position = timeout(limits.snapshot, self.offers()).await.map_err(late)??;
        self.say(WatchMessage::SnapshotEnd(position), position).await?;
        Ok(position)
    }

    async fn offers(&mut self) -> Result<RecordPosition> {
        let snapshot = self.watches.0.app.snapshot().await?;
        let head = programmes::head_of(&snapshot, &self.programme).await?;
        let head = head.ok_or_else(|| AppError::not_found(EntityKind::Programme, &self.programme))?;
        let (reach, all, mut after) = (self.scope.reach.clone(), OfferFilter::default(), None);
        loop {
            let (programme, order) = (&self.programme, OfferOrder::Made);
            let requested =
                WantedOffers { programme, filter: &all, order, after: after.as_ref(), limit: OFFERS, parts: true };
            let page = offers::page(&snapshot, &reach, &requested).await?;
            let Some(last) = page.last() else { break };
            after = Some(OfferPlace { offer: last.id, name: last.name.clone() });
            for offer in page {
                if self.scope.sees(&Sight::of(&offer)) {
                    self.tell(WatchMessage::Offer(Box::new(offer))).await?;
                }
            }
        }
        Ok(RecordPosition { seq: head.last(), hash: head.hash })
    }

    /// A place by its number alone.
    async fn place_of(&self, seq: Seq) -> Result<RecordPosition> {
        if seq.0 == 0 {
            return Ok(RecordPosition::beginning(&self.programme));
        }
        let (store, before) = (self.watches.0.app.store(), Seq(seq.0.saturating_sub(1)));
        let found = with_retry(|| events::page(store, &self.programme, before, 1)).await?.pop();
        let missing = || AppError::Diverged(format!("programme {} has no event {seq}: begin again", self.programme));
        found.map(|it| RecordPosition { seq, hash: it.hash }).ok_or_else(missing)
    }

    /// Sends a message that ends a place.
    async fn say(&mut self, told: WatchMessage<T>, position: RecordPosition) -> Result<()> {
        self.tell(told).await?;
        self.said = Some(position);
        Ok(())
    }

    /// Sends a message, to somebody who takes one now and then.
    async fn tell(&mut self, told: WatchMessage<T>) -> Result<()> {
        let stalled = self.watches.0.limits.stalled;
        match self.to.send_timeout(told, stalled).await {
            // A watcher that has gone is noticed elsewhere.
            Ok(()) | Err(SendTimeoutError::Closed(_)) => {
                self.told = Instant::now();
                Ok(())
            }
            Err(SendTimeoutError::Timeout(_)) => {
                let on = match self.said {
                    Some(position) => format!("resume after sequence {}", position.seq),
                    None => "begin as before".to_owned(),
                };
                Err(AppError::TooSlow(format!("no message was taken for {} s: {on}", stalled.as_secs())))
            }
        }
    }
}
