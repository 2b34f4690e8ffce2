//! `tests/run` lists the programs that the machine lacks, or that it has only in too old a version.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::harness::process::{Ended, Process};

const BOUND: Duration = Duration::from_secs(60);

/// Runs `tests/run --missing` with this program first in the path, and returns the exit code and the output.
fn missing_with(program: Option<(&str, &str)>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    if let Some((name, script)) = program {
        let file = folder.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [folder.path().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run"));
    command.arg("--missing").env("PATH", std::env::join_paths(path).unwrap());
    let Ended { status, stdout, stderr } = Process::start(&mut command).end(BOUND);
    assert_eq!(stderr, "");
    (status.code(), stdout)
}

#[test]
fn a_program_that_is_too_old_is_missing() {
    assert_eq!(missing_with(None), (Some(0), String::new()), "tests/run has set this machine up");
    let rows = [
        ("node", "echo v18.19.0", (Some(1), "nodejs\n")),
        ("node", "echo v20.0.0", (Some(0), "")),
        ("node", "exit 1", (Some(1), "nodejs\n")),
        ("python3", "exit 1", (Some(1), "python3\npython3-venv\n")),
    ];
    for (name, script, (code, said)) in rows {
        assert_eq!(missing_with(Some((name, script))), (code, said.to_owned()), "{name}: {script}");
    }
}
