//! Limits health checks without a credential. Anyone may send them, so their number and duration are limited.
//!
//! A connection may have a few of these requests in flight. The connection of a trusted proxy may have any number, because
//! many probes share it. In addition at most [`MAX_WATCHES`] watches run, each for [`WATCH_DURATION`]. Neither checks nor
//! watches keep their connection open. A caller with a token or a known certificate is authenticated as in any request,
//! and may watch until that proof expires.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use super::connections::{AnonymousCall, ConnectionEntry};
use crate::grpc::message::reason::ServiceReason;
use crate::grpc::message::status::refuse;
use crate::grpc::telemetry::connection_metrics::{ConnectionMetrics, OpenGauge};

/// The path prefix of the health service.
const SERVICE_PREFIX: &str = "/grpc.health.v1.Health/";
/// The path of a health watch.
const WATCH_PATH: &str = "/grpc.health.v1.Health/Watch";
/// The most open watches without a credential.
const MAX_WATCHES: usize = 64;
/// The longest time that a watch without a credential may last.
pub(in crate::grpc) const WATCH_DURATION: Duration = Duration::from_secs(30);

/// Returns true for a request to the health service.
pub(in crate::grpc) fn is_health(uri: &Uri) -> bool {
    uri.path().starts_with(SERVICE_PREFIX)
}

/// Returns true for a health watch.
pub(in crate::grpc) fn is_watch(uri: &Uri) -> bool {
    uri.path() == WATCH_PATH
}

/// Limits the health requests without a credential.
#[derive(Debug)]
pub(in crate::grpc) struct AnonymousHealth {
    watch_slots: Arc<Semaphore>,
    metrics: Arc<ConnectionMetrics>,
}

/// The resources of an anonymous health request. They are freed when this value is dropped.
#[derive(Debug)]
pub(in crate::grpc) struct AnonymousHealthCall {
    _call: Option<AnonymousCall>,
    _watch: Option<(OwnedSemaphorePermit, OpenGauge)>,
}

impl AnonymousHealth {
    pub(in crate::grpc) fn new(metrics: Arc<ConnectionMetrics>) -> Self {
        Self { watch_slots: Arc::new(Semaphore::new(MAX_WATCHES)), metrics }
    }

    /// Begins a health request without a credential.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, reason `HEALTH_EXCEEDED`, if there are too many watches, or too many requests on this
    /// connection.
    pub(in crate::grpc) fn begin(
        &self,
        uri: &Uri,
        entry: Option<&Arc<ConnectionEntry>>,
    ) -> Result<AnonymousHealthCall, Status> {
        let refused = |message: &str| {
            self.metrics.record_refused_health();
            refuse(ServiceReason::HealthExceeded, message)
        };
        let call = match entry {
            Some(entry) => Some(
                entry
                    .begin_anonymous()
                    .ok_or_else(|| refused("too many health calls without a credential on this connection"))?,
            ),
            None => None,
        };
        let watch = if is_watch(uri) {
            let slot = Arc::clone(&self.watch_slots).try_acquire_owned();
            let slot = slot.map_err(|_| {
                refused("too many health watches without a credential: show a token or a certificate, or use Check")
            })?;
            Some((slot, self.metrics.open_health_watch()))
        } else {
            None
        };
        Ok(AnonymousHealthCall { _call: call, _watch: watch })
    }
}

/// Returns the status that ends a watch without a credential.
pub(in crate::grpc) fn watch_ended_status() -> Status {
    let message = format!(
        "a health watch without a credential lasts {} s: show a token or a certificate, or use Check",
        WATCH_DURATION.as_secs()
    );
    refuse(ServiceReason::HealthWatchEnded, message)
}

/// Makes the response end with this status at `end`, unless it ends earlier.
pub(in crate::grpc) fn end_at(response: Response<Body>, end: Instant, status: Status) -> Response<Body> {
    #[expect(clippy::disallowed_methods, reason = "the time limit of a response while its body is polled")]
    let end = Box::pin(tokio::time::sleep_until(end));
    response.map(|body| Body::new(TimeLimitedResponse { body, end, status: Some(status) }))
}

struct TimeLimitedResponse {
    body: Body,
    end: Pin<Box<Sleep>>,
    /// The status that ends the response; `None` after it was sent.
    status: Option<Status>,
}

impl HttpBody for TimeLimitedResponse {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.status.is_none() {
            return Poll::Ready(None);
        }
        if self.end.as_mut().poll(cx).is_pending() {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        let trailers = self.status.take().map(|status| {
            let mut trailers = http::HeaderMap::new();
            status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
        });
        Poll::Ready(trailers)
    }

    fn is_end_stream(&self) -> bool {
        self.status.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::grpc::telemetry::internal_metrics::ScrapeLock;

    #[tokio::test]
    async fn a_watch_ends_with_its_status() {
        let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Status>>());
        let mut body = end_at(Response::new(Body::new(silent)), Instant::now(), watch_ended_status()).into_body();
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "4");
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }

    #[test]
    fn watches_have_a_limit_over_all_connections_and_checks_have_none() {
        let metrics = Arc::new(ConnectionMetrics::new(&prometheus::Registry::new(), ScrapeLock::default()).unwrap());
        let health = AnonymousHealth::new(metrics);
        let watch = Uri::from_static(WATCH_PATH);
        let held: Vec<_> = std::iter::from_fn(|| health.begin(&watch, None).ok()).collect();
        assert_eq!(held.len(), MAX_WATCHES);
        assert!(health.begin(&Uri::from_static("/grpc.health.v1.Health/Check"), None).is_ok());
        drop(held);
        assert!(health.begin(&watch, None).is_ok());
    }
}
