//! Tests that `tests/run --missing` lists the programs that the machine lacks or has in a version that is too old.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::harness::process::{Ended, Process};

const MAX_WAIT: Duration = Duration::from_secs(60);

/// Runs `tests/run --missing`, and returns the exit code and the output. A program is a name and a shell script, which the
/// command finds before the installed program of this name.
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
    let Ended { status, stdout, stderr } = Process::start(&mut command).end(MAX_WAIT);
    assert_eq!(stderr, "");
    (status.code(), stdout)
}

#[test]
fn a_program_that_is_too_old_is_missing() {
    assert_eq!(missing_with(None), (Some(0), String::new()), "tests/run has installed every program on this machine");
    let rows = [
        ("node", "echo v18.19.0", (Some(1), "nodejs\n")),
        ("node", "echo v20.0.0", (Some(0), "")),
        ("node", "exit 1", (Some(1), "nodejs\n")),
        ("python3", "exit 1", (Some(1), "python3\npython3-venv\n")),
    ];
    for (name, script, (code, output)) in rows {
        assert_eq!(missing_with(Some((name, script))), (code, output.to_owned()), "{name}: {script}");
    }
}
