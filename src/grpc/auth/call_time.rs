//! Keeps the time of a request. The clock is read once, at admission, and every check of the request uses that time. The
//! writer reads the clock again under its lock, because recorded times must not go backwards.

use std::time::Duration;

use http::Extensions;
use tokio::time::Instant;
use tonic::Status;

use crate::app::clock::Clock;
use crate::domain::time::{Micros, Now};
use crate::grpc::message::status::internal;

/// When a request was admitted. Admission puts it in the extensions of the request, where handlers read it.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct CallTime {
    /// The moment, and its date in London.
    pub(in crate::grpc) now: Now,
    /// The same moment on the monotonic clock, for deadlines.
    instant: Instant,
}

impl CallTime {
    /// Reads the clock.
    pub(in crate::grpc) fn read(clock: &Clock) -> Self {
        Self { now: clock.now(), instant: Instant::now() }
    }

    /// Returns the time that was read when the request was admitted.
    ///
    /// # Errors
    /// INTERNAL if the request has no such time: its handler was reached without admission, which is a bug.
    pub(in crate::grpc) fn from_extensions(extensions: &Extensions) -> Result<Self, Status> {
        extensions.get::<Self>().copied().ok_or_else(|| {
            tracing::error!("a handler was reached without admission: the request has no time");
            internal()
        })
    }

    /// Converts a moment to the monotonic clock. Returns `None` if the moment is not after the time of the request.
    pub(in crate::grpc) fn deadline(self, at: Micros) -> Option<Instant> {
        let remaining = u64::try_from(at.0.saturating_sub(self.now.at.0)).ok().filter(|it| *it > 0)?;
        self.instant.checked_add(Duration::from_micros(remaining))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_moment_becomes_a_deadline_on_the_monotonic_clock() {
        let time = CallTime::read(&Clock::fixed("2022-01-31T12:00:00Z".parse().unwrap()));
        let later = |micros: i64| Micros(time.now.at.0 + micros);
        assert_eq!(time.deadline(later(2_000_000)), Some(time.instant + Duration::from_secs(2)));
        assert_eq!(time.deadline(later(0)), None);
        assert_eq!(time.deadline(later(-1)), None);
    }

    #[test]
    fn a_handler_that_is_reached_without_admission_has_no_time() {
        let mut extensions = Extensions::new();
        assert_eq!(CallTime::from_extensions(&extensions).unwrap_err().code(), tonic::Code::Internal);
        let time = CallTime::read(&Clock::fixed("2022-01-31T12:00:00Z".parse().unwrap()));
        extensions.insert(time);
        assert_eq!(CallTime::from_extensions(&extensions).unwrap().now, time.now);
    }
}
