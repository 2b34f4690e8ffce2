//! A message that does not come in its time is not waited for: its call holds a place among those in flight.
//!
//! Uploads are bounded by themselves (`upload.rs`): they take as long as a file over a slow line.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::grpc::auth::method::Method;

/// How long the one message of a call may take to come: 4 MiB over a slow line.
const MESSAGE: Duration = Duration::from_secs(20);

/// The same request, whose message fails when it takes too long.
pub(in crate::grpc) fn in_time(request: Request<Body>) -> Request<Body> {
    if Method::at(request.uri().path()).is_some_and(Method::takes_stream) {
        return request;
    }
    request.map(|body| Body::new(InTime::new(body)))
}

/// A body that has until then. Most messages are there with their call: the timer is made for the first wait alone.
struct InTime {
    body: Body,
    begun: Instant,
    ends: Option<Pin<Box<Sleep>>>,
}

impl InTime {
    fn new(body: Body) -> Self {
        Self { body, begun: Instant::now(), ends: None }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let until = self.begun + MESSAGE;
        #[expect(clippy::disallowed_methods, reason = "the deadline of a message, beside its reads")]
        let ends = self.ends.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ends.as_mut().poll(cx).is_ready()
    }
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() && self.is_late(cx) {
            return Poll::Ready(Some(Err(Status::deadline_exceeded("the message did not come in time"))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
