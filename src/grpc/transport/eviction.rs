//! Limits the work of unknown callers by a number of slots. If all slots are in use, the oldest work is cancelled for new
//! work.
//!
//! So an inactive client cannot hold all slots, and no client has to wait for a slot.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// A limited number of slots. If all are in use, the oldest is taken from its work.
#[derive(Debug)]
pub(in crate::grpc) struct EvictingSlots {
    capacity: usize,
    in_use: Arc<Mutex<SlotsInUse>>,
}

#[derive(Debug, Default)]
struct SlotsInUse {
    next_id: u64,
    /// Slots by id, the oldest first. Dropping the sender evicts the work of the slot.
    slots: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A slot in use. Dropping this value frees the slot, unless it was taken before.
pub(in crate::grpc) struct EvictingSlot {
    in_use: Arc<Mutex<SlotsInUse>>,
    id: u64,
    /// Ends when the slot is taken for newer work.
    evicted: oneshot::Receiver<()>,
}

impl Drop for EvictingSlot {
    fn drop(&mut self) {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&self.id);
    }
}

impl EvictingSlots {
    /// Makes `capacity` free slots, but at least one.
    pub(in crate::grpc) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), in_use: Arc::default() }
    }

    /// Takes a free slot, or else the oldest slot in use.
    pub(in crate::grpc) fn take(&self) -> EvictingSlot {
        let (sender, evicted) = oneshot::channel();
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let id = in_use.next_id;
        in_use.next_id = id.saturating_add(1);
        if in_use.slots.len() >= self.capacity {
            in_use.slots.pop_first();
        }
        in_use.slots.insert(id, sender);
        EvictingSlot { in_use: Arc::clone(&self.in_use), id, evicted }
    }
}

impl EvictingSlot {
    /// Runs `work` in the slot. Returns `None` if the work was evicted before it was done.
    pub(in crate::grpc) async fn run<R>(mut self, work: impl Future<Output = R>) -> Option<R> {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = &mut self.evicted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_is_evicted_for_the_newest() {
        let slots = EvictingSlots::new(2);
        let mut held: Vec<_> = (0..2).map(|_| Box::pin(slots.take().run(pending::<()>()))).collect();
        assert!(held.iter_mut().all(|it| it.as_mut().now_or_never().is_none()));
        assert_eq!(slots.take().run(ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(held[0].as_mut().now_or_never(), Some(None), "the oldest work was evicted");
        assert!(held[1].as_mut().now_or_never().is_none());
        // A freed slot is used first: no other work is evicted.
        drop(held.remove(0));
        assert_eq!(slots.take().run(ready(8)).now_or_never(), Some(Some(8)));
        assert!(held[0].as_mut().now_or_never().is_none());
    }

    #[test]
    fn the_order_of_taking_counts_and_not_that_of_running() {
        let slots = EvictingSlots::new(1);
        let mut first = Box::pin(slots.take().run(pending::<()>()));
        let mut second = Box::pin(slots.take().run(pending::<()>()));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(first.as_mut().now_or_never(), Some(None), "the newer slot keeps its work");
        assert!(second.as_mut().now_or_never().is_none());
    }
}
