//! Measures the time to read a page of a long list: 100 of 100,000 offers, on SQLite and on PostgreSQL.
//!
//! The first page, one in the middle and the last page are read: of all offers, and of those of one region and state. Baseline
//! is the same page of one region and state by OFFSET, directly through the driver. `GetOffer` of one offer, and
//! `BatchGetOffers` of all offers of a page, are measured too.
//!
//! `cargo bench --bench pages`. Prints one JSON line per figure. The rows are inserted by SQL, without the service. Every page is
//! read once before, and each offer must be on exactly one page. Caller and server share the machine. SQLite has no statistics,
//! as in production.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::window::percentile;
use support::{PROGRAMME, connect_clients, serve, serve_file};
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{BatchGetOffersRequest, GetOfferRequest, ListOffersRequest, ListOffersResponse, OfferState};
use tsio_test_support::caller::Named;
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

/// The number of offers in the database.
const OFFERS: u32 = 100_000;
/// The number of offers on a page.
const PAGE_SIZE: i32 = 100;
/// The number of pages of one region and state. Half of the offers are of that region and state; the others are of other
/// regions, and of any state.
const FILTERED_PAGES: usize = 500;
/// How many times each page is read.
const REPEATS: usize = 1_000;
/// Half of the offers are of this region.
const MEASURED_REGION: &str = "West Midlands";
/// The regions of the other half.
const OTHER_REGIONS: [&str; 7] = [
    "East Midlands and the Humber",
    "East of England and North-East London",
    "Lancashire and West Yorkshire",
    "North of England",
    "North-West London and South-Central England",
    "South-East England and South London",
    "South-West England",
];
/// The states of the offers. Those of [`MEASURED_REGION`] have the first one.
const STATES: [&str; 4] = ["identified", "contacted", "accepted", "delivering"];
const COLUMNS: &str =
    "id, programme, recipient_kind, recipient, name, region, state, responsible, terms_sha256, search, made_at";
const EVENT_COLUMNS: &str = "programme, seq, kind, offer_id, actor, request_id, effective_on, recorded_at, body, hash";

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pages.db");
    serve_file(&file).stop();
    fill_sqlite(&file);
    measure("sqlite", &serve_file(&file)).await;
    baseline("sqlite", |offset| offset_sqlite(&file, offset));

    let cluster = Cluster::start();
    cluster.create_database("pages", "template1");
    serve(&cluster.url("pages")).stop();
    fill_postgres(&cluster);
    measure("postgres", &serve(&cluster.url("pages"))).await;
    baseline_postgres(&cluster).await;
}

/// Returns the region and the state of an offer. Every second offer is of [`MEASURED_REGION`], and identified.
fn region_and_state(number: u32) -> (&'static str, &'static str) {
    let pick = |names: &[&'static str], number: u32| names[usize::try_from(number).unwrap() % names.len()];
    if number.is_multiple_of(2) {
        (MEASURED_REGION, STATES[0])
    } else {
        (pick(&OTHER_REGIONS, number / 2), pick(&STATES, number / 16))
    }
}

/// Inserts all offers, each with one school, into an SQLite file.
fn fill_sqlite(file: &Path) {
    let mut database = rusqlite::Connection::open(file).unwrap();
    let transaction = database.transaction().unwrap();
    {
        let values = "?1, '2021-22', 'standalone', ?2, ?3, ?4, ?5, '{\"local_authority\":330}', zeroblob(32), ?3, ?2";
        let mut offers = transaction.prepare(&format!("INSERT INTO offers ({COLUMNS}) VALUES ({values})")).unwrap();
        let insert_school = "INSERT INTO offer_schools (offer_id, urn, programme, name, rules, open) VALUES (?1, ?2, '2021-22', ?3, 'E1', 1)";
        let mut schools = transaction.prepare(insert_school).unwrap();
        // The version of an offer is its last event. The first event is that of the programme.
        let event =
            "'2021-22', ?2 - 99998, 'identified', ?1, 'bench', zeroblob(16), '2021-09-14', 1, '{}', zeroblob(32)";
        let mut events =
            transaction.prepare(&format!("INSERT INTO events ({EVENT_COLUMNS}) VALUES ({event})")).unwrap();
        for number in 0..OFFERS {
            let (region, state) = region_and_state(number);
            let id = format!("0190a4c17d3e7c558000{number:012x}");
            let id = uuid::Uuid::parse_str(&id).unwrap().into_bytes();
            let name = format!("school {number:06}");
            offers.execute((id, 100_000 + number, &name, region, state)).unwrap();
            schools.execute((id, 100_000 + number, &name)).unwrap();
            events.execute((id, 100_000 + number)).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Inserts the same rows into the PostgreSQL database.
fn fill_postgres(cluster: &Cluster) {
    let sql_array =
        |names: &[&str]| format!("ARRAY[{}]", names.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(", "));
    let (regions, states) = (sql_array(&OTHER_REGIONS), sql_array(&STATES));
    let id = "('0190a4c1-7d3e-7c55-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    let name = "'school ' || lpad(n::text, 6, '0')";
    let offers = format!(
        "INSERT INTO offers ({COLUMNS}) SELECT {id}, '2021-22', 'standalone', 100000 + n, {name}, \
         CASE WHEN n % 2 = 0 THEN '{MEASURED_REGION}' ELSE ({regions})[(n / 2) % 7 + 1] END, \
         CASE WHEN n % 2 = 0 THEN 'identified' ELSE ({states})[(n / 16) % 4 + 1] END, \
         '{{\"local_authority\":330}}', decode(repeat('00', 32), 'hex'), {name}, n FROM generate_series(0, {OFFERS} - 1) n"
    );
    let events = format!(
        "INSERT INTO events ({EVENT_COLUMNS}) SELECT '2021-22', n + 2, 'identified', {id}, 'bench', {id}, '2021-09-14', 1, '{{}}', \
         decode(repeat('00', 32), 'hex') FROM generate_series(0, {OFFERS} - 1) n"
    );
    let schools = format!(
        "INSERT INTO offer_schools (offer_id, urn, programme, name, rules, open) \
         SELECT {id}, 100000 + n, '2021-22', {name}, 'E1', TRUE FROM generate_series(0, {OFFERS} - 1) n"
    );
    cluster.psql("pages", &[&offers, &events, &schools, "VACUUM ANALYZE"]);
}

/// Measures the pages of each list in each order, then the offers of one page with `GetOffer` and `BatchGetOffers`.
async fn measure(database: &str, server: &Server) {
    let mut offers = connect_clients(&server.url, 1).await[0].offers();
    let all = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: PAGE_SIZE, ..Default::default() };
    let filtered =
        ListOffersRequest { region: MEASURED_REGION.to_owned(), state: OfferState::Identified.into(), ..all.clone() };
    let mut first_page_ids = Vec::new();
    for (list, pages, base_request) in
        [("region and state", FILTERED_PAGES, filtered), ("all", 2 * FILTERED_PAGES, all)]
    {
        for order_by in ["", "name"] {
            let mut request = ListOffersRequest { order_by: order_by.to_owned(), ..base_request.clone() };
            // Read every page once: note its token, and check that each offer is on exactly one page.
            let (mut seen, mut page_tokens) = (HashSet::new(), Vec::new());
            loop {
                page_tokens.push(request.page_token.clone());
                let page = list_offers(&mut offers, &request).await;
                if seen.is_empty() {
                    first_page_ids = page.offers.iter().map(|it| it.offer.clone()).collect();
                }
                for offer in page.offers {
                    assert!(seen.insert(offer.offer), "an offer is on two pages");
                }
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(seen.len(), pages * usize::try_from(PAGE_SIZE).unwrap(), "every offer is on a page");
            for (page, index) in [("first", 0), ("middle", pages / 2), ("last", pages - 1)] {
                request.page_token.clone_from(&page_tokens[index]);
                let mut took = Vec::with_capacity(REPEATS);
                for _ in 0..REPEATS {
                    let begin = Instant::now();
                    let answer = list_offers(&mut offers, &request).await;
                    took.push(begin.elapsed());
                    assert_eq!(answer.offers.len(), usize::try_from(PAGE_SIZE).unwrap());
                }
                print(
                    json!({"figure": "page", "database": database, "of": list, "page": page, "order_by": order_by}),
                    took,
                );
            }
        }
    }
    measure_single_offers(database, &mut offers, &first_page_ids).await;
}

/// Measures reading one offer, and reading all offers of a page in a batch.
async fn measure_single_offers(database: &str, offers: &mut OfferServiceClient<Named>, ids: &[String]) {
    let (mut single_times, mut batch_times) = (Vec::with_capacity(REPEATS), Vec::with_capacity(REPEATS));
    for turn in 0..REPEATS {
        let begin = Instant::now();
        let request = GetOfferRequest { offer: ids[turn % ids.len()].clone(), ..Default::default() };
        offers.get_offer(request).await.unwrap();
        single_times.push(begin.elapsed());
        let begin = Instant::now();
        let request = BatchGetOffersRequest { offers: ids.to_vec(), ..Default::default() };
        let answer = offers.batch_get_offers(request).await.unwrap().into_inner();
        batch_times.push(begin.elapsed());
        assert_eq!(answer.offers.len(), ids.len());
    }
    print(json!({"figure": "get_offer", "database": database}), single_times);
    print(json!({"figure": "batch_get_offers", "database": database, "offers": ids.len()}), batch_times);
}

async fn list_offers(offers: &mut OfferServiceClient<Named>, request: &ListOffersRequest) -> ListOffersResponse {
    offers.list_offers(request.clone()).await.unwrap().into_inner()
}

/// Prints a figure, with the percentiles of its times.
fn print(mut figure: Value, mut took: Vec<Duration>) {
    took.sort_unstable();
    figure["p50_ms"] = percentile(&took, 50).into();
    figure["p99_ms"] = percentile(&took, 99).into();
    support::print(figure);
}

/// Prints the times of one page of the baseline.
fn print_offset(database: &str, page: &str, took: Vec<Duration>) {
    print(
        json!({"figure": "by_offset", "database": database, "of": "region and state", "page": page, "order_by": ""}),
        took,
    );
}

/// The query of the baseline; the offset follows.
const BY_OFFSET: &str = "SELECT * FROM offers WHERE programme = '2021-22' AND region = 'West Midlands' \
                         AND state = 'identified' ORDER BY id LIMIT 100 OFFSET";

/// The offsets of the measured pages.
const OFFSETS: [(&str, usize); 3] =
    [("first", 0), ("middle", FILTERED_PAGES / 2 * 100), ("last", (FILTERED_PAGES - 1) * 100)];

/// Measures and prints the baseline. `read` returns the times of the page at an offset.
fn baseline(database: &str, read: impl Fn(usize) -> Vec<Duration>) {
    for (page, offset) in OFFSETS {
        print_offset(database, page, read(offset));
    }
}

/// Returns the times of reading the page at this offset from the SQLite file.
fn offset_sqlite(file: &Path, offset: usize) -> Vec<Duration> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut statement = database.prepare(&format!("{BY_OFFSET} {offset}")).unwrap();
    let mut took = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let begin = Instant::now();
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while let Some(row) = rows.next().unwrap() {
            let _: String = row.get("name").unwrap();
            count += 1;
        }
        took.push(begin.elapsed());
        assert_eq!(count, PAGE_SIZE);
    }
    took
}

/// Measures and prints the baseline on PostgreSQL.
async fn baseline_postgres(cluster: &Cluster) {
    let (client, connection) = tokio_postgres::connect(&cluster.url("pages"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for (page, offset) in OFFSETS {
        let statement = client.prepare(&format!("{BY_OFFSET} {offset}")).await.unwrap();
        let mut took = Vec::with_capacity(REPEATS);
        for _ in 0..REPEATS {
            let begin = Instant::now();
            let rows = client.query(&statement, &[]).await.unwrap();
            took.push(begin.elapsed());
            assert_eq!(rows.len(), usize::try_from(PAGE_SIZE).unwrap());
        }
        print_offset("postgres", page, took);
    }
}
