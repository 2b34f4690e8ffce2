//! Makes a database for each scenario, on SQLite or PostgreSQL. It is removed when its last clone is dropped.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tsio_test_support::cluster::{self, Options};

use super::postgres::{self, Cluster};
use super::process::output_of;
use super::{TSIO, sqlite};

/// A scenario that takes longer is treated as hanging.
const MAX_SCENARIO: Duration = Duration::from_secs(120);
/// How long `tsio migrate` may take.
const MAX_MIGRATION: Duration = Duration::from_secs(60);

/// The database of one scenario. Clones are the same database; dropping the last clone removes it.
#[derive(Clone)]
pub(crate) struct Db(Arc<Kind>);

enum Kind {
    Sqlite(sqlite::SqliteDatabase),
    Postgres(postgres::PostgresDatabase),
    /// A PostgreSQL cluster that only this scenario uses, with the schema in its database `postgres`.
    OwnCluster(cluster::Cluster),
}

impl Db {
    pub(crate) fn sqlite() -> Self {
        Self::sqlite_made_by(Path::new(TSIO))
    }

    pub(crate) fn postgres() -> Self {
        Self::postgres_made_by(Path::new(TSIO))
    }

    /// A SQLite database that this program has migrated.
    pub(crate) fn sqlite_made_by(program: &Path) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::create(program))))
    }

    /// A PostgreSQL database that this program has migrated.
    pub(crate) fn postgres_made_by(program: &Path) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().create(program))))
    }

    /// A SQLite database with these bytes as its file. It is not migrated.
    pub(crate) fn sqlite_restored(file: &[u8]) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::restore(file))))
    }

    /// A PostgreSQL database made by this SQL dump. It is not migrated.
    pub(crate) fn postgres_restored(dump: &[u8]) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().restore(dump))))
    }

    /// A PostgreSQL database that sorts texts by the rules of this ICU locale.
    pub(crate) fn postgres_in(locale: &str) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().create_with_locale(Path::new(TSIO), locale))))
    }

    /// A PostgreSQL database in its own cluster, which [`Db::crash`] can end.
    pub(crate) fn postgres_alone() -> Self {
        Self::start_own_cluster(Options::default())
    }

    /// The same as [`Db::postgres_alone`], with the tables in this folder and these variables in the environment of the
    /// cluster.
    pub(crate) fn postgres_on(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_own_cluster(Options { tables: Some(folder), environment, ..Options::default() })
    }

    fn start_own_cluster(options: Options<'_>) -> Self {
        let cluster = cluster::Cluster::start_with(Options { without_sync: true, ..options });
        output_of(Command::new(TSIO).args(["migrate", "--database", &cluster.url("postgres")]), MAX_MIGRATION);
        Self(Arc::new(Kind::OwnCluster(cluster)))
    }

    /// The database's own cluster. Panics if the cluster is shared, or for SQLite.
    pub(crate) fn own_cluster(&self) -> &cluster::Cluster {
        match &*self.0 {
            Kind::OwnCluster(cluster) => cluster,
            Kind::Sqlite(_) | Kind::Postgres(_) => panic!("not a cluster of its own"),
        }
    }

    /// A SQLite database in this folder.
    pub(crate) fn sqlite_in(folder: &Path) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::create_in(Path::new(TSIO), folder))))
    }

    /// Ends the database's own cluster as a power cut would, and starts it again. Panics if the cluster is shared, or
    /// for SQLite.
    pub(crate) fn crash(&self) {
        self.own_cluster().crash();
    }

    /// The URL for the option `--database`.
    pub(crate) fn url(&self) -> String {
        match &*self.0 {
            Kind::Sqlite(database) => database.url(),
            Kind::Postgres(database) => database.url(),
            Kind::OwnCluster(cluster) => cluster.url("postgres"),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(*self.0, Kind::Postgres(_) | Kind::OwnCluster(_))
    }

    /// Copies the database, whose servers must be stopped. Returns a function that restores the copy.
    pub(crate) fn backup(&self) -> Box<dyn FnOnce()> {
        match &*self.0 {
            Kind::Postgres(database) => Box::new(database.backup()),
            Kind::Sqlite(_) => {
                let file = self.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc").to_owned();
                let copy = format!("{file}.copy");
                std::fs::copy(&file, &copy).unwrap();
                Box::new(move || std::fs::rename(&copy, &file).unwrap())
            }
            Kind::OwnCluster(_) => panic!("a database in its own cluster has no backup"),
        }
    }

    /// Runs this psql script with these variables.
    pub(crate) fn psql_file(&self, file: &str, variables: &[(&str, &str)]) {
        match &*self.0 {
            Kind::Sqlite(_) | Kind::OwnCluster(_) => panic!("no psql for it"),
            Kind::Postgres(database) => database.psql_file(file, variables),
        }
    }

    /// Runs SQL on a PostgreSQL database without the program, to change or to read it. Returns its rows, one per line.
    pub(crate) fn psql(&self, sql: &str) -> String {
        match &*self.0 {
            Kind::Sqlite(_) | Kind::OwnCluster(_) => panic!("no psql for it"),
            Kind::Postgres(database) => database.psql(sql),
        }
    }
}

/// Runs a scenario on its own runtime. Panics if it takes longer than two minutes.
pub(crate) fn run(scenario: impl Future<Output = ()>) {
    run_within(MAX_SCENARIO, scenario);
}

/// Runs a scenario on its own runtime. Panics if it takes longer than this.
pub(crate) fn run_within(max_time: Duration, scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(max_time, scenario).await });
    assert!(ended.is_ok(), "the scenario hangs: it has not ended after {max_time:?}");
}
