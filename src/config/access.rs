//! Checks the settings of authentication and of TLS together, because their rules depend on each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::file::{ConfigFile, ConfigMistake, ServiceTable, TlsTable, TokensTable};
use crate::domain::role::{Caller, Regions};
use crate::grpc::Tls;
use crate::grpc::auth::{Access, KeySource, Service, TokenSettings};

/// The default allowed difference between clocks.
const LEEWAY_SECONDS: u64 = 30;
/// The largest allowed difference. A larger one would make expired tokens valid for too long.
const MAX_LEEWAY_SECONDS: u64 = 300;

/// Checks authentication and TLS, and returns their settings. A loopback address may be served without TLS, because a proxy on the
/// same machine may provide it. Development mode needs neither authentication nor TLS, but is allowed only on loopback.
pub(super) fn check(
    settings: &ConfigFile,
    listen: SocketAddr,
    development: bool,
    mistakes: &mut Vec<ConfigMistake>,
) -> (Access, Option<Tls>) {
    let tls = settings.tls.as_ref().and_then(|table| tls(table, mistakes));
    let tokens = settings.tokens.as_ref().and_then(|table| tokens(table, mistakes));
    let services: Vec<Service> = settings.services.iter().filter_map(|table| service(table, mistakes)).collect();
    let has_authentication = settings.tokens.is_some() || !settings.services.is_empty();
    if !settings.services.is_empty() && settings.tls.as_ref().is_none_or(|it| it.client_ca.is_none()) {
        let why = "services: certificates are checked against tls.client_ca, which is not set";
        mistakes.push(ConfigMistake::without_position(why));
    }
    if !has_authentication && !development {
        let why = "access: nothing says who may call: set up [tokens] or [[services]], or serve with --development";
        mistakes.push(ConfigMistake::without_position(why));
    }
    if has_authentication && development {
        let why = "development: callers would name themselves though tokens or services are set up: choose one";
        mistakes.push(ConfigMistake::without_position(why));
    }
    if !listen.ip().is_loopback() && (development || settings.tls.is_none()) {
        let why = if development { "development mode" } else { "without [tls] tsio" };
        mistakes.push(ConfigMistake::without_position(format!(
            "listen: {listen} is not a loopback address, and {why} serves on no other"
        )));
    }
    let access = if development { Access::Development } else { Access::Guarded { tokens, services } };
    (access, tls)
}

/// Reads the files of TLS. Returns `None` if one of them is wrong.
fn tls(table: &TlsTable, mistakes: &mut Vec<ConfigMistake>) -> Option<Tls> {
    let mut pem = |field: &str, path: &Spanned<PathBuf>, label: &str| {
        let name = path.get_ref().display();
        let mistake = match std::fs::read(path.get_ref()) {
            Ok(bytes) if bytes.windows(label.len()).any(|it| it == label.as_bytes()) => return Some(bytes),
            Ok(_) => format!("tls.{field}: {name}: holds no {label} in PEM"),
            Err(error) => format!("tls.{field}: {name}: {error}"),
        };
        mistakes.push(ConfigMistake::at(Some(path), mistake));
        None
    };
    // All files are read first, so that the mistakes of all of them are reported.
    let certificate = pem("certificate", &table.certificate, "BEGIN CERTIFICATE");
    // The label of a key may name its algorithm: `BEGIN EC PRIVATE KEY`.
    let key = pem("key", &table.key, "PRIVATE KEY");
    let client_ca = table.client_ca.as_ref().map(|path| pem("client_ca", path, "BEGIN CERTIFICATE"));
    let client_ca = match client_ca {
        Some(bytes) => Some(bytes?),
        None => None,
    };
    Some(Tls { certificate: certificate?, key: key?, client_ca })
}

/// Checks the settings of tokens. Returns `None` if one of them is wrong.
fn tokens(table: &TokensTable, mistakes: &mut Vec<ConfigMistake>) -> Option<TokenSettings> {
    let mistakes_before = mistakes.len();
    for (name, value) in [("issuer", &table.issuer), ("audience", &table.audience), ("keys", &table.keys)] {
        if value.get_ref().trim().is_empty() {
            mistakes.push(ConfigMistake::at(Some(value), format!("tokens.{name}: is empty")));
        }
    }
    let keys = table.keys.get_ref();
    if keys.starts_with("http://")
        && !["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|it| is_on_host(it, keys))
    {
        let why = "tokens.keys: fetch keys over https, or plainly from this machine alone";
        mistakes.push(ConfigMistake::at(Some(&table.keys), why));
    }
    let leeway = table.leeway_seconds.as_ref().map_or(LEEWAY_SECONDS, |it| *it.get_ref());
    if leeway > MAX_LEEWAY_SECONDS {
        let why = format!("tokens.leeway_seconds: {leeway} is more than {MAX_LEEWAY_SECONDS}");
        mistakes.push(ConfigMistake::at(table.leeway_seconds.as_ref(), why));
    }
    let is_url = keys.starts_with("http://") || keys.starts_with("https://");
    let claim = |configured: &Option<String>, default: &str| configured.clone().unwrap_or_else(|| default.to_owned());
    (mistakes.len() == mistakes_before).then(|| TokenSettings {
        issuer: table.issuer.get_ref().clone(),
        audience: table.audience.get_ref().clone(),
        keys: if is_url { KeySource::Url(keys.clone()) } else { KeySource::File(keys.into()) },
        leeway: Duration::from_secs(leeway),
        actor_claim: claim(&table.actor_claim, "sub"),
        roles_claim: claim(&table.roles_claim, "roles"),
        regions_claim: claim(&table.regions_claim, "regions"),
    })
}

/// Returns true if the URL begins with this scheme and host, followed by a port, a path, or nothing.
fn is_on_host(scheme_and_host: &str, url: &str) -> bool {
    url.strip_prefix(scheme_and_host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

/// Checks the settings of a service. Returns `None` if one of them is wrong.
fn service(table: &ServiceTable, mistakes: &mut Vec<ConfigMistake>) -> Option<Service> {
    let mistakes_before = mistakes.len();
    let name = table.name.get_ref().trim();
    if name.is_empty() {
        mistakes.push(ConfigMistake::at(Some(&table.name), "services.name: is empty"));
    }
    let describe = |field: &str, error: &dyn std::fmt::Display| format!("services.{field}: {error}");
    let actor = table.actor.get_ref().parse();
    let actor =
        actor.map_err(|error| mistakes.push(ConfigMistake::at(Some(&table.actor), describe("actor", &error)))).ok();
    let roles = table.roles.get_ref().iter().map(|it| it.parse()).collect::<Result<Vec<_>, _>>();
    let roles =
        roles.map_err(|error| mistakes.push(ConfigMistake::at(Some(&table.roles), describe("roles", &error)))).ok();
    let region_names = table.regions.as_ref().map(|it| it.get_ref().as_slice()).unwrap_or_default();
    let regions = if region_names.iter().any(|it| it == "*") {
        Ok(Regions::Every)
    } else {
        region_names.iter().map(|it| it.parse()).collect::<Result<_, _>>().map(Regions::These)
    };
    let add_mistake = |error| mistakes.push(ConfigMistake::at(table.regions.as_ref(), describe("regions", &error)));
    let regions = regions.map_err(add_mistake).ok();
    let caller = Caller { actor: actor?, roles: roles?, regions: regions?, subject: None };
    (mistakes.len() == mistakes_before).then(|| Service { name: name.to_owned(), caller })
}
