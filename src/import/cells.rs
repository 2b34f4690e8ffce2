//! The cells of one row, by column: what they say, and what is wrong with them.

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
    /// The date the file speaks for.
    pub(super) as_at: Date,
    /// What is wrong so far.
    pub(super) problems: Vec<RowProblem>,
    /// The code of its local authority, when that is none of England's.
    pub(super) abroad: Option<u16>,
    /// Dates read that would be other days with the month first.
    pub(super) either_way: usize,
}

impl<'a> RowCells<'a> {
    pub(super) fn of(
        (row, line): (&'a ByteRecord, u64),
        places: &'a ColumnPlaces,
        table: &'static [ImportColumn],
        as_at: Date,
    ) -> Self {
        Self { row, places, table, line, as_at, problems: Vec::new(), abroad: None, either_way: 0 }
    }

    /// Control characters in the columns that are read. Nothing else is said of such a cell.
    pub(super) fn find_controls(&mut self) {
        for column in 0..self.table.len() {
            if let Some(control) = value::control(&self.text(column)) {
                let name = self.table.get(column).map(|it| it.name);
                self.problems.retain(|it| Some(it.column.as_str()) != name);
                self.problem(column, format!("has the control character U+{:04X}", u32::from(control)));
            }
        }
    }

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
        parsed.map_err(|bad| self.quoted(column, text, &format!("is not {}", bad.expected))).ok()
    }

    /// A date; nothing when unknown.
    pub(super) fn date(&mut self, column: impl Into<usize> + Copy) -> Option<Date> {
        let text = self.text(column);
        let date = value::date(&text).unwrap_or_else(|reason| {
            self.quoted(column, &text, reason);
            None
        });
        if date.is_some() && value::day_order(&text) == Some(DayOrder::Either) {
            self.either_way += 1;
        }
        date
    }

    /// The code of a local authority, which may not be blank.
    pub(super) fn la(&mut self, column: impl Into<usize> + Copy) -> Option<LaCode> {
        if value::whole(&self.text(column)).parse() == Ok(0_u16) {
            self.abroad = Some(0);
            return None;
        }
        self.number(column).filter(|code| self.is_known_la(column, *code))
    }

    /// Whether this is a code of the project's table of local authorities.
    pub(super) fn is_known_la(&mut self, column: impl Into<usize>, code: LaCode) -> bool {
        let known = local_authority(code).is_some();
        if !known && is_outside_england(code) {
            self.abroad = Some(code.get());
        } else if !known {
            self.problem(column, format!("local authority {code} is not in the table of English authorities"));
        }
        known
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
