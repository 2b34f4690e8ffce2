//! What the log knows of a call: a span that every line of it lies in, and one line at its end.
//!
//! What is known is given at once: a field that is recorded later has the whole line written again.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use tonic::Code;
use tracing::Span;
use tracing::field::{Empty, display};

use super::{trace_context, traces};
use crate::domain::role::Caller;
use crate::proto::code_name;

/// A call's span: the method (never what a caller made up), who calls and from where, its trace. Its request id comes once
/// the message is read, and why it was not done, where it was not.
pub(in crate::grpc) fn span(
    method: &str,
    headers: &HeaderMap,
    from: Option<SocketAddr>,
    caller: Option<&Caller>,
) -> Span {
    let parent = trace_context::read(headers);
    let span = tracing::info_span!(
        "call",
        rpc = method,
        actor = caller.map(|it| it.actor.as_str()),
        roles = caller.map(|it| display(Roles(it))),
        peer = from.map(display),
        trace_id = parent.map(|it| it.trace_id),
        request_id = Empty,
        why = Empty,
        otel.kind = Empty,
    );
    traces::join(&span, method, parent);
    span
}

/// The call at hand is not done, and why.
pub(in crate::grpc) fn not_done(why: &impl fmt::Display) {
    Span::current().record("why", display(why));
}

/// The one line at a call's end, if it has a span. Only authenticated callers have more than a line of the security log, so that denied
/// calls cannot fill the disk.
pub(in crate::grpc) fn ended(span: &Span, code: Code, took: Duration, let_in: bool) {
    if span.is_none() {
        return;
    }
    traces::ended(span, code);
    let (code_name, took_us) = (code_name(code), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    if let_in && code != Code::Ok {
        tracing::info!(parent: span, code = code_name, took_us, "ended");
    } else {
        tracing::debug!(parent: span, code = code_name, took_us, "ended");
    }
}

/// A caller's roles, by comma.
pub(in crate::grpc) struct Roles<'a>(pub(in crate::grpc) &'a Caller);

impl fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, role) in self.0.roles.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { "," } else { "" }, role.name())?;
        }
        Ok(())
    }
}
