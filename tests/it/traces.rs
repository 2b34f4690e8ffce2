//! Traces: a collector of this test receives the spans of traced calls; without a collector, calls still work.

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

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const SECRET: &str = "Mrs Miggins telephoned";

/// Passes on every span that it receives.
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
    /// Its address, and the spans that it receives.
    async fn start() -> (String, UnboundedReceiver<Span>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (send, heard) = unbounded_channel();
        let service = TraceServiceServer::new(Self(send));
        tokio::spawn(Transport::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
        (endpoint, heard)
    }
}

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
    let (endpoint, mut heard) = Collector::start().await;
    let mut server = Server::start_with(&db, &["--traces-endpoint", &endpoint]);
    let client = Client::of(&server).await;
    let offer = client.seed().await[0].offer.clone();
    let nobody = uuid::Uuid::nil().to_string();
    let [done, missing, malformed, alone, unwanted] = [(); 5].map(|()| fresh());
    let kept = format!("00-{TRACE}-{CALLER}-01");
    note(&client, &offer, &done, Some(&kept)).await.unwrap();
    note(&client, &nobody, &missing, Some(&kept)).await.unwrap_err();
    note(&client, &offer, &malformed, Some(&kept[1..])).await.unwrap();
    note(&client, &offer, &alone, None).await.unwrap();
    note(&client, &offer, &unwanted, Some(&format!("00-{TRACE}-{CALLER}-00"))).await.unwrap();
    // The server sends its remaining spans before it stops.
    server.stop();
    let mut spans = Vec::new();
    while let Ok(span) = heard.try_recv() {
        spans.push(span);
    }
    assert!(!format!("{spans:?}").contains("Miggins"));

    let call = call_of(&spans, &done).unwrap();
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
    // The call's span contains the phases of its command in order. The batch has its own span, which is linked.
    let within: Vec<&Span> = spans.iter().filter(|it| it.parent_span_id == call.span_id).collect();
    let stage = |name: &str| *within.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}: {within:?}"));
    let (wait, commit) = (stage("wait"), stage("commit"));
    assert!(within.iter().all(|it| it.trace_id == call.trace_id));
    assert!(wait.end_time_unix_nano <= commit.end_time_unix_nano);
    let group = spans.iter().find(|it| it.span_id == commit.links[0].span_id).unwrap();
    assert_eq!((group.name.as_str(), attributes(group)["commands"].as_str()), ("group", "1"));
    assert_eq!(group.links[0].span_id, call.span_id);

    // A mistake of the caller is no error of the server, and never reaches a writer.
    let call = call_of(&spans, &missing).unwrap();
    assert_eq!(attributes(call)["rpc.grpc.status_code"], "5");
    assert_ne!(call.status.clone().unwrap_or_default().code(), StatusCode::Error);
    assert!(!spans.iter().any(|it| it.parent_span_id == call.span_id));

    for id in [&malformed, &alone] {
        let call = call_of(&spans, id).unwrap();
        assert!(hex(&call.trace_id) != TRACE && call.parent_span_id.is_empty(), "{call:?}");
    }
    assert_eq!(call_of(&spans, &unwanted), None, "its caller does not keep it");
}

async fn an_unreachable_collector_affects_no_call(db: Db) {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    // Accepts connections, and never answers.
    let dumb = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut offer = None;
    for endpoint in [nobody, format!("http://{}", dumb.local_addr().unwrap())] {
        let mut server = Server::start_with(&db, &["--traces-endpoint", &endpoint]);
        let client = Client::of(&server).await;
        let offer = match &offer {
            Some(known) => known,
            None => offer.insert(client.seed().await[0].offer.clone()),
        };
        for _ in 0..20 {
            note(&client, offer, &fresh(), None).await.unwrap();
        }
        let started = Instant::now();
        server.stop();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

#[test]
fn the_ratio_applies_to_calls_without_a_trace() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (endpoint, mut heard) = Collector::start().await;
        let settings = dir.path().join("tsio.toml");
        let text = format!("development = true\n[traces]\nendpoint = \"{endpoint}\"\nratio = 0.0\n");
        std::fs::write(&settings, text).unwrap();
        let mut server = Server::start_with(&Db::sqlite(), &["--config", settings.to_str().unwrap()]);
        let client = Client::of(&server).await;
        let nobody = uuid::Uuid::nil().to_string();
        note(&client, &nobody, &fresh(), None).await.unwrap_err();
        note(&client, &nobody, &fresh(), Some(&format!("00-{TRACE}-{CALLER}-01"))).await.unwrap_err();
        server.stop();
        assert_eq!(hex(&heard.try_recv().unwrap().trace_id), TRACE);
        assert!(heard.try_recv().is_err());
    });
}
