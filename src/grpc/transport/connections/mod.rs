//! Connections: how many may be open, of whom, and for how long. Nobody can keep the others out.
//!
//! A connection is *unknown* until a caller was authenticated over it, *known* from then on, and unknown again once the last
//! proof shown over it has ended. Only authenticated calls count: not pings, not health.
//!
//! | which | bound | past it |
//! |---|---|---|
//! | unknown | a part of all, and so many from one address | the oldest of that address, or of the address with most, is closed |
//! | unknown | 15 seconds | closed |
//! | known | so many of one caller | the one of that caller that is idle longest is closed; with none idle the call is refused |
//! | known, no call in flight | `idle_seconds` | closed |
//! | any | a response of which nothing is taken for `untaken_seconds` | closed: nothing else frees what the transport holds for it |
//! | all | `connections`, and the file descriptors | an unknown one is closed, else the known one that is idle longest |
//!
//! A new connection is therefore taken at once, unless every other one has a call in flight: then the new one is closed. [`registry`] decides, [`entry`] is one connection, [`stream`] its bytes.

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
pub(in crate::grpc) use registry::{CallInFlight, Exceeded, Peer, Registry};
pub(in crate::grpc) use stream::Connection;

/// How long to wait for a descriptor to be freed before taking the next connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Descriptors of the database. PostgreSQL: 16 connections that read, two pools of 4 that write, 1 that is replaced. SQLite: 5
/// connections with 3 files each, and the lock.
const OF_DATABASE: usize = 16 + 2 * 4 + 1;
/// Descriptors of the process: 3 of standard input and output, 5 of the runtime and its signals, 2 listeners, and 2 files or
/// connections opened for a moment, as for the issuer's keys.
const OF_PROCESS: usize = 3 + 5 + 2 + 2;
/// A connection that was just accepted, and one that was told to close for it.
const OF_ACCEPTING: usize = 2;
/// Connections of scrapes that are open at most.
pub(in crate::grpc) const MOST_SCRAPES: usize = 2 * SCRAPES + 1;
/// Scrapes whose request is being read, and as many that are being answered.
pub(in crate::grpc) const SCRAPES: usize = 4;
/// Descriptors that are left to all but connections of callers.
const RESERVED: usize = OF_DATABASE + OF_PROCESS + OF_ACCEPTING + MOST_SCRAPES;
/// Connections that are allowed however few descriptors there are.
const FEWEST: usize = 8;

/// Bounds of connections, and of what one caller may do over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time.
    pub all: usize,
    /// Those of them whose caller is unknown.
    pub unknown: usize,
    /// Unknown connections from one address; of IPv6 from one /64 network.
    pub unknown_per_address: usize,
    /// Known connections of one caller, where they are bounded.
    pub per_caller: Option<NonZeroUsize>,
    /// Calls in flight of one caller, where they are bounded.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// How long a known connection may be open without a call in flight.
    pub idle: Duration,
    /// How long a response may wait for its caller to take it.
    pub untaken: Duration,
    /// Proxies in front of the server: their connections are bounded neither by address nor by caller.
    pub trusted: Vec<IpNet>,
}

impl ConnectionLimits {
    /// The same, with no more connections than the process has file descriptors for; a lower number is logged.
    pub(in crate::grpc) fn within_descriptors(self) -> Self {
        match getrlimit(Resource::Nofile).current.and_then(|it| usize::try_from(it).ok()) {
            Some(descriptors) => self.within(descriptors),
            None => self,
        }
    }

    fn within(mut self, descriptors: usize) -> Self {
        let most = descriptors.saturating_sub(RESERVED).max(FEWEST);
        if self.all > most {
            tracing::warn!(
                target: "tsio::connections", configured = self.all, connections = most, descriptors, reserved = RESERVED,
                "fewer connections than configured: the process may open too few files (ulimit -n)"
            );
            // Each bound keeps its part of the whole.
            let part = |it: usize| it.saturating_mul(most).checked_div(self.all).unwrap_or(1).max(1);
            self.unknown = part(self.unknown);
            self.unknown_per_address = part(self.unknown_per_address).max(FEWEST).min(self.unknown);
            self.per_caller = self.per_caller.and_then(|it| NonZeroUsize::new(part(it.get()).max(2)));
            self.all = most;
        }
        self
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|it| it.contains(&address.to_canonical()))
    }
}

/// Connections as they come. Where there are too many, another one is closed, or the new one if all others have calls in
/// flight.
pub(in crate::grpc) fn incoming(
    listener: TcpListener,
    registry: Arc<Registry>,
) -> impl Stream<Item = io::Result<Connection>> {
    futures_util::stream::unfold((listener, registry), async |(listener, registry)| {
        let taken = loop {
            registry.settle(PAUSE).await;
            let Some((stream, address)) = accept(&listener, &registry).await else { continue };
            // A caller that has hung up meanwhile needs no fast answer.
            let _ = stream.set_nodelay(true);
            if let Some(peer) = registry.open(address) {
                break Connection::new(stream, peer);
            }
        };
        Some((Ok(taken), (listener, registry)))
    })
}

/// The next connection. Where it cannot be taken that is logged and counted; without descriptors an unknown connection is
/// closed, and after a short while the caller tries again.
pub(in crate::grpc) async fn accept(listener: &TcpListener, registry: &Registry) -> Option<(TcpStream, SocketAddr)> {
    let error = match listener.accept().await {
        Ok(taken) => return Some(taken),
        Err(error) => error,
    };
    let without_descriptors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE]
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()));
    registry.metrics().accept_failed(&error, without_descriptors);
    if without_descriptors {
        registry.close_one_unknown("descriptors");
    }
    // Ends early when a connection has gone; what it waits for may not come.
    let _ = timeout(PAUSE, registry.freed()).await;
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
        // The database, the process, and four scrapes each that are read and answered, with the one that comes.
        assert_eq!(RESERVED, 25 + 12 + 2 + 9);
        assert_eq!(limits().within(847).all, 799);
        let few = limits().within(64);
        assert_eq!((few.all, few.unknown, few.unknown_per_address), (16, 8, 8));
        assert_eq!(few.per_caller, NonZeroUsize::new(2));
        assert_eq!(limits().within(10).all, FEWEST);
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
