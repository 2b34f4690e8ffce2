//! From rows of text to rows of meaning: every row is either taken or explained.
//!
//! Good rows go in whatever their neighbours are; of rows that share a key none does, since nothing tells
//! which is right.

use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr;

use csv::ByteRecord;

use super::aliases::Column;
use super::header::Places;
use super::limits::Limits;
use super::records::Records;
use super::refused::FileRefused;
use super::value;
use crate::domain::Date;
use crate::domain::ids::{BadId, LaCode};
use crate::domain::region::local_authority;

/// One file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedFile<R> {
    /// SHA-256 of the unpacked bytes, so that a packed and a plain copy are the same file.
    pub sha256: [u8; 32],
    /// The good rows, in the file's order.
    pub rows: Vec<R>,
    /// Rows under the header, wholly empty ones not counted.
    pub read: usize,
    /// What is wrong with the others, by line; at most [`Limits::problems`].
    pub problems: Vec<RowProblem>,
    /// Problems beyond that number.
    pub problems_beyond: usize,
}

/// What is wrong with one cell of one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowProblem {
    /// The line of the unpacked file the row starts on, from 1.
    pub line: u64,
    /// The column's standard name; `(row)` when it is the row as a whole.
    pub column: String,
    /// What is wrong, quoting the cell where it cannot be a name.
    pub reason: String,
}

/// A row type and how it is read.
pub(super) trait Row: Sized {
    /// What no two rows of a file may share.
    type Key: Ord;
    /// That key's columns, for a problem.
    const KEY: &'static str;
    /// The columns read.
    const TABLE: &'static [Column];

    /// The key, when it can be read, and the row, when nothing is missing. Problems go to `cells`.
    fn read(cells: &mut Cells<'_>) -> (Option<Self::Key>, Option<Self>);
}

/// The cells of one row, by column.
pub(super) struct Cells<'a> {
    row: &'a ByteRecord,
    places: &'a Places,
    table: &'static [Column],
    line: u64,
    problems: Vec<RowProblem>,
}

impl<'a> Cells<'a> {
    /// Whether the file has the column at all.
    pub(super) fn has(&self, column: impl Into<usize>) -> bool {
        self.places.at.get(column.into()).is_some_and(Option::is_some)
    }

    /// The cell's text; empty when the file has no such column.
    pub(super) fn text(&self, column: impl Into<usize>) -> Cow<'a, str> {
        let place = self.places.at.get(column.into()).copied().flatten();
        place.and_then(|place| self.row.get(place)).map_or(Cow::Borrowed(""), value::text)
    }

    /// The cell's text, unless it is blank or `NULL`.
    pub(super) fn given(&self, column: impl Into<usize>) -> Option<Cow<'a, str>> {
        Some(self.text(column)).filter(|text| !value::is_absent(text))
    }

    /// The cell's text, unless it says that there is none.
    pub(super) fn applicable(&self, column: impl Into<usize>) -> Option<String> {
        Some(self.text(column)).filter(|text| !value::is_not_applicable(text)).map(Cow::into_owned)
    }

    /// The cell's text, which may not be blank.
    pub(super) fn needed(&mut self, column: impl Into<usize> + Copy) -> Option<String> {
        let given = self.given(column).map(Cow::into_owned);
        if given.is_none() {
            self.problem(column, "is blank");
        }
        given
    }

    /// A registered number, which may not be blank.
    pub(super) fn number<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize> + Copy) -> Option<T> {
        let text = self.text(column);
        if text.is_empty() {
            self.problem(column, "is blank");
            return None;
        }
        self.parsed(column, &text)
    }

    /// A registered number, where there may be none.
    pub(super) fn number_if_given<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize> + Copy) -> Option<T> {
        let text = self.text(column);
        if value::is_not_applicable(&text) { None } else { self.parsed(column, &text) }
    }

    fn parsed<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize>, text: &str) -> Option<T> {
        let parsed = value::whole(text).parse::<T>();
        parsed.map_err(|bad| self.quoted(column, text, &format!("is not {}", bad.wanted))).ok()
    }

    /// A date; nothing when unknown.
    pub(super) fn date(&mut self, column: impl Into<usize> + Copy) -> Option<Date> {
        let text = self.text(column);
        value::date(&text).unwrap_or_else(|reason| {
            self.quoted(column, &text, reason);
            None
        })
    }

    /// A code of the project's table of local authorities.
    pub(super) fn known_la(&mut self, column: impl Into<usize>, code: LaCode) {
        if local_authority(code).is_none() {
            self.problem(column, format!("local authority {code} is not in the table of English authorities"));
        }
    }

    /// Notes a problem with a cell, quoting it as far as [`value::shown`] does.
    pub(super) fn quoted(&mut self, column: impl Into<usize>, text: &str, reason: &str) {
        self.problem(column, format!("{} {reason}", value::shown(text)));
    }

    /// Notes a problem with a cell.
    pub(super) fn problem(&mut self, column: impl Into<usize>, reason: impl Into<String>) {
        let name = self.table.get(column.into()).map_or("(row)", |column| column.name);
        self.problems.push(RowProblem { line: self.line, column: name.to_owned(), reason: reason.into() });
    }
}

/// Reads every row under the header.
pub(super) fn read<R: Row>(
    mut records: Records<'_>,
    places: &Places,
    limits: &Limits,
) -> Result<ParsedFile<R>, FileRefused> {
    let mut rows = Vec::new();
    let mut keys = Vec::new();
    let (mut seen, mut read) = (0, 0);
    let mut found = Found { problems: Vec::new(), beyond: 0, most: limits.problems };
    while records.read()? {
        // Empty ones too: they cost as much to read as any.
        seen += 1;
        if seen > limits.rows {
            return Err(FileRefused::over("the file", limits.rows, "rows"));
        }
        if is_empty(&records.row, places) {
            continue;
        }
        read += 1;
        let line = records.line;
        let mut cells = Cells { row: &records.row, places, table: R::TABLE, line, problems: Vec::new() };
        let (key, row) = R::read(&mut cells);
        keys.extend(key.map(|key| (key, line)));
        match (malformed(&records, places), row) {
            (Some(reason), _) => found.note(RowProblem { line, column: "(row)".to_owned(), reason }),
            (None, Some(row)) if cells.problems.is_empty() => rows.push((line, row)),
            (None, _) => cells.problems.into_iter().for_each(|problem| found.note(problem)),
        }
    }
    if read == 0 {
        return Err(FileRefused::NoRows);
    }
    let repeated = repeated::<R>(keys, &mut found);
    rows.retain(|(line, _)| !repeated.contains(line));
    found.problems.sort();
    Ok(ParsedFile {
        sha256: records.sha256(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        read,
        problems: found.problems,
        problems_beyond: found.beyond,
    })
}

/// Problems, up to a number.
struct Found {
    problems: Vec<RowProblem>,
    beyond: usize,
    most: usize,
}

impl Found {
    fn note(&mut self, problem: RowProblem) {
        if self.problems.len() < self.most {
            self.problems.push(problem);
        } else {
            self.beyond += 1;
        }
    }
}

/// Nothing in any named column, nor beyond them.
fn is_empty(row: &ByteRecord, places: &Places) -> bool {
    let named = places.named.iter().copied().chain(std::iter::repeat(true));
    row.iter().zip(named).all(|(cell, named)| !named || value::text(cell).is_empty())
}

/// What is wrong with the row as a whole.
fn malformed(records: &Records<'_>, places: &Places) -> Option<String> {
    let (has, header) = (records.row.len(), places.named.len());
    if records.lines > 1 && has != header {
        let last = records.line + records.lines - 1;
        return Some(format!(
            "runs on to line {last} and has {has} columns where the header has {header}: look for a stray quotation mark"
        ));
    }
    (has < places.needed).then(|| format!("is cut short: it has {has} columns, the header {header}"))
}

/// The lines whose key is on another line too, each noted.
fn repeated<R: Row>(mut keys: Vec<(R::Key, u64)>, found: &mut Found) -> HashSet<u64> {
    keys.sort_unstable();
    let same = keys.chunk_by(|(a, _), (b, _)| a == b).filter(|same| same.len() > 1);
    let mut lines = HashSet::new();
    for same in same {
        for (_, line) in same {
            let others = same.iter().map(|(_, other)| *other).filter(|other| other != line);
            let reason =
                format!("the same {} is on {}; none of these rows is taken", R::KEY, named(others, same.len() - 1));
            found.note(RowProblem { line: *line, column: R::KEY.to_owned(), reason });
            lines.insert(*line);
        }
    }
    lines
}

/// "line 7", "lines 7, 9", and no more than five of them: a file of one URN must not list itself squared.
fn named(lines: impl Iterator<Item = u64>, count: usize) -> String {
    const MOST: usize = 5;
    let shown = lines.take(MOST).map(|line| line.to_string()).collect::<Vec<_>>().join(", ");
    match count {
        1 => format!("line {shown}"),
        2..=MOST => format!("lines {shown}"),
        _ => format!("lines {shown} and {} more", count - MOST),
    }
}
