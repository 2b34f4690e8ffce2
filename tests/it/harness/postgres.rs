//! Starts one throw-away PostgreSQL cluster for a whole test run, and makes one database in it for each test.
//!
//! nextest runs each test in its own process, so processes share the cluster. The first process that needs it starts it
//! under a lock. `keeper.sh` stops it when no process has used it for some seconds. If `keeper.lock` is free, no
//! cluster runs, and a new one replaces the files that a killed run left. A PostgreSQL server ends by itself when its
//! files are deleted. This module signals only processes that it started, and does not touch other clusters of the
//! machine.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tsio_test_support::postgres::{User, free_port, programs, unprivileged_user};
use uuid::Uuid;

use super::locked::{directory, lock_file, template_key};
use super::process::output_of;

const KEEPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/keeper.sh");
/// How long a run of `psql` may take.
const MAX_QUERY: Duration = Duration::from_secs(30);
/// How long `tsio migrate` may take.
const MAX_MIGRATION: Duration = Duration::from_secs(60);

/// The running cluster, which this process uses until the process ends.
pub(crate) struct Cluster {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    /// A shared lock on `users.lock`: the keeper does not stop the cluster while any process has it.
    _in_use: File,
}

/// The database of one test; dropping it removes it.
pub(crate) struct PostgresDatabase {
    name: String,
}

impl PostgresDatabase {
    pub(crate) fn url(&self) -> String {
        Cluster::shared().url(&self.name)
    }

    pub(crate) fn psql(&self, sql: &str) -> String {
        Cluster::shared().psql(&self.name, sql)
    }

    pub(crate) fn psql_file(&self, file: &str, variables: &[(&str, &str)]) {
        let mut psql = Cluster::shared().psql_on(&self.name);
        for (name, value) in variables {
            psql.args(["-v", &format!("{name}={value}")]);
        }
        output_of(psql.args(["-f", file]), MAX_QUERY);
    }

    /// Copies the database, which must have no connections. Returns a function that restores the copy.
    pub(crate) fn backup(&self) -> impl FnOnce() + use<> {
        let (name, cluster) = (self.name.clone(), Cluster::shared());
        cluster.psql("postgres", &format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
        move || {
            cluster.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
            cluster.psql("postgres", &format!("ALTER DATABASE {name}_copy RENAME TO {name}"));
        }
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // An error is ignored, because the database is removed with the cluster anyway.
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = Cluster::shared().psql_command("postgres", &sql).output();
    }
}

impl Cluster {
    /// The cluster of this run, started if there is none.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start_or_join)
    }

    fn start_or_join() -> Self {
        let user = unprivileged_user();
        let directory = reachable_directory(user);
        let start = lock_file(&directory.join("start.lock"));
        start.lock().unwrap();
        let in_use = lock_file(&directory.join("users.lock"));
        in_use.lock_shared().unwrap();
        let bin = programs();
        let is_running = lock_file(&directory.join("keeper.lock")).try_lock().is_err();
        let port = if is_running { read_port(&directory) } else { start_cluster(&directory, &bin, user) };
        Self { bin, directory, port, _in_use: in_use }
    }

    /// A new database with the schema that `program migrate` makes. It takes about 26 ms, because it copies a template.
    pub(crate) fn create(&self, program: &Path) -> PostgresDatabase {
        let template = self.template(program);
        let database = PostgresDatabase { name: format!("t_{}", Uuid::new_v4().simple()) };
        self.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE {template}", database.name));
        database
    }

    /// A new database that sorts texts by the rules of this ICU locale, migrated by this program.
    pub(crate) fn create_with_locale(&self, program: &Path, locale: &str) -> PostgresDatabase {
        let database = PostgresDatabase { name: format!("t_{}", Uuid::new_v4().simple()) };
        let name = &database.name;
        let icu = format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{locale}'");
        self.psql("postgres", &icu);
        output_of(Command::new(program).args(["migrate", "--database", &database.url()]), MAX_MIGRATION);
        database
    }

    /// A new database made by this SQL dump.
    pub(crate) fn restore(&self, dump: &[u8]) -> PostgresDatabase {
        let database = PostgresDatabase { name: format!("t_{}", Uuid::new_v4().simple()) };
        self.psql("postgres", &format!("CREATE DATABASE {}", database.name));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(dump).unwrap();
        let mut psql = self.psql_on(&database.name);
        output_of(psql.arg("--single-transaction").arg("--file").arg(file.path()), MAX_QUERY);
        database
    }

    fn template(&self, program: &Path) -> String {
        let name = format!("tsio_template_{}", template_key(program));
        let lock = lock_file(&self.directory.join("template.lock"));
        lock.lock().unwrap();
        if self.psql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).is_empty() {
            self.psql("postgres", "DROP DATABASE IF EXISTS building");
            self.psql("postgres", "CREATE DATABASE building");
            output_of(Command::new(program).args(["migrate", "--database", &self.url("building")]), MAX_MIGRATION);
            self.psql("postgres", &format!("ALTER DATABASE building RENAME TO {name}"));
        }
        name
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tsio@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL and returns its rows, one per line, with `|` between the columns.
    fn psql(&self, database: &str, sql: &str) -> String {
        output_of(&mut self.psql_command(database, sql), MAX_QUERY).trim_end().to_owned()
    }

    fn psql_command(&self, database: &str, sql: &str) -> Command {
        let mut psql = self.psql_on(database);
        psql.args(["-c", sql]);
        psql
    }

    fn psql_on(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        psql
    }
}

/// Removes an old cluster from the directory, starts a new one, and returns its port.
fn start_cluster(directory: &Path, bin: &Path, user: Option<User>) -> u16 {
    for _ in 0..3 {
        for leftover in ["data", "port"].map(|name| directory.join(name)) {
            if leftover.is_dir() {
                fs::remove_dir_all(leftover).unwrap();
            } else if leftover.exists() {
                fs::remove_file(leftover).unwrap();
            }
        }
        let data = directory.join("data");
        fs::create_dir(&data).unwrap();
        if let Some(user) = user {
            chown(&data, Some(user.uid), Some(user.gid)).unwrap();
        }
        let port = free_port();
        // Another process may take the port before the cluster does, so there are three attempts.
        if start_keeper(directory, bin, port, user) {
            return port;
        }
    }
    panic!("PostgreSQL does not start:\n{}", fs::read_to_string(directory.join("keeper.log")).unwrap());
}

/// Starts the keeper in its own process group, so that it outlives this process. Returns whether the cluster is ready.
fn start_keeper(directory: &Path, bin: &Path, port: u16, user: Option<User>) -> bool {
    let mut keeper = Command::new("sh");
    keeper.arg(KEEPER).args([directory, bin]).arg(port.to_string());
    if let Some(user) = user {
        keeper.args(["runuser", "-u", user.name, "--"]);
    }
    keeper.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
    keeper.stderr(File::create(directory.join("keeper.log")).unwrap());
    let stdout = keeper.spawn().unwrap().stdout.take().unwrap();
    BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line == "READY")
}

fn read_port(directory: &Path) -> u16 {
    let port = fs::read_to_string(directory.join("port")).unwrap_or_default();
    port.trim().parse().expect("a killed run is still starting its cluster; try again in some seconds")
}

/// The directory of the cluster: in `target/`, or in the temporary folder if this user cannot reach `target/`.
fn reachable_directory(user: Option<User>) -> PathBuf {
    let in_target = directory("it-pg");
    let Some(user) = user else { return in_target };
    let reaches = Command::new("runuser").args(["-u", user.name, "--", "test", "-x"]).arg(&in_target).status().unwrap();
    if reaches.success() {
        return in_target;
    }
    let in_temp = std::env::temp_dir().join(format!("tsio-it-{}", template_key(&in_target)));
    fs::create_dir_all(&in_temp).unwrap();
    let metadata = fs::symlink_metadata(&in_temp).unwrap();
    assert!(metadata.is_dir() && metadata.uid() == 0, "{} is not ours", in_temp.display());
    in_temp
}
