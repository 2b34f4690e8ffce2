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

/// Whether a day on which something happened is still to come.
#[must_use]
pub fn is_future(on: Date, today: Date) -> bool {
    on > today
}

/// What is said of such a day.
#[must_use]
pub fn in_future(on: Date, today: Date) -> String {
    format!("{on} lies in the future; today is {today}")
}

/// The moment of a decision, with the civil date it is in Europe/London ("end of day" is London's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The instant.
    pub at: Micros,
    /// The date in London at that instant.
    pub today: Date,
}
