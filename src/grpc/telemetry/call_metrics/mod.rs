//! Counts requests for Prometheus. All label values of requests are registered at the start, so a request costs a few atomic
//! operations.
//!
//! Only methods of the access table and of the health service have labels; a request to any other method is counted as
//! `unknown`. A request is counted when its status is sent. So a client that has its response finds the request in the next
//! scrape. A cancelled request is counted when it is dropped.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tracing::Span;

use super::call_span;
use super::connection_metrics::ConnectionMetrics;
use super::internal_metrics::{InternalMetrics, ProcessSnapshot, ScrapeLock};
use crate::app::Fund;
use crate::domain::ledger::{Owner, Unit};
use crate::proto::code_name;

/// The upper bounds of the buckets of durations, in seconds. The shortest is for a request that reads one row, the longest for
/// a request that waits until its deadline.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// The number of status codes, which are numbered from 0.
const CODE_COUNT: i32 = 17;
/// The methods of the health service, which are not in the access table.
const HEALTH: [(&str, &str); 2] = [("grpc.health.v1.Health", "Check"), ("grpc.health.v1.Health", "Watch")];

/// The metrics of one method.
#[derive(Debug)]
struct MethodCounters {
    /// The name, such as `OfferService/NoteOffer`. For a service of another package, the package comes before the name.
    name: String,
    /// The number of ended requests, by status code.
    handled: Vec<IntCounter>,
    seconds: Histogram,
    /// The number of requests in flight. All methods share this gauge.
    in_flight: IntGauge,
}

/// All metrics of this process. Those of requests and funds are kept here, the others in `internal` and `connections`.
#[derive(Debug)]
pub(in crate::grpc) struct CallMetrics {
    /// The metrics of writers, database and authentication.
    pub(in crate::grpc) internal: Arc<InternalMetrics>,
    /// The metrics of connections.
    pub(in crate::grpc) connections: Arc<ConnectionMetrics>,
    lock: ScrapeLock,
    registry: Registry,
    methods: HashMap<String, Arc<MethodCounters>>,
    unknown: Arc<MethodCounters>,
    available: IntGaugeVec,
    committed: IntGaugeVec,
}

impl CallMetrics {
    /// Registers the metrics of these methods (`OfferService/NoteOffer`), all at zero.
    pub(in crate::grpc) fn new(methods: impl IntoIterator<Item = &'static str>) -> prometheus::Result<Self> {
        let (registry, lock) = (Registry::new(), ScrapeLock::default());
        let handled = Opts::new("tsio_grpc_server_handled_total", "Calls ended, by method and status code.");
        let handled = IntCounterVec::new(handled, &["grpc_service", "grpc_method", "grpc_code"])?;
        let seconds =
            HistogramOpts::new("tsio_grpc_server_handling_seconds", "How long calls took, streams to their end.")
                .buckets(SECONDS.to_vec());
        let seconds = HistogramVec::new(seconds, &["grpc_service", "grpc_method"])?;
        let in_flight = IntGauge::new("tsio_grpc_server_in_flight", "Calls in flight, streams included.")?;
        let fund_labels = ["programme", "strand", "region"];
        let available = Opts::new(
            "tsio_fund_available_pence",
            "The amount of a fund that is available, in pence, read at most 15 seconds ago unless reading failed.",
        );
        let available = IntGaugeVec::new(available, &fund_labels)?;
        let committed = Opts::new(
            "tsio_fund_committed_pence",
            "The amount of a fund that is committed, in pence, read at most 15 seconds ago unless reading failed.",
        );
        let committed = IntGaugeVec::new(committed, &fund_labels)?;
        let build = Opts::new("tsio_build_info", "The running version, as a label. The value is always 1.");
        let build = IntGaugeVec::new(build, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(handled.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(available.clone()))?;
        registry.register(Box::new(committed.clone()))?;
        registry.register(Box::new(build))?;
        let internal = Arc::new(InternalMetrics::new(&registry, lock.clone())?);
        let connections = Arc::new(ConnectionMetrics::new(&registry, lock.clone())?);
        let method = |service: &str, name: &str| {
            let counter = |code| handled.with_label_values(&[service, name, code_name(Code::from(code))]);
            let handled = (0..CODE_COUNT).map(counter).collect();
            let seconds = seconds.with_label_values(&[service, name]);
            let name = format!("{}/{name}", service.strip_prefix("tsio.v1.").unwrap_or(service));
            Arc::new(MethodCounters { name, handled, seconds, in_flight: in_flight.clone() })
        };
        let own_methods = methods.into_iter().filter_map(|rpc| rpc.split_once('/'));
        let own_methods = own_methods.map(|(service, name)| (format!("tsio.v1.{service}"), name));
        let all_methods = own_methods.chain(HEALTH.map(|(service, name)| (service.to_owned(), name)));
        let methods =
            all_methods.map(|(service, name)| (format!("/{service}/{name}"), method(&service, name))).collect();
        let unknown = method("unknown", "unknown");
        Ok(Self { internal, connections, lock, registry, methods, unknown, available, committed })
    }

    /// Begins a request. It is counted when its status is sent, or when the returned value is dropped.
    pub(in crate::grpc) fn begin(&self, path: &str) -> CountedCall {
        let method = Arc::clone(self.methods.get(path).unwrap_or(&self.unknown));
        method.in_flight.inc();
        let lock = self.lock.clone();
        CountedCall { lock, method, started: Instant::now(), ended: false, span: Span::none(), is_authenticated: false }
    }

    /// Sets the amounts of the funds in pence, and removes funds that no longer exist.
    pub(in crate::grpc) fn set_funds(&self, funds: &[Fund]) {
        let _lock = self.lock.lock_exclusively();
        self.available.reset();
        self.committed.reset();
        for Fund { programme, account } in funds.iter().filter(|it| it.account.unit == Unit::Pence) {
            let Owner::Fund { region } = account.owner else { continue };
            let region = region.map_or_else(|| "national".to_owned(), |it| it.to_string());
            let strand = account.strand.to_string();
            let labels = [programme.as_str(), strand.as_str(), region.as_str()];
            self.available.with_label_values(&labels).set(account.available);
            self.committed.with_label_values(&labels).set(account.committed);
        }
    }

    /// Returns all metrics in the text format of Prometheus, as one consistent state.
    pub(in crate::grpc) fn text(&self, snapshot: &ProcessSnapshot) -> prometheus::Result<Vec<u8>> {
        let families = {
            let _lock = self.lock.lock_exclusively();
            self.internal.set_snapshot(snapshot);
            self.registry.gather()
        };
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

/// A request in flight. If it is dropped before its status was sent, it is counted as cancelled.
#[derive(Debug)]
pub(in crate::grpc) struct CountedCall {
    lock: ScrapeLock,
    method: Arc<MethodCounters>,
    started: Instant,
    ended: bool,
    span: Span,
    is_authenticated: bool,
}

impl CountedCall {
    /// Returns the name of the method: as in the access table, with its package for the health service, or `unknown/unknown`.
    pub(in crate::grpc) fn method(&self) -> &str {
        &self.method.name
    }

    /// Sets the span of the request, in which the end of the request is logged.
    pub(in crate::grpc) fn set_span(&mut self, span: &Span, is_authenticated: bool) {
        (self.span, self.is_authenticated) = (span.clone(), is_authenticated);
    }

    /// Returns a response that counts the request when its status is sent, in the headers or the trailers.
    pub(in crate::grpc) fn count_at_status(mut self, response: Response<Body>) -> Response<Body> {
        self.end_with(response.headers());
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end_with(trailers);
                }
                frame
            }))
        })
    }

    /// Ends the request if these headers have its status.
    fn end_with(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.end(Code::from_bytes(code.as_bytes()));
        }
    }

    /// Counts the request and logs its end. Further calls do nothing.
    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.started.elapsed();
        let index = usize::try_from(i32::from(code)).unwrap_or_default();
        {
            let _lock = self.lock.lock_for_recording();
            if let Some(handled) = self.method.handled.get(index) {
                handled.inc();
            }
            self.method.seconds.observe(took.as_secs_f64());
            self.method.in_flight.dec();
        }
        call_span::log_end(&self.span, code, took, self.is_authenticated);
    }
}

impl Drop for CountedCall {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

#[cfg(test)]
mod tests;
