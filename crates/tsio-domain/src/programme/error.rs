//! Why a command was not carried out.

use crate::refusal::Refusal;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The scheme does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something it names is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The caller saw an older version.
    #[error("{subject} has changed: etag {given} was given, {current} is current")]
    Stale {
        /// Of what.
        subject: String,
        /// The etag given.
        given: String,
        /// The etag now.
        current: String,
    },
    /// Not reachable: the facts were loaded wrongly.
    #[error("bug: {0}")]
    Bug(&'static str),
}
