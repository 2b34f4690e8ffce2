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

/// Returns the programme of client commands, from `TSIO_PROGRAMME`; `None` if it is not set or empty.
#[must_use]
pub(crate) fn client_programme() -> Option<String> {
    std::env::var("TSIO_PROGRAMME").ok().filter(|it| !it.is_empty())
}

/// Returns in how many of a hundred batches a writer loses its kept state, from `TSIO_LOSE_STATE`. Only for tests: a release build does
/// not read it.
#[cfg(debug_assertions)]
#[must_use]
pub(crate) fn state_losses() -> Option<u8> {
    std::env::var("TSIO_LOSE_STATE").ok()?.parse().ok()
}
