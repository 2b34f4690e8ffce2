//! The request id of a call, for its span.

use tracing::Span;
use tracing::field::display;

use crate::domain::ids::RequestId;

/// The request id of the call at hand is known.
pub(in crate::grpc) fn requested(id: RequestId) {
    Span::current().record("request_id", display(id));
}
