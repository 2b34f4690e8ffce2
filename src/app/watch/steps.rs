//! Reads the record as steps. A step is an event with its offer before and after the event. Offers are folded in the same
//! way as in the writer and in `verify`. A step depends on the record alone, so it is the same on every read and in every
//! process.

use std::collections::{BTreeSet, HashMap};

use super::EncodeChange;
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

/// The number of events in one read.
pub(super) const PAGE: usize = 256;
/// The most offers that are kept from one page to the next, so that their events are not read again. If there are more, all
/// offers are dropped.
const MAX_KEPT_OFFERS: usize = 1_024;

/// A position in a programme's record: the number of an event, and its hash, which identifies the history up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The number of the event; 0 before the first event.
    pub seq: Seq,
    /// The hash of the event; before the first event, the hash that the programme's record begins with.
    pub hash: Hash,
}

impl RecordPosition {
    /// The position before the first event.
    pub(super) fn beginning(programme: &Programme) -> Self {
        Self { seq: Seq(0), hash: genesis(programme) }
    }
}

/// The fields of an offer that decide who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visibility {
    region: Region,
    state: State,
    assignee: Option<Actor>,
}

impl Visibility {
    pub(super) fn of(offer: &Offer) -> Self {
        Self { region: offer.region, state: offer.state, assignee: offer.assignee.clone() }
    }
}

/// The offers that a watcher requested and may see.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Only offers in these regions; all regions if empty.
    pub regions: Vec<Region>,
    /// Only offers in these states; all states if empty.
    pub states: Vec<State>,
    /// The caller's reach, which the offers must be within.
    pub reach: Reach,
}

impl Scope {
    pub(super) fn includes(&self, it: &Visibility) -> bool {
        (self.regions.is_empty() || self.regions.contains(&it.region))
            && (self.states.is_empty() || self.states.contains(&it.state))
            && self.reach.covers(it.region, it.assignee.as_ref())
    }
}

/// One event, as watchers need it.
#[derive(Debug)]
pub(super) struct WatchStep<T> {
    pub(super) position: RecordPosition,
    /// `None` for an event without an offer.
    pub(super) change: Option<OfferChange<T>>,
}

/// The change that an event made to its offer.
#[derive(Debug)]
pub(super) struct OfferChange<T> {
    pub(super) offer: OfferId,
    /// `None` if the event made the offer.
    pub(super) before: Option<Visibility>,
    pub(super) after: Visibility,
    pub(super) encoded: T,
}

/// The state of some offers at one position of the record.
#[derive(Debug, Default)]
pub(super) struct OfferFold(HashMap<OfferId, Offer>);

impl OfferFold {
    /// Reads the steps after a position, at most one page. The position must be the end of the last page that this fold read,
    /// if it has read any.
    ///
    /// # Errors
    /// [`AppError::Diverged`] if the position is not in this record.
    pub(super) async fn read<T>(
        &mut self,
        store: &Store,
        programme: &Programme,
        from: RecordPosition,
        encode: EncodeChange<T>,
    ) -> Result<Vec<WatchStep<T>>> {
        let page = with_retry(|| read_page(store, programme, from, &self.0)).await?;
        let diverged = || {
            let (seq, programme) = (from.seq, programme.as_str());
            AppError::Diverged(format!(
                "event {seq} of programme {programme} is not the one seen: this record went back to an earlier copy; begin again"
            ))
        };
        let PageWithEarlier { earlier, page } = page.ok_or_else(diverged)?;
        for recorded in earlier {
            self.apply(programme, &recorded.event);
        }
        let steps = page.iter().map(|it| self.step(programme, it, encode)).collect();
        if self.0.len() > MAX_KEPT_OFFERS {
            self.0.clear();
        }
        Ok(steps)
    }

    /// Applies an event of the page and makes its step.
    fn step<T>(&mut self, programme: &Programme, recorded: &Recorded, encode: EncodeChange<T>) -> WatchStep<T> {
        let event = &recorded.event;
        let before = event.offer.and_then(|id| self.0.get(&id)).map(Visibility::of);
        let change = self.apply(programme, event).map(|offer| OfferChange {
            offer: offer.id,
            before,
            after: Visibility::of(offer),
            encoded: encode(recorded, offer),
        });
        WatchStep { position: RecordPosition { seq: event.seq, hash: recorded.hash }, change }
    }

    /// Applies an event and returns its offer after the event; `None` if the event has no offer.
    fn apply(&mut self, programme: &Programme, event: &Event) -> Option<&Offer> {
        let id = event.offer?;
        match Offer::from_event(programme, event) {
            Some(offer) => {
                self.0.insert(id, offer);
            }
            None => self.0.get_mut(&id)?.apply(event),
        }
        self.0.get(&id)
    }
}

/// A page of events, with earlier events of the offers that it changes.
struct PageWithEarlier {
    earlier: Vec<Recorded>,
    page: Vec<Recorded>,
}

/// Reads the page after a position, and the earlier events of the page's offers, except for offers in `kept_offers`. Returns
/// `None` if the position is not in this record. Events never change, so the two reads need not use the same snapshot.
async fn read_page(
    store: &Store,
    programme: &Programme,
    from: RecordPosition,
    kept_offers: &HashMap<OfferId, Offer>,
) -> store::Result<Option<PageWithEarlier>> {
    // The event at the position is read too, to compare its hash.
    let before_position = Seq(from.seq.0.saturating_sub(1));
    let mut page = events::page(store, programme, before_position, PAGE as u64 + 1).await?;
    if from.seq.0 > 0 {
        let is_in_record = page.first().is_some_and(|it| (it.event.seq, it.hash) == (from.seq, from.hash));
        if !is_in_record {
            return Ok(None);
        }
        page.remove(0);
    } else if from != RecordPosition::beginning(programme) {
        return Ok(None);
    }
    page.truncate(PAGE);
    let Some(first) = page.first().map(|it| it.event.seq) else {
        return Ok(Some(PageWithEarlier { earlier: Vec::new(), page }));
    };
    let other_offers = page.iter().filter_map(|it| it.event.offer).filter(|id| !kept_offers.contains_key(id));
    let other_offers: Vec<OfferId> = other_offers.collect::<BTreeSet<_>>().into_iter().collect();
    let earlier = events::of_offers_before(store, &other_offers, first).await?;
    Ok(Some(PageWithEarlier { earlier, page }))
}
