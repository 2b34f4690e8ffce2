//! The error of a use case. It does not depend on the transport: `grpc/message/status.rs` maps every variant to a status.
//!
//! Making or converting an error does not log it. The error carries its cause, and the code that handles the error logs it once:
//! with [`AppError::log`] at the end of a request, or with [`AppError::for_log`] in a background task.

use std::error::Error as _;
use std::fmt;

use super::clock::ClockWrong;
use crate::domain::programme::{CommandError, unknown_name};
use crate::domain::refusal::{EntityKind, Refusal};
use crate::domain::role::{Action, Role, may};
use crate::store::{Failure, StoreError};

/// One field with a value that is invalid in every state of the data.
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

/// The cause of an error. It may contain SQL, so it is written to the log only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

/// Why a use case did not succeed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AppError {
    /// Some fields have invalid values. All of them are listed.
    #[error("{} field(s) are wrong", .0.len())]
    Invalid(Vec<Violation>),
    /// A file is refused: none of its rows is imported.
    #[error("{why}")]
    FileRefused {
        /// The reason, in words.
        why: String,
        /// The mistakes in the file; empty if the reason says everything.
        details: Vec<Violation>,
    },
    /// Entities do not exist, or the caller may not see them. Has the kind of the entities, and the id of each.
    #[error("{0} {ids} does not exist", ids = .1.join(", "))]
    NotFound(EntityKind, Vec<String>),
    /// A programme, or a name of its terms, does not exist: its kind, the name, and the names that exist.
    #[error("{}", unknown_name(*.0, .1, .2))]
    UnknownName(EntityKind, String, Vec<String>),
    /// The scheme does not allow the request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller saw an older version of the entity.
    #[error("{0}")]
    Stale(String),
    /// The request id was used before, for another method or other content.
    #[error("this request id was used for another call")]
    RequestIdReused,
    /// No role of the caller allows any of these actions.
    #[error("{}", denied(.0))]
    Denied(Vec<Action>),
    /// The queue is full: nothing was done.
    #[error("the service is busy: try again")]
    Overloaded,
    /// The caller has the maximum number of watches already.
    #[error("this caller already has {0} watches, the maximum: end a watch, or share one between programs")]
    WatchesTooMany(usize),
    /// The caller's deadline passed. To learn whether a change was still carried out, repeat it with the same request id.
    #[error("the deadline passed: repeat the request with the same request id to learn whether it was carried out")]
    DeadlinePassed,
    /// The database is unavailable or busy. Whether the change was made is unknown until it is read again.
    #[error("the database is unavailable: try again with the same request id")]
    Unavailable(#[source] Cause),
    /// The database's storage is full. Whether the change was made is unknown until it is read again.
    #[error("the storage of the database is full: try again with the same request id once there is space")]
    StorageFull(#[source] Cause),
    /// A newer program has migrated the schema to a version that this one does not know, so this one does not write.
    #[error("this server is older than the database: try another server, with the same request id")]
    Outdated,
    /// This server's clock is too far from the database's, so it changes nothing.
    #[error("this server's clock is wrong: try another server, with the same request id")]
    ClockWrong(#[from] ClockWrong),
    /// The last event that a watcher saw is not in this record, which was restored from an earlier copy.
    #[error("{0}")]
    Diverged(String),
    /// A watcher did not receive its messages in time.
    #[error("{0}")]
    TooSlow(String),
    /// The server is being stopped.
    #[error("the server is stopping: connect to another server and resume after the last message")]
    Stopping,
    /// A bug; the text is for the log, never for the caller.
    #[error("{0}")]
    Bug(String),
}

impl AppError {
    /// One entity does not exist, or the caller may not see it.
    #[must_use]
    pub fn not_found(kind: EntityKind, id: impl fmt::Display) -> Self {
        Self::NotFound(kind, vec![id.to_string()])
    }
}

/// Says which actions none of the caller's roles allows, and which roles do.
fn denied(actions: &[Action]) -> String {
    let roles = Role::ALL.iter().filter(|role| actions.iter().any(|action| may(**role, *action)));
    let roles: Vec<&str> = roles.map(|role| role.name()).collect();
    let actions: Vec<&str> = actions.iter().map(|action| action.name()).collect();
    format!("none of the caller's roles may {}; these may: {}", actions.join(" or "), roles.join(", "))
}

impl From<CommandError> for AppError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => Self::Refused(refusal),
            CommandError::NotFound(kind, ids) => Self::NotFound(kind, ids),
            CommandError::UnknownName(kind, name, known) => Self::UnknownName(kind, name, known),
            CommandError::Stale { .. } => Self::Stale(error.to_string()),
            CommandError::FutureDate(date) => Self::Invalid(vec![Violation::new("date", date.to_string())]),
            CommandError::Bug(text) => Self::Bug(text.to_owned()),
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

    /// The error with its cause. Only for the log.
    #[must_use]
    pub fn for_log(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// Logs what the caller does not get to see: the cause of a failure, and the text of a bug.
    pub fn log(&self) {
        match self {
            Self::Unavailable(error) => tracing::warn!(%error, "the database is unavailable"),
            Self::StorageFull(error) => tracing::warn!(%error, "the database cannot write"),
            Self::ClockWrong(error) => tracing::warn!(%error, "changes are refused"),
            Self::Bug(what) => tracing::error!(what, "a bug"),
            Self::Invalid(_)
            | Self::FileRefused { .. }
            | Self::NotFound(..)
            | Self::UnknownName(..)
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
        assert_eq!(error.to_string(), "the database is unavailable: try again with the same request id");
        let expected = "the database is unavailable: try again with the same request id: \
                        the database is busy: deadlock detected";
        assert_eq!(error.for_log(), expected);
        let clock = AppError::from(ClockWrong::by(-61_000_000));
        assert!(!clock.to_string().contains("61") && clock.for_log().contains("61 s behind"), "{}", clock.for_log());
        assert_eq!(AppError::Bug("unsound".to_owned()).for_log(), "unsound");
    }
}
