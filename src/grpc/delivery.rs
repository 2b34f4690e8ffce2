//! Responses on their way: what a call holds is held until its last frame has left the transport, and the transport is
//! given only so much of a response ahead of its caller.
//!
//! hyper and h2 keep frames that the peer does not take (400 KiB a stream, and then the one after it), and do not ask the body
//! meanwhile: neither its end nor its error can reach them. So each frame carries a guard that ends when its bytes are freed.
//! [`super::connections`] closes a connection whose oldest frame is too old.

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

use super::connections::Entry;

/// Bytes of one response that the transport may hold; one more frame may follow them.
const AHEAD: usize = 64 * 1024;

/// Something a handler wants held until its response is gone, put among the extensions of the response.
#[derive(Clone)]
pub(super) struct HeldByResponse {
    _held: Arc<dyn Any + Send + Sync>,
}

impl HeldByResponse {
    pub(super) fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

/// Follows a response of this connection until it is gone, and drops what is held then.
pub(super) fn follow(
    mut response: Response<Body>,
    entry: Option<&Arc<Entry>>,
    held: impl Any + Send + Sync,
) -> Response<Body> {
    let of_handler = response.extensions_mut().remove::<HeldByResponse>();
    let held = HeldByResponse::new((held, of_handler));
    let entry = entry.cloned();
    let stream = Arc::new(Ahead { bytes: AtomicUsize::new(0), task: AtomicWaker::new() });
    response.map(|body| Body::new(Delivered { body, entry, held, stream, last: None }))
}

/// What the transport holds of one response.
struct Ahead {
    bytes: AtomicUsize,
    /// The task that asks for more.
    task: AtomicWaker,
}

/// A body that knows which of its frames are gone.
struct Delivered {
    body: Body,
    entry: Option<Arc<Entry>>,
    held: HeldByResponse,
    stream: Arc<Ahead>,
    /// The newest frame: it waits until the transport asks for another, whatever became of its bytes.
    last: Option<Arc<InTransit>>,
}

/// A frame on its way.
struct InTransit {
    size: usize,
    stream: Arc<Ahead>,
    frame: Option<(Arc<Entry>, u64)>,
    _held: HeldByResponse,
}

impl Drop for InTransit {
    fn drop(&mut self) {
        if let Some((entry, frame)) = &self.frame {
            entry.taken(*frame);
        }
        self.stream.bytes.fetch_sub(self.size, Ordering::AcqRel);
        self.stream.task.wake();
    }
}

/// Bytes, and the frame that they are of.
struct Carried {
    bytes: Bytes,
    _frame: Arc<InTransit>,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Delivered {
    fn carry(&mut self, bytes: Bytes) -> Bytes {
        let size = bytes.len();
        self.stream.bytes.fetch_add(size, Ordering::AcqRel);
        let frame = self.entry.as_ref().map(|entry| (Arc::clone(entry), entry.handed()));
        let frame = InTransit { size, stream: Arc::clone(&self.stream), frame, _held: self.held.clone() };
        let frame = Arc::new(frame);
        self.last = Some(Arc::clone(&frame));
        Bytes::from_owner(Carried { bytes, _frame: frame })
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
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|it| {
            it.map(|frame| match frame.into_data() {
                Ok(bytes) => Frame::data(self.carry(bytes)),
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const CHUNK: usize = AHEAD / 2;

    fn endless() -> Body {
        let frame = || Ok::<_, Status>(Frame::data(Bytes::from(vec![7; CHUNK])));
        Body::new(StreamBody::new(futures_util::stream::repeat_with(frame)))
    }

    fn next(body: &mut Body) -> Option<Bytes> {
        body.frame().now_or_never().map(|it| it.unwrap().unwrap().into_data().unwrap())
    }

    #[test]
    fn only_so_much_is_given_ahead() {
        let mut body = follow(Response::new(endless()), None, ()).into_body();
        let (first, second) = (next(&mut body).unwrap(), next(&mut body).unwrap());
        assert!(next(&mut body).is_none());
        // A part of it is as good as the whole.
        let part = first.slice(..1);
        drop(first);
        assert!(next(&mut body).is_none());
        drop(part);
        assert_eq!(next(&mut body).unwrap().len(), CHUNK);
        drop(second);
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
