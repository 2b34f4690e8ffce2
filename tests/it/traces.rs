//! Tests of traces: the server sends the spans of traced calls to a collector, here in this process. Calls succeed even if the
//! collector does not answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as Transport;
use tonic::{Request, Response, Status};
use tsio::proto::{NoteOfferRequest, NoteOfferResponse};

use crate::client::{Client, fresh};
use crate::harness::{Db, Server, both, run};

both!(a_call_joins_the_trace_of_its_caller, an_unreachable_collector_affects_no_call);

/// The ids of the caller's trace and of its span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// The text of the notes, which no span may contain.
const SECRET: &str = "Mrs Miggins telephoned";

/// A trace service that puts every received span into a channel.
struct Collector(UnboundedSender<Span>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                self.0.send(span).unwrap();
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts a collector, and returns its address and the spans that it receives.
    async fn start() -> (String, UnboundedReceiver<Span>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = unbounded_channel();
        let service = TraceServiceServer::new(Self(sender));
        tokio::spawn(Transport::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
        (endpoint, received)
    }
}

/// Sends a note with this `traceparent` header, or without one.
async fn note(client: &Client, offer: &str, id: &str, traceparent: Option<&str>) -> Result<NoteOfferResponse, Status> {
    let (request_id, offer, text) = (id.to_owned(), offer.to_owned(), SECRET.to_owned());
    let mut request = client.ask(NoteOfferRequest { request_id, offer, text, ..Default::default() });
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    }
    client.offers().note_offer(request).await.map(Response::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// Returns the attributes of a span.
fn attributes(span: &Span) -> HashMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let pairs = span.attributes.iter();
    pairs.filter_map(|it| Some((it.key.as_str(), text(it.value.as_ref()?.value.as_ref()?)))).collect()
}

/// Finds the span of the call with this request id.
fn call_of<'a>(spans: &'a [Span], id: &str) -> Option<&'a Span> {
    spans.iter().find(|it| attributes(it).get("request_id").is_some_and(|it| it == id))
}

async fn a_call_joins_the_trace_of_its_caller(db: Db) {
    let (endpoint, mut received) = Collector::start().await;
    let mut server = Server::start_with(&db, &["--traces-endpoint", &endpoint]);
    let client = Client::of(&server).await;
    let offer = client.seed().await[0].offer.clone();
    let no_offer = uuid::Uuid::nil().to_string();
    let [traced, not_found, malformed, untraced, not_sampled] = [(); 5].map(|()| fresh());
    let sampled_parent = format!("00-{TRACE}-{CALLER}-01");
    let not_sampled_parent = format!("00-{TRACE}-{CALLER}-00");
    note(&client, &offer, &traced, Some(&sampled_parent)).await.unwrap();
    note(&client, &no_offer, &not_found, Some(&sampled_parent)).await.unwrap_err();
    note(&client, &offer, &malformed, Some(&sampled_parent[1..])).await.unwrap();
    note(&client, &offer, &untraced, None).await.unwrap();
    note(&client, &offer, &not_sampled, Some(&not_sampled_parent)).await.unwrap();
    // The server sends its remaining spans before it stops.
    server.stop();
    let mut spans = Vec::new();
    while let Ok(span) = received.try_recv() {
        spans.push(span);
    }
    assert!(!format!("{spans:?}").contains("Miggins"));

    let call = call_of(&spans, &traced).unwrap();
    assert_eq!((call.name.as_str(), call.kind()), ("OfferService/NoteOffer", SpanKind::Server));
    assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
    let call_attributes = attributes(call);
    for (name, expected) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "tsio.v1.OfferService"),
        ("rpc.method", "NoteOffer"),
        ("rpc.grpc.status_code", "0"),
        ("actor", "officer"),
    ] {
        assert_eq!(call_attributes[name], expected, "{name}");
    }
    // The phases of the command are children of the call's span, in order. The batch has a span of its own, linked to the
    // commit.
    let phases: Vec<&Span> = spans.iter().filter(|it| it.parent_span_id == call.span_id).collect();
    let phase = |name: &str| *phases.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}: {phases:?}"));
    let (wait, commit) = (phase("wait"), phase("commit"));
    assert!(phases.iter().all(|it| it.trace_id == call.trace_id));
    assert!(wait.end_time_unix_nano <= commit.end_time_unix_nano);
    let batch = spans.iter().find(|it| it.span_id == commit.links[0].span_id).unwrap();
    assert_eq!((batch.name.as_str(), attributes(batch)["commands"].as_str()), ("group", "1"));
    assert_eq!(batch.links[0].span_id, call.span_id);

    // A mistake of the caller does not mark the span as failed. The call never reaches a writer, so its span has no children.
    let call = call_of(&spans, &not_found).unwrap();
    assert_eq!(attributes(call)["rpc.grpc.status_code"], "5");
    assert_ne!(call.status.clone().unwrap_or_default().code(), StatusCode::Error);
    assert!(!spans.iter().any(|it| it.parent_span_id == call.span_id));

    for id in [&malformed, &untraced] {
        let call = call_of(&spans, id).unwrap();
        assert!(hex(&call.trace_id) != TRACE && call.parent_span_id.is_empty(), "{call:?}");
    }
    assert_eq!(call_of(&spans, &not_sampled), None, "the caller has not sampled this trace");
}

async fn an_unreachable_collector_affects_no_call(db: Db) {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refuses_connections = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    // Accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut offer = None;
    for endpoint in [refuses_connections, format!("http://{}", silent.local_addr().unwrap())] {
        let mut server = Server::start_with(&db, &["--traces-endpoint", &endpoint]);
        let client = Client::of(&server).await;
        let offer = match &offer {
            Some(offer) => offer,
            None => offer.insert(client.seed().await[0].offer.clone()),
        };
        for _ in 0..20 {
            note(&client, offer, &fresh(), None).await.unwrap();
        }
        let stop_begins = Instant::now();
        server.stop();
        assert!(stop_begins.elapsed() < Duration::from_secs(20), "{:?}", stop_begins.elapsed());
    }
}

#[test]
fn the_ratio_applies_to_calls_without_a_trace() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (endpoint, mut received) = Collector::start().await;
        let settings = dir.path().join("tsio.toml");
        let text = format!("development = true\n[traces]\nendpoint = \"{endpoint}\"\nratio = 0.0\n");
        std::fs::write(&settings, text).unwrap();
        let mut server = Server::start_with(&Db::sqlite(), &["--config", settings.to_str().unwrap()]);
        let client = Client::of(&server).await;
        let no_offer = uuid::Uuid::nil().to_string();
        note(&client, &no_offer, &fresh(), None).await.unwrap_err();
        note(&client, &no_offer, &fresh(), Some(&format!("00-{TRACE}-{CALLER}-01"))).await.unwrap_err();
        server.stop();
        assert_eq!(hex(&received.try_recv().unwrap().trace_id), TRACE);
        assert!(received.try_recv().is_err());
    });
}
