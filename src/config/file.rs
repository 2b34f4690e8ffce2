//! What a configuration file may hold, and where in it a mistake is.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Mistakes;

/// What a configuration file may hold (TOML). Every key may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `sqlite:PATH` or `postgres://...`
    pub database: Option<Spanned<String>>,
    /// Address and port.
    pub listen: Option<SocketAddr>,
    /// Whether to bring the schema up to date at start.
    pub migrate: Option<bool>,
    /// Seconds that calls in flight have to end after SIGTERM.
    pub drain_seconds: Option<Spanned<u64>>,
    /// Whether callers name themselves: on loopback alone.
    pub development: Option<bool>,
    /// TLS.
    pub tls: Option<TlsTable>,
    /// Bearer tokens.
    pub tokens: Option<TokensTable>,
    /// Services that call with a certificate.
    #[serde(default)]
    pub services: Vec<ServiceTable>,
    /// Bounds.
    pub limits: Option<LimitsTable>,
    /// Browsers.
    pub web: Option<WebTable>,
    /// What Prometheus scrapes.
    pub metrics: Option<MetricsTable>,
    /// The ledger's check.
    pub ledger: Option<LedgerTable>,
    /// Traces.
    pub traces: Option<TracesTable>,
}

/// `[metrics]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsTable {
    /// Address and port of `GET /metrics`, over plain HTTP.
    pub listen: SocketAddr,
}

/// `[traces]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesTable {
    /// Where the collector takes OTLP over gRPC: `http://host:port` or `https://host:port`.
    pub endpoint: Option<Spanned<String>>,
    /// Which part of the calls that come without a trace of their own is traced, 0 to 1; all when left out.
    pub ratio: Option<Spanned<f64>>,
}

/// `[ledger]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerTable {
    /// Seconds from one check of the whole record to the next; 0 for none.
    pub check_seconds: u64,
}

/// `[tls]`: files in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    /// The server's certificate, followed by those between it and its authority.
    pub certificate: Spanned<PathBuf>,
    /// Its key.
    pub key: Spanned<PathBuf>,
    /// The authority that signs the certificates of services.
    pub client_ca: Option<Spanned<PathBuf>>,
}

/// `[tokens]`: whose tokens are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensTable {
    /// The claim `iss`.
    pub issuer: Spanned<String>,
    /// The claim `aud`.
    pub audience: Spanned<String>,
    /// The issuer's keys, a JWK set: a file, or an `https://` address.
    pub keys: Spanned<String>,
    /// Seconds by which clocks may differ.
    pub leeway_seconds: Option<Spanned<u64>>,
    /// The claim with the caller's opaque id; `sub` when left out.
    pub actor_claim: Option<String>,
    /// The claim with the roles; `roles` when left out.
    pub roles_claim: Option<String>,
    /// The claim with the regions; `regions` when left out.
    pub regions_claim: Option<String>,
}

/// `[[services]]`: one that calls with a certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTable {
    /// A subject alternative name of its certificate, a URI or a DNS name.
    pub name: Spanned<String>,
    /// Whom it acts as.
    pub actor: Spanned<String>,
    /// Its roles.
    pub roles: Spanned<Vec<String>>,
    /// Its regions, `*` for all; none when left out.
    pub regions: Option<Spanned<Vec<String>>>,
}

/// `[web]`: gRPC-Web, spoken where an origin is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebTable {
    /// Pages of which origins may call: `https://host`, with a port where it is not 443.
    pub origins: Vec<Spanned<String>>,
}

/// `[limits]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    /// Connections at a time.
    pub connections: Option<NonZeroUsize>,
    /// Those of them whose caller is not known yet; half of them when left out.
    pub unknown_connections: Option<Spanned<NonZeroUsize>>,
    /// Such connections from one address; 100 when left out.
    pub unknown_connections_per_address: Option<NonZeroUsize>,
    /// Connections of one caller; an eighth of all when left out.
    pub connections_per_caller: Option<NonZeroUsize>,
    /// Calls in flight of one caller; an eighth of all when left out.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// Seconds that a connection may be open without a call in flight; 600 when left out.
    pub idle_seconds: Option<NonZeroU32>,
    /// Seconds that a response may wait for its caller to take it; 60 when left out.
    pub untaken_seconds: Option<NonZeroU32>,
    /// Proxies in front of the server: addresses, or networks as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
    /// Calls in flight.
    pub calls: Option<NonZeroUsize>,
    /// Calls a second of one caller.
    pub calls_per_second: Option<NonZeroU32>,
    /// Watches of one caller at a time.
    pub watches_per_caller: Option<NonZeroUsize>,
}

/// Something wrong, and where, where it stands in the file.
#[derive(Debug)]
pub(super) struct ConfigMistake {
    span: Option<Range<usize>>,
    what: String,
}

impl ConfigMistake {
    pub(super) fn at<T>(place: Option<&Spanned<T>>, what: impl Into<String>) -> Self {
        Self { span: place.map(Spanned::span), what: what.into() }
    }

    /// One that stands nowhere in the file: something is missing, or two things do not go together.
    pub(super) fn of_all(what: impl Into<String>) -> Self {
        Self { span: None, what: what.into() }
    }
}

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct LoadedFile {
    pub(super) says: ConfigFile,
    name: String,
    text: String,
}

impl LoadedFile {
    /// # Errors
    /// That it cannot be read, or the first thing in it that no configuration has.
    pub(super) fn read(path: &Path) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Mistakes(vec![format!("{name}: {error}")]))?;
        match toml::from_str(&text) {
            Ok(says) => Ok(Self { says, name, text }),
            Err(error) => {
                let what = error.message().to_owned();
                let read = Self { says: ConfigFile::default(), name, text };
                Err(read.explain(vec![ConfigMistake { span: error.span(), what }]))
            }
        }
    }

    /// The mistakes, each with its line.
    pub(super) fn explain(&self, mistakes: Vec<ConfigMistake>) -> Mistakes {
        let explain = |ConfigMistake { span, what }: ConfigMistake| match span {
            Some(span) => {
                let before = self.text.get(..span.start).unwrap_or_default();
                format!("{}:{}: {what}", self.name, before.matches('\n').count().saturating_add(1))
            }
            None => what,
        };
        Mistakes(mistakes.into_iter().map(explain).collect())
    }
}
