//! Makes a SQLite file for each test: a copy of a file that the program has migrated once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::locked::{directory, lock_file, template_key};
use super::process::output_of;

/// How long `tsio migrate` may take.
const MAX_MIGRATION: Duration = Duration::from_secs(60);

/// A migrated file in a folder of its own; dropping it removes both.
pub(crate) struct SqliteDatabase {
    folder: TempDir,
}

impl SqliteDatabase {
    pub(crate) fn url(&self) -> String {
        url(&self.file())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tsio.db")
    }
}

/// A new copy of the file that `program migrate` makes.
pub(crate) fn create(program: &Path) -> SqliteDatabase {
    create_in(program, &std::env::temp_dir())
}

/// Does the same as [`create`], in a new folder below this one.
pub(crate) fn create_in(program: &Path, folder: &Path) -> SqliteDatabase {
    let database = SqliteDatabase { folder: TempDir::with_prefix_in("tsio-it-", folder).unwrap() };
    fs::copy(template(program), database.file()).unwrap();
    database
}

/// A file with these contents.
pub(crate) fn restore(contents: &[u8]) -> SqliteDatabase {
    let database = SqliteDatabase { folder: TempDir::with_prefix("tsio-it-").unwrap() };
    fs::write(database.file(), contents).unwrap();
    database
}

fn template(program: &Path) -> PathBuf {
    let directory = directory("it-sqlite");
    let name = program.file_name().unwrap().to_string_lossy();
    let template_file = directory.join(format!("{name}-{}.db", template_key(program)));
    let lock = lock_file(&directory.join("lock"));
    lock.lock().unwrap();
    if !template_file.exists() {
        remove_older(&directory, &format!("{name}-"));
        let building = directory.join("building");
        output_of(Command::new(program).args(["migrate", "--database", &url(&building)]), MAX_MIGRATION);
        assert!(building.exists(), "{} migrate made no file", program.display());
        let wal = fs::metadata(directory.join("building-wal")).map_or(0, |metadata| metadata.len());
        assert_eq!(wal, 0, "migrate ended without closing its connection: the schema is still in the WAL");
        fs::rename(building, &template_file).unwrap();
    }
    template_file
}

/// Removes the templates of earlier builds, and files that a killed run left incomplete.
fn remove_older(directory: &Path, prefix: &str) {
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
