//! Defines the accounting periods: the months of the financial year, April to March.

use std::fmt;
use std::str::FromStr;

use chrono::Datelike as _;

use super::Date;
use super::ids::BadId;

/// One month of a financial year, written `FY2021-22/M07`; M01 is April (`domain.md` section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The calendar year in which the financial year begins.
    start_year: i32,
    /// 1 is April, 12 is March.
    month: u32,
}

impl Period {
    /// The period in which a day lies.
    #[must_use]
    pub fn of(day: Date) -> Self {
        let (year, month) = (day.year(), day.month());
        if month >= 4 {
            Self { start_year: year, month: month.saturating_sub(3) }
        } else {
            Self { start_year: year.saturating_sub(1), month: month.saturating_add(9) }
        }
    }

    /// Its financial year: `2021-22`.
    #[must_use]
    pub fn year(self) -> String {
        let next = self.start_year.saturating_add(1).rem_euclid(100);
        format!("{:04}-{next:02}", self.start_year)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FY{}/M{:02}", self.year(), self.month)
    }
}

impl FromStr for Period {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let parse = || {
            let (year, month) = s.strip_prefix("FY")?.split_once("/M")?;
            let period = Self { start_year: year.get(..4)?.parse().ok()?, month: month.parse().ok()? };
            ((1..=12).contains(&period.month) && period.to_string() == s).then_some(period)
        };
        parse().ok_or_else(|| BadId {
            value: s.chars().take(60).collect(),
            expected: "an accounting period (like FY2021-22/M07)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_financial_year_begins_in_april() {
        let rows = [
            ("2021-03-31", "FY2020-21/M12"),
            ("2021-04-01", "FY2021-22/M01"),
            ("2021-09-01", "FY2021-22/M06"),
            ("2021-12-31", "FY2021-22/M09"),
            ("2022-01-01", "FY2021-22/M10"),
            ("2022-03-31", "FY2021-22/M12"),
            ("2022-04-01", "FY2022-23/M01"),
            ("1999-05-01", "FY1999-00/M02"),
        ];
        for (day, expected) in rows {
            let period = Period::of(day.parse().unwrap());
            assert_eq!(period.to_string(), expected, "{day}");
            assert_eq!(expected.parse(), Ok(period));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "FY2021-22", "FY2021-22/M13", "FY2021-22/M00", "FY2021-23/M01", "FY2021-22/M7", "2021-22/M07"] {
            assert!(bad.parse::<Period>().is_err(), "{bad:?}");
        }
    }
}
