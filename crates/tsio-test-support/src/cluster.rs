//! Makes a temporary PostgreSQL cluster with the default settings, also those of durability.
//!
//! The cluster is in a temporary folder, listens on loopback only, and ends with this process. The log of its server is read
//! through a pipe, so that a test can wait for log lines and count them.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};

use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::postgres::{self, User, free_port, program, unprivileged_user};

/// The number of log lines that are kept to explain a failure.
const KEPT_LINES: usize = 40;

/// The signal of PostgreSQL's immediate shutdown, which ends the children of the server too.
const IMMEDIATE_SHUTDOWN: &str = "QUIT";

/// The name by which a cluster knows its standby.
const STANDBY: &str = "standby";

/// A running cluster. Dropping it ends the server and removes the files.
pub struct Cluster {
    /// The folder of PostgreSQL's programs.
    programs: PathBuf,
    /// The user that the server runs as; `None` for the user of this process.
    user: Option<User>,
    /// PostgreSQL's data directory.
    data: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
    log: Log,
    // Fields are dropped in this order: the server ends before its folder is removed.
    server: Mutex<Option<ChildProcess>>,
    _folder: TempDir,
}

/// The options of a new cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A folder for the tables. The write-ahead log stays in the temporary folder. `None` to keep both in the temporary folder.
    pub tables: Option<&'a Path>,
    /// Environment variables of the server, in addition to those of this process.
    pub environment: &'a [(&'a str, &'a str)],
    /// True to make the cluster without waiting until its files are on the disk. Later writes are still made durable.
    pub without_sync: bool,
}

/// The log of the server: its last lines, and all lines since [`Log::record`].
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    /// `None` unless lines are being recorded.
    recorded: Option<Vec<String>>,
}

impl Log {
    fn add(&self, line: String) {
        let mut lines = self.lines();
        if let Some(recorded) = &mut lines.recorded {
            recorded.push(line.clone());
        }
        lines.last.push_back(line);
        if lines.last.len() > KEPT_LINES {
            lines.last.pop_front();
        }
        self.0.1.notify_all();
    }

    /// Starts to record all lines, from now on.
    pub fn record(&self) {
        self.lines().recorded = Some(Vec::new());
    }

    /// Waits until a recorded line has this text. Stops recording, and returns all recorded lines.
    #[must_use]
    pub fn take_recorded_until(&self, text: &str) -> Vec<String> {
        let is_missing = |lines: &mut Lines| !lines.recorded.iter().flatten().any(|line| line.contains(text));
        let lines = self.0.1.wait_while(self.lines(), is_missing);
        lines.expect("no thread panics while it holds the log").recorded.take().unwrap_or_default()
    }

    fn text(&self) -> String {
        Vec::from(self.lines().last.clone()).join("\n")
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().expect("no thread panics while it holds the log")
    }
}

impl Cluster {
    /// Makes a cluster with the default options, and waits until it accepts connections.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Makes a cluster with these options, and waits until it accepts connections.
    #[must_use]
    pub fn start_with(options: Options<'_>) -> Self {
        let (programs, user, folder) = (postgres::programs(), unprivileged_user(), enterable_folder());
        let data = options.tables.unwrap_or(folder.path()).join("data");
        let mut initdb = program(&programs.join("initdb"), user);
        initdb.args(["--auth=trust", "--username=tsio", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
        if let Some(tables) = options.tables {
            let write_ahead_log = folder.path().join("log");
            fs::create_dir(&write_ahead_log).expect("the temporary folder is writable");
            give_to(user, &write_ahead_log);
            give_to(user, tables);
            initdb.arg("--waldir").arg(write_ahead_log);
        }
        fs::create_dir(&data).expect("the temporary folder is writable");
        give_to(user, &data);
        if options.without_sync {
            initdb.arg("--no-sync");
        }
        let result = initdb.arg("--pgdata").arg(&data).output().expect("initdb runs");
        assert!(result.status.success(), "initdb failed: {}", String::from_utf8_lossy(&result.stderr));
        let environment = options.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (environment, server) = (environment.collect(), Mutex::new(None));
        let cluster =
            Self { programs, user, data, environment, port: free_port(), log: Log::default(), server, _folder: folder };
        cluster.start_server();
        cluster
    }

    /// Ends the server without a checkpoint, and starts it again. The server recovers what was made durable.
    pub fn crash(&self) {
        let ended = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = ended {
            server.end(IMMEDIATE_SHUTDOWN);
        }
        self.start_server();
    }

    /// Starts the server, and waits until it accepts connections.
    fn start_server(&self) {
        let mut server = program(&self.programs.join("postgres"), self.user);
        server.arg("-D").arg(&self.data).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories="]);
        server.envs(self.environment.iter().map(|(name, value)| (name, value)));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = ChildProcess::start(&mut server, IMMEDIATE_SHUTDOWN);
        let stderr = server.child().stderr.take().expect("stderr is piped");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        await_ready(&self.log, stderr);
    }

    /// The port on 127.0.0.1 that the server listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The log of the server.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The URL of a database of the cluster. A new cluster has the database `postgres`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tsio@127.0.0.1:{}/{database}", self.port)
    }

    /// A command that runs one of PostgreSQL's programs, as the user of this process.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Starts a standby of this cluster, which follows it through `port` of 127.0.0.1, and makes every commit wait for it. Call this
    /// once.
    #[must_use]
    pub fn start_standby(&self, port: u16) -> Self {
        let (programs, user, folder) = (self.programs.clone(), self.user, enterable_folder());
        let data = folder.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data).expect("the temporary folder is writable");
        give_to(user, &data);
        let mut copy = program(&programs.join("pg_basebackup"), user);
        copy.args(["--checkpoint=fast", "--no-sync", "--username=tsio", "--host=127.0.0.1"]);
        copy.args(["--port", &self.port.to_string(), "--pgdata"]).arg(&data);
        let result = copy.output().expect("pg_basebackup runs");
        assert!(result.status.success(), "pg_basebackup failed: {}", String::from_utf8_lossy(&result.stderr));
        fs::write(data.join("standby.signal"), "").expect("the folder of the standby is writable");
        let primary = format!("primary_conninfo = 'host=127.0.0.1 port={port} user=tsio application_name={STANDBY}'\n");
        let settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.auto.conf"));
        let written = settings.and_then(|mut settings| settings.write_all(primary.as_bytes()));
        written.expect("the folder of the standby is writable");
        let (environment, server) = (Vec::new(), Mutex::new(None));
        let standby =
            Self { programs, user, data, environment, port: free_port(), log: Log::default(), server, _folder: folder };
        standby.start_server();
        let wait_for_it = format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'");
        self.psql("postgres", &[&wait_for_it, "SELECT pg_reload_conf()"]);
        standby
    }

    /// Runs each statement on its own. Returns their rows, one row per line, with `|` between the columns.
    pub fn psql(&self, database: &str, statements: &[&str]) -> String {
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let result = psql.output().expect("psql runs");
        assert!(result.status.success(), "{statements:?}: {}", String::from_utf8_lossy(&result.stderr));
        String::from_utf8_lossy(&result.stdout).trim_end().to_owned()
    }

    /// Makes a database as a copy of `template`, and replaces a database of the same name. `template1` makes an empty database.
    /// No client may be connected to `template`.
    pub fn create_database(&self, name: &str, template: &str) {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.psql("postgres", &[&drop, &format!("CREATE DATABASE {name} TEMPLATE {template}")]);
    }
}

/// Makes a temporary folder. The user of the server must be able to enter it, to reach the data.
fn enterable_folder() -> TempDir {
    let (mut builder, enterable) = (tempfile::Builder::new(), fs::Permissions::from_mode(0o711));
    builder.prefix("tsio-pg-").permissions(enterable).tempdir().expect("a temporary folder")
}

/// Gives a folder to this user; `None` for the user of this process.
fn give_to(user: Option<User>, folder: &Path) {
    if let Some(user) = user {
        chown(folder, Some(user.uid), Some(user.gid)).expect("root can change the owner of a folder");
    }
}

/// Reads the log in a new thread, and waits until the log says that the server accepts connections. Panics if the server ends
/// before.
fn await_ready(log: &Log, stderr: impl Read + Send + 'static) {
    let (ready, is_ready) = mpsc::channel();
    let thread_log = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // A standby accepts read-only connections.
            if line.contains("database system is ready to accept") {
                // The receiver is gone if the server reports this a second time.
                let _ = ready.send(());
            }
            thread_log.add(line);
        }
    });
    assert!(is_ready.recv().is_ok(), "PostgreSQL does not start:\n{}", log.text());
}
