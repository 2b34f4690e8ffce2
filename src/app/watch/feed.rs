//! Sends messages to one watcher: its snapshot, the changes that it missed, and then the steps that the tail broadcasts.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::time::{Instant, timeout, timeout_at};

use super::steps::{OfferFold, PAGE, RecordPosition, Scope, Visibility, WatchStep};
use super::{Start, WatchMessage, Watches};
use crate::app::retry::with_retry;
use crate::app::{AppError, OfferFilter, OfferOrder, OfferPageQuery, OfferPageStart, Result};
use crate::domain::event::Seq;
use crate::domain::ids::Programme;
use crate::domain::refusal::EntityKind;
use crate::store::{events, offers, programmes};

/// The number of offers in one page of a snapshot.
const OFFERS_PER_PAGE: u64 = 200;

/// The feed of one watcher.
pub(super) struct Feed<'a, T> {
    watches: &'a Watches<T>,
    programme: Programme,
    scope: Scope,
    to: Sender<WatchMessage<T>>,
    /// The last position that was sent, at which the watcher can resume; `None` until one is sent.
    sent_position: Option<RecordPosition>,
    /// When a message was last sent.
    sent_at: Instant,
}

impl<'a, T: Clone + Send + Sync + 'static> Feed<'a, T> {
    pub(super) fn new(
        watches: &'a Watches<T>,
        programme: Programme,
        scope: Scope,
        to: Sender<WatchMessage<T>>,
    ) -> Self {
        Self { watches, programme, scope, to, sent_position: None, sent_at: Instant::now() }
    }

    /// Sends the snapshot if one is requested, and then changes until an error ends the watch. Never returns `Ok`.
    pub(super) async fn run(mut self, start: Start) -> Result<()> {
        // Subscribe first, so that no step can be missed between reading the record and following the tail.
        let mut tail = self.watches.subscribe(&self.programme).await?;
        let mut position = match start {
            Start::Snapshot => self.send_snapshot().await?,
            Start::After(seq) => self.find_position(seq).await?,
            Start::Resume(position) => position,
        };
        loop {
            position = self.catch_up(position).await?;
            position = self.follow_tail(position, &mut tail).await?;
        }
    }

    /// Sends the steps of the tail as long as each step follows the last one. Returns the position after which a step is
    /// missing, or at which the tail ended; then the tail is subscribed to again.
    async fn follow_tail(
        &mut self,
        mut position: RecordPosition,
        tail: &mut Receiver<Arc<WatchStep<T>>>,
    ) -> Result<RecordPosition> {
        loop {
            let checkpoint_due = self.sent_at.checked_add(self.watches.0.limits.quiet).unwrap_or(self.sent_at);
            match timeout_at(checkpoint_due, tail.recv()).await {
                Err(_) => self.send_position(WatchMessage::Checkpoint(position), position).await?,
                Ok(Ok(step)) if step.position.seq <= position.seq => {}
                Ok(Ok(step)) if step.position.seq.0 == position.seq.0.saturating_add(1) => {
                    position = self.send_step(&step).await?;
                }
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => return Ok(position),
                Ok(Err(RecvError::Closed)) => {
                    *tail = self.watches.subscribe(&self.programme).await?;
                    return Ok(position);
                }
            }
        }
    }

    /// Reads the record after a position to its end and sends the steps, then a checkpoint. Returns the position of the end.
    async fn catch_up(&mut self, mut position: RecordPosition) -> Result<RecordPosition> {
        let mut fold = OfferFold::default();
        loop {
            let it = &*self.watches.0;
            let permit = it.catching_up.acquire().await;
            let steps = fold.read(it.app.store(), &self.programme, position, it.encode).await?;
            drop(permit);
            for step in &steps {
                position = self.send_step(step).await?;
            }
            if steps.len() < PAGE {
                break;
            }
        }
        self.send_position(WatchMessage::Checkpoint(position), position).await?;
        Ok(position)
    }

    /// Sends a step if its offer is in the watcher's scope, or was before the step. Otherwise sends a checkpoint if no
    /// message was sent for some time. Returns the position of the step.
    async fn send_step(&mut self, step: &WatchStep<T>) -> Result<RecordPosition> {
        let position = step.position;
        let message = step.change.as_ref().and_then(|change| {
            if self.scope.includes(&change.after) {
                return Some(WatchMessage::Change(change.encoded.clone()));
            }
            let was_included = change.before.as_ref().is_some_and(|before| self.scope.includes(before));
            was_included.then_some(WatchMessage::Gone(change.offer, position))
        });
        let is_due = || self.sent_at.elapsed() >= self.watches.0.limits.quiet;
        if let Some(message) = message.or_else(|| is_due().then_some(WatchMessage::Checkpoint(position))) {
            self.send_position(message, position).await?;
        }
        Ok(position)
    }

    /// Sends every current offer in scope from one snapshot, and then the end of the snapshot. Returns the snapshot's
    /// position.
    async fn send_snapshot(&mut self) -> Result<RecordPosition> {
        let watches = self.watches;
        let limits = watches.0.limits;
        let _permit = watches.0.snapshots.acquire().await;
        let too_slow = |_| {
            AppError::TooSlow(format!("the snapshot took longer than {} s: begin again", limits.snapshot.as_secs()))
        };
        let position = timeout(limits.snapshot, self.send_offers()).await.map_err(too_slow)??;
        self.send_position(WatchMessage::SnapshotEnd(position), position).await?;
        Ok(position)
    }

    /// Sends every current offer in scope, page by page. Returns the position of the snapshot.
    async fn send_offers(&mut self) -> Result<RecordPosition> {
        let snapshot = self.watches.0.app.snapshot().await?;
        let head = programmes::head_of(&snapshot, &self.programme).await?;
        let head = head.ok_or_else(|| AppError::not_found(EntityKind::Programme, &self.programme))?;
        let (reach, no_filter, mut after) = (self.scope.reach.clone(), OfferFilter::default(), None);
        loop {
            let (programme, order) = (&self.programme, OfferOrder::Made);
            let requested = OfferPageQuery {
                programme,
                filter: &no_filter,
                order,
                after: after.as_ref(),
                limit: OFFERS_PER_PAGE,
                parts: true,
            };
            let page = offers::page(&snapshot, &reach, &requested).await?;
            let Some(last) = page.last() else { break };
            after = Some(OfferPageStart { offer: last.id, name: last.name.clone() });
            for offer in page {
                if self.scope.includes(&Visibility::of(&offer)) {
                    self.send(WatchMessage::Offer(Box::new(offer))).await?;
                }
            }
        }
        Ok(RecordPosition { seq: head.last(), hash: head.hash })
    }

    /// Reads the position of an event, given only its number.
    ///
    /// # Errors
    /// [`AppError::Diverged`] if the record has no such event.
    async fn find_position(&self, seq: Seq) -> Result<RecordPosition> {
        if seq.0 == 0 {
            return Ok(RecordPosition::beginning(&self.programme));
        }
        let (store, before) = (self.watches.0.app.store(), Seq(seq.0.saturating_sub(1)));
        let recorded = with_retry(|| events::page(store, &self.programme, before, 1)).await?.pop();
        let missing = || AppError::Diverged(format!("programme {} has no event {seq}: begin again", self.programme));
        recorded.map(|it| RecordPosition { seq, hash: it.hash }).ok_or_else(missing)
    }

    /// Sends a message after which the watcher can resume at this position.
    async fn send_position(&mut self, message: WatchMessage<T>, position: RecordPosition) -> Result<()> {
        self.send(message).await?;
        self.sent_position = Some(position);
        Ok(())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`AppError::TooSlow`] if the watcher does not take the message in time.
    async fn send(&mut self, message: WatchMessage<T>) -> Result<()> {
        let stalled = self.watches.0.limits.stalled;
        match self.to.send_timeout(message, stalled).await {
            // `Watches::watch` notices that the watcher has closed the receiver, and ends the watch.
            Ok(()) | Err(SendTimeoutError::Closed(_)) => {
                self.sent_at = Instant::now();
                Ok(())
            }
            Err(SendTimeoutError::Timeout(_)) => {
                let advice = match self.sent_position {
                    Some(position) => format!("resume after sequence {}", position.seq),
                    None => "begin as before".to_owned(),
                };
                Err(AppError::TooSlow(format!("no message was taken for {} s: {advice}", stalled.as_secs())))
            }
        }
    }
}
