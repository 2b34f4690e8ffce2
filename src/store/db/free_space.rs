//! Checks whether the disk of a SQLite file is full, even if the last write still fitted into the WAL.

use std::path::Path;

use crate::store::{Result, StoreError};

/// A disk with fewer free bytes than this counts as full. The space is enough for a few large batches.
const MIN_FREE_BYTES: u64 = 1024 * 1024;

/// Checks how much space is left for this process in a directory. Succeeds if the file system does not say.
///
/// # Errors
/// [`StoreError::Full`] if less than [`MIN_FREE_BYTES`] is left.
pub(in crate::store) fn check(folder: &Path) -> Result<()> {
    let Ok(status) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    if free < MIN_FREE_BYTES {
        Err(StoreError::Full(format!("{free} bytes are left in {}", folder.display())))
    } else {
        Ok(())
    }
}
