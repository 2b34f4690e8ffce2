//! Processes that end with this one: however it ends, nothing that it started outlives it.
//!
//! Each has a guard, a shell that waits for a line. The line comes when the process has ended in good order; when this
//! process dies first, the pipe closes and the guard ends the process by its id. No other process is ever signalled.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Ends the process `$2` with the signal `$1` unless a line comes first.
const GUARD: &str = "read -r line || kill -s \"$1\" \"$2\"";

/// A running process and its guard; dropping it ends the process.
pub struct ChildProcess {
    child: Child,
    guard: Child,
    signal: &'static str,
    ended: bool,
}

impl ChildProcess {
    /// Starts a command. The signal is the one that ends it at once with all its children.
    pub fn start(command: &mut Command, signal: &'static str) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", signal, &child.id().to_string()]).stdin(Stdio::piped());
        // In a group of its own: what is typed at the terminal does not end it before the process.
        let guard = guard.process_group(0).spawn().expect("there is a shell");
        Self { child, guard, signal, ended: false }
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process, for its streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it with this signal and waits for it.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        if let Ok(None) = self.child.try_wait() {
            let id = self.child.id().to_string();
            let _ = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &id]).status();
        }
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("it was started here");
        self.ended = true;
        if let Some(mut stdin) = self.guard.stdin.take() {
            // This fails only if the guard has ended already.
            let _ = stdin.write_all(b"ended\n");
        }
        let _ = self.guard.wait();
        status
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if !self.ended {
            self.end(self.signal);
        }
    }
}
