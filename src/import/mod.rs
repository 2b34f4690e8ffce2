//! The files people upload: bytes in, rows and line-numbered problems out.
//!
//! Pure: no clock, no database, nothing written, nothing remembered between files. It knows the layouts of
//! Ofsted and of the register, and none of the scheme's rules. A file is read as a stream; only the rows
//! taken are held. The as-at date is never told from a file: the caller gives it.

mod aliases;
mod gias;
mod header;
mod limits;
mod ofsted;
mod records;
mod refused;
mod sniff;
mod table;
#[cfg(test)]
mod tests;
mod unpack;
mod value;

pub use gias::{EstablishmentRow, GroupRow, GroupStatus, LinkRow, MembershipRow};
pub use limits::Limits;
pub use ofsted::OfstedRow;
pub use refused::{FileKind, FileRefused, MissingColumn};
pub use table::{ParsedFile, RowProblem};

use header::Header;
use records::Records;

/// A file of the register, by what its header says it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterFile {
    /// Trusts, federations, sponsors.
    Groups(ParsedFile<GroupRow>),
    /// Which school is in which group.
    Memberships(ParsedFile<MembershipRow>),
    /// Predecessors and successors.
    Links(ParsedFile<LinkRow>),
    /// Establishments.
    Establishments(ParsedFile<EstablishmentRow>),
}

/// Reads one month of Ofsted's management information, plain or gzip.
///
/// # Errors
/// When the file as a whole cannot be read, or is not Ofsted's. Faults of single rows are in the answer.
pub fn read_ofsted(upload: &[u8], limits: &Limits) -> Result<ParsedFile<OfstedRow>, FileRefused> {
    let mut records = Records::open(upload, limits)?;
    let header = Header::find(&mut records)?;
    match header.kind() {
        None | Some(FileKind::Ofsted) => table::read(records, &header.places(FileKind::Ofsted)?, limits),
        Some(found) => Err(FileRefused::WrongKind { found }),
    }
}

/// Reads one file of the register, plain or gzip; its kind is told from the header.
///
/// # Errors
/// When the file as a whole cannot be read, or is not the register's. Faults of single rows are in the answer.
pub fn read_register(upload: &[u8], limits: &Limits) -> Result<RegisterFile, FileRefused> {
    let mut records = Records::open(upload, limits)?;
    let header = Header::find(&mut records)?;
    let kind = header.kind().ok_or_else(|| FileRefused::UnknownKind { columns: header.first_names() })?;
    let places = || header.places(kind);
    Ok(match kind {
        FileKind::Ofsted => return Err(FileRefused::WrongKind { found: kind }),
        FileKind::Groups => RegisterFile::Groups(table::read(records, &places()?, limits)?),
        FileKind::Memberships => RegisterFile::Memberships(table::read(records, &places()?, limits)?),
        FileKind::Links => RegisterFile::Links(table::read(records, &places()?, limits)?),
        FileKind::Establishments => RegisterFile::Establishments(table::read(records, &places()?, limits)?),
    })
}
