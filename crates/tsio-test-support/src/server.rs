//! A running `tsio serve`, of any build, that ends with this process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child_process::ChildProcess;

/// What the line begins with that a server prints once it listens; its address follows.
pub const LISTENING: &str = "LISTENING ";

/// A server. Dropping it kills it.
pub struct Server {
    process: ChildProcess,
    /// What a client connects to.
    pub url: String,
}

impl Server {
    /// Serves the database at this URL, which gets its schema if it has none, and waits until the server listens. These
    /// arguments say who is let in. What it says on standard error is dropped.
    #[must_use]
    pub fn start(program: &Path, database: &str, access: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(["serve", "--migrate", "--listen", "127.0.0.1:0", "--database", database]).args(access);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = ChildProcess::start(&mut command, "KILL");
        let stdout = process.child().stdout.take().expect("stdout is piped");
        let line = BufReader::new(stdout).lines().next().expect("the server says where it listens").expect("in UTF-8");
        let address = line.strip_prefix(LISTENING).unwrap_or_else(|| panic!("{line:?} has no address")).to_owned();
        Self { process, url: format!("http://{address}") }
    }

    /// The most memory it ever had resident, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> u64 {
        peak_kib(self.process.id()).expect("it runs")
    }

    /// Has it drain and close its database.
    pub fn stop(mut self) {
        let status = self.process.end("TERM");
        assert!(status.success(), "the server ended with {status}");
    }
}

/// The most memory that a running process ever had resident, in KiB; `None` if it does not run.
#[must_use]
pub fn peak_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
