//! Limits the number and the lifetime of connections, so that no client can keep the others out.
//!
//! A connection is *unknown* until a caller is authenticated over it, and *known* from then on. It becomes unknown again
//! when the last token or certificate used over it has expired. Only authenticated requests count, not pings or health
//! checks.
//!
//! | connections | limit | beyond the limit |
//! |---|---|---|
//! | unknown, from one address | a number per address | the oldest of that address is closed |
//! | unknown | a share of all | the oldest of the address with the most unknown connections is closed |
//! | unknown | 15 seconds | closed |
//! | known | a number per caller | the caller's longest idle one is closed; if none is idle, the request is refused |
//! | known, no request in flight | `idle_seconds` | closed |
//! | any | `untaken_seconds` in which the peer takes nothing of a response | closed, which frees the memory of the response |
//! | all | `connections`, and the file descriptors | an unknown one is closed, or else the longest idle known one |
//!
//! So the server waits at most 100 ms before it accepts the next connection. Only if all others are known and have a request
//! in flight, the new one is closed.
//!
//! [`registry`] applies the limits, [`entry`] keeps the state of one connection, and [`stream`] reads and writes its bytes.

mod entry;
mod peer;
mod registry;
mod stream;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::Stream;
use ipnet::IpNet;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub(in crate::grpc) use entry::{AnonymousCall, ConnectionEntry};
pub(in crate::grpc) use peer::{peer, peer_certificate};
pub(in crate::grpc) use registry::{CallInFlight, CallerLimit, Peer, Registry};
pub(in crate::grpc) use stream::Connection;

/// The longest wait for a free descriptor, or for a closing connection, before the next connection is accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The descriptors of the database. PostgreSQL: 16 reading connections, 4 writing ones, 12 for batches, and 1 connection that is
/// being replaced. SQLite needs fewer: 6 connections with 3 files each, and the lock.
const DATABASE_DESCRIPTORS: usize = 16 + 4 + 12 + 1;
/// The descriptors of the process: 3 standard streams, 5 of the runtime and its signals, 2 listeners, and 2 short-lived
/// files or connections, for example to fetch the issuer's keys.
const PROCESS_DESCRIPTORS: usize = 3 + 5 + 2 + 2;
/// The descriptors of a connection that was just accepted, and of the connection that is closed for it.
const ACCEPT_DESCRIPTORS: usize = 2;
/// The most scrapes whose request is being read. As many scrapes may have a response that is being sent.
pub(in crate::grpc) const MAX_SCRAPES: usize = 4;
/// The most open connections of scrapes: those whose request is being read, those whose response is being sent, and one
/// whose slot was taken and that is not closed yet.
pub(in crate::grpc) const MAX_SCRAPE_CONNECTIONS: usize = 2 * MAX_SCRAPES + 1;
/// The descriptors that are reserved for everything except the connections of callers.
const RESERVED_DESCRIPTORS: usize =
    DATABASE_DESCRIPTORS + PROCESS_DESCRIPTORS + ACCEPT_DESCRIPTORS + MAX_SCRAPE_CONNECTIONS;
/// The number of connections that is allowed even with very few descriptors.
const MIN_CONNECTIONS: usize = 8;

/// The limits of connections, in total and per caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most open connections.
    pub all: usize,
    /// The most open connections whose caller is unknown.
    pub unknown: usize,
    /// The most unknown connections from one address. For IPv6 an address is a /64 network.
    pub unknown_per_address: usize,
    /// The most known connections of one caller; `None` for no limit.
    pub per_caller: Option<NonZeroUsize>,
    /// The most requests in flight of one caller; `None` for no limit.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// The longest time that a known connection may be open without a request in flight.
    pub idle: Duration,
    /// The longest time that a response may wait for the caller to read it.
    pub untaken: Duration,
    /// Proxies in front of the server. Their connections have no limit per address or per caller.
    pub trusted: Vec<IpNet>,
}

impl ConnectionLimits {
    /// Reduces the limits to what the file descriptors of the process allow, and logs a reduction.
    pub(in crate::grpc) fn within_descriptors(self) -> Self {
        match getrlimit(Resource::Nofile).current.and_then(|it| usize::try_from(it).ok()) {
            Some(descriptors) => self.reduced_to(descriptors),
            None => self,
        }
    }

    fn reduced_to(mut self, descriptors: usize) -> Self {
        let max_connections = descriptors.saturating_sub(RESERVED_DESCRIPTORS).max(MIN_CONNECTIONS);
        if self.all > max_connections {
            tracing::warn!(
                target: "tsio::connections", configured = self.all, connections = max_connections, descriptors,
                reserved = RESERVED_DESCRIPTORS,
                "fewer connections than configured: the limit on open files (ulimit -n) is too low"
            );
            // Each limit keeps its share of the total, but at least `least`. No limit is raised.
            let reduced = |configured: usize, least: usize| {
                let share = configured.saturating_mul(max_connections).checked_div(self.all).unwrap_or(1);
                share.max(least).min(configured)
            };
            self.unknown = reduced(self.unknown, 1);
            self.unknown_per_address = reduced(self.unknown_per_address, MIN_CONNECTIONS).min(self.unknown);
            self.per_caller = self.per_caller.and_then(|it| NonZeroUsize::new(reduced(it.get(), 2)));
            self.all = max_connections;
        }
        self
    }

    /// Returns true if the address is that of a trusted proxy.
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(&address.to_canonical()))
    }
}

/// Returns the stream of accepted connections. If there are too many connections, the least useful one is closed: an unknown
/// one, or else the known one that has been idle for longest. If all others are known and have requests in flight, the new
/// connection is closed.
pub(in crate::grpc) fn incoming(
    listener: TcpListener,
    registry: Arc<Registry>,
) -> impl Stream<Item = io::Result<Connection>> {
    futures_util::stream::unfold((listener, registry), async |(listener, registry)| {
        let connection = loop {
            registry.wait_for_closing(ACCEPT_PAUSE).await;
            let Some((stream, address)) = accept(&listener, &registry).await else { continue };
            // This only fails if the client has closed the connection already.
            let _ = stream.set_nodelay(true);
            if let Some(peer) = registry.open(address) {
                break Connection::new(stream, peer);
            }
        };
        Some((Ok(connection), (listener, registry)))
    })
}

/// Accepts the next connection. A failure is logged and counted. Then this returns `None` after a pause of at most
/// [`ACCEPT_PAUSE`], and must be called again. If the process has no free descriptor, the least useful connection is closed, as
/// by [`incoming`].
pub(in crate::grpc) async fn accept(listener: &TcpListener, registry: &Registry) -> Option<(TcpStream, SocketAddr)> {
    let error = match listener.accept().await {
        Ok(accepted) => return Some(accepted),
        Err(error) => error,
    };
    let out_of_descriptors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    registry.metrics().record_accept_error(&error, out_of_descriptors);
    if out_of_descriptors {
        registry.close_least_useful("descriptors");
    }
    // The pause ends early if a connection closes.
    let _ = timeout(ACCEPT_PAUSE, registry.wait_until_freed()).await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ConnectionLimits {
        ConnectionLimits {
            all: 800,
            unknown: 400,
            unknown_per_address: 100,
            per_caller: NonZeroUsize::new(100),
            calls_per_caller: None,
            idle: Duration::from_secs(600),
            untaken: Duration::from_secs(60),
            trusted: vec!["10.1.0.0/16".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        }
    }

    #[test]
    fn the_limits_are_reduced_to_the_descriptors() {
        assert_eq!(limits().reduced_to(1_024), limits());
        // The database, the process, accepting, and the scrapes: four that are read, four that are answered, one that
        // is being closed.
        assert_eq!(RESERVED_DESCRIPTORS, 33 + 12 + 2 + 9);
        assert_eq!(limits().reduced_to(855).all, 799);
        let few = limits().reduced_to(72);
        assert_eq!((few.all, few.unknown, few.unknown_per_address), (16, 8, 8));
        assert_eq!(few.per_caller, NonZeroUsize::new(2));
        assert_eq!(limits().reduced_to(10).all, MIN_CONNECTIONS);
    }

    #[test]
    fn a_small_limit_is_not_raised_when_the_total_is_reduced() {
        let small = ConnectionLimits { unknown_per_address: 3, per_caller: NonZeroUsize::new(1), ..limits() };
        let few = small.reduced_to(72);
        assert_eq!((few.all, few.unknown), (16, 8));
        assert_eq!((few.unknown_per_address, few.per_caller), (3, NonZeroUsize::new(1)));
    }

    #[test]
    fn a_proxy_is_trusted_by_its_network() {
        for (address, trusted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("2001:db8:7::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(limits().trusts(address.parse().unwrap()), trusted, "{address}");
        }
    }
}
