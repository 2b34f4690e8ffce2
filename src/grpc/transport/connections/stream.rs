//! Implements the byte stream of a connection: a TCP stream that ends when its entry is closed, even while it waits for
//! the peer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;

use super::registry::Peer;

/// An open connection. When it is dropped, the registry removes it.
#[derive(Debug)]
pub(in crate::grpc) struct Connection {
    stream: TcpStream,
    peer: Peer,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: Peer) -> Self {
        Self { stream, peer }
    }

    /// Returns the error that makes the transport end the connection; `None` if the connection may stay open.
    fn close_error<T>(&self, cx: &Context<'_>) -> Option<Poll<io::Result<T>>> {
        self.peer.entry.is_closed(cx).then(|| Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    /// Records whether the socket accepted bytes, and returns the result of the write.
    fn record_write(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.peer.entry.set_blocked(written.is_pending());
        written
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.registry.remove(self.peer.entry.id());
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
        if let Some(error) = self.close_error(cx) {
            return error;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.close_error(cx) {
            return error;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.record_write(written)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.close_error(cx) {
            return error;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.record_write(written)
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
