//! Reads single offers. Waiting reads are answered in batches, because a query for many offers takes little longer than a
//! query for one.
//!
//! No read waits for a timer: if only one read waits, it is a batch of its own. Nothing is cached.

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

/// The most reads that may wait; further reads are refused immediately.
const MAX_WAITING_READS: usize = 4_096;
/// The most reads in one batch.
const MAX_BATCH: usize = 256;

/// A read that waits: the offer, the reach of the caller, and the channel for the answer.
type PendingRead = (OfferId, Reach, oneshot::Sender<Result<Option<WholeOffer>>>);

/// An offer with its awards and caps, from one snapshot.
#[derive(Debug, Clone)]
pub(in crate::app) struct WholeOffer {
    pub(in crate::app) offer: Offer,
    /// In the order in which they were made.
    pub(in crate::app) awards: Vec<Award>,
    /// The stored caps. A cap is stored once there is an award of its strand.
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
        let (sender, mut waiting) = mpsc::channel::<PendingRead>(MAX_WAITING_READS);
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(MAX_BATCH);
            while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
                answer_batch(&store, std::mem::take(&mut batch)).await;
            }
        });
        Self { sender }
    }

    /// Reads one offer; `None` if it does not exist or is outside this reach.
    ///
    /// # Errors
    /// [`AppError::Overloaded`] if too many reads wait; [`AppError::Unavailable`].
    pub(in crate::app) async fn get(&self, id: OfferId, reach: Reach) -> Result<Option<WholeOffer>> {
        let (reply, answer) = oneshot::channel();
        self.sender.try_send((id, reach, reply)).map_err(|_| AppError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the reader dropped a read".to_owned())))
    }
}

/// Reads the offers of a batch and answers each read.
async fn answer_batch(store: &Store, batch: Vec<PendingRead>) {
    let ids: Vec<OfferId> = batch.iter().map(|(id, ..)| *id).collect();
    let found = with_retry(|| async { read(&store.snapshot().await?, &ids).await }).await.map_err(AppError::from);
    for (id, reach, reply) in batch {
        let covered = |it: &&WholeOffer| reach.covers(it.offer.region, it.offer.assignee.as_ref());
        let answer = found.as_ref().map(|offers| offers.get(&id).filter(covered).cloned()).map_err(Clone::clone);
        let _ = reply.send(answer);
    }
}

/// Reads these offers from a snapshot, each with its awards and stored caps. Offers that do not exist are left out.
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
