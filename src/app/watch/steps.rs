//! The record as steps: each event with its offer before and after it, folded as the writer and `verify` fold it. What a
//! step says depends on the record alone: it is the same live, on every replay and in every process.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Show;
use crate::app::retry::with_retry;
use crate::app::{AppError, Result};
use crate::domain::event::{Event, Hash, Seq, genesis};
use crate::domain::ids::{Actor, OfferId, Programme};
use crate::domain::offer::Offer;
use crate::domain::offer::lifecycle::State;
use crate::domain::region::Region;
use crate::domain::role::Reach;
use crate::store::events::Recorded;
use crate::store::{self, Store, events};

/// Events of one read.
pub(super) const PAGE: usize = 256;
/// Offers remembered from one page to the next, so that their past is not read again; past it they are forgotten, all of them.
const KEPT: usize = 1_024;

/// A place in a programme's history: its last event, and the hash that says which history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The event; 0 before the first.
    pub seq: Seq,
    /// Its hash; the programme's own beginning before the first.
    pub hash: Hash,
}

impl RecordPosition {
    /// Before the first event.
    pub(super) fn beginning(programme: &Programme) -> Self {
        Self { seq: Seq(0), hash: genesis(programme) }
    }
}

/// What of an offer decides who sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    region: Region,
    state: State,
    assignee: Option<Actor>,
}

impl Sight {
    pub(super) fn of(offer: &Offer) -> Self {
        Self { region: offer.region, state: offer.state, assignee: offer.assignee.clone() }
    }
}

/// The offers a watcher asked for and may see.
#[derive(Debug, Clone)]
pub struct Scope {
    /// In these regions; any when empty.
    pub regions: Vec<Region>,
    /// In these states; any when empty.
    pub states: Vec<State>,
    /// Within the caller's reach.
    pub reach: Reach,
}

impl Scope {
    pub(super) fn sees(&self, it: &Sight) -> bool {
        (self.regions.is_empty() || self.regions.contains(&it.region))
            && (self.states.is_empty() || self.states.contains(&it.state))
            && self.reach.covers(it.region, it.assignee.as_ref())
    }
}

/// One event.
#[derive(Debug)]
pub(super) struct WatchStep<T> {
    pub(super) position: RecordPosition,
    /// Nothing for an event that is about no offer.
    pub(super) moved: Option<Moved<T>>,
}

/// What an event did to its offer.
#[derive(Debug)]
pub(super) struct Moved<T> {
    pub(super) offer: OfferId,
    /// Nothing where the event made it.
    pub(super) before: Option<Sight>,
    pub(super) after: Sight,
    pub(super) shown: Arc<T>,
}

/// Offers as they are at one place of the record, as far as they are remembered.
#[derive(Debug, Default)]
pub(super) struct OfferFold(HashMap<OfferId, Offer>);

impl OfferFold {
    /// The steps after a place, one page of them at most. Called for one place after the other.
    ///
    /// # Errors
    /// [`AppError::Diverged`] when the place is not in this record.
    pub(super) async fn read<T>(
        &mut self,
        store: &Store,
        programme: &Programme,
        from: RecordPosition,
        show: Show<T>,
    ) -> Result<Vec<WatchStep<T>>> {
        let read = with_retry(|| read(store, programme, from, &self.0)).await?;
        let diverged = || {
            let (seq, programme) = (from.seq, programme.as_str());
            AppError::Diverged(format!(
                "event {seq} of programme {programme} is not the one seen: this record went back to an earlier copy; begin again"
            ))
        };
        let (past, page) = read.ok_or_else(diverged)?;
        for recorded in past {
            self.apply(programme, &recorded.event);
        }
        let steps = page.iter().map(|it| self.step(programme, it, show)).collect();
        if self.0.len() > KEPT {
            self.0.clear();
        }
        Ok(steps)
    }

    fn step<T>(&mut self, programme: &Programme, recorded: &Recorded, show: Show<T>) -> WatchStep<T> {
        let event = &recorded.event;
        let before = event.offer.and_then(|id| self.0.get(&id)).map(Sight::of);
        let moved = self.apply(programme, event).map(|offer| Moved {
            offer: offer.id,
            before,
            after: Sight::of(offer),
            shown: Arc::new(show(recorded, offer)),
        });
        WatchStep { position: RecordPosition { seq: event.seq, hash: recorded.hash }, moved }
    }

    /// The offer after an event of its own.
    fn apply(&mut self, programme: &Programme, event: &Event) -> Option<&Offer> {
        let id = event.offer?;
        match Offer::from_event(programme, event) {
            Some(made) => {
                self.0.insert(id, made);
            }
            None => self.0.get_mut(&id)?.apply(event),
        }
        self.0.get(&id)
    }
}

type Read = (Vec<Recorded>, Vec<Recorded>);

/// A page after a place, and the past of its offers that is not remembered; nothing when the place is not in this record.
/// What is recorded never changes, so the two need no common snapshot.
async fn read(
    store: &Store,
    programme: &Programme,
    from: RecordPosition,
    known: &HashMap<OfferId, Offer>,
) -> store::Result<Option<Read>> {
    // From the place itself, to see whether it is there.
    let place = Seq(from.seq.0.saturating_sub(1));
    let mut page = events::page(store, programme, place, PAGE as u64 + 1).await?;
    if from.seq.0 > 0 {
        let there = page.first().is_some_and(|it| (it.event.seq, it.hash) == (from.seq, from.hash));
        if !there {
            return Ok(None);
        }
        page.remove(0);
    } else if from != RecordPosition::beginning(programme) {
        return Ok(None);
    }
    page.truncate(PAGE);
    let Some(first) = page.first().map(|it| it.event.seq) else { return Ok(Some((Vec::new(), page))) };
    let unknown = page.iter().filter_map(|it| it.event.offer).filter(|id| !known.contains_key(id));
    let unknown: Vec<OfferId> = unknown.collect::<BTreeSet<_>>().into_iter().collect();
    Ok(Some((events::of_offers_before(store, &unknown, first).await?, page)))
}
