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
pub(in crate::grpc) struct ConnectionEntry {
    id: u64,
    /// It is a proxy's, which many callers share.
    trusted: bool,
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
    /// Responses of which the transport holds pieces, by their number.
    responses: BTreeMap<u64, UntakenResponse>,
    /// Since when the socket takes no bytes.
    blocked_since: Option<Instant>,
    /// When the socket took bytes again.
    unblocked_at: Option<Instant>,
    anonymous_calls: usize,
}

/// A response of which the transport holds pieces.
#[derive(Debug)]
struct UntakenResponse {
    pieces: usize,
    /// When the last piece left, or the first one came.
    progress: Instant,
}

impl ConnectionEntry {
    pub(in crate::grpc) fn new(id: u64, trusted: bool) -> Self {
        Self {
            id,
            trusted,
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
            let (now, mut waiting) = (Instant::now(), self.waiting());
            waiting.blocked_since = blocked.then_some(now);
            if !blocked {
                waiting.unblocked_at = Some(now);
            }
        }
    }

    /// Since when the peer takes nothing of a response, or of the socket, if it does not.
    ///
    /// A response waits for its peer only while the socket takes bytes. Otherwise it waits for its turn: on a slow line many
    /// responses are sent in turn, however long that takes, and only a socket that takes nothing at all is at fault.
    pub(in crate::grpc) fn untaken_since(&self) -> Option<Instant> {
        let waiting = self.waiting();
        if waiting.blocked_since.is_some() {
            return waiting.blocked_since;
        }
        let oldest = waiting.responses.values().map(|it| it.progress).min();
        oldest.map(|it| waiting.unblocked_at.map_or(it, |unblocked_at| it.max(unblocked_at)))
    }

    /// A number for a response of this connection.
    pub(in crate::grpc) fn number_response(&self) -> u64 {
        let mut waiting = self.waiting();
        let response = waiting.next;
        waiting.next = response.saturating_add(1);
        response
    }

    /// A piece of this response goes to the transport; [`ConnectionEntry::taken`] ends its wait.
    pub(in crate::grpc) fn handed(&self, response: u64) {
        let mut waiting = self.waiting();
        let untaken = UntakenResponse { pieces: 0, progress: Instant::now() };
        let untaken = waiting.responses.entry(response).or_insert(untaken);
        untaken.pieces = untaken.pieces.saturating_add(1);
    }

    /// A piece of this response has left the transport.
    pub(in crate::grpc) fn taken(&self, response: u64) {
        let mut waiting = self.waiting();
        if let Some(untaken) = waiting.responses.get_mut(&response) {
            untaken.pieces = untaken.pieces.saturating_sub(1);
            untaken.progress = Instant::now();
            if untaken.pieces == 0 {
                waiting.responses.remove(&response);
            }
        }
    }

    /// A call without a credential, if there are not too many on this connection; on a trusted proxy's there never are.
    pub(in crate::grpc) fn begin_anonymous(self: &Arc<Self>) -> Option<AnonymousCall> {
        let mut waiting = self.waiting();
        if !self.trusted && waiting.anonymous_calls >= ANONYMOUS_CALLS {
            return None;
        }
        waiting.anonymous_calls = waiting.anonymous_calls.saturating_add(1);
        Some(AnonymousCall(Arc::clone(self)))
    }
}

/// A call without a credential, until its response is gone.
#[derive(Debug)]
pub(in crate::grpc) struct AnonymousCall(Arc<ConnectionEntry>);

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
    fn the_response_without_progress_for_longest_counts() {
        let entry = ConnectionEntry::new(1, false);
        assert_eq!(entry.untaken_since(), None);
        let (first, second) = (entry.number_response(), entry.number_response());
        entry.handed(first);
        entry.handed(first);
        let since = entry.untaken_since().unwrap();
        let begun = Instant::now();
        entry.handed(second);
        assert_eq!(entry.untaken_since(), Some(since));
        entry.taken(first);
        let progressed = entry.untaken_since().unwrap();
        assert!(progressed >= begun, "a piece has left");
        entry.taken(second);
        entry.taken(first);
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn a_response_waits_for_its_peer_only_while_the_socket_takes_bytes() {
        let entry = ConnectionEntry::new(1, false);
        let response = entry.number_response();
        entry.handed(response);
        let before = Instant::now();
        entry.set_blocked(true);
        let blocked = entry.untaken_since().unwrap();
        assert!(blocked >= before);
        entry.set_blocked(true);
        assert_eq!(entry.untaken_since(), Some(blocked));
        let still_blocked = Instant::now();
        entry.set_blocked(false);
        let unblocked = entry.untaken_since().unwrap();
        assert!(unblocked >= still_blocked, "it waited for its turn until now");
        entry.set_blocked(false);
        assert_eq!(entry.untaken_since(), Some(unblocked));
        entry.taken(response);
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn anonymous_calls_are_few_on_one_connection() {
        let entry = Arc::new(ConnectionEntry::new(1, false));
        let held: Vec<_> = std::iter::from_fn(|| entry.begin_anonymous()).collect();
        assert_eq!(held.len(), ANONYMOUS_CALLS);
        drop(held);
        assert!(entry.begin_anonymous().is_some());
        let of_proxy = Arc::new(ConnectionEntry::new(2, true));
        let held: Vec<_> = (0..=ANONYMOUS_CALLS).map(|_| of_proxy.begin_anonymous()).collect();
        assert!(held.iter().all(Option::is_some), "many callers share a proxy's connection");
    }
}
