//! The PostgreSQL that is installed here, and the user that its server runs as.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest version that the service supports.
const OLDEST: u32 = 15;

/// A user of this machine.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// Its name.
    pub name: &'static str,
    /// Its id.
    pub uid: u32,
    /// The id of its group.
    pub gid: u32,
}

/// PostgreSQL refuses to run as root: the user to run it as, if this process is root's.
#[must_use]
pub fn unprivileged_user() -> Option<User> {
    let id = |args: &[&str]| {
        let answer = Command::new("id").args(args).output().expect("there is the command id");
        String::from_utf8_lossy(&answer.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let known = |name| Some(User { name, uid: id(&["-u", name])?, gid: id(&["-g", name])? });
    let user = ["postgres", "nobody"].into_iter().find_map(known);
    Some(user.expect("PostgreSQL cannot run as root, and there is no user postgres or nobody"))
}

/// A program of the server, run as this user where one is given, in a group of its own: what is typed at the terminal does not
/// interrupt it.
#[must_use]
pub fn program(path: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(path);
    if let Some(User { uid, gid, .. }) = user {
        command.uid(uid).gid(gid).current_dir("/");
    }
    command.process_group(0);
    command
}

/// A port of loopback that nothing listens on now.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there is loopback").port()
}

/// The folder with the programs of the newest PostgreSQL that is installed.
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
        Some((version, folder)) if version >= OLDEST => folder,
        _ => panic!("PostgreSQL {OLDEST} or newer is not installed; tests/run installs it or says what to install"),
    }
}

/// The major version of the server in a folder, if it is whole: `initdb (PostgreSQL) 15.18` is 15.
fn version(folder: &Path) -> Option<u32> {
    if !["initdb", "pg_ctl", "postgres", "psql"].iter().all(|program| folder.join(program).exists()) {
        return None;
    }
    let answer = Command::new(folder.join("initdb")).arg("--version").output().ok()?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    answer.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
