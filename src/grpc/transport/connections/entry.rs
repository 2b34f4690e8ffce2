//! Keeps the state of one connection, which its transport and its requests share: whether it must close, and which
//! responses the peer has not taken yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// The most anonymous requests in flight on one connection. A probe sends one at a time.
const MAX_ANONYMOUS_CALLS: usize = 16;

/// The state of a connection, apart from its caller.
#[derive(Debug)]
pub(in crate::grpc) struct ConnectionEntry {
    id: u64,
    /// True if the connection comes from a trusted proxy, which many callers share.
    trusted: bool,
    /// True if the connection must close.
    closed: AtomicBool,
    /// The task that reads and writes the connection.
    task: AtomicWaker,
    /// True if the socket accepts no bytes now.
    blocked: AtomicBool,
    pending: Mutex<PendingWrites>,
}

/// The responses that the peer has not taken, the state of the socket, and the number of anonymous requests in flight.
#[derive(Debug, Default)]
struct PendingWrites {
    next_response: u64,
    /// The responses of which the transport still holds pieces, by number.
    responses: BTreeMap<u64, UntakenResponse>,
    /// Since when the socket accepts no bytes; `None` if it accepts bytes now.
    blocked_since: Option<Instant>,
    /// When the socket last accepted bytes again.
    unblocked_at: Option<Instant>,
    anonymous_calls: usize,
}

/// A response of which the transport still holds pieces.
#[derive(Debug)]
struct UntakenResponse {
    /// The number of pieces in the transport.
    pieces: usize,
    /// When a piece last left the transport. Before that, when the first piece came to the transport.
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
            pending: Mutex::default(),
        }
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    fn pending(&self) -> MutexGuard<'_, PendingWrites> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the task of the connection end the connection.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Returns true if the connection must close. If not, a later call of [`ConnectionEntry::close`] wakes the task.
    pub(super) fn is_closed(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.closed.load(Ordering::Acquire)
    }

    /// Records whether the socket accepts bytes. Only the task of the connection calls this.
    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.blocked.swap(blocked, Ordering::Relaxed) != blocked {
            let (now, mut pending) = (Instant::now(), self.pending());
            pending.blocked_since = blocked.then_some(now);
            if !blocked {
                pending.unblocked_at = Some(now);
            }
        }
    }

    /// Returns since when the peer has taken no bytes from the socket, or no piece of some response. Returns `None` if the
    /// socket accepts bytes and no response has pieces in the transport.
    ///
    /// While the socket is blocked, only the socket counts. On a slow connection many responses share the socket, and each
    /// waits until the others are sent, which is not the fault of the peer. So the wait of a response starts when the
    /// socket unblocks.
    pub(in crate::grpc) fn untaken_since(&self) -> Option<Instant> {
        let pending = self.pending();
        if pending.blocked_since.is_some() {
            return pending.blocked_since;
        }
        let oldest = pending.responses.values().map(|it| it.progress).min();
        oldest.map(|it| pending.unblocked_at.map_or(it, |unblocked_at| it.max(unblocked_at)))
    }

    /// Numbers a new response on this connection, and returns the number.
    pub(in crate::grpc) fn add_response(&self) -> u64 {
        let mut pending = self.pending();
        let response = pending.next_response;
        pending.next_response = response.saturating_add(1);
        response
    }

    /// Records that a piece of this response was given to the transport; [`ConnectionEntry::record_taken`] is the
    /// counterpart.
    pub(in crate::grpc) fn record_handed(&self, response: u64) {
        let mut pending = self.pending();
        let untaken = UntakenResponse { pieces: 0, progress: Instant::now() };
        let untaken = pending.responses.entry(response).or_insert(untaken);
        untaken.pieces = untaken.pieces.saturating_add(1);
    }

    /// Records that a piece of this response has left the transport.
    pub(in crate::grpc) fn record_taken(&self, response: u64) {
        let mut pending = self.pending();
        if let Some(untaken) = pending.responses.get_mut(&response) {
            untaken.pieces = untaken.pieces.saturating_sub(1);
            untaken.progress = Instant::now();
            if untaken.pieces == 0 {
                pending.responses.remove(&response);
            }
        }
    }

    /// Counts an anonymous request until the returned value is dropped. Returns `None` if this connection already has
    /// [`MAX_ANONYMOUS_CALLS`]. The connection of a trusted proxy has no limit.
    pub(in crate::grpc) fn begin_anonymous(self: &Arc<Self>) -> Option<AnonymousCall> {
        let mut pending = self.pending();
        if !self.trusted && pending.anonymous_calls >= MAX_ANONYMOUS_CALLS {
            return None;
        }
        pending.anonymous_calls = pending.anonymous_calls.saturating_add(1);
        Some(AnonymousCall(Arc::clone(self)))
    }
}

/// A request without a credential, until its response has been sent.
#[derive(Debug)]
pub(in crate::grpc) struct AnonymousCall(Arc<ConnectionEntry>);

impl Drop for AnonymousCall {
    fn drop(&mut self) {
        let mut pending = self.0.pending();
        pending.anonymous_calls = pending.anonymous_calls.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_that_has_waited_longest_counts() {
        let entry = ConnectionEntry::new(1, false);
        assert_eq!(entry.untaken_since(), None);
        let (first, second) = (entry.add_response(), entry.add_response());
        entry.record_handed(first);
        entry.record_handed(first);
        let since = entry.untaken_since().unwrap();
        let after_first = Instant::now();
        entry.record_handed(second);
        assert_eq!(entry.untaken_since(), Some(since));
        entry.record_taken(first);
        let after_progress = entry.untaken_since().unwrap();
        assert!(after_progress >= after_first, "the first response made progress when a piece left");
        entry.record_taken(second);
        entry.record_taken(first);
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn a_response_waits_for_its_peer_only_while_the_socket_takes_bytes() {
        let entry = ConnectionEntry::new(1, false);
        let response = entry.add_response();
        entry.record_handed(response);
        let before = Instant::now();
        entry.set_blocked(true);
        let blocked = entry.untaken_since().unwrap();
        assert!(blocked >= before);
        entry.set_blocked(true);
        assert_eq!(entry.untaken_since(), Some(blocked));
        let still_blocked = Instant::now();
        entry.set_blocked(false);
        let unblocked = entry.untaken_since().unwrap();
        assert!(unblocked >= still_blocked, "the response waited for the socket until now");
        entry.set_blocked(false);
        assert_eq!(entry.untaken_since(), Some(unblocked));
        entry.record_taken(response);
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn the_anonymous_calls_of_one_connection_are_limited() {
        let entry = Arc::new(ConnectionEntry::new(1, false));
        let held: Vec<_> = std::iter::from_fn(|| entry.begin_anonymous()).collect();
        assert_eq!(held.len(), MAX_ANONYMOUS_CALLS);
        drop(held);
        assert!(entry.begin_anonymous().is_some());
        let proxy = Arc::new(ConnectionEntry::new(2, true));
        let held: Vec<_> = (0..=MAX_ANONYMOUS_CALLS).map(|_| proxy.begin_anonymous()).collect();
        assert!(held.iter().all(Option::is_some), "many callers share a proxy's connection");
    }
}
