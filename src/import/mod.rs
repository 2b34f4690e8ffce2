//! Reads the files that people upload. Returns their rows, and the problems of rows by line.
//!
//! This module uses no clock and no database, writes nothing, and keeps no state between files. It knows the layouts of
//! Ofsted and of the register, and none of the scheme's rules. A file is read as a stream. The rows that are taken stay in memory,
//! and of every row its key and a hash. The as-at date is never read from a file: the caller gives it.

mod aliases;
#[cfg(test)]
mod case_tests;
mod cells;
mod date_order;
mod findings;
mod gias;
mod group_status;
mod header;
mod limits;
mod nearest;
mod ofsted;
mod possible_dates;
mod records;
mod refused;
mod sniff;
mod table;
#[cfg(test)]
mod tests;
mod unpack;
mod value;

pub use crate::import::group_status::GroupStatus;
pub use findings::RowProblem;
pub use gias::{EstablishmentRow, GroupRow, LinkRow, MembershipRow};
use header::HeaderRow;
pub use limits::{ImportLimits, Reading};
pub use ofsted::OfstedRow;
use records::{RecordReader, Separator};
pub use refused::{FileKind, FileRefused};
pub use table::ParsedFile;

/// A file of the register. Its header says which kind of rows it has.
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
/// [`FileRefused`] if the whole file cannot be read, is not Ofsted's, or has too many problems. The problems of single rows are
/// in the returned file.
pub fn read_ofsted(upload: &[u8], reading: &Reading) -> Result<ParsedFile<OfstedRow>, FileRefused> {
    let (records, header) = open(upload, reading)?;
    match header.kind() {
        Some(FileKind::Ofsted) => {
            let mut file = table::read(records, &header.places(FileKind::Ofsted)?, reading)?;
            file.notes.extend(ofsted::as_at_note(&file.rows, reading.as_at));
            Ok(file)
        }
        Some(found) => Err(FileRefused::WrongKind { found }),
        None => Err(FileRefused::UnknownKind { columns: header.first_names() }),
    }
}

/// Reads one file of the register, plain or gzip. The header shows the kind of the file.
///
/// # Errors
/// [`FileRefused`] if the whole file cannot be read, is not the register's, or has too many problems. The problems of single rows
/// are in the returned file.
pub fn read_register(upload: &[u8], reading: &Reading) -> Result<RegisterFile, FileRefused> {
    let (records, header) = open(upload, reading)?;
    let kind = header.kind().ok_or_else(|| FileRefused::UnknownKind { columns: header.first_names() })?;
    let places = || header.places(kind);
    Ok(match kind {
        FileKind::Ofsted => return Err(FileRefused::WrongKind { found: kind }),
        FileKind::Groups => RegisterFile::Groups(table::read(records, &places()?, reading)?),
        FileKind::Memberships => RegisterFile::Memberships(table::read(records, &places()?, reading)?),
        FileKind::Links => RegisterFile::Links(table::read(records, &places()?, reading)?),
        FileKind::Establishments => RegisterFile::Establishments(table::read(records, &places()?, reading)?),
    })
}

/// Opens a file and reads it up to its header, with the first separator that gives a header.
fn open<'a>(upload: &'a [u8], reading: &Reading) -> Result<(RecordReader<'a>, HeaderRow), FileRefused> {
    let open_with = |separator| {
        let mut records = RecordReader::open(upload, separator, &reading.limits)?;
        HeaderRow::find(&mut records).map(|header| (records, header))
    };
    let [usual, others @ ..] = Separator::ALL;
    open_with(usual).or_else(|refused| match refused {
        FileRefused::NoHeader { .. } | FileRefused::OpenQuote { .. } => {
            others.into_iter().find_map(|separator| open_with(separator).ok()).ok_or(refused)
        }
        _ => Err(refused),
    })
}
