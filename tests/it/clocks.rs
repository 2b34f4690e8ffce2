//! Servers with wrong clocks: recorded times stay in order, and on PostgreSQL a server whose clock differs too much
//! from the clock of the database records nothing.
//!
//! The server with the wrong clock runs in this process, because the binary has no clock that a test can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt as _;
use tsio::app::App;
use tsio::app::clock::Clock;
use tsio::config::{Config, ConfigOverrides};
use tsio::grpc::serve;
use tsio::proto::LoadTermsRequest;
use tsio::proto::terms_service_client::TermsServiceClient;
use tsio::store::{Store, Use};

use crate::client::{Client, fresh};
use crate::harness::{Db, Server, both, run};
use crate::metrics::Scrape;

/// Longer than any wait of these tests takes.
const MAX_WAIT: Duration = Duration::from_secs(60);

both!(recorded_times_stay_in_order);

/// A server in this process, with a clock that the test can move.
struct InProcess {
    url: String,
    /// By how many seconds the clock is ahead; negative if it is behind.
    offset: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl InProcess {
    async fn start(db: &Db) -> Self {
        let (offset, url) = (Arc::new(AtomicI64::new(0)), db.url());
        let (stop, stopped) = oneshot::channel();
        let (listening, address) = oneshot::channel();
        let clock_offset = Arc::clone(&offset);
        let clock = Clock::of(move || {
            let right_time = DateTime::from_timestamp_micros(Clock::system().now().at.0).unwrap();
            right_time + TimeDelta::seconds(clock_offset.load(Ordering::Relaxed))
        });
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let store = Store::open(&url, Use::Serve).await.unwrap();
                store.migrate().await.unwrap();
                let app = App::new(store, clock);
                app.install_shipped_terms().await.unwrap();
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                listening.send(listener.local_addr().unwrap()).unwrap();
                let overrides = ConfigOverrides { development: true, ..ConfigOverrides::default() };
                let setup = Config::load(None, overrides).unwrap().setup;
                let stop = async { drop(stopped.await) };
                serve(app, listener, setup, || Ok(()), stop).await.unwrap();
            });
        });
        let url = format!("http://{}", timeout(MAX_WAIT, address).await.unwrap().unwrap());
        Self { url, offset, stop, thread }
    }

    /// Sets the clock this many seconds ahead of the right time; behind it if negative.
    fn set_clock_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::Relaxed);
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// A health watch of a server.
struct Health(Streaming<HealthCheckResponse>);

impl Health {
    async fn of(client: &Client) -> Self {
        let whole_server = HealthCheckRequest { service: String::new() };
        Self(HealthClient::new(client.channel()).watch(whole_server).await.unwrap().into_inner())
    }

    /// Waits until health has the expected status.
    async fn wait_for(&mut self, expected: ServingStatus) {
        let reached = async { while self.0.message().await.unwrap().unwrap().status() != expected {} };
        timeout(MAX_WAIT, reached).await.unwrap_or_else(|_| panic!("health does not become {expected:?}"));
    }
}

/// The recorded times of an offer's events, in microseconds since 1970, in the order of the record.
async fn recorded_times(client: &Client, offer: &str) -> Vec<i64> {
    let times = client.events(offer).await.into_iter().map(|it| it.recorded_time.unwrap());
    times.map(|it| it.seconds * 1_000_000 + i64::from(it.nanos) / 1_000).collect()
}

fn assert_in_order(times: &[i64]) {
    assert!(times.is_sorted(), "{times:?}");
}

async fn recorded_times_stay_in_order(db: Db) {
    let server = InProcess::start(&db).await;
    let client = Client::at(&server.url).await;
    let offer = client.seed().await[0].offer.clone();
    let mut health = Health::of(&client).await;
    health.wait_for(ServingStatus::Serving).await;
    client.note(&offer, "by the right clock", &fresh()).await.unwrap();

    // The clock is set back: the server records the last recorded time again, and is not healthy.
    server.set_clock_offset(-20);
    client.note(&offer, "by a clock set back", &fresh()).await.unwrap();
    let times = recorded_times(&client, &offer).await;
    assert_in_order(&times);
    assert_eq!(times[times.len() - 1], times[times.len() - 2]);
    health.wait_for(ServingStatus::NotServing).await;
    server.set_clock_offset(0);
    health.wait_for(ServingStatus::Serving).await;
    client.note(&offer, "by the right clock again", &fresh()).await.unwrap();
    let times = recorded_times(&client, &offer).await;
    assert!(times[times.len() - 1] > times[times.len() - 2], "{times:?}");

    // The clock is ahead, and then another server with a right clock starts. It too repeats the last recorded time.
    server.set_clock_offset(12);
    client.note(&offer, "by a clock that is ahead", &fresh()).await.unwrap();
    let ahead = *recorded_times(&client, &offer).await.last().unwrap();
    server.stop();
    let mut server = Server::start_with(&db, &["--metrics-listen", "127.0.0.1:0"]);
    let client = Client::of(&server).await;
    let mut health = Health::of(&client).await;
    health.wait_for(ServingStatus::NotServing).await;
    let noted = client.note(&offer, "by the right clock of another server", &fresh()).await.unwrap();
    assert_eq!(noted.offer.unwrap().offer, offer, "the server still writes");
    let times = recorded_times(&client, &offer).await;
    assert_in_order(&times);
    assert_eq!(*times.last().unwrap(), ahead);
    let behind = Scrape::of(&server).await.value("tsio_clock_behind_seconds");
    assert!((1.0..=12.0).contains(&behind), "{behind}");
    health.wait_for(ServingStatus::Serving).await;
    let started = Instant::now();
    while *recorded_times(&client, &offer).await.last().unwrap() == ahead {
        assert!(started.elapsed() < MAX_WAIT, "the clock does not reach the last recorded time");
        client.note(&offer, "once it has caught up", &fresh()).await.unwrap();
    }
    assert_in_order(&recorded_times(&client, &offer).await);
    server.stop();
    let log = server.stderr();
    for line in ["the clock is behind what was recorded last", "the clock is no longer behind what was recorded last"] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
}

/// The server refuses all changes while its clock is wrong, so that it records no times in the future or in the past.
#[test]
fn a_server_whose_clock_differs_from_that_of_the_database_records_nothing() {
    run(async {
        let db = Db::postgres();
        let server = InProcess::start(&db).await;
        let client = Client::at(&server.url).await;
        let offer = client.seed().await[0].offer.clone();
        let mut health = Health::of(&client).await;
        health.wait_for(ServingStatus::Serving).await;
        let refusal = |status: tonic::Status| {
            (status.code(), status.get_details_error_info().map(|it| it.reason).unwrap_or_default())
        };
        let clock_wrong = (Code::Unavailable, "CLOCK_WRONG".to_owned());
        for offset in [120, -120] {
            let (id, before) = (fresh(), client.events(&offer).await);
            server.set_clock_offset(offset);
            let note = client.note(&offer, "at a wrong time", &id).await;
            assert_eq!(refusal(note.unwrap_err()), clock_wrong);
            let import = client.try_register("gias_groups_2022-03.csv", "2022-03-31").await;
            assert_eq!(refusal(import.unwrap_err()), clock_wrong);
            let (file_name, text) = ("2021-22.toml".to_owned(), include_str!("../../terms/2021-22.toml").to_owned());
            let load = LoadTermsRequest { request_id: fresh(), file_name, text, ..Default::default() };
            let load = TermsServiceClient::new(client.channel()).load_terms(client.ask(load)).await;
            assert_eq!(refusal(load.unwrap_err()), clock_wrong);
            health.wait_for(ServingStatus::NotServing).await;
            assert_eq!(client.events(&offer).await, before, "reads succeed, and nothing was written");

            // With the right clock the server recovers by itself, and the repeated call is carried out once.
            server.set_clock_offset(0);
            health.wait_for(ServingStatus::Serving).await;
            for _twice in 0..2 {
                client.note(&offer, "at a wrong time", &id).await.unwrap();
            }
            assert_eq!(client.events(&offer).await.len(), before.len() + 1);
        }
        assert_in_order(&recorded_times(&client, &offer).await);
        server.stop();
    });
}
