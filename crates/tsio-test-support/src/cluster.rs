//! Makes a temporary PostgreSQL cluster with the default settings, also those of durability.
//!
//! The cluster is in a temporary folder, listens on loopback only, and ends with this process. The log of its server is read
//! through a pipe, so that a test can wait for log lines and count them.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::postgres::{self, User, free_port, program, unprivileged_user};

/// The number of log lines that are kept to explain a failure.
const KEPT_LINES: usize = 40;

/// The signal of PostgreSQL's immediate shutdown, which ends the children of the server too.
const IMMEDIATE_SHUTDOWN: &str = "QUIT";

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
pub struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    /// `None` unless lines are being recorded.
    recorded: Option<Vec<String>>,
}

impl Log {
    fn add(&self, line: String) {
        let mut lines = self.0.lock().expect("no thread panics while it holds the log");
        if let Some(recorded) = &mut lines.recorded {
            recorded.push(line.clone());
        }
        lines.last.push_back(line);
        if lines.last.len() > KEPT_LINES {
            lines.last.pop_front();
        }
    }

    /// Starts to record all lines, from now on.
    pub fn record(&self) {
        self.0.lock().expect("no thread panics while it holds the log").recorded = Some(Vec::new());
    }

    /// Stops recording, and returns the recorded lines; empty if nothing was recorded.
    pub fn take_recorded(&self) -> Vec<String> {
        self.0.lock().expect("no thread panics while it holds the log").recorded.take().unwrap_or_default()
    }

    fn text(&self) -> String {
        Vec::from(self.0.lock().expect("no thread panics while it holds the log").last.clone()).join("\n")
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
        let (programs, user) = (postgres::programs(), unprivileged_user());
        let mut builder = tempfile::Builder::new();
        // The user of the server must be able to enter the folder, to reach the data.
        let enterable = fs::Permissions::from_mode(0o711);
        let folder = builder.prefix("tsio-pg-").permissions(enterable).tempdir().expect("a temporary folder");
        let give_to_user = |folder: &Path| {
            if let Some(user) = user {
                chown(folder, Some(user.uid), Some(user.gid)).expect("root can change the owner of a folder");
            }
        };
        let data = options.tables.unwrap_or(folder.path()).join("data");
        let mut initdb = program(&programs.join("initdb"), user);
        initdb.args(["--auth=trust", "--username=tsio", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
        if let Some(tables) = options.tables {
            let write_ahead_log = folder.path().join("log");
            fs::create_dir(&write_ahead_log).expect("the temporary folder is writable");
            give_to_user(&write_ahead_log);
            give_to_user(tables);
            initdb.arg("--waldir").arg(write_ahead_log);
        }
        fs::create_dir(&data).expect("the temporary folder is writable");
        give_to_user(&data);
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

/// Reads the log in a new thread, and waits until the log says that the server accepts connections. Panics if the server ends
/// before.
fn await_ready(log: &Log, stderr: impl Read + Send + 'static) {
    let (ready, is_ready) = mpsc::channel();
    let thread_log = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("database system is ready to accept connections") {
                // The receiver is gone if the server reports this a second time.
                let _ = ready.send(());
            }
            thread_log.add(line);
        }
    });
    assert!(is_ready.recv().is_ok(), "PostgreSQL does not start:\n{}", log.text());
}
