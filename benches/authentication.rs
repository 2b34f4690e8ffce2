//! What it costs to have callers prove who they are, and to have calls traced: `GetOffer` on a server that checks tokens,
//! and on two that send spans of all calls or of a twentieth to a collector in this process, beside one in development
//! mode. Each has a copy of the database; they take turns in one run, and the median of their ratios counts.
//!
//! `cargo bench --bench authentication`. Prints a JSON line for each. All speak without TLS, so that only what is measured differs.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first surprise"
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
use support::{client, fixture_data, median, serve_file, serve_with, sqlite_url};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server as Transport;
use tonic::{Request, Response, Status};
use tsio::proto::ListOffersRequest;

/// Turns of each server.
const TURNS: usize = 9;
/// How long one turn lasts.
const WINDOW: Duration = Duration::from_secs(2);
const PROGRAMME: &str = "2021-22";

/// What a server is called in the figures, how it is started, and what callers show it.
type Compared<'a> = (&'static str, &'a [&'a str], &'a [(&'static str, &'a str)]);

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("open.db");
    let seeded = serve_file(&file);
    let clients = client(&seeded.url, 1).await;
    clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
    clients[0].import_ofsted(fixture_data::month(), "2021-08-31").await;
    assert!(clients[0].identify().await > 0, "nobody was eligible");
    let request = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: 500, ..Default::default() };
    let page = clients[0].offers().list_offers(request).await.unwrap().into_inner();
    let ids: Arc<Vec<String>> = Arc::new(page.offers.into_iter().map(|it| it.offer).collect());

    seeded.stop();
    let (config, token) = reading::guarded(dir.path());
    let (collector, spans) = collector().await;
    let some = traced(dir.path(), &collector, 0.05);
    let bearer = format!("Bearer {token}");
    let proof: &[(&str, &str)] = &[("authorization", &bearer)];
    let all = ["--development", "--traces-endpoint", &collector];
    let compared: [Compared<'_>; 4] = [
        ("by_word", DEVELOPMENT, NAMED),
        ("by_token", &["--config", &config], proof),
        ("all_traced", &all, NAMED),
        ("a_twentieth_traced", &["--config", &some], NAMED),
    ];
    let mut servers = Vec::new();
    for (name, access, _) in compared {
        // An SQLite file is one server's, so each has its own, with the same in it.
        let copy = dir.path().join(format!("{name}.db"));
        std::fs::copy(&file, &copy).unwrap();
        servers.push(serve_with(&sqlite_url(&copy), access));
    }
    let mut rates = [const { Vec::new() }; 4];
    let (mut sent, mut kept) = (0.0, 0);
    for turn in 0..TURNS {
        // The first has the machine as the last one left it: each is first in its turn.
        for at in (0..compared.len()).map(|it| (it + turn) % compared.len()) {
            let (name, _, shown) = compared[at];
            let before = spans.load(Ordering::Relaxed);
            let rate = reading::get_offers(&servers[at].url, WINDOW, shown, &ids).await;
            rates[at].push(rate);
            if name == "all_traced" {
                sent += rate * WINDOW.as_secs_f64();
                kept += spans.load(Ordering::Relaxed) - before;
            }
        }
    }
    let [plain, others @ ..] = &rates;
    for ((name, ..), rate) in compared[1..].iter().zip(others) {
        support::print(json!({
            "figure": name,
            "callers": CALLERS,
            "per_s": median(rate.iter().copied()),
            "by_word_per_s": median(plain.iter().copied()),
            "ratio": median(rate.iter().zip(plain).map(|(one, plain)| one / plain)),
        }));
    }
    support::print(json!({ "figure": "spans_kept", "calls": sent.round(), "spans_heard": kept }));
}

/// Counts the spans it hears.
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

/// Where a collector listens, and how many spans it has heard.
async fn collector() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let spans = Arc::new(AtomicUsize::new(0));
    let service = TraceServiceServer::new(Collector(Arc::clone(&spans)));
    tokio::spawn(Transport::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    (endpoint, spans)
}

/// Settings of a server in development mode that traces a part of its calls.
fn traced(dir: &Path, collector: &str, ratio: f64) -> String {
    let config = dir.join("traced.toml");
    std::fs::write(&config, format!("development = true\n[traces]\nendpoint = \"{collector}\"\nratio = {ratio}\n"))
        .unwrap();
    config.display().to_string()
}
