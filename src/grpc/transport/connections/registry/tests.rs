//! Tests which connections are closed so that new ones can be opened, and which are closed because of their age.

use super::*;
use crate::grpc::telemetry::internal_metrics::ScrapeLock;

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        all: 6,
        unknown: 4,
        unknown_per_address: 3,
        per_caller: NonZeroUsize::new(2),
        calls_per_caller: NonZeroUsize::new(3),
        idle: Duration::from_secs(600),
        untaken: Duration::from_secs(60),
        trusted: vec!["10.0.0.1/32".parse().unwrap()],
    }
}

fn registry(limits: ConnectionLimits) -> Arc<Registry> {
    let metrics = ConnectionMetrics::new(&prometheus::Registry::new(), ScrapeLock::default()).unwrap();
    Arc::new(Registry::new(limits, Arc::new(metrics)))
}

fn connect(registry: &Arc<Registry>, address: &str) -> Peer {
    registry.open(SocketAddr::new(address.parse().unwrap(), 1)).unwrap()
}

fn is_closed(peer: &Peer) -> bool {
    peer.entry.is_closed(&std::task::Context::from_waker(std::task::Waker::noop()))
}

fn begin_call(peer: &Peer, actor: &str) -> Result<CallInFlight, CallerLimit> {
    peer.registry.begin_call(&peer.entry, Some(&actor.parse().unwrap()), None)
}

/// Does what the registry does when this time has passed: closes the connections that have then exceeded a time limit.
fn close_expired_after(registry: &Registry, time: Duration) {
    registry.with_lock(|open| open.close_expired(&registry.limits, Instant::now() + time));
}

#[test]
fn the_oldest_connection_of_an_address_is_closed_for_its_newest() {
    let registry = registry(limits());
    let same_address: Vec<Peer> = (0..4).map(|_| connect(&registry, "192.0.2.1")).collect();
    assert_eq!(same_address.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
    let others = ["192.0.2.2", "192.0.2.3"].map(|it| connect(&registry, it));
    // The first of these two fills the limit of unknown connections. For the second, the address with the most unknown connections
    // loses its oldest.
    assert_eq!(same_address.iter().map(is_closed).collect::<Vec<_>>(), [true, true, false, false]);
    assert!(!others.iter().any(is_closed));
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let registry = registry(limits());
    let same_network: Vec<Peer> = (1..=4).map(|it| connect(&registry, &format!("2001:db8::{it}"))).collect();
    assert_eq!(same_network.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
}

#[test]
fn a_known_connection_is_not_closed_for_unknown_ones() {
    let registry = registry(limits());
    let known = connect(&registry, "192.0.2.1");
    drop(begin_call(&known, "ann").unwrap());
    let flood: Vec<Peer> = (0..50).map(|_| connect(&registry, "192.0.2.1")).collect();
    assert!(!is_closed(&known));
    assert_eq!(flood.iter().filter(|it| !is_closed(it)).count(), 3);
}

#[test]
fn connections_of_a_proxy_count_in_the_totals_and_are_closed_last() {
    let registry = registry(limits());
    let proxied: Vec<Peer> = (0..4).map(|_| connect(&registry, "10.0.0.1")).collect();
    assert!(!proxied.iter().any(is_closed));
    let other = connect(&registry, "192.0.2.1");
    assert_eq!(proxied.iter().filter(|it| is_closed(it)).count(), 1);
    let _newest = connect(&registry, "192.0.2.2");
    assert!(is_closed(&other) && proxied.iter().filter(|it| is_closed(it)).count() == 1);
}

#[test]
fn the_connections_and_calls_of_one_caller_are_limited() {
    let registry = registry(limits());
    let [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|it| connect(&registry, it));
    drop(begin_call(&first, "ann").unwrap());
    let calls = [begin_call(&second, "ann").unwrap(), begin_call(&second, "ann").unwrap()];
    // The third connection is one too many, so the first is closed, because it is idle.
    let call = begin_call(&third, "ann").unwrap();
    assert_eq!([&first, &second, &third].map(is_closed), [true, false, false]);
    assert_eq!(begin_call(&third, "ann").unwrap_err(), CallerLimit::Calls(3));
    drop(calls);
    let busy = begin_call(&second, "ann").unwrap();
    let fourth = connect(&registry, "192.0.2.4");
    assert_eq!(begin_call(&fourth, "ann").unwrap_err(), CallerLimit::Connections(2));
    assert!(begin_call(&fourth, "ben").is_ok(), "a different caller has a limit of their own");
    drop((call, busy));
    for peer in [&first, &second, &third, &fourth] {
        registry.remove(peer.entry.id());
    }
    registry.with_lock(|open| {
        assert!(open.callers.is_empty() && open.unknown.is_empty() && open.connections.is_empty() && open.closing == 0);
    });
}

#[test]
fn if_all_are_known_an_idle_connection_is_closed_and_never_a_busy_one() {
    let registry = registry(ConnectionLimits { all: 2, unknown: 2, ..limits() });
    let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|it| connect(&registry, it));
    let (_busy, idle) = (begin_call(&first, "ann").unwrap(), begin_call(&second, "ben").unwrap());
    assert!(registry.open(SocketAddr::from(([192, 0, 2, 3], 1))).is_none());
    drop(idle);
    assert!(registry.open(SocketAddr::from(([192, 0, 2, 3], 1))).is_some());
    assert_eq!([&first, &second].map(is_closed), [false, true]);
}

#[test]
fn connections_that_are_unknown_idle_untaken_or_whose_proof_expired_are_closed() {
    let registry = registry(limits());
    let [unknown, idle, busy, stuck] =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|it| connect(&registry, it));
    drop(begin_call(&idle, "ann").unwrap());
    let _call = begin_call(&busy, "ben").unwrap();
    drop(begin_call(&stuck, "cem").unwrap());
    let proven = connect(&registry, "192.0.2.5");
    let caller = "dee".parse().unwrap();
    let proof_expires = Instant::now() + Duration::from_secs(20);
    drop(registry.begin_call(&proven.entry, Some(&caller), Some(proof_expires)).unwrap());
    let all = [&unknown, &idle, &busy, &stuck, &proven];
    close_expired_after(&registry, Duration::from_secs(14));
    assert_eq!(all.map(is_closed), [false; 5]);
    close_expired_after(&registry, Duration::from_secs(16));
    assert_eq!(all.map(is_closed), [true, false, false, false, false]);
    assert_eq!(
        registry.with_lock(|open| open.unknown_count()),
        0,
        "a connection stays known until its proof of identity expires"
    );
    // The proof has expired. The connection now has 15 seconds to present another, like a new connection.
    close_expired_after(&registry, Duration::from_secs(21));
    assert_eq!(registry.with_lock(|open| open.unknown_count()), 1);
    close_expired_after(&registry, Duration::from_secs(34));
    assert!(!is_closed(&proven));
    // The peer of `stuck` does not read a response, and the peer of `slow` reads its response at last.
    let slow = connect(&registry, "192.0.2.6");
    drop(begin_call(&slow, "eve").unwrap());
    let slow_response = slow.entry.add_response();
    slow.entry.record_handed(slow_response);
    let response = stuck.entry.add_response();
    stuck.entry.record_handed(response);
    close_expired_after(&registry, Duration::from_secs(36));
    assert_eq!(all.map(is_closed), [true, false, false, false, true]);
    slow.entry.record_taken(slow_response);
    close_expired_after(&registry, Duration::from_secs(61));
    assert_eq!(all.map(is_closed), [true, false, false, true, true]);
    assert!(!is_closed(&slow));
    close_expired_after(&registry, Duration::from_secs(601));
    assert_eq!(all.map(is_closed), [true, true, false, true, true]);
}
