//! Checks the limits. Some defaults depend on other limits. Limits per caller have defaults only if callers are authenticated.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use super::file::{ConfigMistake, LimitsTable};
use crate::grpc::{ConnectionLimits, ServerLimits};

/// The default limit of connections. Each needs a file descriptor, and a process usually has 1,024.
const CONNECTIONS: usize = 800;
/// The default limit of requests in flight: twice the number of commands that may wait for one programme.
const CALLS: usize = 8_192;
/// The default limit of requests per second of one caller.
const CALLS_PER_SECOND: u32 = 500;
/// The default limit of open watches of one caller.
const WATCHES_PER_CALLER: usize = 100;
/// The default limit of connections from one address whose caller is not authenticated yet.
const UNKNOWN_PER_ADDRESS: usize = 100;
/// One caller may by default have 1/8 of the connections and of the requests in flight.
const CALLER_DIVISOR: usize = 8;
/// The smallest default of the limits per caller.
const MIN_PER_CALLER: usize = 4;
/// The default time that a connection may be open without a request in flight.
const IDLE_SECONDS: u32 = 600;
/// The default time that a response may wait for the caller to read it. The server ends a watch whose caller reads nothing for
/// 30 seconds. The caller then has 30 more seconds to read the end of the stream.
const UNTAKEN_SECONDS: u32 = 60;

/// Checks the limits of a server, and returns them with the defaults filled in.
pub(super) fn check(
    table: &LimitsTable,
    drain: Duration,
    has_authentication: bool,
    mistakes: &mut Vec<ConfigMistake>,
) -> ServerLimits {
    let max_connections = table.connections.map_or(CONNECTIONS, NonZeroUsize::get);
    let calls = table.calls.map_or(CALLS, NonZeroUsize::get);
    let configured_unknown = table.unknown_connections.as_ref();
    if let Some(configured) = configured_unknown.filter(|it| it.get_ref().get() > max_connections) {
        let why = format!(
            "limits.unknown_connections: {} is more than the {max_connections} of limits.connections",
            configured.get_ref()
        );
        mistakes.push(ConfigMistake::at(Some(configured), why));
    }
    let unknown = configured_unknown.map_or(max_connections.div_ceil(2), |it| it.get_ref().get());
    let per_address = table.unknown_connections_per_address.map_or(UNKNOWN_PER_ADDRESS, NonZeroUsize::get);
    let default_per_caller =
        |total: usize| NonZeroUsize::new((total / CALLER_DIVISOR).max(MIN_PER_CALLER)).filter(|_| has_authentication);
    let seconds = |configured: Option<NonZeroU32>, default: u32| {
        Duration::from_secs(configured.map_or(default, NonZeroU32::get).into())
    };
    let connections = ConnectionLimits {
        all: max_connections,
        unknown,
        unknown_per_address: per_address.min(unknown),
        per_caller: table.connections_per_caller.or(default_per_caller(max_connections)),
        calls_per_caller: table.calls_per_caller.or(default_per_caller(calls)),
        idle: seconds(table.idle_seconds, IDLE_SECONDS),
        untaken: seconds(table.untaken_seconds, UNTAKEN_SECONDS),
        trusted: table.trusted_proxies.iter().filter_map(|it| proxy(it, mistakes)).collect(),
    };
    let default_rate = NonZeroU32::new(CALLS_PER_SECOND).filter(|_| has_authentication);
    let default_watches = NonZeroUsize::new(WATCHES_PER_CALLER).filter(|_| has_authentication);
    ServerLimits {
        drain,
        connections,
        calls,
        rate: table.calls_per_second.or(default_rate),
        watches: table.watches_per_caller.or(default_watches),
    }
}

/// Parses the address or network of a proxy. Returns `None` if it is wrong.
fn proxy(configured: &Spanned<String>, mistakes: &mut Vec<ConfigMistake>) -> Option<IpNet> {
    let text = configured.get_ref();
    let network = text.parse().or_else(|_| text.parse().map(|it: std::net::IpAddr| IpNet::from(it)));
    if network.is_err() {
        let why = format!("limits.trusted_proxies: {text:?} is neither an address nor a network such as 10.0.0.0/8");
        mistakes.push(ConfigMistake::at(Some(configured), why));
    }
    network.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a `[limits]` table. Returns the limits, and the number of mistakes.
    fn checked(text: &str, has_authentication: bool) -> (ServerLimits, usize) {
        let (table, mut mistakes) = (toml::from_str(text).unwrap(), Vec::new());
        let limits = check(&table, Duration::ZERO, has_authentication, &mut mistakes);
        (limits, mistakes.len())
    }

    #[test]
    fn authenticated_callers_have_limits() {
        let caller_limits = |text: &str, has_authentication| {
            let (ServerLimits { connections, rate, watches, .. }, _) = checked(text, has_authentication);
            let number = |it: Option<NonZeroUsize>| it.map(NonZeroUsize::get);
            (rate.map(NonZeroU32::get), [watches, connections.per_caller, connections.calls_per_caller].map(number))
        };
        assert_eq!(caller_limits("", true), (Some(500), [Some(100), Some(100), Some(1_024)]));
        assert_eq!(caller_limits("", false), (None, [None; 3]));
        let configured =
            "calls_per_second = 7\nwatches_per_caller = 8\nconnections_per_caller = 9\ncalls_per_caller = 10";
        for has_authentication in [true, false] {
            assert_eq!(caller_limits(configured, has_authentication), (Some(7), [Some(8), Some(9), Some(10)]));
        }
        assert_eq!(caller_limits("connections = 16", true).1[1], Some(4), "the smallest default is used");
    }

    #[test]
    fn unknown_connections_are_a_share_of_all() {
        let unknown = |text: &str| {
            let (ServerLimits { connections, .. }, mistakes) = checked(text, true);
            (connections.all, connections.unknown, connections.unknown_per_address, mistakes)
        };
        assert_eq!(unknown(""), (800, 400, 100, 0));
        assert_eq!(unknown("connections = 3"), (3, 2, 2, 0));
        assert_eq!(unknown("unknown_connections = 50\nunknown_connections_per_address = 7"), (800, 50, 7, 0));
        assert_eq!(unknown("connections = 3\nunknown_connections = 4").3, 1);
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        let (limits, mistakes) = checked("trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\", \"2001:db8::/32\"]", true);
        let networks: Vec<String> = limits.connections.trusted.iter().map(ToString::to_string).collect();
        assert_eq!((networks.join(" ").as_str(), mistakes), ("10.0.0.0/8 192.0.2.7/32 2001:db8::/32", 0));
        assert_eq!(checked("trusted_proxies = [\"proxy.example\", \"10.0.0.0/33\"]", true).1, 2);
    }
}
