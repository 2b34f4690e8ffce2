//! Runs a child process, and reads both its output streams to the end. A caller can wait for it with a time limit.
//!
//! The end of standard output counts as the end of the process, so no wait polls.

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
    stderr: Arc<StderrText>,
    /// The thread that reads standard error; `None` once it has ended.
    stderr_reader: Option<JoinHandle<()>>,
}

/// What a process has written to standard error so far.
#[derive(Default)]
struct StderrText {
    text: Mutex<String>,
    /// Notified when the text grows.
    grown: Condvar,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Standard output after the last line that was read with [`Process::line`] or [`Process::next_line`].
    pub(crate) stdout: String,
    /// All of standard error.
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command without standard input, and without the `TSIO_` variables of this process.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_in(command, &[])
    }

    /// Does the same as [`Self::start`], with these variables in its environment.
    pub(crate) fn start_in(command: &mut Command, environment: &[(String, String)]) -> Self {
        Self::spawn(command.stdin(Stdio::null()), environment)
    }

    /// Does the same as [`Self::start_in`], and also returns the standard input of the process.
    pub(crate) fn start_with_input(command: &mut Command, environment: &[(String, String)]) -> (Self, ChildStdin) {
        let mut process = Self::spawn(command.stdin(Stdio::piped()), environment);
        let input = process.child.stdin.take().unwrap();
        (process, input)
    }

    fn spawn(command: &mut Command, environment: &[(String, String)]) -> Self {
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("TSIO_") && name_text != "TSIO_LOSE_STATE" {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let stderr = Arc::new(StderrText::default());
        let (written, mut stream) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        let stderr_reader = thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                written.text.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
                written.grown.notify_all();
            }
        });
        Self { child, lines, stderr, stderr_reader: Some(stderr_reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process has written to standard error so far; all of it after [`Self::end`] or [`Self::kill`].
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text.lock().unwrap().clone()
    }

    /// Waits until standard error meets a condition, and returns it. Waiting is needed because text that the process
    /// has written may not have been read yet. Panics if the condition is not met in this time.
    pub(crate) fn wait_for_stderr(&self, is_met: impl Fn(&str) -> bool, within: Duration) -> String {
        let text = self.stderr.text.lock().unwrap();
        let (text, _) = self.stderr.grown.wait_timeout_while(text, within, |it| !is_met(it)).unwrap();
        assert!(is_met(&text), "standard error does not meet the condition within {within:?}:\n{text}");
        text.clone()
    }

    /// Reads lines of standard output up to one that starts with `prefix`, and returns the rest of that line.
    ///
    /// # Errors
    ///
    /// No such line came in this time, or the process ended without one.
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

    /// Reads the next line of standard output.
    ///
    /// # Errors
    ///
    /// No line came in this time, or the process ended without one.
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

    /// Kills the process with SIGKILL, and waits for its end. Data that it has not written yet is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.reap();
    }

    fn reap(&mut self) -> ExitStatus {
        if let Some(stderr_reader) = self.stderr_reader.take() {
            stderr_reader.join().unwrap();
        }
        self.child.wait().unwrap()
    }

    /// Waits for the end of the process. If it takes longer than this, kills the process and panics.
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
        // Both calls fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns its standard output. Panics if the command fails or takes longer than this.
pub(crate) fn output_of(command: &mut Command, within: Duration) -> String {
    let ended = Process::start(command).end(within);
    assert!(ended.status.success(), "{command:?}: {}\n{}{}", ended.status, ended.stdout, ended.stderr);
    ended.stdout
}
