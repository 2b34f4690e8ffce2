//! Reads of single offers, waiting ones grouped into one query: a query costs nearly the same for one as for many.
//!
//! Nothing waits on a timer: a lone read is a group of one. Nothing is cached.

use tokio::sync::{mpsc, oneshot};

use crate::app::retry::retried;
use crate::app::{AppError, Result};
use crate::domain::ids::OfferId;
use crate::domain::offer::Offer;
use crate::store::{Store, offers};

/// Reads that may wait; past it a caller is told at once.
const QUEUE: usize = 4_096;
/// Reads in one query.
const GROUP: usize = 256;

type Wanted = (OfferId, oneshot::Sender<Result<Option<Offer>>>);

/// Reads offers by id.
#[derive(Debug)]
pub(in crate::app) struct OfferReader {
    wanted: mpsc::Sender<Wanted>,
}

impl OfferReader {
    /// Starts the task that reads.
    pub(in crate::app) fn start(store: Store) -> Self {
        let (wanted, mut waiting) = mpsc::channel::<Wanted>(QUEUE);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(GROUP);
            while waiting.recv_many(&mut group, GROUP).await > 0 {
                answer(&store, std::mem::take(&mut group)).await;
            }
        });
        Self { wanted }
    }

    /// One offer, if it exists.
    pub(in crate::app) async fn get(&self, id: OfferId) -> Result<Option<Offer>> {
        let (reply, answer) = oneshot::channel();
        self.wanted.try_send((id, reply)).map_err(|_| AppError::Overloaded)?;
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the reader dropped a read".to_owned())))
    }
}

async fn answer(store: &Store, group: Vec<Wanted>) {
    let ids: Vec<OfferId> = group.iter().map(|(id, _)| *id).collect();
    let found = retried(|| offers::find(store, &ids)).await.map_err(AppError::from);
    for (id, reply) in group {
        let one = found.as_ref().map(|offers| offers.get(&id).cloned()).map_err(Clone::clone);
        let _ = reply.send(one);
    }
}
