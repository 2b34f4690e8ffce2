//! Runs the real binary: as a server of a database, or as a command.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tsio_test_support::server::LISTENING;

use super::process::{Ended, Process};
use super::{Db, TSIO};

/// How long a server may take to start, or to write an expected text to standard error.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How long a server may take to stop: longer than it waits itself for the calls in progress.
const MAX_STOP: Duration = Duration::from_secs(60);
/// How long a command may take.
const MAX_COMMAND: Duration = Duration::from_secs(60);

/// A running `tsio serve`. Dropping it kills the process. If the test fails, its standard error is printed.
pub(crate) struct Server {
    program: PathBuf,
    db: Db,
    /// Further arguments to `serve`.
    extra: Vec<String>,
    environment: Vec<(String, String)>,
    process: Process,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(db: &Db) -> Self {
        Self::start_with(db, &[])
    }

    /// Starts a server with these further arguments to `serve`.
    pub(crate) fn start_with(db: &Db, extra: &[&str]) -> Self {
        Self::started_by(Path::new(TSIO), db, extra)
    }

    /// Starts a server that keeps no state between batches, so that each of them takes the lock of its programme.
    pub(crate) fn start_with_lock(db: &Db, extra: &[&str]) -> Self {
        Self::begin(Path::new(TSIO), db, extra, &[("TSIO_LOSE_STATE", "100")])
    }

    /// Starts a server that loses its state before half of its batches, so that batches with and without the lock alternate.
    pub(crate) fn start_losing_state(db: &Db) -> Self {
        Self::start_in(db, &[("TSIO_LOSE_STATE", "50")])
    }

    /// Starts a server of this program, with these further arguments to `serve`.
    pub(crate) fn started_by(program: &Path, db: &Db, extra: &[&str]) -> Self {
        Self::begin(program, db, extra, &[])
    }

    /// Starts a server with these variables in its environment.
    pub(crate) fn start_in(db: &Db, environment: &[(&str, &str)]) -> Self {
        Self::begin(Path::new(TSIO), db, &[], environment)
    }

    /// Starts a server that connects to its database by this URL, for example through a proxy or as another role.
    pub(crate) fn start_at(db: &Db, url: &str) -> Self {
        Self::begin(Path::new(TSIO), db, &["--database", url], &[])
    }

    fn begin(program: &Path, db: &Db, extra: &[&str], environment: &[(&str, &str)]) -> Self {
        let extra: Vec<String> = extra.iter().map(|&argument| argument.to_owned()).collect();
        let environment: Vec<_> =
            environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (process, address) = serve(program, db, &extra, &environment);
        Self { program: program.to_owned(), db: db.clone(), extra, environment, process, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that a client connects to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the server has written to standard error since its last start; all of it once it has ended.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Waits until the server's standard error meets a condition, and returns it. Panics after 30 seconds.
    pub(crate) fn wait_for_stderr(&self, is_met: impl Fn(&str) -> bool) -> String {
        self.process.wait_for_stderr(is_met, MAX_WAIT)
    }

    /// Stops the server with SIGTERM. Panics unless it ends with success.
    pub(crate) fn stop(&mut self) {
        let ended = self.end();
        assert!(ended.status.success(), "ended with {}:\n{}", ended.status, ended.stderr);
    }

    /// Stops the server with SIGTERM, and returns how it ended. Panics if it has not ended after 60 seconds.
    pub(crate) fn end(&mut self) -> Ended {
        self.process.signal("TERM");
        self.process.end(MAX_STOP)
    }

    /// Kills the server with SIGKILL, so that it writes nothing more.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Pauses the server, which keeps its locks.
    pub(crate) fn pause(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Starts the server again on the same database, at a new address. Kills it first if it still runs.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        (self.process, self.address) = serve(&self.program, &self.db, &self.extra, &self.environment);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            self.process.kill();
            eprintln!("--- stderr of tsio serve ({}):\n{}", self.db.url(), self.stderr());
        }
    }
}

fn serve(program: &Path, db: &Db, extra: &[String], environment: &[(String, String)]) -> (Process, SocketAddr) {
    let mut command = Command::new(program);
    command.arg("serve");
    if !extra.iter().any(|it| it == "--database") {
        command.args(["--database", &db.url()]);
    }
    command.args(["--listen", "127.0.0.1:0"]).args(extra);
    // Callers name themselves, unless a configuration file of the test requires authentication.
    if !extra.iter().any(|it| it == "--config") {
        command.arg("--development");
    }
    let mut process = Process::start_in(&mut command, environment);
    match process.line(LISTENING, MAX_WAIT) {
        Ok(address) => (process, address.parse().unwrap()),
        Err(problem) => panic!("tsio serve: {problem}; stderr:\n{}", process.stderr()),
    }
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    /// Standard output as JSON; null if it is not a JSON document.
    pub(crate) json: serde_json::Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command as a client of this server, with JSON output.
pub(crate) fn cli(server: &Server, args: &[&str]) -> Output {
    run_program(&server.program, &[&["--server", &server.url(), "--output", "json"], args].concat())
}

/// Runs the binary with these arguments, to its end: `migrate`, `verify`, `demo`, or a `serve` that does not start.
pub(crate) fn tsio(args: &[&str]) -> Output {
    run_program(Path::new(TSIO), args)
}

fn run_program(program: &Path, args: &[&str]) -> Output {
    let Ended { status, stdout, stderr } = Process::start(Command::new(program).args(args)).end(MAX_COMMAND);
    let code = status.code().unwrap_or_else(|| panic!("{args:?}: {status}\n{stderr}"));
    Output { code, json: serde_json::from_str(&stdout).unwrap_or_default(), stdout, stderr }
}
