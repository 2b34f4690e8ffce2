//! Finds the header row, the kind of file that it shows, and the index of each column to read.
//!
//! The order of columns does not matter. Title lines above the header and an unnamed index column in front are accepted.

use super::aliases::{ESTABLISHMENTS, GROUPS, ImportColumn, LINKS, MEMBERSHIPS, OFSTED};
use super::nearest::{nearest, normalised};
use super::records::RecordReader;
use super::refused::{FileKind, FileRefused, MissingColumn};
use super::value;

/// The most rows that are searched for the header. Only a few title lines come before it.
const MAX_ROWS_SEARCHED: usize = 20;

/// A row with one of these columns is the header. Every kind of file has one of them.
const KEYS: [&str; 3] = ["URN", "Group UID", "UID"];

/// Columns that are also in lists of schools from other services. A header with only these columns has no known kind.
const COMMON_COLUMNS: [&str; 10] = [
    "URN",
    "LAESTAB",
    "School name",
    "Ofsted phase",
    "Type of education",
    "School open date",
    "LA (code)",
    "EstablishmentNumber",
    "EstablishmentName",
    "PhaseOfEducation (name)",
];

/// The last column of GIAS' search extract: a list with commas but without quotation marks.
const LIST_WITHOUT_QUOTES: &str = "Linked establishments";

/// The kinds of files, with their tables of columns. If two kinds fit equally well, the first of them counts.
const KINDS: [(FileKind, &[ImportColumn]); 5] = [
    (FileKind::Ofsted, OFSTED),
    (FileKind::Links, LINKS),
    (FileKind::Groups, GROUPS),
    (FileKind::Memberships, MEMBERSHIPS),
    (FileKind::Establishments, ESTABLISHMENTS),
];

/// The header row, as read.
pub(super) struct HeaderRow {
    names: Vec<String>,
}

/// The indexes of a table's columns in a file.
pub(super) struct ColumnPlaces {
    /// The index of each column, in the order of the table; `None` for an optional column that the file does not have.
    pub(super) indexes: Vec<Option<usize>>,
    /// For each column of the file, whether it has a name. The column that pandas adds to number the rows has none.
    pub(super) has_name: Vec<bool>,
    /// The fewest columns that a row must have, so that it has every column that is read.
    pub(super) min_columns: usize,
    /// Whether a row may have more cells than the header, because its last column is a list without quotation marks.
    pub(super) list_at_end: bool,
}

impl HeaderRow {
    /// Reads up to and including the header row.
    pub(super) fn find(records: &mut RecordReader<'_>) -> Result<Self, FileRefused> {
        let mut without_key = None;
        let mut looked_at = 0;
        while looked_at < MAX_ROWS_SEARCHED && records.read()? {
            looked_at += 1;
            let header = Self { names: records.row.iter().map(value::title).collect() };
            if header.names.iter().any(|name| KEYS.iter().any(|key| key.eq_ignore_ascii_case(name))) {
                return Ok(header);
            }
            // A file without a key is refused later, with the names of all missing columns.
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

    /// The kind of file of which the header has the most required columns. If several kinds have equally many, the one with the
    /// fewest missing columns. `None` if the header has fewer than two required columns, or only common ones. Names are compared
    /// as [`normalised`], so a slightly different name counts. The refusal then says which column it is like.
    pub(super) fn kind(&self) -> Option<FileKind> {
        let names: Vec<String> = self.names.iter().map(|name| normalised(name)).collect();
        let has = |column: &&ImportColumn| {
            let mut titles = column.also.iter().chain([&column.name]).map(|title| normalised(title));
            titles.any(|title| names.contains(&title))
        };
        let count_columns = |table: &[ImportColumn]| {
            let required = table.iter().filter(|column| column.required);
            let found = required.clone().filter(has).count();
            let is_specific = table.iter().filter(has).any(|column| !COMMON_COLUMNS.contains(&column.name));
            (if is_specific { found } else { 0 }, required.count() - found)
        };
        let kinds = KINDS.iter().rev().map(|(kind, table)| (*kind, count_columns(table)));
        let best = kinds.max_by_key(|(_, (found, missing))| (*found, std::cmp::Reverse(*missing)))?;
        (best.1.0 >= 2).then_some(best.0)
    }

    /// The first column names, shortened, for a refusal.
    pub(super) fn first_names(&self) -> Vec<String> {
        let shown = |name: &String| name.chars().take(40).flat_map(char::escape_debug).collect();
        self.names.iter().take(8).map(shown).collect()
    }

    /// Finds every column of a kind's table.
    ///
    /// # Errors
    /// [`FileRefused::MissingColumns`] with all missing columns; [`FileRefused::DuplicateColumn`].
    pub(super) fn places(&self, kind: FileKind) -> Result<ColumnPlaces, FileRefused> {
        let table = KINDS.iter().find(|(table_kind, _)| *table_kind == kind).map_or(OFSTED, |(_, table)| table);
        let mut indexes = Vec::with_capacity(table.len());
        let mut missing = Vec::new();
        for column in table {
            let mut found = (0..).zip(&self.names).filter(|(_, name)| column.is_named(name)).map(|(index, _)| index);
            let first: Option<usize> = found.next();
            match (first, found.next()) {
                (Some(one), Some(two)) => {
                    return Err(FileRefused::DuplicateColumn { name: column.name, at: (one + 1, two + 1) });
                }
                (None, _) if column.required => {
                    missing.push(MissingColumn {
                        name: column.name,
                        also: column.also,
                        nearest: self.nearest(column, table),
                    });
                }
                _ => indexes.push(first),
            }
        }
        if !missing.is_empty() {
            return Err(FileRefused::MissingColumns { kind, missing });
        }
        let min_columns = indexes.iter().flatten().max().map_or(0, |last| last + 1);
        let list_at_end = self.names.last().is_some_and(|name| LIST_WITHOUT_QUOTES.eq_ignore_ascii_case(name));
        Ok(ColumnPlaces {
            indexes,
            has_name: self.names.iter().map(|name| !name.is_empty()).collect(),
            min_columns,
            list_at_end,
        })
    }

    /// The name in the header that is most like a column's name; `None` if no name is like it. Names of other columns of the table
    /// do not count.
    fn nearest(&self, requested: &ImportColumn, table: &[ImportColumn]) -> Option<String> {
        let unused_names =
            || self.names.iter().map(String::as_str).filter(|name| !table.iter().any(|it| it.is_named(name)));
        let found =
            requested.also.iter().chain([&requested.name]).rev().find_map(|title| nearest(title, unused_names()));
        found.map(|name| name.chars().take(60).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::ImportLimits;
    use super::super::records::Separator;
    use super::*;

    fn header(file: &str) -> Result<HeaderRow, FileRefused> {
        HeaderRow::find(&mut RecordReader::open(file.as_bytes(), Separator::Comma, &ImportLimits::default())?)
    }

    #[test]
    fn the_kind_is_the_one_whose_columns_fit_best() {
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
            ("LA,LAEstab,URN,School Name,Phase,No Pupils",                             None),
            ("URN,LAESTAB,School name,Type of education",                              None),
            ("URN,LA (code),EstablishmentNumber,EstablishmentName",                    None),
            ("URN,LAESTAB,School.name,Overall.effectiveness,Publication.date",         Some(FileKind::Ofsted)),
            ("URN,LA..code.,EstablishmentName,TypeOfEstablishment..name.",             Some(FileKind::Establishments)),
        ];
        for (file, expected) in cases {
            assert_eq!(header(file).map(|header| header.kind()), Ok(expected), "{file}");
        }
    }

    #[test]
    fn invisible_characters_in_a_title_are_ignored() {
        for written in ["\u{feff}URN,LinkURN\u{200b},LinkType", "UR\u{ad}N,\u{2066}LinkURN\u{2069},Link\u{200d}Type"] {
            let found = header(written).and_then(|header| header.places(FileKind::Links)).map(|places| places.indexes);
            assert_eq!(found, Ok(vec![Some(0), Some(1), None, Some(2), None]), "{written:?}");
        }
    }

    #[test]
    fn the_header_is_looked_for_in_the_first_rows_only() {
        let after = |titles: usize| format!("{}URN,LinkURN,LinkType\n", "title\n".repeat(titles));
        assert!(header(&after(19)).is_ok());
        assert_eq!(header(&after(20)).err(), Some(FileRefused::NoHeader { looked_at: 20 }));
    }

    #[test]
    fn a_header_without_its_key_is_refused_with_all_missing_columns() {
        let refused = header("LinkName,Link URN,LinkType,LinkURN\na,b,c,d").and_then(|header| {
            let kind = header.kind().ok_or(FileRefused::Empty)?;
            header.places(kind).map(|_| ())
        });
        let missing = vec![MissingColumn { name: "URN", also: &[], nearest: None }];
        assert_eq!(refused, Err(FileRefused::MissingColumns { kind: FileKind::Links, missing }));
    }
}
