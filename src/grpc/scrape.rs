//! `GET /metrics` over plain HTTP, on a listener of its own. It says nothing of persons: methods, codes, times, funds.
//!
//! One request a connection, few connections, and little time for each: nothing more is wanted of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::measured::Moment;
use super::metrics::Metrics;
use super::watch::Watchers;
use crate::app::App;

/// Connections at a time; more wait to be taken.
const CONNECTIONS: usize = 16;
/// How long one may take, from its first byte to its last.
const WHOLE: Duration = Duration::from_secs(10);
/// Bytes of a request.
const REQUEST: usize = 8 * 1024;
/// How long what the funds hold is not read again.
const FRESH: Duration = Duration::from_secs(15);
/// How long reading it may take; past it, what was read before is told.
const READ: Duration = Duration::from_secs(2);

/// Answers until it is dropped.
pub(super) async fn serve(app: App, watchers: Watchers, metrics: Arc<Metrics>, listener: TcpListener) {
    let (places, funds) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Mutex::new(None)));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics was not taken");
                continue;
            }
        };
        let (app, watchers) = (app.clone(), watchers.clone());
        let (metrics, funds) = (Arc::clone(&metrics), Arc::clone(&funds));
        tokio::spawn(async move {
            // Whoever is too slow, or has gone, is not waited for.
            let _ = timeout(WHOLE, answer(stream, (&app, &watchers), &metrics, &funds)).await;
            drop(place);
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    (app, watchers): (&App, &Watchers),
    metrics: &Metrics,
    read: &Mutex<Option<Instant>>,
) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        if request.len() >= REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        read_funds(app, metrics, read).await;
        match metrics.text(&Moment::of(app, watchers.watching())) {
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

async fn read_funds(app: &App, metrics: &Metrics, read: &Mutex<Option<Instant>>) {
    let mut read = read.lock().await;
    if read.is_some_and(|it| it.elapsed() < FRESH) {
        return;
    }
    match timeout(READ, app.stored_funds()).await {
        Ok(Ok(funds)) => metrics.set_funds(&funds),
        Ok(Err(error)) => tracing::warn!(%error, "funds cannot be read for metrics"),
        Err(_) => tracing::warn!("funds cannot be read for metrics in time"),
    }
    *read = Some(Instant::now());
}
