//! The server: every service on one port, bounded in everything, and a bounded drain at the end.

use std::future::Future;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use http::{HeaderValue, Request};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::transport::server::Router;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity as Nothing, Stack};
use tower::util::MapRequestLayer;

use super::auth::{Access, Authenticator};
use crate::app::{App, AppError, WriterMetrics};
use crate::grpc::auth::access;
use crate::grpc::service::approvals::Approvals;
use crate::grpc::service::awards::Awards;
use crate::grpc::service::eligibility::Eligibility;
use crate::grpc::service::finance::Finance;
use crate::grpc::service::funds::Funds;
use crate::grpc::service::offers::Offers;
use crate::grpc::service::record::Records;
use crate::grpc::service::referrals::Referrals;
use crate::grpc::service::register::Register;
use crate::grpc::service::terms::Programmes;
use crate::grpc::service::upload::Uploads;
use crate::grpc::service::watch::{self, Watchers};
use crate::grpc::telemetry::call_metrics::CallMetrics;
use crate::grpc::telemetry::ledger_check_job;
use crate::grpc::transport::admission::{Admission, AdmissionLayer};
use crate::grpc::transport::connections::{self, ConnectionLimits, Registry};
use crate::grpc::transport::web::{self, Web};
use crate::grpc::transport::{body_timeout, cancelled_stream, metrics_endpoint};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::approval_service_server::ApprovalServiceServer;
use crate::proto::award_service_server::AwardServiceServer;
use crate::proto::eligibility_service_server::EligibilityServiceServer;
use crate::proto::finance_service_server::FinanceServiceServer;
use crate::proto::fund_service_server::FundServiceServer;
use crate::proto::offer_service_server::OfferServiceServer;
use crate::proto::record_service_server::RecordServiceServer;
use crate::proto::referral_service_server::ReferralServiceServer;
use crate::proto::register_service_server::RegisterServiceServer;
use crate::proto::terms_service_server::TermsServiceServer;

/// A message: the largest is a chunk of an upload, 1 MiB, and a page of 500 offers, some hundred KiB.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Streams of one connection at the same time.
const MAX_STREAMS: u32 = 1_024;
/// A connection that does not answer a ping is closed.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a ping may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often readiness asks the database.
const READINESS: Duration = Duration::from_secs(2);

/// By how much the clock may be behind what was recorded last.
const BEHIND: Duration = Duration::from_secs(1);

/// Bounds that the operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// How long calls in flight may take after the server was told to stop.
    pub drain: Duration,
    /// Connections, and what one caller may do over them.
    pub connections: ConnectionLimits,
    /// Calls in flight; more are told that the server is busy.
    pub calls: usize,
    /// Calls a second of one caller, where that is bounded.
    pub rate: Option<NonZeroU32>,
    /// Watches of one caller at a time, where they are bounded.
    pub watches: Option<NonZeroUsize>,
}

/// What the server is known by, and whose certificates it takes: all in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// Its certificate, and those between it and its authority.
    pub certificate: Vec<u8>,
    /// The key of the certificate.
    pub key: Vec<u8>,
    /// The authority of services that call with a certificate.
    pub client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who is let in.
    pub access: Access,
    /// TLS, where it is spoken.
    pub tls: Option<Tls>,
    /// Bounds.
    pub limits: ServerLimits,
    /// Pages of which origins may call, over gRPC-Web; none where it is not spoken.
    pub web: Vec<HeaderValue>,
    /// Where Prometheus may scrape, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// How often the ledger is checked, if at all.
    pub ledger: Option<Duration>,
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Every call in flight was answered.
    Drained,
    /// Calls were still in flight when the drain's time was up.
    CutOff,
}

/// Says `ready` once callers can be let in, and serves until `stop` completes, then drains: health says NOT_SERVING, no new connection is taken, calls in flight
/// have [`ServerLimits::drain`] to end.
///
/// # Errors
/// When the issuer's keys cannot be had, a certificate cannot be read, or the transport fails.
pub async fn serve(
    app: App,
    listener: TcpListener,
    Setup { access, tls, limits, web, metrics: scraped, ledger: every }: Setup,
    ready: impl FnOnce() -> io::Result<()>,
    stop: impl Future<Output = ()> + Send,
) -> Result<Serving, Box<dyn std::error::Error + Send + Sync>> {
    let (mut health, health_service) = tonic_health::server::health_reporter();
    let metrics = Arc::new(CallMetrics::new(access::methods())?);
    let authenticator = Authenticator::open(access, limits.calls, &metrics.internal).await?;
    let connections = limits.connections.clone().within_descriptors();
    let connections = Arc::new(Registry::new(connections, Arc::clone(&metrics.connections)));
    let gate = Arc::new(Admission::new((authenticator, app.clone()), limits.calls, limits.rate, Arc::clone(&metrics)));
    let (uploads, watchers) = (Uploads::default(), watch::watchers(app.clone(), limits.watches));
    app.measure(Arc::clone(&metrics.internal) as Arc<dyn WriterMetrics>);
    let mut followers = JoinSet::new();
    followers.spawn(follow_the_database(
        app.clone(),
        health.clone(),
        Arc::clone(&gate),
        (watchers.clone(), Arc::clone(&metrics)),
    ));
    if let Some(every) = every {
        followers.spawn(ledger_check_job::run(app.clone(), Arc::clone(&metrics.internal), every));
    }
    // These go on until the drain is over.
    let mut background = scraped_at(scraped, (&app, &watchers), metrics, &connections).await?;
    background.spawn(Arc::clone(&connections).watch());
    let (drain, draining) = oneshot::channel::<()>();
    let router = router(app, health_service, (&uploads, &watchers), (tls, web), AdmissionLayer(gate))?;
    ready()?;
    let served = router.serve_with_incoming_shutdown(connections::incoming(listener, connections), async {
        // An error means the sender is gone, which is as good a reason to stop.
        let _ = draining.await;
    });
    let mut served = std::pin::pin!(served);
    tokio::select! {
        ended = &mut served => { ended?; return Ok(Serving::Drained); }
        () = stop => {}
    }
    followers.abort_all();
    health.set_service_status("", ServingStatus::NotServing).await;
    let _ = drain.send(());
    // They would last for ever; each is told to resume elsewhere.
    watchers.stop();
    // Ends the streams that watch it, once they have been told: nothing else would, and they would hold up the drain.
    health.clear_service_status("").await;
    let drained = async {
        let ended = served.await;
        uploads.idle().await;
        ended
    };
    let ended = tokio::time::timeout(limits.drain, drained).await;
    background.abort_all();
    match ended {
        Ok(ended) => ended.map(|()| Serving::Drained).map_err(Into::into),
        Err(_) => Ok(Serving::CutOff),
    }
}

/// Lets Prometheus scrape, where it may; the task ends with what is returned.
async fn scraped_at(
    address: Option<SocketAddr>,
    (app, watchers): (&App, &Watchers),
    metrics: Arc<CallMetrics>,
    connections: &Arc<Registry>,
) -> Result<JoinSet<()>, String> {
    let mut scrapes = JoinSet::new();
    if let Some(address) = address {
        let cannot = |error| format!("cannot listen on {address} for metrics: {error}");
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        tracing::info!(listen = %listener.local_addr().map_err(cannot)?, "metrics");
        scrapes.spawn(metrics_endpoint::serve(
            (app.clone(), watchers.clone()),
            metrics,
            listener,
            Arc::clone(connections),
        ));
    }
    Ok(scrapes)
}

/// What every request passes first.
type RequestLayers = MapRequestLayer<fn(Request<Body>) -> Request<Body>>;
/// For browsers where they may call, then that, and then the gate.
type Layers = Stack<AdmissionLayer, Stack<RequestLayers, Stack<Web, Nothing>>>;

fn router(
    app: App,
    health: HealthServer<impl Health>,
    (uploads, watchers): (&Uploads, &Watchers),
    (tls, origins): (Option<Tls>, Vec<HeaderValue>),
    gate: AdmissionLayer,
) -> Result<Router<Layers>, Box<dyn std::error::Error + Send + Sync>> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let register = Register { app: app.clone(), uploads: uploads.clone() };
    let eligibility = Eligibility { app: app.clone(), uploads: uploads.clone() };
    let told: RequestLayers =
        MapRequestLayer::new(|request| cancelled_stream::abort_if_cancelled(body_timeout::limit_message_time(request)));
    let mut builder = Server::builder();
    if let Some(Tls { certificate, key, client_ca }) = tls {
        let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).timeout(HANDSHAKE);
        if let Some(authority) = client_ca {
            // A caller without a certificate shows a token instead; one of another authority is not spoken to.
            tls = tls.client_ca_root(Certificate::from_pem(authority)).client_auth_optional(true);
        }
        builder = builder.tls_config(tls)?;
    }
    let mut server = builder
        .accept_http1(!origins.is_empty())
        .layer(web::layer(origins))
        .layer(told)
        .layer(gate)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    Ok(server
        .add_service(health)
        .add_service(reflection)
        .add_service(RegisterServiceServer::new(register).max_decoding_message_size(MAX_MESSAGE))
        .add_service(EligibilityServiceServer::new(eligibility).max_decoding_message_size(MAX_MESSAGE))
        .add_service(
            OfferServiceServer::new(Offers(app.clone(), watchers.clone())).max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(AwardServiceServer::new(Awards(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(FundServiceServer::new(Funds(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(FinanceServiceServer::new(Finance(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(TermsServiceServer::new(Programmes(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(RecordServiceServer::new(Records(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(ReferralServiceServer::new(Referrals(app.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(ApprovalServiceServer::new(Approvals(app)).max_decoding_message_size(MAX_MESSAGE)))
}

/// Readiness follows the database: NOT_SERVING while it is away, and for good once a newer program has migrated it: then
/// watchers go on elsewhere, as events may come that this program cannot read. NOT_SERVING too while the clock is wrong.
async fn follow_the_database(
    app: App,
    health: HealthReporter,
    gate: Arc<Admission>,
    (watchers, metrics): (Watchers, Arc<CallMetrics>),
) {
    let mut every = tokio::time::interval(READINESS);
    let mut was_behind = false;
    loop {
        every.tick().await;
        gate.forget_quiet_callers();
        // At the same time: each waits for a database that does not answer.
        let (skew, ready) = tokio::join!(app.clock_skew(), app.ready());
        if let Ok(skew) = &skew {
            metrics.internal.clock_skew(skew.behind, skew.apart);
        }
        let ready = match (ready, skew) {
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(skew)) => skew.wrong.map_or(Ok(skew.behind), Err),
        };
        let status = match ready {
            Ok(behind) => {
                let is_behind = behind > BEHIND;
                if is_behind != was_behind {
                    tell_clock(behind, is_behind);
                    was_behind = is_behind;
                }
                if is_behind { ServingStatus::NotServing } else { ServingStatus::Serving }
            }
            Err(error) => {
                tracing::warn!(error = error.for_log(), "not ready");
                if error == AppError::Outdated {
                    watchers.stop();
                }
                ServingStatus::NotServing
            }
        };
        health.set_service_status("", status).await;
    }
}

/// Says that the clock has fallen behind what was recorded last, or is behind it no longer.
fn tell_clock(behind: Duration, is_behind: bool) {
    let behind_ms = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX);
    if is_behind {
        tracing::warn!(
            behind_ms,
            "the clock is behind what was recorded last, and that time is recorded until it is not"
        );
    } else {
        tracing::info!(behind_ms, "the clock is no longer behind what was recorded last");
    }
}
