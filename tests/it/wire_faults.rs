//! The connection to PostgreSQL fails after each message of a batch, and every acknowledged change is kept.
//!
//! A proxy between the server and the database counts the messages of the writers' connections, both ways. After the n-th it
//! cuts the connection, lets nothing through any more, or sends that message twice. Every 25th point is part of the tests;
//! `TSIO_FAULT_STRIDE=1` takes each.

mod proxy;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::time::timeout;
use tonic::Code;
use tsio::proto::ListOfferEventsRequest;

use crate::client::Client;
use crate::harness::{Db, Server, run_within};
use crate::io_faults::stride;
use crate::metrics::Scrape;
use crate::workload::{Kind, Workload};
use proxy::{Fault, Proxy};

const SWEEP: Duration = Duration::from_secs(2 * 3_600);
/// Points that are tested at the same time; most of them wait.
const BESIDE: usize = 4;
/// Concurrent reads, and how long each waits.
const READS: usize = 48;
const HANGS_UP: Duration = Duration::from_secs(2);
const IN_USE: &str = "tsio_database_connections{pool=\"read\",state=\"used\"}";
/// Long enough for the server to give up a silent connection, and far shorter than the timeouts of TCP.
const FREE_AGAIN: Duration = Duration::from_secs(60);

/// Runs one batch with a fault after this message, and returns the number of its messages and the result.
async fn run_point(kind: Kind, fault: Fault, after: u64) -> (u64, Result<(), String>) {
    let db = Db::postgres();
    let proxy = Proxy::before(&db.url());
    let mut server = Server::start_at(&db, proxy.url());
    let client = Client::of(&server).await;
    let mut workload = Workload::prepare(&client).await;
    // The first run plans and caches the statements, as on a server that has run for a while.
    if let Err(problem) = workload.one(&client, kind).await {
        return (0, Err(problem));
    }
    proxy.arm(after, fault);
    let done = workload.one(&client, kind).await;
    let messages = proxy.disarm();
    let done = match done {
        Ok(()) => check_afterwards(&mut server, &mut workload, &db, kind).await,
        problem => problem,
    };
    let with_log = |problem| format!("{problem}\n{}", server.stderr());
    (messages, done.map_err(with_log))
}

/// Checks that the next call works, and that all acknowledged changes exist, also after a restart.
async fn check_afterwards(server: &mut Server, workload: &mut Workload, db: &Db, kind: Kind) -> Result<(), String> {
    workload.one(&Client::of(server).await, kind).await?;
    server.kill();
    server.restart();
    workload.check(&Client::of(server).await, db).await
}

async fn sweep(kind: Kind, fault: Fault) {
    // A fault after a message that never comes, to count the messages.
    let (messages, done) = run_point(kind, fault, u64::MAX).await;
    done.unwrap();
    assert!(messages > 20, "{messages} messages are no batch");
    let places: Vec<u64> = (1..=messages).filter(|it| it.is_multiple_of(stride())).collect();
    let points = places.len();
    let tried = stream::iter(places).map(|after| async move { (after, run_point(kind, fault, after).await.1) });
    let mut failed = Vec::new();
    let mut tried = tried.buffer_unordered(BESIDE);
    while let Some((after, done)) = tried.next().await {
        if let Err(problem) = done {
            eprintln!("--- {kind:?}, {fault:?} after message {after}: {problem}");
            failed.push(after);
        }
    }
    eprintln!("--- {kind:?}, {fault:?}: {points} points, {} failed", failed.len());
    assert!(points > 0 && failed.is_empty(), "{} of {points} points failed: {failed:?}", failed.len());
}

#[test]
fn a_connection_that_is_cut_loses_nothing() {
    run_within(SWEEP, sweep(Kind::Award, Fault::Cut));
}

#[test]
fn an_import_whose_connection_is_cut_loses_nothing() {
    run_within(SWEEP, sweep(Kind::Import, Fault::Cut));
}

#[test]
fn a_connection_that_falls_silent_loses_nothing() {
    run_within(SWEEP, sweep(Kind::Award, Fault::Stall));
}

#[test]
fn a_message_that_comes_twice_loses_nothing() {
    run_within(SWEEP, sweep(Kind::Award, Fault::Duplicate));
}

/// Reads without an answer give their connections back, so that other reads can use them.
#[test]
fn reads_over_silent_connections_give_them_back() {
    run_within(SWEEP, async {
        let db = Db::postgres();
        let proxy = Proxy::before(&db.url());
        let server = Server::start_with(&db, &["--database", proxy.url(), "--metrics-listen", "127.0.0.1:0"]);
        let client = Client::of(&server).await;
        let offer = client.seed().await.remove(0).offer;
        let read = async |deadline| {
            let mut request = client.ask(ListOfferEventsRequest { offer: offer.clone(), ..Default::default() });
            request.set_timeout(deadline);
            client.offers().list_offer_events(request).await.map(drop).map_err(|status| status.code())
        };
        // They read again and again until their connections fall silent. The waiting caller then hangs up.
        let (done, stall_after) = (AtomicUsize::new(0), READS * 5);
        let reads = (0..READS).map(|_| async {
            let code = loop {
                match read(HANGS_UP).await {
                    Ok(()) if done.fetch_add(1, Ordering::SeqCst) == stall_after => proxy.stall_readers(true),
                    Ok(()) => {}
                    Err(code) => break code,
                }
            };
            assert!([Code::DeadlineExceeded, Code::Unavailable, Code::Cancelled].contains(&code), "{code:?}");
        });
        join_all(reads).await;
        assert!(Scrape::of(&server).await.value(IN_USE) > 2.0, "some are waited for");
        proxy.stall_readers(false);
        let at_rest = Scrape::until(&server, |scrape| scrape.value(IN_USE) <= 2.0);
        timeout(FREE_AGAIN, at_rest).await.expect("each connection is given up");
        timeout(FREE_AGAIN, async { while read(HANGS_UP).await.is_err() {} }).await.expect("others can read");
    });
}
