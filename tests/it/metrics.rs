//! Checks that the metrics for Prometheus agree with the calls that were made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Code;
use yaml_rust2::{Yaml, YamlLoader};

use tsio::app::clock::Clock;
use tsio::proto::{CreateAwardsRequest, NoteOfferRequest, WatchOffersRequest};

use crate::client::{Client, YEAR, fresh, offer_of_school};
use crate::harness::{Db, Server, both, run};
use crate::money::{DAY, credit};
use crate::raw_sql::RawSql;

/// How long a condition on the metrics may take to hold.
const MAX_WAIT: Duration = Duration::from_secs(60);

both!(
    calls_are_counted_by_method_and_code,
    writers_pools_watchers_and_denials_are_counted,
    metrics_show_a_ledger_that_was_tampered_with,
);

async fn calls_are_counted_by_method_and_code(db: Db) {
    let server = Server::start_with(&db, &["--metrics-listen", "127.0.0.1:0"]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    for _ in 0..3 {
        client.note(&offers[0].offer, "counted", &fresh()).await.unwrap();
    }
    let unknown_offer = uuid::Uuid::nil().to_string();
    assert_eq!(client.note(&unknown_offer, "of no offer", &fresh()).await.unwrap_err().code(), Code::NotFound);

    let school = offer_of_school(&offers, 910_003);
    client.create_fund_with(YEAR, "credit", 100_000).await;
    client.accept_offer(school).await;
    client.create_award(&school.offer, credit(10_000)).await;
    let over = CreateAwardsRequest {
        request_id: fresh(),
        offer: school.offer.clone(),
        awards: vec![credit(90_001)],
        date: DAY.to_owned(),
        ..Default::default()
    };
    let over = client.award_service().create_awards(client.ask(over)).await.unwrap_err();
    assert_eq!(over.code(), Code::FailedPrecondition);

    let text = get(&server, "/metrics").await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for (code, count) in [("OK", 3), ("NOT_FOUND", 1), ("INTERNAL", 0)] {
        let line = format!(
            "tsio_grpc_server_handled_total{{grpc_code=\"{code}\",grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    for line in [
        "tsio_grpc_server_handled_total{grpc_code=\"FAILED_PRECONDITION\",grpc_method=\"CreateAwards\",grpc_service=\"tsio.v1.AwardService\"} 1\n",
        "tsio_fund_available_pence{programme=\"2021-22\",region=\"national\",strand=\"credit\"} 90000\n",
        "tsio_fund_committed_pence{programme=\"2021-22\",region=\"national\",strand=\"credit\"} 10000\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let calls_with_duration =
        "tsio_grpc_server_handling_seconds_count{grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"} 4\n";
    assert!(text.contains(calls_with_duration), "{text}");
    assert!(get(&server, "/").await.starts_with("HTTP/1.1 404 "));
}

async fn writers_pools_watchers_and_denials_are_counted(db: Db) {
    const NOTES: u32 = 40;
    let server = Server::start_with_lock(&db, &["--metrics-listen", "127.0.0.1:0"]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offers[0].offer.clone();
    let before = Scrape::of(&server).await;
    assert_eq!(before.value("tsio_writer_waiting"), 0.0);

    // The notes wait while the programme is locked. After the release they are committed in one batch.
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    let mut notes = JoinSet::new();
    for _ in 0..NOTES {
        let (client, offer) = (client.clone(), offer.clone());
        notes.spawn(async move { client.note(&offer, "together", &fresh()).await.unwrap() });
    }
    // The worker has taken the first note from the queue already.
    Scrape::wait_until(&server, |it| it.value("tsio_writer_waiting") == f64::from(NOTES - 1)).await;
    raw_sql.release_lock().await;
    while let Some(noted) = notes.join_next().await {
        noted.unwrap();
    }
    let after = Scrape::of(&server).await;
    let increase = |name: &str| after.value(name) - before.value(name);
    assert_eq!(increase("tsio_writer_group_commands_sum"), f64::from(NOTES));
    assert_eq!(increase("tsio_writer_group_commands_count"), 1.0);
    assert_eq!(increase("tsio_writer_commit_seconds_count"), 1.0);
    assert_eq!(increase("tsio_writer_wait_seconds_count"), f64::from(NOTES));
    assert!(increase("tsio_writer_wait_seconds_sum") > 0.0);
    assert_eq!(after.value("tsio_writer_waiting"), 0.0);

    // A batch answers a repeated call, but commits nothing.
    let id = fresh();
    client.note(&offer, "once", &id).await.unwrap();
    client.note(&offer, "once", &id).await.unwrap();
    let repeated = Scrape::of(&server).await;
    let increase = |name: &str| repeated.value(name) - after.value(name);
    assert_eq!((increase("tsio_writer_group_commands_sum"), increase("tsio_writer_commit_seconds_count")), (2.0, 1.0));

    for pool in if db.is_postgres() { &["read", "write", "groups"][..] } else { &["read", "write"] } {
        let open = |state| repeated.value(&format!("tsio_database_connections{{pool=\"{pool}\",state=\"{state}\"}}"));
        let max_connections = repeated.value(&format!("tsio_database_connections_max{{pool=\"{pool}\"}}"));
        assert!((1.0..=max_connections).contains(&(open("idle") + open("used"))), "{pool}");
    }

    let all = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
    let watching = client.offers().watch_offers(client.ask(all)).await.unwrap();
    Scrape::wait_until(&server, |it| it.value("tsio_watchers") == 1.0).await;
    drop(watching);
    Scrape::wait_until(&server, |it| it.value("tsio_watchers") == 0.0).await;

    let note = NoteOfferRequest { request_id: fresh(), offer, text: "not theirs".to_owned(), ..Default::default() };
    let mut note = client.ask(note);
    note.metadata_mut().insert("x-tsio-roles", "finance".parse().unwrap());
    let denied = client.offers().note_offer(note).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let after = Scrape::of(&server).await;
    assert_eq!(after.value("tsio_denied_total{reason=\"ROLE_MISSING\"}"), 1.0);
    assert_eq!(after.value("tsio_denied_total{reason=\"TOKEN_EXPIRED\"}"), 0.0);
}

async fn metrics_show_a_ledger_that_was_tampered_with(db: Db) {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("tsio.toml");
    std::fs::write(&settings, "development = true\n[ledger]\ncheck_seconds = 1\n").unwrap();
    let settings = settings.to_str().unwrap();
    let server = Server::start_with(&db, &["--config", settings, "--metrics-listen", "127.0.0.1:0"]);
    let client = Client::of(&server).await;
    client.seed().await;
    let fund = client.create_fund_with(YEAR, "credit", 100_000).await;
    let ok = format!("tsio_ledger_check_ok{{programme=\"{YEAR}\"}}");
    let at = format!("tsio_ledger_check_timestamp_seconds{{programme=\"{YEAR}\"}}");
    let sound = Scrape::wait_until(&server, |it| it.find(&ok) == Some(1.0)).await;
    let now = Clock::system().now().at.0 / 1_000_000;
    assert!((now - 60..=now).contains(&sound.whole_number(&at)), "{now}");

    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&fund);
    let tamper =
        |by: i32| format!("UPDATE accounts SET available = available + {by}, outside = outside - {by} WHERE id = {id}");
    raw_sql.run(&tamper(1)).await.unwrap();
    let tampered = Scrape::wait_until(&server, |it| it.value(&ok) == 0.0).await;
    assert!(tampered.value(&at) >= sound.value(&at));
    assert_eq!(tampered.value("tsio_ledger_check_ok{programme=\"2022-23\"}"), 1.0, "another programme stays sound");
    server.wait_for_stderr(|log| log.contains("the ledger differs from its record"));
    raw_sql.run(&tamper(-1)).await.unwrap();
    Scrape::wait_until(&server, |it| it.value(&ok) == 1.0).await;
}

/// The page documents exactly the metrics that a server exports, and the alerts use only exported metrics and labels.
#[test]
fn documents_and_alerts_name_the_exported_metrics() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("tsio.toml");
        std::fs::write(&settings, "development = true\n[ledger]\ncheck_seconds = 1\n").unwrap();
        let settings = settings.to_str().unwrap();
        let server = Server::start_with(&Db::sqlite(), &["--config", settings, "--metrics-listen", "127.0.0.1:0"]);
        Client::of(&server).await.create_fund_with(YEAR, "credit", 100_000).await;
        let checked = |it: &Scrape| it.0.contains("\ntsio_ledger_check_ok{");
        let Scrape(metrics_text) = Scrape::wait_until(&server, checked).await;
        let kinds = metrics_text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let exported: BTreeMap<&str, &str> = kinds.collect();

        let page = include_str!("../../docs/reference/monitoring.md");
        let rows = page.lines().filter(|line| line.starts_with("| `tsio_"));
        let named = rows.flat_map(|row| names(row.split('|').nth(1).unwrap()));
        assert_eq!(named.collect::<BTreeSet<_>>(), exported.keys().map(|it| (*it).to_owned()).collect());

        let rules = YamlLoader::load_from_str(include_str!("../../docs/alerts.yml")).unwrap();
        let groups = rules[0]["groups"].as_vec().unwrap();
        let rules: Vec<&Yaml> = groups.iter().flat_map(|group| group["rules"].as_vec().unwrap()).collect();
        assert!(!rules.is_empty());
        for rule in rules {
            let (alert, expr) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
            for part in ["summary", "action"] {
                assert!(rule["annotations"][part].as_str().is_some(), "{alert}: {part}");
            }
            assert!(rule["labels"]["severity"].as_str().is_some(), "{alert}");
            let metrics = names(expr);
            assert!(!metrics.is_empty(), "{alert}: {expr}");
            for name in metrics {
                let of_histogram =
                    name.strip_suffix("_bucket").is_some_and(|it| exported.get(it) == Some(&"histogram"));
                assert!(of_histogram || exported.contains_key(name.as_str()), "{alert}: {name}");
            }
            let labels = expr.split('{').skip(1).map(|it| it.split(['=', '!']).next().unwrap());
            for label in labels {
                assert!(metrics_text.contains(&format!("{label}=\"")), "{alert}: {label}");
            }
        }
    });
}

/// Finds the names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    words.filter(|it| it.starts_with("tsio_")).map(ToOwned::to_owned).collect()
}

/// The text of one scrape.
pub(crate) struct Scrape(pub(crate) String);

impl Scrape {
    /// Scrapes the server once.
    pub(crate) async fn of(server: &Server) -> Self {
        Self(get(server, "/metrics").await)
    }

    /// Scrapes until the condition holds.
    pub(crate) async fn wait_until(server: &Server, expected: impl Fn(&Self) -> bool) -> Self {
        let started = Instant::now();
        loop {
            let scrape = Self::of(server).await;
            if expected(&scrape) {
                return scrape;
            }
            assert!(started.elapsed() < MAX_WAIT, "{}", scrape.0);
        }
    }

    /// Returns the value of a metric with its labels; `None` if it is not exported.
    fn find(&self, name: &str) -> Option<f64> {
        let rest = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        rest.map(|it| it.parse().unwrap())
    }

    /// Returns the value of a metric as a whole number. Panics if it is not exported.
    fn whole_number(&self, name: &str) -> i64 {
        let rest = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        rest.unwrap_or_else(|| panic!("no {name} in {}", self.0)).parse().unwrap()
    }

    /// Returns the value of a metric. Panics if it is not exported.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }
}

/// Reads from the server's log the address at which it serves metrics.
pub(crate) fn metrics_address(server: &Server) -> String {
    let is_metrics_line = |it: &&str| it.contains("\"message\":\"metrics\"");
    let log = server.wait_for_stderr(|log| log.lines().any(|it| is_metrics_line(&it)));
    let line = log.lines().find(is_metrics_line).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["fields"]["listen"].as_str().unwrap().to_owned()
}

/// Sends a GET request to the address of the metrics and returns the whole response.
async fn get(server: &Server, path: &str) -> String {
    let mut stream = TcpStream::connect(metrics_address(server)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}
