//! Writes the security log: a line for each denied request, with the caller, its roles, its address, the request id and the
//! reason.
//!
//! The number of lines per second is limited, so that denied requests cannot fill the disk. Requests beyond the limit are
//! counted, and the next line states their number as `unsaid`.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::domain::ids::RequestId;
use crate::domain::role::Caller;
use crate::grpc::message::reason::StatusReason;
use crate::grpc::telemetry::call_span::Roles;

/// The most lines per second, which is 10. After a quiet time a burst of 10 × 10 lines is allowed.
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

static LIMITER: LazyLock<DefaultDirectRateLimiter> = LazyLock::new(|| {
    RateLimiter::direct(
        Quota::per_second(LINES_PER_SECOND).allow_burst(LINES_PER_SECOND.saturating_mul(LINES_PER_SECOND)),
    )
});
static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Logs a denied request, or counts it if the rate limit is reached.
pub(in crate::grpc) fn log_denied_call(
    rpc: &str,
    caller: Option<&Caller>,
    peer: &str,
    request_id: Option<RequestId>,
    reason: StatusReason,
) {
    if LIMITER.check().is_err() {
        SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let reason = reason.code();
    let unsaid = SUPPRESSED.swap(0, Ordering::Relaxed);
    let actor = caller.map(|it| it.actor.as_str());
    let roles = caller.map(|it| tracing::field::display(Roles(it)));
    let request_id = request_id.map(tracing::field::display);
    tracing::warn!(target: "tsio::security", rpc, actor, roles, peer, request_id, reason, unsaid, "denied");
}
