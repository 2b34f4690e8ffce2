//! The only code that reads the clock and makes new ids. All other code gets a [`Now`] and ids as arguments.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::domain::time::{Micros, Now};

/// The most that this server's clock may differ from the database's. Beyond that the server changes nothing.
pub const APART: Duration = Duration::from_secs(60);

/// This server's clock and the database's are more than [`APART`] from each other: nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server's clock is {} s {} the database's", .apart.as_secs(), if *.is_ahead { "ahead of" } else { "behind" })]
pub struct ClockWrong {
    apart: Duration,
    is_ahead: bool,
}

impl ClockWrong {
    /// Made from the microseconds that the clock is ahead; a negative number means behind.
    pub(crate) const fn by(ahead: i64) -> Self {
        Self { apart: Duration::from_micros(ahead.unsigned_abs()), is_ahead: ahead > 0 }
    }
}

/// Reads the time: once for each request, when it is admitted, and again under the lock of a write.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        Self(Arc::new(Utc::now))
    }

    /// A clock that always shows the same time.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Arc::new(move || at))
    }

    /// A clock with its own source of time, for tests of wrong clocks.
    #[must_use]
    pub fn of(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The current time, and its date in London.
    #[must_use]
    pub fn now(&self) -> Now {
        now((self.0)())
    }

    /// The time to record an event after one recorded at `last`: the current time, but never before `last`. The date is that
    /// of the same time.
    #[must_use]
    pub fn now_after(&self, last: Option<Micros>) -> Now {
        let by_clock = self.now();
        let last = last.filter(|it| *it > by_clock.at);
        last.and_then(|it| DateTime::from_timestamp_micros(it.0)).map_or(by_clock, now)
    }

    /// How far the clock is behind the last recorded event; 0 if it is not behind.
    #[must_use]
    pub fn behind(&self, last: Option<Micros>) -> Duration {
        let micros = last.map_or(0, |it| it.0.saturating_sub(self.now().at.0));
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// Compares the clock with the database's, which was read at some time between `before` and now. The two times can be far
    /// apart, as the statement may have waited for a lock.
    ///
    /// # Errors
    /// [`ClockWrong`] if the clocks differ by more than [`APART`].
    pub(crate) fn check(&self, before: Micros, database: Option<Micros>) -> Result<(), ClockWrong> {
        let wrong = ClockWrong::by(self.ahead_of(before, database));
        if wrong.apart <= APART { Ok(()) } else { Err(wrong) }
    }

    /// The least number of microseconds that the clock is ahead of the database's, or negative if it is behind. The database's
    /// clock was read at some time between `before` and now.
    pub(crate) fn ahead_of(&self, before: Micros, database: Option<Micros>) -> i64 {
        let Some(database) = database else { return 0 };
        let ahead = before.0.saturating_sub(database.0).max(0);
        let behind = database.0.saturating_sub(self.now().at.0).max(0);
        ahead.saturating_sub(behind)
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// A recorded time with its date in London; `None` if the number is out of the calendar's range.
pub(crate) fn moment(at: Micros) -> Option<Now> {
    DateTime::from_timestamp_micros(at.0).map(now)
}

fn now(at: DateTime<Utc>) -> Now {
    Now { at: Micros(at.timestamp_micros()), today: london(at) }
}

/// The date in Europe/London, where a day of the scheme begins and ends.
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

    const NOON: &str = "2022-01-31T12:00:00Z";

    fn micros(at: &str) -> Micros {
        Micros(at.parse::<DateTime<Utc>>().unwrap().timestamp_micros())
    }

    #[test]
    fn nothing_is_recorded_before_what_came_before_it() {
        let clock = Clock::fixed(NOON.parse().unwrap());
        let rows = [
            (None, NOON, "2022-01-31"),
            (Some("2022-01-31T11:59:59Z"), NOON, "2022-01-31"),
            (Some(NOON), NOON, "2022-01-31"),
            (Some("2022-01-31T12:00:00.000001Z"), "2022-01-31T12:00:00.000001Z", "2022-01-31"),
            (Some("2022-02-01T00:00:00Z"), "2022-02-01T00:00:00Z", "2022-02-01"),
            // Midnight in London, in summer.
            (Some("2022-06-30T23:00:00Z"), "2022-06-30T23:00:00Z", "2022-07-01"),
        ];
        for (last, at, today) in rows {
            let now = clock.now_after(last.map(micros));
            assert_eq!((now.at, now.today.to_string().as_str()), (micros(at), today), "{last:?}");
        }
        assert_eq!(clock.now_after(Some(Micros(i64::MAX))).at, micros(NOON), "no such moment");
    }

    #[test]
    fn a_clock_is_behind_what_was_recorded_last() {
        let clock = Clock::fixed(NOON.parse().unwrap());
        let rows =
            [(None, 0), (Some("2022-01-31T11:00:00Z"), 0), (Some(NOON), 0), (Some("2022-01-31T12:00:02.5Z"), 2_500)];
        for (last, millis) in rows {
            assert_eq!(clock.behind(last.map(micros)), Duration::from_millis(millis), "{last:?}");
        }
    }

    #[test]
    fn a_clock_is_a_minute_from_the_databases_at_most() {
        let clock = Clock::fixed(NOON.parse().unwrap());
        let rows = [
            (NOON, None, None),
            (NOON, Some(NOON), None),
            (NOON, Some("2022-01-31T11:59:00Z"), None),
            (NOON, Some("2022-01-31T12:01:00Z"), None),
            (NOON, Some("2022-01-31T11:58:59Z"), Some("61 s ahead of")),
            (NOON, Some("2022-01-31T12:01:01Z"), Some("61 s behind")),
            // The statement waited five seconds for the lock; the database's clock was read at any time in between.
            ("2022-01-31T11:59:55Z", Some("2022-01-31T11:58:55Z"), None),
            ("2022-01-31T11:59:55Z", Some("2022-01-31T12:01:00Z"), None),
            ("2022-01-31T11:59:55Z", Some("2022-01-31T11:58:54Z"), Some("61 s ahead of")),
        ];
        for (before, database, wrong) in rows {
            let checked = clock.check(micros(before), database.map(micros));
            let message = checked.err().map(|error| error.to_string());
            let expected = wrong.map(|it| format!("this server's clock is {it} the database's"));
            assert_eq!(message, expected, "{before} {database:?}");
        }
    }

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
