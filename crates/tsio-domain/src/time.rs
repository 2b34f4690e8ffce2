//! Defines the time at which a request is handled. The clock is read once for each request; the time is
//! then passed on as a plain value.

use serde::{Deserialize, Serialize};

use super::Date;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The instant `days` days of 24 hours earlier.
    #[must_use]
    pub fn minus_days(self, days: u32) -> Self {
        Self(self.0.saturating_sub(i64::from(days).saturating_mul(86_400_000_000)))
    }

    /// The instant `days` days of 24 hours later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days).saturating_mul(86_400_000_000)))
    }
}

/// An effective date in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{on} lies in the future; today is {today}")]
pub struct FutureDate {
    /// The effective date.
    pub on: Date,
    /// The current date in London.
    pub today: Date,
}

/// Checks that the day `on`, on which something happened, is not after `today`. Returns `on`.
///
/// # Errors
/// [`FutureDate`].
pub fn happened(on: Date, today: Date) -> Result<Date, FutureDate> {
    if on > today { Err(FutureDate { on, today }) } else { Ok(on) }
}

/// The time of a decision, with its date in Europe/London. A day ends at midnight in London.
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
    fn a_day_on_which_something_happened_is_not_in_the_future() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let today = day("2022-03-01");
        for past in ["2022-03-01", "2022-02-28", "2018-09-01"] {
            assert_eq!(happened(day(past), today), Ok(day(past)));
        }
        let future = happened(day("2022-03-02"), today).unwrap_err();
        assert_eq!(future.to_string(), "2022-03-02 lies in the future; today is 2022-03-01");
    }
}
