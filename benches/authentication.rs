//! Measures the cost of authentication and of traces, by the rate of `GetOffer`.
//!
//! One server checks tokens. Two servers send traces to a collector in this process: of all calls, or of a twentieth. The
//! baseline is a server in development mode. Each server has a copy of the same database. They are measured in turns in one
//! run, and the median of the ratios is the result. No server uses TLS, so that nothing else differs.
//!
//! `cargo bench --bench authentication`. Prints one JSON line for each server but the baseline, and one for the spans.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use serde_json::json;
use support::reading::{self, CALLERS, DEVELOPMENT, NAMED};
use support::{PROGRAMME, connect_clients, fixture_data, median, serve_file, serve_with, sqlite_url};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as Transport;
use tonic::{Request, Response, Status};
use tsio::proto::ListOffersRequest;

/// How many times each server is measured.
const TURNS: usize = 9;
/// How long one measurement lasts.
const WINDOW: Duration = Duration::from_secs(2);

/// The index of the baseline in the list of servers.
const BASELINE: usize = 0;

/// One of the servers that are compared.
struct ServerSetup<'a> {
    /// The name of the figure.
    name: &'static str,
    /// The arguments of authentication and traces.
    arguments: &'a [&'a str],
    /// The metadata that the callers send.
    metadata: &'a [(&'static str, &'a str)],
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("open.db");
    let first_server = serve_file(&file);
    let clients = connect_clients(&first_server.url, 1).await;
    clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
    clients[0].import_ofsted(fixture_data::month(), "2021-08-31").await;
    assert!(clients[0].identify(PROGRAMME).await > 0, "no school was eligible");
    let request = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: 500, ..Default::default() };
    let page = clients[0].offers().list_offers(request).await.unwrap().into_inner();
    let ids: Arc<Vec<String>> = Arc::new(page.offers.into_iter().map(|it| it.offer).collect());

    first_server.stop();
    let (token_config, token) = reading::write_token_settings(dir.path());
    let (collector, received_spans) = start_collector().await;
    let twentieth_config = write_trace_settings(dir.path(), &collector, 0.05);
    let bearer = format!("Bearer {token}");
    let token_metadata: &[(&str, &str)] = &[("authorization", &bearer)];
    let trace_all = ["--development", "--traces-endpoint", &collector];
    let setups = [
        ServerSetup { name: "by_word", arguments: DEVELOPMENT, metadata: NAMED },
        ServerSetup { name: "by_token", arguments: &["--config", &token_config], metadata: token_metadata },
        ServerSetup { name: "all_traced", arguments: &trace_all, metadata: NAMED },
        ServerSetup { name: "a_twentieth_traced", arguments: &["--config", &twentieth_config], metadata: NAMED },
    ];
    let mut servers = Vec::new();
    for setup in &setups {
        // Only one server can use an SQLite file, so each server has its own copy.
        let copy = dir.path().join(format!("{}.db", setup.name));
        std::fs::copy(&file, &copy).unwrap();
        servers.push(serve_with(&sqlite_url(&copy), setup.arguments));
    }
    let mut rates = [const { Vec::new() }; 4];
    let (mut traced_calls, mut spans_received) = (0.0, 0);
    for turn in 0..TURNS {
        // Each turn begins with another server, because a measurement can influence the next one.
        for index in (0..setups.len()).map(|it| (it + turn) % setups.len()) {
            let spans_before = received_spans.load(Ordering::Relaxed);
            let rate = reading::get_offers(&servers[index].url, WINDOW, setups[index].metadata, &ids).await;
            rates[index].push(rate);
            if setups[index].name == "all_traced" {
                traced_calls += rate * WINDOW.as_secs_f64();
                spans_received += received_spans.load(Ordering::Relaxed) - spans_before;
            }
        }
    }
    let baseline_rates = &rates[BASELINE];
    for (setup, rates) in setups.iter().zip(&rates).skip(BASELINE + 1) {
        support::print(json!({
            "figure": setup.name,
            "callers": CALLERS,
            "per_s": median(rates.iter().copied()),
            "by_word_per_s": median(baseline_rates.iter().copied()),
            "ratio": median(rates.iter().zip(baseline_rates).map(|(rate, baseline)| rate / baseline)),
        }));
    }
    support::print(json!({ "figure": "spans_kept", "calls": traced_calls.round(), "spans_heard": spans_received }));
}

/// A collector of traces that only counts the received spans.
struct Collector(Arc<AtomicUsize>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|it| it.scope_spans);
        self.0.fetch_add(scopes.map(|it| it.spans.len()).sum(), Ordering::Relaxed);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts a collector. Returns its URL, and the count of the spans that it has received.
async fn start_collector() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let spans = Arc::new(AtomicUsize::new(0));
    let service = TraceServiceServer::new(Collector(Arc::clone(&spans)));
    tokio::spawn(Transport::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    (endpoint, spans)
}

/// Writes the settings of a server in development mode that traces this fraction of its calls. Returns the path of the file.
fn write_trace_settings(dir: &Path, collector: &str, ratio: f64) -> String {
    let config = dir.join("traced.toml");
    std::fs::write(&config, format!("development = true\n[traces]\nendpoint = \"{collector}\"\nratio = {ratio}\n"))
        .unwrap();
    config.display().to_string()
}
