//! Structured logs: one line an event on stderr, with who calls what and under which ids.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// Environment variable with the log filter, `tracing`'s syntax.
const FILTER: &str = "TSIO_LOG";
/// What is logged where nothing says otherwise: this program's own events, and warnings of the libraries.
const DEFAULT: &str = "warn,tsio=info";

/// Starts logging: lines for people on a terminal, JSON otherwise. A second start changes nothing.
pub fn start() {
    let given = std::env::var(FILTER).ok().map(EnvFilter::try_new);
    let wrong = given.as_ref().and_then(|it| it.as_ref().err().map(ToString::to_string));
    let filter = given.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // Started already, by a test in the same process: that one stays.
    let _ = if stderr().is_terminal() { log.try_init() } else { log.json().with_span_list(false).try_init() };
    if let Some(error) = wrong {
        tracing::warn!(error, "{FILTER} cannot be read and is left out");
    }
}
