//! Settings that only the environment has. No other code reads it, but for what clap does by the arguments' own declarations.

/// The filter of the log, from `TSIO_LOG`, in `tracing-subscriber`'s syntax.
#[must_use]
pub(crate) fn log_filter() -> Option<String> {
    std::env::var("TSIO_LOG").ok()
}

/// The token of a client's command, from `TSIO_TOKEN`. There is no such flag: others on the machine see flags.
#[must_use]
pub(crate) fn client_token() -> Option<String> {
    std::env::var("TSIO_TOKEN").ok()
}
