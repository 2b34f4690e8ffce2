//! Connections, bounded: in number, and in how long one may be open without a caller having been let in.
//!
//! One bound for all that is slow on purpose: a handshake never finished, headers a byte at a time, pings and nothing
//! else. Past it the connection is closed; clients with an honest call connect anew.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

/// How long a connection may be open before somebody was let in over it.
const UNKNOWN: Duration = Duration::from_secs(15);

/// What a call knows of its connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    let_in: Arc<AtomicBool>,
}

impl Peer {
    /// Somebody was let in: the connection may stay.
    pub(super) fn let_in(&self) {
        self.let_in.store(true, Ordering::Relaxed);
    }
}

/// A connection, in one of few places.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    peer: Peer,
    /// When it ends, unless somebody was let in.
    ends: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

/// Connections as they come, at most so many at a time: the others wait to be taken.
pub(super) fn bounded(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(most));
    stream::unfold((listener, places), async |(listener, places)| {
        // Never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let taken = listener.accept().await.and_then(|(stream, address)| {
            stream.set_nodelay(true)?;
            Ok(Connection::new(stream, address, place))
        });
        Some((taken, (listener, places)))
    })
}

impl Connection {
    fn new(stream: TcpStream, address: SocketAddr, place: OwnedSemaphorePermit) -> Self {
        let peer = Peer { address, let_in: Arc::default() };
        #[expect(clippy::disallowed_methods, reason = "the deadline of a connection, beside its reads")]
        let ends = Box::pin(tokio::time::sleep_until(Instant::now() + UNKNOWN));
        Self { stream, peer, ends, _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.peer.let_in.load(Ordering::Relaxed) && self.ends.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
