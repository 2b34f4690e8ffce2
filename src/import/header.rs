//! Finds the header row, tells the kind of file from it, and finds each wanted column once.
//!
//! Order of columns never matters; a title line above and an unnamed index column in front are borne.

use super::aliases::{Column, ESTABLISHMENTS, GROUPS, LINKS, MEMBERSHIPS, OFSTED};
use super::records::Records;
use super::refused::{FileKind, FileRefused, MissingColumn};
use super::value;

/// Rows looked at for the header; title lines above it are a handful.
const LOOK_AT: usize = 20;

/// A row with one of these is the header: every kind has one.
const KEYS: [&str; 3] = ["URN", "Group UID", "UID"];

/// Kinds by their tables. The first wins a tie.
const KINDS: [(FileKind, &[Column]); 5] = [
    (FileKind::Ofsted, OFSTED),
    (FileKind::Links, LINKS),
    (FileKind::Groups, GROUPS),
    (FileKind::Memberships, MEMBERSHIPS),
    (FileKind::Establishments, ESTABLISHMENTS),
];

/// The header row, as read.
pub(super) struct Header {
    names: Vec<String>,
}

/// Where the columns of one table stand.
pub(super) struct Places {
    /// In the table's order; nothing for an optional column the file has not.
    pub(super) at: Vec<Option<usize>>,
    /// For each column of the file, whether it has a name: pandas' index has none.
    pub(super) named: Vec<bool>,
    /// Columns a row must have at least.
    pub(super) needed: usize,
}

impl Header {
    /// Reads up to and including the header row.
    pub(super) fn find(records: &mut Records<'_>) -> Result<Self, FileRefused> {
        let mut without_key = None;
        let mut looked_at = 0;
        while looked_at < LOOK_AT && records.read()? {
            looked_at += 1;
            let header = Self { names: records.row.iter().map(|cell| value::text(cell).into_owned()).collect() };
            if header.names.iter().any(|name| KEYS.iter().any(|key| key.eq_ignore_ascii_case(name))) {
                return Ok(header);
            }
            // Without a key the file is refused, but by the names of all it lacks.
            if without_key.is_none() && header.kind().is_some() {
                without_key = Some(header);
            }
        }
        match (without_key, looked_at) {
            (Some(header), _) => Ok(header),
            (None, 0) => Err(FileRefused::Empty),
            (None, _) => Err(FileRefused::NoHeader { looked_at }),
        }
    }

    /// The kind of which it has most of the needed columns, and lacks fewest; nothing with under two.
    pub(super) fn kind(&self) -> Option<FileKind> {
        let fit = |table: &[Column]| {
            let needed = table.iter().filter(|column| column.required);
            let found = needed.clone().filter(|column| self.names.iter().any(|name| column.is_named(name))).count();
            (found, needed.count() - found)
        };
        let kinds = KINDS.iter().rev().map(|(kind, table)| (*kind, fit(table)));
        let best = kinds.max_by_key(|(_, (found, lacking))| (*found, std::cmp::Reverse(*lacking)))?;
        (best.1.0 >= 2).then_some(best.0)
    }

    /// Its first names, for a refusal.
    pub(super) fn first_names(&self) -> Vec<String> {
        self.names.iter().take(8).map(|name| name.chars().take(40).collect()).collect()
    }

    /// Finds every column of the kind's table, or names all that are missing.
    pub(super) fn places(&self, kind: FileKind) -> Result<Places, FileRefused> {
        let table = KINDS.iter().find(|(of, _)| *of == kind).map_or(OFSTED, |(_, table)| table);
        let mut at = Vec::with_capacity(table.len());
        let mut missing = Vec::new();
        for column in table {
            let mut found = (0..).zip(&self.names).filter(|(_, name)| column.is_named(name)).map(|(place, _)| place);
            let first: Option<usize> = found.next();
            match (first, found.next()) {
                (Some(one), Some(two)) => {
                    return Err(FileRefused::DuplicateColumn { name: column.name, at: (one + 1, two + 1) });
                }
                (None, _) if column.required => {
                    missing.push(MissingColumn { name: column.name, also: column.also });
                }
                _ => at.push(first),
            }
        }
        if !missing.is_empty() {
            return Err(FileRefused::MissingColumns { kind, missing });
        }
        let needed = at.iter().flatten().max().map_or(0, |last| last + 1);
        Ok(Places { at, named: self.names.iter().map(|name| !name.is_empty()).collect(), needed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    fn header(file: &str) -> Result<Header, FileRefused> {
        Header::find(&mut Records::open(file.as_bytes(), &Limits::default())?)
    }

    #[test]
    fn the_kind_is_told_from_what_fits_best() {
        #[rustfmt::skip]
        let cases = [
            ("Group UID,Group Name,Group Type",                                        Some(FileKind::Groups)),
            ("UID,Group Name,Group Type,Group Status",                                 Some(FileKind::Groups)),
            ("URN,Group UID,Group Name,EstablishmentName",                             Some(FileKind::Memberships)),
            ("URN,LinkURN",                                                            Some(FileKind::Links)),
            ("URN,LA (code),EstablishmentName,EstablishmentStatus (name)",             Some(FileKind::Establishments)),
            ("URN,School name,Multi-academy trust UID,Multi-academy trust name",       Some(FileKind::Ofsted)),
            ("title\n\nLinkURN,URN\n100000,100001",                                    Some(FileKind::Links)),
            ("URN,Name",                                                               None),
        ];
        for (file, expected) in cases {
            assert_eq!(header(file).map(|header| header.kind()), Ok(expected), "{file}");
        }
    }

    #[test]
    fn the_header_is_looked_for_in_the_first_rows_only() {
        let after = |titles: usize| format!("{}URN,LinkURN,LinkType\n", "title\n".repeat(titles));
        assert!(header(&after(19)).is_ok());
        assert_eq!(header(&after(20)).err(), Some(FileRefused::NoHeader { looked_at: 20 }));
    }

    #[test]
    fn a_header_without_its_key_is_refused_by_all_it_lacks() {
        let refused = header("LinkName,Link URN,LinkType,LinkURN\na,b,c,d").and_then(|header| {
            let kind = header.kind().ok_or(FileRefused::Empty)?;
            header.places(kind).map(|_| ())
        });
        let missing = vec![MissingColumn { name: "URN", also: &[] }];
        assert_eq!(refused, Err(FileRefused::MissingColumns { kind: FileKind::Links, missing }));
    }
}
