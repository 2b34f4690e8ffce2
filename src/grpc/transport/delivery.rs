//! Tracks responses until they are sent. The resources of a request are held until the last frame of its response has left
//! the transport, and the transport holds only a limited part of each response.
//!
//! hyper and h2 buffer frames that the peer does not take (400 KiB per stream, and one more frame), and do not poll the body
//! meanwhile, so they would see neither its end nor its error. Therefore a frame is sent in small pieces, each with a guard
//! that is dropped when its bytes are freed. [`super::connections`] closes a connection if some response makes no progress.

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

/// Bytes of one response in the transport at which no further piece is sent; one piece may exceed it.
const MAX_IN_TRANSIT_BYTES: usize = 64 * 1024;
/// Bytes of a piece: the amount that h2 sends of one stream before it serves the next.
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

/// Tracks a response of this connection until it has been sent, then drops `held`.
pub(in crate::grpc) fn follow(
    mut response: Response<Body>,
    entry: Option<&Arc<ConnectionEntry>>,
    held: impl Any + Send + Sync,
) -> Response<Body> {
    let held_by_handler = response.extensions_mut().remove::<HeldByResponse>();
    let held = HeldByResponse::new((held, held_by_handler));
    let response_of = entry.map(|entry| (Arc::clone(entry), entry.number_response()));
    let stream = Arc::new(ResponseInTransit { bytes: AtomicUsize::new(0), task: AtomicWaker::new(), response_of });
    response.map(|body| Body::new(TrackedBody { body, frame: Bytes::new(), held, stream, last: None }))
}

/// The part of one response that the transport holds.
struct ResponseInTransit {
    bytes: AtomicUsize,
    /// The task that polls for more.
    task: AtomicWaker,
    /// The connection, and the number of this response on it.
    response_of: Option<(Arc<ConnectionEntry>, u64)>,
}

/// A body that knows which of its pieces have been sent.
struct TrackedBody {
    body: Body,
    /// The rest of the frame that is being sent in pieces.
    frame: Bytes,
    held: HeldByResponse,
    stream: Arc<ResponseInTransit>,
    /// The newest piece. It counts until the transport polls again, even if its bytes were dropped before.
    last: Option<Arc<PieceInTransit>>,
}

/// The guard of a piece that the transport holds.
struct PieceInTransit {
    size: usize,
    stream: Arc<ResponseInTransit>,
    _held: HeldByResponse,
}

impl Drop for PieceInTransit {
    fn drop(&mut self) {
        if let Some((entry, response)) = &self.stream.response_of {
            entry.taken(*response);
        }
        self.stream.bytes.fetch_sub(self.size, Ordering::AcqRel);
        self.stream.task.wake();
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
        self.stream.bytes.fetch_add(size, Ordering::AcqRel);
        if let Some((entry, response)) = &self.stream.response_of {
            entry.handed(*response);
        }
        let piece = Arc::new(PieceInTransit { size, stream: Arc::clone(&self.stream), _held: self.held.clone() });
        self.last = Some(Arc::clone(&piece));
        Bytes::from_owner(TrackedBytes { bytes, _piece: piece })
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.last = None;
        self.stream.task.register(cx.waker());
        if self.stream.bytes.load(Ordering::Acquire) >= MAX_IN_TRANSIT_BYTES {
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
        let (left, body) = (u64::try_from(self.frame.len()).unwrap_or(u64::MAX), self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(left));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const MESSAGE: usize = 3 * MAX_IN_TRANSIT_BYTES + 1;

    fn message() -> Bytes {
        Bytes::from((0..MESSAGE).map(|index| u8::try_from(index % 251).unwrap()).collect::<Vec<_>>())
    }

    fn endless() -> Body {
        Body::new(StreamBody::new(futures_util::stream::repeat_with(|| Ok::<_, Status>(Frame::data(message())))))
    }

    fn next(body: &mut Body) -> Option<Bytes> {
        body.frame().now_or_never().map(|it| it.unwrap().unwrap().into_data().unwrap())
    }

    #[test]
    fn the_transport_holds_a_limited_part() {
        let mut body = follow(Response::new(endless()), None, ()).into_body();
        let mut ahead: Vec<Bytes> = std::iter::from_fn(|| next(&mut body)).collect();
        assert_eq!(ahead.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE_BYTES; MAX_IN_TRANSIT_BYTES / PIECE_BYTES]);
        // A piece is in transit until its last slice is dropped.
        let first = ahead.remove(0);
        let part = first.slice(..1);
        drop(first);
        assert!(next(&mut body).is_none());
        drop(part);
        assert_eq!(next(&mut body).unwrap().len(), PIECE_BYTES);
    }

    #[test]
    fn a_message_goes_out_whole_and_its_size_is_known_at_every_piece() {
        let whole = http_body_util::Full::new(message());
        let mut body = follow(Response::new(Body::new(whole)), None, ()).into_body();
        let mut taken = Vec::new();
        while taken.len() < MESSAGE {
            let left = u64::try_from(MESSAGE - taken.len()).unwrap();
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(left), false));
            taken.extend_from_slice(&next(&mut body).unwrap());
        }
        assert_eq!((taken, body.is_end_stream()), (message().to_vec(), true));
        assert!(body.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn a_large_message_of_which_pieces_are_taken_is_not_untaken() {
        let entry = Arc::new(ConnectionEntry::new(1, false));
        let mut body = follow(Response::new(endless()), Some(&entry), ()).into_body();
        let mut ahead: Vec<Bytes> = std::iter::from_fn(|| next(&mut body)).collect();
        for _ in 0..3 {
            let before = std::time::Instant::now();
            drop(ahead.remove(0));
            assert!(entry.untaken_since().unwrap().into_std() >= before, "a piece was taken");
            ahead.extend(next(&mut body));
        }
        drop((ahead, body));
        assert_eq!(entry.untaken_since(), None);
    }

    #[test]
    fn held_values_live_until_the_last_frame_is_dropped() {
        let (held, held_by_handler) = (Arc::new(()), Arc::new(()));
        let mut response = Response::new(endless());
        response.extensions_mut().insert(HeldByResponse::new(Arc::clone(&held_by_handler)));
        let mut body = follow(response, None, Arc::clone(&held)).into_body();
        let frame = next(&mut body).unwrap();
        drop(body);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&held_by_handler)), (2, 2));
        drop(frame);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&held_by_handler)), (1, 1));
    }
}
