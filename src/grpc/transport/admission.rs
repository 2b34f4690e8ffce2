//! Admits requests: each request passes admission before its handler. Admission authenticates the caller, applies the
//! caller's limits, takes a slot for a request in flight, opens the span of the request, counts the request, and catches a
//! panic of the handler.
//!
//! Health checks need no credential, because probes have no token ([`super::health`]). Every other method, even an unknown
//! method, needs an authenticated caller; only reflection in development mode does not.

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

use super::connections::{CallInFlight, CallerLimit};
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

/// The path prefix of reflection, which needs no caller in development mode: the contract is public, and common tools send
/// no metadata with reflection requests.
const REFLECTION_PREFIX: &str = "/grpc.reflection.";

/// Admits or refuses the requests of a server.
#[derive(Debug)]
pub(in crate::grpc) struct Admission {
    authenticator: Authenticator,
    /// Slots of requests that are being authenticated. They are separate from `call_slots`, so that requests that fail
    /// take no slot from authenticated requests.
    authentication_slots: Semaphore,
    /// Slots of requests in flight.
    call_slots: Arc<Semaphore>,
    /// Limits the requests per second of each caller; `None` for no limit.
    rates: Option<DefaultKeyedRateLimiter<Actor>>,
    health: AnonymousHealth,
    metrics: Arc<CallMetrics>,
    app: App,
}

/// An admitted request.
struct Admitted {
    span: Span,
    peer: Option<Peer>,
    held: HeldByCall,
    /// When the response must end, and the status that ends it; `None` if admission sets no end.
    end: Option<(Instant, Status)>,
}

/// Resources of a request that are freed when its response has been sent.
enum HeldByCall {
    Authenticated { _call: Option<CallInFlight>, _slot: OwnedSemaphorePermit },
    Anonymous { _health: health::AnonymousHealthCall },
}

impl Admission {
    /// Makes the admission of a server. `max_calls` limits the requests in flight, and `rate` the requests per second of
    /// one caller. A caller that was quiet for two seconds, or is new, may send twice that number at once.
    pub(in crate::grpc) fn new(
        (authenticator, app): (Authenticator, App),
        max_calls: usize,
        rate: Option<NonZeroU32>,
        metrics: Arc<CallMetrics>,
    ) -> Self {
        let quota = |rate: NonZeroU32| {
            Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)))
        };
        let rates = rate.map(|rate| RateLimiter::keyed(quota(rate)));
        let health = AnonymousHealth::new(Arc::clone(&metrics.connections));
        let authentication_slots = Semaphore::new(max_calls);
        let call_slots = Arc::new(Semaphore::new(max_calls));
        Self { authenticator, authentication_slots, call_slots, rates, health, metrics, app }
    }

    /// Drops the rate counters of callers without recent requests.
    pub(in crate::grpc) fn forget_quiet_callers(&self) {
        if let Some(rates) = &self.rates {
            rates.retain_recent();
        }
    }

    /// Admits a request, and puts the caller, the method and the time into its extensions for the handler.
    ///
    /// # Errors
    /// The status that refuses the request.
    async fn admit(&self, counted: &mut CountedCall, request: &mut Request<Body>) -> Result<Admitted, Status> {
        let peer = peer(request.extensions()).cloned();
        if health::is_health(request.uri()) {
            return self.admit_health(request, peer).await;
        }
        if self.authenticator.is_development_mode() && request.uri().path().starts_with(REFLECTION_PREFIX) {
            return self.admit_without_caller(peer);
        }
        let time = CallTime::read(self.app.clock());
        let authenticated = self.authenticate(request, peer.as_ref(), time).await;
        let address = peer.as_ref().map(|it| it.address);
        let caller = match &authenticated {
            Ok(call) => Some(&call.identity.caller),
            Err(denied) => denied.caller.as_ref(),
        };
        let span = call_span::new_span(counted.method(), request.headers(), address, caller);
        counted.set_span(&span, authenticated.is_ok());
        match authenticated {
            Ok(AuthenticatedCall { identity, proof, call }) => {
                let held = HeldByCall::Authenticated { _call: call, _slot: self.acquire_slot()? };
                // An unknown method is not in the access table; the router refuses the request.
                if let Some(method) = Method::find(request.uri().path()) {
                    request.extensions_mut().insert(method);
                }
                request.extensions_mut().insert(time);
                request.extensions_mut().insert(identity);
                request.extensions_mut().insert(proof);
                request.extensions_mut().insert(Arc::clone(&self.metrics.internal));
                // The check of texts needs the app: a repeated request still gets its stored answer, even if its texts are
                // refused now.
                request.extensions_mut().insert(self.app.clone());
                Ok(Admitted { span, peer, held, end: None })
            }
            Err(denied) => Err(span.in_scope(|| self.deny(request, peer.as_ref(), denied))),
        }
    }

    /// Admits a health check. With a credential it is treated as any other request. Without a credential the
    /// limits of [`super::health`] apply. Admitted checks are neither logged nor traced, because probes are frequent.
    async fn admit_health(&self, request: &mut Request<Body>, peer: Option<Peer>) -> Result<Admitted, Status> {
        if self.authenticator.is_development_mode() {
            return self.admit_without_caller(peer);
        }
        let has_token = request.headers().contains_key(AUTHORIZATION);
        let time = CallTime::read(self.app.clock());
        match self.authenticate(request, peer.as_ref(), time).await {
            Ok(AuthenticatedCall { identity, proof, call }) => {
                let held = HeldByCall::Authenticated { _call: call, _slot: self.acquire_slot()? };
                let end = identity.deadline.map(|deadline| (deadline, auth::proof_expired_status(Some(proof))));
                Ok(Admitted { span: Span::none(), peer, held, end })
            }
            // A proxy may present a certificate that is not of a configured service, and the probe behind the proxy has no
            // token.
            Err(denied) if denied.caller.is_none() && !has_token => {
                let held = self.health.begin(request.uri(), peer.as_ref().map(|it| &it.entry))?;
                let end =
                    Instant::now().checked_add(health::WATCH_DURATION).map(|it| (it, health::watch_ended_status()));
                let end = end.filter(|_| health::is_watch(request.uri()));
                Ok(Admitted { span: Span::none(), peer, held: HeldByCall::Anonymous { _health: held }, end })
            }
            Err(denied) => Err(self.deny(request, peer.as_ref(), denied)),
        }
    }

    /// Admits a health or reflection request in development mode. The request counts as authenticated, but has no caller.
    fn admit_without_caller(&self, peer: Option<Peer>) -> Result<Admitted, Status> {
        let call = peer.as_ref().and_then(|it| it.registry.begin_call(&it.entry, None, None).ok());
        let held = HeldByCall::Authenticated { _call: call, _slot: self.acquire_slot()? };
        Ok(Admitted { span: Span::none(), peer, held, end: None })
    }

    /// Takes a slot for a request in flight.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED, reason `OVERLOADED`, if no slot is free.
    fn acquire_slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.call_slots).try_acquire_owned().map_err(|_| overloaded())
    }

    /// Authenticates the caller, and applies the limits of one caller.
    async fn authenticate(
        &self,
        request: &mut Request<Body>,
        peer: Option<&Peer>,
        time: CallTime,
    ) -> Result<AuthenticatedCall, Denied> {
        let Ok(_slot) = self.authentication_slots.try_acquire() else {
            return Err(Denied { caller: None, reason: ServiceReason::Overloaded, status: overloaded() });
        };
        let (parts, body) = std::mem::take(request).into_parts();
        let certificate = || peer_certificate(&parts.extensions);
        let authenticated = self.authenticator.authenticate(&parts.headers, time, certificate).await;
        *request = Request::from_parts(parts, body);
        let (identity, proof) =
            authenticated.map_err(|error| Denied { caller: None, reason: error.reason, status: error.into() })?;
        let exceeded = |reason, message: &str| Denied {
            caller: Some(identity.caller.clone()),
            reason,
            status: refuse(reason, message),
        };
        let actor = &identity.caller.actor;
        if let Some(rates) = &self.rates
            && rates.check_key(actor).is_err()
        {
            let message = "this caller calls more often than the server allows: slow down";
            return Err(exceeded(ServiceReason::RateExceeded, message));
        }
        let call = peer.map(|it| it.registry.begin_call(&it.entry, Some(actor), identity.deadline)).transpose();
        let call = call.map_err(|it| match it {
            CallerLimit::Calls(limit) => exceeded(
                ServiceReason::CallsExceeded,
                &format!("this caller has {limit} calls in flight, as many as one may have"),
            ),
            CallerLimit::Connections(limit) => exceeded(
                ServiceReason::ConnectionsExceeded,
                &format!("this caller has {limit} connections with calls in flight, as many as one may have"),
            ),
        })?;
        Ok(AuthenticatedCall { identity, proof, call })
    }

    /// Counts a denied request, writes it to the security log, and returns its status. Overload is neither counted nor
    /// logged here.
    fn deny(&self, request: &Request<Body>, peer: Option<&Peer>, denied: Denied) -> Status {
        let Denied { caller, reason, status } = denied;
        if reason != ServiceReason::Overloaded {
            self.metrics.internal.record_denial(reason.into());
            let address = peer.map(|it| it.address.to_string()).unwrap_or_default();
            security_log::log_denied_call(request.uri().path(), caller.as_ref(), &address, None, reason.into());
        }
        status
    }
}

/// An authenticated request. `call` counts the request against the limits of its caller and connection; `None` if the
/// request has no tracked connection.
struct AuthenticatedCall {
    identity: Authenticated,
    proof: Proof,
    call: Option<CallInFlight>,
}

/// Why a request was denied, and its caller if the caller is known.
struct Denied {
    caller: Option<Caller>,
    reason: ServiceReason,
    status: Status,
}

fn overloaded() -> Status {
    refuse(ServiceReason::Overloaded, "the service is busy: try again")
}

/// Puts admission before a service.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct AdmissionLayer(pub(in crate::grpc) Arc<Admission>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmittedService<S>;
    fn layer(&self, inner: S) -> AdmittedService<S> {
        AdmittedService { admission: Arc::clone(&self.0), inner }
    }
}

/// A service behind admission.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct AdmittedService<S> {
    admission: Arc<Admission>,
    inner: S,
}

impl<S> Service<Request<Body>> for AdmittedService<S>
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
        // This request uses the service that is ready; the clone becomes ready for the next request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let admission = Arc::clone(&self.admission);
        Box::pin(async move {
            let mut counted = admission.metrics.begin(request.uri().path());
            let Admitted { span, peer, held, end } = match admission.admit(&mut counted, &mut request).await {
                Ok(admitted) => admitted,
                Err(status) => return Ok(counted.count_at_status(status.into_http())),
            };
            // Health, and reflection in development mode, have no caller here. They define their own errors.
            let has_caller = request.extensions().get::<Authenticated>().is_some();
            let response = AssertUnwindSafe(inner.call(request).instrument(span)).catch_unwind().await;
            let response = response.unwrap_or_else(|_| Ok(internal().into_http()));
            let response = if has_caller { response.map(transport_errors::with_error_reason) } else { response };
            let response = response.map(|it| match end {
                Some((end, status)) => health::end_at(it, end, status),
                None => it,
            });
            response.map(|it| {
                delivery::track_response(counted.count_at_status(it), peer.as_ref().map(|it| &it.entry), held)
            })
        })
    }
}
