//! Tests that a scrape shows one consistent state during changes, and that a request is counted when its status is sent.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures_util::stream;
use http_body_util::StreamBody;
use prost::bytes::Bytes;
use tonic::Status;

use super::*;
use crate::app::Pool;
use crate::app::verify::VerifyReport;
use crate::domain::event::{Hash, Seq};
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::Account;
use crate::domain::terms::StrandId;

const NOTE_PATH: &str = "/tsio.v1.OfferService/NoteOffer";
const NOTE_LABELS: &str = "grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"";
/// The number of requests in flight when the scrapes begin.
const CALLS: i64 = 20_000;
/// The number of scrapes. With so many, the test would probably fail without [`ScrapeLock`]: at least one scrape would come between
/// the changes of two values that belong together.
const SCRAPE_COUNT: usize = 200;

fn programme() -> Programme {
    "2021-22".parse().unwrap()
}

/// Returns the value of a metric in the text of a scrape. `name` includes the labels.
fn value(text: &str, name: &str) -> i64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    rest.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn scrape_text(metrics: &CallMetrics) -> String {
    String::from_utf8(metrics.text(&ProcessSnapshot::default()).unwrap()).unwrap()
}

fn report(differences: usize) -> VerifyReport {
    let (seq, hash) = (Seq(0), Hash([0; 32]));
    VerifyReport {
        programme: programme().into(),
        seq,
        hash,
        entries: 0,
        differences: Vec::new(),
        count: differences,
        allowed: Vec::new(),
        allowed_count: 0,
        notes: Vec::new(),
    }
}

fn fund(pence: i64) -> Fund {
    let owner = Owner::Fund { region: None };
    let account = Account::new(AccountId(uuid::Uuid::nil()), owner, StrandId::new("credit"), Unit::Pence, true);
    Fund { programme: programme(), account: Account { available: pence, committed: pence, ..account } }
}

/// Repeatedly records values that belong together, until `stop` is set.
fn record(metrics: &CallMetrics, calls: Vec<CountedCall>, stop: &AtomicBool) {
    let until_stopped = || (0..).take_while(|_| !stop.load(Ordering::Relaxed));
    thread::scope(|scope| {
        scope.spawn(|| {
            until_stopped().for_each(|number| {
                metrics.internal.set_ledger_checks(&[report(usize::from(number % 2 == 0))], number % 2)
            })
        });
        scope.spawn(|| until_stopped().for_each(|number| metrics.set_funds(&[fund(number)])));
        scope.spawn(|| calls.into_iter().take_while(|_| !stop.load(Ordering::Relaxed)).for_each(refuse));
    });
}

fn refuse(call: CountedCall) {
    drop(call.count_at_status(Status::not_found("").into_http()));
}

#[test]
fn a_scrape_shows_one_state() {
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    metrics.internal.set_ledger_checks(&[report(0)], 1);
    metrics.set_funds(&[fund(0)]);
    let calls = (0..CALLS).map(|_| metrics.begin(NOTE_PATH)).collect();
    let stop = AtomicBool::new(false);
    let fund_labels = "{programme=\"2021-22\",region=\"national\",strand=\"credit\"}";
    let texts: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| record(&metrics, calls, &stop));
        let texts = (0..SCRAPE_COUNT).map(|_| scrape_text(&metrics)).collect();
        stop.store(true, Ordering::Relaxed);
        texts
    });
    let handled =
        |text: &str| value(text, &format!("tsio_grpc_server_handled_total{{grpc_code=\"NOT_FOUND\",{NOTE_LABELS}}}"));
    for text in &texts {
        let programme_label = "{programme=\"2021-22\"}";
        let ok = value(text, &format!("tsio_ledger_check_ok{programme_label}"));
        assert_eq!(ok, value(text, &format!("tsio_ledger_check_timestamp_seconds{programme_label}")));
        let available = value(text, &format!("tsio_fund_available_pence{fund_labels}"));
        assert_eq!(available, value(text, &format!("tsio_fund_committed_pence{fund_labels}")));
        assert_eq!(handled(text), value(text, &format!("tsio_grpc_server_handling_seconds_count{{{NOTE_LABELS}}}")));
        assert_eq!(CALLS - handled(text), value(text, "tsio_grpc_server_in_flight"));
    }
    assert!(texts.iter().any(|text| handled(text) > 0), "no request was counted during the scrapes");
}

/// Each of several concurrent scrapes shows its own snapshot, and no value of another snapshot.
#[test]
fn concurrent_scrapes_show_their_own_snapshots() {
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    let scrape = |number: u32| {
        let pools = vec![Pool { name: "read", most: number, open: number * 2, idle: number }];
        let snapshot = ProcessSnapshot {
            waiting_commands: number as usize,
            open_watches: number as usize,
            is_writable: true,
            pools,
        };
        for _ in 0..SCRAPE_COUNT {
            let text = String::from_utf8(metrics.text(&snapshot).unwrap()).unwrap();
            for name in [
                "tsio_writer_waiting",
                "tsio_watchers",
                "tsio_database_connections_max{pool=\"read\"}",
                "tsio_database_connections{pool=\"read\",state=\"idle\"}",
                "tsio_database_connections{pool=\"read\",state=\"used\"}",
            ] {
                assert_eq!(value(&text, name), i64::from(number), "{name}");
            }
        }
    };
    thread::scope(|scope| (1..=3).for_each(|number| drop(scope.spawn(move || scrape(number)))));
}

/// A client that scrapes after a response sees the request counted, even if the server still holds the response.
#[tokio::test]
async fn a_request_is_counted_when_its_status_is_sent() {
    let handled_and_in_flight = |metrics: &CallMetrics, code: &str| {
        let text = scrape_text(metrics);
        let in_flight = value(&text, "tsio_grpc_server_in_flight");
        (value(&text, &format!("tsio_grpc_server_handled_total{{grpc_code=\"{code}\",{NOTE_LABELS}}}")), in_flight)
    };
    let ok_response = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [http_body::Frame::data(Bytes::from_static(b"message")), http_body::Frame::trailers(trailers)];
        Response::new(Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)))))
    };
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    let mut response = metrics.begin(NOTE_PATH).count_at_status(ok_response());
    assert!(response.body_mut().frame().await.unwrap().unwrap().is_data());
    assert_eq!(handled_and_in_flight(&metrics, "OK"), (0, 1), "the status was not sent yet");
    assert!(response.body_mut().frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(handled_and_in_flight(&metrics, "OK"), (1, 0));
    drop(response);
    assert_eq!(handled_and_in_flight(&metrics, "OK"), (1, 0), "a request is counted once");

    let refused = metrics.begin(NOTE_PATH).count_at_status(Status::not_found("").into_http());
    assert_eq!(handled_and_in_flight(&metrics, "NOT_FOUND"), (1, 0));
    drop(refused);
    assert_eq!(handled_and_in_flight(&metrics, "NOT_FOUND"), (1, 0), "a request is counted once");

    let mut cancelled = metrics.begin(NOTE_PATH).count_at_status(ok_response());
    assert!(cancelled.body_mut().frame().await.unwrap().unwrap().is_data());
    drop(cancelled);
    assert_eq!(handled_and_in_flight(&metrics, "CANCELLED"), (1, 0), "a cancelled request is counted too");
    drop(metrics.begin(NOTE_PATH));
    assert_eq!(handled_and_in_flight(&metrics, "CANCELLED"), (2, 0));
}
