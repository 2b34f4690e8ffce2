//! Two processes on one PostgreSQL database: a stopped one does not block the other.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::client::{Client, fresh};
use crate::harness::{Db, Server, run};
use crate::load::{Load, OnFailure, check_all_recorded};
use crate::raw_sql::{RawSql, proved};

/// A lock holder that is silent for 3 s loses its session; the rest of the time is for a busy machine.
const FREED: Duration = Duration::from_secs(15);

/// A session that has locked the programme's row and waits for its client. A session that has only prepared the statement has
/// the lock on the table too, but no transaction id.
const HOLDING: &str = "SELECT count(*) FROM pg_stat_activity session WHERE datname = current_database() \
    AND application_name = 'tsio writer' AND state = 'idle in transaction' AND backend_xid IS NOT NULL \
    AND EXISTS (SELECT 1 FROM pg_locks held WHERE held.pid = session.pid AND held.granted \
                AND held.relation = 'books'::regclass AND held.mode = 'RowShareLock')";

/// The session has also heard nothing from its client for far longer than a statement needs to arrive.
const UNHEARD: &str = "clock_timestamp() - session.state_change > interval '500 ms'";

#[test]
fn a_stopped_lock_holder_does_not_stop_the_programme() {
    run(async {
        let db = Db::postgres();
        let (one, other) = (Server::start(&db), Server::start(&db));
        let (to_one, to_other) = (Client::of(&one).await, Client::of(&other).await);
        let offers = to_one.seed().await;
        let mut raw_sql = RawSql::of(&db).await;
        let load = Load::on(&to_one, &offers, OnFailure::Retry);
        let mut tries = 0;
        loop {
            load.until_more(3).await;
            one.pause();
            until_stopped(one.pid());
            if still_holds(&mut raw_sql).await {
                break;
            }
            one.resume();
            tries += 1;
            assert!(tries < 200, "it was never stopped while it held the lock of the programme");
        }

        let started = Instant::now();
        let id = fresh();
        to_other.note(&offers[0].offer, "the other is asleep", &id).await.unwrap();
        assert!(started.elapsed() < FREED, "freed after {:?}", started.elapsed());
        assert_eq!(raw_sql.number(HOLDING).await, 0);

        one.resume();
        load.until_more(20).await;
        let sent = load.end().await;
        check_all_recorded(&to_one, &offers, &sent).await;
        assert_eq!(to_one.times(&offers[0].offer, &id).await, 1);
        proved(&db);
    });
}

/// Tells whether the stopped process has locked the programme's row. A statement that it sent before may still arrive, so the
/// session counts as holding once nothing has reached it for a while.
async fn still_holds(raw_sql: &mut RawSql) -> bool {
    while raw_sql.number(HOLDING).await > 0 {
        if raw_sql.number(&format!("{HOLDING} AND {UNHEARD}")).await == 1 {
            return true;
        }
    }
    false
}

/// Waits until the process is stopped: the kernel stops its threads one by one, a moment after the signal.
fn until_stopped(pid: u32) {
    let thread = |it: io::Result<fs::DirEntry>| it.and_then(|it| fs::read_to_string(it.path().join("stat")));
    // A thread that has ended counts as stopped.
    let stopped = || {
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(thread);
        threads.all(|it| it.map_or(true, |it| it.contains(") T ")))
    };
    assert!((0..1_000_000).any(|_| stopped()), "{pid} does not stop");
}
