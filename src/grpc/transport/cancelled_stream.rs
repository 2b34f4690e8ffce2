//! Makes a cancelled stream of request messages end with an error.
//!
//! If the client cancels, tonic ends the stream as if the client had finished it, so half an upload would look complete.
//! tonic does that only for the code CANCELLED, so this module changes the code to ABORTED.

use http::Request;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::{Code, Status};

/// Makes the body of the request fail with ABORTED if the client cancels.
pub(in crate::grpc) fn abort_if_cancelled(request: Request<Body>) -> Request<Body> {
    request.map(|body| Body::new(body.map_err(cancelled_to_aborted)))
}

fn cancelled_to_aborted(status: Status) -> Status {
    if status.code() == Code::Cancelled { Status::aborted("the call was cancelled") } else { status }
}
