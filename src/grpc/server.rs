//! Runs the server: all services on one port, with limits for every resource, and a graceful stop within a time limit.

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
use tower::layer::util::{Identity as NoLayer, Stack};
use tower::util::MapRequestLayer;

use super::auth::{Access, Authenticator};
use crate::app::{App, AppError, WriterMetrics};
use crate::grpc::auth::access;
use crate::grpc::service::approvals::Approvals;
use crate::grpc::service::awards::Awards;
use crate::grpc::service::eligibility::Eligibility;
use crate::grpc::service::finance::Finance;
use crate::grpc::service::funds::Funds;
use crate::grpc::service::names::Names;
use crate::grpc::service::offers::Offers;
use crate::grpc::service::record::Records;
use crate::grpc::service::referrals::Referrals;
use crate::grpc::service::register::Register;
use crate::grpc::service::terms::Programmes;
use crate::grpc::service::upload::Uploads;
use crate::grpc::service::watch::{self, Watchers};
use crate::grpc::service::work::Work;
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
use crate::proto::name_service_server::NameServiceServer;
use crate::proto::offer_service_server::OfferServiceServer;
use crate::proto::record_service_server::RecordServiceServer;
use crate::proto::referral_service_server::ReferralServiceServer;
use crate::proto::register_service_server::RegisterServiceServer;
use crate::proto::terms_service_server::TermsServiceServer;
use crate::proto::work_service_server::WorkServiceServer;

/// The largest message, in bytes. A chunk of an upload has up to 1 MiB, a page of 500 offers some hundred KiB.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most concurrent streams of one connection.
const MAX_STREAMS: u32 = 1_024;
/// The interval of pings. A connection that does not reply is closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// The time limit of the reply to a ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval of readiness checks against the database.
const READINESS_INTERVAL: Duration = Duration::from_secs(2);

/// How far the clock may be behind the last recorded time before health is NOT_SERVING.
const MAX_CLOCK_BEHIND: Duration = Duration::from_secs(1);

/// Limits that the operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// The longest time that requests in flight may take after the stop signal.
    pub drain: Duration,
    /// Limits of connections, in total and per caller.
    pub connections: ConnectionLimits,
    /// The most requests in flight. Further requests are refused as overload.
    pub calls: usize,
    /// The most requests per second of one caller; `None` for no limit.
    pub rate: Option<NonZeroU32>,
    /// The most open watches of one caller; `None` for no limit.
    pub watches: Option<NonZeroUsize>,
}

/// The certificate and key of the server, and the authority of client certificates, all in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate, with the intermediate certificates of its chain.
    pub certificate: Vec<u8>,
    /// The key of the certificate.
    pub key: Vec<u8>,
    /// The authority of client certificates; `None` if clients cannot use certificates.
    pub client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The settings of a server.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How callers are authenticated.
    pub access: Access,
    /// TLS; `None` for plain text.
    pub tls: Option<Tls>,
    /// Limits of connections, requests and watches, and of the time for the drain.
    pub limits: ServerLimits,
    /// The origins of web pages that may use gRPC-Web; empty turns it off.
    pub web: Vec<HeaderValue>,
    /// The address of the metrics endpoint; `None` turns it off.
    pub metrics: Option<SocketAddr>,
    /// The interval of ledger checks; `None` turns them off.
    pub ledger: Option<Duration>,
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Every request in flight got its response.
    Drained,
    /// Requests were still in flight when the time limit of the drain passed.
    CutOff,
}

/// Serves until `stop` completes, then drains. Calls `ready` when requests can be accepted.
///
/// During the drain, health is NOT_SERVING, no new connection is accepted, and requests in flight may take up to
/// [`ServerLimits::drain`].
///
/// # Errors
/// The issuer's keys cannot be fetched, the TLS settings are not valid, the metrics endpoint cannot listen, `ready` fails,
/// or the transport fails.
pub async fn serve(
    app: App,
    listener: TcpListener,
    Setup { access, tls, limits, web, metrics: metrics_address, ledger: check_interval }: Setup,
    ready: impl FnOnce() -> io::Result<()>,
    stop: impl Future<Output = ()> + Send,
) -> Result<Serving, Box<dyn std::error::Error + Send + Sync>> {
    let (mut health, health_service) = tonic_health::server::health_reporter();
    let metrics = Arc::new(CallMetrics::new(access::method_names())?);
    let authenticator = Authenticator::open(access, limits.calls, &metrics.internal).await?;
    let connection_limits = limits.connections.clone().within_descriptors();
    let connections = Arc::new(Registry::new(connection_limits, Arc::clone(&metrics.connections)));
    let admission =
        Arc::new(Admission::new((authenticator, app.clone()), limits.calls, limits.rate, Arc::clone(&metrics)));
    let (uploads, watchers) = (Uploads::default(), watch::new_watchers(app.clone(), limits.watches));
    app.measure(Arc::clone(&metrics.internal) as Arc<dyn WriterMetrics>);
    let mut monitors = JoinSet::new();
    monitors.spawn(monitor_readiness(
        app.clone(),
        health.clone(),
        Arc::clone(&admission),
        (watchers.clone(), Arc::clone(&metrics)),
    ));
    if let Some(interval) = check_interval {
        monitors.spawn(ledger_check_job::run(app.clone(), Arc::clone(&metrics.internal), interval));
    }
    // These tasks run until the end of the drain; the monitors above stop when the drain starts.
    let mut background = serve_metrics(metrics_address, (&app, &watchers), metrics, &connections).await?;
    background.spawn(Arc::clone(&connections).close_expired_connections());
    let (start_drain, drain_started) = oneshot::channel::<()>();
    let router = router(app, health_service, (&uploads, &watchers), (tls, web), AdmissionLayer(admission))?;
    ready()?;
    let serving = router.serve_with_incoming_shutdown(connections::incoming(listener, connections), async {
        // An error means that the sender was dropped, which also ends the server.
        let _ = drain_started.await;
    });
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => { ended?; return Ok(Serving::Drained); }
        () = stop => {}
    }
    monitors.abort_all();
    health.set_service_status("", ServingStatus::NotServing).await;
    let _ = start_drain.send(());
    // Watches do not end on their own. This ends each watch with a status that advises the client to resume elsewhere.
    watchers.stop();
    // This ends the health watches after they got NOT_SERVING; otherwise they would delay the drain.
    health.clear_service_status("").await;
    let drained = async {
        let ended = serving.await;
        uploads.wait_until_idle().await;
        ended
    };
    let ended = tokio::time::timeout(limits.drain, drained).await;
    background.abort_all();
    match ended {
        Ok(ended) => ended.map(|()| Serving::Drained).map_err(Into::into),
        Err(_) => Ok(Serving::CutOff),
    }
}

/// Starts the metrics endpoint, if an address is configured. Dropping the result stops the endpoint.
///
/// # Errors
/// A message that says why the endpoint cannot listen on the address.
async fn serve_metrics(
    address: Option<SocketAddr>,
    (app, watchers): (&App, &Watchers),
    metrics: Arc<CallMetrics>,
    connections: &Arc<Registry>,
) -> Result<JoinSet<()>, String> {
    let mut tasks = JoinSet::new();
    if let Some(address) = address {
        let listen_error = |error| format!("cannot listen on {address} for metrics: {error}");
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        tracing::info!(listen = %listener.local_addr().map_err(listen_error)?, "metrics");
        tasks.spawn(metrics_endpoint::serve(
            (app.clone(), watchers.clone()),
            metrics,
            listener,
            Arc::clone(connections),
        ));
    }
    Ok(tasks)
}

/// Changes the bodies of requests; see [`cancelled_stream`] and [`body_timeout`].
type RequestLayers = MapRequestLayer<fn(Request<Body>) -> Request<Body>>;
/// The layers in order: gRPC-Web, the request bodies, admission.
type Layers = Stack<AdmissionLayer, Stack<RequestLayers, Stack<Web, NoLayer>>>;

fn router(
    app: App,
    health: HealthServer<impl Health>,
    (uploads, watchers): (&Uploads, &Watchers),
    (tls, origins): (Option<Tls>, Vec<HeaderValue>),
    admission: AdmissionLayer,
) -> Result<Router<Layers>, Box<dyn std::error::Error + Send + Sync>> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let register = Register { app: app.clone(), uploads: uploads.clone() };
    let eligibility = Eligibility { app: app.clone(), uploads: uploads.clone() };
    let bodies: RequestLayers =
        MapRequestLayer::new(|request| cancelled_stream::abort_if_cancelled(body_timeout::limit_message_time(request)));
    let mut builder = Server::builder();
    if let Some(Tls { certificate, key, client_ca }) = tls {
        let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key)).timeout(HANDSHAKE_TIMEOUT);
        if let Some(authority) = client_ca {
            // A client without a certificate must send a token. A certificate of another authority makes the handshake
            // fail.
            tls = tls.client_ca_root(Certificate::from_pem(authority)).client_auth_optional(true);
        }
        builder = builder.tls_config(tls)?;
    }
    let mut server = builder
        .accept_http1(!origins.is_empty())
        .layer(web::layer(origins))
        .layer(bodies)
        .layer(admission)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    Ok(server
        .add_service(health)
        .add_service(reflection)
        .add_service(RegisterServiceServer::new(register).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(EligibilityServiceServer::new(eligibility).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(
            OfferServiceServer::new(Offers(app.clone(), watchers.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(AwardServiceServer::new(Awards(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(FundServiceServer::new(Funds(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(FinanceServiceServer::new(Finance(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(NameServiceServer::new(Names(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(TermsServiceServer::new(Programmes(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(WorkServiceServer::new(Work(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(RecordServiceServer::new(Records(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(ReferralServiceServer::new(Referrals(app.clone())).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(ApprovalServiceServer::new(Approvals(app)).max_decoding_message_size(MAX_MESSAGE_BYTES)))
}

/// Sets the health status at regular intervals. Never returns.
///
/// The status is NOT_SERVING while the database is unreachable, or the clock is wrong or more than [`MAX_CLOCK_BEHIND`]
/// behind the last recorded time. After a newer version of the program has migrated the database, the status stays
/// NOT_SERVING and all watches end, because new events may be unreadable for this version.
async fn monitor_readiness(
    app: App,
    health: HealthReporter,
    admission: Arc<Admission>,
    (watchers, metrics): (Watchers, Arc<CallMetrics>),
) {
    let mut ticks = tokio::time::interval(READINESS_INTERVAL);
    let mut was_behind = false;
    loop {
        ticks.tick().await;
        admission.forget_quiet_callers();
        // The two checks run concurrently, because each may wait for a database that does not reply.
        let (skew, readiness) = tokio::join!(app.clock_skew(), app.ready());
        if let Ok(skew) = &skew {
            metrics.internal.set_clock_skew(skew.behind, skew.apart);
        }
        let readiness = match (readiness, skew) {
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(skew)) => skew.wrong.map_or(Ok(skew.behind), Err),
        };
        let status = match readiness {
            Ok(behind) => {
                let is_behind = behind > MAX_CLOCK_BEHIND;
                if is_behind != was_behind {
                    log_clock_change(behind, is_behind);
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

/// Logs that the clock has fallen behind the last recorded time, or has caught up.
fn log_clock_change(behind: Duration, is_behind: bool) {
    let behind_ms = u64::try_from(behind.as_millis()).unwrap_or(u64::MAX);
    if is_behind {
        tracing::warn!(
            behind_ms,
            "the clock is behind what was recorded last; the last recorded time is recorded until the clock catches up"
        );
    } else {
        tracing::info!(behind_ms, "the clock is no longer behind what was recorded last");
    }
}
