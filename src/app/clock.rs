//! The only code that reads the clock and makes new ids. All other code gets a [`Now`] and ids as arguments.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone as _, Utc};
use uuid::Uuid;

use crate::domain::time::{Micros, Now};

/// The most that this server's clock may differ from the database's. If it differs more, the server changes nothing.
pub const APART: Duration = Duration::from_secs(60);

/// The error if this server's clock and the database's differ by more than [`APART`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server's clock is {} s {} the database's", .apart.as_secs(), if *.is_ahead { "ahead of" } else { "behind" })]
pub struct ClockWrong {
    apart: Duration,
    is_ahead: bool,
}

impl ClockWrong {
    /// Makes the error from the microseconds by which the clock is ahead; a negative number means that it is behind.
    pub(crate) const fn by(ahead_micros: i64) -> Self {
        Self { apart: Duration::from_micros(ahead_micros.unsigned_abs()), is_ahead: ahead_micros > 0 }
    }
}

/// Reads the time. A request reads it once when it is admitted; a write reads it again under its lock.
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

    /// The time for an event that follows one recorded at `last`. Returns the current time or, if that is before `last`, the
    /// time `last`. The date is that of the returned time.
    #[must_use]
    pub fn now_after(&self, last: Option<Micros>) -> Now {
        let current = self.now();
        let last = last.filter(|it| *it > current.at);
        last.and_then(|it| DateTime::from_timestamp_micros(it.0)).map_or(current, now)
    }

    /// How far the clock is behind the last recorded event; 0 if it is not behind.
    #[must_use]
    pub fn behind(&self, last: Option<Micros>) -> Duration {
        let micros = last.map_or(0, |it| it.0.saturating_sub(self.now().at.0));
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    }

    /// Compares the clock with the database's, which was read at some time between `before` and now. `before` can be long
    /// ago, because the statement that read the database's clock may have waited for a lock.
    ///
    /// # Errors
    /// [`ClockWrong`] if the clocks differ by more than [`APART`].
    pub(crate) fn check(&self, before: Micros, database: Option<Micros>) -> Result<(), ClockWrong> {
        let wrong = ClockWrong::by(self.ahead_of(before, database));
        if wrong.apart <= APART { Ok(()) } else { Err(wrong) }
    }

    /// The least number of microseconds by which the clock is ahead of the database's; negative if it is behind. The
    /// database's clock was read at some time between `before` and now. Returns 0 if the database has no clock.
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

/// The moment at which a day begins in London.
pub(crate) fn start_of_day(day: NaiveDate) -> Micros {
    let midnight = chrono_tz::Europe::London.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
    // London's clocks change at one o'clock, so every day has a midnight.
    Micros(
        midnight.map_or_else(|| day.and_time(NaiveTime::MIN).and_utc().timestamp_micros(), |it| it.timestamp_micros()),
    )
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
    fn an_event_is_never_recorded_before_the_event_that_it_follows() {
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
        assert_eq!(clock.now_after(Some(Micros(i64::MAX))).at, micros(NOON), "a time outside the calendar is ignored");
    }

    #[test]
    fn a_clock_can_be_behind_the_last_recorded_event() {
        let clock = Clock::fixed(NOON.parse().unwrap());
        let rows =
            [(None, 0), (Some("2022-01-31T11:00:00Z"), 0), (Some(NOON), 0), (Some("2022-01-31T12:00:02.5Z"), 2_500)];
        for (last, millis) in rows {
            assert_eq!(clock.behind(last.map(micros)), Duration::from_millis(millis), "{last:?}");
        }
    }

    #[test]
    fn a_clock_that_differs_more_than_a_minute_from_the_databases_is_wrong() {
        let clock = Clock::fixed(NOON.parse().unwrap());
        let rows = [
            (NOON, None, None),
            (NOON, Some(NOON), None),
            (NOON, Some("2022-01-31T11:59:00Z"), None),
            (NOON, Some("2022-01-31T12:01:00Z"), None),
            (NOON, Some("2022-01-31T11:58:59Z"), Some("61 s ahead of")),
            (NOON, Some("2022-01-31T12:01:01Z"), Some("61 s behind")),
            // The statement waited five seconds for a lock. The database's clock was read at some time during the wait.
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
    fn a_day_begins_at_midnight_in_london() {
        let rows = [
            ("2022-01-31", "2022-01-31T00:00:00Z"),
            ("2022-07-01", "2022-06-30T23:00:00Z"),
            // The days on which the clocks change.
            ("2021-10-31", "2021-10-30T23:00:00Z"),
            ("2022-03-27", "2022-03-27T00:00:00Z"),
        ];
        for (day, at) in rows {
            assert_eq!(start_of_day(day.parse().unwrap()), micros(at), "{day}");
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
