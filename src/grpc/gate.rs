//! What every call passes before its handler: a place among the calls in flight, the door, the caller's own rate; and
//! behind it, a panic that is caught.
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

use super::auth::{Door, LetIn};
use super::denied;
use super::foreign;
use super::metrics::Metrics;
use super::status::{error_info, with_details};
use crate::domain::ids::Actor;

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

    async fn let_in(&self, request: &mut Request<Body>) -> Result<LetIn, Status> {
        let (parts, body) = std::mem::take(request).into_parts();
        let known = self.door.who(&parts).await;
        let from = denied::peer(&parts.extensions).map(|it| it.address.to_string()).unwrap_or_default();
        let rpc = parts.uri.path().to_owned();
        *request = Request::from_parts(parts, body);
        let known = known.map_err(|unknown| {
            self.metrics.inside.deny(unknown.reason);
            denied::say(&rpc, None, &from, None, unknown.reason);
            Status::from(unknown)
        })?;
        if let Some(rates) = &self.rates
            && rates.check_key(&known.caller.actor).is_err()
        {
            self.metrics.inside.deny("RATE_EXCEEDED");
            denied::say(&rpc, Some(&known.caller), &from, None, "RATE_EXCEEDED");
            return Err(busy("RATE_EXCEEDED", "this caller calls more often than the server allows: slow down"));
        }
        Ok(known)
    }
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
            let counted = gate.metrics.begin(request.uri().path());
            let Ok(_place) = gate.places.try_acquire() else {
                return Ok(counted.follow(busy("OVERLOADED", "the service is busy: try again").into_http()));
            };
            let open = gate.is_open(request.uri().path());
            if !open {
                match gate.let_in(&mut request).await {
                    Ok(known) => {
                        request.extensions_mut().insert(known);
                        request.extensions_mut().insert(Arc::clone(&gate.metrics.inside));
                    }
                    Err(status) => return Ok(counted.follow(status.into_http())),
                }
            }
            if let Some(peer) = denied::peer(request.extensions()) {
                peer.let_in();
            }
            let answered = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
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
