//! What every call passes before its handler: a place among the calls in flight, the door, the caller's own rate; and
//! behind it, a panic that is caught. What is counted of it and what the log says of it begin here.
//!
//! Health is open to whoever asks, for probes have no token; everything else, unknown methods too, is behind the door.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::auth::{Door, LetIn};
use super::denied;
use super::foreign;
use super::line;
use super::metrics::{Counted, Metrics};
use super::status::{error_info, with_details};
use crate::domain::ids::Actor;
use crate::domain::role::Caller;

/// Open to whoever asks.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Open in development: it tells the contract, which this project publishes anyway, and stock tools send nothing with it.
const REFLECTION: &str = "/grpc.reflection.";

/// The gate of a server.
#[derive(Debug)]
pub(super) struct Gate {
    door: Door,
    places: Semaphore,
    rates: Option<DefaultKeyedRateLimiter<Actor>>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// At most so many calls in flight, and so many a second of one caller, twice as many after a quiet second.
    pub(super) fn new(door: Door, calls: usize, rate: Option<NonZeroU32>, metrics: Arc<Metrics>) -> Self {
        let quota = |rate: NonZeroU32| {
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)))
        };
        let rates = rate.map(|rate| RateLimiter::keyed(quota(rate)));
        Self { door, places: Semaphore::new(calls), rates, metrics }
    }

    fn is_open(&self, path: &str) -> bool {
        path.starts_with(HEALTH) || (self.door.is_open() && path.starts_with(REFLECTION))
    }

    /// Forgets the rates of callers who have been quiet.
    pub(super) fn forget_quiet_callers(&self) {
        if let Some(rates) = &self.rates {
            rates.retain_recent();
        }
    }

    async fn let_in(&self, request: &mut Request<Body>) -> Result<LetIn, Denied> {
        let (parts, body) = std::mem::take(request).into_parts();
        let known = self.door.who(&parts).await;
        *request = Request::from_parts(parts, body);
        let known = known.map_err(|unknown| Denied { caller: None, reason: unknown.reason, status: unknown.into() })?;
        if let Some(rates) = &self.rates
            && rates.check_key(&known.caller.actor).is_err()
        {
            let reason = "RATE_EXCEEDED";
            let status = busy(reason, "this caller calls more often than the server allows: slow down");
            return Err(Denied { caller: Some(known.caller), reason, status });
        }
        Ok(known)
    }

    /// Lets a call in, or says that it did not, and opens the call's span.
    async fn begin(&self, counted: &mut Counted, request: &mut Request<Body>) -> Result<Span, Status> {
        let known = self.let_in(request).await;
        let from = denied::peer(request.extensions()).map(|it| it.address);
        let caller = match &known {
            Ok(known) => Some(&known.caller),
            Err(denied) => denied.caller.as_ref(),
        };
        let span = line::span(counted.method(), request.headers(), from, caller);
        counted.told_in(&span, known.is_ok());
        match known {
            Ok(known) => {
                request.extensions_mut().insert(known);
                request.extensions_mut().insert(Arc::clone(&self.metrics.inside));
                Ok(span)
            }
            Err(Denied { caller, reason, status }) => {
                self.metrics.inside.deny(reason);
                let from = from.map(|it| it.to_string()).unwrap_or_default();
                span.in_scope(|| denied::say(request.uri().path(), caller.as_ref(), &from, None, reason));
                Err(status)
            }
        }
    }
}

/// Why a call was not let in, and who it was where that is known.
struct Denied {
    caller: Option<Caller>,
    reason: &'static str,
    status: Status,
}

fn busy(reason: &str, message: &str) -> Status {
    with_details(Code::ResourceExhausted, message.to_owned(), vec![error_info(reason)])
}

/// Puts the gate before a service.
#[derive(Debug, Clone)]
pub(super) struct GateLayer(pub(super) Arc<Gate>);

impl<S> Layer<S> for GateLayer {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { gate: Arc::clone(&self.0), inner }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub(super) struct Guarded<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that was made ready is used; its clone waits for the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let mut counted = gate.metrics.begin(request.uri().path());
            let Ok(_place) = gate.places.try_acquire() else {
                return Ok(counted.follow(busy("OVERLOADED", "the service is busy: try again").into_http()));
            };
            let open = gate.is_open(request.uri().path());
            // Probes come every other second: neither the log nor a trace has anything of them.
            let begun = if open { Ok(Span::none()) } else { gate.begin(&mut counted, &mut request).await };
            let span = match begun {
                Ok(span) => span,
                Err(status) => return Ok(counted.follow(status.into_http())),
            };
            if let Some(peer) = denied::peer(request.extensions()) {
                peer.let_in();
            }
            let answered = AssertUnwindSafe(inner.call(request).instrument(span)).catch_unwind().await;
            let answered = answered.unwrap_or_else(|_| {
                let status = with_details(
                    Code::Internal,
                    "internal error; the log has it".to_owned(),
                    vec![error_info("INTERNAL")],
                );
                Ok(status.into_http())
            });
            // Health and reflection speak for themselves.
            let answered = if open { answered } else { answered.map(foreign::in_our_words) };
            answered.map(|it| counted.follow(it))
        })
    }
}
