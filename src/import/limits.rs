//! How an upload is read: what its sender says of it, and how much is read before the reader gives up.
//!
//! Each bound is well above the largest file Ofsted or GIAS publish, and well below what would hurt the
//! service. Nothing here depends on the scheme.

use crate::domain::Date;

/// How one upload is read: what its sender says of it, and the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The date the file speaks for.
    pub as_at: Date,
    /// The sender says that the dates are day-first, where nothing in the file tells.
    pub day_first: bool,
    /// The sender wants the good rows of a file with many problems.
    pub accept_problems: bool,
    /// The bounds.
    pub limits: ImportLimits,
}

impl Reading {
    /// A file of this date of which its sender says nothing else.
    #[must_use]
    pub fn of(as_at: Date) -> Self {
        Self { as_at, day_first: false, accept_problems: false, limits: ImportLimits::default() }
    }
}

/// Bounds on one upload. Passing one refuses the whole file, except for `problems`, which only stops the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Bytes as uploaded, packed or not.
    pub upload_bytes: usize,
    /// Bytes once unpacked: stops a gzip bomb.
    pub unpacked_bytes: u64,
    /// Bytes of one row, its line breaks included: stops an endless line and a quotation mark never closed.
    pub row_bytes: usize,
    /// Columns of one row.
    pub columns: usize,
    /// Rows under the header, empty ones too.
    pub rows: usize,
    /// Problems listed; those beyond are counted only.
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
