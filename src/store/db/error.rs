//! Errors of the database, classified by what the caller can do about them.

use sea_orm::{DbErr, RuntimeErr, SqlxError, SqlxSqliteError};

/// An error of the database. Its text may contain SQL, so it is never shown to a caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is unavailable, or the connection was lost. The outcome of the last statement is unknown: read again and
    /// retry.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The storage is full: nothing more can be written until space is freed. Whether the last write was carried out is
    /// unknown: read again and retry.
    #[error("the storage is full: {0}")]
    Full(String),
    /// Another transaction prevents this one (lock timeout, statement timeout, deadlock, serialization failure). Nothing was done:
    /// retry.
    #[error("the database is busy: {0}")]
    Contention(String),
    /// A row violates a unique constraint over the rows of all programmes of the scheme ([`SHARED_KEYS`]): another programme, or an
    /// import, has written a row with the same request id or invoice. Read again and retry. If the retry fails in the same way, one
    /// of the commands that are written together is the cause.
    #[error("the database has it already: {0}")]
    UniqueConflict(String),
    /// A statement failed because of its data: a constraint, a value, a trigger.
    #[error("the database refused a row: {0}")]
    ConstraintViolation(String),
    /// The database contains data that this program cannot read.
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
    /// A newer program migrated the schema while this one was running. Nothing was done, and retrying cannot help.
    #[error("the schema is a newer program's: {0}")]
    Outdated(String),
    /// This program cannot run on the database: it belongs to another program, or its schema does not match the statements.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// The error for stored data that is invalid.
    pub fn unreadable(what: impl std::fmt::Display) -> Self {
        Self::Unreadable(what.to_string())
    }

    /// The error for a database that has not answered in time.
    #[must_use]
    pub fn no_answer() -> Self {
        Self::Unavailable("no answer in time".to_owned())
    }

    /// The text of the error, without its class.
    #[must_use]
    pub fn said(self) -> String {
        match self {
            Self::Unavailable(said)
            | Self::Full(said)
            | Self::Contention(said)
            | Self::UniqueConflict(said)
            | Self::ConstraintViolation(said)
            | Self::Unreadable(said)
            | Self::Outdated(said)
            | Self::Unusable(said) => said,
        }
    }

    /// Whether trying again can help. The match has no wildcard, so that a new variant must be considered.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Full(_) | Self::Contention(_) | Self::UniqueConflict(_) => true,
            Self::ConstraintViolation(_) | Self::Unreadable(_) | Self::Outdated(_) | Self::Unusable(_) => false,
        }
    }

    /// Whether one command of a batch may be the cause, so that the others can be written without it. The match has no
    /// wildcard, so that a new variant must be considered.
    #[must_use]
    pub const fn blames_one(&self) -> bool {
        match self {
            Self::UniqueConflict(_) | Self::ConstraintViolation(_) | Self::Unreadable(_) => true,
            Self::Unavailable(_) | Self::Full(_) | Self::Contention(_) | Self::Outdated(_) | Self::Unusable(_) => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        match &error {
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                classify(cause, text)
            }
            // No connection was made, or none was free. No row can be the cause.
            DbErr::Conn(_) | DbErr::ConnectionAcquire(_) | DbErr::Exec(_) | DbErr::Query(_) => Self::Unavailable(text),
            _ => Self::Unreadable(text),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                let text = format!("(code: {}) {text}", failure.extended_code);
                let code = failure.extended_code.to_string();
                let violated = sqlite_unique_constraint(&code, message.as_deref().unwrap_or_default());
                of_database(violated, sqlite(&code), text)
            }
            // This program uses the driver wrongly, or the schema does not match its statements.
            _ => Self::Unusable(text),
        }
    }
}

fn classify(cause: &SqlxError, text: String) -> StoreError {
    match cause {
        SqlxError::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.try_downcast_ref::<SqlxSqliteError>().is_some() {
                of_database(sqlite_unique_constraint(&code, error.message()), sqlite(&code), text)
            } else {
                of_database(error.constraint().filter(|_| code == UNIQUE_VIOLATION), postgres(&code), text)
            }
        }
        SqlxError::Encode(_) => StoreError::ConstraintViolation(text),
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => StoreError::Unreadable(text),
        SqlxError::ColumnNotFound(_) | SqlxError::ColumnIndexOutOfBounds { .. } | SqlxError::TypeNotFound { .. } => {
            StoreError::Unusable(text)
        }
        _ => StoreError::Unavailable(text),
    }
}

/// The error for a failure that the database reports: by the unique constraint that a row violates, if any, or by its code.
fn of_database(violated: Option<&str>, by_code: ErrorConstructor, text: String) -> StoreError {
    let is_shared = violated.is_some_and(|name| SHARED_KEYS.iter().any(|it| it.name == name));
    if is_shared { StoreError::UniqueConflict(text) } else { by_code(text) }
}

/// A unique constraint: its name on PostgreSQL, and the columns that an error of SQLite names.
#[derive(Debug)]
struct UniqueConstraint {
    name: &'static str,
    columns: &'static str,
}

/// The unique constraints over the rows of several programmes.
const SHARED_KEYS: [UniqueConstraint; 3] = [
    UniqueConstraint { name: "requests_pkey", columns: "requests.actor, requests.request_id" },
    UniqueConstraint { name: "one_payment_an_invoice", columns: "invoices.provider, invoices.reference" },
    UniqueConstraint { name: "one_payment_a_part", columns: "invoices.reference, invoices.provider, invoices.part" },
];
/// PostgreSQL's SQLSTATE of a unique violation.
const UNIQUE_VIOLATION: &str = "23505";
/// SQLite's result codes of a unique violation: of a primary key, and of an index.
const SQLITE_UNIQUE_VIOLATIONS: [&str; 2] = ["1555", "2067"];

/// The name of the unique constraint that a row violates on SQLite. SQLite names the columns of the constraint, or its index if
/// the index is over an expression. `None` for other errors, and for columns of a constraint that is not in [`SHARED_KEYS`].
fn sqlite_unique_constraint<'a>(code: &str, message: &'a str) -> Option<&'a str> {
    let violated = message.strip_prefix("UNIQUE constraint failed: ")?;
    if !SQLITE_UNIQUE_VIOLATIONS.contains(&code) {
        return None;
    }
    let index = violated.strip_prefix("index '").and_then(|it| it.strip_suffix('\''));
    index.or_else(|| SHARED_KEYS.iter().find(|it| it.columns == violated).map(|it| it.name))
}

type ErrorConstructor = fn(String) -> StoreError;

/// Classifies by SQLSTATE. Only errors that are known to come from the data of a statement are attributed to a command.
fn postgres(code: &str) -> ErrorConstructor {
    match (code, code.get(..2).unwrap_or_default()) {
        // Serialization failure, deadlock, lock not available, query canceled (statement_timeout).
        ("40001" | "40P01" | "55P03" | "57014", _) => StoreError::Contention,
        // Disk full.
        ("53100", _) => StoreError::Full,
        // A wrong number of rows, bad data, a violated constraint, a row too large, an exception of a trigger.
        (_, "21" | "22" | "23" | "54" | "P0") => StoreError::ConstraintViolation,
        // A prepared statement exists already: the session is out of step with the driver.
        ("42P05", _) => StoreError::Unavailable,
        // A missing table, a missing right, a syntax error. Statements are the same for all commands, so the others of the
        // batch would fail as well, now and at the next attempt.
        (_, "42") => StoreError::Unusable,
        // Any other error of the database affects every caller, and is temporary.
        _ => StoreError::Unavailable,
    }
}

/// Classifies by SQLite's result code, which may be an extended one. The classes are those of [`postgres`].
fn sqlite(code: &str) -> ErrorConstructor {
    let code = code.parse::<u32>().ok();
    match (code, code.map(|code| code & 0xff)) {
        // FULL; IOERR_SHMSIZE (the index of the WAL could not grow).
        (_, Some(13)) | (Some(4_874), _) => StoreError::Full,
        // BUSY, LOCKED.
        (_, Some(5 | 6)) => StoreError::Contention,
        // TOOBIG, CONSTRAINT (also for the RAISE of a trigger), MISMATCH, RANGE.
        (_, Some(18..=20 | 25)) => StoreError::ConstraintViolation,
        // ERROR: a missing table, a syntax error.
        (_, Some(1)) => StoreError::Unusable,
        _ => StoreError::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::hash::Hash;
    use crate::domain::ids::RequestId;
    use crate::domain::time::Micros;
    use crate::store::db::bulk_sql::select_rows;
    use crate::store::requests::{self, Stored};
    use crate::store::{Readable as _, Store, Use};

    #[test]
    fn codes_are_classified_by_their_database() {
        let class = |classify: fn(&str) -> ErrorConstructor, code: &str| match classify(code)(String::new()) {
            StoreError::Contention(_) => "busy",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Full(_) => "full",
            StoreError::ConstraintViolation(_) => "row",
            StoreError::Unusable(_) => "unusable",
            StoreError::UniqueConflict(_) | StoreError::Unreadable(_) | StoreError::Outdated(_) => "other",
        };
        let rows = [
            ("busy", &["40001", "40P01", "55P03", "57014"][..]),
            ("full", &["53100"]),
            // No memory, an I/O error, a standby, a dropped database, a bug of the server, and others.
            (
                "unavailable",
                &["53200", "58030", "25006", "42P05", "57P04", "XX000", "57P01", "53300", "08006", "25P03", ""],
            ),
            // Among them 22021, a NUL in a text. The rules of SQLite would call it BUSY, because its last eight bits are 5.
            ("row", &["21000", "22021", "22P02", "23505", "23514", "54000", "P0001"]),
            ("unusable", &["42P01", "42703", "42601", "42501"]),
        ];
        for (expected, codes) in rows {
            codes.iter().for_each(|code| assert_eq!(class(postgres, code), expected, "{code}"));
        }
        let rows = [
            ("busy", &["5", "6", "517"][..]),
            // FULL, IOERR_SHMSIZE.
            ("full", &["13", "4874"]),
            // NOMEM, READONLY, INTERRUPT, IOERR and one of its kinds, CORRUPT, CANTOPEN, NOTADB.
            ("unavailable", &["7", "8", "9", "10", "778", "11", "14", "26", ""]),
            ("row", &["18", "19", "20", "25", "1811", "2067"]),
            ("unusable", &["1"]),
        ];
        for (expected, codes) in rows {
            codes.iter().for_each(|code| assert_eq!(class(sqlite, code), expected, "{code}"));
        }
    }

    #[test]
    fn the_message_of_sqlite_names_the_constraint() {
        let rows = [
            ("1555", "UNIQUE constraint failed: requests.actor, requests.request_id", Some("requests_pkey")),
            ("2067", "UNIQUE constraint failed: invoices.provider, invoices.reference", Some("one_payment_an_invoice")),
            (
                "2067",
                "UNIQUE constraint failed: invoices.reference, invoices.provider, invoices.part",
                Some("one_payment_a_part"),
            ),
            (
                "2067",
                "UNIQUE constraint failed: index 'one_fund_a_strand_and_region'",
                Some("one_fund_a_strand_and_region"),
            ),
            ("2067", "UNIQUE constraint failed: requests.actor", None),
            ("2067", "UNIQUE constraint failed: offers.programme, offers.recipient_kind, offers.recipient", None),
            ("275", "CHECK constraint failed: requests.actor, requests.request_id", None),
            // The message of a trigger can be any text.
            ("1811", "UNIQUE constraint failed: requests.actor, requests.request_id", None),
        ];
        for (code, message, expected) in rows {
            assert_eq!(sqlite_unique_constraint(code, message), expected, "{code} {message}");
        }
    }

    /// Each shared key is a constraint of both schemas. Its violation is a [`StoreError::UniqueConflict`].
    #[tokio::test]
    async fn the_shared_keys_are_those_of_the_schema() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let columns = async |sql: String| {
            select_rows(&store.at(), &sql, Vec::new(), |name: String| Ok(name)).await.unwrap().join(", ")
        };
        let postgres = include_str!("schema_check/postgres.tsv");
        for UniqueConstraint { name, columns: expected } in &SHARED_KEYS {
            assert!(postgres.contains(name), "{name}");
            let sql = match name.strip_suffix("_pkey") {
                Some(table) => {
                    format!("SELECT '{table}.' || name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk")
                }
                None => format!("SELECT 'invoices.' || name FROM pragma_index_info('{name}') ORDER BY seqno"),
            };
            assert_eq!(columns(sql).await, *expected, "{name}");
        }
        let stored = Stored {
            actor: "ann".parse().unwrap(),
            request: RequestId(Uuid::nil()),
            rpc: "OfferService/AddNote".to_owned(),
            fingerprint: Hash([0; 32]),
            answer: vec![1],
            approval: None,
        };
        let tx = store.write(store.write_permit().await.unwrap()).await.unwrap();
        requests::keep(&tx, std::slice::from_ref(&stored), Micros(0)).await.unwrap();
        let result = requests::keep(&tx, &[stored], Micros(0)).await;
        assert!(matches!(result, Err(StoreError::UniqueConflict(_))), "{result:?}");
    }

    #[test]
    fn errors_of_the_driver_are_unavailable_or_unreadable() {
        let error_of = |cause: SqlxError| StoreError::from(DbErr::Query(RuntimeErr::SqlxError(cause.into())));
        for cause in [SqlxError::BeginFailed, SqlxError::PoolTimedOut, SqlxError::WorkerCrashed] {
            let error = error_of(cause);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        let undecoded = error_of(SqlxError::Decode("no UUID".into()));
        assert!(matches!(undecoded, StoreError::Unreadable(_)), "{undecoded:?}");
    }

    #[test]
    fn a_unique_conflict_is_retried_and_then_blames_one_command() {
        let text = String::new;
        let rows = [
            (StoreError::Unavailable(text()), (true, false)),
            (StoreError::Full(text()), (true, false)),
            (StoreError::Contention(text()), (true, false)),
            (StoreError::UniqueConflict(text()), (true, true)),
            (StoreError::ConstraintViolation(text()), (false, true)),
            (StoreError::Unreadable(text()), (false, true)),
            (StoreError::Outdated(text()), (false, false)),
            (StoreError::Unusable(text()), (false, false)),
        ];
        for (error, expected) in rows {
            assert_eq!((error.retryable(), error.blames_one()), expected, "{error}");
        }
    }
}
