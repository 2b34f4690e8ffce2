//! Makes, copies and reads the databases of the bench, on PostgreSQL and on SQLite.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use rusqlite::OpenFlags;
use tempfile::TempDir;
use tokio_postgres::NoTls;
use tsio_test_support::cluster::Cluster;

use crate::support::sqlite_url;

/// The queries of the rows that `verify` reads, in the order in which it reads them.
const ORDERED_ROWS: [&str; 2] =
    ["SELECT * FROM events ORDER BY programme, seq", "SELECT * FROM entries ORDER BY programme, seq"];
/// Entries are numbered without gaps. Those of caps have no rows of their own.
const COUNT: &str = "SELECT CAST(SUM(next_entry - 1) AS BIGINT) FROM books";

/// The databases of the bench: a PostgreSQL cluster, or a folder of SQLite files.
pub(crate) enum Databases {
    Postgres(Cluster),
    Sqlite(TempDir),
}

impl Databases {
    pub(crate) fn postgres() -> Self {
        Self::Postgres(Cluster::start())
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        match self {
            Self::Postgres(cluster) => cluster.url(database),
            Self::Sqlite(directory) => sqlite_url(&file(directory, database)),
        }
    }

    /// Creates an empty database. SQLite creates its file when the server opens it.
    pub(crate) fn create(&self, database: &str) {
        if let Self::Postgres(cluster) = self {
            cluster.create_database(database, "template1");
        }
    }

    /// Replaces the database `to` by a copy of the database `from`. No server may use either of them.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        match self {
            Self::Postgres(cluster) => cluster.create_database(to, from),
            Self::Sqlite(directory) => {
                let (from, to) = (file(directory, from), file(directory, to));
                let wal = from.with_extension("db-wal");
                assert!(!wal.exists(), "the server must have merged the write-ahead log when it closed the file");
                for stale in ["db-wal", "db-shm"].map(|it| to.with_extension(it)) {
                    // This fails if the file does not exist, which is the usual case.
                    let _ = fs::remove_file(stale);
                }
                fs::copy(from, to).expect("the temporary folder is writable");
            }
        }
    }

    /// Returns the number of ledger entries in a database.
    pub(crate) fn entries(&self, database: &str) -> u32 {
        match self {
            Self::Postgres(cluster) => cluster.psql(database, &[COUNT]).parse().expect("a number"),
            Self::Sqlite(directory) => {
                let connection = open(&file(directory, database)).expect("the file opens");
                connection.query_row(COUNT, [], |row| row.get(0)).expect("a number")
            }
        }
    }

    /// Reads all events and entries in order, directly through the driver. Returns the time.
    pub(crate) async fn read_rows(&self, database: &str) -> Duration {
        let begin = Instant::now();
        let rows = match self {
            Self::Postgres(_) => read_postgres(&self.url(database)).await.expect("the rows are read"),
            Self::Sqlite(directory) => read_sqlite(&file(directory, database)).expect("the rows are read"),
        };
        assert!(rows > 0, "the database has no rows");
        begin.elapsed()
    }
}

fn file(directory: &TempDir, database: &str) -> PathBuf {
    directory.path().join(database).with_extension("db")
}

fn open(file: &std::path::Path) -> rusqlite::Result<rusqlite::Connection> {
    rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

async fn read_postgres(url: &str) -> Result<usize, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let mut count = 0;
    for sql in ORDERED_ROWS {
        let no_parameters: [&str; 0] = [];
        let mut rows = pin!(client.query_raw(sql, no_parameters).await?);
        while rows.try_next().await?.is_some() {
            count += 1;
        }
    }
    drop(client);
    connection.await.expect("the connection's task does not panic")?;
    Ok(count)
}

fn read_sqlite(file: &std::path::Path) -> rusqlite::Result<usize> {
    let connection = open(file)?;
    let mut count = 0;
    for sql in ORDERED_ROWS {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // Read every column, because `verify` does so too.
            for column in 0..columns {
                row.get_ref(column)?;
            }
            count += 1;
        }
    }
    Ok(count)
}
