//! What a use case answers when it does not succeed. It knows no transport: `grpc/message/status.rs` maps it, totally.
//!
//! Nothing is logged where an error is made or converted. Its cause travels with it, and the code that handles the error writes
//! it to the log, once: [`AppError::log`] at the end of a call, [`AppError::for_log`] in the line of a background task.

use std::error::Error as _;
use std::fmt;

use super::clock::ClockWrong;
use crate::domain::programme::CommandError;
use crate::domain::refusal::{EntityKind, Refusal};
use crate::domain::role::Action;
use crate::store::{Failure, StoreError};

/// One field that is wrong by itself, in any state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, as in the contract: `offers[2].urn`.
    pub field: String,
    /// What is wrong and what was expected.
    pub description: String,
}

impl Violation {
    /// A violation of a field.
    #[must_use]
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// The cause of an error, for the log alone: it may hold SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

/// Why a use case did not succeed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppError {
    /// Fields are wrong; all of them.
    #[error("{} field(s) are wrong", .0.len())]
    Invalid(Vec<Violation>),
    /// A file cannot be used as a whole.
    #[error("{why}")]
    FileRefused {
        /// Why, in words.
        why: String,
        /// Each thing that is wrong with it, where there are several.
        details: Vec<Violation>,
    },
    /// Things that are named are not there, or not the caller's to see: their kind, and the id of each.
    #[error("{0} {ids} does not exist", ids = .1.join(", "))]
    NotFound(EntityKind, Vec<String>),
    /// The scheme does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller saw an older version.
    #[error("{0}")]
    Stale(String),
    /// The request id was used for another call.
    #[error("this request id was used for another call")]
    RequestIdReused,
    /// No role of the caller allows it.
    #[error("none of the caller's roles may {0:?}")]
    Denied(Action),
    /// The queue is full: nothing was done.
    #[error("the service is busy: try again")]
    Overloaded,
    /// The caller holds as many watches as one may.
    #[error("this caller holds {0} watches already, as many as one may: end one, or share it")]
    WatchesTooMany(usize),
    /// The caller's deadline passed. A read changes nothing; whether a mutation was still carried out is told by trying
    /// it again with the same request id.
    #[error("the deadline passed; the same request id tells whether it was still carried out")]
    DeadlinePassed,
    /// The database is away: nothing is known beyond what reading again tells.
    #[error("the database is away: try again with the same request id")]
    Unavailable(#[source] Cause),
    /// The database's storage is full: nothing is known beyond what reading again tells.
    #[error("the storage of the database is full: try again with the same request id once there is space")]
    StorageFull(#[source] Cause),
    /// A newer program has brought the schema past what this one knows; it writes no more.
    #[error("this server is older than the database: try again with the same request id, on another")]
    Outdated,
    /// This server's clock is too far from the database's; it changes nothing.
    #[error("this server's clock is wrong: try again with the same request id, on another")]
    ClockWrong(#[from] ClockWrong),
    /// What a watcher saw last is not in this record: it was restored from a copy made before.
    #[error("{0}")]
    Diverged(String),
    /// A watcher did not take what it was sent.
    #[error("{0}")]
    TooSlow(String),
    /// The server is being stopped.
    #[error("the server is stopping: go on elsewhere, from where this stream came to")]
    Stopping,
    /// A bug; the text is for the log, never for the caller.
    #[error("{0}")]
    Bug(String),
}

impl AppError {
    /// One thing that is named is not there, or not the caller's to see.
    #[must_use]
    pub fn not_found(kind: EntityKind, id: impl fmt::Display) -> Self {
        Self::NotFound(kind, vec![id.to_string()])
    }
}

impl From<CommandError> for AppError {
    fn from(fault: CommandError) -> Self {
        match fault {
            CommandError::Refused(refusal) => Self::Refused(refusal),
            CommandError::NotFound(kind, ids) => Self::NotFound(kind, ids),
            CommandError::Stale { .. } => Self::Stale(fault.to_string()),
            CommandError::FutureDate(it) => Self::Invalid(vec![Violation::new("date", it.to_string())]),
            CommandError::Bug(what) => Self::Bug(what.to_owned()),
        }
    }
}

impl Failure for AppError {
    fn may_be_connection_fault(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::StorageFull(_))
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Contention(_) | StoreError::UniqueConflict(_) => {
                Self::Unavailable(Cause(error.to_string()))
            }
            StoreError::Full(_) => Self::StorageFull(Cause(error.to_string())),
            StoreError::Outdated(_) => Self::Outdated,
            StoreError::ConstraintViolation(_) | StoreError::Unreadable(_) | StoreError::Unusable(_) => {
                Self::Bug(error.to_string())
            }
        }
    }
}

impl AppError {
    /// The database cannot be used now; `cause` is for the log.
    pub(crate) fn unavailable(cause: impl Into<String>) -> Self {
        Self::Unavailable(Cause(cause.into()))
    }

    /// The database has not answered in time.
    pub(crate) fn no_answer() -> Self {
        Self::unavailable("no answer in time")
    }

    /// The error with its cause, for the log alone.
    #[must_use]
    pub fn for_log(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// Writes to the log what the caller is not told: the cause of a failure, and what a bug is.
    pub fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::warn!(%error, "the database did not answer"),
            Self::StorageFull(error) => tracing::warn!(%error, "the database cannot write"),
            Self::ClockWrong(error) => tracing::warn!(%error, "nothing is recorded"),
            Self::Bug(what) => tracing::error!(what, "a bug"),
            Self::Invalid(_)
            | Self::FileRefused { .. }
            | Self::NotFound(..)
            | Self::Refused(_)
            | Self::Stale(_)
            | Self::RequestIdReused
            | Self::Denied(_)
            | Self::Overloaded
            | Self::WatchesTooMany(_)
            | Self::DeadlinePassed
            | Self::Outdated
            | Self::Diverged(_)
            | Self::TooSlow(_)
            | Self::Stopping => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_for_the_log_alone() {
        let error = AppError::from(StoreError::Contention("deadlock detected".to_owned()));
        assert_eq!(error.to_string(), "the database is away: try again with the same request id");
        let expected = "the database is away: try again with the same request id: \
                        the database is busy: deadlock detected";
        assert_eq!(error.for_log(), expected);
        let clock = AppError::from(ClockWrong::by(-61_000_000));
        assert!(!clock.to_string().contains("61") && clock.for_log().contains("61 s behind"), "{}", clock.for_log());
        assert_eq!(AppError::Bug("unsound".to_owned()).for_log(), "unsound");
    }
}
