//! The two seams: the one clock and the one source of new ids. Everything else is handed a [`Now`] and ids.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::domain::time::{Micros, Now};

/// Reads the time. Read once per use case.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        Self(Arc::new(Utc::now))
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Arc::new(move || at))
    }

    /// The moment, and the date it is in London.
    #[must_use]
    pub fn now(&self) -> Now {
        let at = (self.0)();
        Now { at: Micros(at.timestamp_micros()), today: london(at) }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// The civil date in Europe/London: "end of day" is London's.
fn london(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&chrono_tz::Europe::London).date_naive()
}

/// A new time-ordered id.
#[must_use]
pub fn new_id() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "the one source of new ids")]
    Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_in_london() {
        let rows = [
            ("2022-01-31T23:59:59Z", "2022-01-31"),
            ("2022-06-30T22:59:59Z", "2022-06-30"),
            ("2022-06-30T23:00:00Z", "2022-07-01"),
            ("2021-10-31T00:30:00Z", "2021-10-31"),
        ];
        for (at, day) in rows {
            let clock = Clock::fixed(at.parse().unwrap());
            assert_eq!(clock.now().today.to_string(), day, "{at}");
        }
    }
}
