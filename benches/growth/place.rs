//! Where the databases of a run lie, and how they are made, copied and read on either kind.

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

/// The rows that `verify` folds, in the order it needs them.
const ORDERED: [&str; 2] =
    ["SELECT * FROM events ORDER BY programme, seq", "SELECT * FROM entries ORDER BY programme, seq"];
const COUNT: &str = "SELECT count(*) FROM entries";

/// A PostgreSQL cluster, or a folder of SQLite files.
pub(crate) enum Place {
    Postgres(Cluster),
    Sqlite(TempDir),
}

impl Place {
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

    /// An empty database.
    pub(crate) fn make(&self, database: &str) {
        if let Self::Postgres(cluster) = self {
            cluster.create_database(database, "template1");
        }
    }

    /// Replaces a database by a copy of another. No server is on either.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        match self {
            Self::Postgres(cluster) => cluster.create_database(to, from),
            Self::Sqlite(directory) => {
                let (from, to) = (file(directory, from), file(directory, to));
                let wal = from.with_extension("db-wal");
                assert!(!wal.exists(), "the server closed its file whole");
                for stale in ["db-wal", "db-shm"].map(|it| to.with_extension(it)) {
                    // Most often there is none.
                    let _ = fs::remove_file(stale);
                }
                fs::copy(from, to).expect("the folder is ours");
            }
        }
    }

    /// Ledger entries in a database.
    pub(crate) fn entries(&self, database: &str) -> u32 {
        match self {
            Self::Postgres(cluster) => cluster.psql(database, &[COUNT]).parse().expect("a number"),
            Self::Sqlite(directory) => {
                let connection = open(&file(directory, database)).expect("the file opens");
                connection.query_row(COUNT, [], |row| row.get(0)).expect("a number")
            }
        }
    }

    /// How long it takes to read every event and every entry in order, through the bare driver.
    pub(crate) async fn stream(&self, database: &str) -> Duration {
        let begin = Instant::now();
        let rows = match self {
            Self::Postgres(_) => stream_postgres(&self.url(database)).await.expect("the rows are read"),
            Self::Sqlite(directory) => stream_sqlite(&file(directory, database)).expect("the rows are read"),
        };
        assert!(rows > 0, "there are rows");
        begin.elapsed()
    }
}

fn file(directory: &TempDir, database: &str) -> PathBuf {
    directory.path().join(database).with_extension("db")
}

fn open(file: &std::path::Path) -> rusqlite::Result<rusqlite::Connection> {
    rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

async fn stream_postgres(url: &str) -> Result<usize, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let mut count = 0;
    for sql in ORDERED {
        let none: [&str; 0] = [];
        let mut rows = pin!(client.query_raw(sql, none).await?);
        while let Some(row) = rows.try_next().await? {
            count += usize::from(!row.is_empty());
        }
    }
    drop(client);
    connection.await.expect("it does not panic")?;
    Ok(count)
}

fn stream_sqlite(file: &std::path::Path) -> rusqlite::Result<usize> {
    let connection = open(file)?;
    let mut count = 0;
    for sql in ORDERED {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // Every column, as the fold must.
            for column in 0..columns {
                row.get_ref(column)?;
            }
            count += 1;
        }
    }
    Ok(count)
}
