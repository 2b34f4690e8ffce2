//! The moment a use case runs at. Read once from the one clock, then handed down as a plain value.

use serde::{Deserialize, Serialize};

use super::Date;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// So many days of 24 hours earlier.
    #[must_use]
    pub fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i64::from(days).saturating_mul(86_400_000_000)))
    }

    /// So many days of 24 hours later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days).saturating_mul(86_400_000_000)))
    }
}

/// A day on which something is said to have happened, and that is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{on} lies in the future; today is {today}")]
pub struct FutureDate {
    /// The day given.
    pub on: Date,
    /// The day it is in London.
    pub today: Date,
}

/// Checks the day on which something happened: what is recorded has happened, so it never lies in the future.
///
/// # Errors
/// [`FutureDate`].
pub fn happened(on: Date, today: Date) -> Result<Date, FutureDate> {
    if on > today { Err(FutureDate { on, today }) } else { Ok(on) }
}

/// The moment of a decision, with the civil date it is in Europe/London ("end of day" is London's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The instant.
    pub at: Micros,
    /// The date in London at that instant.
    pub today: Date,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_not_still_to_come() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let today = day("2022-03-01");
        for past in ["2022-03-01", "2022-02-28", "2018-09-01"] {
            assert_eq!(happened(day(past), today), Ok(day(past)));
        }
        let future = happened(day("2022-03-02"), today).unwrap_err();
        assert_eq!(future.to_string(), "2022-03-02 lies in the future; today is 2022-03-01");
    }
}
