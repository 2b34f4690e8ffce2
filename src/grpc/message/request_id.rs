//! Records the request id in the span of a request.

use tracing::Span;
use tracing::field::display;

use crate::domain::ids::RequestId;

/// Records the request id in the current span.
pub(in crate::grpc) fn record_request_id(id: RequestId) {
    Span::current().record("request_id", display(id));
}
