//! Tests in which the connection to PostgreSQL fails after one message of a batch: no acknowledged change is lost.
//!
//! A proxy between the server and the database counts the messages of the writers' connections, in both directions. After one
//! message it closes the connection, carries nothing any more, or sends that message twice. The tests try every 25th message, and at least
//! four; `TSIO_FAULT_STRIDE=1` tries each.

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

/// The time limit of a test.
const TIME_LIMIT: Duration = Duration::from_secs(2 * 3_600);
/// Faults that are tested at the same time. Most of the time, each waits for a timeout.
const CONCURRENT: usize = 4;
/// Concurrent reads, and the deadline of each.
const READS: usize = 48;
const READ_DEADLINE: Duration = Duration::from_secs(2);
/// The metric of the connections for reads that are in use.
const IN_USE: &str = "tsio_database_connections{pool=\"read\",state=\"used\"}";
/// Long enough for the server to give up a silent connection, and far shorter than the timeouts of TCP.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Runs a batch of one command with a fault after this message. Returns the number of the batch's messages, and an error if a
/// change was lost.
async fn run_with_fault(kind: Kind, fault: Fault, after: u64) -> (u64, Result<(), String>) {
    let db = Db::postgres();
    let proxy = Proxy::before(&db.url());
    let mut server = Server::start_at(&db, proxy.url());
    let client = Client::of(&server).await;
    let mut workload = Workload::prepare(&client).await;
    // Afterwards the server has planned and cached its statements, as any server that has run for a while.
    if let Err(problem) = workload.run_one(&client, kind).await {
        return (0, Err(problem));
    }
    proxy.arm(after, fault);
    let done = workload.run_one(&client, kind).await;
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
    workload.run_one(&Client::of(server).await, kind).await?;
    server.kill();
    server.restart();
    workload.check(&Client::of(server).await, db).await
}

/// Tries the fault after every message of a batch, or after every n-th, and panics if a change was lost.
async fn sweep(kind: Kind, fault: Fault) {
    // Counts the messages: this fault would come after a message that is never sent.
    let (messages, done) = run_with_fault(kind, fault, u64::MAX).await;
    done.unwrap();
    assert!(messages > 5, "a batch has more than 5 messages, got {messages}");
    // An award is one statement, with few messages.
    let stride = stride().min(messages / 4);
    let tested: Vec<u64> = (1..=messages).filter(|it| it.is_multiple_of(stride)).collect();
    let count = tested.len();
    let runs = stream::iter(tested).map(|after| async move { (after, run_with_fault(kind, fault, after).await.1) });
    let mut failed = Vec::new();
    let mut runs = runs.buffer_unordered(CONCURRENT);
    while let Some((after, result)) = runs.next().await {
        if let Err(problem) = result {
            eprintln!("--- {kind:?}, {fault:?} after message {after}: {problem}");
            failed.push(after);
        }
    }
    eprintln!("--- {kind:?}, {fault:?}: {count} messages tried, {} failed", failed.len());
    assert!(count > 0 && failed.is_empty(), "a fault after {} of {count} messages failed: {failed:?}", failed.len());
}

#[test]
fn a_connection_that_is_cut_loses_nothing() {
    run_within(TIME_LIMIT, sweep(Kind::Award, Fault::Cut));
}

#[test]
fn a_draw_whose_connection_is_cut_loses_nothing() {
    run_within(TIME_LIMIT, sweep(Kind::Draw, Fault::Cut));
}

#[test]
fn an_import_whose_connection_is_cut_loses_nothing() {
    run_within(TIME_LIMIT, sweep(Kind::Import, Fault::Cut));
}

#[test]
fn a_connection_that_falls_silent_loses_nothing() {
    run_within(TIME_LIMIT, sweep(Kind::Award, Fault::Stall));
}

#[test]
fn a_message_that_comes_twice_loses_nothing() {
    run_within(TIME_LIMIT, sweep(Kind::Award, Fault::Duplicate));
}

/// The database stops answering reads. The server has to give up the connections of these reads, so that later reads succeed.
#[test]
fn reads_over_silent_connections_give_them_back() {
    run_within(TIME_LIMIT, async {
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
        // Each caller repeats its read until the proxy carries no more reads. Then the deadline of the read passes.
        let (done, stall_after) = (AtomicUsize::new(0), READS * 5);
        let reads = (0..READS).map(|_| async {
            let code = loop {
                match read(READ_DEADLINE).await {
                    Ok(()) if done.fetch_add(1, Ordering::SeqCst) == stall_after => proxy.stall_readers(true),
                    Ok(()) => {}
                    Err(code) => break code,
                }
            };
            assert!([Code::DeadlineExceeded, Code::Unavailable, Code::Cancelled].contains(&code), "{code:?}");
        });
        join_all(reads).await;
        assert!(Scrape::of(&server).await.value(IN_USE) > 2.0, "some connections still wait for the database");
        proxy.stall_readers(false);
        let released = Scrape::wait_until(&server, |scrape| scrape.value(IN_USE) <= 2.0);
        timeout(MAX_WAIT, released).await.expect("the server gives up each silent connection");
        let succeeds = async { while read(READ_DEADLINE).await.is_err() {} };
        timeout(MAX_WAIT, succeeds).await.expect("a later read succeeds");
    });
}
