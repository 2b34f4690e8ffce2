//! Runs the baseline on PostgreSQL: handwritten SQL, directly through the driver.
//!
//! The baseline stores only what any correct service must store: the fund, the offer, an entry and an event. One operation is
//! one transaction of five prepared statements, or the same work in one statement. The service that it is compared with
//! does more: it has a hash chain, stored answers, caps, checks of the state, and gRPC.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::try_join;
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Error, NoTls, Statement};
use tsio_test_support::cluster::Cluster;

use crate::support::window::{Window, window};

/// The name of the database of the baseline.
pub(crate) const DATABASE: &str = "by_hand";
/// The number of offers, the same as of the service.
pub(crate) const OFFERS: i32 = 20_000;

const SCHEMA: [&str; 6] = [
    "CREATE TABLE funds (id int PRIMARY KEY, allocated bigint NOT NULL, committed bigint NOT NULL)",
    "INSERT INTO funds SELECT g, 1000000000000, 0 FROM generate_series(1, 4) g",
    "CREATE TABLE offers (id int PRIMARY KEY, credit_committed bigint NOT NULL, version int NOT NULL)",
    "INSERT INTO offers SELECT g, 0, 0 FROM generate_series(1, 20000) g",
    "CREATE TABLE entries (seq bigserial PRIMARY KEY, fund int, offer int, amount bigint, kind smallint, \
     request_id uuid UNIQUE DEFAULT gen_random_uuid(), at timestamptz DEFAULT now())",
    "CREATE TABLE events (offer int, seq int, kind smallint, body jsonb, at timestamptz DEFAULT now(), \
     PRIMARY KEY (offer, seq))",
];

/// The five statements between BEGIN and COMMIT; `$1` is the offer.
const TRANSACTION: [&str; 5] = [
    "SELECT version FROM offers WHERE id = $1 FOR UPDATE",
    "UPDATE funds SET committed = committed + 100 WHERE id = 1 AND allocated - committed >= 100 RETURNING committed",
    "UPDATE offers SET credit_committed = credit_committed + 100, version = version + 1 WHERE id = $1",
    "INSERT INTO entries (fund, offer, amount, kind) VALUES (1, $1, 100, 1)",
    "INSERT INTO events (offer, seq, kind, body) \
     SELECT $1, coalesce(max(seq), 0) + 1, 1, '{\"a\":1}' FROM events WHERE offer = $1",
];

/// The work of [`TRANSACTION`] in one statement.
const SINGLE: &str = "WITH \
     f AS (UPDATE funds SET committed = committed + 100 WHERE id = 1 AND allocated - committed >= 100 RETURNING id), \
     o AS (UPDATE offers SET credit_committed = credit_committed + 100, version = version + 1 WHERE id = $1 \
           RETURNING id, version), \
     e AS (INSERT INTO entries (fund, offer, amount, kind) SELECT 1, o.id, 100, 1 FROM o, f), \
     v AS (INSERT INTO events (offer, seq, kind, body) SELECT o.id, o.version, 1, '{\"a\":1}' FROM o, f) SELECT 1";

/// Makes the database of the baseline.
pub(crate) fn prepare(cluster: &Cluster) {
    cluster.create_database(DATABASE, "template1");
    cluster.psql(DATABASE, &SCHEMA);
}

/// Returns the transaction as a script for `pgbench`.
pub(crate) fn script() -> String {
    let statements = TRANSACTION.map(|statement| statement.replace("$1", ":o") + ";\n").concat();
    format!("\\set o random(1, {OFFERS})\nBEGIN;\n{statements}COMMIT;\n")
}

/// How an operation is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// Five statements in a transaction.
    Transaction,
    /// One statement.
    SingleStatement,
}

/// Measures one window of callers that share a pool with this number of connections.
pub(crate) async fn run(
    cluster: &Cluster,
    callers: usize,
    pool: usize,
    kind: OperationKind,
    length: Duration,
) -> Window {
    let pool = Arc::new(Pool::open(&cluster.url(DATABASE), pool.min(callers)).await);
    window(callers, length, |_| {
        let pool = Arc::clone(&pool);
        move || {
            let pool = Arc::clone(&pool);
            async move {
                let permit = pool.permits.acquire().await.expect("the pool stays open");
                let connection = pool.take();
                let offer = fastrand::i32(1..=OFFERS);
                let result = match kind {
                    OperationKind::Transaction => connection.transaction(offer).await,
                    OperationKind::SingleStatement => connection.single(offer).await,
                };
                result.expect("the operation succeeds");
                pool.give_back(connection);
                drop(permit);
            }
        }
    })
    .await
}

/// Connections that callers share. If no connection is idle, callers wait, and get one in the order in which they came.
struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// One permit for each idle connection.
    permits: Semaphore,
}

impl Pool {
    async fn open(url: &str, size: usize) -> Self {
        let mut idle = Vec::new();
        for _ in 0..size {
            idle.push(Connection::open(url).await.expect("PostgreSQL accepts the connection"));
        }
        Self { idle: Mutex::new(idle), permits: Semaphore::new(size) }
    }

    fn take(&self) -> Connection {
        self.idle
            .lock()
            .expect("no thread panics while it holds the lock")
            .pop()
            .expect("the caller has a permit, so a connection is idle")
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().expect("no thread panics while it holds the lock").push(connection);
    }
}

/// A connection with all statements prepared.
struct Connection {
    client: Client,
    begin: Statement,
    statements: [Statement; 5],
    commit: Statement,
    single: Statement,
}

impl Connection {
    async fn open(url: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // The task ends with the client. An error of the connection makes the client's statements fail.
        tokio::spawn(connection);
        let [lock, fund, offer, entry, event] = TRANSACTION;
        let statements = [
            client.prepare(lock).await?,
            client.prepare(fund).await?,
            client.prepare(offer).await?,
            client.prepare(entry).await?,
            client.prepare(event).await?,
        ];
        let (begin, commit) = (client.prepare("BEGIN").await?, client.prepare("COMMIT").await?);
        let single = client.prepare(SINGLE).await?;
        Ok(Self { client, begin, statements, commit, single })
    }

    async fn transaction(&self, offer: i32) -> Result<(), Error> {
        let [lock, fund, write, entry, event] = &self.statements;
        // BEGIN and the first statement are sent together, which saves a round trip.
        let (_, offer_rows) =
            try_join(self.client.execute(&self.begin, &[]), self.client.query(lock, &[&offer])).await?;
        assert_eq!(offer_rows.len(), 1, "the offer exists");
        let fund_rows = self.client.query(fund, &[]).await?;
        assert_eq!(fund_rows.len(), 1, "the fund has enough money");
        self.client.execute(write, &[&offer]).await?;
        self.client.execute(entry, &[&offer]).await?;
        self.client.execute(event, &[&offer]).await?;
        self.client.execute(&self.commit, &[]).await?;
        Ok(())
    }

    async fn single(&self, offer: i32) -> Result<(), Error> {
        self.client.query(&self.single, &[&offer]).await.map(|_| ())
    }
}
