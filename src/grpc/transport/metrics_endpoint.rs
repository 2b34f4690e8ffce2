//! `GET /metrics` over plain HTTP, on a listener of its own. It says nothing of persons: methods, codes, times, funds.
//!
//! One request a connection, few connections, and little time for each: it needs nothing more. A request that is not
//! finished is evicted for a newer one, so a finished one is answered.

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

use super::connections::{self, Registry, SCRAPES};
use super::eviction::EvictingSlots;
use crate::app::App;
use crate::app::watch::Watches;
use crate::grpc::telemetry::call_metrics::CallMetrics;
use crate::grpc::telemetry::internal_metrics::ProcessSnapshot;
use crate::proto::WatchOffersResponse;

/// How long a request may take.
const HEADER: Duration = Duration::from_secs(2);
/// How long its answer may take.
const ANSWER: Duration = Duration::from_secs(8);
/// Bytes of a request.
const REQUEST: usize = 8 * 1024;
/// How long what the funds hold is not read again.
const FRESH: Duration = Duration::from_secs(15);
/// How long reading it may take; past it, what was read before is told.
const READ: Duration = Duration::from_secs(2);

/// What answers, shared by all connections.
struct Scraped {
    app: App,
    watchers: Watches<WatchOffersResponse>,
    metrics: Arc<CallMetrics>,
    /// When the funds were read last.
    funds: Mutex<Option<Instant>>,
    reading: EvictingSlots,
    answering: EvictingSlots,
}

/// Answers until it is dropped.
pub(in crate::grpc) async fn serve(
    (app, watchers): (App, Watches<WatchOffersResponse>),
    metrics: Arc<CallMetrics>,
    listener: TcpListener,
    connections: Arc<Registry>,
) {
    let (reading, answering) = (EvictingSlots::new(SCRAPES), EvictingSlots::new(SCRAPES));
    let scraped = Arc::new(Scraped { app, watchers, metrics, funds: Mutex::new(None), reading, answering });
    loop {
        if let Some((stream, _)) = connections::accept(&listener, &connections).await {
            let scraped = Arc::clone(&scraped);
            tokio::spawn(async move { scraped.handle(stream).await });
        }
    }
}

impl Scraped {
    async fn handle(&self, stream: TcpStream) {
        let arrived = Notify::new();
        let service = service_fn(|request: Request<Incoming>| {
            arrived.notify_one();
            self.answer(request.method() == Method::GET && request.uri() == "/metrics")
        });
        let mut http = http1::Builder::new();
        // The times are those of the slots. A client that has sent its request need not send any more.
        http.keep_alive(false).half_close(true).header_read_timeout(None).max_buf_size(REQUEST);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let read = async {
            tokio::select! {
                biased;
                _ended = &mut connection => false,
                () = arrived.notified() => true,
            }
        };
        let read = self.reading.work(timeout(HEADER, read)).await;
        if self.in_time(read) == Some(true) {
            let answered = self.answering.work(timeout(ANSWER, connection)).await;
            let _ = self.in_time(answered);
        }
    }

    /// What was done, if it was neither evicted nor late.
    fn in_time<R>(&self, done: Option<Result<R, Elapsed>>) -> Option<R> {
        let reason = match done {
            Some(Ok(done)) => return Some(done),
            Some(Err(_)) => "late",
            None => "evicted",
        };
        self.metrics.connections.close_scrape(reason);
        None
    }

    async fn answer(&self, is_scrape: bool) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, body) =
            if is_scrape { self.scrape().await } else { (StatusCode::NOT_FOUND, "GET /metrics\n".into()) };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        Ok(response)
    }

    async fn scrape(&self) -> (StatusCode, Bytes) {
        read_funds(&self.app, &self.metrics, &self.funds).await;
        match self.metrics.text(&ProcessSnapshot::of(&self.app, self.watchers.watching())) {
            Ok(text) => (StatusCode::OK, text.into()),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
            }
        }
    }
}

async fn read_funds(app: &App, metrics: &CallMetrics, read: &Mutex<Option<Instant>>) {
    let mut read = read.lock().await;
    if read.is_some_and(|it| it.elapsed() < FRESH) {
        return;
    }
    match timeout(READ, app.stored_funds()).await {
        Ok(Ok(funds)) => metrics.set_funds(&funds),
        Ok(Err(error)) => tracing::warn!(error = error.for_log(), "funds cannot be read for metrics"),
        Err(_) => tracing::warn!("funds cannot be read for metrics in time"),
    }
    *read = Some(Instant::now());
}
