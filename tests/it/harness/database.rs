//! One migrated database a scenario, on either engine, gone with the last that holds it.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tsio_test_support::cluster::{self, Options};

use super::postgres::{self, Cluster};
use super::process::output_of;
use super::{TSIO, sqlite};

/// A scenario that takes longer hangs.
const SCENARIO: Duration = Duration::from_secs(120);
const MIGRATE: Duration = Duration::from_secs(60);

/// A database of its own for a scenario. Clones are the same database; the last one dropped removes it.
#[derive(Clone)]
pub(crate) struct Db(Arc<Kind>);

enum Kind {
    Sqlite(sqlite::Stamped),
    Postgres(postgres::Stamped),
    /// A cluster that the scenario has to itself, with the schema in its database `postgres`.
    Alone(cluster::Cluster),
}

impl Db {
    pub(crate) fn sqlite() -> Self {
        Self::sqlite_made_by(Path::new(TSIO))
    }

    pub(crate) fn postgres() -> Self {
        Self::postgres_made_by(Path::new(TSIO))
    }

    pub(crate) fn sqlite_made_by(program: &Path) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::stamp(program))))
    }

    pub(crate) fn postgres_made_by(program: &Path) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().stamp(program))))
    }

    /// On SQLite, with this file's contents as they are: nothing migrates it.
    pub(crate) fn sqlite_restored(file: &[u8]) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::restore(file))))
    }

    /// On PostgreSQL, with what a dump as SQL makes: nothing migrates it.
    pub(crate) fn postgres_restored(dump: &[u8]) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().restore(dump))))
    }

    /// On PostgreSQL, in a database that orders texts as a language does.
    pub(crate) fn postgres_in(locale: &str) -> Self {
        Self(Arc::new(Kind::Postgres(Cluster::shared().stamp_in(Path::new(TSIO), locale))))
    }

    /// On PostgreSQL, in a cluster of its own, which [`Db::crash`] may end.
    pub(crate) fn postgres_alone() -> Self {
        Self::alone(Options::default())
    }

    /// The same with its tables in this folder, and more in the environment of the cluster.
    pub(crate) fn postgres_on(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::alone(Options { tables: Some(folder), environment, ..Options::default() })
    }

    fn alone(options: Options<'_>) -> Self {
        let cluster = cluster::Cluster::start_with(Options { without_sync: true, ..options });
        output_of(Command::new(TSIO).args(["migrate", "--database", &cluster.url("postgres")]), MIGRATE);
        Self(Arc::new(Kind::Alone(cluster)))
    }

    /// On SQLite, in this folder.
    pub(crate) fn sqlite_in(folder: &Path) -> Self {
        Self(Arc::new(Kind::Sqlite(sqlite::stamp_in(Path::new(TSIO), folder))))
    }

    /// Ends the database's own cluster as a power cut would, and starts it again.
    pub(crate) fn crash(&self) {
        match &*self.0 {
            Kind::Alone(cluster) => cluster.crash(),
            Kind::Sqlite(_) | Kind::Postgres(_) => panic!("not a cluster of its own"),
        }
    }

    /// What the program takes as `--database`.
    pub(crate) fn url(&self) -> String {
        match &*self.0 {
            Kind::Sqlite(stamped) => stamped.url(),
            Kind::Postgres(stamped) => stamped.url(),
            Kind::Alone(cluster) => cluster.url("postgres"),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(*self.0, Kind::Postgres(_) | Kind::Alone(_))
    }

    /// Keeps a copy of the database, whose servers are stopped; what is answered puts it back.
    pub(crate) fn backup(&self) -> Box<dyn FnOnce()> {
        match &*self.0 {
            Kind::Postgres(stamped) => Box::new(stamped.backup()),
            Kind::Sqlite(_) => {
                let file = self.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc").to_owned();
                let copy = format!("{file}.copy");
                std::fs::copy(&file, &copy).unwrap();
                Box::new(move || std::fs::rename(&copy, &file).unwrap())
            }
            Kind::Alone(_) => panic!("no backup of it"),
        }
    }

    /// Runs a script of psql's, with these variables.
    pub(crate) fn psql_file(&self, file: &str, variables: &[(&str, &str)]) {
        match &*self.0 {
            Kind::Sqlite(_) | Kind::Alone(_) => panic!("no psql for it"),
            Kind::Postgres(stamped) => stamped.psql_file(file, variables),
        }
    }

    /// Runs SQL past the program, to tamper with a PostgreSQL database or to look at it.
    pub(crate) fn psql(&self, sql: &str) -> String {
        match &*self.0 {
            Kind::Sqlite(_) | Kind::Alone(_) => panic!("no psql for it"),
            Kind::Postgres(stamped) => stamped.psql(sql),
        }
    }
}

/// Runs a scenario on a runtime of its own, within a bound.
pub(crate) fn run(scenario: impl Future<Output = ()>) {
    run_within(SCENARIO, scenario);
}

/// The same within a bound of its own.
pub(crate) fn run_within(bound: Duration, scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(bound, scenario).await });
    assert!(ended.is_ok(), "the scenario hangs: {bound:?} have passed");
}
