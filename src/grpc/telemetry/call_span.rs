//! Makes the span of a request, which every log line of the request belongs to, and logs the end of the request.
//!
//! As many fields as possible are set when the span is made, because recording a field later formats all fields again.

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

/// Makes the span of a request, with the method, the caller, the address and the trace of the caller. For an unknown
/// method, `method` must not be the client's text, because a client could invent any text. The request id is recorded when
/// the message is read; `why` is recorded if the request fails.
pub(in crate::grpc) fn new_span(
    method: &str,
    headers: &HeaderMap,
    address: Option<SocketAddr>,
    caller: Option<&Caller>,
) -> Span {
    let parent = trace_context::read(headers);
    let span = tracing::info_span!(
        "call",
        rpc = method,
        actor = caller.map(|it| it.actor.as_str()),
        roles = caller.map(|it| display(Roles(it))),
        peer = address.map(display),
        trace_id = parent.map(|it| it.trace_id),
        request_id = Empty,
        why = Empty,
        otel.kind = Empty,
    );
    traces::join_trace(&span, method, parent);
    span
}

/// Records in the current span why the request failed.
pub(in crate::grpc) fn record_failure(reason: &impl fmt::Display) {
    Span::current().record("why", display(reason));
}

/// Logs the end of a request, if it has a span. A request that succeeded or was not authenticated is logged at debug level
/// only, so that denied requests cannot fill the disk. The security log has the denied requests.
pub(in crate::grpc) fn log_end(span: &Span, code: Code, took: Duration, is_authenticated: bool) {
    if span.is_none() {
        return;
    }
    traces::record_status(span, code);
    let (code_name, took_us) = (code_name(code), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    if is_authenticated && code != Code::Ok {
        tracing::info!(parent: span, code = code_name, took_us, "ended");
    } else {
        tracing::debug!(parent: span, code = code_name, took_us, "ended");
    }
}

/// Displays the roles of a caller, separated by commas.
pub(in crate::grpc) struct Roles<'a>(pub(in crate::grpc) &'a Caller);

impl fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, role) in self.0.roles.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { "," } else { "" }, role.name())?;
        }
        Ok(())
    }
}
