//! Decides which failed calls are retried, and how long to wait before the next try. docs/how-to/client-developer.md has the table.

use std::time::Duration;

use tonic::{Code, Status};

use crate::error::reason;

/// The longest wait before the second try. The longest wait doubles with each further try.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait before any try.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Whether a failed call may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Yes. The call was not carried out, or the next try with its request id returns the stored answer.
    Yes,
    /// Yes, once, with another token.
    WithAnotherToken,
    /// No. The status is the final answer.
    No,
}

/// Decides whether a unary call is retried.
pub(crate) fn classify(status: &Status) -> Retry {
    match (status.code(), reason(status).as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_EXPIRED")) => Retry::WithAnotherToken,
        (Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled, _) => Retry::Yes,
        // The server gives a reason with every error. Without one the error is of the transport, a broken connection.
        (Code::Unknown | Code::Internal, None) => Retry::Yes,
        _ => Retry::No,
    }
}

/// Returns true if the caller has reached the limit of watches.
pub(crate) fn is_too_many_watches(status: &Status) -> bool {
    reason(status).as_deref() == Some("WATCHES_EXCEEDED")
}

/// Returns the wait before the next try, or `None` if no time for the try would be left after the wait. The wait is random, up to
/// a limit that doubles with each try ("full jitter"). So clients that failed together do not retry together.
pub(crate) fn pause(tries: u32, time_left: Duration) -> Option<Duration> {
    let limit = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(MAX_WAIT);
    Some(limit.mul_f64(fastrand::f64())).filter(|wait| *wait < time_left)
}

/// Waits before the next try.
pub(crate) async fn wait(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a bounded back-off before the server is asked again")]
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_fit_the_remaining_time() {
        for (tries, limit) in [(1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (100, 5_000)] {
            let waits: Vec<_> = (0..200).filter_map(|_| pause(tries, Duration::MAX)).collect();
            let longest = waits.iter().max().copied().unwrap_or_default();
            assert_eq!(waits.len(), 200);
            assert!(longest < Duration::from_millis(limit), "{tries}: {longest:?}");
            assert!(longest > Duration::from_millis(limit / 2), "{tries}: random up to the limit");
        }
        let left = Duration::from_millis(40);
        assert!((0..200).filter_map(|_| pause(9, left)).all(|wait| wait < left));
        assert_eq!(pause(1, Duration::ZERO), None);
    }

    #[test]
    fn only_temporary_failures_are_retried() {
        let status_of = |code, reason: &str| {
            let info = ErrorDetails::with_error_info(reason, "tsio", std::collections::HashMap::new());
            Status::with_error_details(code, "said", info)
        };
        let rows = [
            (status_of(Code::Unavailable, "DATABASE_AWAY"), Retry::Yes),
            (status_of(Code::Unavailable, "KEYS_UNAVAILABLE"), Retry::Yes),
            (status_of(Code::Unauthenticated, "TOKEN_REJECTED"), Retry::No),
            (status_of(Code::ResourceExhausted, "OVERLOADED"), Retry::Yes),
            (status_of(Code::DeadlineExceeded, "DEADLINE_PASSED"), Retry::Yes),
            (status_of(Code::Unauthenticated, "TOKEN_EXPIRED"), Retry::WithAnotherToken),
            (status_of(Code::Unauthenticated, "TOKEN_MALFORMED"), Retry::No),
            (status_of(Code::PermissionDenied, "ROLE_MISSING"), Retry::No),
            (status_of(Code::FailedPrecondition, "CAP_EXCEEDED"), Retry::No),
            (status_of(Code::Aborted, "ETAG_STALE"), Retry::No),
            (status_of(Code::AlreadyExists, "REQUEST_ID_REUSED"), Retry::No),
            (status_of(Code::Internal, "INTERNAL"), Retry::No),
            (Status::unknown("transport error"), Retry::Yes),
            (Status::internal("h2 protocol error"), Retry::Yes),
            (Status::cancelled("operation was canceled"), Retry::Yes),
            (Status::invalid_argument("by a proxy"), Retry::No),
        ];
        for (status, expected) in rows {
            assert_eq!(classify(&status), expected, "{status:?}");
        }
    }
}
