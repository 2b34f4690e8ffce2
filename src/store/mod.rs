//! The database: finds, locks and writes rows. The only layer that uses `sea_orm`.
//!
//! Functions that write take a [`WriteTx`], which [`Store::write`] and [`Store::begin_batch`] make; only a batch without the lock is
//! written without one (`command_batch::write_guarded`). Functions that read take the
//! pool or a transaction. The rules of the scheme are in the domain.

pub(crate) mod account_days;
pub(crate) mod accounts;
pub(crate) mod approvals;
pub(crate) mod awards;
mod cap_entries;
pub(crate) mod cited_rows;
pub(crate) mod claims;
pub(crate) mod command_batch;
pub(crate) mod db;
pub mod due;
pub mod entries;
pub(crate) mod entry_decisions;
pub mod events;
pub(crate) mod imports;
pub(crate) mod names;
pub(crate) mod offer_sums;
pub mod offers;
pub(crate) mod ofsted;
pub(crate) mod placements;
pub(crate) mod programmes;
pub(crate) mod referrals;
pub(crate) mod register;
pub(crate) mod request_checks;
pub(crate) mod requests;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod texts;
pub(crate) mod verify_rows;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{self, Connection as _, PgConnection};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseExecutor, DbBackend, Statement,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use db::batch_connection::BatchConnection;
pub use db::commit_notices::CommitNoticeLayer;
pub use db::error::StoreError;
pub use db::guarded_write::GuardedWrite;
use db::held_connections::HeldConnections;
use db::row::FromRow as _;
pub use db::transaction::{Failure, ReadTx, WritePermit, WriteTx};
use db::write_health::{ConnectionRules, WriteHealth};

/// Result of every function of this layer.
pub type Result<T> = std::result::Result<T, StoreError>;

/// How long to wait for a lock that another process holds, such as that of a programme, and for a free connection of a pool.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one statement of a writer may take. A batch of 5,000 rows takes well under one second.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a transaction may be idle before the server ends it, so that a stopped process releases its lock.
pub const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a writer's session may wait for the rest of a statement from its client: longer than any attempt lasts. The database
/// ends an idle session, but not one whose client stopped between the messages of a statement.
const ABANDONED_AFTER: Duration = Duration::from_secs(30);
/// How long to wait for outstanding answers before a connection goes back to its pool.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections for reading. SQLite readers beyond the cores only wait; PostgreSQL has connections for several replicas.
const READERS_SQLITE: u32 = 4;
const READERS_POSTGRES: u32 = 16;
/// Connections for everything but batches on PostgreSQL: imports, terms, checks of the storage.
const WRITERS_POSTGRES: u32 = 4;
/// Connections for batches on PostgreSQL: one for each programme that commits at the same time. With a distant standby a commit is
/// mostly waiting, so there are more of them than cores. Three servers have 96 connections; PostgreSQL allows 97 by default.
const BATCHES_POSTGRES: u32 = 12;
/// A connection that was idle for longer than this is tested before it is used, because the database may have restarted meanwhile.
const TEST_AFTER_IDLE: Duration = Duration::from_millis(500);
/// Pages in the WAL before a checkpoint, about 64 MiB. With the default of 1,000 almost every large batch causes a checkpoint.
const WAL_AUTOCHECKPOINT: &str = "16000";

/// Switches JIT compilation off. PostgreSQL compiles statements with a high estimated cost, and [`PLAN_BY_KEY`] makes many
/// estimates very high. Compiling such a statement takes a hundred times as long as running it.
const NO_JIT: (&str, &str) = ("jit", "off");

/// Settings that make PostgreSQL plan the statements of a batch once, with the indexes of their keys, even if the tables are
/// small at that time.
const PLAN_BY_KEY: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// The page cache of a connection, about 16 MiB (a negative number is KiB). A large batch uses more than the default of 2 MiB,
/// and SQLite searches the whole cache at most commits.
const SQLITE_CACHE_SIZE: &str = "-16384";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Embedded, one file.
    Sqlite,
    /// PostgreSQL 15 or later.
    Postgres,
}

/// The purpose of a process. Only one process may serve a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Serves or migrates.
    Serve,
    /// Reads while a server may be running, as `verify` does.
    Look,
}

/// An open database.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    reads: DatabaseConnection,
    /// For everything but batches: imports, terms, checks of the storage.
    writes: DatabaseConnection,
    /// For the batches of programmes: many small statements, always the same.
    batch_writes: DatabaseConnection,
    guarded_writes: GuardedWriter,
    /// For the hints to other processes, on PostgreSQL.
    hint_connections: Option<HeldConnections>,
    /// Permits for everything but batches, first come first served: [`WRITERS_POSTGRES`], on SQLite one.
    write_permits: Arc<Semaphore>,
    /// Permits for batches: [`BATCHES_POSTGRES`]. On SQLite they are the same as `write_permits`.
    batch_permits: Arc<Semaphore>,
    write_health: Arc<WriteHealth>,
    /// The directory of a SQLite file.
    folder: Option<Arc<Path>>,
    _lock: Option<Arc<File>>,
}

/// The connections for batches that are written without the lock.
#[derive(Debug, Clone)]
enum GuardedWriter {
    Sqlite(BatchConnection),
    Postgres(HeldConnections),
}

/// The state of one pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// What its connections are for.
    pub name: &'static str,
    /// The most connections.
    pub most: u32,
    /// Open connections.
    pub open: u32,
    /// Open connections that are not in use.
    pub idle: u32,
}

impl Store {
    /// Opens a database by its URL: `sqlite:PATH` or `postgres://...`.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for another kind of URL, for a SQLite file that another process serves or whose lock file cannot
    /// be opened, and for a SQLite file that does not exist and is opened only for reading. [`StoreError::Unavailable`] if the
    /// database cannot be reached.
    pub async fn open(url: &str, purpose: Use) -> Result<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url).await
        } else if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest).split('?').next().unwrap_or_default();
            Self::open_sqlite(&PathBuf::from(path), purpose).await
        } else if url.starts_with("mysql:") {
            Err(StoreError::Unusable("MySQL is not supported: use sqlite:PATH or postgres://...".to_owned()))
        } else {
            Err(StoreError::Unusable("a database URL starts with sqlite: or postgres://".to_owned()))
        }
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let mut reads = ConnectOptions::new(url);
        reads
            .max_connections(READERS_POSTGRES)
            .acquire_timeout(LOCK_TIMEOUT)
            .sqlx_logging(false)
            .test_before_acquire_if_idle_for(TEST_AFTER_IDLE);
        reads.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_release(|connection, _| Box::pin(drain_due_answers(connection)))
        });
        reads.map_sqlx_postgres_opts(|options| options.application_name("tsio").options([NO_JIT]));
        let rules = Arc::new(ConnectionRules::default());
        // By default PostgreSQL could keep a plan that it made while a table was empty. Such a plan scans the whole table.
        let writes = Self::postgres_writers(url, &[("plan_cache_mode", "force_custom_plan")], &rules);
        let mut batch_writes = Self::postgres_writers(url, &PLAN_BY_KEY, &rules);
        batch_writes.max_connections(BATCHES_POSTGRES);
        let reads = Database::connect(reads).await?;
        let batch_writes = Database::connect(batch_writes).await?;
        let health = WriteHealth::new(rules, reads.clone());
        Ok(Self {
            backend: Backend::Postgres,
            hint_connections: Some(HeldConnections::of(&reads)),
            guarded_writes: GuardedWriter::Postgres(HeldConnections::of(&batch_writes)),
            reads,
            writes: Database::connect(writes).await?,
            batch_writes,
            write_permits: Arc::new(Semaphore::new(WRITERS_POSTGRES as usize)),
            batch_permits: Arc::new(Semaphore::new(BATCHES_POSTGRES as usize)),
            write_health: Arc::new(health),
            folder: None,
            _lock: None,
        })
    }

    fn postgres_writers(
        url: &str,
        plans: &'static [(&'static str, &'static str)],
        rules: &Arc<ConnectionRules>,
    ) -> ConnectOptions {
        let mut options = ConnectOptions::new(url);
        options.max_connections(WRITERS_POSTGRES).acquire_timeout(LOCK_TIMEOUT).sqlx_logging(false);
        options.test_before_acquire_if_idle_for(TEST_AFTER_IDLE);
        let rules = Arc::clone(rules);
        options.map_sqlx_postgres_pool_opts(move |pool| {
            let rules = Arc::clone(&rules);
            pool.after_release(move |connection, _| {
                let may_be_reused = rules.keeps_released();
                Box::pin(async move { Ok(may_be_reused && drain_due_answers(connection).await?) })
            })
        });
        options.map_sqlx_postgres_opts(|options| {
            options.application_name("tsio writer").options(plans.iter().copied()).options([NO_JIT]).options([
                ("default_transaction_isolation", "read committed".to_owned()),
                ("lock_timeout", millis(LOCK_TIMEOUT)),
                ("statement_timeout", millis(STATEMENT_TIMEOUT)),
                ("idle_in_transaction_session_timeout", millis(IDLE_IN_TRANSACTION_TIMEOUT)),
            ])
        });
        options
    }

    async fn open_sqlite(path: &Path, purpose: Use) -> Result<Self> {
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(StoreError::Unusable("an SQLite database is a file: sqlite:PATH".to_owned()));
        }
        let lock = match purpose {
            Use::Serve => Some(Arc::new(acquire_file_lock(path)?)),
            Use::Look if !path.exists() => {
                return Err(StoreError::Unusable(format!("there is no database at {}", path.display())));
            }
            Use::Look => None,
        };
        let url = format!("sqlite:{}", path.display());
        let options = |connections: u32| {
            let path = path.to_owned();
            let mut options = ConnectOptions::new(&url);
            options.max_connections(connections).min_connections(1).acquire_timeout(LOCK_TIMEOUT);
            options.idle_timeout(None).max_lifetime(None).sqlx_logging(false).test_before_acquire(false);
            options.map_sqlx_sqlite_opts(move |sqlite| {
                use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
                let sqlite = sqlite.filename(&path).foreign_keys(true).busy_timeout(LOCK_TIMEOUT);
                if purpose == Use::Look {
                    return sqlite.read_only(true);
                }
                sqlite
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("wal_autocheckpoint", WAL_AUTOCHECKPOINT)
                    .pragma("cache_size", SQLITE_CACHE_SIZE)
            });
            options
        };
        let rules = Arc::new(ConnectionRules::default());
        let (writer_rules, reader_rules) = (Arc::clone(&rules), Arc::clone(&rules));
        let (mut writes, mut reads) = (options(1), options(READERS_SQLITE));
        writes.map_sqlx_sqlite_before_acquire(move |connection, _| {
            let accepted = writer_rules.accepts_writer(connection);
            Box::pin(async move { Ok(accepted) })
        });
        reads.map_sqlx_sqlite_before_acquire(move |connection, metadata| {
            let accepted = reader_rules.accepts_reader(connection, &metadata);
            Box::pin(async move { Ok(accepted) })
        });
        let writes = Database::connect(writes).await?;
        let reads = Database::connect(reads).await?;
        let write_health = Arc::new(WriteHealth::new(rules, reads.clone()));
        let (batch_writes, write_permits) = (writes.clone(), Arc::new(Semaphore::new(1)));
        let folder = path.canonicalize().ok().and_then(|path| Some(Arc::from(path.parent()?)));
        Ok(Self {
            backend: Backend::Sqlite,
            reads,
            writes,
            batch_writes,
            guarded_writes: GuardedWriter::Sqlite(BatchConnection::open(path, purpose)?),
            hint_connections: None,
            batch_permits: Arc::clone(&write_permits),
            write_permits,
            write_health,
            folder,
            _lock: lock,
        })
    }

    /// The kind of database.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// The state of the pools: one for reading, one for writing, and on PostgreSQL one more for the batches of programmes.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        let state = |name, pool: &DatabaseConnection, held: Option<&HeldConnections>| {
            let (most, open, idle) = match self.backend {
                Backend::Sqlite => pool_counts(pool.get_sqlite_connection_pool()),
                Backend::Postgres => pool_counts(pool.get_postgres_connection_pool()),
            };
            // For the pool a held connection is in use.
            let held = u32::try_from(held.map_or(0, HeldConnections::idle_count)).unwrap_or(u32::MAX);
            Pool { name, most, open, idle: idle.saturating_add(held) }
        };
        let mut pools =
            vec![state("read", &self.reads, self.hint_connections.as_ref()), state("write", &self.writes, None)];
        if let GuardedWriter::Postgres(held) = &self.guarded_writes {
            // The metrics keep this older word for batches.
            pools.push(state("groups", &self.batch_writes, Some(held)));
        }
        pools
    }

    /// Checks that the database answers, and that this program knows its schema (PostgreSQL) or that its disk has space
    /// (SQLite). After a failed write it also checks that the database can be written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Full`]; [`StoreError::Outdated`].
    pub async fn ping(&self) -> Result<()> {
        match self.backend {
            Backend::Postgres => {
                self.check_still_known(&self.reads).await?;
                // The role of this program may lack the right to end sessions. Then only the keep-alive of the system ends them.
                if let Err(error) = self.end_abandoned_sessions().await {
                    tracing::warn!(%error, "sessions that went silent cannot be ended");
                }
            }
            Backend::Sqlite => {
                let statement = Statement::from_string(self.db_backend(), "SELECT 1");
                self.reads.query_one_raw(statement).await?;
                self.folder.as_deref().map_or(Ok(()), db::free_space::check)?;
            }
        }
        if self.write_health.is_in_doubt() { self.probe_writes().await } else { Ok(()) }
    }

    /// Ends each session of a writer, of this or another server, that is in a transaction and has stopped in the middle of a
    /// statement. The connection of such a session is dead, but its locks remain. Otherwise only the system's keep-alive would
    /// end it, after hours.
    async fn end_abandoned_sessions(&self) -> Result<()> {
        let sql = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND usename = session_user AND application_name = 'tsio writer' \
                   AND xact_start IS NOT NULL AND wait_event = 'ClientRead' \
                   AND state_change < clock_timestamp() - make_interval(secs => $1)";
        let values = [ABANDONED_AFTER.as_secs_f64().into()];
        let ended = self.reads.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        let ended = i64::of(&ended.ok_or_else(db::answer_check::out_of_step)?)?;
        if ended > 0 {
            tracing::warn!(ended, "sessions of writers that went silent were ended");
        }
        Ok(())
    }

    /// Whether the last write ended in an unexpected way, and none has succeeded since.
    #[must_use]
    pub fn is_write_in_doubt(&self) -> bool {
        self.write_health.is_in_doubt()
    }

    /// Closes all connections.
    pub async fn close(self) -> Result<()> {
        match &self.guarded_writes {
            GuardedWriter::Sqlite(connection) => connection.close(),
            GuardedWriter::Postgres(held) => held.close(),
        }
        self.hint_connections.iter().for_each(HeldConnections::close);
        self.reads.close().await?;
        self.writes.close().await?;
        self.batch_writes.close().await?;
        Ok(())
    }

    const fn db_backend(&self) -> DbBackend {
        match self.backend {
            Backend::Sqlite => DbBackend::Sqlite,
            Backend::Postgres => DbBackend::Postgres,
        }
    }
}

/// The connection of a read: the pool, or a transaction.
#[derive(Debug)]
pub struct Conn<'a> {
    db: DatabaseExecutor<'a>,
    backend: Backend,
}

/// Anything that can be read from: the store, a snapshot, a write transaction.
pub trait Readable: Sync {
    /// The connection to read from.
    fn at(&self) -> Conn<'_>;

    /// Whether a read can lock its rows, which only a write transaction can do.
    fn can_lock(&self) -> bool {
        false
    }
}

impl Readable for Store {
    fn at(&self) -> Conn<'_> {
        Conn { db: (&self.reads).into(), backend: self.backend }
    }
}

/// Counts of a pool: the most connections it may have, its open connections, and its open connections that are not in use.
fn pool_counts<D: sea_orm::sqlx::Database>(pool: &sea_orm::sqlx::Pool<D>) -> (u32, u32, u32) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    (pool.options().get_max_connections(), pool.size(), idle)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// Waits for the answers of abandoned statements before a connection goes back to its pool. The pool itself would wait without a
/// timeout. Returns true: the pool may reuse the connection.
///
/// # Errors
/// If no answer comes in time, or the connection fails; the pool then closes the connection.
async fn drain_due_answers(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let timed_out = |_| sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(ANSWER_TIMEOUT, connection.flush()).await.map_err(timed_out)??;
    Ok(true)
}

/// Locks the file `PATH.lock` next to a SQLite file, so that a second server of the SQLite file is refused. A link to the SQLite
/// file leads to the same lock.
///
/// # Errors
/// [`StoreError::Unusable`] if another process holds the lock, or the lock file cannot be opened.
fn acquire_file_lock(path: &Path) -> Result<File> {
    let unusable = |reason: &dyn std::fmt::Display| StoreError::Unusable(format!("{}: {reason}", path.display()));
    let real = match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        // The file does not exist yet, but its directory does.
        (Err(_), Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            parent.canonicalize().map_err(|error| unusable(&error))?.join(name)
        }
        (Err(error), _, _) => return Err(unusable(&error)),
    };
    let mut name = real.into_os_string();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(|e| unusable(&e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(unusable(&"another tsio process serves this file")),
        Err(std::fs::TryLockError::Error(error)) => Err(unusable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_lock_under_all_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.db"), dir.path().join("b.db"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let lock = acquire_file_lock(&file).unwrap();
        assert!(acquire_file_lock(&link).is_err());
        drop(lock);
        assert!(acquire_file_lock(&link).is_ok());
    }
}
