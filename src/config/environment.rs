//! Settings that exist only in the environment. Only this module reads environment variables, and clap for arguments that
//! declare one.

/// The filter of the log, from `TSIO_LOG`, in `tracing-subscriber`'s syntax.
#[must_use]
pub(crate) fn log_filter() -> Option<String> {
    std::env::var("TSIO_LOG").ok()
}

/// The token of a client command, from `TSIO_TOKEN`. It is not a flag, because other users of the machine can see flags.
#[must_use]
pub(crate) fn client_token() -> Option<String> {
    std::env::var("TSIO_TOKEN").ok()
}
