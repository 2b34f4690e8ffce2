//! Measures the cost of watches: 500 watchers on one server while 1,000 changes per second are made. Baseline is the same
//! changes without a watcher. Each watcher checks that it gets every change once and in order.
//!
//! `cargo bench --bench watchers`, on SQLite and on PostgreSQL. Prints one JSON line for each number of watchers. Writer, watchers
//! and server share the machine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use support::window::percentile;
use support::{Client, PROGRAMME, connect_clients, fixture_data, serve, serve_file};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::watch_offers_request::Start;
use tsio::proto::watch_offers_response::Update;
use tsio::proto::{AssignOfferRequest, ListOffersRequest, WatchOffersRequest};
use tsio_test_support::caller::Named;
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

const WATCHERS: usize = 500;
/// The number of connections that the watchers share.
const CONNECTIONS: usize = 10;
/// The number of changes per second that the writer aims at.
const CHANGES_PER_SECOND: usize = 1_000;
/// How many seconds of changes the writer makes.
const SECONDS: usize = 10;
/// The number of changes that the writer sends at the same time.
const BURST: usize = 20;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    measure("sqlite", &serve_file(&dir.path().join("watchers.db"))).await;
    let cluster = Cluster::start();
    cluster.create_database("watchers", "template1");
    measure("postgres", &serve(&cluster.url("watchers"))).await;
}

/// Measures the changes without and with watchers.
async fn measure(database: &str, server: &Server) {
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
    clients[0].import_ofsted(fixture_data::month(), "2021-08-31").await;
    assert!(clients[0].identify(PROGRAMME).await > 0, "no school was eligible");
    let mut offers = clients[0].offers();
    let request = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: 500, ..Default::default() };
    let page = offers.list_offers(request).await.unwrap().into_inner();
    let ids: Arc<Vec<String>> = Arc::new(page.offers.into_iter().map(|it| it.offer).collect());
    for watchers in [0, WATCHERS] {
        let memory_before = server.peak_kib();
        let from = change_and_sequence(&mut offers, &ids).await;
        let (all_open, mut watch_tasks) = (Arc::new(Barrier::new(watchers + 1)), JoinSet::new());
        for index in 0..watchers {
            let client = clients[index % CONNECTIONS].clone();
            watch_tasks.spawn(watch(client, from, from + change_count(), Arc::clone(&all_open)));
        }
        all_open.wait().await;
        let (took, mut waits) = write(&offers, &ids).await;
        let write_end = Instant::now();
        while let Some(result) = watch_tasks.join_next().await {
            result.unwrap();
        }
        waits.sort_unstable();
        support::print(json!({
            "figure": "watchers",
            "database": database,
            "watchers": watchers,
            "changes": change_count(),
            "changes_per_s": f64::from(u32::try_from(change_count()).unwrap()) / took.as_secs_f64(),
            "commit_p50_ms": percentile(&waits, 50),
            "commit_p99_ms": percentile(&waits, 99),
            "all_complete_after_s": write_end.elapsed().as_secs_f64(),
            "server_peak_before_mib": memory_before / 1024,
            "server_peak_mib": server.peak_kib() / 1024,
        }));
    }
}

/// The number of changes of one measurement.
fn change_count() -> i64 {
    i64::try_from(CHANGES_PER_SECOND * SECONDS).unwrap()
}

/// Makes one change, and returns the sequence number of the last change of the programme.
async fn change_and_sequence(offers: &mut OfferServiceClient<Named>, ids: &[String]) -> i64 {
    let request_id = uuid::Uuid::new_v4().to_string();
    let request = AssignOfferRequest { request_id, offer: ids[0].clone(), ..Default::default() };
    offers.assign_offer(request).await.unwrap();
    let start = Some(Start::AfterSequence(0));
    let request = WatchOffersRequest { programme: PROGRAMME.to_owned(), start, ..Default::default() };
    let mut stream = offers.watch_offers(request).await.unwrap().into_inner();
    loop {
        let message = stream.message().await.unwrap().expect("a watch does not end");
        if matches!(message.update, Some(Update::Checkpoint(_))) {
            return message.sequence;
        }
    }
}

/// The fields of a `WatchOffersResponse` that a watcher of this bench reads. It leaves the change encoded: its clients would decode
/// it, on machines of their own.
#[derive(Clone, PartialEq, prost::Message)]
struct Received {
    #[prost(bytes = "bytes", optional, tag = "3")]
    change: Option<prost::bytes::Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    checkpoint: Option<prost::bytes::Bytes>,
    #[prost(int64, tag = "6")]
    sequence: i64,
}

/// Receives every change after `from` up to `last`, and checks that each comes once and in order. When the stream has begun, waits
/// at `all_open` until those of all watchers have begun.
async fn watch(client: Client, from: i64, last: i64, all_open: Arc<Barrier>) {
    let start = Some(Start::AfterSequence(from));
    let request = WatchOffersRequest { programme: PROGRAMME.to_owned(), start, ..Default::default() };
    let mut grpc = Grpc::new(client.named());
    grpc.ready().await.expect("the connection is open");
    let codec: ProstCodec<WatchOffersRequest, Received> = ProstCodec::default();
    let path = PathAndQuery::from_static("/tsio.v1.OfferService/WatchOffers");
    let mut stream = grpc.server_streaming(Request::new(request), path, codec).await.unwrap().into_inner();
    let mut last_received = from;
    let first_message = stream.message().await.unwrap().expect("a watch does not end");
    assert!(first_message.checkpoint.is_some(), "the first message is a checkpoint, because no change was made yet");
    all_open.wait().await;
    while last_received < last {
        let message = stream.message().await.unwrap().expect("a watch does not end");
        if message.change.is_some() {
            assert_eq!(message.sequence, last_received + 1, "an event is missing or was sent twice");
            last_received += 1;
        }
    }
}

/// Makes all changes at `CHANGES_PER_SECOND`, or slower if the server is slower. Each change removes the assignment of an offer,
/// which is recorded each time. Returns the total time, and the time of each call.
async fn write(offers: &OfferServiceClient<Named>, ids: &Arc<Vec<String>>) -> (Duration, Vec<Duration>) {
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(CHANGES_PER_SECOND / BURST).unwrap());
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begin, mut write_tasks) = (Instant::now(), JoinSet::new());
    for burst in 0..CHANGES_PER_SECOND * SECONDS / BURST {
        pace.tick().await;
        for change in 0..BURST {
            let (mut offers, offer) = (offers.clone(), ids[(burst * BURST + change) % ids.len()].clone());
            write_tasks.spawn(async move {
                let request_id = uuid::Uuid::new_v4().to_string();
                let request = AssignOfferRequest { request_id, offer, ..Default::default() };
                let begin = Instant::now();
                offers.assign_offer(request).await.unwrap();
                begin.elapsed()
            });
        }
    }
    let waits = write_tasks.join_all().await;
    (begin.elapsed(), waits)
}
