//! Runs `tsio serve`, from any build. The server ends with this process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child_process::ChildProcess;

/// The start of the line that a server prints when it listens. The address follows.
pub const LISTENING: &str = "LISTENING ";

/// A running server. Dropping it kills the process.
pub struct Server {
    process: ChildProcess,
    /// The URL that clients connect to.
    pub url: String,
}

impl Server {
    /// Starts a server on the database at this URL, migrates the schema, and waits until the server listens. `access` are the
    /// arguments of authentication, such as `--development`. The server's standard error is discarded.
    #[must_use]
    pub fn start(program: &Path, database: &str, access: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(["serve", "--migrate", "--listen", "127.0.0.1:0", "--database", database]).args(access);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = ChildProcess::start(&mut command, "KILL");
        let stdout = process.child().stdout.take().expect("stdout is piped");
        let line =
            BufReader::new(stdout).lines().next().expect("the server prints its address").expect("the line is UTF-8");
        let address = line.strip_prefix(LISTENING).unwrap_or_else(|| panic!("{line:?} has no address")).to_owned();
        Self { process, url: format!("http://{address}") }
    }

    /// The largest resident memory of the server so far, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> u64 {
        peak_kib(self.process.id()).expect("the server runs")
    }

    /// Stops the server with SIGTERM, so that it drains and closes its database.
    pub fn stop(mut self) {
        let status = self.process.end("TERM");
        assert!(status.success(), "the server ended with {status}");
    }
}

/// Returns the largest resident memory of a process so far, in KiB; `None` if the process does not run.
#[must_use]
pub fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
