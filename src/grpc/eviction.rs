//! Few places for strangers: where all are taken, whoever has had one longest makes way for the next.
//!
//! So nobody can hold all of them by doing nothing, and nobody has to wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Places of which the oldest is evicted.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// By their number, which grows; dropping the sender evicts.
    places: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Frees its place when dropped, if it has not been evicted.
struct Place<'a> {
    places: &'a Places,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.places.taken.lock().unwrap_or_else(PoisonError::into_inner).places.remove(&self.id);
    }
}

impl Places {
    /// All of them free; there is one at least.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: Mutex::default() }
    }

    /// Takes a place and works in it; nothing where it was evicted before it was done.
    pub(super) async fn work<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        let (_place, evicted) = self.take();
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = evicted => None,
        }
    }

    fn take(&self) -> (Place<'_>, oneshot::Receiver<()>) {
        let (sender, evicted) = oneshot::channel();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let id = taken.next;
        taken.next = id.saturating_add(1);
        if taken.places.len() >= self.most {
            taken.places.pop_first();
        }
        taken.places.insert(id, sender);
        (Place { places: self, id }, evicted)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_makes_way_for_the_newest() {
        let places = Places::new(2);
        let mut held: Vec<_> = (0..2).map(|_| Box::pin(places.work(pending::<()>()))).collect();
        assert!(held.iter_mut().all(|it| it.as_mut().now_or_never().is_none()));
        assert_eq!(places.work(ready(7)).now_or_never(), Some(Some(7)));
        assert_eq!(held[0].as_mut().now_or_never(), Some(None), "evicted");
        assert!(held[1].as_mut().now_or_never().is_none());
        // A place that was given back is free: nobody is evicted for it.
        drop(held.remove(0));
        assert_eq!(places.work(ready(8)).now_or_never(), Some(Some(8)));
        assert!(held[0].as_mut().now_or_never().is_none());
    }
}
