//! What can go wrong with the database, sorted by what the caller can do about it.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlxError, SqlxSqliteError};

/// A failure of the database. Never shown to a caller word for word: it may hold SQL.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, or the connection was lost: nothing is known of what it last did. Retry, reading again.
    #[error("the database is away: {0}")]
    Away(String),
    /// Another holder is in the way (a lock timeout, a deadlock, a serialization failure): nothing was done. Retry.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// Another book, or an import, took a key that is nobody's own: a request id, an invoice. Retry, reading again; when
    /// it stays, one command is to blame.
    #[error("the database has it already: {0}")]
    Taken(String),
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
            Self::Away(_) | Self::Busy(_) | Self::Taken(_) => true,
            Self::Row(_) | Self::Unreadable(_) | Self::Unusable(_) => false,
        }
    }

    /// Whether one command of a group may be to blame, and the others can be written without it. Exhaustive on purpose.
    #[must_use]
    pub const fn blames_one(&self) -> bool {
        match self {
            Self::Taken(_) | Self::Row(_) | Self::Unreadable(_) | Self::Unusable(_) => true,
            Self::Away(_) | Self::Busy(_) => false,
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
        SqlxError::Database(error) => {
            let code = error.code().unwrap_or_default();
            let sorted = if error.try_downcast_ref::<SqlxSqliteError>().is_some() { sqlite } else { postgres };
            sorted(&code)(text)
        }
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed => StoreError::Away(text),
        _ => StoreError::Unreadable(text),
    }
}

type Kind = fn(String) -> StoreError;

/// By SQLSTATE.
fn postgres(code: &str) -> Kind {
    match code {
        // Serialization failure, deadlock, lock not available, query canceled (statement_timeout).
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy,
        // Terminated by an administrator, crash, cannot connect now, idle-in-transaction timeout, too many connections.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => StoreError::Away,
        // The whole class of connection exceptions.
        _ if code.starts_with("08") => StoreError::Away,
        _ => StoreError::Row,
    }
}

/// By result code, extended ones included.
fn sqlite(code: &str) -> Kind {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // BUSY, LOCKED.
        Ok(5 | 6) => StoreError::Busy,
        // READONLY, IOERR, FULL, CANTOPEN.
        Ok(8 | 10 | 13 | 14) => StoreError::Away,
        _ => StoreError::Row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_the_database_they_come_from() {
        let kind = |sorted: fn(&str) -> Kind, code: &str| match sorted(code)(String::new()) {
            StoreError::Busy(_) => "busy",
            StoreError::Away(_) => "away",
            StoreError::Row(_) => "row",
            StoreError::Taken(_) | StoreError::Unreadable(_) | StoreError::Unusable(_) => "other",
        };
        // 22021 is 5 in its last eight bits: a NUL in a text is no BUSY.
        for (code, wanted) in
            [("40P01", "busy"), ("57P01", "away"), ("08006", "away"), ("23505", "row"), ("22021", "row")]
        {
            assert_eq!(kind(postgres, code), wanted, "{code}");
        }
        for (code, wanted) in [("5", "busy"), ("517", "busy"), ("778", "away"), ("2067", "row"), ("", "row")] {
            assert_eq!(kind(sqlite, code), wanted, "{code}");
        }
    }

    #[test]
    fn a_key_that_stays_taken_is_retried_and_then_one_commands_own() {
        let text = String::new;
        let rows = [
            (StoreError::Away(text()), (true, false)),
            (StoreError::Busy(text()), (true, false)),
            (StoreError::Taken(text()), (true, true)),
            (StoreError::Row(text()), (false, true)),
            (StoreError::Unreadable(text()), (false, true)),
        ];
        for (error, wanted) in rows {
            assert_eq!((error.retryable(), error.blames_one()), wanted, "{error}");
        }
    }
}
