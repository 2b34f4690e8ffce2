//! A stream of requests that is cut off ends with an error, never quietly.
//!
//! tonic ends a stream of messages whose call was cancelled as if the caller had finished it, so that half an upload
//! would pass for a whole one. The code of the failure is what it looks at; here it becomes another one.

use http::Request;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::{Code, Status};

/// The same request, whose body says so when its call was cancelled.
pub(in crate::grpc) fn told(request: Request<Body>) -> Request<Body> {
    request.map(|body| Body::new(body.map_err(as_failure)))
}

fn as_failure(status: Status) -> Status {
    if status.code() == Code::Cancelled { Status::aborted("the call was cancelled") } else { status }
}
