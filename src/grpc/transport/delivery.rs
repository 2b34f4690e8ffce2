//! Responses on their way: what a call holds is held until its last frame has left the transport, and the transport is
//! given only so much of a response ahead of its caller.
//!
//! hyper and h2 keep frames that the peer does not take (400 KiB a stream, and then the one after it), and do not ask the body
//! meanwhile: neither its end nor its error can reach them. So frames go out in small pieces, each with a guard that ends when
//! its bytes are freed. [`super::connections`] closes a connection of which no piece of some response leaves for too long.

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

/// Bytes of one response that the transport may hold; one more piece may follow them.
const AHEAD: usize = 64 * 1024;
/// Bytes of a piece: what h2 sends of one stream before it is the next one's turn.
const PIECE: usize = 16 * 1024;

/// Something a handler wants held until its response is gone, put among the extensions of the response.
#[derive(Clone)]
pub(in crate::grpc) struct HeldByResponse {
    _held: Arc<dyn Any + Send + Sync>,
}

impl HeldByResponse {
    pub(in crate::grpc) fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

/// Follows a response of this connection until it is gone, and drops what is held then.
pub(in crate::grpc) fn follow(
    mut response: Response<Body>,
    entry: Option<&Arc<ConnectionEntry>>,
    held: impl Any + Send + Sync,
) -> Response<Body> {
    let of_handler = response.extensions_mut().remove::<HeldByResponse>();
    let held = HeldByResponse::new((held, of_handler));
    let response_of = entry.map(|entry| (Arc::clone(entry), entry.number_response()));
    let stream = Arc::new(Ahead { bytes: AtomicUsize::new(0), task: AtomicWaker::new(), response_of });
    response.map(|body| Body::new(Delivered { body, frame: Bytes::new(), held, stream, last: None }))
}

/// What the transport holds of one response.
struct Ahead {
    bytes: AtomicUsize,
    /// The task that asks for more.
    task: AtomicWaker,
    /// The connection, and the number of this response on it.
    response_of: Option<(Arc<ConnectionEntry>, u64)>,
}

/// A body that knows which of its pieces are gone.
struct Delivered {
    body: Body,
    /// What is left of the frame that goes out in pieces.
    frame: Bytes,
    held: HeldByResponse,
    stream: Arc<Ahead>,
    /// The newest piece: it waits until the transport asks for another, even if its bytes were dropped.
    last: Option<Arc<InTransit>>,
}

/// A piece on its way.
struct InTransit {
    size: usize,
    stream: Arc<Ahead>,
    _held: HeldByResponse,
}

impl Drop for InTransit {
    fn drop(&mut self) {
        if let Some((entry, response)) = &self.stream.response_of {
            entry.taken(*response);
        }
        self.stream.bytes.fetch_sub(self.size, Ordering::AcqRel);
        self.stream.task.wake();
    }
}

/// Bytes, and the piece that they are.
struct Carried {
    bytes: Bytes,
    _piece: Arc<InTransit>,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Delivered {
    /// The next piece of the frame.
    fn carry(&mut self) -> Bytes {
        let size = self.frame.len().min(PIECE);
        let bytes = self.frame.split_to(size);
        self.stream.bytes.fetch_add(size, Ordering::AcqRel);
        if let Some((entry, response)) = &self.stream.response_of {
            entry.handed(*response);
        }
        let piece = Arc::new(InTransit { size, stream: Arc::clone(&self.stream), _held: self.held.clone() });
        self.last = Some(Arc::clone(&piece));
        Bytes::from_owner(Carried { bytes, _piece: piece })
    }
}

impl HttpBody for Delivered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.last = None;
        self.stream.task.register(cx.waker());
        if self.stream.bytes.load(Ordering::Acquire) >= AHEAD {
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
        Poll::Ready(Some(Ok(Frame::data(self.carry()))))
    }

    fn is_end_stream(&self) -> bool {
        self.frame.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (left, of_body) = (u64::try_from(self.frame.len()).unwrap_or(u64::MAX), self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(left));
        if let Some(upper) = of_body.upper() {
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

    const MESSAGE: usize = 3 * AHEAD + 1;

    fn message() -> Bytes {
        Bytes::from((0..MESSAGE).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>())
    }

    fn endless() -> Body {
        Body::new(StreamBody::new(futures_util::stream::repeat_with(|| Ok::<_, Status>(Frame::data(message())))))
    }

    fn next(body: &mut Body) -> Option<Bytes> {
        body.frame().now_or_never().map(|it| it.unwrap().unwrap().into_data().unwrap())
    }

    #[test]
    fn only_so_much_is_given_ahead() {
        let mut body = follow(Response::new(endless()), None, ()).into_body();
        let mut ahead: Vec<Bytes> = std::iter::from_fn(|| next(&mut body)).collect();
        assert_eq!(ahead.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE; AHEAD / PIECE]);
        // A part of a piece is as good as the whole.
        let first = ahead.remove(0);
        let part = first.slice(..1);
        drop(first);
        assert!(next(&mut body).is_none());
        drop(part);
        assert_eq!(next(&mut body).unwrap().len(), PIECE);
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
    fn what_is_held_outlives_the_body_by_its_frames() {
        let (held, of_handler) = (Arc::new(()), Arc::new(()));
        let mut response = Response::new(endless());
        response.extensions_mut().insert(HeldByResponse::new(Arc::clone(&of_handler)));
        let mut body = follow(response, None, Arc::clone(&held)).into_body();
        let frame = next(&mut body).unwrap();
        drop(body);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&of_handler)), (2, 2));
        drop(frame);
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&of_handler)), (1, 1));
    }
}
