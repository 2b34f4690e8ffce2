//! A PostgreSQL cluster that one scenario has to itself, so that it can end it as a power cut would.
//!
//! A shell holds a pipe from this process and stops the cluster once that closes: nothing is left running, however the
//! scenario ends. The cluster that the other tests share is not touched.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::postgres::{bin, id_of, unprivileged_user};
use super::process::output_of;

const COMMAND: Duration = Duration::from_secs(90);

/// A cluster with one migrated database; dropping it stops and removes it.
pub(crate) struct Alone {
    bin: PathBuf,
    user: Option<String>,
    folder: TempDir,
    data: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
    stopper: Child,
}

impl Alone {
    /// Starts one, with the schema that `program migrate` makes.
    pub(crate) fn start(program: &Path) -> Self {
        Self::start_on(program, None, &[])
    }

    /// The same with its tables in this folder and its log elsewhere, and more in its environment.
    pub(crate) fn start_on(program: &Path, tables: Option<&Path>, environment: &[(&str, &str)]) -> Self {
        let (bin, user) = (bin(), unprivileged_user());
        let folder = TempDir::with_prefix("tsio-it-pg-").unwrap();
        if let Some(user) = &user {
            for folder in [Some(folder.path()), tables].into_iter().flatten() {
                chown(folder, Some(id_of(user).unwrap()), None).unwrap();
            }
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tables.unwrap_or(folder.path()).join("data");
        let mut made = dropped(user.as_deref(), &bin.join("initdb"));
        made.arg("--pgdata").arg(&data).arg("--waldir").arg(folder.path().join("log"));
        made.args([
            "--username=tsio",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]);
        output_of(&mut made, COMMAND);
        // In a group of its own: who interrupts the tests does not interrupt it.
        let stop = ["-c", "read -r _; exec \"$@\" >/dev/null 2>&1", "sh"];
        let mut stopper = Command::new("sh");
        stopper.args(stop).args(words(&dropped(user.as_deref(), &bin.join("pg_ctl"))));
        stopper.args(["stop", "--mode=immediate", "--wait", "--pgdata"]).arg(&data);
        let stopper = stopper.process_group(0).stdin(Stdio::piped()).current_dir("/").spawn().unwrap();
        let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let it = Self { bin, user, folder, data, environment, port, stopper };
        it.begin();
        output_of(Command::new(program).args(["migrate", "--database", &it.url()]), COMMAND);
        it
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://tsio@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it at once, without a checkpoint, and starts it again: it recovers what was made durable.
    pub(crate) fn crash(&self) {
        output_of(self.control().args(["stop", "--mode=immediate", "--wait"]), COMMAND);
        self.begin();
    }

    fn begin(&self) {
        let port = self.port;
        let options = format!("-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories=''");
        let log = self.folder.path().join("server.log");
        let mut start = self.control();
        start.args(["start", "--wait", "--timeout=60", "--silent", "--options", &options]).arg("--log").arg(&log);
        start.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let started = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(started.success(), "{started}: {}", fs::read_to_string(log).unwrap_or_default());
    }

    fn control(&self) -> Command {
        let mut control = dropped(self.user.as_deref(), &self.bin.join("pg_ctl"));
        control.arg("--pgdata").arg(&self.data);
        control
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // The pipe closes, the shell stops the cluster and ends.
        drop(self.stopper.stdin.take());
        let _ = self.stopper.wait();
    }
}

/// A command run as another user, where PostgreSQL refuses to run as this one.
fn dropped(user: Option<&str>, program: &Path) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--"]).arg(program);
            command
        }
    };
    command.current_dir("/");
    command
}

/// A command as words for another.
fn words(command: &Command) -> Vec<std::ffi::OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(ToOwned::to_owned).collect()
}
