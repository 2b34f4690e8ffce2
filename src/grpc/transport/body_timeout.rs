//! Limits how long the server waits for the message of a request, because the request holds a slot during that time.
//!
//! Uploads have their own limits (`upload.rs`), because a large file takes long over a slow connection.

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

/// The time limit of one message: enough for 4 MiB over a slow connection.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the body of the request fail if the message takes longer than [`MESSAGE_TIMEOUT`].
pub(in crate::grpc) fn limit_message_time(request: Request<Body>) -> Request<Body> {
    if Method::find(request.uri().path()).is_some_and(Method::takes_stream) {
        return request;
    }
    request.map(|body| Body::new(TimeLimitedBody::new(body)))
}

/// A body with a time limit. Most messages arrive with their request, so the timer is made only at the first wait.
struct TimeLimitedBody {
    body: Body,
    started: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimeLimitedBody {
    fn new(body: Body) -> Self {
        Self { body, started: Instant::now(), timer: None }
    }

    /// Returns true if the time limit has passed. If not, the timer will wake the task at the time limit.
    fn poll_time_limit(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.started + MESSAGE_TIMEOUT;
        #[expect(clippy::disallowed_methods, reason = "the time limit of a message while its body is polled")]
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl HttpBody for TimeLimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_pending() && self.poll_time_limit(cx) {
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
