//! Bounds: what is not set follows from what is, and callers are bounded one by one only where they are told apart.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use super::file::{ConfigMistake, LimitsTable};
use crate::grpc::{ConnectionLimits, ServerLimits};

/// Connections at a time, where nothing says otherwise: each takes a file descriptor, of which a process has 1,024.
const CONNECTIONS: usize = 800;
/// Calls in flight, where nothing says otherwise: twice as many as may wait for one programme.
const CALLS: usize = 8_192;
/// Calls a second of one caller, where nothing says otherwise and callers are told apart.
const CALLS_PER_SECOND: u32 = 500;
/// Watches of one caller at a time.
const WATCHES_PER_CALLER: usize = 100;
/// Unknown connections from one address.
const PER_ADDRESS: usize = 100;
/// Which part of connections and calls is one caller's.
const PART: usize = 8;
/// The least that it is.
const LEAST: usize = 4;
/// How long a connection may be open without a call in flight.
const IDLE_SECONDS: u32 = 600;
/// How long a response may wait to be taken: a watcher that takes nothing is ended after 30 seconds, and has 30 more.
const UNTAKEN_SECONDS: u32 = 60;

/// The bounds of a server.
pub(super) fn check(
    table: &LimitsTable,
    drain: Duration,
    callers_are_known: bool,
    mistakes: &mut Vec<ConfigMistake>,
) -> ServerLimits {
    let all = table.connections.map_or(CONNECTIONS, NonZeroUsize::get);
    let calls = table.calls.map_or(CALLS, NonZeroUsize::get);
    let unknown = table.unknown_connections.as_ref();
    if let Some(given) = unknown.filter(|it| it.get_ref().get() > all) {
        let why =
            format!("limits.unknown_connections: {} is more than the {all} of limits.connections", given.get_ref());
        mistakes.push(ConfigMistake::at(Some(given), why));
    }
    let unknown = unknown.map_or(all.div_ceil(2), |it| it.get_ref().get());
    let per_address = table.unknown_connections_per_address.map_or(PER_ADDRESS, NonZeroUsize::get);
    let part = |of: usize| NonZeroUsize::new((of / PART).max(LEAST)).filter(|_| callers_are_known);
    let seconds =
        |given: Option<NonZeroU32>, usual: u32| Duration::from_secs(given.map_or(usual, NonZeroU32::get).into());
    let connections = ConnectionLimits {
        all,
        unknown,
        unknown_per_address: per_address.min(unknown),
        per_caller: table.connections_per_caller.or(part(all)),
        calls_per_caller: table.calls_per_caller.or(part(calls)),
        idle: seconds(table.idle_seconds, IDLE_SECONDS),
        untaken: seconds(table.untaken_seconds, UNTAKEN_SECONDS),
        trusted: table.trusted_proxies.iter().filter_map(|it| proxy(it, mistakes)).collect(),
    };
    let rate = NonZeroU32::new(CALLS_PER_SECOND).filter(|_| callers_are_known);
    let watches = NonZeroUsize::new(WATCHES_PER_CALLER).filter(|_| callers_are_known);
    ServerLimits {
        drain,
        connections,
        calls,
        rate: table.calls_per_second.or(rate),
        watches: table.watches_per_caller.or(watches),
    }
}

fn proxy(given: &Spanned<String>, mistakes: &mut Vec<ConfigMistake>) -> Option<IpNet> {
    let text = given.get_ref();
    let network = text.parse().or_else(|_| text.parse().map(|it: std::net::IpAddr| IpNet::from(it)));
    if network.is_err() {
        let why = format!("limits.trusted_proxies: {text:?} is neither an address nor a network such as 10.0.0.0/8");
        mistakes.push(ConfigMistake::at(Some(given), why));
    }
    network.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str, callers_are_known: bool) -> (ServerLimits, usize) {
        let (table, mut mistakes) = (toml::from_str(text).unwrap(), Vec::new());
        let limits = check(&table, Duration::ZERO, callers_are_known, &mut mistakes);
        (limits, mistakes.len())
    }

    #[test]
    fn callers_who_are_told_apart_are_bounded() {
        let of_caller = |text: &str, known| {
            let (ServerLimits { connections, rate, watches, .. }, _) = bounds(text, known);
            let number = |it: Option<NonZeroUsize>| it.map(NonZeroUsize::get);
            (rate.map(NonZeroU32::get), [watches, connections.per_caller, connections.calls_per_caller].map(number))
        };
        assert_eq!(of_caller("", true), (Some(500), [Some(100), Some(100), Some(1_024)]));
        assert_eq!(of_caller("", false), (None, [None; 3]));
        let own = "calls_per_second = 7\nwatches_per_caller = 8\nconnections_per_caller = 9\ncalls_per_caller = 10";
        for known in [true, false] {
            assert_eq!(of_caller(own, known), (Some(7), [Some(8), Some(9), Some(10)]));
        }
        assert_eq!(of_caller("connections = 16", true).1[1], Some(4), "one caller has some, however few there are");
    }

    #[test]
    fn unknown_connections_fill_a_part_of_all() {
        let unknown = |text: &str| {
            let (ServerLimits { connections, .. }, mistakes) = bounds(text, true);
            (connections.all, connections.unknown, connections.unknown_per_address, mistakes)
        };
        assert_eq!(unknown(""), (800, 400, 100, 0));
        assert_eq!(unknown("connections = 3"), (3, 2, 2, 0));
        assert_eq!(unknown("unknown_connections = 50\nunknown_connections_per_address = 7"), (800, 50, 7, 0));
        assert_eq!(unknown("connections = 3\nunknown_connections = 4").3, 1);
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let (limits, mistakes) = bounds("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\", \"2001:db8::/32\"]", true);
        let named: Vec<String> = limits.connections.trusted.iter().map(ToString::to_string).collect();
        assert_eq!((named.join(" ").as_str(), mistakes), ("10.0.0.0/8 192.0.2.7/32 2001:db8::/32", 0));
        assert_eq!(bounds("trusted_proxies = [\"proxy.example\", \"10.0.0.0/33\"]", true).1, 2);
    }
}
