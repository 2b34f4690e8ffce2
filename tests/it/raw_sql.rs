//! SQL past the program: a connection of the scenario's own, to hold the program up, to tamper, or to look.

use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Row as _, query, raw_sql};

use crate::harness::{Db, tsio};

/// Longer than any wait of these scenarios lasts.
const BOUND: Duration = Duration::from_secs(30);

/// A connection past the program. Dropping it gives up what it holds.
pub(crate) enum RawSql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl RawSql {
    pub(crate) async fn of(db: &Db) -> Self {
        Self::at(&db.url()).await
    }

    /// By a URL, which may name another role.
    pub(crate) async fn at(url: &str) -> Self {
        if url.starts_with("postgres:") {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        } else {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        }
    }

    /// Runs statements; the database's own words where it refuses.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), String> {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = match self {
            Self::Sqlite(conn) => sql.execute(conn).await.map(|_| ()),
            Self::Postgres(conn) => sql.execute(conn).await.map(|_| ()),
        };
        done.map_err(|problem| problem.to_string())
    }

    /// Runs statements as an administrator does who takes the guards away and puts them back: no trigger fires and no
    /// foreign key holds, on SQLite no CHECK either, and the schema is as it was afterwards.
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
        let done = self.run(sql).await;
        self.run(&after).await.unwrap();
        done
    }

    /// The texts of one column.
    pub(crate) async fn lines(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => query(sql).fetch_all(conn).await.unwrap().iter().map(|row| row.get(0)).collect(),
            Self::Postgres(conn) => query(sql).fetch_all(conn).await.unwrap().iter().map(|row| row.get(0)).collect(),
        }
    }

    /// A single whole number.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
            Self::Postgres(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
        }
    }

    /// Holds the programme as a writer would: PostgreSQL by the programme's row, SQLite by the whole file.
    pub(crate) async fn lock_programme(&mut self, programme: &str) {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE".to_owned(),
            Self::Postgres(_) => format!("BEGIN; SELECT 1 FROM books WHERE programme = '{programme}' FOR UPDATE"),
        };
        self.run(&sql).await.unwrap();
    }

    /// Lets go of what it holds.
    pub(crate) async fn release_lock(&mut self) {
        self.run("ROLLBACK").await.unwrap();
    }

    /// Closes the connection, so that a SQLite file is whole by itself.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(conn) => conn.close().await.unwrap(),
            Self::Postgres(conn) => conn.close().await.unwrap(),
        }
    }

    /// How an id is written in SQL.
    pub(crate) fn id(&self, uuid: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("X'{}'", uuid.replace('-', "")),
            Self::Postgres(_) => format!("'{uuid}'"),
        }
    }

    /// Waits until so many writers of the program wait for a lock. PostgreSQL only: it can be asked.
    pub(crate) async fn until_waiting(&mut self, writers: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'tsio writer' AND wait_event_type = 'Lock'";
        self.until(waiting, writers).await;
    }

    /// Asks until the answer is this number.
    pub(crate) async fn until(&mut self, sql: &str, expected: i64) {
        let started = Instant::now();
        let mut found = self.number(sql).await;
        while found != expected {
            assert!(started.elapsed() < BOUND, "{sql}: still {found}, not {expected}");
            found = self.number(sql).await;
        }
    }
}

/// What `tsio verify` says of every programme: exit code, and the report.
pub(crate) fn verify(db: &Db, extra: &[&str]) -> (i32, serde_json::Value) {
    let output = tsio(&[&["--output", "json", "verify", "--database", &db.url()], extra].concat());
    assert!(output.json.is_array(), "{}{}", output.stdout, output.stderr);
    (output.code, output.json)
}

/// Every record is proved; the heads that the programmes' are proved up to.
pub(crate) fn proved(db: &Db) -> Vec<(i64, String)> {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    let (register, programmes) = reports.as_array().unwrap().split_last().unwrap();
    assert_eq!(register["programme"], "register");
    programmes.iter().map(head).collect()
}

/// The register's record is proved; the head it is proved up to.
pub(crate) fn proved_register(db: &Db) -> (i64, String) {
    let (code, reports) = verify(db, &["--programme", "register"]);
    assert_eq!(code, 0, "{reports:#}");
    head(&reports[0])
}

fn head(report: &serde_json::Value) -> (i64, String) {
    (report["sequence"].as_i64().unwrap(), report["hash"].as_str().unwrap().to_owned())
}
