//! Which connections are open, whose they are, and which one is closed when there are too many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, interval, timeout};

use super::{ConnectionEntry, ConnectionLimits};
use crate::domain::ids::Actor;
use crate::grpc::telemetry::connection_metrics::ConnectionMetrics;

/// How long a connection may be unknown.
const UNKNOWN: Duration = Duration::from_secs(15);
/// How often connections are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// All connections that are open.
#[derive(Debug)]
pub(in crate::grpc) struct Registry {
    limits: ConnectionLimits,
    metrics: Arc<ConnectionMetrics>,
    freed: Notify,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// By their number, which grows: the first is the oldest.
    connections: BTreeMap<u64, Tracked>,
    /// Those that are unknown, by where they are from.
    unknown: HashMap<PeerOrigin, BTreeSet<u64>>,
    callers: HashMap<Actor, CallerUsage>,
    /// How many were told to close and have not gone yet.
    closing: usize,
    /// What is to be logged and counted once the lock is free.
    closed: Vec<ClosedConnection>,
    changed: bool,
}

/// Where a connection is from, as far as bounds go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PeerOrigin {
    trusted: bool,
    /// The address; of IPv6 its /64 network, which one machine has to itself.
    network: IpAddr,
}

#[derive(Debug)]
struct Tracked {
    entry: Arc<ConnectionEntry>,
    address: SocketAddr,
    origin: PeerOrigin,
    state: ConnectionState,
    /// Authenticated calls in flight.
    calls: usize,
    /// When the last of them ended.
    last: Instant,
}

#[derive(Debug)]
enum ConnectionState {
    Unknown {
        since: Instant,
        known_before: bool,
    },
    Known {
        /// Whom it counts for; nobody where the connection is a proxy's, or callers are not told apart.
        caller: Option<Actor>,
        /// When the last proof ends; never where there is nothing.
        until: Option<Instant>,
    },
    Closing,
}

/// What one caller has.
#[derive(Debug, Default)]
struct CallerUsage {
    connections: usize,
    calls: usize,
}

#[derive(Debug)]
struct ClosedConnection {
    reason: &'static str,
    address: SocketAddr,
}

/// Why a call of a known caller is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Exceeded {
    /// The caller has so many calls in flight.
    Calls(usize),
    /// The caller has so many connections, with calls in flight on each.
    Connections(usize),
}

/// What a call knows of its connection.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Peer {
    pub(in crate::grpc) address: SocketAddr,
    pub(in crate::grpc) entry: Arc<ConnectionEntry>,
    pub(in crate::grpc) registry: Arc<Registry>,
}

impl Registry {
    pub(in crate::grpc) fn new(limits: ConnectionLimits, metrics: Arc<ConnectionMetrics>) -> Self {
        metrics.set_most(limits.all);
        Self { limits, metrics, freed: Notify::new(), open: Mutex::default() }
    }

    pub(in crate::grpc) fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// Does something under the lock, and tells of what it closed after it.
    fn with<R>(&self, work: impl FnOnce(&mut Open) -> R) -> R {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut open);
        let closed = std::mem::take(&mut open.closed);
        if std::mem::take(&mut open.changed) {
            let unknown = open.unknown();
            let known = open.connections.len().saturating_sub(unknown).saturating_sub(open.closing);
            self.metrics.set_open(unknown, known);
        }
        drop(open);
        for ClosedConnection { reason, address } in closed {
            self.metrics.closed(reason, address);
        }
        result
    }

    /// Takes a connection in, for which another one may have to close. Nothing where every other one has a call in flight.
    pub(super) fn open(self: &Arc<Self>, address: SocketAddr) -> Option<Peer> {
        let limits = &self.limits;
        let origin = PeerOrigin { trusted: limits.trusts(address.ip()), network: network(address.ip()) };
        let entry = self.with(|open| {
            let own = open.unknown.get(&origin).map_or(0, BTreeSet::len);
            if !origin.trusted && own >= limits.unknown_per_address {
                let oldest = open.unknown.get(&origin).and_then(|it| it.first().copied());
                oldest.into_iter().for_each(|id| open.close(id, "address_limit"));
            } else if open.unknown() >= limits.unknown {
                open.close_one_unknown("unknown_limit");
            }
            let living = open.connections.len().saturating_sub(open.closing);
            if living >= limits.all && !open.make_room("all_limit") {
                open.closed.push(ClosedConnection { reason: "refused", address });
                return None;
            }
            Some(open.insert(address, origin))
        })?;
        Some(Peer { address, entry, registry: Arc::clone(self) })
    }

    /// Waits for those that were told to close, where they still hold all places; not for long.
    pub(super) async fn settle(&self, within: Duration) {
        if self.with(|open| open.closing > 0 && open.connections.len() >= self.limits.all) {
            // Late or not, the next is taken.
            let _ = timeout(within, self.freed()).await;
        }
    }

    /// Ends when a connection has gone.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Closes an unknown connection, if there is one; else the known one that is idle longest.
    pub(in crate::grpc) fn close_one_unknown(&self, reason: &'static str) {
        self.with(|open| open.make_room(reason));
    }

    /// The connection is no more.
    pub(super) fn gone(&self, id: u64) {
        self.with(|open| {
            if open.leave(id) {
                open.closing = open.closing.saturating_sub(1);
            }
            open.connections.remove(&id);
            open.changed = true;
        });
        self.freed.notify_one();
    }

    /// An authenticated call begins: its connection is known from now on, until its proof ends. `caller` is nobody where
    /// callers are not told apart.
    ///
    /// # Errors
    /// [`Exceeded`] when the caller has as many calls or connections as one may have.
    pub(in crate::grpc) fn begin(
        self: &Arc<Self>,
        entry: &ConnectionEntry,
        caller: Option<&Actor>,
        until: Option<Instant>,
    ) -> Result<CallInFlight, Exceeded> {
        self.with(|open| open.begin(&self.limits, entry.id(), caller, until))?;
        Ok(CallInFlight { registry: Arc::clone(self), connection: entry.id(), caller: caller.cloned() })
    }

    /// Closes what is over, again and again.
    pub(in crate::grpc) async fn watch(self: Arc<Self>) {
        let mut every = interval(LOOK);
        loop {
            every.tick().await;
            self.with(|open| open.look(&self.limits, Instant::now()));
        }
    }
}

impl Open {
    fn unknown(&self) -> usize {
        self.unknown.values().map(BTreeSet::len).sum()
    }

    fn insert(&mut self, address: SocketAddr, origin: PeerOrigin) -> Arc<ConnectionEntry> {
        let (id, now) = (self.next, Instant::now());
        self.next = id.saturating_add(1);
        let entry = Arc::new(ConnectionEntry::new(id, origin.trusted));
        let state = ConnectionState::Unknown { since: now, known_before: false };
        let tracked = Tracked { entry: Arc::clone(&entry), address, origin, state, calls: 0, last: now };
        self.connections.insert(id, tracked);
        self.unknown.entry(origin).or_default().insert(id);
        self.changed = true;
        entry
    }

    /// Takes a connection out of what its state counts for; answers whether it was closing.
    fn leave(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        match &connection.state {
            ConnectionState::Unknown { .. } => {
                if let Some(ids) = self.unknown.get_mut(&connection.origin) {
                    ids.remove(&id);
                    if ids.is_empty() {
                        self.unknown.remove(&connection.origin);
                    }
                }
            }
            ConnectionState::Known { caller: Some(caller), .. } => {
                if let Some(held) = self.callers.get_mut(caller) {
                    held.connections = held.connections.saturating_sub(1);
                    if held.connections == 0 && held.calls == 0 {
                        self.callers.remove(caller);
                    }
                }
            }
            ConnectionState::Known { caller: None, .. } => {}
            ConnectionState::Closing => return true,
        }
        false
    }

    fn close(&mut self, id: u64, reason: &'static str) {
        if self.leave(id) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = ConnectionState::Closing;
            connection.entry.close();
            self.closing = self.closing.saturating_add(1);
            self.closed.push(ClosedConnection { reason, address: connection.address });
            self.changed = true;
        }
    }

    /// Closes the oldest unknown connection of the address that has most of them, a proxy's only where there is no other.
    fn close_one_unknown(&mut self, reason: &'static str) -> bool {
        let most = self.unknown.iter().max_by_key(|(origin, ids)| (!origin.trusted, ids.len(), Reverse(ids.first())));
        let oldest = most.and_then(|(_, ids)| ids.first().copied());
        oldest.into_iter().for_each(|id| self.close(id, reason));
        oldest.is_some()
    }

    /// Closes the known connection, of this caller where one is named, that is idle longest.
    fn close_idle(&mut self, of: Option<&Actor>, reason: &'static str) -> bool {
        let of_caller = |it: &Tracked| match &it.state {
            ConnectionState::Known { caller, .. } => of.is_none() || of == caller.as_ref(),
            _ => false,
        };
        let idle = self.connections.iter().filter(|(_, it)| it.calls == 0 && of_caller(it));
        let longest = idle.min_by_key(|(_, it)| it.last).map(|(id, _)| *id);
        longest.into_iter().for_each(|id| self.close(id, reason));
        longest.is_some()
    }

    fn make_room(&mut self, reason: &'static str) -> bool {
        self.close_one_unknown(reason) || self.close_idle(None, reason)
    }

    fn begin(
        &mut self,
        limits: &ConnectionLimits,
        id: u64,
        caller: Option<&Actor>,
        until: Option<Instant>,
    ) -> Result<(), Exceeded> {
        let held = caller.and_then(|it| self.callers.get(it)).map_or((0, 0), |it| (it.connections, it.calls));
        let full = |most: Option<NonZeroUsize>, held: usize| most.map(NonZeroUsize::get).filter(|most| held >= *most);
        if caller.is_some()
            && let Some(most) = full(limits.calls_per_caller, held.1)
        {
            return Err(Exceeded::Calls(most));
        }
        let becomes_known = self.connections.get(&id).filter(|it| matches!(it.state, ConnectionState::Unknown { .. }));
        if let Some(trusted) = becomes_known.map(|it| it.origin.trusted) {
            let counts_for = caller.filter(|_| !trusted);
            if let (Some(caller), Some(most)) = (counts_for, full(limits.per_caller, held.0))
                && !self.close_idle(Some(caller), "caller_limit")
            {
                return Err(Exceeded::Connections(most));
            }
            self.leave(id);
            self.changed = true;
            if let Some(caller) = counts_for {
                let held = self.callers.entry(caller.clone()).or_default();
                held.connections = held.connections.saturating_add(1);
            }
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = ConnectionState::Known { caller: counts_for.cloned(), until };
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.calls = connection.calls.saturating_add(1);
            if let ConnectionState::Known { until: last, .. } = &mut connection.state {
                *last = last.zip(until).map(|(last, until)| last.max(until));
            }
        }
        if let Some(caller) = caller {
            let held = self.callers.entry(caller.clone()).or_default();
            held.calls = held.calls.saturating_add(1);
        }
        Ok(())
    }

    fn end(&mut self, id: u64, caller: Option<&Actor>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.calls = connection.calls.saturating_sub(1);
            connection.last = Instant::now();
        }
        if let Some(caller) = caller
            && let Some(held) = self.callers.get_mut(caller)
        {
            held.calls = held.calls.saturating_sub(1);
            if held.connections == 0 && held.calls == 0 {
                self.callers.remove(caller);
            }
        }
    }

    /// Closes what is over at this moment.
    fn look(&mut self, limits: &ConnectionLimits, now: Instant) {
        let over = |since: Instant, most: Duration| now.saturating_duration_since(since) >= most;
        let mut ended = Vec::new();
        let mut unknown_again = Vec::new();
        for (id, connection) in &self.connections {
            let idle = connection.calls == 0;
            if connection.entry.untaken_since().is_some_and(|since| over(since, limits.untaken)) {
                ended.push((*id, "untaken"));
                continue;
            }
            match &connection.state {
                ConnectionState::Unknown { since, known_before } if over(*since, UNKNOWN) => {
                    ended.push((*id, if *known_before { "proof_ended" } else { "unknown" }));
                }
                ConnectionState::Known { until: Some(until), .. } if idle && now >= *until => {
                    unknown_again.push((*id, *until));
                }
                ConnectionState::Known { .. } if idle && over(connection.last, limits.idle) => {
                    ended.push((*id, "idle"))
                }
                ConnectionState::Unknown { .. } | ConnectionState::Known { .. } | ConnectionState::Closing => {}
            }
        }
        for (id, reason) in ended {
            self.close(id, reason);
        }
        for (id, since) in unknown_again {
            self.leave(id);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = ConnectionState::Unknown { since, known_before: true };
                self.unknown.entry(connection.origin).or_default().insert(id);
                self.changed = true;
            }
        }
    }
}

/// An authenticated call, until its response has left the transport.
#[derive(Debug)]
pub(in crate::grpc) struct CallInFlight {
    registry: Arc<Registry>,
    connection: u64,
    caller: Option<Actor>,
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.registry.with(|open| open.end(self.connection, self.caller.as_ref()));
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests;
