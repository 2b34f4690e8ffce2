//! Runs SQL over a separate connection to the database, so that a scenario can lock, change or read what the program
//! stores. Also runs `tsio verify`.

use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Row as _, query, raw_sql};

use crate::harness::{Db, tsio};

/// The longest wait for a number in the database.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A connection that does not belong to the program. Dropping it ends its transaction and releases its locks.
pub(crate) enum RawSql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl RawSql {
    /// Connects to the database of a scenario.
    pub(crate) async fn of(db: &Db) -> Self {
        Self::at(&db.url()).await
    }

    /// Connects to the database at this URL, which may name another role.
    pub(crate) async fn at(url: &str) -> Self {
        if url.starts_with("postgres:") {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        } else {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        }
    }

    /// Runs statements. Returns the message of the database if it refuses one.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), String> {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        let result = match self {
            Self::Sqlite(conn) => sql.execute(conn).await.map(|_| ()),
            Self::Postgres(conn) => sql.execute(conn).await.map(|_| ()),
        };
        result.map_err(|problem| problem.to_string())
    }

    /// Runs statements without triggers and foreign keys, as an administrator can who removes these guards. SQLite also
    /// skips CHECK constraints. Restores the guards afterwards. Returns the message of the database if it refuses a
    /// statement.
    pub(crate) async fn run_unguarded(&mut self, sql: &str) -> Result<(), String> {
        let (before, after) = match self {
            Self::Postgres(_) => {
                ("SET session_replication_role = replica".to_owned(), "RESET session_replication_role".to_owned())
            }
            Self::Sqlite(_) => {
                let triggers = self.lines("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name").await;
                let definitions =
                    self.lines("SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name").await;
                let dropped: String = triggers.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
                let off = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON";
                let on = "PRAGMA foreign_keys = ON; PRAGMA ignore_check_constraints = OFF";
                (format!("{off}; {dropped}"), format!("{}; {on}", definitions.join(";")))
            }
        };
        self.run(&before).await.unwrap();
        let result = self.run(sql).await;
        self.run(&after).await.unwrap();
        result
    }

    /// Runs a query of one text column, and returns the text of each row.
    pub(crate) async fn lines(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => query(sql).fetch_all(conn).await.unwrap().iter().map(|row| row.get(0)).collect(),
            Self::Postgres(conn) => query(sql).fetch_all(conn).await.unwrap().iter().map(|row| row.get(0)).collect(),
        }
    }

    /// Runs a query that returns one whole number.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
            Self::Postgres(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
        }
    }

    /// Begins a transaction that locks the programme as a writer does: its row in PostgreSQL, the whole file in SQLite.
    pub(crate) async fn lock_programme(&mut self, programme: &str) {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE".to_owned(),
            Self::Postgres(_) => format!("BEGIN; SELECT 1 FROM books WHERE programme = '{programme}' FOR UPDATE"),
        };
        self.run(&sql).await.unwrap();
    }

    /// Rolls the transaction back, which releases its locks.
    pub(crate) async fn release_lock(&mut self) {
        self.run("ROLLBACK").await.unwrap();
    }

    /// Closes the connection, so that the file of a SQLite database is complete.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(conn) => conn.close().await.unwrap(),
            Self::Postgres(conn) => conn.close().await.unwrap(),
        }
    }

    /// Returns a UUID as an SQL literal of the id columns.
    pub(crate) fn id(&self, uuid: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("X'{}'", uuid.replace('-', "")),
            Self::Postgres(_) => format!("'{uuid}'"),
        }
    }

    /// Waits until this number of the program's writers waits for a lock. PostgreSQL only, because SQLite does not
    /// report who waits.
    pub(crate) async fn wait_for_blocked_writers(&mut self, writers: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'tsio writer' AND wait_event_type = 'Lock'";
        self.wait_until(waiting, writers).await;
    }

    /// Repeats a query until it returns this number.
    pub(crate) async fn wait_until(&mut self, sql: &str, expected: i64) {
        let started = Instant::now();
        let mut found = self.number(sql).await;
        while found != expected {
            assert!(started.elapsed() < MAX_WAIT, "{sql}: still {found}, not {expected}");
            found = self.number(sql).await;
        }
    }
}

/// Runs `tsio verify` with these further arguments. Returns the exit code and the reports.
pub(crate) fn verify(db: &Db, extra: &[&str]) -> (i32, serde_json::Value) {
    let output = tsio(&[&["--output", "json", "verify", "--database", &db.url()], extra].concat());
    assert!(output.json.is_array(), "{}{}", output.stdout, output.stderr);
    (output.code, output.json)
}

/// The last event that verify reports of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sequence: i64,
    pub(crate) hash: String,
}

/// Checks that every record is sound. Returns the head of each programme.
pub(crate) fn verified_heads(db: &Db) -> Vec<Head> {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    let (register, programmes) = reports.as_array().unwrap().split_last().unwrap();
    assert_eq!(register["programme"], "register");
    programmes.iter().map(head).collect()
}

/// Checks that every record is sound. Returns the head of the first programme.
pub(crate) fn verified_head(db: &Db) -> Head {
    verified_heads(db).remove(0)
}

/// Checks that every record is sound. Returns the number of events of the first programme.
pub(crate) fn verified_length(db: &Db) -> i64 {
    verified_head(db).sequence
}

/// Checks that the register's record is sound. Returns its head.
pub(crate) fn verified_register_head(db: &Db) -> Head {
    let (code, reports) = verify(db, &["--programme", "register"]);
    assert_eq!(code, 0, "{reports:#}");
    head(&reports[0])
}

fn head(report: &serde_json::Value) -> Head {
    Head { sequence: report["sequence"].as_i64().unwrap(), hash: report["hash"].as_str().unwrap().to_owned() }
}
