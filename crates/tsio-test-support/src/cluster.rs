//! A throw-away PostgreSQL cluster of one process: with the settings it is installed with, default durability included.
//!
//! It lives in a temporary folder, listens on loopback alone, is made for each user and ends with the process. Its log comes
//! through a pipe, so that what it is doing can be waited for and counted, never guessed at.

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

/// Lines of the log that are kept to explain a failure.
const KEPT: usize = 40;

/// The signal of PostgreSQL's immediate shutdown, which ends the children of the server too.
const AT_ONCE: &str = "QUIT";

/// A running cluster. Dropping it ends it and removes it.
pub struct Cluster {
    programs: PathBuf,
    user: Option<User>,
    data: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
    log: Log,
    // Ends before its folder goes.
    server: Mutex<Option<ChildProcess>>,
    _folder: TempDir,
}

/// How a cluster is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A folder for its tables; its write-ahead log is then elsewhere. Both are in a temporary folder where none is given.
    pub tables: Option<&'a Path>,
    /// What the server has in its environment besides that of this process.
    pub environment: &'a [(&'a str, &'a str)],
    /// Whether it is made without waiting until its files are on the disk. That concerns nothing that is written later.
    pub made_quickly: bool,
}

/// What the server logs: the last lines, or every line of a stretch that is being recorded.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    recorded: Option<Vec<String>>,
}

impl Log {
    fn add(&self, line: String) {
        let mut lines = self.0.lock().expect("nobody panics holding it");
        if let Some(recorded) = &mut lines.recorded {
            recorded.push(line.clone());
        }
        lines.last.push_back(line);
        if lines.last.len() > KEPT {
            lines.last.pop_front();
        }
    }

    /// Records from now on.
    pub fn record(&self) {
        self.0.lock().expect("nobody panics holding it").recorded = Some(Vec::new());
    }

    /// What was recorded.
    pub fn recorded(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics holding it").recorded.take().unwrap_or_default()
    }

    fn text(&self) -> String {
        Vec::from(self.0.lock().expect("nobody panics holding it").last.clone()).join("\n")
    }
}

impl Cluster {
    /// Makes one and waits until it accepts connections.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// The same with these options.
    #[must_use]
    pub fn start_with(options: Options<'_>) -> Self {
        let (programs, user) = (postgres::programs(), unprivileged_user());
        let mut builder = tempfile::Builder::new();
        // The other user has to pass through it to its data.
        let open = fs::Permissions::from_mode(0o711);
        let folder = builder.prefix("tsio-pg-").permissions(open).tempdir().expect("a temporary folder");
        let theirs = |folder: &Path| {
            if let Some(user) = user {
                chown(folder, Some(user.uid), Some(user.gid)).expect("root may");
            }
        };
        let data = options.tables.unwrap_or(folder.path()).join("data");
        let mut initdb = program(&programs.join("initdb"), user);
        initdb.args(["--auth=trust", "--username=tsio", "--encoding=UTF8", "--locale=C", "--no-instructions"]);
        if let Some(tables) = options.tables {
            let write_ahead_log = folder.path().join("log");
            fs::create_dir(&write_ahead_log).expect("the folder is ours");
            theirs(&write_ahead_log);
            theirs(tables);
            initdb.arg("--waldir").arg(write_ahead_log);
        }
        fs::create_dir(&data).expect("the folder is ours");
        theirs(&data);
        if options.made_quickly {
            initdb.arg("--no-sync");
        }
        let made = initdb.arg("--pgdata").arg(&data).output().expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let environment = options.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (environment, server) = (environment.collect(), Mutex::new(None));
        let cluster =
            Self { programs, user, data, environment, port: free_port(), log: Log::default(), server, _folder: folder };
        cluster.begin();
        cluster
    }

    /// Ends it at once, without a checkpoint, and starts it again: it recovers what was made durable.
    pub fn crash(&self) {
        let ended = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = ended {
            server.end(AT_ONCE);
        }
        self.begin();
    }

    /// Starts its server and waits until it accepts connections.
    fn begin(&self) {
        let mut server = program(&self.programs.join("postgres"), self.user);
        server.arg("-D").arg(&self.data).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories="]);
        server.envs(self.environment.iter().map(|(name, value)| (name, value)));
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = ChildProcess::start(&mut server, AT_ONCE);
        let stderr = server.child().stderr.take().expect("stderr is piped");
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        await_ready(&self.log, stderr);
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What its server logs.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The URL of one of its databases; `postgres` is there from the start.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tsio@127.0.0.1:{}/{database}", self.port)
    }

    /// One of its programs, as the user of this process.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Runs statements, each for itself, and returns the rows of the last, one a line, with `|` between the columns.
    pub fn psql(&self, database: &str, statements: &[&str]) -> String {
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let done = psql.output().expect("psql runs");
        assert!(done.status.success(), "{statements:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Makes an empty database from `template1`, or a copy of one that nobody is connected to, in place of any of this name.
    pub fn database(&self, name: &str, template: &str) {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        self.psql("postgres", &[&drop, &format!("CREATE DATABASE {name} TEMPLATE {template}")]);
    }
}

/// Follows the log in a thread of its own, and waits until it says that connections are accepted.
fn await_ready(log: &Log, stderr: impl Read + Send + 'static) {
    let (ready, is_ready) = mpsc::channel();
    let followed = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains("database system is ready to accept connections") {
                // Nobody may be waiting any more.
                let _ = ready.send(());
            }
            followed.add(line);
        }
    });
    assert!(is_ready.recv().is_ok(), "PostgreSQL does not start:\n{}", log.text());
}
