//! When a call is made again, and when never. docs/how-to/client-developer.md has the table.

use std::time::Duration;

use tonic::{Code, Status};

use crate::error::reason;

/// The wait before the second try is up to this long; it doubles with each further one.
const WAIT: Duration = Duration::from_millis(100);
/// But never longer.
const LONGEST: Duration = Duration::from_secs(5);

/// What can be done about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Make the call again: it was not done, or its request id answers what was.
    Yes,
    /// Once, with another token.
    WithAnotherToken,
    /// It is an answer.
    No,
}

/// Whether a unary call is made again.
pub(crate) fn again(status: &Status) -> Again {
    match (status.code(), reason(status).as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_EXPIRED")) => Again::WithAnotherToken,
        (Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled, _) => Again::Yes,
        // The server names its reason with every error: what has none is the transport's own, a broken connection.
        (Code::Unknown | Code::Internal, None) => Again::Yes,
        _ => Again::No,
    }
}

/// Whether the caller holds as many watches as one may.
pub(crate) fn is_too_many_watches(status: &Status) -> bool {
    reason(status).as_deref() == Some("WATCHES_EXCEEDED")
}

/// The wait before the next try after so many: by chance up to a bound that doubles, so that clients that failed together do not
/// come back together ("full jitter"). None where that leaves no time for the try.
pub(crate) fn pause(tried: u32, left: Duration) -> Option<Duration> {
    let most = WAIT.saturating_mul(1 << tried.saturating_sub(1).min(10)).min(LONGEST);
    Some(most.mul_f64(fastrand::f64())).filter(|wait| *wait < left)
}

/// Waits so long.
pub(crate) async fn wait(wait: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a bounded back-off before the server is asked again")]
    tokio::time::sleep(wait).await;
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_fit_the_time_that_is_left() {
        for (tried, most) in [(1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (100, 5_000)] {
            let waits: Vec<_> = (0..200).filter_map(|_| pause(tried, Duration::MAX)).collect();
            let longest = waits.iter().max().copied().unwrap_or_default();
            assert_eq!(waits.len(), 200);
            assert!(longest < Duration::from_millis(most), "{tried}: {longest:?}");
            assert!(longest > Duration::from_millis(most / 2), "{tried}: by chance, up to the bound");
        }
        let left = Duration::from_millis(40);
        assert!((0..200).filter_map(|_| pause(9, left)).all(|wait| wait < left));
        assert_eq!(pause(1, Duration::ZERO), None);
    }

    #[test]
    fn only_what_may_pass_is_made_again() {
        let said = |code, reason: &str| {
            let info = ErrorDetails::with_error_info(reason, "tsio", std::collections::HashMap::new());
            Status::with_error_details(code, "said", info)
        };
        let rows = [
            (said(Code::Unavailable, "DATABASE_AWAY"), Again::Yes),
            (said(Code::Unavailable, "KEYS_UNAVAILABLE"), Again::Yes),
            (said(Code::Unauthenticated, "TOKEN_REJECTED"), Again::No),
            (said(Code::ResourceExhausted, "OVERLOADED"), Again::Yes),
            (said(Code::DeadlineExceeded, "DEADLINE_PASSED"), Again::Yes),
            (said(Code::Unauthenticated, "TOKEN_EXPIRED"), Again::WithAnotherToken),
            (said(Code::Unauthenticated, "TOKEN_MALFORMED"), Again::No),
            (said(Code::PermissionDenied, "ROLE_MISSING"), Again::No),
            (said(Code::FailedPrecondition, "CAP_EXCEEDED"), Again::No),
            (said(Code::Aborted, "ETAG_STALE"), Again::No),
            (said(Code::AlreadyExists, "REQUEST_ID_REUSED"), Again::No),
            (said(Code::Internal, "INTERNAL"), Again::No),
            (Status::unknown("transport error"), Again::Yes),
            (Status::internal("h2 protocol error"), Again::Yes),
            (Status::cancelled("operation was canceled"), Again::Yes),
            (Status::invalid_argument("by a proxy"), Again::No),
        ];
        for (status, expected) in rows {
            assert_eq!(again(&status), expected, "{status:?}");
        }
    }
}
