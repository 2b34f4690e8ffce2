//! Tests which connection is closed for which other one, with fixed times.

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

fn begin(peer: &Peer, actor: &str) -> Result<CallInFlight, CallerLimit> {
    peer.registry.begin(&peer.entry, Some(&actor.parse().unwrap()), None)
}

fn advance(registry: &Registry, later: Duration) {
    registry.with(|open| open.close_expired(&registry.limits, Instant::now() + later));
}

#[test]
fn the_oldest_of_an_address_is_closed_for_its_newest() {
    let registry = registry(limits());
    let own: Vec<Peer> = (0..4).map(|_| connect(&registry, "192.0.2.1")).collect();
    assert_eq!(own.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
    // One IPv6 network is one address.
    let networked: Vec<Peer> = (1..=2).map(|it| connect(&registry, &format!("2001:db8::{it}"))).collect();
    // The limit of unknown connections is reached: the address with most of them loses one for each new connection.
    assert_eq!(own.iter().map(is_closed).collect::<Vec<_>>(), [true, true, false, false]);
    assert!(!networked.iter().any(is_closed));
}

#[test]
fn a_known_connection_is_not_closed_for_unknown_ones() {
    let registry = registry(limits());
    let known = connect(&registry, "192.0.2.1");
    drop(begin(&known, "ann").unwrap());
    let flood: Vec<Peer> = (0..50).map(|_| connect(&registry, "192.0.2.1")).collect();
    assert!(!is_closed(&known));
    assert_eq!(flood.iter().filter(|it| !is_closed(it)).count(), 3);
}

#[test]
fn a_proxy_is_bounded_with_all_others_and_closed_last() {
    let registry = registry(limits());
    let proxied: Vec<Peer> = (0..4).map(|_| connect(&registry, "10.0.0.1")).collect();
    assert!(!proxied.iter().any(is_closed));
    let other = connect(&registry, "192.0.2.1");
    assert_eq!(proxied.iter().filter(|it| is_closed(it)).count(), 1);
    let _third = connect(&registry, "192.0.2.2");
    assert!(is_closed(&other) && proxied.iter().filter(|it| is_closed(it)).count() == 1);
}

#[test]
fn the_connections_and_calls_of_one_caller_are_limited() {
    let registry = registry(limits());
    let [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|it| connect(&registry, it));
    drop(begin(&first, "ann").unwrap());
    let calls = [begin(&second, "ann").unwrap(), begin(&second, "ann").unwrap()];
    // The idle one is closed.
    let call = begin(&third, "ann").unwrap();
    assert_eq!([&first, &second, &third].map(is_closed), [true, false, false]);
    assert_eq!(begin(&third, "ann").unwrap_err(), CallerLimit::Calls(3));
    drop(calls);
    let busy = begin(&second, "ann").unwrap();
    let fourth = connect(&registry, "192.0.2.4");
    assert_eq!(begin(&fourth, "ann").unwrap_err(), CallerLimit::Connections(2));
    assert!(begin(&fourth, "ben").is_ok(), "another caller has connections of their own");
    drop((call, busy));
    for peer in [&first, &second, &third, &fourth] {
        registry.gone(peer.entry.id());
    }
    registry.with(|open| {
        assert!(open.callers.is_empty() && open.unknown.is_empty() && open.connections.is_empty() && open.closing == 0);
    });
}

#[test]
fn if_all_are_known_an_idle_one_is_closed_and_never_a_busy_one() {
    let registry = registry(ConnectionLimits { all: 2, unknown: 2, ..limits() });
    let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|it| connect(&registry, it));
    let (_busy, idle) = (begin(&first, "ann").unwrap(), begin(&second, "ben").unwrap());
    assert!(registry.open(SocketAddr::from(([192, 0, 2, 3], 1))).is_none());
    drop(idle);
    assert!(registry.open(SocketAddr::from(([192, 0, 2, 3], 1))).is_some());
    assert_eq!([&first, &second].map(is_closed), [false, true]);
}

#[test]
fn time_closes_what_is_unknown_idle_untaken_or_without_a_proof() {
    let registry = registry(limits());
    let [never, idle, busy, stuck] =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(|it| connect(&registry, it));
    drop(begin(&idle, "ann").unwrap());
    let _call = begin(&busy, "ben").unwrap();
    drop(begin(&stuck, "cem").unwrap());
    let proven = connect(&registry, "192.0.2.5");
    let caller = "dee".parse().unwrap();
    let soon = Instant::now() + Duration::from_secs(20);
    drop(registry.begin(&proven.entry, Some(&caller), Some(soon)).unwrap());
    let all = [&never, &idle, &busy, &stuck, &proven];
    advance(&registry, Duration::from_secs(14));
    assert_eq!(all.map(is_closed), [false; 5]);
    advance(&registry, Duration::from_secs(16));
    assert_eq!(all.map(is_closed), [true, false, false, false, false]);
    assert_eq!(registry.with(|open| open.unknown()), 0, "a token counts until it expires");
    // Its token has expired: the connection has as long as a new one to present another.
    advance(&registry, Duration::from_secs(21));
    assert_eq!(registry.with(|open| open.unknown()), 1);
    advance(&registry, Duration::from_secs(34));
    assert!(!is_closed(&proven));
    let response = stuck.entry.number_response();
    stuck.entry.handed(response);
    advance(&registry, Duration::from_secs(36));
    assert_eq!(all.map(is_closed), [true, false, false, false, true]);
    advance(&registry, Duration::from_secs(61));
    assert_eq!(all.map(is_closed), [true, false, false, true, true]);
    stuck.entry.taken(response);
    advance(&registry, Duration::from_secs(601));
    assert_eq!(all.map(is_closed), [true, true, false, true, true]);
}
