//! Limits the number and the lifetime of connections, so that no client can keep the others out.
//!
//! A connection is *unknown* until a caller is authenticated over it, and *known* from then on. It becomes unknown again when
//! the last token or certificate used over it has expired. Only authenticated requests count, not pings or health checks.
//!
//! | connections | limit | beyond it |
//! |---|---|---|
//! | unknown | a share of all, and a number per address | the oldest of that address, or of the address with most, is closed |
//! | unknown | 15 seconds | closed |
//! | known | a number per caller | the caller's longest idle one is closed; if none is idle, the request is refused |
//! | known, no request in flight | `idle_seconds` | closed |
//! | any | `untaken_seconds` in which the peer takes nothing of a response | closed, which frees the memory of the response |
//! | all | `connections`, and the file descriptors | an unknown one is closed, or else the longest idle known one |
//!
//! So a new connection is accepted at once, except if all others have a request in flight: then the new one is closed.
//! [`registry`] applies the limits, [`entry`] is one connection, [`stream`] its bytes.

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

/// How long to wait for a free descriptor before accepting the next connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors of the database. PostgreSQL: 16 reading connections, two pools of 4 writing ones, and 1 being replaced.
/// SQLite needs fewer: 5 connections with 3 files each, and the lock.
const DATABASE_DESCRIPTORS: usize = 16 + 2 * 4 + 1;
/// Descriptors of the process: 3 standard streams, 5 of the runtime and its signals, 2 listeners, and 2 short-lived files or
/// connections, for example to fetch the issuer's keys.
const PROCESS_DESCRIPTORS: usize = 3 + 5 + 2 + 2;
/// A connection that was just accepted, and the one that is closing for it.
const ACCEPT_DESCRIPTORS: usize = 2;
/// The limit of open connections of scrapes.
pub(in crate::grpc) const MAX_SCRAPE_CONNECTIONS: usize = 2 * SCRAPES + 1;
/// The limit of scrapes whose request is being read, and also of those being answered.
pub(in crate::grpc) const SCRAPES: usize = 4;
/// Descriptors reserved for everything except the connections of callers.
const RESERVED: usize = DATABASE_DESCRIPTORS + PROCESS_DESCRIPTORS + ACCEPT_DESCRIPTORS + MAX_SCRAPE_CONNECTIONS;
/// Connections that are allowed even with very few descriptors.
const MIN_CONNECTIONS: usize = 8;

/// The limits of connections, in total and per caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections.
    pub all: usize,
    /// Open connections whose caller is unknown.
    pub unknown: usize,
    /// Unknown connections from one address; of IPv6 from one /64 network.
    pub unknown_per_address: usize,
    /// Known connections of one caller; `None` for no limit.
    pub per_caller: Option<NonZeroUsize>,
    /// Requests in flight of one caller; `None` for no limit.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// How long a known connection may be open without a request in flight.
    pub idle: Duration,
    /// How long a response may wait for the caller to read it.
    pub untaken: Duration,
    /// Proxies in front of the server. Their connections have no limit per address or per caller.
    pub trusted: Vec<IpNet>,
}

impl ConnectionLimits {
    /// Reduces the limits to the file descriptors of the process, and logs a reduction.
    pub(in crate::grpc) fn within_descriptors(self) -> Self {
        match getrlimit(Resource::Nofile).current.and_then(|it| usize::try_from(it).ok()) {
            Some(descriptors) => self.within(descriptors),
            None => self,
        }
    }

    fn within(mut self, descriptors: usize) -> Self {
        let affordable = descriptors.saturating_sub(RESERVED).max(MIN_CONNECTIONS);
        if self.all > affordable {
            tracing::warn!(
                target: "tsio::connections", configured = self.all, connections = affordable, descriptors, reserved = RESERVED,
                "fewer connections than configured: the process may open too few files (ulimit -n)"
            );
            // Each limit keeps its share of the total.
            let share = |it: usize| it.saturating_mul(affordable).checked_div(self.all).unwrap_or(1).max(1);
            self.unknown = share(self.unknown);
            self.unknown_per_address = share(self.unknown_per_address).max(MIN_CONNECTIONS).min(self.unknown);
            self.per_caller = self.per_caller.and_then(|it| NonZeroUsize::new(share(it.get()).max(2)));
            self.all = affordable;
        }
        self
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(&address.to_canonical()))
    }
}

/// The stream of accepted connections. If there are too many, another one is closed, or the new one if all others have
/// requests in flight.
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

/// Accepts the next connection. A failure is logged and counted, and returns `None` after a short pause, so that the caller
/// tries again. If the process has no free descriptor, an unknown connection is closed.
pub(in crate::grpc) async fn accept(listener: &TcpListener, registry: &Registry) -> Option<(TcpStream, SocketAddr)> {
    let error = match listener.accept().await {
        Ok(accepted) => return Some(accepted),
        Err(error) => error,
    };
    let out_of_descriptors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    registry.metrics().accept_failed(&error, out_of_descriptors);
    if out_of_descriptors {
        registry.close_one_unknown("descriptors");
    }
    // The pause ends early if a connection closes.
    let _ = timeout(ACCEPT_PAUSE, registry.freed()).await;
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
    fn connections_are_bounded_by_descriptors() {
        assert_eq!(limits().within(1_024), limits());
        // The database, the process, accepting, and the scrapes: four being read, four being answered, one arriving.
        assert_eq!(RESERVED, 25 + 12 + 2 + 9);
        assert_eq!(limits().within(847).all, 799);
        let few = limits().within(64);
        assert_eq!((few.all, few.unknown, few.unknown_per_address), (16, 8, 8));
        assert_eq!(few.per_caller, NonZeroUsize::new(2));
        assert_eq!(limits().within(10).all, MIN_CONNECTIONS);
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
