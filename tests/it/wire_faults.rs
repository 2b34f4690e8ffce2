//! The connection to PostgreSQL fails after each message of a batch, and what was promised is kept.
//!
//! A proxy between the server and the database counts the messages of the writers' connections, both ways. After the n-th it
//! cuts the connection, lets nothing through any more, or sends that message twice. Every 25th point is part of the tests;
//! `TSIO_FAULT_STRIDE=1` takes each.

mod proxy;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::client::Client;
use crate::harness::{Db, Server, run_within};
use crate::io_faults::stride;
use crate::workload::{Kind, Workload};
use proxy::{Fault, Proxy};

const SWEEP: Duration = Duration::from_secs(2 * 3_600);
/// Points at the same time: most of them wait.
const BESIDE: usize = 4;

/// One batch with a fault after this message; how many messages it had, as far as it came.
async fn point(kind: Kind, fault: Fault, after: u64) -> (u64, Result<(), String>) {
    let db = Db::postgres();
    let proxy = Proxy::before(&db.url());
    let mut server = Server::start_at(&db, proxy.url());
    let client = Client::of(&server).await;
    let mut workload = Workload::prepare(&client).await;
    // Its statements are planned and kept by now, as on a server that has run for a while.
    if let Err(problem) = workload.one(&client, kind).await {
        return (0, Err(problem));
    }
    proxy.arm(after, fault);
    let done = workload.one(&client, kind).await;
    let messages = proxy.disarm();
    let done = match done {
        Ok(()) => after_it(&mut server, &mut workload, &db, kind).await,
        problem => problem,
    };
    let said = |problem| format!("{problem}\n{}", server.stderr());
    (messages, done.map_err(said))
}

/// The next call works, and what was answered is there, at once and in another process.
async fn after_it(server: &mut Server, workload: &mut Workload, db: &Db, kind: Kind) -> Result<(), String> {
    workload.one(&Client::of(server).await, kind).await?;
    server.kill();
    server.restart();
    workload.check(&Client::of(server).await, db).await
}

async fn sweep(kind: Kind, fault: Fault) {
    // With a fault after a message that never comes: how many there are.
    let (messages, done) = point(kind, fault, u64::MAX).await;
    done.unwrap();
    assert!(messages > 20, "{messages} messages are no batch");
    let places: Vec<u64> = (1..=messages).filter(|it| it.is_multiple_of(stride())).collect();
    let points = places.len();
    let tried = stream::iter(places).map(|after| async move { (after, point(kind, fault, after).await.1) });
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
