//! Finds the PostgreSQL that is installed on this machine, and the user that its server runs as.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that the service supports.
const OLDEST_VERSION: u32 = 15;

/// A user of this machine.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// The name of the user.
    pub name: &'static str,
    /// The id of the user.
    pub uid: u32,
    /// The id of the user's group.
    pub gid: u32,
}

/// Returns the user to run PostgreSQL as, because it refuses to run as root. `None` if this process does not run as root.
#[must_use]
pub fn unprivileged_user() -> Option<User> {
    let id = |args: &[&str]| {
        let answer = Command::new("id").args(args).output().expect("the command `id` runs");
        String::from_utf8_lossy(&answer.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let existing_user = |name| Some(User { name, uid: id(&["-u", name])?, gid: id(&["-g", name])? });
    let user = ["postgres", "nobody"].into_iter().find_map(existing_user);
    Some(user.expect("PostgreSQL cannot run as root, and there is no user postgres or nobody"))
}

/// Returns a command that runs a program of PostgreSQL, as this user or, for `None`, as the user of this process. The program has
/// its own process group, so that Ctrl-C at the terminal does not interrupt it.
#[must_use]
pub fn program(path: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(path);
    if let Some(User { uid, gid, .. }) = user {
        // The user may not be allowed to enter the current folder.
        command.uid(uid).gid(gid).current_dir("/");
    }
    command.process_group(0);
    command
}

/// Returns a port of 127.0.0.1 that no process listens on now.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port of 127.0.0.1 is free")
        .port()
}

/// Returns the folder with the programs of the newest installed PostgreSQL.
#[must_use]
pub fn programs() -> PathBuf {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let configured = Command::new("pg_config").arg("--bindir").output().ok();
    let configured = configured.map(|answer| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = debian.chain(configured).chain(std::env::split_paths(&path));
    let newest = all.filter_map(|folder| Some((version(&folder)?, folder))).max_by_key(|(version, _)| *version);
    match newest {
        Some((version, folder)) if version >= OLDEST_VERSION => folder,
        _ => panic!(
            "PostgreSQL {OLDEST_VERSION} or newer is not installed; tests/run installs it or says what to install"
        ),
    }
}

/// Returns the major version of the PostgreSQL in a folder: 15 for `initdb (PostgreSQL) 15.18`. `None` if a program is missing or
/// the version cannot be read.
fn version(folder: &Path) -> Option<u32> {
    if !["initdb", "pg_ctl", "postgres", "psql"].iter().all(|program| folder.join(program).exists()) {
        return None;
    }
    let answer = Command::new(folder.join("initdb")).arg("--version").output().ok()?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    answer.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
