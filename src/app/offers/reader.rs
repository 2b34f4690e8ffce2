//! Reads of single offers. Reads that wait are answered in batches, since a query for many offers costs nearly as much as for one.
//!
//! There is no timer: a single read is a batch of one. Nothing is cached.

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

/// The most reads that may wait; further ones are refused at once.
const QUEUE: usize = 4_096;
/// The most reads in one batch.
const BATCH: usize = 256;

/// A read that waits, and where to send its answer.
type PendingRead = (OfferId, Reach, oneshot::Sender<Result<Option<WholeOffer>>>);

/// An offer with its awards and caps, from one snapshot.
#[derive(Debug, Clone)]
pub(in crate::app) struct WholeOffer {
    pub(in crate::app) offer: Offer,
    /// In the order they were made.
    pub(in crate::app) awards: Vec<Award>,
    /// The stored caps, which are those of strands with an award.
    pub(in crate::app) caps: Vec<Account>,
}

/// Reads offers by id.
#[derive(Debug)]
pub(in crate::app) struct OfferReader {
    sender: mpsc::Sender<PendingRead>,
}

impl OfferReader {
    /// Starts the task that reads the batches.
    pub(in crate::app) fn start(store: Store) -> Self {
        let (sender, mut waiting) = mpsc::channel::<PendingRead>(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while waiting.recv_many(&mut batch, BATCH).await > 0 {
                answer(&store, std::mem::take(&mut batch)).await;
            }
        });
        Self { sender }
    }

    /// Reads one offer, if it exists within this reach.
    pub(in crate::app) async fn get(&self, id: OfferId, reach: Reach) -> Result<Option<WholeOffer>> {
        let (reply, answer) = oneshot::channel();
        self.sender.try_send((id, reach, reply)).map_err(|_| AppError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the reader dropped a read".to_owned())))
    }
}

/// Reads the offers of a batch and answers each read.
async fn answer(store: &Store, batch: Vec<PendingRead>) {
    let ids: Vec<OfferId> = batch.iter().map(|(id, ..)| *id).collect();
    let found = with_retry(|| async { read(&store.snapshot().await?, &ids).await }).await.map_err(AppError::from);
    for (id, reach, reply) in batch {
        let covered = |it: &&WholeOffer| reach.covers(it.offer.region, it.offer.assignee.as_ref());
        let answer = found.as_ref().map(|offers| offers.get(&id).filter(covered).cloned()).map_err(Clone::clone);
        let _ = reply.send(answer);
    }
}

/// Reads those of these offers that exist in a snapshot.
pub(in crate::app) async fn read(snapshot: &ReadTx, ids: &[OfferId]) -> store::Result<HashMap<OfferId, WholeOffer>> {
    let found = offers::find(snapshot, ids).await?;
    let whole = |offer: Offer| (offer.id, WholeOffer { offer, awards: Vec::new(), caps: Vec::new() });
    let mut found: HashMap<OfferId, WholeOffer> = found.into_values().map(whole).collect();
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
