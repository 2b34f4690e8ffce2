//! A child process with both its streams read to the end, so that it can be waited for with a bound.
//!
//! The end of standard output is the end of the process: nothing polls.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A started process; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    stderr: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
}

/// What a process has said on standard error so far.
#[derive(Default)]
struct Heard {
    text: Mutex<String>,
    more: Condvar,
}

/// How a process ended, and what it said since the last line taken from it.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command without standard input and without the environment's own settings for the program.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_in(command, &[])
    }

    /// The same with this in its environment.
    pub(crate) fn start_in(command: &mut Command, environment: &[(String, String)]) -> Self {
        Self::spawn(command.stdin(Stdio::null()), environment)
    }

    /// The same, and its standard input with it.
    pub(crate) fn start_with_input(command: &mut Command, environment: &[(String, String)]) -> (Self, ChildStdin) {
        let mut process = Self::spawn(command.stdin(Stdio::piped()), environment);
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    fn spawn(command: &mut Command, environment: &[(String, String)]) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TSIO_") {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let stderr = Arc::new(Heard::default());
        let (kept, mut said) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        let listener = thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = said.read(&mut chunk) {
                kept.text.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
                kept.more.notify_all();
            }
        });
        Self { child, lines, stderr, listener: Some(listener) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was said on standard error; all of it once the process has ended.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text.lock().unwrap().clone()
    }

    /// What was said on standard error, once this holds of it: what a process has said may not have been read yet.
    pub(crate) fn says(&self, holds: impl Fn(&str) -> bool, within: Duration) -> String {
        let said = self.stderr.text.lock().unwrap();
        let (said, _) = self.stderr.more.wait_timeout_while(said, within, |it| !holds(it)).unwrap();
        assert!(holds(&said), "never said within {within:?}:\n{said}");
        said.clone()
    }

    /// What follows `prefix` on the first line that starts with it, or why there was none.
    pub(crate) fn line(&mut self, prefix: &str, within: Duration) -> Result<String, String> {
        let deadline = Instant::now() + within;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(prefix) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(format!("no {prefix:?} within {within:?}")),
                Err(RecvTimeoutError::Disconnected) => return Err(format!("ended without {prefix:?}")),
            }
        }
    }

    /// The next line, or why there was none.
    pub(crate) fn next_line(&mut self, within: Duration) -> Result<String, String> {
        self.lines.recv_timeout(within).map_err(|problem| match problem {
            RecvTimeoutError::Timeout => format!("no line within {within:?}"),
            RecvTimeoutError::Disconnected => "ended without a line".to_owned(),
        })
    }

    /// Sends a signal by its name: `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -{name} {}: {sent}", self.id());
    }

    /// Ends it at once; what it had not made durable is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.reap();
    }

    fn reap(&mut self) -> ExitStatus {
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        self.child.wait().unwrap()
    }

    /// Waits for the end; past the bound the process is killed and the test fails.
    pub(crate) fn end(&mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        let mut stdout = String::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => stdout.extend([line.as_str(), "\n"]),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    panic!("still running after {within:?}; stdout:\n{stdout}\nstderr:\n{}", self.stderr());
                }
            }
        }
        let status = self.reap();
        Ended { status, stdout, stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and gives its standard output; anything but success fails the test.
pub(crate) fn output_of(command: &mut Command, within: Duration) -> String {
    let ended = Process::start(command).end(within);
    assert!(ended.status.success(), "{command:?}: {}\n{}{}", ended.status, ended.stdout, ended.stderr);
    ended.stdout
}
