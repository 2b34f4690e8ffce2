//! A shell that runs the commands of one page, each with its output and exit code.
//!
//! Its folder contains only links to the folders of the repository that a page may name. A server that it starts ends
//! with it.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::time::Duration;

use tempfile::TempDir;
use tsio_test_support::postgres;

use crate::harness::TSIO;
use crate::harness::process::Process;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long each command may take.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The beginning of the line after the output of a command. No command prints it.
const END: &str = "--- end of the command: ";

pub(crate) struct Session {
    process: Process,
    input: ChildStdin,
    _folder: TempDir,
}

/// The output of a command on both its streams, and its exit code.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) lines: Vec<String>,
    pub(crate) code: i32,
}

impl Session {
    /// Starts a shell. Clients in it call this server; a server that the shell starts listens on a free port.
    pub(crate) fn begin(server: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["docs", "proto", "samples", "terms"] {
            symlink(Path::new(ROOT).join(name), folder.path().join(name)).unwrap();
        }
        let programs = [Path::new(TSIO).parent().unwrap().to_owned(), postgres::programs()];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(folder.path()).env("PATH", path);
        let mut environment = vec![("TSIO_LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
        environment.extend(server.map(|url| ("TSIO_SERVER".to_owned(), url.to_owned())));
        let (process, input) = Process::start_with_input(&mut command, &environment);
        let mut session = Self { process, input, _folder: folder };
        session.send("exec 2>&1; trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT");
        session
    }

    fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Runs a command to its end. If it ends in `&`, waits only for this number of lines of its output.
    pub(crate) fn run(&mut self, command: &str, lines: usize) -> Printed {
        self.send(&format!("{{ {command}\n}} </dev/null; printf '\\n%s%s\\n' '{END}' \"$?\""));
        let mut printed = Vec::new();
        let code = loop {
            let line = self.next_line(command, &printed);
            if let Some(code) = line.strip_prefix(END) {
                break code.parse().unwrap();
            }
            printed.push(line);
        };
        // The output of `printf` begins with a line feed, which makes an empty line if the output of the command ends
        // with a line feed.
        if printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        if command.ends_with('&') {
            while printed.len() < lines {
                let line = self.next_line(command, &printed);
                printed.push(line);
            }
        }
        if let Some(address) = printed.iter().find_map(|line| line.strip_prefix("LISTENING ")) {
            self.send(&format!("export TSIO_SERVER=http://{address}"));
        }
        Printed { lines: printed, code }
    }

    fn next_line(&mut self, command: &str, printed: &[String]) -> String {
        let line = self.process.next_line(MAX_WAIT);
        line.unwrap_or_else(|why| panic!("{command}: {why}; it printed\n{}", printed.join("\n")))
    }
}

impl Drop for Session {
    /// Lets the shell exit, whose trap ends its background processes. A killed shell would not run the trap.
    fn drop(&mut self) {
        if self.input.write_all(b"exit\n").is_ok() {
            while self.process.next_line(MAX_WAIT).is_ok() {}
        }
    }
}

#[test]
fn a_session_ends_its_background_processes() {
    let mut session = Session::begin(None);
    let started = session.run("tail -f /dev/null & echo $!", 0);
    let process = Path::new("/proc").join(&started.lines[0]);
    assert!(process.exists(), "{started:?}");
    drop(session);
    assert!(!process.exists(), "the background process still runs");
}

#[test]
fn a_session_keeps_its_variables_and_returns_exit_codes() {
    let mut session = Session::begin(None);
    assert_eq!(session.run("A='x y'", 0).code, 0);
    let printed = session.run("echo \"$A\"; echo problem >&2; printf end; false", 0);
    assert_eq!((printed.lines, printed.code), (["x y", "problem", "end"].map(str::to_owned).to_vec(), 1));
    assert!(session.run("ls samples/README.md", 0).lines == ["samples/README.md"]);
}
