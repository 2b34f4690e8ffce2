//! From rows of text to rows of meaning: every row is either taken or explained.
//!
//! Good rows go in beside bad ones, unless so many have problems that the file is doubtful. Rows
//! that are the same cell for cell are one row; of rows that share a key and differ none goes in, since nothing tells
//! which is right.

use std::collections::{HashMap, HashSet};

use csv::ByteRecord;
use sha2::{Digest as _, Sha256};

use super::aliases::ImportColumn;
use super::cells::RowCells;
use super::date_order::DateOrder;
use super::findings::{Problems, RowProblem, abroad_note, named, repeats_note};
use super::header::ColumnPlaces;
use super::limits::Reading;
use super::records::{RecordReader, Separator};
use super::refused::FileRefused;
use super::value;

/// Problems that a refusal lists.
const LISTED: usize = 50;

/// One file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedFile<R> {
    /// SHA-256 of the unpacked bytes, so that a packed and a plain copy are the same file.
    pub sha256: [u8; 32],
    /// The good rows, in the file's order.
    pub rows: Vec<R>,
    /// Rows under the header, wholly empty ones not counted.
    pub read: usize,
    /// Of these, rows that repeat another one cell for cell.
    pub repeats: usize,
    /// Of these, rows of other countries.
    pub abroad: usize,
    /// What is wrong with the others, by line; at most [`ImportLimits::problems`](super::ImportLimits::problems).
    pub problems: Vec<RowProblem>,
    /// Problems beyond that number.
    pub problems_beyond: usize,
    /// What is worth a word about the file as a whole.
    pub notes: Vec<String>,
}

/// A row type and how it is read.
pub(super) trait RowKind: Sized {
    /// What no two rows of a file may share.
    type Key: Ord;
    /// That key's columns, for a problem.
    const KEY: &'static str;
    /// The columns read.
    const TABLE: &'static [ImportColumn];

    /// The key, when it can be read, and the row, when nothing is missing. Problems go to `cells`.
    fn read(cells: &mut RowCells<'_>) -> (Option<Self::Key>, Option<Self>);
}

/// Rows that are the same cell for cell.
#[derive(Debug, Clone, Copy)]
struct Same {
    /// The line of the first one, by which their key is one key.
    first: u64,
    /// The line of the one that was taken.
    taken: Option<u64>,
}

/// What has been read of a file so far.
struct Reader<R: RowKind> {
    rows: Vec<(u64, R)>,
    /// The key of each row, the line of the first that is the same, and its own.
    keys: Vec<(R::Key, u64, u64)>,
    read: usize,
    /// The rows by the hash of their cells.
    same: HashMap<[u8; 32], Same>,
    /// Lines that repeat another one, with that one.
    repeats: Vec<(u64, u64)>,
    /// Lines of other countries, with the code of their local authority.
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
        same: HashMap::new(),
        repeats: Vec::new(),
        abroad: Vec::new(),
        problems: Problems::up_to(reading.limits.problems),
        order: DateOrder::default(),
    };
    let mut seen = 0;
    while records.read()? {
        // Empty ones too: they cost as much to read as any.
        seen += 1;
        if seen > reading.limits.rows {
            return Err(FileRefused::over("the file", reading.limits.rows, "rows"));
        }
        if !is_empty(&records.row, places) {
            reader.take(&records, places, reading);
        }
    }
    reader.done(&records, reading)
}

impl<R: RowKind> Reader<R> {
    /// One row that is not empty.
    fn take(&mut self, records: &RecordReader<'_>, places: &ColumnPlaces, reading: &Reading) {
        self.read += 1;
        let line = records.line;
        let mut cells = RowCells::of((&records.row, line), places, R::TABLE, reading.as_at);
        let (key, row) = R::read(&mut cells);
        let hash = hash(&records.row, places);
        let mut same = self.same.get(&hash).copied().unwrap_or(Same { first: line, taken: None });
        self.keys.extend(key.map(|key| (key, same.first, line)));
        // One that repeats a row with problems is a row with problems, or is good where that one is cut short.
        match same.taken {
            Some(taken) => self.repeats.push((line, taken)),
            None => {
                same.taken = self.judge(records, places, cells, row).then_some(line);
                self.same.insert(hash, same);
            }
        }
    }

    /// Takes a row, or explains why not; answers whether it was taken.
    fn judge(
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
        self.order.read_either_way(cells.either_way);
        cells.find_controls();
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

    /// The file as a whole, after its last row.
    fn done(mut self, records: &RecordReader<'_>, reading: &Reading) -> Result<ParsedFile<R>, FileRefused> {
        if self.read == 0 {
            return Err(FileRefused::NoRows);
        }
        if let Some(refused) = self.order.refusal(reading.day_first) {
            return Err(refused);
        }
        let repeated = repeated::<R>(std::mem::take(&mut self.keys), &mut self.problems);
        self.rows.retain(|(line, _)| !repeated.contains(line));
        self.abroad.retain(|(line, _)| !repeated.contains(line));
        self.repeats.retain(|(line, _)| !repeated.contains(line));
        self.problems.listed.sort();
        self.is_worth_taking(reading)?;
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

    /// Whether enough of the rows are good.
    fn is_worth_taking(&self, reading: &Reading) -> Result<(), FileRefused> {
        let with_problems = self.problems.lines.len();
        let listed = || self.problems.listed.iter().take(LISTED).cloned().collect();
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

/// Nothing in any named column, nor beyond them.
fn is_empty(row: &ByteRecord, places: &ColumnPlaces) -> bool {
    named_cells(row, places).all(|cell| value::text(cell).is_empty())
}

/// The cells of a row but those of columns without a name: such a one numbers the rows.
fn named_cells<'r>(row: &'r ByteRecord, places: &ColumnPlaces) -> impl Iterator<Item = &'r [u8]> {
    let named = places.named.iter().copied().chain(std::iter::repeat(true));
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
        // A NUL is in no cell.
        for _ in 0..empty {
            sum.update(b"\0");
        }
        empty = 1;
        sum.update(cell);
    }
    sum.finalize().into()
}

/// What is wrong with the row as a whole.
fn malformed(records: &RecordReader<'_>, places: &ColumnPlaces) -> Option<String> {
    let (has, header) = (records.row.len(), places.named.len());
    if records.lines > 1 && has != header {
        let last = records.line + records.lines - 1;
        return Some(format!(
            "runs on to line {last} and has {has} columns where the header has {header}: look for a stray quotation mark"
        ));
    }
    if has < places.needed {
        return Some(format!("is cut short: it has {has} columns, the header {header}"));
    }
    let beyond = records.row.iter().skip(header).any(|cell| !cell.trim_ascii().is_empty());
    let separator = records.separator.name();
    (beyond && !places.list_at_end)
        .then(|| format!("has {has} columns, the header {header} (a {separator} without quotation marks?)"))
}

/// The lines whose key a row that differs has too, each noted.
fn repeated<R: RowKind>(mut keys: Vec<(R::Key, u64, u64)>, problems: &mut Problems) -> HashSet<u64> {
    keys.sort_unstable();
    let of_key = keys.chunk_by(|(a, ..), (b, ..)| a == b);
    let differing = of_key.filter(|them| them.first().map(|it| it.1) != them.last().map(|it| it.1));
    let mut lines = HashSet::new();
    for them in differing {
        for (_, _, line) in them {
            let others = them.iter().map(|(_, _, other)| *other).filter(|other| other != line);
            let reason =
                format!("the same {} is on {}; none of these rows is taken", R::KEY, named(others, them.len() - 1));
            problems.note(RowProblem { line: *line, column: R::KEY.to_owned(), reason });
            lines.insert(*line);
        }
    }
    lines
}
