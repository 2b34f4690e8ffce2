//! The registry of open connections. It knows their callers, and closes one if there are too many.

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

/// How long a connection may stay unknown.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often expired connections are closed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// All open connections.
#[derive(Debug)]
pub(in crate::grpc) struct Registry {
    limits: ConnectionLimits,
    metrics: Arc<ConnectionMetrics>,
    freed: Notify,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next: u64,
    /// Connections by number. Numbers increase, so the first is the oldest.
    connections: BTreeMap<u64, Tracked>,
    /// The numbers of unknown connections, by origin.
    unknown: HashMap<PeerOrigin, BTreeSet<u64>>,
    callers: HashMap<Actor, CallerUsage>,
    /// How many connections are closing but not gone yet.
    closing: usize,
    /// Closed connections that are logged and counted after the lock is released.
    closed: Vec<ClosedConnection>,
    changed: bool,
}

/// The origin of a connection, for the limits per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PeerOrigin {
    trusted: bool,
    /// The IPv4 address, or the /64 network of an IPv6 address, because one machine may own all of it.
    network: IpAddr,
}

#[derive(Debug)]
struct Tracked {
    entry: Arc<ConnectionEntry>,
    address: SocketAddr,
    origin: PeerOrigin,
    state: ConnectionState,
    /// Authenticated requests in flight.
    calls: usize,
    /// When the last of these requests ended.
    last_used: Instant,
}

#[derive(Debug)]
enum ConnectionState {
    Unknown {
        since: Instant,
        known_before: bool,
    },
    Known {
        /// The caller whose limit counts it; `None` for a proxy, and in development mode for health and reflection.
        caller: Option<Actor>,
        /// When the last token or certificate expires; `None` if one of them never does.
        until: Option<Instant>,
    },
    Closing,
}

/// The connections and requests in flight of one caller.
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

/// The limit of one caller that refuses a request, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum CallerLimit {
    /// The number of requests in flight.
    Calls(usize),
    /// The number of connections, if each has a request in flight.
    Connections(usize),
}

/// The connection of a request.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Peer {
    pub(in crate::grpc) address: SocketAddr,
    pub(in crate::grpc) entry: Arc<ConnectionEntry>,
    pub(in crate::grpc) registry: Arc<Registry>,
}

impl Registry {
    pub(in crate::grpc) fn new(limits: ConnectionLimits, metrics: Arc<ConnectionMetrics>) -> Self {
        metrics.set_limit(limits.all);
        Self { limits, metrics, freed: Notify::new(), open: Mutex::default() }
    }

    pub(in crate::grpc) fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    /// Runs `work` under the lock, then logs and counts the connections that it closed.
    fn with<R>(&self, work: impl FnOnce(&mut OpenConnections) -> R) -> R {
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

    /// Registers a new connection; another one may be closed for it. Returns `None` if all others have a request in flight.
    pub(super) fn open(self: &Arc<Self>, address: SocketAddr) -> Option<Peer> {
        let limits = &self.limits;
        let origin = PeerOrigin { trusted: limits.trusts(address.ip()), network: network(address.ip()) };
        let entry = self.with(|open| {
            let from_same_origin = open.unknown.get(&origin).map_or(0, BTreeSet::len);
            if !origin.trusted && from_same_origin >= limits.unknown_per_address {
                let oldest = open.unknown.get(&origin).and_then(|it| it.first().copied());
                oldest.into_iter().for_each(|id| open.close(id, "address_limit"));
            } else if open.unknown() >= limits.unknown {
                open.close_one_unknown("unknown_limit");
            }
            let not_closing = open.connections.len().saturating_sub(open.closing);
            if not_closing >= limits.all && !open.close_least_useful("all_limit") {
                open.closed.push(ClosedConnection { reason: "refused", address });
                return None;
            }
            Some(open.insert(address, origin))
        })?;
        Some(Peer { address, entry, registry: Arc::clone(self) })
    }

    /// Waits a short time for closing connections, if all slots are still in use.
    pub(super) async fn wait_for_closing(&self, limit: Duration) {
        if self.with(|open| open.closing > 0 && open.connections.len() >= self.limits.all) {
            // The next connection is accepted even if this times out.
            let _ = timeout(limit, self.freed()).await;
        }
    }

    /// Returns when a connection has gone.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Closes an unknown connection, or else the longest idle known one.
    pub(in crate::grpc) fn close_one_unknown(&self, reason: &'static str) {
        self.with(|open| open.close_least_useful(reason));
    }

    /// Removes a connection that has ended.
    pub(super) fn gone(&self, id: u64) {
        self.with(|open| {
            if open.uncount(id) {
                open.closing = open.closing.saturating_sub(1);
            }
            open.connections.remove(&id);
            open.changed = true;
        });
        self.freed.notify_one();
    }

    /// Begins an authenticated request, which makes its connection known until its proof of identity expires. `caller` is
    /// `None` for health and reflection in development mode.
    ///
    /// # Errors
    /// [`CallerLimit`] if the caller has reached the limit of requests or of connections.
    pub(in crate::grpc) fn begin(
        self: &Arc<Self>,
        entry: &ConnectionEntry,
        caller: Option<&Actor>,
        until: Option<Instant>,
    ) -> Result<CallInFlight, CallerLimit> {
        self.with(|open| open.begin(&self.limits, entry.id(), caller, until))?;
        Ok(CallInFlight { registry: Arc::clone(self), connection: entry.id(), caller: caller.cloned() })
    }

    /// Closes expired connections at regular intervals. Never returns.
    pub(in crate::grpc) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(CHECK_INTERVAL);
        loop {
            ticks.tick().await;
            self.with(|open| open.close_expired(&self.limits, Instant::now()));
        }
    }
}

impl OpenConnections {
    fn unknown(&self) -> usize {
        self.unknown.values().map(BTreeSet::len).sum()
    }

    fn insert(&mut self, address: SocketAddr, origin: PeerOrigin) -> Arc<ConnectionEntry> {
        let (id, now) = (self.next, Instant::now());
        self.next = id.saturating_add(1);
        let entry = Arc::new(ConnectionEntry::new(id, origin.trusted));
        let state = ConnectionState::Unknown { since: now, known_before: false };
        let tracked = Tracked { entry: Arc::clone(&entry), address, origin, state, calls: 0, last_used: now };
        self.connections.insert(id, tracked);
        self.unknown.entry(origin).or_default().insert(id);
        self.changed = true;
        entry
    }

    /// Removes a connection from the counts of its state. Returns true if it was closing already.
    fn uncount(&mut self, id: u64) -> bool {
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
                if let Some(usage) = self.callers.get_mut(caller) {
                    usage.connections = usage.connections.saturating_sub(1);
                    if usage.connections == 0 && usage.calls == 0 {
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
        if self.uncount(id) {
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

    /// Closes the oldest unknown connection of the address that has most of them. Those of a proxy are closed last.
    fn close_one_unknown(&mut self, reason: &'static str) -> bool {
        let largest =
            self.unknown.iter().max_by_key(|(origin, ids)| (!origin.trusted, ids.len(), Reverse(ids.first())));
        let oldest = largest.and_then(|(_, ids)| ids.first().copied());
        oldest.into_iter().for_each(|id| self.close(id, reason));
        oldest.is_some()
    }

    /// Closes the longest idle known connection, of this caller if one is given.
    fn close_idle(&mut self, owner: Option<&Actor>, reason: &'static str) -> bool {
        let is_candidate = |it: &Tracked| match &it.state {
            ConnectionState::Known { caller, .. } => owner.is_none() || owner == caller.as_ref(),
            _ => false,
        };
        let idle = self.connections.iter().filter(|(_, it)| it.calls == 0 && is_candidate(it));
        let longest = idle.min_by_key(|(_, it)| it.last_used).map(|(id, _)| *id);
        longest.into_iter().for_each(|id| self.close(id, reason));
        longest.is_some()
    }

    /// Closes an unknown connection, or else the longest idle known one. Returns false if there is neither.
    fn close_least_useful(&mut self, reason: &'static str) -> bool {
        self.close_one_unknown(reason) || self.close_idle(None, reason)
    }

    fn begin(
        &mut self,
        limits: &ConnectionLimits,
        id: u64,
        caller: Option<&Actor>,
        until: Option<Instant>,
    ) -> Result<(), CallerLimit> {
        let usage = caller.and_then(|it| self.callers.get(it));
        let (connections, calls) = usage.map_or((0, 0), |it| (it.connections, it.calls));
        let reached =
            |limit: Option<NonZeroUsize>, count: usize| limit.map(NonZeroUsize::get).filter(|it| count >= *it);
        if caller.is_some()
            && let Some(limit) = reached(limits.calls_per_caller, calls)
        {
            return Err(CallerLimit::Calls(limit));
        }
        let unknown = self.connections.get(&id).filter(|it| matches!(it.state, ConnectionState::Unknown { .. }));
        if let Some(trusted) = unknown.map(|it| it.origin.trusted) {
            let counts_for = caller.filter(|_| !trusted);
            if let (Some(caller), Some(limit)) = (counts_for, reached(limits.per_caller, connections))
                && !self.close_idle(Some(caller), "caller_limit")
            {
                return Err(CallerLimit::Connections(limit));
            }
            self.uncount(id);
            self.changed = true;
            if let Some(caller) = counts_for {
                let usage = self.callers.entry(caller.clone()).or_default();
                usage.connections = usage.connections.saturating_add(1);
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
            let usage = self.callers.entry(caller.clone()).or_default();
            usage.calls = usage.calls.saturating_add(1);
        }
        Ok(())
    }

    fn end(&mut self, id: u64, caller: Option<&Actor>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.calls = connection.calls.saturating_sub(1);
            connection.last_used = Instant::now();
        }
        if let Some(caller) = caller
            && let Some(usage) = self.callers.get_mut(caller)
        {
            usage.calls = usage.calls.saturating_sub(1);
            if usage.connections == 0 && usage.calls == 0 {
                self.callers.remove(caller);
            }
        }
    }

    /// Closes expired connections, and makes those unknown again whose proof of identity has expired.
    fn close_expired(&mut self, limits: &ConnectionLimits, now: Instant) {
        let expired = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let mut to_close = Vec::new();
        let mut unknown_again = Vec::new();
        for (id, connection) in &self.connections {
            let idle = connection.calls == 0;
            if connection.entry.untaken_since().is_some_and(|since| expired(since, limits.untaken)) {
                to_close.push((*id, "untaken"));
                continue;
            }
            match &connection.state {
                ConnectionState::Unknown { since, known_before } if expired(*since, UNKNOWN_TIMEOUT) => {
                    to_close.push((*id, if *known_before { "proof_ended" } else { "unknown" }));
                }
                ConnectionState::Known { until: Some(until), .. } if idle && now >= *until => {
                    unknown_again.push((*id, *until));
                }
                ConnectionState::Known { .. } if idle && expired(connection.last_used, limits.idle) => {
                    to_close.push((*id, "idle"))
                }
                ConnectionState::Unknown { .. } | ConnectionState::Known { .. } | ConnectionState::Closing => {}
            }
        }
        for (id, reason) in to_close {
            self.close(id, reason);
        }
        for (id, since) in unknown_again {
            self.uncount(id);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = ConnectionState::Unknown { since, known_before: true };
                self.unknown.entry(connection.origin).or_default().insert(id);
                self.changed = true;
            }
        }
    }
}

/// Counts an authenticated request until its response has left the transport.
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

/// The address that limits count: see [`PeerOrigin`].
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
