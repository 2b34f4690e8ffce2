//! One connection, shared by its transport and its requests: whether it must close, and which responses the peer has not
//! taken yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// The limit of anonymous requests in flight on one connection. A probe has one.
const ANONYMOUS_CALLS: usize = 16;

/// The state of a connection, apart from its caller.
#[derive(Debug)]
pub(in crate::grpc) struct ConnectionEntry {
    id: u64,
    /// It belongs to a trusted proxy, which many callers share.
    trusted: bool,
    closed: AtomicBool,
    /// The task that reads and writes the connection.
    task: AtomicWaker,
    blocked: AtomicBool,
    waiting: Mutex<PendingWrites>,
}

/// The responses that the peer has not taken, and the state of the socket.
#[derive(Debug, Default)]
struct PendingWrites {
    next: u64,
    /// Responses whose pieces the transport still holds, by number.
    responses: BTreeMap<u64, UntakenResponse>,
    /// Since when the socket accepts no bytes.
    blocked_since: Option<Instant>,
    /// When the socket last accepted bytes again.
    unblocked_at: Option<Instant>,
    anonymous_calls: usize,
}

/// A response whose pieces the transport still holds.
#[derive(Debug)]
struct UntakenResponse {
    pieces: usize,
    /// When a piece last left the transport, or else when the first one came.
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

    fn waiting(&self) -> MutexGuard<'_, PendingWrites> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the task of the connection to end it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Returns true if the connection must close. If not, `close` wakes the task later.
    pub(super) fn is_closed(&self, cx: &Context<'_>) -> bool {
        self.task.register(cx.waker());
        self.closed.load(Ordering::Acquire)
    }

    /// Records whether the socket accepts bytes. Only the task of the connection calls this.
    pub(super) fn set_blocked(&self, blocked: bool) {
        if self.blocked.swap(blocked, Ordering::Relaxed) != blocked {
            let (now, mut waiting) = (Instant::now(), self.waiting());
            waiting.blocked_since = blocked.then_some(now);
            if !blocked {
                waiting.unblocked_at = Some(now);
            }
        }
    }

    /// Since when the peer takes nothing from the socket, or nothing of a response; `None` if it takes both.
    ///
    /// While the socket is blocked, only the socket counts. On a slow connection many responses share the socket and each
    /// waits for its turn, which is not the fault of the peer. So the wait of a response starts when the socket unblocks.
    pub(in crate::grpc) fn untaken_since(&self) -> Option<Instant> {
        let waiting = self.waiting();
        if waiting.blocked_since.is_some() {
            return waiting.blocked_since;
        }
        let oldest = waiting.responses.values().map(|it| it.progress).min();
        oldest.map(|it| waiting.unblocked_at.map_or(it, |unblocked_at| it.max(unblocked_at)))
    }

    /// Returns the number of a new response on this connection.
    pub(in crate::grpc) fn number_response(&self) -> u64 {
        let mut waiting = self.waiting();
        let response = waiting.next;
        waiting.next = response.saturating_add(1);
        response
    }

    /// Records that a piece of this response was given to the transport; [`ConnectionEntry::taken`] is the counterpart.
    pub(in crate::grpc) fn handed(&self, response: u64) {
        let mut waiting = self.waiting();
        let untaken = UntakenResponse { pieces: 0, progress: Instant::now() };
        let untaken = waiting.responses.entry(response).or_insert(untaken);
        untaken.pieces = untaken.pieces.saturating_add(1);
    }

    /// Records that a piece of this response has left the transport.
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

    /// Begins an anonymous request; `None` if this connection has too many. A trusted proxy has no limit.
    pub(in crate::grpc) fn begin_anonymous(self: &Arc<Self>) -> Option<AnonymousCall> {
        let mut waiting = self.waiting();
        if !self.trusted && waiting.anonymous_calls >= ANONYMOUS_CALLS {
            return None;
        }
        waiting.anonymous_calls = waiting.anonymous_calls.saturating_add(1);
        Some(AnonymousCall(Arc::clone(self)))
    }
}

/// A request without a credential, until its response has been sent.
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
        let after_first = Instant::now();
        entry.handed(second);
        assert_eq!(entry.untaken_since(), Some(since));
        entry.taken(first);
        let progressed = entry.untaken_since().unwrap();
        assert!(progressed >= after_first, "a piece has left");
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
        let proxy = Arc::new(ConnectionEntry::new(2, true));
        let held: Vec<_> = (0..=ANONYMOUS_CALLS).map(|_| proxy.begin_anonymous()).collect();
        assert!(held.iter().all(Option::is_some), "many callers share a proxy's connection");
    }
}
