//! One fund that everybody wants: awards of one pound through gRPC by many callers, each under an offer of its own,
//! beside the same work written by hand against the same server. Baseline and service take turns in one run.
//!
//! `cargo bench --bench hot_fund [-- OPTIONS]`; docs/reference/benchmarks.md says what is measured and how to read it. Prints one
//! JSON line a point on standard output, everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

mod pgbench;
mod postgres;
mod sqlite;
mod statements;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use postgres::Shape;
use support::money::{self, Offers};
use support::window::{Window, percentile, window};
use support::{Client, client, median, serve};
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

/// Sizes of the pool that the baseline is tried with; the best one counts.
const POOLS: [usize; 4] = [8, 16, 32, 64];
/// Connections of the service's callers, as a few client processes would have.
const CONNECTIONS: usize = 4;
/// Schools, and so offers.
const SCHOOLS: u32 = 20_000;
/// How long each contender runs before its first window, uncounted.
const WARM_UP: Duration = Duration::from_secs(1);
/// The database of the service.
const OURS: &str = "tsio";

/// What to measure.
#[derive(Debug, Parser)]
struct Args {
    /// On which database; both unless given.
    #[arg(long)]
    database: Option<Database>,
    /// Seconds of one window, of the service and of the baseline.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Windows of each contender a point.
    #[arg(long, default_value_t = 5)]
    windows: usize,
    /// Callers at the same time, a list; 1,16,64,256 on PostgreSQL and 1,64 on SQLite unless given.
    #[arg(long, value_delimiter = ',')]
    clients: Vec<usize>,
    /// Only compare the baseline on PostgreSQL with pgbench.
    #[arg(long)]
    check_baseline: bool,
    /// Only measure the baselines.
    #[arg(long)]
    baseline_only: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    Postgres,
    Sqlite,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    if args.check_baseline {
        return pgbench::check(&Cluster::start(), args.windows).await;
    }
    if args.database != Some(Database::Sqlite) {
        on_postgres(&args).await;
    }
    if args.database != Some(Database::Postgres) {
        on_sqlite(&args).await;
    }
}

impl Args {
    fn clients(&self, unless_given: &[usize]) -> Vec<usize> {
        if self.clients.is_empty() { unless_given.to_vec() } else { self.clients.clone() }
    }

    fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// The service, with its offers; absent where only the baselines are measured.
struct Ours {
    _server: Server,
    clients: Vec<Client>,
    offers: Arc<Offers>,
}

impl Ours {
    async fn start(url: &str) -> Self {
        let server = serve(url);
        let clients = client(&server.url, CONNECTIONS).await;
        eprintln!("{SCHOOLS} offers are made, contacted and accepted");
        let offers = Offers::new(money::prepare(&clients, SCHOOLS).await);
        Self { _server: server, clients, offers }
    }

    async fn run(&self, callers: usize, length: Duration) -> Window {
        let clients = &self.clients[..callers.min(CONNECTIONS)];
        window(callers, length, |caller| money::award_one_pound(clients, caller, &self.offers)).await
    }
}

/// The windows of the service at one point.
#[derive(Default)]
struct Seen {
    rates: Vec<f64>,
    took: Vec<Duration>,
}

impl Seen {
    fn add(&mut self, window: Window) {
        eprintln!("  ours {:.0}/s", window.rate);
        self.rates.push(window.rate);
        self.took.extend(window.took);
    }

    fn rate(&self) -> Option<f64> {
        (!self.rates.is_empty()).then(|| median(self.rates.iter().copied()))
    }

    /// The slowest of so many percent, in milliseconds.
    fn percentile(&mut self, percent: usize) -> Option<f64> {
        self.took.sort_unstable();
        (!self.took.is_empty()).then(|| percentile(&self.took, percent))
    }
}

async fn on_postgres(args: &Args) {
    let cluster = Cluster::start();
    postgres::prepare(&cluster);
    cluster.create_database(OURS, "template1");
    let ours = if args.baseline_only { None } else { Some(Ours::start(&cluster.url(OURS)).await) };
    for callers in args.clients(&[1, 16, 64, 256]) {
        eprintln!("postgres, {callers} callers");
        postgres_point(args, &cluster, ours.as_ref(), callers).await;
    }
}

async fn postgres_point(args: &Args, cluster: &Cluster, ours: Option<&Ours>, callers: usize) {
    // More connections than callers are not used: those pools are all one.
    let mut pools: Vec<usize> = POOLS.iter().map(|pool| *pool.min(&callers)).collect();
    pools.dedup();
    let length = args.window();
    let (mut seen, mut by_hand) = (Seen::default(), vec![Vec::new(); pools.len()]);
    for pool in &pools {
        postgres::run(cluster, callers, *pool, Shape::Transaction, WARM_UP).await;
    }
    if let Some(ours) = ours {
        ours.run(callers, WARM_UP).await;
    }
    let mut single = vec![Vec::new(); pools.len()];
    for turn in 0..args.windows {
        if let Some(ours) = ours {
            seen.add(ours.run(callers, length).await);
        }
        for (index, pool) in pools.iter().enumerate() {
            let rate = postgres::run(cluster, callers, *pool, Shape::Transaction, length).await.rate;
            eprintln!("  by hand, {pool} connections {rate:.0}/s");
            by_hand[index].push(rate);
        }
        // The single statement runs in the pool that has been best so far.
        let best = best(&by_hand);
        let rate = postgres::run(cluster, callers, pools[best], Shape::Single, length).await.rate;
        eprintln!("  in one statement, {} connections {rate:.0}/s, turn {turn}", pools[best]);
        single[best].push(rate);
    }
    let mut statements_per_commit = None;
    if let Some(ours) = ours {
        statements::begin(cluster);
        ours.run(callers, WARM_UP).await;
        statements_per_commit = statements::end(cluster);
    }
    let best = best(&by_hand);
    let handwritten = median(by_hand[best].iter().copied());
    support::print(serde_json::json!({
        "database": "postgres",
        "clients": callers,
        "ours_per_s": seen.rate(),
        "handwritten_per_s": handwritten,
        "ratio": seen.rate().map(|ours| ours / handwritten),
        "single_statement_per_s": median(single.concat().into_iter()),
        "p50_ms": seen.percentile(50),
        "p99_ms": seen.percentile(99),
        "statements_per_commit": statements_per_commit,
        "handwritten_pool": pools[best],
    }));
}

/// The pool with the best median.
fn best(by_hand: &[Vec<f64>]) -> usize {
    let medians: Vec<f64> = by_hand.iter().map(|rates| median(rates.iter().copied())).collect();
    (0..medians.len()).max_by(|a, b| medians[*a].total_cmp(&medians[*b])).expect("there is a pool")
}

async fn on_sqlite(args: &Args) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let by_hand = directory.path().join("by_hand.db");
    sqlite::prepare(&by_hand);
    let ours_url = support::sqlite_url(&directory.path().join("tsio.db"));
    let ours = if args.baseline_only { None } else { Some(Ours::start(&ours_url).await) };
    let length = args.window();
    for callers in args.clients(&[1, 64]) {
        eprintln!("sqlite, {callers} callers");
        let (mut seen, mut dedicated, mut contending) = (Seen::default(), Vec::new(), Vec::new());
        sqlite::run(&by_hand, 1, WARM_UP);
        if let Some(ours) = &ours {
            ours.run(callers, WARM_UP).await;
        }
        for _ in 0..args.windows {
            if let Some(ours) = &ours {
                seen.add(ours.run(callers, length).await);
            }
            // Blocks this thread, which has nothing else to do.
            let (one, many) = (sqlite::run(&by_hand, 1, length), sqlite::run(&by_hand, callers, length / 2));
            eprintln!("  by hand {one:.0}/s, {callers} contending {many:.0}/s");
            dedicated.push(one);
            contending.push(many);
        }
        let handwritten = median(dedicated.into_iter());
        support::print(serde_json::json!({
            "database": "sqlite",
            "clients": callers,
            "ours_per_s": seen.rate(),
            "handwritten_per_s": handwritten,
            "ratio": seen.rate().map(|ours| ours / handwritten),
            "single_statement_per_s": null,
            "p50_ms": seen.percentile(50),
            "p99_ms": seen.percentile(99),
            "statements_per_commit": null,
            "contending_per_s": median(contending.into_iter()),
        }));
    }
}
