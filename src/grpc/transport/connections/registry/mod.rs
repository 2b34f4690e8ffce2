//! Keeps the open connections and their callers, and closes a connection if there are too many.

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

/// The longest time that a connection may stay unknown.
const UNKNOWN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the registry looks for connections that have exceeded a time limit.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// All open connections.
#[derive(Debug)]
pub(in crate::grpc) struct Registry {
    limits: ConnectionLimits,
    metrics: Arc<ConnectionMetrics>,
    /// Notified when a connection has gone.
    freed: Notify,
    open: Mutex<OpenConnections>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next_id: u64,
    /// Connections by id. Ids increase, so the first connection is the oldest.
    connections: BTreeMap<u64, TrackedConnection>,
    /// The ids of unknown connections, by origin.
    unknown: HashMap<PeerOrigin, BTreeSet<u64>>,
    callers: HashMap<Actor, CallerUsage>,
    /// The number of connections that are closing but not gone yet.
    closing: usize,
    /// Connections that were closed or refused under the lock. They are logged and counted after it is released.
    unreported: Vec<ClosedConnection>,
    /// True if the number of known or unknown connections may have changed.
    changed: bool,
}

/// The origin of a connection, for the limits per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PeerOrigin {
    trusted: bool,
    /// The IPv4 address, or the /64 network of an IPv6 address, because one machine may own the whole network.
    network: IpAddr,
}

#[derive(Debug)]
struct TrackedConnection {
    entry: Arc<ConnectionEntry>,
    address: SocketAddr,
    origin: PeerOrigin,
    state: ConnectionState,
    /// The number of authenticated requests in flight.
    calls: usize,
    /// When an authenticated request last ended. Before that, when the connection was opened.
    last_used: Instant,
}

#[derive(Debug)]
enum ConnectionState {
    Unknown {
        /// When the connection was opened, or when the last proof of identity expired.
        since: Instant,
        /// True if the connection was known earlier.
        known_before: bool,
    },
    Known {
        /// The caller whose limit counts the connection; `None` for a proxy, and in development mode for health and
        /// reflection.
        caller: Option<Actor>,
        /// The latest expiry of the tokens and certificates that were used over the connection; `None` if one of them
        /// never expires.
        proof_expires: Option<Instant>,
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

/// The limit per caller because of which a request is refused, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum CallerLimit {
    /// The most requests in flight of one caller.
    Calls(usize),
    /// The most connections of one caller. It refuses a request only if each of them has a request in flight: otherwise an idle
    /// connection is closed instead.
    Connections(usize),
}

/// What a request knows of the connection over which it came: the address of the peer, the state of the connection, and the
/// registry that counts it.
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

    /// Runs `work` under the lock, then logs and counts the connections that it closed or refused.
    fn with_lock<R>(&self, work: impl FnOnce(&mut OpenConnections) -> R) -> R {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut open);
        let unreported = std::mem::take(&mut open.unreported);
        if std::mem::take(&mut open.changed) {
            let unknown = open.unknown_count();
            let known = open.connections.len().saturating_sub(unknown).saturating_sub(open.closing);
            self.metrics.set_open(unknown, known);
        }
        drop(open);
        for ClosedConnection { reason, address } in unreported {
            self.metrics.record_closed(reason, address);
        }
        result
    }

    /// Registers a new connection. If there are too many, another one is closed. Returns `None` if none can be closed, because all
    /// others are known and have a request in flight. The new connection is then refused.
    pub(super) fn open(self: &Arc<Self>, address: SocketAddr) -> Option<Peer> {
        let limits = &self.limits;
        let origin = PeerOrigin { trusted: limits.trusts(address.ip()), network: network(address.ip()) };
        let entry = self.with_lock(|open| {
            let from_same_origin = open.unknown.get(&origin).map_or(0, BTreeSet::len);
            if !origin.trusted && from_same_origin >= limits.unknown_per_address {
                let oldest = open.unknown.get(&origin).and_then(|it| it.first().copied());
                oldest.into_iter().for_each(|id| open.close(id, "address_limit"));
            } else if open.unknown_count() >= limits.unknown {
                open.close_one_unknown("unknown_limit");
            }
            let not_closing = open.connections.len().saturating_sub(open.closing);
            if not_closing >= limits.all && !open.close_least_useful("all_limit") {
                open.unreported.push(ClosedConnection { reason: "refused", address });
                return None;
            }
            Some(open.insert(address, origin))
        })?;
        Some(Peer { address, entry, registry: Arc::clone(self) })
    }

    /// Waits until a connection has gone, at most for `limit`. Returns at once if no connection is closing, or if the open and closing
    /// connections together are fewer than the limit of all connections.
    pub(super) async fn wait_for_closing(&self, limit: Duration) {
        if self.with_lock(|open| open.closing > 0 && open.connections.len() >= self.limits.all) {
            // The next connection is accepted even if this times out.
            let _ = timeout(limit, self.wait_until_freed()).await;
        }
    }

    /// Waits until a connection has gone.
    pub(super) async fn wait_until_freed(&self) {
        self.freed.notified().await;
    }

    /// Closes an unknown connection; if there is none, the known connection that has been idle for longest.
    pub(in crate::grpc) fn close_least_useful(&self, reason: &'static str) {
        self.with_lock(|open| open.close_least_useful(reason));
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&self, id: u64) {
        self.with_lock(|open| {
            if open.remove_from_counts(id) {
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
    pub(in crate::grpc) fn begin_call(
        self: &Arc<Self>,
        entry: &ConnectionEntry,
        caller: Option<&Actor>,
        proof_expires: Option<Instant>,
    ) -> Result<CallInFlight, CallerLimit> {
        self.with_lock(|open| open.begin_call(&self.limits, entry.id(), caller, proof_expires))?;
        Ok(CallInFlight { registry: Arc::clone(self), connection: entry.id(), caller: caller.cloned() })
    }

    /// Once a second, closes the connections that have exceeded a time limit. Never returns.
    pub(in crate::grpc) async fn close_expired_connections(self: Arc<Self>) {
        let mut ticks = interval(CHECK_INTERVAL);
        loop {
            ticks.tick().await;
            self.with_lock(|open| open.close_expired(&self.limits, Instant::now()));
        }
    }
}

impl OpenConnections {
    fn unknown_count(&self) -> usize {
        self.unknown.values().map(BTreeSet::len).sum()
    }

    /// Adds an unknown connection.
    fn insert(&mut self, address: SocketAddr, origin: PeerOrigin) -> Arc<ConnectionEntry> {
        let (id, now) = (self.next_id, Instant::now());
        self.next_id = id.saturating_add(1);
        let entry = Arc::new(ConnectionEntry::new(id, origin.trusted));
        let state = ConnectionState::Unknown { since: now, known_before: false };
        let tracked = TrackedConnection { entry: Arc::clone(&entry), address, origin, state, calls: 0, last_used: now };
        self.connections.insert(id, tracked);
        self.unknown.entry(origin).or_default().insert(id);
        self.changed = true;
        entry
    }

    /// Removes an unknown connection from those of its origin, or a known one from the count of its caller. Returns true, and changes
    /// nothing, if the connection is closing already.
    fn remove_from_counts(&mut self, id: u64) -> bool {
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

    /// Closes a connection, unless it is closing already.
    fn close(&mut self, id: u64, reason: &'static str) {
        if self.remove_from_counts(id) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = ConnectionState::Closing;
            connection.entry.close();
            self.closing = self.closing.saturating_add(1);
            self.unreported.push(ClosedConnection { reason, address: connection.address });
            self.changed = true;
        }
    }

    /// Closes the oldest unknown connection of the origin that has the most unknown connections. Connections of a proxy
    /// are closed last. Returns false if no connection is unknown.
    fn close_one_unknown(&mut self, reason: &'static str) -> bool {
        let crowded_origin =
            self.unknown.iter().max_by_key(|(origin, ids)| (!origin.trusted, ids.len(), Reverse(ids.first())));
        let oldest = crowded_origin.and_then(|(_, ids)| ids.first().copied());
        oldest.into_iter().for_each(|id| self.close(id, reason));
        oldest.is_some()
    }

    /// Closes the known connection that has been idle for longest. If `owner` is given, only connections of this caller are
    /// considered. Returns false if none of them is idle.
    fn close_idle(&mut self, owner: Option<&Actor>, reason: &'static str) -> bool {
        let is_candidate = |it: &TrackedConnection| match &it.state {
            ConnectionState::Known { caller, .. } => owner.is_none() || owner == caller.as_ref(),
            _ => false,
        };
        let idle = self.connections.iter().filter(|(_, it)| it.calls == 0 && is_candidate(it));
        let longest_idle = idle.min_by_key(|(_, it)| it.last_used).map(|(id, _)| *id);
        longest_idle.into_iter().for_each(|id| self.close(id, reason));
        longest_idle.is_some()
    }

    /// Closes an unknown connection; if there is none, the known connection that has been idle for longest. Returns
    /// false if there is neither.
    fn close_least_useful(&mut self, reason: &'static str) -> bool {
        self.close_one_unknown(reason) || self.close_idle(None, reason)
    }

    /// Counts a request and the connection that it makes known.
    ///
    /// # Errors
    /// [`CallerLimit`] if the caller has reached a limit. Then nothing is counted.
    fn begin_call(
        &mut self,
        limits: &ConnectionLimits,
        id: u64,
        caller: Option<&Actor>,
        proof_expires: Option<Instant>,
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
            // The limit per caller does not count the connections of a proxy.
            let limited_caller = caller.filter(|_| !trusted);
            if let (Some(caller), Some(limit)) = (limited_caller, reached(limits.per_caller, connections))
                && !self.close_idle(Some(caller), "caller_limit")
            {
                return Err(CallerLimit::Connections(limit));
            }
            self.remove_from_counts(id);
            self.changed = true;
            if let Some(caller) = limited_caller {
                let usage = self.callers.entry(caller.clone()).or_default();
                usage.connections = usage.connections.saturating_add(1);
            }
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = ConnectionState::Known { caller: limited_caller.cloned(), proof_expires };
            }
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.calls = connection.calls.saturating_add(1);
            if let ConnectionState::Known { proof_expires: latest, .. } = &mut connection.state {
                *latest = latest.zip(proof_expires).map(|(latest, new)| latest.max(new));
            }
        }
        if let Some(caller) = caller {
            let usage = self.callers.entry(caller.clone()).or_default();
            usage.calls = usage.calls.saturating_add(1);
        }
        Ok(())
    }

    /// Removes a request from the counts of its connection and its caller.
    fn end_call(&mut self, id: u64, caller: Option<&Actor>) {
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

    /// Closes connections that have exceeded a time limit. Makes idle connections unknown again if their last proof of identity has
    /// expired.
    fn close_expired(&mut self, limits: &ConnectionLimits, now: Instant) {
        let expired = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let mut to_close = Vec::new();
        let mut unknown_again = Vec::new();
        for (id, connection) in &self.connections {
            let is_idle = connection.calls == 0;
            if connection.entry.untaken_since().is_some_and(|since| expired(since, limits.untaken)) {
                to_close.push((*id, "untaken"));
                continue;
            }
            match &connection.state {
                ConnectionState::Unknown { since, known_before } if expired(*since, UNKNOWN_TIMEOUT) => {
                    to_close.push((*id, if *known_before { "proof_ended" } else { "unknown" }));
                }
                ConnectionState::Known { proof_expires: Some(expired_at), .. } if is_idle && now >= *expired_at => {
                    unknown_again.push((*id, *expired_at));
                }
                ConnectionState::Known { .. } if is_idle && expired(connection.last_used, limits.idle) => {
                    to_close.push((*id, "idle"))
                }
                ConnectionState::Unknown { .. } | ConnectionState::Known { .. } | ConnectionState::Closing => {}
            }
        }
        for (id, reason) in to_close {
            self.close(id, reason);
        }
        for (id, since) in unknown_again {
            self.remove_from_counts(id);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = ConnectionState::Unknown { since, known_before: true };
                self.unknown.entry(connection.origin).or_default().insert(id);
                self.changed = true;
            }
        }
    }
}

/// Counts an authenticated request until this value is dropped, when the response has left the transport.
#[derive(Debug)]
pub(in crate::grpc) struct CallInFlight {
    registry: Arc<Registry>,
    connection: u64,
    caller: Option<Actor>,
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.registry.with_lock(|open| open.end_call(self.connection, self.caller.as_ref()));
    }
}

/// Returns the address by which the limits count connections: see [`PeerOrigin`].
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
