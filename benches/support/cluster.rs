//! A throw-away PostgreSQL cluster with the settings it is installed with: default durability, default everything.
//!
//! It lives in a temporary folder, listens on loopback alone, is made again for every run and ends with it. Its log
//! comes through a pipe, so that what it is doing can be waited for and counted, never guessed at.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;

use super::child_process::Tied;

/// The oldest version the service runs on.
const OLDEST: u32 = 15;
/// Lines of the log that are kept to explain a failure.
const KEPT: usize = 40;

/// A running cluster. Dropping it ends it and removes it.
pub(crate) struct Cluster {
    bin: PathBuf,
    port: u16,
    log: Log,
    // Ends before its folder goes.
    _server: Tied,
    _directory: TempDir,
}

/// What the server logs: the last lines, or every line of a stretch that is being recorded.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

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
    pub(crate) fn record(&self) {
        self.0.lock().expect("nobody panics holding it").recorded = Some(Vec::new());
    }

    /// What was recorded.
    pub(crate) fn recorded(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics holding it").recorded.take().unwrap_or_default()
    }

    fn text(&self) -> String {
        Vec::from(self.0.lock().expect("nobody panics holding it").last.clone()).join("\n")
    }
}

impl Cluster {
    /// Makes it and waits until it accepts connections.
    pub(crate) fn start() -> Self {
        let (bin, user) = (bin(), unprivileged_user());
        let mut builder = tempfile::Builder::new();
        // The other user has to pass through it to its data.
        let open = fs::Permissions::from_mode(0o711);
        let directory = builder.prefix("tsio-bench-pg").permissions(open).tempdir().expect("a temporary folder");
        let data = directory.path().join("data");
        fs::create_dir(&data).expect("the folder is ours");
        if let Some((uid, gid)) = user {
            chown(&data, Some(uid), Some(gid)).expect("root may");
        }
        let mut initdb = command(&bin.join("initdb"), user);
        initdb.args(["-A", "trust", "-U", "tsio", "-E", "UTF8", "--locale", "C", "-D"]).arg(&data);
        let made = initdb.output().expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let mut postgres = command(&bin.join("postgres"), user);
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        postgres.arg("-k").arg(&data).stdout(Stdio::null()).stderr(Stdio::piped());
        // Its own "immediate shutdown", which ends its children too.
        let mut server = Tied::start(&mut postgres, "QUIT");
        let (log, stderr) = (Log::default(), server.child().stderr.take().expect("stderr is piped"));
        await_ready(&log, stderr);
        Self { bin, port, log, _server: server, _directory: directory }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://tsio@127.0.0.1:{}/{database}", self.port)
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.bin.join(name))
    }

    /// Runs statements, each for itself, and gives what the last one prints.
    pub(crate) fn psql(&self, database: &str, statements: &[&str]) -> String {
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        let done = psql.output().expect("psql runs");
        assert!(done.status.success(), "{statements:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// An empty database, or a copy of one that nobody is connected to.
    pub(crate) fn database(&self, name: &str, template: &str) {
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

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    // Ends by the signal it is sent here, never by what is typed at the terminal.
    command.process_group(0);
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("loopback is there").port()
}

/// PostgreSQL refuses to run as root: user and group to run it as, if we are.
fn unprivileged_user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| {
        let answer = Command::new("id").args(args).output().expect("the id command is there");
        String::from_utf8_lossy(&answer.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let user = ["postgres", "nobody"].iter().find_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)));
    Some(user.expect("PostgreSQL cannot run as root, and there is no user postgres or nobody"))
}

/// The folder of the newest PostgreSQL server installed.
fn bin() -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|it| it.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = debian.chain(std::env::split_paths(&path));
    let newest = all.filter_map(|bin| Some((version(&bin)?, bin))).max_by_key(|(version, _)| *version);
    match newest {
        Some((version, bin)) if version >= OLDEST => bin,
        _ => panic!("PostgreSQL {OLDEST} or newer is not installed"),
    }
}

/// The major version of the server in a folder: `postgres (PostgreSQL) 15.18` is 15.
fn version(bin: &Path) -> Option<u32> {
    if !["initdb", "postgres", "psql", "pgbench"].iter().all(|program| bin.join(program).exists()) {
        return None;
    }
    let answer = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    answer.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
