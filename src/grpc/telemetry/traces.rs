//! Traces go out over OTLP: a span for each call, within it one for its wait and one for its commit, and one for each group.
//!
//! Spans are those of the log; this says which of them go out, and where to. They wait in a bounded queue for a thread of
//! their own: a collector that is away or slow costs the spans that do not fit, and no call its time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, Status as Outcome, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tonic::Code;
use tonic::transport::{ClientTlsConfig, Endpoint};
use tracing::field::display;
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, layer};

use super::trace_context::Parent;

/// Spans that wait to be sent; past it they are dropped, and counted. Some seconds of a busy server, some 10 MiB.
const QUEUE: usize = 16_384;
/// Spans of one message, some hundred KiB.
const BATCH: usize = 1_024;
/// How long a span waits for others.
const EVERY: Duration = Duration::from_secs(1);
/// How long sending may take.
const SEND: Duration = Duration::from_secs(5);
/// How long sending the rest may take when the process ends.
const END: Duration = Duration::from_secs(3);

static ON: AtomicBool = AtomicBool::new(false);

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector: `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// Which part of the calls that come without a trace of their own: 0 to 1. A caller who sends a trace says whether it is kept.
    pub ratio: f64,
}

/// Sends spans until it is ended.
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Gets ready to send, from within a runtime; nothing is connected yet.
    ///
    /// # Errors
    /// Why spans cannot be sent there.
    pub fn begin(traces: &Traces) -> Result<Self, String> {
        let cannot = |error: &dyn std::fmt::Display| format!("traces cannot go to {}: {error}", traces.endpoint);
        let endpoint = Endpoint::from_shared(traces.endpoint.clone()).map_err(|error| cannot(&error))?;
        let mut endpoint = endpoint.connect_timeout(SEND).timeout(SEND);
        if traces.endpoint.starts_with("https://") {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| cannot(&error))?;
        }
        let exporter = SpanExporter::builder().with_tonic().with_channel(endpoint.connect_lazy()).with_timeout(SEND);
        let exporter = exporter.build().map_err(|error| cannot(&error))?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_max_export_batch_size(BATCH);
        let batches = batches.with_scheduled_delay(EVERY).build();
        let server = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "tsio"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.ratio))))
            .with_resource(server.build())
            .build();
        ON.store(true, Ordering::Relaxed);
        Ok(Self(provider))
    }

    /// What takes spans from `tracing`: those of this program, and no events, for those are the log's.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let goes_out = |it: &Metadata<'_>| it.is_span() && it.target().starts_with("tsio");
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("tsio"));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_level(false);
        layer::Layer::with_filter(
            layer.with_tracked_inactivity(false),
            filter_fn(goes_out).with_max_level_hint(Level::DEBUG),
        )
    }

    /// Sends what is left, within a bound. It blocks.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(END) {
            tracing::warn!(%error, "not every span was sent");
        }
    }
}

/// Puts a call's span into its caller's trace, or into one of its own, before anything lies in it.
pub(in crate::grpc) fn join(span: &Span, method: &str, parent: Option<Parent<'_>>) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    span.record("otel.kind", "server");
    if let Some(caller) = parent.and_then(caller) {
        // It fails for a span that has begun, or that nobody takes.
        let _ = span.set_parent(Context::new().with_remote_span_context(caller));
    }
    let context = span.context();
    let begun = context.span();
    begun.update_name(method.to_owned());
    let (service, name) = method.rsplit_once('/').unwrap_or_default();
    begun.set_attribute(KeyValue::new("rpc.system", "grpc"));
    begun.set_attribute(KeyValue::new("rpc.service", format!("tsio.v1.{service}")));
    begun.set_attribute(KeyValue::new("rpc.method", name.to_owned()));
    if parent.is_none() && begun.span_context().is_valid() {
        span.record("trace_id", display(begun.span_context().trace_id()));
    }
}

/// How a call ended; an error of its server is one of the span as well.
pub(in crate::grpc) fn ended(span: &Span, code: Code) {
    if !ON.load(Ordering::Relaxed) {
        return;
    }
    span.set_attribute("rpc.grpc.status_code", i64::from(i32::from(code)));
    let servers_fault =
        [Code::Unknown, Code::DeadlineExceeded, Code::Unimplemented, Code::Internal, Code::Unavailable, Code::DataLoss];
    if servers_fault.contains(&code) {
        span.set_status(Outcome::error(code.description()));
    }
}

fn caller(Parent { trace_id, span_id, sampled }: Parent<'_>) -> Option<SpanContext> {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, span) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}
