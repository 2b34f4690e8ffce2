//! What the service costs: an import beside `sqlite3 .import`, identify over a nation, and `GetOffer` beside the same
//! query sent straight through the pool. Baseline and service take turns in one run; medians of their ratios count.
//!
//! `cargo bench --bench service [-- FILE]`: FILE is a monthly file to import, plain; without one a national file of
//! invented schools is made. Prints one JSON line a figure. Needs the `sqlite3` command for its baseline.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{client, fixture_data, median, serve_file};
use tsio::domain::ids::OfferId;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{AssignOfferRequest, GetOfferRequest, ListOffersRequest};
use tsio::store::{Store, Use, offers};
use tsio_test_support::caller::Named;

/// Turns of each measurement.
const TURNS: usize = 5;
/// Callers at the same time.
const CALLERS: usize = 64;
/// Connections they share, as a few client processes would.
const CONNECTIONS: usize = 4;
/// How long one turn of reading lasts.
const WINDOW: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let given = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let month = given.map_or_else(fixture_data::month, |path| std::fs::read(path).expect("the file can be read"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("month.csv");
    std::fs::write(&path, &month).unwrap();
    imports(dir.path(), &path, &month).await;
    waits(dir.path(), &month).await;
    reads(dir.path(), month).await;
}

/// From the first byte of the upload to the commit, beside `sqlite3 .import` of the same file.
async fn imports(dir: &Path, path: &Path, month: &[u8]) {
    let (mut ours, mut theirs, mut identifies, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for turn in 0..TURNS {
        theirs.push(sqlite_import(&dir.join(format!("baseline{turn}.db")), path));
        let server = serve_file(&dir.join(format!("import{turn}.db")));
        let client = client(&server.url, 1).await.remove(0);
        client.import_register(fixture_data::membership(), "2022-03-31").await;
        let begin = Instant::now();
        client.import_ofsted(month.to_vec(), "2021-08-31").await;
        ours.push(begin.elapsed());
        peak = peak.max(server.peak_kib());
        let begin = Instant::now();
        let created = client.identify().await;
        identifies.push(begin.elapsed());
        assert!(created > 0, "nobody was eligible");
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64());
    support::print(serde_json::json!({
        "figure": "import_month",
        "ours_s": median(ours.iter().map(Duration::as_secs_f64)),
        "sqlite3_import_s": median(theirs.iter().map(Duration::as_secs_f64)),
        "ratio": median(ratios),
        "server_peak_mib": peak / 1024,
    }));
    support::print(serde_json::json!({
        "figure": "identify",
        "seconds": median(identifies.iter().map(Duration::as_secs_f64)),
    }));
}

fn sqlite_import(database: &Path, file: &Path) -> Duration {
    let begin = Instant::now();
    let done = Command::new("sqlite3")
        .arg(database)
        .arg(".mode csv")
        .arg(format!(".import '{}' month", file.display()))
        .output()
        .expect("the sqlite3 command is installed");
    let took = begin.elapsed();
    assert!(done.status.success(), "sqlite3 failed: {}", String::from_utf8_lossy(&done.stderr));
    took
}

/// The longest that a command waits while a month is imported, one command after the other.
async fn waits(dir: &Path, month: &[u8]) {
    let (mut longest, mut commands) = (Duration::ZERO, 0_u32);
    for turn in 0..TURNS {
        let server = serve_file(&dir.join(format!("waits{turn}.db")));
        let mut clients = client(&server.url, 2).await;
        clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
        clients[0].import_ofsted(month.to_vec(), "2021-08-31").await;
        clients[0].identify().await;
        let offer = all_offers(&mut clients[0].offers()).await[0].to_string();
        let (importer, mut offers) = (clients.remove(0), clients[0].offers());
        let file = month.to_vec();
        let import = tokio::spawn(async move { importer.import_ofsted(file, "2021-07-31").await });
        while !import.is_finished() {
            let request_id = uuid::Uuid::new_v4().to_string();
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

/// `GetOffer` by 64 callers, beside the same query by 64 tasks on a pool of their own.
async fn reads(dir: &Path, month: Vec<u8>) {
    let database = dir.join("reads.db");
    let server = serve_file(&database);
    let clients = client(&server.url, CONNECTIONS).await;
    clients[0].import_register(fixture_data::membership(), "2022-03-31").await;
    clients[0].import_ofsted(month, "2021-08-31").await;
    clients[0].identify().await;
    let ids = all_offers(&mut clients[0].offers()).await;
    let store = Store::open(&format!("sqlite:{}", database.display()), Use::Look).await.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        theirs.push(straight(&store, &ids).await);
        let channels: Vec<_> = clients.iter().map(support::Client::offers).collect();
        ours.push(through(&channels, &ids).await);
    }
    support::print(serde_json::json!({
        "figure": "get_offer",
        "callers": CALLERS,
        "ours_per_s": median(ours.iter().copied()),
        "straight_per_s": median(theirs.iter().copied()),
        "ratio": median(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs)),
    }));
}

async fn all_offers(client: &mut OfferServiceClient<Named>) -> Arc<Vec<OfferId>> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let programme = "2021-22".to_owned();
        let request = ListOffersRequest { programme, page_size: 500, page_token, ..Default::default() };
        let page = client.list_offers(request).await.unwrap().into_inner();
        ids.extend(page.offers.iter().map(|it| it.offer.parse::<OfferId>().unwrap()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Arc::new(ids);
        }
    }
}

async fn straight(store: &Store, ids: &Arc<Vec<OfferId>>) -> f64 {
    race(ids, |_| {
        let store = store.clone();
        move |id| {
            let store = store.clone();
            async move { assert_eq!(offers::find(&store, &[id]).await.unwrap().len(), 1) }
        }
    })
    .await
}

async fn through(channels: &[OfferServiceClient<Named>], ids: &Arc<Vec<OfferId>>) -> f64 {
    race(ids, |caller| {
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

/// Has every caller read one offer after the other for a while; answers reads a second.
async fn race<F, R>(ids: &Arc<Vec<OfferId>>, caller: impl Fn(usize) -> F) -> f64
where
    F: Fn(OfferId) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let done = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|index| {
            let (read, ids, done) = (caller(index), Arc::clone(ids), Arc::clone(&done));
            tokio::spawn(async move {
                let mut at = index;
                while begin.elapsed() < WINDOW {
                    read(ids[at % ids.len()]).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    at += CALLERS;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = u32::try_from(done.load(Ordering::Relaxed)).unwrap();
    f64::from(count) / begin.elapsed().as_secs_f64()
}
