//! Folders and file locks for work that the processes of one test run share. The first process does the work under a
//! lock, while the others wait.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A folder below `target/` for files that the tests of a run share. It is created if it does not exist.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Opens a lock file. The kernel releases its locks when the process ends, also if it is killed.
pub(crate) fn lock_file(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// A key for the schema that a binary's migrations make. Each build of the binary has its own key.
pub(crate) fn template_key(program: &Path) -> String {
    let metadata = fs::metadata(program).unwrap_or_else(|problem| panic!("{}: {problem}", program.display()));
    let built = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    let mut hasher = DefaultHasher::new();
    (program, metadata.len(), built).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
