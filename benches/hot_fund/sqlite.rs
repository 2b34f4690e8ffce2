//! The baseline on SQLite: the same hand-written operation as on PostgreSQL, as it is best run there.
//!
//! One dedicated thread that writes one operation a transaction with nobody in its way: no queue, no channel, no
//! caller to answer, so it is as fast as such a writer can be. Beside it, what as many connections as there are
//! callers make when they contend. WAL, `synchronous=FULL`, everything prepared.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result, Statement};

use crate::support::window::Bounds;

/// Offers it has, as many as the service is given.
const OFFERS: i32 = 20_000;
/// How long a contending connection waits for its turn: longer than any window.
const BUSY: Duration = Duration::from_secs(120);

const SCHEMA: &str = "
CREATE TABLE funds (id INTEGER PRIMARY KEY, allocated INTEGER NOT NULL, committed INTEGER NOT NULL);
INSERT INTO funds SELECT value, 1000000000000, 0 FROM generate_series(1, 4);
CREATE TABLE offers (id INTEGER PRIMARY KEY, credit_committed INTEGER NOT NULL, version INTEGER NOT NULL);
INSERT INTO offers SELECT value, 0, 0 FROM generate_series(1, 20000);
CREATE TABLE entries (seq INTEGER PRIMARY KEY, fund INTEGER, offer INTEGER, amount INTEGER, kind INTEGER,
    request_id BLOB UNIQUE DEFAULT (randomblob(16)), at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE events (offer INTEGER, seq INTEGER, kind INTEGER, body TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (offer, seq)) WITHOUT ROWID;
";

/// `generate_series`, which not every build of SQLite has.
const SERIES: &str =
    "(WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < $2) SELECT value FROM n)";

const BEGIN: &str = "BEGIN IMMEDIATE";
const LOCK: &str = "SELECT version FROM offers WHERE id = ?1";
const FUND: &str =
    "UPDATE funds SET committed = committed + 100 WHERE id = 1 AND allocated - committed >= 100 RETURNING committed";
const OFFER: &str = "UPDATE offers SET credit_committed = credit_committed + 100, version = version + 1 WHERE id = ?1";
const ENTRY: &str = "INSERT INTO entries (fund, offer, amount, kind) VALUES (1, ?1, 100, 1)";
const EVENT: &str = "INSERT INTO events (offer, seq, kind, body) \
     SELECT ?1, coalesce(max(seq), 0) + 1, 1, '{\"a\":1}' FROM events WHERE offer = ?1";
const COMMIT: &str = "COMMIT";

/// Makes its file.
pub(crate) fn prepare(file: &Path) {
    let schema = SCHEMA
        .replace("generate_series(1, 4)", &SERIES.replace("$2", "4"))
        .replace("generate_series(1, 20000)", &SERIES.replace("$2", "20000"));
    open(file).and_then(|it| it.execute_batch(&schema)).expect("the schema is made");
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Operations a second of so many threads, each with a connection of its own. One is the dedicated writer.
pub(crate) fn run(file: &Path, threads: usize, length: Duration) -> f64 {
    let connections: Vec<_> = (0..threads).map(|_| open(file).expect("the file opens")).collect();
    let bounds = Bounds::starting_now(length);
    let count = thread::scope(|scope| {
        let writers: Vec<_> = connections.into_iter().map(|it| scope.spawn(move || repeat(&it, bounds))).collect();
        let counts = writers.into_iter().map(|it| it.join().expect("the writer ends well"));
        counts.map(|count| count.expect("every operation succeeds")).sum()
    });
    bounds.rate(count)
}

/// The prepared statements of a writer.
struct Writer<'a> {
    begin: Statement<'a>,
    lock: Statement<'a>,
    fund: Statement<'a>,
    offer: Statement<'a>,
    entry: Statement<'a>,
    event: Statement<'a>,
    commit: Statement<'a>,
}

fn repeat(connection: &Connection, bounds: Bounds) -> Result<usize> {
    let mut writer = Writer {
        begin: connection.prepare(BEGIN)?,
        lock: connection.prepare(LOCK)?,
        fund: connection.prepare(FUND)?,
        offer: connection.prepare(OFFER)?,
        entry: connection.prepare(ENTRY)?,
        event: connection.prepare(EVENT)?,
        commit: connection.prepare(COMMIT)?,
    };
    let mut count = 0;
    while !bounds.is_over(Instant::now()) {
        writer.once(fastrand::i32(1..=OFFERS))?;
        count += usize::from(bounds.counts(Instant::now()));
    }
    Ok(count)
}

impl Writer<'_> {
    fn once(&mut self, offer: i32) -> Result<()> {
        self.begin.execute([])?;
        self.lock.query_row([offer], |row| row.get::<_, i64>(0))?;
        self.fund.query_row([], |row| row.get::<_, i64>(0))?;
        self.offer.execute([offer])?;
        self.entry.execute([offer])?;
        self.event.execute([offer])?;
        self.commit.execute([])?;
        Ok(())
    }
}
