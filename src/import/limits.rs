//! Declares the options and the limits for reading an upload.
//!
//! Each limit is well above the largest file that Ofsted or GIAS publish, and well below what would harm the service. Nothing
//! here depends on the scheme.

use crate::domain::Date;

/// How to read one upload: the sender's options, and the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The as-at date of the file: the day whose state it describes.
    pub as_at: Date,
    /// Whether the sender says that the dates are day-first. This matters only if no date of the file shows the order.
    pub day_first: bool,
    /// Whether the sender wants the good rows even if many rows have problems.
    pub accept_problems: bool,
    /// The limits.
    pub limits: ImportLimits,
}

impl Reading {
    /// The default options for a file with this as-at date.
    #[must_use]
    pub fn of(as_at: Date) -> Self {
        Self { as_at, day_first: false, accept_problems: false, limits: ImportLimits::default() }
    }
}

/// Limits on one upload. A file beyond a limit is refused, except for `problems`: further problems are only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Bytes as uploaded, compressed or not.
    pub upload_bytes: usize,
    /// Bytes after unpacking. Stops a gzip bomb.
    pub unpacked_bytes: u64,
    /// Bytes of one row with its line breaks. Stops an endless line, and a quotation mark that is never closed.
    pub row_bytes: usize,
    /// Columns of one row.
    pub columns: usize,
    /// Rows under the header, including empty ones.
    pub rows: usize,
    /// Problems that are listed. Further problems are only counted.
    pub problems: usize,
}

impl ImportLimits {
    /// 96 MiB: the whole GIAS register of establishments is about 65 MB unpacked.
    pub const UPLOAD_BYTES: usize = 96 << 20;
    /// 256 MiB: four times that register.
    pub const UNPACKED_BYTES: u64 = 256 << 20;
    /// 64 KiB: the longest published row is under 3 KB.
    pub const ROW_BYTES: usize = 64 << 10;
    /// 512: the widest published layout has 139 columns.
    pub const COLUMNS: usize = 512;
    /// 250,000: the register holds about 50,000 establishments, open and closed.
    pub const ROWS: usize = 250_000;
    /// 1,000: more than anybody reads; a file with more is wrong as a whole.
    pub const PROBLEMS: usize = 1_000;
}

impl Default for ImportLimits {
    fn default() -> Self {
        Self {
            upload_bytes: Self::UPLOAD_BYTES,
            unpacked_bytes: Self::UNPACKED_BYTES,
            row_bytes: Self::ROW_BYTES,
            columns: Self::COLUMNS,
            rows: Self::ROWS,
            problems: Self::PROBLEMS,
        }
    }
}
