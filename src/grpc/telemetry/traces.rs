//! Exports traces over OTLP. There is a span for each request. If the request waits for the writer, there is a span
//! for the wait inside it, and a span for the commit of its batch. There is also a span for each batch of the writer.
//!
//! The log uses the same spans. This module selects and sends them. A separate thread sends them from a bounded queue, so
//! an unreachable or slow collector loses spans but does not delay requests.

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

/// The most spans in the queue. Further spans are dropped and counted. A busy server fills the queue in some seconds; the
/// queue then has about 10 MiB.
const MAX_QUEUED_SPANS: usize = 16_384;
/// The most spans in one message. Such a message has some hundred KiB.
const MAX_BATCH_SPANS: usize = 1_024;
/// The longest time that a span waits to be sent together with others.
const SEND_INTERVAL: Duration = Duration::from_secs(1);
/// The time limit of sending one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of sending the remaining spans when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

static EXPORT_ENABLED: AtomicBool = AtomicBool::new(false);

/// Where traces are sent, and which share of the requests is traced.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector: `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// Of the requests that arrive without a trace, this fraction is traced: 0 to 1. If the caller sends a trace, that
    /// trace says whether it is recorded.
    pub ratio: f64,
}

/// The running export of spans.
#[derive(Debug)]
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Starts the export. It connects to the collector when it sends the first spans. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// A message that says why the endpoint or its TLS settings are not valid.
    pub fn begin(traces: &Traces) -> Result<Self, String> {
        let export_error = |error: &dyn std::fmt::Display| format!("traces cannot go to {}: {error}", traces.endpoint);
        let endpoint = Endpoint::from_shared(traces.endpoint.clone()).map_err(|error| export_error(&error))?;
        let mut endpoint = endpoint.connect_timeout(SEND_TIMEOUT).timeout(SEND_TIMEOUT);
        if traces.endpoint.starts_with("https://") {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| export_error(&error))?;
        }
        let exporter =
            SpanExporter::builder().with_tonic().with_channel(endpoint.connect_lazy()).with_timeout(SEND_TIMEOUT);
        let exporter = exporter.build().map_err(|error| export_error(&error))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED_SPANS)
            .with_max_export_batch_size(MAX_BATCH_SPANS);
        let batches = batches.with_scheduled_delay(SEND_INTERVAL).build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "tsio"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string()),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.ratio))))
            .with_resource(resource.build())
            .build();
        EXPORT_ENABLED.store(true, Ordering::Relaxed);
        Ok(Self(provider))
    }

    /// Returns the layer of `tracing` that exports the spans of this program. It does not export events, which are in the
    /// log.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let is_exported = |it: &Metadata<'_>| it.is_span() && it.target().starts_with("tsio");
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("tsio"));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_level(false);
        layer::Layer::with_filter(
            layer.with_tracked_inactivity(false),
            filter_fn(is_exported).with_max_level_hint(Level::DEBUG),
        )
    }

    /// Sends the remaining spans. Blocks up to [`SHUTDOWN_TIMEOUT`].
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "not every span was sent");
        }
    }
}

/// Puts the span of a request into the caller's trace, or into a new trace. Must be called before the span is entered.
pub(in crate::grpc) fn join_trace(span: &Span, method: &str, parent: Option<Parent<'_>>) {
    if !EXPORT_ENABLED.load(Ordering::Relaxed) {
        return;
    }
    span.record("otel.kind", "server");
    if let Some(remote) = parent.and_then(remote_context) {
        // This fails if the span was entered already, or is not exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    let context = span.context();
    let otel_span = context.span();
    otel_span.update_name(method.to_owned());
    let (service, name) = method.rsplit_once('/').unwrap_or_default();
    otel_span.set_attribute(KeyValue::new("rpc.system", "grpc"));
    otel_span.set_attribute(KeyValue::new("rpc.service", format!("tsio.v1.{service}")));
    otel_span.set_attribute(KeyValue::new("rpc.method", name.to_owned()));
    if parent.is_none() && otel_span.span_context().is_valid() {
        span.record("trace_id", display(otel_span.span_context().trace_id()));
    }
}

/// Records the status code of a request. A fault of the server also marks the span as failed.
pub(in crate::grpc) fn record_status(span: &Span, code: Code) {
    if !EXPORT_ENABLED.load(Ordering::Relaxed) {
        return;
    }
    span.set_attribute("rpc.grpc.status_code", i64::from(i32::from(code)));
    let server_fault_codes =
        [Code::Unknown, Code::DeadlineExceeded, Code::Unimplemented, Code::Internal, Code::Unavailable, Code::DataLoss];
    if server_fault_codes.contains(&code) {
        span.set_status(Outcome::error(code.description()));
    }
}

fn remote_context(Parent { trace_id, span_id, sampled }: Parent<'_>) -> Option<SpanContext> {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, span) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}
