//! How the server is set up: a file, environment over it, flags over that; one validated value comes out.
//!
//! Everything wrong is said at once. Secrets (a database URL can hold one) are never printed.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

/// The database, where nothing says otherwise.
const DATABASE: &str = "sqlite:tsio.db";
/// Where to listen, where nothing says otherwise.
const LISTEN: &str = "127.0.0.1:50051";
/// How long a drain may take, where nothing says otherwise.
const DRAIN_SECONDS: u64 = 10;
/// The longest drain: past it whoever stops the process loses patience.
const MAX_DRAIN_SECONDS: u64 = 300;

/// What a configuration file may hold (TOML). Every key may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `sqlite:PATH` or `postgres://...`
    pub database: Option<String>,
    /// Address and port.
    pub listen: Option<SocketAddr>,
    /// Whether to bring the schema up to date at start.
    pub migrate: Option<bool>,
    /// Seconds that calls in flight have to end after SIGTERM.
    pub drain_seconds: Option<u64>,
}

/// What flags and environment say.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `--database`, or `TSIO_DATABASE`.
    pub database: Option<String>,
    /// `--listen`, or `TSIO_LISTEN`.
    pub listen: Option<SocketAddr>,
    /// `--migrate`.
    pub migrate: bool,
}

/// The set-up of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// The database's URL.
    pub database: String,
    /// Where to listen: loopback, until authentication is built.
    pub listen: SocketAddr,
    /// Whether to bring the schema up to date at start.
    pub migrate: bool,
    /// How long a drain may take.
    pub drain: Duration,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("listen", &self.listen).field("migrate", &self.migrate).finish_non_exhaustive()
    }
}

/// What is wrong with a set-up, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

impl Config {
    /// Puts file, environment and flags together.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(path: Option<&Path>, given: Given) -> Result<Self, Mistakes> {
        let file = path.map(read).transpose()?.unwrap_or_default();
        let mut mistakes = Vec::new();
        let listen = given.listen.or(file.listen).or_else(|| LISTEN.parse().ok());
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        if !listen.ip().is_loopback() {
            mistakes.push(format!(
                "listen: {listen} is not a loopback address; until authentication is built tsio serves on loopback only \
                 (127.0.0.1 or [::1])"
            ));
        }
        let drain = file.drain_seconds.unwrap_or(DRAIN_SECONDS);
        if drain > MAX_DRAIN_SECONDS {
            mistakes.push(format!("drain_seconds: {drain} is more than {MAX_DRAIN_SECONDS}"));
        }
        let database = given.database.or(file.database).unwrap_or_else(|| DATABASE.to_owned());
        if database.starts_with("mysql:") {
            mistakes.push("database: MySQL is not supported: use sqlite:PATH or postgres://...".to_owned());
        } else if !["sqlite:", "postgres://", "postgresql://"].iter().any(|it| database.starts_with(it)) {
            mistakes.push("database: a URL starts with sqlite: or postgres://".to_owned());
        }
        let migrate = given.migrate || file.migrate.unwrap_or(false);
        if mistakes.is_empty() {
            Ok(Self { database, listen, migrate, drain: Duration::from_secs(drain) })
        } else {
            Err(Mistakes(mistakes))
        }
    }
}

fn read(path: &Path) -> Result<ConfigFile, Mistakes> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Mistakes(vec![format!("{name}: {error}")]))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        Mistakes(vec![format!("{name}:{line}: {}", error.message())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tsio.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn flags_go_over_the_file() {
        let (_dir, path) = file("database = \"sqlite:a.db\"\nlisten = \"127.0.0.1:1\"\ndrain_seconds = 3\n");
        let config = Config::load(Some(&path), Given::default()).unwrap();
        assert_eq!((config.database.as_str(), config.listen.port(), config.drain.as_secs()), ("sqlite:a.db", 1, 3));
        let given = Given { database: Some("sqlite:b.db".to_owned()), migrate: true, ..Given::default() };
        let config = Config::load(Some(&path), given).unwrap();
        assert_eq!((config.database.as_str(), config.listen.port(), config.migrate), ("sqlite:b.db", 1, true));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let (_dir, path) = file("database = \"mysql://x\"\nlisten = \"0.0.0.0:1\"\ndrain_seconds = 3000\n");
        let Mistakes(mistakes) = Config::load(Some(&path), Given::default()).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }

    #[test]
    fn a_mistake_in_the_file_has_its_line() {
        let (_dir, path) = file("database = \"sqlite:a.db\"\ndatabsae = \"x\"\n");
        let Mistakes(mistakes) = Config::load(Some(&path), Given::default()).unwrap_err();
        assert!(mistakes[0].contains("tsio.toml:2: "), "{mistakes:?}");
    }
}
