//! Reads settings that exist only in the environment. No other module reads environment variables; clap reads those that an
//! argument declares.

/// Returns the filter of the log, from `TSIO_LOG`, in `tracing-subscriber`'s syntax.
#[must_use]
pub(crate) fn log_filter() -> Option<String> {
    std::env::var("TSIO_LOG").ok()
}

/// Returns the token of a client command, from `TSIO_TOKEN`. The token is not a flag, because other users of the machine can see
/// flags.
#[must_use]
pub(crate) fn client_token() -> Option<String> {
    std::env::var("TSIO_TOKEN").ok()
}
