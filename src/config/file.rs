//! The format of the configuration file, and the lines of mistakes in it.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Mistakes;

/// The configuration file (TOML). Every key and table at the top is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `sqlite:PATH` or `postgres://...`
    pub database: Option<Spanned<String>>,
    /// Address and port.
    pub listen: Option<SocketAddr>,
    /// True to migrate the schema at the start.
    pub migrate: Option<bool>,
    /// Seconds that requests in flight may take after SIGTERM; 10 by default, and at most 300.
    pub drain_seconds: Option<Spanned<u64>>,
    /// True for development mode, in which callers state their own identity. Only on loopback.
    pub development: Option<bool>,
    /// The server's certificate; without it, the server does not use TLS.
    pub tls: Option<TlsTable>,
    /// The bearer tokens that the server accepts; without it, the server accepts none.
    pub tokens: Option<TokensTable>,
    /// Services that are identified by a client certificate.
    #[serde(default)]
    pub services: Vec<ServiceTable>,
    /// Limits of connections and requests.
    pub limits: Option<LimitsTable>,
    /// gRPC-Web for browsers.
    pub web: Option<WebTable>,
    /// The metrics endpoint for Prometheus.
    pub metrics: Option<MetricsTable>,
    /// How often the ledger is checked; every hour by default.
    pub ledger: Option<LedgerTable>,
    /// Where traces are sent; nowhere by default.
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
    /// The collector, by OTLP over gRPC: `http://host:port` or `https://host:port`.
    pub endpoint: Option<Spanned<String>>,
    /// The fraction of requests that are traced, 0 to 1; 1 by default. It does not apply to a request that is part of a trace of
    /// its caller.
    pub ratio: Option<Spanned<f64>>,
}

/// `[ledger]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerTable {
    /// Seconds between two checks of the whole record; 0 for no checks.
    pub check_seconds: u64,
}

/// `[tls]`: files in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    /// The server's certificate, followed by the intermediate certificates of its chain.
    pub certificate: Spanned<PathBuf>,
    /// The key of the certificate.
    pub key: Spanned<PathBuf>,
    /// The authority that signs the certificates of services.
    pub client_ca: Option<Spanned<PathBuf>>,
}

/// `[tokens]`: the accepted tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensTable {
    /// The claim `iss`.
    pub issuer: Spanned<String>,
    /// The claim `aud`.
    pub audience: Spanned<String>,
    /// The issuer's keys, a JWK set: a file, or an `https://` address.
    pub keys: Spanned<String>,
    /// The allowed difference between clocks, in seconds; 30 by default, and at most 300.
    pub leeway_seconds: Option<Spanned<u64>>,
    /// The claim with the caller's opaque id; `sub` by default.
    pub actor_claim: Option<String>,
    /// The claim with the roles; `roles` by default.
    pub roles_claim: Option<String>,
    /// The claim with the regions; `regions` by default.
    pub regions_claim: Option<String>,
}

/// `[[services]]`: a service with a client certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTable {
    /// A subject alternative name of the service's certificate: a URI or a DNS name.
    pub name: Spanned<String>,
    /// The id of the actor that the service acts as.
    pub actor: Spanned<String>,
    /// The roles of the service.
    pub roles: Spanned<Vec<String>>,
    /// The regions of the service, `*` for all; no region by default.
    pub regions: Option<Spanned<Vec<String>>>,
}

/// `[web]`: gRPC-Web, which is on if an origin is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebTable {
    /// The origins of pages that may call: `https://host`, with the port if it is not 443.
    pub origins: Vec<Spanned<String>>,
}

/// `[limits]`. In development mode the limits of one caller have no defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    /// The largest number of open connections; 800 by default.
    pub connections: Option<NonZeroUsize>,
    /// The largest number of connections whose caller is not authenticated yet; half of `connections` by default.
    pub unknown_connections: Option<Spanned<NonZeroUsize>>,
    /// The largest number of connections from one address whose caller is not authenticated yet; 100 by default.
    pub unknown_connections_per_address: Option<NonZeroUsize>,
    /// The largest number of connections of one caller; an eighth of `connections` by default, but at least 4.
    pub connections_per_caller: Option<NonZeroUsize>,
    /// The largest number of requests in flight of one caller; an eighth of `calls` by default, but at least 4.
    pub calls_per_caller: Option<NonZeroUsize>,
    /// Seconds that a connection may be open without a request in flight; 600 by default.
    pub idle_seconds: Option<NonZeroU32>,
    /// Seconds that a response may wait for the caller to read it; 60 by default.
    pub untaken_seconds: Option<NonZeroU32>,
    /// Proxies in front of the server: addresses, or networks as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<Spanned<String>>,
    /// The largest number of requests in flight; 8,192 by default.
    pub calls: Option<NonZeroUsize>,
    /// The largest number of requests per second of one caller; 500 by default.
    pub calls_per_second: Option<NonZeroU32>,
    /// The largest number of open watches of one caller; 100 by default.
    pub watches_per_caller: Option<NonZeroUsize>,
}

/// A mistake, with its position in the file if it has one.
#[derive(Debug)]
pub(super) struct ConfigMistake {
    span: Option<Range<usize>>,
    text: String,
}

impl ConfigMistake {
    /// Makes a mistake at the position of this value. `None` for a value that is not from the file.
    pub(super) fn at<T>(value: Option<&Spanned<T>>, text: impl Into<String>) -> Self {
        Self { span: value.map(Spanned::span), text: text.into() }
    }

    /// Makes a mistake without a position: a missing setting, or two settings that exclude each other.
    pub(super) fn without_position(text: impl Into<String>) -> Self {
        Self { span: None, text: text.into() }
    }
}

/// A loaded configuration file.
#[derive(Debug, Default)]
pub(super) struct LoadedFile {
    pub(super) settings: ConfigFile,
    name: String,
    text: String,
}

impl LoadedFile {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`Mistakes`] if the file cannot be read, is not TOML, lacks a required key, or has an unknown key or a value of a wrong type.
    /// Only the first such mistake is reported.
    pub(super) fn read(path: &Path) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Mistakes(vec![format!("{name}: {error}")]))?;
        match toml::from_str(&text) {
            Ok(settings) => Ok(Self { settings, name, text }),
            Err(error) => {
                let mistake = ConfigMistake { span: error.span(), text: error.message().to_owned() };
                let file = Self { settings: ConfigFile::default(), name, text };
                Err(file.explain(vec![mistake]))
            }
        }
    }

    /// Formats mistakes. Adds the file name and the line to each mistake that has a position.
    pub(super) fn explain(&self, mistakes: Vec<ConfigMistake>) -> Mistakes {
        let explain = |mistake: ConfigMistake| match mistake.span {
            Some(span) => {
                let before = self.text.get(..span.start).unwrap_or_default();
                let line = before.matches('\n').count().saturating_add(1);
                format!("{}:{line}: {}", self.name, mistake.text)
            }
            None => mistake.text,
        };
        Mistakes(mistakes.into_iter().map(explain).collect())
    }
}
