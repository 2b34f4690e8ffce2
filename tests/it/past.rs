//! SQL past the program: a connection of the scenario's own, to hold the program up, to tamper, or to look.

use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Row as _, query, raw_sql};

use crate::harness::{Db, tsio};

/// Longer than any wait of these scenarios lasts.
const BOUND: Duration = Duration::from_secs(30);

/// A connection past the program. Dropping it gives up what it holds.
pub(crate) enum Past {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Past {
    pub(crate) async fn of(db: &Db) -> Self {
        if db.is_postgres() {
            Self::Postgres(PgConnection::connect(&db.url()).await.unwrap())
        } else {
            Self::Sqlite(SqliteConnection::connect(&db.url()).await.unwrap())
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

    /// A single whole number.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
            Self::Postgres(conn) => query(sql).fetch_one(conn).await.unwrap().get(0),
        }
    }

    /// Holds the book as a writer would: PostgreSQL by the book's row, SQLite by the whole file.
    pub(crate) async fn hold(&mut self, programme: &str) {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE".to_owned(),
            Self::Postgres(_) => format!("BEGIN; SELECT 1 FROM books WHERE programme = '{programme}' FOR UPDATE"),
        };
        self.run(&sql).await.unwrap();
    }

    /// Lets go of what it holds.
    pub(crate) async fn let_go(&mut self) {
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
    pub(crate) async fn until(&mut self, sql: &str, wanted: i64) {
        let begun = Instant::now();
        let mut found = self.number(sql).await;
        while found != wanted {
            assert!(begun.elapsed() < BOUND, "{sql}: still {found}, not {wanted}");
            found = self.number(sql).await;
        }
    }
}

/// What `tsio verify` says of every book: exit code, and the report.
pub(crate) fn verify(db: &Db, extra: &[&str]) -> (i32, serde_json::Value) {
    let output = tsio(&[&["--output", "json", "verify", "--database", &db.url()], extra].concat());
    assert!(output.json.is_array(), "{}{}", output.stdout, output.stderr);
    (output.code, output.json)
}

/// Every book is proved; the heads they are proved up to.
pub(crate) fn proved(db: &Db) -> Vec<(i64, String)> {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    let head = |report: &serde_json::Value| {
        (report["sequence"].as_i64().unwrap(), report["hash"].as_str().unwrap().to_owned())
    };
    reports.as_array().unwrap().iter().map(head).collect()
}
