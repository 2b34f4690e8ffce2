//! The security log: calls that were denied, with who, as what, from where, under which request id.
//!
//! Bounded, so that denied calls cannot fill the disk. Beyond the bound they are counted, and the next line says how many.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::domain::ids::RequestId;
use crate::domain::role::Caller;
use crate::grpc::message::reason::StatusReason;
use crate::grpc::telemetry::call_span::Roles;

/// Lines a second, and as many more after a quiet time.
const LINES: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

static LIMITER: LazyLock<DefaultDirectRateLimiter> =
    LazyLock::new(|| RateLimiter::direct(Quota::per_second(LINES).allow_burst(LINES.saturating_mul(LINES))));
static UNSAID: AtomicU64 = AtomicU64::new(0);

/// Writes a line, or counts it.
pub(in crate::grpc) fn say(
    rpc: &str,
    caller: Option<&Caller>,
    from: &str,
    request_id: Option<RequestId>,
    reason: StatusReason,
) {
    if LIMITER.check().is_err() {
        UNSAID.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let reason = reason.code();
    let unsaid = UNSAID.swap(0, Ordering::Relaxed);
    let actor = caller.map(|it| it.actor.as_str());
    let roles = caller.map(|it| tracing::field::display(Roles(it)));
    let request_id = request_id.map(tracing::field::display);
    tracing::warn!(target: "tsio::security", rpc, actor, roles, peer = from, request_id, reason, unsaid, "denied");
}
