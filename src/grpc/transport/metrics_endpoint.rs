//! `GET /metrics` over plain HTTP, on a listener of its own. It says nothing of persons: methods, codes, times, funds.
//!
//! One request a connection, few connections, and little time for each: it needs nothing more. A request that is not
//! finished is evicted for a newer one, so a finished one is answered.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
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
    async fn handle(&self, mut stream: TcpStream) {
        let read = self.reading.work(timeout(HEADER, read_request(&mut stream))).await;
        let Some(Some(request)) = self.in_time(read) else { return };
        let answered = self.answering.work(timeout(ANSWER, self.answer(stream, &request))).await;
        let _ = self.in_time(answered);
    }

    /// What was done, if it was neither evicted nor late nor failed; a caller that has hung up is not counted.
    fn in_time<R>(&self, done: Option<Result<io::Result<R>, tokio::time::error::Elapsed>>) -> Option<R> {
        let reason = match done {
            Some(Ok(done)) => return done.ok(),
            Some(Err(_)) => "late",
            None => "evicted",
        };
        self.metrics.connections.close_scrape(reason);
        None
    }

    async fn answer(&self, mut stream: TcpStream, request: &[u8]) -> io::Result<()> {
        let (status, body) = if request.starts_with(b"GET /metrics ") {
            read_funds(&self.app, &self.metrics, &self.funds).await;
            match self.metrics.text(&ProcessSnapshot::of(&self.app, self.watchers.watching())) {
                Ok(text) => ("200 OK", text),
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be written");
                    ("500 Internal Server Error", Vec::new())
                }
            }
        } else {
            ("404 Not Found", b"GET /metrics\n".to_vec())
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await
    }
}

/// The head of a request; nothing where it is too long or breaks off.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        if request.len() >= REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request))
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
