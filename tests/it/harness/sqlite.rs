//! A SQLite file a test: a copy of a file migrated once by the binary under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::locked::{directory, lock_file, template_key};
use super::process::output_of;

const MIGRATE: Duration = Duration::from_secs(60);

/// A migrated file in a folder of its own; dropping it removes both.
pub(crate) struct Stamped {
    folder: TempDir,
}

impl Stamped {
    pub(crate) fn url(&self) -> String {
        url(&self.file())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tsio.db")
    }
}

/// A fresh copy of what `program migrate` makes.
pub(crate) fn stamp(program: &Path) -> Stamped {
    stamp_in(program, &std::env::temp_dir())
}

/// The same in a folder below this one.
pub(crate) fn stamp_in(program: &Path, folder: &Path) -> Stamped {
    let stamped = Stamped { folder: TempDir::with_prefix_in("tsio-it-", folder).unwrap() };
    fs::copy(template(program), stamped.file()).unwrap();
    stamped
}

/// A file with these contents.
pub(crate) fn restore(contents: &[u8]) -> Stamped {
    let stamped = Stamped { folder: TempDir::with_prefix("tsio-it-").unwrap() };
    fs::write(stamped.file(), contents).unwrap();
    stamped
}

fn template(program: &Path) -> PathBuf {
    let directory = directory("it-sqlite");
    let name = program.file_name().unwrap().to_string_lossy();
    let done = directory.join(format!("{name}-{}.db", template_key(program)));
    let lock = lock_file(&directory.join("lock"));
    lock.lock().unwrap();
    if !done.exists() {
        forget_older(&directory, &format!("{name}-"));
        let building = directory.join("building");
        output_of(Command::new(program).args(["migrate", "--database", &url(&building)]), MIGRATE);
        assert!(building.exists(), "{} migrate made no file", program.display());
        let wal = fs::metadata(directory.join("building-wal")).map_or(0, |about| about.len());
        assert_eq!(wal, 0, "migrate ended without closing its connection: the schema is still in the WAL");
        fs::rename(building, &done).unwrap();
    }
    done
}

/// Removes the templates of earlier builds, and what a killed run left half made.
fn forget_older(directory: &Path, prefix: &str) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) || name.starts_with("building") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}
