//! What can go wrong with the database, sorted by what the caller can do about it.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxError};

/// A failure of the database. Never shown to a caller word for word: it may hold SQL.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, or the connection was lost: nothing is known of what it last did. Retry, reading again.
    #[error("the database is away: {0}")]
    Away(String),
    /// Another holder is in the way (a lock timeout, a deadlock, a serialization failure): nothing was done. Retry.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A statement failed for the sake of the data in it: a constraint, a value, a trigger.
    #[error("the database refused a row: {0}")]
    Row(String),
    /// The database holds something that this program cannot read.
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
    /// The database is not one that this program can run on.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Something read that cannot be.
    pub fn unreadable(what: impl std::fmt::Display) -> Self {
        Self::Unreadable(what.to_string())
    }

    /// Whether trying again can help. Exhaustive on purpose.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Away(_) | Self::Busy(_) => true,
            Self::Row(_) | Self::Unreadable(_) | Self::Unusable(_) => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        match &error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => Self::Away(text),
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => sort(cause, text),
            // No connection was made: whatever the reason, no row is to blame.
            DbErr::Conn(_) => Self::Away(text),
            _ => Self::Unreadable(text),
        }
    }
}

fn sort(cause: &SqlxError, text: String) -> StoreError {
    match cause {
        SqlxError::Database(error) => match error.code().as_deref() {
            // PostgreSQL: serialization failure, deadlock, lock not available, query canceled (statement_timeout).
            Some("40001" | "40P01" | "55P03" | "57014") => StoreError::Busy(text),
            // PostgreSQL: terminated by an administrator, crash, cannot connect now, idle-in-transaction timeout,
            // too many connections, and the whole class of connection exceptions.
            Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300") => StoreError::Away(text),
            Some(code) if code.starts_with("08") => StoreError::Away(text),
            // SQLite: BUSY and LOCKED with their extended codes; IOERR, CANTOPEN, FULL, READONLY.
            Some(code) => match code.parse::<u32>().map(|code| code & 0xff) {
                Ok(5 | 6) => StoreError::Busy(text),
                Ok(8 | 10 | 13 | 14) => StoreError::Away(text),
                _ => StoreError::Row(text),
            },
            None => StoreError::Row(text),
        },
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => StoreError::Away(text),
        _ => StoreError::Unreadable(text),
    }
}
