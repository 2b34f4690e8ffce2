//! What is scraped is one state, however much is recorded meanwhile; a call is counted when its status leaves.

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

const NOTE: &str = "/tsio.v1.OfferService/NoteOffer";
const NOTES: &str = "grpc_method=\"NoteOffer\",grpc_service=\"tsio.v1.OfferService\"";
/// Calls that are in flight when the scrapes begin.
const CALLS: i64 = 20_000;
/// Scrapes, each of which might lie between two gauges.
const SCRAPES: usize = 200;

fn year() -> Programme {
    "2021-22".parse().unwrap()
}

/// The number that a line begins with this name has.
fn value(text: &str, name: &str) -> i64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    rest.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn scraped(metrics: &CallMetrics) -> String {
    String::from_utf8(metrics.text(&ProcessSnapshot::default()).unwrap()).unwrap()
}

fn report(differences: usize) -> VerifyReport {
    let (seq, hash) = (Seq(0), Hash([0; 32]));
    VerifyReport {
        programme: year().into(),
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
    Fund { programme: year(), account: Account { available: pence, committed: pence, ..account } }
}

/// Records what belongs together, again and again, until it is told to stop.
fn record(metrics: &CallMetrics, calls: Vec<CountedCall>, stop: &AtomicBool) {
    let again = || (0..).take_while(|_| !stop.load(Ordering::Relaxed));
    thread::scope(|scope| {
        scope.spawn(|| again().for_each(|at| metrics.inside.checked(&[report(usize::from(at % 2 == 0))], at % 2)));
        scope.spawn(|| again().for_each(|at| metrics.set_funds(&[fund(at)])));
        scope.spawn(|| calls.into_iter().take_while(|_| !stop.load(Ordering::Relaxed)).for_each(refuse));
    });
}

fn refuse(call: CountedCall) {
    drop(call.follow(Status::not_found("").into_http()));
}

#[test]
fn a_scrape_shows_one_state() {
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    metrics.inside.checked(&[report(0)], 1);
    metrics.set_funds(&[fund(0)]);
    let calls = (0..CALLS).map(|_| metrics.begin(NOTE)).collect();
    let stop = AtomicBool::new(false);
    let fund = "{programme=\"2021-22\",region=\"national\",strand=\"credit\"}";
    let texts: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| record(&metrics, calls, &stop));
        let texts = (0..SCRAPES).map(|_| scraped(&metrics)).collect();
        stop.store(true, Ordering::Relaxed);
        texts
    });
    for text in &texts {
        let checked = "{programme=\"2021-22\"}";
        let ok = value(text, &format!("tsio_ledger_check_ok{checked}"));
        assert_eq!(ok, value(text, &format!("tsio_ledger_check_timestamp_seconds{checked}")));
        let available = value(text, &format!("tsio_fund_available_pence{fund}"));
        assert_eq!(available, value(text, &format!("tsio_fund_committed_pence{fund}")));
        let handled = value(text, &format!("tsio_grpc_server_handled_total{{grpc_code=\"NOT_FOUND\",{NOTES}}}"));
        assert_eq!(handled, value(text, &format!("tsio_grpc_server_handling_seconds_count{{{NOTES}}}")));
        assert_eq!(CALLS - handled, value(text, "tsio_grpc_server_in_flight"));
    }
    let ended = |text: &String| value(text, &format!("tsio_grpc_server_handling_seconds_count{{{NOTES}}}"));
    assert!(texts.iter().map(ended).any(|it| it > 0), "nothing was recorded meanwhile");
}

/// Each of two scrapes at once shows what it asked itself, and nothing of the other.
#[test]
fn scrapes_at_once_show_their_own_moments() {
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    let scrape = |number: u32| {
        let pools = vec![Pool { name: "read", most: number, open: number * 2, idle: number }];
        let moment = ProcessSnapshot { waiting: number as usize, watching: number as usize, is_writable: true, pools };
        for _ in 0..SCRAPES {
            let text = String::from_utf8(metrics.text(&moment).unwrap()).unwrap();
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

/// A caller who has an answer, and then scrapes, finds it counted, though the server still holds what it answered with.
#[tokio::test]
async fn a_call_is_counted_when_its_status_leaves() {
    let handled = |metrics: &CallMetrics, code: &str| {
        let text = scraped(metrics);
        let in_flight = value(&text, "tsio_grpc_server_in_flight");
        (value(&text, &format!("tsio_grpc_server_handled_total{{grpc_code=\"{code}\",{NOTES}}}")), in_flight)
    };
    let answer = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [http_body::Frame::data(Bytes::from_static(b"message")), http_body::Frame::trailers(trailers)];
        Response::new(Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)))))
    };
    let metrics = CallMetrics::new(["OfferService/NoteOffer", "OfferService/GetOffer"]).unwrap();
    let mut answered = metrics.begin(NOTE).follow(answer());
    assert!(answered.body_mut().frame().await.unwrap().unwrap().is_data());
    assert_eq!(handled(&metrics, "OK"), (0, 1), "its status is still to come");
    assert!(answered.body_mut().frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(handled(&metrics, "OK"), (1, 0));
    drop(answered);
    assert_eq!(handled(&metrics, "OK"), (1, 0), "it is counted once");

    let refused = metrics.begin(NOTE).follow(Status::not_found("").into_http());
    assert_eq!(handled(&metrics, "NOT_FOUND"), (1, 0));
    drop(refused);
    assert_eq!(handled(&metrics, "NOT_FOUND"), (1, 0), "it is counted once");

    let mut cancelled = metrics.begin(NOTE).follow(answer());
    assert!(cancelled.body_mut().frame().await.unwrap().unwrap().is_data());
    drop(cancelled);
    assert_eq!(handled(&metrics, "CANCELLED"), (1, 0), "a call that was left is counted too");
    drop(metrics.begin(NOTE));
    assert_eq!(handled(&metrics, "CANCELLED"), (2, 0));
}
