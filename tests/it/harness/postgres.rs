//! One throw-away PostgreSQL cluster for a whole test run, and in it one database a test.
//!
//! nextest runs each test in a process of its own, so the cluster is shared between processes: the first that needs
//! it starts it under a lock, `keeper.sh` stops it when none has used it for some seconds. What a killed run
//! left behind is found by a free `keeper.lock` and replaced; an orphaned server whose data is gone ends by itself.
//! No process that was not started here is ever signalled, and no cluster of the machine is touched.

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
const QUERY: Duration = Duration::from_secs(30);
const MIGRATE: Duration = Duration::from_secs(60);

/// The running cluster, in use by this process until it ends.
pub(crate) struct Cluster {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    _in_use: File,
}

/// A database of its own; dropping it removes it.
pub(crate) struct Stamped {
    name: String,
}

impl Stamped {
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
        output_of(psql.args(["-f", file]), QUERY);
    }

    /// Keeps a copy of the database, which nobody may be connected to; what is answered puts it back.
    pub(crate) fn backup(&self) -> impl FnOnce() + use<> {
        let (name, cluster) = (self.name.clone(), Cluster::shared());
        cluster.psql("postgres", &format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
        move || {
            cluster.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
            cluster.psql("postgres", &format!("ALTER DATABASE {name}_copy RENAME TO {name}"));
        }
    }
}

impl Drop for Stamped {
    fn drop(&mut self) {
        // Best effort: the cluster goes with all that is in it.
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = Cluster::shared().psql_command("postgres", &sql).output();
    }
}

impl Cluster {
    /// The cluster of this run, started if there is none.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::join)
    }

    fn join() -> Self {
        let user = unprivileged_user();
        let directory = reachable_directory(user);
        let start = lock_file(&directory.join("start.lock"));
        start.lock().unwrap();
        let in_use = lock_file(&directory.join("users.lock"));
        in_use.lock_shared().unwrap();
        let bin = programs();
        let kept = lock_file(&directory.join("keeper.lock")).try_lock().is_err();
        let port = if kept { port_of(&directory) } else { start_cluster(&directory, &bin, user) };
        Self { bin, directory, port, _in_use: in_use }
    }

    /// A fresh database with the schema that `program migrate` makes (some 26 ms: a copy of a template).
    pub(crate) fn stamp(&self, program: &Path) -> Stamped {
        let template = self.template(program);
        let stamped = Stamped { name: format!("t_{}", Uuid::new_v4().simple()) };
        self.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE {template}", stamped.name));
        stamped
    }

    /// The same in a database that orders texts as a language does, made from nothing.
    pub(crate) fn stamp_in(&self, program: &Path, locale: &str) -> Stamped {
        let stamped = Stamped { name: format!("t_{}", Uuid::new_v4().simple()) };
        let name = &stamped.name;
        let icu = format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{locale}'");
        self.psql("postgres", &icu);
        output_of(Command::new(program).args(["migrate", "--database", &stamped.url()]), MIGRATE);
        stamped
    }

    /// A database with what a dump as SQL makes.
    pub(crate) fn restore(&self, dump: &[u8]) -> Stamped {
        let stamped = Stamped { name: format!("t_{}", Uuid::new_v4().simple()) };
        self.psql("postgres", &format!("CREATE DATABASE {}", stamped.name));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(dump).unwrap();
        let mut psql = self.psql_on(&stamped.name);
        output_of(psql.arg("--single-transaction").arg("--file").arg(file.path()), QUERY);
        stamped
    }

    fn template(&self, program: &Path) -> String {
        let name = format!("tsio_template_{}", template_key(program));
        let lock = lock_file(&self.directory.join("template.lock"));
        lock.lock().unwrap();
        if self.psql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).is_empty() {
            self.psql("postgres", "DROP DATABASE IF EXISTS building");
            self.psql("postgres", "CREATE DATABASE building");
            output_of(Command::new(program).args(["migrate", "--database", &self.url("building")]), MIGRATE);
            self.psql("postgres", &format!("ALTER DATABASE building RENAME TO {name}"));
        }
        name
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tsio@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL and gives its rows, one a line, columns parted by `|`.
    fn psql(&self, database: &str, sql: &str) -> String {
        output_of(&mut self.psql_command(database, sql), QUERY).trim_end().to_owned()
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

/// Starts a new cluster in place of what lies in the directory, and answers its port.
fn start_cluster(directory: &Path, bin: &Path, user: Option<User>) -> u16 {
    for _ in 0..3 {
        for stale in ["data", "port"].map(|name| directory.join(name)) {
            if stale.is_dir() {
                fs::remove_dir_all(stale).unwrap();
            } else if stale.exists() {
                fs::remove_file(stale).unwrap();
            }
        }
        let data = directory.join("data");
        fs::create_dir(&data).unwrap();
        if let Some(user) = user {
            chown(&data, Some(user.uid), Some(user.gid)).unwrap();
        }
        let port = free_port();
        // Another process may take the port first: hence three attempts.
        if keep(directory, bin, port, user) {
            return port;
        }
    }
    panic!("PostgreSQL does not start:\n{}", fs::read_to_string(directory.join("keeper.log")).unwrap());
}

/// Starts the keeper, apart from this process and its group so that it outlives both; false if it gave up.
fn keep(directory: &Path, bin: &Path, port: u16, user: Option<User>) -> bool {
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

fn port_of(directory: &Path) -> u16 {
    let port = fs::read_to_string(directory.join("port")).unwrap_or_default();
    port.trim().parse().expect("a killed run is still starting its cluster; try again in some seconds")
}

/// The directory in `target/`, or one in the temporary folder where the other user cannot reach that.
fn reachable_directory(user: Option<User>) -> PathBuf {
    let near = directory("it-pg");
    let Some(user) = user else { return near };
    let reaches = Command::new("runuser").args(["-u", user.name, "--", "test", "-x"]).arg(&near).status().unwrap();
    if reaches.success() {
        return near;
    }
    let far = std::env::temp_dir().join(format!("tsio-it-{}", template_key(&near)));
    fs::create_dir_all(&far).unwrap();
    let about = fs::symlink_metadata(&far).unwrap();
    assert!(about.is_dir() && about.uid() == 0, "{} is not ours", far.display());
    far
}
