//! When a call is made again, and when never. docs/clients.md has the table.

use std::time::{Duration, Instant};

use tonic::{Code, Status};

use super::error::reason;

/// The wait before the second try is up to this long; it doubles with each further one.
const WAIT: Duration = Duration::from_millis(100);
/// But never longer.
const LONGEST: Duration = Duration::from_secs(5);

/// What can be done about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Make the call again: it was not done, or its request id answers what was.
    Yes,
    /// Once, with another token.
    WithAnotherToken,
    /// It is an answer.
    No,
}

/// Whether a unary call is made again.
pub(super) fn again(status: &Status) -> Again {
    match (status.code(), reason(status).as_deref()) {
        (Code::Unauthenticated, Some("TOKEN_EXPIRED")) => Again::WithAnotherToken,
        (Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled, _) => Again::Yes,
        // The server names its reason with every error: what has none is the transport's own, a torn connection.
        (Code::Unknown | Code::Internal, None) => Again::Yes,
        _ => Again::No,
    }
}

/// Waits before the next try after so many: by chance up to a bound that doubles, so that clients that failed together do not
/// come back together ("full jitter"). Whether there is time for one: where the wait would outlast `patience`, there is none.
pub(super) async fn wait(tried: u32, patience: Duration, begun: Instant) -> bool {
    let most = WAIT.saturating_mul(1 << tried.saturating_sub(1).min(10)).min(LONGEST);
    let wait = most.mul_f64(fastrand::f64());
    if begun.elapsed().saturating_add(wait) >= patience {
        return false;
    }
    #[expect(clippy::disallowed_methods, reason = "a bounded back-off before the server is asked again")]
    tokio::time::sleep(wait).await;
    true
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn only_what_may_pass_is_made_again() {
        let said = |code, reason: &str| {
            let info = ErrorDetails::with_error_info(reason, "tsio", std::collections::HashMap::new());
            Status::with_error_details(code, "said", info)
        };
        let rows = [
            (said(Code::Unavailable, "DATABASE_AWAY"), Again::Yes),
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
        for (status, wanted) in rows {
            assert_eq!(again(&status), wanted, "{status:?}");
        }
    }
}
