//! Loads and checks the configuration of the server. Flags override the environment, which overrides the file.
//!
//! All mistakes are reported at once, each with its line. Secrets are in files that the configuration names, or in the
//! environment. They are never printed. The database URL is not printed either, because it may contain a password.

mod access;
pub(crate) mod environment;
mod file;
mod limits;
mod traces;
mod web;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::grpc::auth::Access;
use crate::grpc::{Setup, Traces};
use file::{ConfigMistake, LimitsTable, LoadedFile};

/// The default database.
const DATABASE: &str = "sqlite:tsio.db";
/// The default address to listen on.
const LISTEN: &str = "127.0.0.1:50051";
/// The default time limit of a drain.
const DRAIN_SECONDS: u64 = 10;
/// The longest allowed drain. Process managers kill a process that drains longer.
const MAX_DRAIN_SECONDS: u64 = 300;
/// The default interval of ledger checks.
const CHECK_SECONDS: u64 = 3_600;

/// The settings of flags and environment.
#[derive(Debug, Clone, Default)]
pub struct ConfigOverrides {
    /// `--database`, or `TSIO_DATABASE`.
    pub database: Option<String>,
    /// `--listen`, or `TSIO_LISTEN`.
    pub listen: Option<SocketAddr>,
    /// `--migrate`.
    pub migrate: bool,
    /// `--development`, or `TSIO_DEVELOPMENT`.
    pub development: bool,
    /// `--metrics-listen`, or `TSIO_METRICS_LISTEN`.
    pub metrics_listen: Option<SocketAddr>,
    /// `--traces-endpoint`, or `TSIO_TRACES_ENDPOINT`.
    pub traces_endpoint: Option<String>,
}

/// The configuration of a server.
#[derive(Clone)]
pub struct Config {
    /// The URL of the database.
    pub database: String,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// True to migrate the schema at the start.
    pub migrate: bool,
    /// Authentication, TLS, limits, and optional endpoints.
    pub setup: Setup,
    /// Where traces are sent; `None` for nowhere.
    pub traces: Option<Traces>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("listen", &self.listen).field("migrate", &self.migrate).finish_non_exhaustive()
    }
}

/// The mistakes of a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

/// Returns the settings of a development server: only this machine can reach it, and callers state their own identity.
#[must_use]
pub fn development(drain: Duration) -> Setup {
    let limits = limits::check(&LimitsTable::default(), drain, false, &mut Vec::new());
    Setup { access: Access::Development, tls: None, limits, web: Vec::new(), metrics: None, ledger: None }
}

impl Config {
    /// Merges file, environment and flags, and validates the result.
    ///
    /// # Errors
    /// [`Mistakes`]: all mistakes of the configuration. If the file cannot be read or parsed, only that mistake.
    pub fn load(path: Option<&Path>, overrides: ConfigOverrides) -> Result<Self, Mistakes> {
        let file = path.map(LoadedFile::read).transpose()?.unwrap_or_default();
        let mut mistakes = Vec::new();
        let config = Self::check(&file, overrides, &mut mistakes);
        if mistakes.is_empty() { Ok(config) } else { Err(file.explain(mistakes)) }
    }

    /// Checks the merged settings, and adds their mistakes to `mistakes`. If there is a mistake, the result must not be used.
    fn check(file: &LoadedFile, overrides: ConfigOverrides, mistakes: &mut Vec<ConfigMistake>) -> Self {
        let settings = &file.settings;
        let listen = overrides.listen.or(settings.listen).or_else(|| LISTEN.parse().ok());
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let drain = settings.drain_seconds.as_ref().map_or(DRAIN_SECONDS, |it| *it.get_ref());
        if drain > MAX_DRAIN_SECONDS {
            let why = format!("drain_seconds: {drain} is more than {MAX_DRAIN_SECONDS}");
            mistakes.push(ConfigMistake::at(settings.drain_seconds.as_ref(), why));
        }
        // A mistake has a line only if the URL is from the file.
        let file_database = settings.database.as_ref().filter(|_| overrides.database.is_none());
        let database = overrides.database.or_else(|| settings.database.as_ref().map(|it| it.get_ref().clone()));
        let database = database.unwrap_or_else(|| DATABASE.to_owned());
        if database.starts_with("mysql:") {
            let why = "database: MySQL is not supported: use sqlite:PATH or postgres://...";
            mistakes.push(ConfigMistake::at(file_database, why));
        } else if !["sqlite:", "postgres://", "postgresql://"].iter().any(|it| database.starts_with(it)) {
            mistakes.push(ConfigMistake::at(file_database, "database: a URL starts with sqlite: or postgres://"));
        }
        let development = overrides.development || settings.development.unwrap_or(false);
        let (access, tls) = access::check(settings, listen, development, mistakes);
        let web = web::check(settings, mistakes);
        let traces = traces::check(settings, overrides.traces_endpoint, mistakes);
        let has_authentication = matches!(access, Access::Guarded { .. });
        let table = settings.limits.clone().unwrap_or_default();
        let limits = limits::check(&table, Duration::from_secs(drain), has_authentication, mistakes);
        let metrics = overrides.metrics_listen.or(settings.metrics.as_ref().map(|it| it.listen));
        let check_seconds = settings.ledger.as_ref().map_or(CHECK_SECONDS, |it| it.check_seconds);
        let ledger = (check_seconds > 0).then(|| Duration::from_secs(check_seconds));
        let migrate = overrides.migrate || settings.migrate.unwrap_or(false);
        let setup = Setup { access, tls, limits, web, metrics, ledger };
        Self { database, listen, migrate, setup, traces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a configuration file into a temporary directory. Returns both.
    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tsio.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn flags_override_the_file() {
        let text = "database = \"sqlite:a.db\"\nlisten = \"127.0.0.1:1\"\ndrain_seconds = 3\ndevelopment = true\n[metrics]\nlisten = \"127.0.0.1:2\"\n";
        let (_dir, path) = file(text);
        let config = Config::load(Some(&path), ConfigOverrides::default()).unwrap();
        let drain = config.setup.limits.drain.as_secs();
        assert_eq!((config.database.as_str(), config.listen.port(), drain), ("sqlite:a.db", 1, 3));
        assert_eq!(config.setup.metrics.map(|it| it.port()), Some(2));
        let overrides =
            ConfigOverrides { database: Some("sqlite:b.db".to_owned()), migrate: true, ..ConfigOverrides::default() };
        let config = Config::load(Some(&path), overrides).unwrap();
        assert_eq!((config.database.as_str(), config.listen.port(), config.migrate), ("sqlite:b.db", 1, true));
    }

    #[test]
    fn all_mistakes_are_reported_with_their_lines() {
        let rows: [(&str, &[&str]); 11] = [
            ("", &["access: nothing says who may call: set up [tokens] or [[services]], or serve with --development"]),
            (
                "database = \"mysql://x\"\ndrain_seconds = 3000\ndevelopment = true",
                &[
                    ":2: drain_seconds: 3000 is more than 300",
                    ":1: database: MySQL is not supported: use sqlite:PATH or postgres://...",
                ],
            ),
            (
                "listen = \"0.0.0.0:1\"\ndevelopment = true",
                &["listen: 0.0.0.0:1 is not a loopback address, and development mode serves on no other"],
            ),
            (
                "listen = \"0.0.0.0:1\"\n[tokens]\nissuer = \"i\"\naudience = \"a\"\nkeys = \"keys.json\"",
                &["listen: 0.0.0.0:1 is not a loopback address, and without [tls] tsio serves on no other"],
            ),
            (
                "[tokens]\nissuer = \"\"\naudience = \" \"\nkeys = \"http://example.org/keys\"",
                &[
                    ":2: tokens.issuer: is empty",
                    ":3: tokens.audience: is empty",
                    ":4: tokens.keys: fetch keys over https, or plainly from this machine alone",
                ],
            ),
            (
                "development = true\n[tokens]\nissuer = \"i\"\naudience = \"a\"\nkeys = \"k\"",
                &["development: callers would name themselves though tokens or services are set up: choose one"],
            ),
            (
                "[[services]]\nname = \"a\"\nactor = \"b c\"\nroles = [\"king\"]\nregions = [\"Mars\"]",
                &[
                    ":3: services.actor:",
                    ":4: services.roles:",
                    ":5: services.regions:",
                    "services: certificates are checked against tls.client_ca, which is not set",
                ],
            ),
            (
                "[tls]\ncertificate = \"/no/such.pem\"\nkey = \"/no/such.key\"\n[tokens]\nissuer = \"i\"\naudience = \"a\"\nkeys = \"k\"",
                &[":2: tls.certificate: /no/such.pem: ", ":3: tls.key: /no/such.key: "],
            ),
            (
                "development = true\n[web]\norigins = [\n\"https://casework.example\",\n\"*\", \"http://casework.example\"]",
                &[":5: web.origins: \"*\" is no origin", ":5: web.origins: \"http://casework.example\" is no origin"],
            ),
            (
                "development = true\n[traces]\nendpoint = \"collector:4317\"\nratio = 1.5",
                &[
                    ":3: traces.endpoint: \"collector:4317\" is not http(s)://host:port",
                    ":4: traces.ratio: 1.5 is not from 0 to 1",
                ],
            ),
            ("database = \"sqlite:a.db\"\ndatabsae = \"x\"", &[":2: unknown field `databsae`"]),
        ];
        for (text, expected) in rows {
            let (_dir, path) = file(text);
            let Mistakes(mistakes) = Config::load(Some(&path), ConfigOverrides::default()).unwrap_err();
            assert_eq!(mistakes.len(), expected.len(), "{text}: {mistakes:#?}");
            for (mistake, expected) in mistakes.iter().zip(expected) {
                assert!(mistake.contains(expected), "{text}: {mistake}");
            }
        }
    }

    #[test]
    fn the_ledger_is_checked_every_hour_or_as_configured_or_never() {
        let interval = |text: &str| {
            let (_dir, path) = file(text);
            let overrides = ConfigOverrides { development: true, ..ConfigOverrides::default() };
            Config::load(Some(&path), overrides).unwrap().setup.ledger.map(|it| it.as_secs())
        };
        assert_eq!(interval(""), Some(3_600));
        assert_eq!(interval("[ledger]\ncheck_seconds = 60"), Some(60));
        assert_eq!(interval("[ledger]\ncheck_seconds = 0"), None);
    }

    #[test]
    fn traces_are_sent_only_if_configured_and_the_flag_wins() {
        let traces = |text: &str, flag: Option<&str>| {
            let (_dir, path) = file(text);
            let traces_endpoint = flag.map(ToOwned::to_owned);
            let overrides = ConfigOverrides { development: true, traces_endpoint, ..ConfigOverrides::default() };
            Config::load(Some(&path), overrides).unwrap().traces.map(|it| (it.endpoint, it.ratio))
        };
        let sent_to = |endpoint: &str, ratio| Some((endpoint.to_owned(), ratio));
        assert_eq!(traces("", None), None);
        assert_eq!(traces("[traces]\nratio = 0.5", None), None);
        let text = "[traces]\nendpoint = \"http://a:4317\"\nratio = 0.25";
        assert_eq!(traces(text, None), sent_to("http://a:4317", 0.25));
        assert_eq!(traces(text, Some("https://b:4317")), sent_to("https://b:4317", 0.25));
        assert_eq!(traces("", Some("https://b:4317")), sent_to("https://b:4317", 1.0));
    }
}
