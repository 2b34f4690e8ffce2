//! Tracks responses until they are sent. The resources of a request are held until the last frame of its response has left
//! the transport, and the transport holds only a limited part of each response.
//!
//! hyper and h2 buffer frames that the peer does not take (400 KiB per stream, and one more frame), and do not poll the
//! body during that time, so they do not see its end or its error. Therefore a frame is sent in small pieces, each with a
//! guard that is dropped when the bytes of the piece are freed. [`super::connections`] closes a connection if a response
//! makes no progress.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

use super::connections::ConnectionEntry;

/// The limit of the bytes of one response in the transport. While there are fewer bytes, a further piece is sent, which
/// may exceed the limit.
const MAX_IN_TRANSIT_BYTES: usize = 64 * 1024;
/// The size of a piece: the amount that h2 sends of one stream before it serves the next.
const PIECE_BYTES: usize = 16 * 1024;

/// A value that is dropped when the response has been sent. Handlers put it in the extensions of the response.
#[derive(Clone)]
pub(in crate::grpc) struct HeldByResponse {
    _held: Arc<dyn Any + Send + Sync>,
}

impl HeldByResponse {
    pub(in crate::grpc) fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

/// Tracks a response of this connection until the response has been sent, then drops `held`.
pub(in crate::grpc) fn track_response(
    mut response: Response<Body>,
    entry: Option<&Arc<ConnectionEntry>>,
    held: impl Any + Send + Sync,
) -> Response<Body> {
    let held_by_handler = response.extensions_mut().remove::<HeldByResponse>();
    let held = HeldByResponse::new((held, held_by_handler));
    let connection_response = entry.map(|entry| (Arc::clone(entry), entry.add_response()));
    let in_transit =
        Arc::new(ResponseInTransit { bytes: AtomicUsize::new(0), task: AtomicWaker::new(), connection_response });
    response.map(|body| Body::new(TrackedBody { body, frame: Bytes::new(), held, in_transit, newest_piece: None }))
}

/// The part of one response that the transport holds.
struct ResponseInTransit {
    /// The number of bytes in the transport.
    bytes: AtomicUsize,
    /// The task that polls for more pieces.
    task: AtomicWaker,
    /// The connection, and the number of this response on it.
    connection_response: Option<(Arc<ConnectionEntry>, u64)>,
}

/// A body that knows which of its pieces have been sent.
struct TrackedBody {
    body: Body,
    /// The rest of the frame that is being sent in pieces.
    frame: Bytes,
    held: HeldByResponse,
    in_transit: Arc<ResponseInTransit>,
    /// The newest piece. It stays in transit until the transport polls again, even if its bytes were dropped before.
    /// The text form of gRPC-Web copies the bytes, and drops them before they reach the transport.
    newest_piece: Option<Arc<PieceInTransit>>,
}

/// The guard of a piece that the transport holds.
struct PieceInTransit {
    size: usize,
    in_transit: Arc<ResponseInTransit>,
    _held: HeldByResponse,
}

impl Drop for PieceInTransit {
    fn drop(&mut self) {
        if let Some((entry, response)) = &self.in_transit.connection_response {
            entry.record_taken(*response);
        }
        self.in_transit.bytes.fetch_sub(self.size, Ordering::AcqRel);
        self.in_transit.task.wake();
    }
}

/// The bytes of a piece, with its guard.
struct TrackedBytes {
    bytes: Bytes,
    _piece: Arc<PieceInTransit>,
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl TrackedBody {
    /// Splits the next piece off the frame.
    fn next_piece(&mut self) -> Bytes {
        let size = self.frame.len().min(PIECE_BYTES);
        let bytes = self.frame.split_to(size);
        self.in_transit.bytes.fetch_add(size, Ordering::AcqRel);
        if let Some((entry, response)) = &self.in_transit.connection_response {
            entry.record_handed(*response);
        }
        let piece =
            Arc::new(PieceInTransit { size, in_transit: Arc::clone(&self.in_transit), _held: self.held.clone() });
        self.newest_piece = Some(Arc::clone(&piece));
        Bytes::from_owner(TrackedBytes { bytes, _piece: piece })
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.newest_piece = None;
        self.in_transit.task.register(cx.waker());
        if self.in_transit.bytes.load(Ordering::Acquire) >= MAX_IN_TRANSIT_BYTES {
            return Poll::Pending;
        }
        if self.frame.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|it| it.map(Frame::into_data)) {
                Some(Ok(Ok(bytes))) => self.frame = bytes,
                Some(Ok(Err(frame))) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.frame.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (remaining, body) = (u64::try_from(self.frame.len()).unwrap_or(u64::MAX), self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(remaining));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(remaining));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// The size of a message that needs several polls, in bytes.
    const MESSAGE_BYTES: usize = 3 * MAX_IN_TRANSIT_BYTES + 1;

    fn message() -> Bytes {
        Bytes::from((0..MESSAGE_BYTES).map(|index| u8::try_from(index % 251).unwrap()).collect::<Vec<_>>())
    }

    /// Returns a body that sends the message for ever.
    fn endless_body() -> Body {
        Body::new(StreamBody::new(futures_util::stream::repeat_with(|| Ok::<_, Status>(Frame::data(message())))))
    }

    /// Returns the next piece; `None` if the body sends no piece now.
    fn next_piece(body: &mut Body) -> Option<Bytes> {
        body.frame().now_or_never().map(|it| it.unwrap().unwrap().into_data().unwrap())
    }

    #[test]
    fn the_transport_holds_a_limited_part() {
        let mut body = track_response(Response::new(endless_body()), None, ()).into_body();
        let mut pieces: Vec<Bytes> = std::iter::from_fn(|| next_piece(&mut body)).collect();
        assert_eq!(
            pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [PIECE_BYTES; MAX_IN_TRANSIT_BYTES / PIECE_BYTES]
        );
        // A piece is in transit until the last slice of its bytes is dropped.
        let first = pieces.remove(0);
        let part = first.slice(..1);
        drop(first);
        assert!(next_piece(&mut body).is_none());
        drop(part);
        assert_eq!(next_piece(&mut body).unwrap().len(), PIECE_BYTES);
    }

    #[test]
    fn a_message_is_sent_completely_and_the_size_hint_is_exact_at_every_piece() {
        let whole = http_body_util::Full::new(message());
        let mut body = track_response(Response::new(Body::new(whole)), None, ()).into_body();
        let mut taken = Vec::new();
        while taken.len() < MESSAGE_BYTES {
            let remaining = u64::try_from(MESSAGE_BYTES - taken.len()).unwrap();
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(remaining), false));
            taken.extend_from_slice(&next_piece(&mut body).unwrap());
        }
        assert_eq!((taken, body.is_end_stream()), (message().to_vec(), true));
        assert!(body.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_response_makes_progress_with_every_piece_that_is_taken() {
        let entry = Arc::new(ConnectionEntry::new(1, false));
        let mut body = track_response(Response::new(endless_body()), Some(&entry), ()).into_body();
        let mut pieces: Vec<Bytes> = std::iter::from_fn(|| next_piece(&mut body)).collect();
        for _ in 0..3 {
            let before = std::time::Instant::now();
            drop(pieces.remove(0));
            assert!(entry.untaken_since().unwrap().into_std() >= before, "a piece was taken");
            pieces.extend(next_piece(&mut body));
        }
        drop((pieces, body));
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn held_values_live_until_the_last_frame_is_dropped() {
        let (held, held_by_handler) = (Arc::new(()), Arc::new(()));
        let mut response = Response::new(endless_body());
        response.extensions_mut().insert(HeldByResponse::new(Arc::clone(&held_by_handler)));
        let mut body = track_response(response, None, Arc::clone(&held)).into_body();
        let frame = next_piece(&mut body).unwrap();
        drop(body);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&held_by_handler)), (2, 2));
        drop(frame);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&held_by_handler)), (1, 1));
    }
}
