//! The real binary, serving a database, and its command line against it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tsio_test_support::server::LISTENING;

use super::process::{Ended, Process};
use super::{Db, TSIO};

const READY: Duration = Duration::from_secs(30);
/// Longer than the server's own bound on its drain.
const STOPPED: Duration = Duration::from_secs(60);
const COMMAND: Duration = Duration::from_secs(60);

/// A running `tsio serve`. Dropping it kills it; what it said on standard error is shown when the test fails.
pub(crate) struct Server {
    program: PathBuf,
    db: Db,
    extra: Vec<String>,
    environment: Vec<(String, String)>,
    process: Process,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(db: &Db) -> Self {
        Self::start_with(db, &[])
    }

    /// With more arguments to `serve`.
    pub(crate) fn start_with(db: &Db, extra: &[&str]) -> Self {
        Self::started_by(Path::new(TSIO), db, extra)
    }

    pub(crate) fn started_by(program: &Path, db: &Db, extra: &[&str]) -> Self {
        Self::begin(program, db, extra, &[])
    }

    /// With more in its environment.
    pub(crate) fn start_in(db: &Db, environment: &[(&str, &str)]) -> Self {
        Self::begin(Path::new(TSIO), db, &[], environment)
    }

    /// Reaching its database by this URL, which leads to it in the end.
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

    /// What a client connects to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has said on standard error since it was last started; all of it once it has ended.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// What it has said on standard error, once this holds of it.
    pub(crate) fn says(&self, holds: impl Fn(&str) -> bool) -> String {
        self.process.says(holds, READY)
    }

    /// Asks it to end and holds it to ending well.
    pub(crate) fn stop(&mut self) {
        let ended = self.end();
        assert!(ended.status.success(), "ended with {}:\n{}", ended.status, ended.stderr);
    }

    /// Asks it to end, within the bound, however it does.
    pub(crate) fn end(&mut self) -> Ended {
        self.process.signal("TERM");
        self.process.end(STOPPED)
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Stalls it where it stands, locks held.
    pub(crate) fn pause(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Starts it again on the same database, at a new address; one still running is killed first.
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
    // Callers name themselves, unless the test says how they prove who they are.
    if !extra.iter().any(|it| it == "--config") {
        command.arg("--development");
    }
    let mut process = Process::start_in(&mut command, environment);
    match process.line(LISTENING, READY) {
        Ok(address) => (process, address.parse().unwrap()),
        Err(problem) => panic!("tsio serve: {problem}; stderr:\n{}", process.stderr()),
    }
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    /// Standard output read as JSON; null where it is not one document.
    pub(crate) json: serde_json::Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command as a client of this server, answering in JSON.
pub(crate) fn cli(server: &Server, args: &[&str]) -> Output {
    run_program(&server.program, &[&["--server", &server.url(), "--output", "json"], args].concat())
}

/// Runs the binary by itself, to its end: `migrate`, `verify`, `demo`, or a `serve` that refuses to start.
pub(crate) fn tsio(args: &[&str]) -> Output {
    run_program(Path::new(TSIO), args)
}

fn run_program(program: &Path, args: &[&str]) -> Output {
    let Ended { status, stdout, stderr } = Process::start(Command::new(program).args(args)).end(COMMAND);
    let code = status.code().unwrap_or_else(|| panic!("{args:?}: {status}\n{stderr}"));
    Output { code, json: serde_json::from_str(&stdout).unwrap_or_default(), stdout, stderr }
}
