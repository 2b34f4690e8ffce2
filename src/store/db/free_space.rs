//! Whether the disk of a SQLite file is full, though the last write still fitted into its log.

use std::path::Path;

use crate::store::{Result, StoreError};

/// Bytes below which a disk counts as full: a few large groups.
const LEAST: u64 = 1024 * 1024;

/// Looks how much space is left for this process. Nothing is said where the file system does not tell.
///
/// # Errors
/// [`StoreError::Full`].
pub(in crate::store) fn check(folder: &Path) -> Result<()> {
    let Ok(about) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    if free < LEAST { Err(StoreError::Full(format!("{free} bytes are left in {}", folder.display()))) } else { Ok(()) }
}
