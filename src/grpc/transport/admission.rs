//! What every call passes before its handler: authentication, the bounds of its caller, a place among the calls in flight;
//! and behind it, a panic that is caught. What is counted of it and what the log says of it begin here.
//!
//! Health is open to everyone, for probes have no token ([`super::health`]); everything else, unknown methods too, needs
//! an authenticated caller.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::connections::{CallInFlight, Exceeded};
use super::health::{self, AnonymousHealth};
use super::{delivery, transport_errors};
use crate::app::App;
use crate::domain::ids::Actor;
use crate::domain::role::Caller;
use crate::grpc::auth::call_time::CallTime;
use crate::grpc::auth::method::Method;
use crate::grpc::auth::{self, Authenticated, Authenticator, Proof, security_log};
use crate::grpc::message::reason::ServiceReason;
use crate::grpc::message::status::{internal, refuse};
use crate::grpc::telemetry::call_metrics::{CallMetrics, CountedCall};
use crate::grpc::telemetry::call_span;
use crate::grpc::transport::connections::{Peer, peer, peer_certificate};

/// Open in development: it tells the contract, which this project publishes anyway, and stock tools send nothing with it.
const REFLECTION: &str = "/grpc.reflection.";

/// The gate of a server.
#[derive(Debug)]
pub(in crate::grpc) struct Admission {
    authenticator: Authenticator,
    /// For calls that are being authenticated: those that never will be take no place from the others.
    authenticating: Semaphore,
    places: Arc<Semaphore>,
    rates: Option<DefaultKeyedRateLimiter<Actor>>,
    health: AnonymousHealth,
    metrics: Arc<CallMetrics>,
    app: App,
}

/// A call that may go to its handler.
struct Admitted {
    span: Span,
    peer: Option<Peer>,
    held: HeldByCall,
    /// When its response ends at the latest, and with what.
    end: Option<(Instant, Status)>,
}

/// What a call holds until its response is gone.
enum HeldByCall {
    Authenticated { _call: Option<CallInFlight>, _place: OwnedSemaphorePermit },
    Anonymous { _health: health::AnonymousHealthCall },
}

impl Admission {
    /// At most so many calls in flight, and so many a second of one caller, twice as many after a quiet second.
    pub(in crate::grpc) fn new(
        (authenticator, app): (Authenticator, App),
        calls: usize,
        rate: Option<NonZeroU32>,
        metrics: Arc<CallMetrics>,
    ) -> Self {
        let quota = |rate: NonZeroU32| {
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)))
        };
        let rates = rate.map(|rate| RateLimiter::keyed(quota(rate)));
        let health = AnonymousHealth::new(Arc::clone(&metrics.connections));
        let (authenticating, places) = (Semaphore::new(calls), Arc::new(Semaphore::new(calls)));
        Self { authenticator, authenticating, places, rates, health, metrics, app }
    }

    /// Forgets the rates of callers who have been quiet.
    pub(in crate::grpc) fn forget_quiet_callers(&self) {
        if let Some(rates) = &self.rates {
            rates.retain_recent();
        }
    }

    /// Lets a call begin, or says why not.
    async fn admit(&self, counted: &mut CountedCall, request: &mut Request<Body>) -> Result<Admitted, Status> {
        let peer = peer(request.extensions()).cloned();
        if health::is_health(request.uri()) {
            return self.admit_health(request, peer).await;
        }
        if self.authenticator.is_open() && request.uri().path().starts_with(REFLECTION) {
            return self.admit_developer(peer);
        }
        let time = CallTime::read(self.app.clock());
        let known = self.authenticate(request, peer.as_ref(), time).await;
        let from = peer.as_ref().map(|it| it.address);
        let caller = match &known {
            Ok(known) => Some(&known.let_in.caller),
            Err(denied) => denied.caller.as_ref(),
        };
        let span = call_span::span(counted.method(), request.headers(), from, caller);
        counted.told_in(&span, known.is_ok());
        match known {
            Ok(AuthenticatedCall { let_in, proof, call }) => {
                let held = HeldByCall::Authenticated { _call: call, _place: self.place()? };
                // The router answers for what is no method of the contract.
                if let Some(method) = Method::at(request.uri().path()) {
                    request.extensions_mut().insert(method);
                }
                request.extensions_mut().insert(time);
                request.extensions_mut().insert(let_in);
                request.extensions_mut().insert(proof);
                request.extensions_mut().insert(Arc::clone(&self.metrics.inside));
                // For a call whose texts are refused, unless it was answered before.
                request.extensions_mut().insert(self.app.clone());
                Ok(Admitted { span, peer, held, end: None })
            }
            Err(denied) => Err(span.in_scope(|| self.deny(request, peer.as_ref(), denied))),
        }
    }

    /// A health call: as any other where it carries a credential, else one of few. Neither the log nor a trace has anything of
    /// those that are answered, for probes come every other second.
    async fn admit_health(&self, request: &mut Request<Body>, peer: Option<Peer>) -> Result<Admitted, Status> {
        if self.authenticator.is_open() {
            return self.admit_developer(peer);
        }
        let shows_token = request.headers().contains_key(AUTHORIZATION);
        let time = CallTime::read(self.app.clock());
        match self.authenticate(request, peer.as_ref(), time).await {
            Ok(AuthenticatedCall { let_in, proof, call }) => {
                let held = HeldByCall::Authenticated { _call: call, _place: self.place()? };
                let end = let_in.ends.map(|ends| (ends, auth::over(Some(proof))));
                Ok(Admitted { span: Span::none(), peer, held, end })
            }
            // The certificate of a proxy names no service, and a probe behind it has nothing to show.
            Err(denied) if denied.caller.is_none() && !shows_token => {
                let held = self.health.begin(request.uri(), peer.as_ref().map(|it| &it.entry))?;
                let end = Instant::now().checked_add(health::LASTS).map(|it| (it, health::over()));
                let end = end.filter(|_| health::is_watch(request.uri()));
                Ok(Admitted { span: Span::none(), peer, held: HeldByCall::Anonymous { _health: held }, end })
            }
            Err(denied) => Err(self.deny(request, peer.as_ref(), denied)),
        }
    }

    /// In development mode nobody proves anything, so what is open to all counts as an authenticated call.
    fn admit_developer(&self, peer: Option<Peer>) -> Result<Admitted, Status> {
        let call = peer.as_ref().and_then(|it| it.registry.begin(&it.entry, None, None).ok());
        let held = HeldByCall::Authenticated { _call: call, _place: self.place()? };
        Ok(Admitted { span: Span::none(), peer, held, end: None })
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| overloaded())
    }

    /// Who calls, within the bounds of one caller.
    async fn authenticate(
        &self,
        request: &mut Request<Body>,
        peer: Option<&Peer>,
        time: CallTime,
    ) -> Result<AuthenticatedCall, Denied> {
        let Ok(_place) = self.authenticating.try_acquire() else {
            return Err(Denied { caller: None, reason: ServiceReason::Overloaded, status: overloaded() });
        };
        let (parts, body) = std::mem::take(request).into_parts();
        let known = self.authenticator.who(&parts.headers, time, || peer_certificate(&parts.extensions)).await;
        *request = Request::from_parts(parts, body);
        let (let_in, proof) =
            known.map_err(|unknown| Denied { caller: None, reason: unknown.reason, status: unknown.into() })?;
        let exceeded = |reason, message: &str| Denied {
            caller: Some(let_in.caller.clone()),
            reason,
            status: refuse(reason, message),
        };
        let actor = &let_in.caller.actor;
        if let Some(rates) = &self.rates
            && rates.check_key(actor).is_err()
        {
            let message = "this caller calls more often than the server allows: slow down";
            return Err(exceeded(ServiceReason::RateExceeded, message));
        }
        let call = peer.map(|it| it.registry.begin(&it.entry, Some(actor), let_in.ends)).transpose();
        let call = call.map_err(|it| match it {
            Exceeded::Calls(most) => exceeded(
                ServiceReason::CallsExceeded,
                &format!("this caller has {most} calls in flight, as many as one may have"),
            ),
            Exceeded::Connections(most) => exceeded(
                ServiceReason::ConnectionsExceeded,
                &format!("this caller has {most} connections with calls in flight, as many as one may have"),
            ),
        })?;
        Ok(AuthenticatedCall { let_in, proof, call })
    }

    /// Counts and logs a call that was denied.
    fn deny(&self, request: &Request<Body>, peer: Option<&Peer>, denied: Denied) -> Status {
        let Denied { caller, reason, status } = denied;
        if reason != ServiceReason::Overloaded {
            self.metrics.inside.deny(reason.into());
            let from = peer.map(|it| it.address.to_string()).unwrap_or_default();
            security_log::say(request.uri().path(), caller.as_ref(), &from, None, reason.into());
        }
        status
    }
}

/// An authenticated caller, and the call counted for them.
struct AuthenticatedCall {
    let_in: Authenticated,
    proof: Proof,
    call: Option<CallInFlight>,
}

/// Why a call was not let in, and who it was where that is known.
struct Denied {
    caller: Option<Caller>,
    reason: ServiceReason,
    status: Status,
}

fn overloaded() -> Status {
    refuse(ServiceReason::Overloaded, "the service is busy: try again")
}

/// Puts the gate before a service.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct AdmissionLayer(pub(in crate::grpc) Arc<Admission>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { gate: Arc::clone(&self.0), inner }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Guarded<S> {
    gate: Arc<Admission>,
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
            let Admitted { span, peer, held, end } = match gate.admit(&mut counted, &mut request).await {
                Ok(admitted) => admitted,
                Err(status) => return Ok(counted.follow(status.into_http())),
            };
            // Health and reflection speak for themselves.
            let ours = request.extensions().get::<Authenticated>().is_some();
            let answered = AssertUnwindSafe(inner.call(request).instrument(span)).catch_unwind().await;
            let answered = answered.unwrap_or_else(|_| Ok(internal().into_http()));
            let answered = if ours { answered.map(transport_errors::in_our_words) } else { answered };
            let answered = answered.map(|it| match end {
                Some((end, status)) => health::until(it, end, status),
                None => it,
            });
            answered.map(|it| delivery::follow(counted.follow(it), peer.as_ref().map(|it| &it.entry), held))
        })
    }
}
