//! Reads of single offers, waiting ones grouped into a few queries: a query costs nearly the same for one as for many.
//!
//! Nothing waits on a timer: a lone read is a group of one. Nothing is cached.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};

use crate::app::retry::with_retry;
use crate::app::{AppError, Result};
use crate::domain::award::Award;
use crate::domain::ids::OfferId;
use crate::domain::ledger::{Account, Owner};
use crate::domain::offer::Offer;
use crate::domain::role::Reach;
use crate::store::{self, ReadTx, Store, accounts, awards, offers};

/// Reads that may wait; past it a caller is told at once.
const QUEUE: usize = 4_096;
/// Reads in one group of queries.
const GROUP: usize = 256;

type Wanted = (OfferId, Reach, oneshot::Sender<Result<Option<Whole>>>);

/// An offer with what was awarded under it, all of one moment.
#[derive(Debug, Clone)]
pub(in crate::app) struct Whole {
    pub(in crate::app) offer: Offer,
    /// In the order they were made.
    pub(in crate::app) awards: Vec<Award>,
    /// The caps that are stored: of strands something was awarded of.
    pub(in crate::app) caps: Vec<Account>,
}

/// Reads offers by id.
#[derive(Debug)]
pub(in crate::app) struct OfferReader {
    requested: mpsc::Sender<Wanted>,
}

impl OfferReader {
    /// Starts the task that reads.
    pub(in crate::app) fn start(store: Store) -> Self {
        let (requested, mut waiting) = mpsc::channel::<Wanted>(QUEUE);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(GROUP);
            while waiting.recv_many(&mut group, GROUP).await > 0 {
                answer(&store, std::mem::take(&mut group)).await;
            }
        });
        Self { requested }
    }

    /// One offer, if it exists within this reach.
    pub(in crate::app) async fn get(&self, id: OfferId, reach: Reach) -> Result<Option<Whole>> {
        let (reply, answer) = oneshot::channel();
        self.requested.try_send((id, reach, reply)).map_err(|_| AppError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the reader dropped a read".to_owned())))
    }
}

async fn answer(store: &Store, group: Vec<Wanted>) {
    let ids: Vec<OfferId> = group.iter().map(|(id, ..)| *id).collect();
    let found = with_retry(|| async { read(&store.snapshot().await?, &ids).await }).await.map_err(AppError::from);
    for (id, reach, reply) in group {
        let covered = |it: &&Whole| reach.covers(it.offer.region, it.offer.assignee.as_ref());
        let one = found.as_ref().map(|offers| offers.get(&id).filter(covered).cloned()).map_err(Clone::clone);
        let _ = reply.send(one);
    }
}

/// These offers as they are in a snapshot, those that exist.
pub(in crate::app) async fn read(snapshot: &ReadTx, ids: &[OfferId]) -> store::Result<HashMap<OfferId, Whole>> {
    let found = offers::find(snapshot, ids).await?;
    let whole = |offer: Offer| (offer.id, Whole { offer, awards: Vec::new(), caps: Vec::new() });
    let mut found: HashMap<OfferId, Whole> = found.into_values().map(whole).collect();
    if found.is_empty() {
        return Ok(found);
    }
    for award in awards::of_offers(snapshot, ids).await?.into_values() {
        if let Some(whole) = found.get_mut(&award.offer) {
            whole.awards.push(award);
        }
    }
    for cap in accounts::caps(snapshot, ids).await? {
        if let Owner::Cap { offer } = cap.owner
            && let Some(whole) = found.get_mut(&offer)
        {
            whole.caps.push(cap);
        }
    }
    Ok(found)
}
