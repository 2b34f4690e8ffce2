//! In which order a file writes day and month, told from its own dates.
//!
//! A month that an American spreadsheet has saved is full of dates that read well and mean other days. So what only one
//! order can explain is counted: wherever such a date stands in a row, read or not, it tells how the file was saved.

use csv::ByteRecord;

use super::refused::FileRefused;
use super::value::{self, DayOrder};

/// Dates that may be taken day-first on no evidence; with more the file is refused.
const UNTOLD: usize = 20;
/// A date has at most so many bytes: those of the day, and a midnight behind it.
const LONGEST: usize = 40;

/// What the dates of a file tell.
#[derive(Debug, Default)]
pub(super) struct DateOrder {
    day_first: usize,
    month_first: usize,
    first_month_first: Option<(u64, String)>,
    either: usize,
}

impl DateOrder {
    /// Looks at every cell of a row.
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

    /// Counts dates that were read and would be other days with the month first.
    pub(super) fn read_either_way(&mut self, dates: usize) {
        self.either += dates;
    }

    /// Why the file cannot be read, if it cannot.
    pub(super) fn refusal(&self, said_day_first: bool) -> Option<FileRefused> {
        if self.day_first > 0 {
            return None;
        }
        if let Some((line, date)) = &self.first_month_first {
            return Some(FileRefused::MonthFirst { dates: self.month_first, line: *line, date: date.clone() });
        }
        (self.either > UNTOLD && !said_day_first).then_some(FileRefused::DateOrderUntold { dates: self.either })
    }

    /// What is worth a word about a file that is read.
    pub(super) fn note(&self, said_day_first: bool) -> Option<String> {
        (self.day_first == 0 && self.either > 0 && !said_day_first).then(|| {
            format!(
                "nothing in the file tells whether its dates have the day or the month first: {} of them would be other \
                 days with the month first. They were read with the day first",
                self.either
            )
        })
    }
}

/// A first look at the bytes: most cells are no dates.
fn may_be_date(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    let separated = |at: usize| matches!(cell.get(at), Some(b'/' | b'-'));
    cell.len() <= LONGEST && cell.first().is_some_and(u8::is_ascii_digit) && (separated(1) || separated(2))
}
