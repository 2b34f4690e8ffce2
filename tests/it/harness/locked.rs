//! Work that the processes of one test run share: done once, by the first, while the others wait.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A folder below `target/` for what is kept between the tests of a run.
pub(crate) fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// An open lock file; the kernel frees what is locked on it when the process ends, however it ends.
pub(crate) fn lock_file(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// Names what a binary's migrations make: another build, another name.
pub(crate) fn template_key(program: &Path) -> String {
    let about = fs::metadata(program).unwrap_or_else(|problem| panic!("{}: {problem}", program.display()));
    let built = about.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    let mut hasher = DefaultHasher::new();
    (program, about.len(), built).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
