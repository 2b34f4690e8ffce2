//! Checks that of two processes on one PostgreSQL database, a stopped process does not block the other.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::client::{Client, fresh};
use crate::harness::{Db, Server, run};
use crate::load::{Load, OnFailure, check_all_recorded};
use crate::raw_sql::{RawSql, verified_heads};

/// How long the lock may stay blocked. A lock holder that is silent for 3 s loses its session; the rest is for a busy machine.
const MAX_BLOCKED: Duration = Duration::from_secs(15);

/// Counts sessions that have locked the programme's row and wait for their client. A session that has only prepared the
/// statement has the lock on the table too, but no transaction id.
const COUNT_HOLDING: &str = "SELECT count(*) FROM pg_stat_activity session WHERE datname = current_database() \
    AND application_name = 'tsio writer' AND state = 'idle in transaction' AND backend_xid IS NOT NULL \
    AND EXISTS (SELECT 1 FROM pg_locks held WHERE held.pid = session.pid AND held.granted \
                AND held.relation = 'books'::regclass AND held.mode = 'RowShareLock')";

/// The condition that a session has received no statement for much longer than a statement needs to arrive.
const IS_SILENT: &str = "clock_timestamp() - session.state_change > interval '500 ms'";

#[test]
fn a_stopped_lock_holder_does_not_stop_the_programme() {
    run(async {
        let db = Db::postgres();
        let (one, other) = (Server::start_with_lock(&db, &[]), Server::start(&db));
        let (to_one, to_other) = (Client::of(&one).await, Client::of(&other).await);
        let offers = to_one.seed().await;
        let mut raw_sql = RawSql::of(&db).await;
        let load = Load::on(&to_one, &offers, OnFailure::Retry);
        let mut tries = 0;
        loop {
            load.until_more(3).await;
            one.pause();
            wait_until_stopped(one.pid());
            if still_holds(&mut raw_sql).await {
                break;
            }
            one.resume();
            tries += 1;
            assert!(tries < 200, "the process was never stopped while it held the lock of the programme");
        }

        let started = Instant::now();
        let id = fresh();
        to_other.note(&offers[0].offer, "the other process is stopped", &id).await.unwrap();
        assert!(started.elapsed() < MAX_BLOCKED, "freed after {:?}", started.elapsed());
        assert_eq!(raw_sql.number(COUNT_HOLDING).await, 0);

        one.resume();
        load.until_more(20).await;
        let sent = load.end().await;
        check_all_recorded(&to_one, &offers, &sent).await;
        assert_eq!(to_one.times_recorded(&offers[0].offer, &id).await, 1);
        verified_heads(&db);
    });
}

/// Returns whether the stopped process has locked the programme's row. A statement that the process sent before may still
/// arrive. So the session must have received nothing for a while.
async fn still_holds(raw_sql: &mut RawSql) -> bool {
    while raw_sql.number(COUNT_HOLDING).await > 0 {
        if raw_sql.number(&format!("{COUNT_HOLDING} AND {IS_SILENT}")).await == 1 {
            return true;
        }
    }
    false
}

/// Waits until the process is stopped: the kernel stops its threads one by one, a moment after the signal.
fn wait_until_stopped(pid: u32) {
    let thread = |it: io::Result<fs::DirEntry>| it.and_then(|it| fs::read_to_string(it.path().join("stat")));
    // A thread that has ended counts as stopped.
    let stopped = || {
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(thread);
        threads.all(|it| it.map_or(true, |it| it.contains(") T ")))
    };
    assert!((0..1_000_000).any(|_| stopped()), "{pid} does not stop");
}
