//! The error of a write transaction that was not committed. Either the database failed, or a check of the use case did.

use super::AppError;
use super::clock::ClockWrong;
use super::retry::Transient;
use crate::store::{Failure, StoreError};

/// The reason why a write transaction was not committed. Nothing that it wrote is kept. The exception is a failure of the
/// database during COMMIT: then it is unknown whether the transaction was committed.
#[derive(Debug, thiserror::Error)]
pub(in crate::app) enum WriteError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This server's clock is too far from the database's for anything to be recorded.
    #[error(transparent)]
    ClockWrong(#[from] ClockWrong),
    /// Data that was read before the lock, or in two steps, has changed in between. The next attempt reads the data again.
    #[error("{0}")]
    Overtaken(&'static str),
    /// The state that a batch is decided against cannot be loaded.
    #[error("the state cannot be loaded: {}", .0.for_log())]
    Load(AppError),
    /// A decision cannot be written, or the stored record cannot be continued: a bug.
    #[error("{0}")]
    Bug(String),
}

impl WriteError {
    /// Whether trying again can help. The match has no wildcard, so that a new variant must be considered.
    pub(in crate::app) fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            Self::Overtaken(_) => true,
            Self::Load(error) => error.is_transient(),
            Self::ClockWrong(_) | Self::Bug(_) => false,
        }
    }

    /// Whether one command of a batch may be the cause, so that the others can be written without it. The match has no
    /// wildcard, so that a new variant must be considered.
    pub(in crate::app) fn blames_one(&self) -> bool {
        match self {
            Self::Store(error) => error.blames_one(),
            Self::Load(error) => !error.is_transient(),
            Self::Bug(_) => true,
            Self::ClockWrong(_) | Self::Overtaken(_) => false,
        }
    }
}

impl Failure for WriteError {
    fn may_be_connection_fault(&self) -> bool {
        match self {
            Self::Store(error) => error.may_be_connection_fault(),
            Self::Load(error) => error.may_be_connection_fault(),
            Self::ClockWrong(_) | Self::Overtaken(_) | Self::Bug(_) => false,
        }
    }
}

impl Transient for WriteError {
    fn timed_out() -> Self {
        Self::Store(StoreError::no_answer())
    }

    fn is_transient(&self) -> bool {
        self.retryable()
    }

    fn for_log(&self) -> String {
        self.to_string()
    }
}

impl From<WriteError> for AppError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::ClockWrong(error) => error.into(),
            WriteError::Overtaken(cause) => Self::unavailable(cause),
            WriteError::Load(error) => error,
            WriteError::Bug(what) => Self::Bug(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_says_whether_to_retry_and_whether_one_command_is_to_blame() {
        let bug = || AppError::Bug("unsound".to_owned());
        let clock = || ClockWrong::by(61_000_000);
        // Expected: retryable, blames one command, may be a connection fault.
        let rows = [
            (WriteError::Store(StoreError::Unavailable(String::new())), (true, false, true)),
            (WriteError::Store(StoreError::UniqueConflict(String::new())), (true, true, false)),
            (WriteError::Store(StoreError::ConstraintViolation(String::new())), (false, true, false)),
            (WriteError::ClockWrong(clock()), (false, false, false)),
            (WriteError::Overtaken("changed"), (true, false, false)),
            (WriteError::Load(AppError::no_answer()), (true, false, true)),
            (WriteError::Load(StoreError::Full(String::new()).into()), (true, false, true)),
            (WriteError::Load(bug()), (false, true, false)),
            (WriteError::Bug("broken".to_owned()), (false, true, false)),
        ];
        for (error, expected) in rows {
            let actual = (error.retryable(), error.blames_one(), error.may_be_connection_fault());
            assert_eq!(actual, expected, "{error}");
        }
        let rows = [
            (WriteError::ClockWrong(clock()), AppError::ClockWrong(clock())),
            (WriteError::Overtaken("changed"), AppError::unavailable("changed")),
            (WriteError::Load(bug()), bug()),
            (WriteError::Bug("unsound".to_owned()), bug()),
        ];
        for (error, expected) in rows {
            assert_eq!(AppError::from(error), expected);
        }
    }
}
