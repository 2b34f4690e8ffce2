//! Runs the baseline on SQLite: the same handwritten operation as on PostgreSQL.
//!
//! The fastest way on SQLite is one dedicated thread that writes one operation per transaction, without a queue or a caller to
//! answer. For comparison, one connection for each caller is measured too; those wait for each other. The settings are
//! WAL and `synchronous=FULL`, and all statements are prepared.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result, Statement};

use crate::support::window::Bounds;

/// The number of offers, the same as of the service.
const OFFERS: i32 = 20_000;
/// How long a connection waits for the write lock: longer than any window.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);

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

/// A replacement for `generate_series`, which not every build of SQLite has. `$2` is the last number.
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

/// Makes the database file of the baseline.
pub(crate) fn prepare(file: &Path) {
    let schema = SCHEMA
        .replace("generate_series(1, 4)", &SERIES.replace("$2", "4"))
        .replace("generate_series(1, 20000)", &SERIES.replace("$2", "20000"));
    open(file).and_then(|it| it.execute_batch(&schema)).expect("the schema is made");
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Returns the operations per second of this number of threads, each with its own connection. One thread is the dedicated
/// writer.
pub(crate) fn run(file: &Path, threads: usize, length: Duration) -> f64 {
    let connections: Vec<_> = (0..threads).map(|_| open(file).expect("the file opens")).collect();
    let bounds = Bounds::starting_now(length);
    let count = thread::scope(|scope| {
        let writers: Vec<_> = connections.into_iter().map(|it| scope.spawn(move || repeat(&it, bounds))).collect();
        let counts = writers.into_iter().map(|it| it.join().expect("the writer does not panic"));
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

/// Repeats the operation until the window is over. Returns the number of operations that count.
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
        writer.run_once(fastrand::i32(1..=OFFERS))?;
        count += usize::from(bounds.counts(Instant::now()));
    }
    Ok(count)
}

impl Writer<'_> {
    /// Runs one operation.
    fn run_once(&mut self, offer: i32) -> Result<()> {
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
