//! What a page of a long list costs: of 100,000 offers a hundred, of one region and state or of all, the first, one in the
//! middle and the last, on SQLite and on PostgreSQL; beside the same page by OFFSET, straight through the driver, and
//! beside the same hundred offers one by one and in a batch.
//!
//! `cargo bench --bench pages`. Prints one JSON line a figure. The rows are put in by SQL: no offer is identified. Every page
//! is walked once, and each offer must come once. Caller and server share the machine. SQLite has no statistics, as in use.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::window::percentile;
use support::{client, serve, serve_file};
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{BatchGetOffersRequest, GetOfferRequest, ListOffersRequest, ListOffersResponse, OfferState};
use tsio_test_support::caller::Named;
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

const OFFERS: u32 = 100_000;
const PAGE: i32 = 100;
/// Half of the offers are of one region and state; the others are spread over all of them.
const PAGES: usize = 500;
/// Times each page is asked for.
const TIMES: usize = 1_000;
const REGIONS: [&str; 8] = [
    "East Midlands and the Humber",
    "East of England and North-East London",
    "Lancashire and West Yorkshire",
    "North of England",
    "North-West London and South-Central England",
    "South-East England and South London",
    "South-West England",
    "West Midlands",
];
const STATES: [&str; 4] = ["identified", "contacted", "accepted", "delivering"];
const PROGRAMME: &str = "2021-22";
const COLUMNS: &str = "id, programme, recipient_kind, recipient, name, region, state, responsible, terms_sha256, search, version, made_at";

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pages.db");
    serve_file(&file).stop();
    fill_sqlite(&file);
    measure("sqlite", &serve_file(&file)).await;
    baseline("sqlite", |offset| offset_sqlite(&file, offset));

    let cluster = Cluster::start();
    cluster.database("pages", "template1");
    serve(&cluster.url("pages")).stop();
    fill_postgres(&cluster);
    measure("postgres", &serve(&cluster.url("pages"))).await;
    baseline_postgres(&cluster).await;
}

/// The place of each offer: half of them in the West Midlands and identified.
fn place(n: u32) -> (&'static str, &'static str) {
    let at = |n: u32, of: usize| usize::try_from(n).unwrap() % of;
    if n.is_multiple_of(2) { (REGIONS[7], STATES[0]) } else { (REGIONS[at(n / 2, 7)], STATES[at(n / 16, 4)]) }
}

fn fill_sqlite(file: &Path) {
    let mut database = rusqlite::Connection::open(file).unwrap();
    let all = database.transaction().unwrap();
    {
        let marks = "?1, '2021-22', 'standalone', ?2, ?3, ?4, ?5, '{\"local_authority\":330}', zeroblob(32), ?3, 1, ?2";
        let mut offers = all.prepare(&format!("INSERT INTO offers ({COLUMNS}) VALUES ({marks})")).unwrap();
        let school = "INSERT INTO offer_schools (offer_id, urn, programme, name, rules, open) VALUES (?1, ?2, '2021-22', ?3, 'E1', 1)";
        let mut schools = all.prepare(school).unwrap();
        for n in 0..OFFERS {
            let (region, state) = place(n);
            let id = format!("0190a4c17d3e7c558000{n:012x}");
            let id = uuid::Uuid::parse_str(&id).unwrap().into_bytes();
            let name = format!("school {n:06}");
            offers.execute((id, 100_000 + n, &name, region, state)).unwrap();
            schools.execute((id, 100_000 + n, &name)).unwrap();
        }
    }
    all.commit().unwrap();
}

fn fill_postgres(cluster: &Cluster) {
    let of =
        |names: &[&str]| format!("ARRAY[{}]", names.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(", "));
    let (regions, states) = (of(&REGIONS), of(&STATES));
    let id = "('0190a4c1-7d3e-7c55-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    let name = "'school ' || lpad(n::text, 6, '0')";
    let offers = format!(
        "INSERT INTO offers ({COLUMNS}) SELECT {id}, '2021-22', 'standalone', 100000 + n, {name}, \
         CASE WHEN n % 2 = 0 THEN 'West Midlands' ELSE ({regions})[(n / 2) % 7 + 1] END, \
         CASE WHEN n % 2 = 0 THEN 'identified' ELSE ({states})[(n / 16) % 4 + 1] END, \
         '{{\"local_authority\":330}}', decode(repeat('00', 32), 'hex'), {name}, 1, n FROM generate_series(0, {OFFERS} - 1) n"
    );
    let schools = format!(
        "INSERT INTO offer_schools (offer_id, urn, programme, name, rules, open) \
         SELECT {id}, 100000 + n, '2021-22', {name}, 'E1', TRUE FROM generate_series(0, {OFFERS} - 1) n"
    );
    cluster.psql("pages", &[&offers, &schools, "VACUUM ANALYZE"]);
}

async fn measure(database: &str, server: &Server) {
    let mut offers = client(&server.url, 1).await[0].offers();
    let all = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: PAGE, ..Default::default() };
    let some = ListOffersRequest { region: REGIONS[7].to_owned(), state: OfferState::Identified.into(), ..all.clone() };
    let mut first = Vec::new();
    for (which, pages, asked) in [("region and state", PAGES, some), ("all", 2 * PAGES, all)] {
        for order_by in ["", "name"] {
            let mut request = ListOffersRequest { order_by: order_by.to_owned(), ..asked.clone() };
            // Every page once: where each begins, and that each offer is on one.
            let (mut seen, mut begins) = (HashSet::new(), Vec::new());
            loop {
                begins.push(request.page_token.clone());
                let page = ask(&mut offers, &request).await;
                if seen.is_empty() {
                    first = page.offers.iter().map(|it| it.offer.clone()).collect();
                }
                for offer in page.offers {
                    assert!(seen.insert(offer.offer), "an offer comes twice");
                }
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(seen.len(), pages * usize::try_from(PAGE).unwrap(), "every offer comes");
            for (page, at) in [("first", 0), ("middle", pages / 2), ("last", pages - 1)] {
                request.page_token.clone_from(&begins[at]);
                let mut took = Vec::with_capacity(TIMES);
                for _ in 0..TIMES {
                    let begin = Instant::now();
                    let answer = ask(&mut offers, &request).await;
                    took.push(begin.elapsed());
                    assert_eq!(answer.offers.len(), usize::try_from(PAGE).unwrap());
                }
                print(
                    json!({"figure": "page", "database": database, "of": which, "page": page, "order_by": order_by}),
                    took,
                );
            }
        }
    }
    read(database, &mut offers, &first).await;
}

/// The offers of a page one by one, and all of them in a batch.
async fn read(database: &str, offers: &mut OfferServiceClient<Named>, ids: &[String]) {
    let (mut one, mut all) = (Vec::with_capacity(TIMES), Vec::with_capacity(TIMES));
    for at in 0..TIMES {
        let begin = Instant::now();
        let request = GetOfferRequest { offer: ids[at % ids.len()].clone(), ..Default::default() };
        offers.get_offer(request).await.unwrap();
        one.push(begin.elapsed());
        let begin = Instant::now();
        let request = BatchGetOffersRequest { offers: ids.to_vec(), ..Default::default() };
        let answer = offers.batch_get_offers(request).await.unwrap().into_inner();
        all.push(begin.elapsed());
        assert_eq!(answer.offers.len(), ids.len());
    }
    print(json!({"figure": "get_offer", "database": database}), one);
    print(json!({"figure": "batch_get_offers", "database": database, "offers": ids.len()}), all);
}

async fn ask(offers: &mut OfferServiceClient<Named>, request: &ListOffersRequest) -> ListOffersResponse {
    offers.list_offers(request.clone()).await.unwrap().into_inner()
}

fn print(mut of: Value, mut took: Vec<Duration>) {
    took.sort_unstable();
    of["p50_ms"] = percentile(&took, 50).into();
    of["p99_ms"] = percentile(&took, 99).into();
    support::print(of);
}

fn print_offset(database: &str, page: &str, took: Vec<Duration>) {
    print(
        json!({"figure": "by_offset", "database": database, "of": "region and state", "page": page, "order_by": ""}),
        took,
    );
}

const BY_OFFSET: &str = "SELECT * FROM offers WHERE programme = '2021-22' AND region = 'West Midlands' \
                         AND state = 'identified' ORDER BY id LIMIT 100 OFFSET";

const OFFSETS: [(&str, usize); 3] = [("first", 0), ("middle", PAGES / 2 * 100), ("last", (PAGES - 1) * 100)];

fn baseline(database: &str, read: impl Fn(usize) -> Vec<Duration>) {
    for (page, offset) in OFFSETS {
        print_offset(database, page, read(offset));
    }
}

fn offset_sqlite(file: &Path, offset: usize) -> Vec<Duration> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut statement = database.prepare(&format!("{BY_OFFSET} {offset}")).unwrap();
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begin = Instant::now();
        let mut rows = statement.query([]).unwrap();
        let mut found = 0;
        while let Some(row) = rows.next().unwrap() {
            let _: String = row.get("name").unwrap();
            found += 1;
        }
        took.push(begin.elapsed());
        assert_eq!(found, PAGE);
    }
    took
}

async fn baseline_postgres(cluster: &Cluster) {
    let (client, connection) = tokio_postgres::connect(&cluster.url("pages"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for (page, offset) in OFFSETS {
        let statement = client.prepare(&format!("{BY_OFFSET} {offset}")).await.unwrap();
        let mut took = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let begin = Instant::now();
            let rows = client.query(&statement, &[]).await.unwrap();
            took.push(begin.elapsed());
            assert_eq!(rows.len(), usize::try_from(PAGE).unwrap());
        }
        print_offset("postgres", page, took);
    }
}
