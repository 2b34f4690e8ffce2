//! One connection, as its transport and its calls share it: whether it is to be closed, and what waits to be taken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// Calls without a credential that one connection may have in flight: a probe has one.
const ANONYMOUS_CALLS: usize = 16;

/// What is known of a connection apart from its caller.
#[derive(Debug)]
pub(in crate::grpc) struct Entry {
    id: u64,
    closed: AtomicBool,
    /// The task that reads and writes it.
    task: AtomicWaker,
    blocked: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// What waits for the peer.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// Frames of responses that the peer has not taken, with when each was handed to the transport.
    untaken: BTreeMap<u64, Instant>,
    /// Since when the socket takes no bytes.
    blocked_since: Option<Instant>,
    anonymous_calls: usize,
}

impl Entry {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            closed: AtomicBool::default(),
            task: AtomicWaker::new(),
            blocked: AtomicBool::default(),
            waiting: Mutex::default(),
        }
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the connection's task end it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Whether it is to be closed; if not, the task is woken once it is.
    pub(super) fn is_closed(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.closed.load(Ordering::Acquire)
    }

    /// Notes whether the socket took what was written. Only the connection's own task calls this.
    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.blocked.swap(blocked, Ordering::Relaxed) != blocked {
            self.waiting().blocked_since = blocked.then(Instant::now);
        }
    }

    /// Since when the peer has left something untaken, if it has.
    pub(super) fn untaken_since(&self) -> Option<Instant> {
        let waiting = self.waiting();
        waiting.untaken.values().next().copied().into_iter().chain(waiting.blocked_since).min()
    }

    /// A frame goes to the transport; [`Entry::taken`] ends its wait.
    pub(in crate::grpc) fn handed(&self) -> u64 {
        let mut waiting = self.waiting();
        let frame = waiting.next;
        waiting.next = frame.saturating_add(1);
        waiting.untaken.insert(frame, Instant::now());
        frame
    }

    /// The frame has left the transport.
    pub(in crate::grpc) fn taken(&self, frame: u64) {
        self.waiting().untaken.remove(&frame);
    }

    /// A call without a credential, if there are not too many on this connection.
    pub(in crate::grpc) fn begin_anonymous(self: &Arc<Self>) -> Option<AnonymousCall> {
        let mut waiting = self.waiting();
        if waiting.anonymous_calls >= ANONYMOUS_CALLS {
            return None;
        }
        waiting.anonymous_calls = waiting.anonymous_calls.saturating_add(1);
        Some(AnonymousCall(Arc::clone(self)))
    }
}

/// A call without a credential, until its response is gone.
#[derive(Debug)]
pub(in crate::grpc) struct AnonymousCall(Arc<Entry>);

impl Drop for AnonymousCall {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.anonymous_calls = waiting.anonymous_calls.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_longest_counts() {
        let entry = Entry::new(1);
        assert_eq!(entry.untaken_since(), None);
        let (first, second) = (entry.handed(), entry.handed());
        let since = entry.untaken_since().unwrap();
        entry.taken(second);
        assert_eq!(entry.untaken_since(), Some(since));
        entry.taken(first);
        assert_eq!(entry.untaken_since(), None);
        entry.set_blocked(true);
        let blocked = entry.untaken_since().unwrap();
        entry.set_blocked(true);
        assert_eq!(entry.untaken_since(), Some(blocked));
        entry.set_blocked(false);
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn anonymous_calls_are_few_on_one_connection() {
        let entry = Arc::new(Entry::new(1));
        let held: Vec<_> = std::iter::from_fn(|| entry.begin_anonymous()).collect();
        assert_eq!(held.len(), ANONYMOUS_CALLS);
        drop(held);
        assert!(entry.begin_anonymous().is_some());
    }
}
