//! Reads the rows of a file into typed rows. Each row is either taken, or reported as a problem, a repeat or a row of another
//! country.
//!
//! Good rows are taken even if other rows have problems. If too many rows have problems, the whole file is refused. Of rows that
//! are the same cell for cell only one is taken. Of rows that differ but have the same key none is taken, because nothing shows
//! which of them is right.

use std::collections::{HashMap, HashSet};

use csv::ByteRecord;
use sha2::{Digest as _, Sha256};

use super::aliases::ImportColumn;
use super::cells::RowCells;
use super::date_order::DateOrder;
use super::findings::{Problems, RowProblem, abroad_note, line_names, repeats_note};
use super::header::ColumnPlaces;
use super::limits::Reading;
use super::records::{RecordReader, Separator};
use super::refused::FileRefused;
use super::value;

/// The most problems that a refusal lists.
const MAX_LISTED: usize = 50;

/// The content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedFile<R> {
    /// SHA-256 of the unpacked bytes, so that a packed and a plain copy are the same file.
    pub sha256: [u8; 32],
    /// The good rows, in the file's order.
    pub rows: Vec<R>,
    /// The number of rows under the header, without empty ones.
    pub read: usize,
    /// How many of these repeat a taken row cell for cell.
    pub repeats: usize,
    /// How many of these are of other countries.
    pub abroad: usize,
    /// The problems of rows that were not taken, by line; at most [`ImportLimits::problems`](super::ImportLimits::problems).
    pub problems: Vec<RowProblem>,
    /// The number of problems that are not in `problems`.
    pub problems_beyond: usize,
    /// Notes about the file as a whole.
    pub notes: Vec<String>,
}

/// A type of rows that can be read from a file.
pub(super) trait RowKind: Sized {
    /// The key of a row. Two different rows of a file may not have the same key.
    type Key: Ord;
    /// The names of the key's columns, for problems.
    const KEY: &'static str;
    /// The columns to read.
    const TABLE: &'static [ImportColumn];

    /// Reads a row. Returns its key if it can be read, and the row if nothing is missing. Adds problems to `cells`.
    fn read(cells: &mut RowCells<'_>) -> (Option<Self::Key>, Option<Self>);
}

/// Rows that are the same cell for cell.
#[derive(Debug, Clone, Copy)]
struct IdenticalRows {
    /// The line of the first of these rows. It identifies them: two rows with the same key differ if their first lines differ.
    first: u64,
    /// The line of the row that was taken, if any.
    taken: Option<u64>,
}

/// The state of reading a file.
struct Reader<R: RowKind> {
    rows: Vec<(u64, R)>,
    /// For each row with a key: the key, the line of the first identical row, and the line of the row.
    keys: Vec<(R::Key, u64, u64)>,
    read: usize,
    /// The rows by the hash of their cells.
    identical: HashMap<[u8; 32], IdenticalRows>,
    /// The line of each repeat, with the line of the taken row that it repeats.
    repeats: Vec<(u64, u64)>,
    /// The line of each row of another country, with the code of its local authority.
    abroad: Vec<(u64, u16)>,
    problems: Problems,
    order: DateOrder,
}

/// Reads every row under the header.
pub(super) fn read<R: RowKind>(
    mut records: RecordReader<'_>,
    places: &ColumnPlaces,
    reading: &Reading,
) -> Result<ParsedFile<R>, FileRefused> {
    let mut reader = Reader::<R> {
        rows: Vec::new(),
        keys: Vec::new(),
        read: 0,
        identical: HashMap::new(),
        repeats: Vec::new(),
        abroad: Vec::new(),
        problems: Problems::up_to(reading.limits.problems),
        order: DateOrder::default(),
    };
    let mut row_count = 0;
    while records.read()? {
        // Empty rows count too, because reading them costs as much.
        row_count += 1;
        if row_count > reading.limits.rows {
            return Err(FileRefused::over("the file", reading.limits.rows, "rows"));
        }
        if !is_empty(&records.row, places) {
            reader.add_row(&records, places, reading);
        }
    }
    reader.finish(&records, reading)
}

impl<R: RowKind> Reader<R> {
    /// Reads one row that is not empty.
    fn add_row(&mut self, records: &RecordReader<'_>, places: &ColumnPlaces, reading: &Reading) {
        self.read += 1;
        let line = records.line;
        let mut cells = RowCells::of((&records.row, line), places, R::TABLE, reading.as_at);
        let (key, row) = R::read(&mut cells);
        let hash = hash(&records.row, places);
        let mut identical = self.identical.get(&hash).copied().unwrap_or(IdenticalRows { first: line, taken: None });
        self.keys.extend(key.map(|key| (key, identical.first, line)));
        // The first row may not have been taken because it is cut short. Then an identical row with all columns can still be taken.
        match identical.taken {
            Some(taken) => self.repeats.push((line, taken)),
            None => {
                identical.taken = self.take_or_report(records, places, cells, row).then_some(line);
                self.identical.insert(hash, identical);
            }
        }
    }

    /// Takes a row, or notes why it is not taken. Returns whether it was taken.
    fn take_or_report(
        &mut self,
        records: &RecordReader<'_>,
        places: &ColumnPlaces,
        mut cells: RowCells<'_>,
        row: Option<R>,
    ) -> bool {
        let line = records.line;
        if let Some(reason) = malformed(records, places) {
            self.problems.note(RowProblem { line, column: "(row)".to_owned(), reason });
            return false;
        }
        self.order.look_at(&records.row, line);
        self.order.add_ambiguous(cells.ambiguous_dates);
        cells.note_control_characters();
        match (cells.abroad, row) {
            (Some(code), _) => self.abroad.push((line, code)),
            (None, Some(row)) if cells.problems.is_empty() => {
                self.rows.push((line, row));
                return true;
            }
            (None, _) => cells.problems.into_iter().for_each(|problem| self.problems.note(problem)),
        }
        false
    }

    /// Checks the file as a whole after its last row, and returns its content.
    fn finish(mut self, records: &RecordReader<'_>, reading: &Reading) -> Result<ParsedFile<R>, FileRefused> {
        if self.read == 0 {
            return Err(FileRefused::NoRows);
        }
        if let Some(refused) = self.order.refusal(reading.day_first) {
            return Err(refused);
        }
        let conflicting = note_conflicting_keys::<R>(std::mem::take(&mut self.keys), &mut self.problems);
        self.rows.retain(|(line, _)| !conflicting.contains(line));
        self.abroad.retain(|(line, _)| !conflicting.contains(line));
        self.repeats.retain(|(line, _)| !conflicting.contains(line));
        self.problems.listed.sort();
        self.check_enough_good_rows(reading)?;
        let separator = (records.separator != Separator::Comma).then(|| {
            format!("a {} separates the cells of the file, not a comma; it was read so", records.separator.name())
        });
        let notes =
            [separator, self.order.note(reading.day_first), repeats_note(&self.repeats), abroad_note(&self.abroad)];
        Ok(ParsedFile {
            sha256: records.sha256(),
            rows: self.rows.into_iter().map(|(_, row)| row).collect(),
            read: self.read,
            repeats: self.repeats.len(),
            abroad: self.abroad.len(),
            problems: self.problems.listed,
            problems_beyond: self.problems.beyond,
            notes: notes.into_iter().flatten().collect(),
        })
    }

    /// Refuses a file without good rows, or with too many problems unless the sender accepts them.
    fn check_enough_good_rows(&self, reading: &Reading) -> Result<(), FileRefused> {
        let with_problems = self.problems.lines.len();
        let listed = || self.problems.listed.iter().take(MAX_LISTED).cloned().collect();
        if self.rows.is_empty() {
            let abroad = self.abroad.len();
            return Err(FileRefused::NoGoodRow { rows: self.read, with_problems, abroad, problems: listed() });
        }
        let rows = self.rows.len() + with_problems;
        let too_many = with_problems * 100 > rows * FileRefused::MOST_PROBLEMS_PERCENT;
        match too_many && !reading.accept_problems {
            true => Err(FileRefused::TooManyProblems { rows, with_problems, problems: listed() }),
            false => Ok(()),
        }
    }
}

/// Whether all cells of a row are empty. Cells of columns without a name do not count.
fn is_empty(row: &ByteRecord, places: &ColumnPlaces) -> bool {
    named_cells(row, places).all(|cell| value::text(cell).is_empty())
}

/// The cells of a row in columns with a name, and those beyond the header. A column without a name only numbers the rows.
fn named_cells<'r>(row: &'r ByteRecord, places: &ColumnPlaces) -> impl Iterator<Item = &'r [u8]> {
    let named = places.has_name.iter().copied().chain(std::iter::repeat(true));
    row.iter().zip(named).filter(|(_, named)| *named).map(|(cell, _)| cell)
}

/// A hash of the cells of a row, each trimmed, without empty ones at the end.
fn hash(row: &ByteRecord, places: &ColumnPlaces) -> [u8; 32] {
    let mut sum = Sha256::new();
    let mut empty = 0;
    for cell in named_cells(row, places).map(<[u8]>::trim_ascii) {
        if cell.is_empty() {
            empty += 1;
            continue;
        }
        // Adds a NUL for each cell since the last one that is not empty. No cell contains a NUL.
        for _ in 0..empty {
            sum.update(b"\0");
        }
        empty = 1;
        sum.update(cell);
    }
    sum.finalize().into()
}

/// The problem of a row as a whole, if there is one.
fn malformed(records: &RecordReader<'_>, places: &ColumnPlaces) -> Option<String> {
    let (columns, header) = (records.row.len(), places.has_name.len());
    if records.lines > 1 && columns != header {
        let last = records.line + records.lines - 1;
        return Some(format!(
            "runs on to line {last} and has {columns} columns where the header has {header}: look for a stray quotation mark"
        ));
    }
    if columns < places.min_columns {
        return Some(format!("is cut short: it has {columns} columns, the header {header}"));
    }
    let beyond = records.row.iter().skip(header).any(|cell| !cell.trim_ascii().is_empty());
    let separator = records.separator.name();
    (beyond && !places.list_at_end)
        .then(|| format!("has {columns} columns, the header {header} (a {separator} without quotation marks?)"))
}

/// Finds different rows with the same key. Notes a problem for each of them, and returns their lines.
fn note_conflicting_keys<R: RowKind>(mut keys: Vec<(R::Key, u64, u64)>, problems: &mut Problems) -> HashSet<u64> {
    keys.sort_unstable();
    let of_key = keys.chunk_by(|(a, ..), (b, ..)| a == b);
    let differing = of_key.filter(|rows| rows.first().map(|it| it.1) != rows.last().map(|it| it.1));
    let mut lines = HashSet::new();
    for rows in differing {
        for (_, _, line) in rows {
            let others = rows.iter().map(|(_, _, other)| *other).filter(|other| other != line);
            let reason = format!(
                "the same {} is on {}; none of these rows is taken",
                R::KEY,
                line_names(others, rows.len() - 1)
            );
            problems.note(RowProblem { line: *line, column: R::KEY.to_owned(), reason });
            lines.insert(*line);
        }
    }
    lines
}
