//! A bounded number of slots for work of unknown callers: if all are in use, the work that began first is cancelled for the
//! next.
//!
//! So nobody can hold all of them by doing nothing, and nobody has to wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Slots of which the oldest is evicted.
#[derive(Debug)]
pub(in crate::grpc) struct EvictingSlots {
    most: usize,
    in_use: Mutex<SlotsInUse>,
}

#[derive(Debug, Default)]
struct SlotsInUse {
    next: u64,
    /// By their number, which grows; dropping the sender evicts.
    slots: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Frees its slot when dropped, if it has not been evicted.
struct EvictingSlot<'a> {
    slots: &'a EvictingSlots,
    id: u64,
}

impl Drop for EvictingSlot<'_> {
    fn drop(&mut self) {
        self.slots.in_use.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&self.id);
    }
}

impl EvictingSlots {
    /// All of them free; there is one at least.
    pub(in crate::grpc) fn new(most: usize) -> Self {
        Self { most: most.max(1), in_use: Mutex::default() }
    }

    /// Takes a slot and works in it; nothing where it was evicted before it was done.
    pub(in crate::grpc) async fn work<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        let (_slot, evicted) = self.take();
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = evicted => None,
        }
    }

    fn take(&self) -> (EvictingSlot<'_>, oneshot::Receiver<()>) {
        let (sender, evicted) = oneshot::channel();
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let id = in_use.next;
        in_use.next = id.saturating_add(1);
        if in_use.slots.len() >= self.most {
            in_use.slots.pop_first();
        }
        in_use.slots.insert(id, sender);
        (EvictingSlot { slots: self, id }, evicted)
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
        let mut held: Vec<_> = (0..2).map(|_| Box::pin(slots.work(pending::<()>()))).collect();
        assert!(held.iter_mut().all(|it| it.as_mut().now_or_never().is_none()));
        assert_eq!(slots.work(ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(held[0].as_mut().now_or_never(), Some(None), "evicted");
        assert!(held[1].as_mut().now_or_never().is_none());
        // A slot that was given back is free: nobody is evicted for it.
        drop(held.remove(0));
        assert_eq!(slots.work(ready(8)).now_or_never(), Some(Some(8)));
        assert!(held[0].as_mut().now_or_never().is_none());
    }
}
