//! Reads the cells of one row by column, and collects their problems.

use std::borrow::Cow;
use std::str::FromStr;

use csv::ByteRecord;

use super::aliases::ImportColumn;
use super::findings::RowProblem;
use super::header::ColumnPlaces;
use super::value::{self, DayOrder};
use crate::domain::Date;
use crate::domain::ids::{BadId, LaCode};
use crate::domain::region::{is_outside_england, local_authority};

/// The cells of one row, by column.
pub(super) struct RowCells<'a> {
    row: &'a ByteRecord,
    places: &'a ColumnPlaces,
    table: &'static [ImportColumn],
    line: u64,
    /// The as-at date of the file.
    pub(super) as_at: Date,
    /// The problems found so far.
    pub(super) problems: Vec<RowProblem>,
    /// The code of the row's local authority, if it is outside England; 0 if the row says that it has no local authority (000).
    pub(super) abroad: Option<u16>,
    /// The number of dates read so far that would be other days with the month first.
    pub(super) ambiguous_dates: usize,
}

impl<'a> RowCells<'a> {
    pub(super) fn of(
        (row, line): (&'a ByteRecord, u64),
        places: &'a ColumnPlaces,
        table: &'static [ImportColumn],
        as_at: Date,
    ) -> Self {
        Self { row, places, table, line, as_at, problems: Vec::new(), abroad: None, ambiguous_dates: 0 }
    }

    /// Notes each control character in the columns that are read. Removes the other problems of such a cell.
    pub(super) fn note_control_characters(&mut self) {
        for column in 0..self.table.len() {
            if let Some(control) = value::control(&self.text(column)) {
                let name = self.table.get(column).map(|it| it.name);
                self.problems.retain(|it| Some(it.column.as_str()) != name);
                self.problem(column, format!("has the control character U+{:04X}", u32::from(control)));
            }
        }
    }

    /// Whether the file has the column.
    pub(super) fn has(&self, column: impl Into<usize>) -> bool {
        self.places.indexes.get(column.into()).is_some_and(Option::is_some)
    }

    /// The cell's text; empty if the file has no such column.
    pub(super) fn text(&self, column: impl Into<usize>) -> Cow<'a, str> {
        let index = self.places.indexes.get(column.into()).copied().flatten();
        index.and_then(|index| self.row.get(index)).map_or(Cow::Borrowed(""), value::text)
    }

    /// The cell's text; `None` if it is blank or `NULL`.
    pub(super) fn given(&self, column: impl Into<usize>) -> Option<Cow<'a, str>> {
        Some(self.text(column)).filter(|text| !value::is_absent(text))
    }

    /// The cell's text; `None` if it says that there is no such thing for the school.
    pub(super) fn applicable(&self, column: impl Into<usize>) -> Option<String> {
        Some(self.text(column)).filter(|text| !value::is_not_applicable(text)).map(Cow::into_owned)
    }

    /// The cell's text. Notes a problem if it is blank or `NULL`.
    pub(super) fn needed(&mut self, column: impl Into<usize> + Copy) -> Option<String> {
        let text = self.given(column).map(Cow::into_owned);
        if text.is_none() {
            self.problem(column, "is blank");
        }
        text
    }

    /// A registered number. Notes a problem if the cell is blank or has no such number.
    pub(super) fn number<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize> + Copy) -> Option<T> {
        let text = self.text(column);
        if text.is_empty() {
            self.problem(column, "is blank");
            return None;
        }
        self.parse(column, &text)
    }

    /// A registered number; `None` if the cell says that there is none. Notes a problem if the cell has no such number.
    pub(super) fn number_if_given<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize> + Copy) -> Option<T> {
        let text = self.text(column);
        if value::is_not_applicable(&text) { None } else { self.parse(column, &text) }
    }

    fn parse<T: FromStr<Err = BadId>>(&mut self, column: impl Into<usize>, text: &str) -> Option<T> {
        let number = value::whole(text).parse::<T>();
        number.map_err(|bad| self.quoted(column, text, &format!("is not {}", bad.expected))).ok()
    }

    /// A date; `None` if it is unknown. Notes a problem if the cell has no date.
    pub(super) fn date(&mut self, column: impl Into<usize> + Copy) -> Option<Date> {
        let text = self.text(column);
        let date = value::date(&text).unwrap_or_else(|reason| {
            self.quoted(column, &text, reason);
            None
        });
        if date.is_some() && value::day_order(&text) == Some(DayOrder::Either) {
            self.ambiguous_dates += 1;
        }
        date
    }

    /// The code of an English local authority. Notes 000 and a code of another country in `abroad`, and a problem for any other
    /// text.
    pub(super) fn la(&mut self, column: impl Into<usize> + Copy) -> Option<LaCode> {
        if value::whole(&self.text(column)).parse() == Ok(0_u16) {
            self.abroad = Some(0);
            return None;
        }
        self.number(column).filter(|code| self.check_la(column, *code))
    }

    /// Returns whether this is the code of an English local authority. Notes a code of another country in `abroad`, and a problem
    /// for any other code.
    pub(super) fn check_la(&mut self, column: impl Into<usize>, code: LaCode) -> bool {
        let is_english = local_authority(code).is_some();
        if !is_english && is_outside_england(code) {
            self.abroad = Some(code.get());
        } else if !is_english {
            self.problem(column, format!("local authority {code} is not in the table of English authorities"));
        }
        is_english
    }

    /// Notes a problem with a cell, with the text of the cell as [`value::shown`] shows it.
    pub(super) fn quoted(&mut self, column: impl Into<usize>, text: &str, reason: &str) {
        self.problem(column, format!("{} {reason}", value::shown(text)));
    }

    /// Notes a problem with a cell.
    pub(super) fn problem(&mut self, column: impl Into<usize>, reason: impl Into<String>) {
        let name = self.table.get(column.into()).map_or("(row)", |column| column.name);
        self.problems.push(RowProblem { line: self.line, column: name.to_owned(), reason: reason.into() });
    }
}
