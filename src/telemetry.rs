//! Structured logs: one line an event on stderr, with who calls what and under which ids.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::grpc::Exporting;
use crate::store::CommitNoticeLayer;

/// Environment variable with the log filter, `tracing`'s syntax.
const FILTER: &str = "TSIO_LOG";
/// What is logged where nothing says otherwise: this program's own events, and warnings of the libraries.
const DEFAULT: &str = "warn,tsio=info";

/// Starts logging: lines for people on a terminal, JSON otherwise. A second start changes nothing.
pub fn start() {
    start_with(None);
}

/// The same, and spans go out as well where they are to.
pub fn start_with(traces: Option<&Exporting>) {
    let given = std::env::var(FILTER).ok().map(EnvFilter::try_new);
    let wrong = given.as_ref().and_then(|it| it.as_ref().err().map(ToString::to_string));
    let filter = given.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt::layer().with_writer(stderr);
    let log: Box<dyn Layer<Registry> + Send + Sync> =
        if stderr().is_terminal() { log.boxed() } else { log.json().with_span_list(false).boxed() };
    // Each layer has a filter of its own: what the log leaves out, the others may still need.
    let registry = tracing_subscriber::registry().with(log.with_filter(filter)).with(CommitNoticeLayer::filtered());
    // Started already, by a test in the same process: that one stays.
    let _ = match traces {
        None => registry.try_init(),
        Some(traces) => registry.with(traces.layer()).try_init(),
    };
    if let Some(error) = wrong {
        tracing::warn!(error, "{FILTER} cannot be read and is left out");
    }
}
