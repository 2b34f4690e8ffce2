//! Starts child processes that never outlive this process, even if it is killed.
//!
//! Each child has a guard: a shell that waits for a line from this process. This process writes the line when the child has
//! ended. If this process dies first, the pipe closes, and the guard ends the child by its id. The guard signals no other
//! process.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The script of the guard: sends the signal `$1` to the process `$2`, unless a line comes first.
const GUARD: &str = "read -r line || kill -s \"$1\" \"$2\"";

/// A running child process and its guard. Dropping it ends the child.
pub struct ChildProcess {
    child: Child,
    guard: Child,
    /// The signal that ends the child when this value is dropped.
    signal: &'static str,
    has_ended: bool,
}

impl ChildProcess {
    /// Starts a command. `signal` must end the command immediately, and the processes that it has started too. The guard sends it,
    /// and so does the drop.
    pub fn start(command: &mut Command, signal: &'static str) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", signal, &child.id().to_string()]).stdin(Stdio::piped());
        // The guard has its own process group, so that Ctrl-C at the terminal does not end it before the child.
        let guard = guard.process_group(0).spawn().expect("the guard's shell starts");
        Self { child, guard, signal, has_ended: false }
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child, for access to its streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends the child this signal if it still runs, and waits until it ends. Returns its exit status.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        if let Ok(None) = self.child.try_wait() {
            let id = self.child.id().to_string();
            let _ = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &id]).status();
        }
        self.wait()
    }

    /// Waits until the child ends by itself. Returns its exit status.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("the child was started by this process");
        self.has_ended = true;
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
        if !self.has_ended {
            self.end(self.signal);
        }
    }
}
