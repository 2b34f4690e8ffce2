//! Finds out from a file's dates whether the file writes the day or the month first.
//!
//! In a file that an American spreadsheet has saved, most dates can still be read but mean other days. So dates that are possible
//! in only one order are counted. Such a date shows how the file was saved, even in a column that is not read.

use csv::ByteRecord;

use super::refused::FileRefused;
use super::value::{self, DayOrder};

/// The most ambiguous dates that are read day-first without evidence. A file with more of them is refused.
const MAX_AMBIGUOUS: usize = 20;
/// The most bytes of a date: those of the day, and of the time `00:00:00` that may follow it in one of several forms.
const MAX_DATE_BYTES: usize = 40;

/// The counts of a file's dates by the orders in which they are possible.
#[derive(Debug, Default)]
pub(super) struct DateOrder {
    day_first: usize,
    month_first: usize,
    first_month_first: Option<(u64, String)>,
    ambiguous: usize,
}

impl DateOrder {
    /// Counts the dates of a row that are possible in only one order, in all its cells.
    pub(super) fn look_at(&mut self, row: &ByteRecord, line: u64) {
        for cell in row.iter().filter(|cell| may_be_date(cell)) {
            let text = value::text(cell);
            match value::day_order(&text) {
                Some(DayOrder::DayFirst) => self.day_first += 1,
                Some(DayOrder::MonthFirst) => {
                    self.month_first += 1;
                    self.first_month_first.get_or_insert_with(|| (line, text.into_owned()));
                }
                Some(DayOrder::Either) | None => {}
            }
        }
    }

    /// Adds a number of ambiguous dates: dates that were read and would be other days with the month first.
    pub(super) fn add_ambiguous(&mut self, dates: usize) {
        self.ambiguous += dates;
    }

    /// Why the file is refused, if it is. `said_day_first`: the sender says that the dates are day-first.
    pub(super) fn refusal(&self, said_day_first: bool) -> Option<FileRefused> {
        if self.day_first > 0 {
            return None;
        }
        if let Some((line, date)) = &self.first_month_first {
            return Some(FileRefused::MonthFirst { dates: self.month_first, line: *line, date: date.clone() });
        }
        (self.ambiguous > MAX_AMBIGUOUS && !said_day_first)
            .then_some(FileRefused::DateOrderUntold { dates: self.ambiguous })
    }

    /// The note that ambiguous dates were read day-first without evidence, if there are such dates.
    pub(super) fn note(&self, said_day_first: bool) -> Option<String> {
        (self.day_first == 0 && self.ambiguous > 0 && !said_day_first).then(|| {
            format!(
                "nothing in the file tells whether its dates have the day or the month first: {} of them would be other \
                 days with the month first. They were read with the day first",
                self.ambiguous
            )
        })
    }
}

/// Whether a cell may be a date: a quick check of its bytes, because most cells are no dates.
fn may_be_date(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    let has_separator = |index: usize| matches!(cell.get(index), Some(b'/' | b'-'));
    cell.len() <= MAX_DATE_BYTES
        && cell.first().is_some_and(u8::is_ascii_digit)
        && (has_separator(1) || has_separator(2))
}
