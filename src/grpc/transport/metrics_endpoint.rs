//! Serves `GET /metrics` over plain HTTP on its own listener. The metrics are about methods, codes, times and funds, not
//! about persons.
//!
//! A connection serves one request, and the number of connections and their time are limited. An unfinished request is
//! evicted for a newer request, so a slow client cannot block a scrape.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::connections::{self, MAX_SCRAPES, Registry};
use super::eviction::{EvictingSlot, EvictingSlots};
use crate::app::App;
use crate::app::watch::Watches;
use crate::grpc::message::encoded::EncodedMessage;
use crate::grpc::telemetry::call_metrics::CallMetrics;
use crate::grpc::telemetry::internal_metrics::ProcessSnapshot;

/// The time limit of reading a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of sending the response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(8);
/// The largest request, in bytes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// The longest time that the amounts of the funds are served before they are read again.
const FUNDS_MAX_AGE: Duration = Duration::from_secs(15);
/// The time limit of reading the funds. When it has passed, the previous amounts are served.
const FUNDS_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the endpoint, shared by all connections.
struct MetricsEndpoint {
    app: App,
    watchers: Watches<EncodedMessage>,
    metrics: Arc<CallMetrics>,
    /// When the server last tried to read the funds; `None` before the first scrape.
    funds_read: Mutex<Option<Instant>>,
    /// Slots of scrapes whose request is being read.
    request_slots: EvictingSlots,
    /// Slots of scrapes whose response is being sent.
    response_slots: EvictingSlots,
}

/// Serves the endpoint. Never returns.
pub(in crate::grpc) async fn serve(
    (app, watchers): (App, Watches<EncodedMessage>),
    metrics: Arc<CallMetrics>,
    listener: TcpListener,
    connections: Arc<Registry>,
) {
    let (request_slots, response_slots) = (EvictingSlots::new(MAX_SCRAPES), EvictingSlots::new(MAX_SCRAPES));
    let endpoint = Arc::new(MetricsEndpoint {
        app,
        watchers,
        metrics,
        funds_read: Mutex::new(None),
        request_slots,
        response_slots,
    });
    loop {
        if let Some((stream, _)) = connections::accept(&listener, &connections).await {
            let endpoint = Arc::clone(&endpoint);
            // The slot is taken here, because spawned tasks may begin in any order. A task that began late would
            // otherwise evict a newer connection.
            let slot = endpoint.request_slots.take();
            tokio::spawn(async move { endpoint.handle(stream, slot).await });
        }
    }
}

impl MetricsEndpoint {
    /// Serves one connection: reads its request in the slot, then sends the response.
    async fn handle(&self, stream: TcpStream, request_slot: EvictingSlot) {
        let arrived = Notify::new();
        let service = service_fn(|request: Request<Incoming>| {
            arrived.notify_one();
            self.respond(request.method() == Method::GET && request.uri() == "/metrics")
        });
        let mut http = http1::Builder::new();
        // The timeouts below limit the time, so the connection has no timeout of its own. A client may close its sending
        // side after the request.
        http.keep_alive(false).half_close(true).header_read_timeout(None).max_buf_size(MAX_REQUEST_BYTES);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let request_arrived = async {
            tokio::select! {
                biased;
                _ended = &mut connection => false,
                () = arrived.notified() => true,
            }
        };
        let has_request = request_slot.run(timeout(REQUEST_TIMEOUT, request_arrived)).await;
        if self.result_or_count(has_request) == Some(true) {
            let response = self.response_slots.take().run(timeout(RESPONSE_TIMEOUT, connection)).await;
            let _ = self.result_or_count(response);
        }
    }

    /// Returns the result of work that has ended. Work that was evicted or late is counted as closed, and returns `None`.
    fn result_or_count<R>(&self, done: Option<Result<R, Elapsed>>) -> Option<R> {
        let reason = match done {
            Some(Ok(done)) => return Some(done),
            Some(Err(_)) => "late",
            None => "evicted",
        };
        self.metrics.connections.record_closed_scrape(reason);
        None
    }

    /// Responds to `GET /metrics` with the metrics, and to any other request with NOT FOUND.
    async fn respond(&self, is_scrape: bool) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, body) =
            if is_scrape { self.scrape().await } else { (StatusCode::NOT_FOUND, "GET /metrics\n".into()) };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        Ok(response)
    }

    async fn scrape(&self) -> (StatusCode, Bytes) {
        read_funds(&self.app, &self.metrics, &self.funds_read).await;
        match self.metrics.text(&ProcessSnapshot::read(&self.app, self.watchers.watching())) {
            Ok(text) => (StatusCode::OK, text.into()),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
            }
        }
    }
}

/// Reads the funds and sets their metrics, unless this was tried within the last [`FUNDS_MAX_AGE`]. Failures are logged.
async fn read_funds(app: &App, metrics: &CallMetrics, last_read: &Mutex<Option<Instant>>) {
    let mut last_read = last_read.lock().await;
    if last_read.is_some_and(|it| it.elapsed() < FUNDS_MAX_AGE) {
        return;
    }
    match timeout(FUNDS_TIMEOUT, app.stored_funds()).await {
        Ok(Ok(funds)) => metrics.set_funds(&funds),
        Ok(Err(error)) => tracing::warn!(error = error.for_log(), "funds cannot be read for metrics"),
        Err(_) => tracing::warn!("funds cannot be read for metrics in time"),
    }
    *last_read = Some(Instant::now());
}
