//! Measures the service against baselines: an import against `sqlite3 .import`, and `GetOffer` against the same query sent
//! directly through the pool. Measures also `IdentifyOffers` for a whole country, and how long a command waits during an import.
//!
//! Baseline and service are measured in turns in one run. The result is the median of the ratios.
//!
//! `cargo bench --bench service [-- FILE]`: FILE is an uncompressed monthly file to import. Without FILE, a national file of
//! invented schools is made. Prints one JSON line per figure. Needs the `sqlite3` command for its baseline.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{PROGRAMME, connect_clients, fixture_data, median, serve_file};
use tsio::domain::ids::OfferId;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{AssignOfferRequest, GetOfferRequest, ListOffersRequest};
use tsio::store::{Store, Use, offers};
use tsio_test_support::caller::Named;

/// How many times each measurement is repeated.
const TURNS: usize = 5;
/// The number of callers at the same time.
const CALLERS: usize = 64;
/// The number of connections that the callers share, as in a few client processes.
const CONNECTIONS: usize = 4;
/// How long one measurement of reading lasts.
const WINDOW: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let file_argument = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let month =
        file_argument.map_or_else(fixture_data::month, |path| std::fs::read(path).expect("the file can be read"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("month.csv");
    std::fs::write(&path, &month).unwrap();
    measure_imports(dir.path(), &path, &month).await;
    measure_waits(dir.path(), &month).await;
    measure_reads(dir.path(), month).await;
}

/// Measures an import, from the first byte of the upload to the commit, against `sqlite3 .import` of the same file. Measures
/// also the `IdentifyOffers` that follows.
async fn measure_imports(dir: &Path, path: &Path, month: &[u8]) {
    let (mut service_times, mut baseline_times, mut identify_times, mut peak_memory) =
        (Vec::new(), Vec::new(), Vec::new(), 0);
    for turn in 0..TURNS {
        baseline_times.push(sqlite_import(&dir.join(format!("baseline{turn}.db")), path));
        let server = serve_file(&dir.join(format!("import{turn}.db")));
        let client = connect_clients(&server.url, 1).await.remove(0);
        client.import_register(fixture_data::membership(), "2022-03-31").await;
        let begin = Instant::now();
        client.import_ofsted(month.to_vec(), "2021-08-31").await;
        service_times.push(begin.elapsed());
        peak_memory = peak_memory.max(server.peak_kib());
        let begin = Instant::now();
        let created = client.identify(PROGRAMME).await;
        identify_times.push(begin.elapsed());
        assert!(created > 0, "no school was eligible");
    }
    let ratios = service_times
        .iter()
        .zip(&baseline_times)
        .map(|(service, baseline)| service.as_secs_f64() / baseline.as_secs_f64());
    support::print(serde_json::json!({
        "figure": "import_month",
        "ours_s": median(service_times.iter().map(Duration::as_secs_f64)),
        "sqlite3_import_s": median(baseline_times.iter().map(Duration::as_secs_f64)),
        "ratio": median(ratios),
        "server_peak_mib": peak_memory / 1024,
    }));
    support::print(serde_json::json!({
        "figure": "identify",
        "seconds": median(identify_times.iter().map(Duration::as_secs_f64)),
    }));
}

/// Imports a file with the `sqlite3` command, and returns the time.
fn sqlite_import(database: &Path, file: &Path) -> Duration {
    let begin = Instant::now();
    let output = Command::new("sqlite3")
        .arg(database)
        .arg(".mode csv")
        .arg(format!(".import '{}' month", file.display()))
        .output()
        .expect("the sqlite3 command is installed");
    let took = begin.elapsed();
    assert!(output.status.success(), "sqlite3 failed: {}", String::from_utf8_lossy(&output.stderr));
    took
}

/// Measures the longest time of a command while a month is imported. The commands are sent one after the other.
async fn measure_waits(dir: &Path, month: &[u8]) {
    let (mut longest, mut commands) = (Duration::ZERO, 0_u32);
    for turn in 0..TURNS {
        let server = serve_file(&dir.join(format!("waits{turn}.db")));
        let mut clients = connect_clients(&server.url, 2).await;
        clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
        clients[0].import_ofsted(month.to_vec(), "2021-08-31").await;
        clients[0].identify(PROGRAMME).await;
        let offer = all_offers(&mut clients[0].offers()).await[0].to_string();
        let (importer, mut offers) = (clients.remove(0), clients[0].offers());
        let file = month.to_vec();
        let import = tokio::spawn(async move { importer.import_ofsted(file, "2021-07-31").await });
        while !import.is_finished() {
            let request_id = uuid::Uuid::new_v4().to_string();
            // Without an assignee the command removes the assignment, and records that each time.
            let request = AssignOfferRequest { request_id, offer: offer.clone(), ..Default::default() };
            let begin = Instant::now();
            offers.assign_offer(request).await.unwrap();
            longest = longest.max(begin.elapsed());
            commands += 1;
        }
        import.await.unwrap();
    }
    support::print(serde_json::json!({
        "figure": "command_wait_during_import",
        "commands": commands,
        "longest_ms": u64::try_from(longest.as_millis()).unwrap(),
    }));
}

/// Measures `GetOffer` by 64 callers, against the same query by 64 tasks on a separate pool.
async fn measure_reads(dir: &Path, month: Vec<u8>) {
    let database = dir.join("reads.db");
    let server = serve_file(&database);
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
    clients[0].import_ofsted(month, "2021-08-31").await;
    clients[0].identify(PROGRAMME).await;
    let ids = all_offers(&mut clients[0].offers()).await;
    let store = Store::open(&format!("sqlite:{}", database.display()), Use::Look).await.unwrap();
    let (mut service_rates, mut baseline_rates) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        baseline_rates.push(read_from_store(&store, &ids).await);
        let channels: Vec<_> = clients.iter().map(support::Client::offers).collect();
        service_rates.push(read_through_service(&channels, &ids).await);
    }
    support::print(serde_json::json!({
        "figure": "get_offer",
        "callers": CALLERS,
        "ours_per_s": median(service_rates.iter().copied()),
        "straight_per_s": median(baseline_rates.iter().copied()),
        "ratio": median(service_rates.iter().zip(&baseline_rates).map(|(service, baseline)| service / baseline)),
    }));
}

/// Reads the ids of all offers, page by page.
async fn all_offers(client: &mut OfferServiceClient<Named>) -> Arc<Vec<OfferId>> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let programme = PROGRAMME.to_owned();
        let request = ListOffersRequest { programme, page_size: 500, page_token, ..Default::default() };
        let page = client.list_offers(request).await.unwrap().into_inner();
        ids.extend(page.offers.iter().map(|it| it.offer.parse::<OfferId>().unwrap()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Arc::new(ids);
        }
    }
}

/// Returns how many offers per second are read directly from the store.
async fn read_from_store(store: &Store, ids: &Arc<Vec<OfferId>>) -> f64 {
    read_rate(ids, |_| {
        let store = store.clone();
        move |id| {
            let store = store.clone();
            async move { assert_eq!(offers::find(&store, &[id]).await.unwrap().len(), 1) }
        }
    })
    .await
}

/// Returns how many offers per second are read by `GetOffer`.
async fn read_through_service(channels: &[OfferServiceClient<Named>], ids: &Arc<Vec<OfferId>>) -> f64 {
    read_rate(ids, |caller| {
        let client = channels[caller % channels.len()].clone();
        move |id: OfferId| {
            let mut client = client.clone();
            async move {
                let request = GetOfferRequest { offer: id.to_string(), ..Default::default() };
                assert!(client.get_offer(request).await.unwrap().into_inner().offer.is_some());
            }
        }
    })
    .await
}

/// Has every caller read one offer after the other for the time of [`WINDOW`]. Returns the reads per second.
/// `make_operation(index)` makes the operation of the caller with this index: it reads one offer.
async fn read_rate<F, R>(ids: &Arc<Vec<OfferId>>, make_operation: impl Fn(usize) -> F) -> f64
where
    F: Fn(OfferId) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let read_count = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|index| {
            let (read, ids, read_count) = (make_operation(index), Arc::clone(ids), Arc::clone(&read_count));
            tokio::spawn(async move {
                let mut id_index = index;
                while begin.elapsed() < WINDOW {
                    read(ids[id_index % ids.len()]).await;
                    read_count.fetch_add(1, Ordering::Relaxed);
                    id_index += CALLERS;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = u32::try_from(read_count.load(Ordering::Relaxed)).unwrap();
    f64::from(count) / begin.elapsed().as_secs_f64()
}
