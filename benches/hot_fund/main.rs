//! Measures awards of one pound from one fund, by many callers over gRPC, each under another offer.
//!
//! Baseline is the same work as handwritten SQL, on the same PostgreSQL server or on another SQLite file. Baseline and service
//! are measured in turns in one run.
//!
//! `cargo bench --bench hot_fund [-- OPTIONS]`; docs/reference/benchmarks.md explains the measurements and the results. Prints
//! one JSON line for each database and number of callers on standard output, and everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

mod pgbench;
mod postgres;
mod sqlite;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use postgres::OperationKind;
use support::money::{self, Offers};
use support::window::{Window, percentile, window};
use support::{Client, connect_clients, median, serve};
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;
use tsio_test_support::statements;

/// The sizes of the connection pool that the baseline is measured with. The result is that of the best size.
const POOLS: [usize; 4] = [8, 16, 32, 64];
/// The number of connections that the callers of the service share, as in a few client processes.
const CONNECTIONS: usize = 4;
/// The number of schools, each with one offer.
const SCHOOLS: u32 = 20_000;
/// How long the service and the baseline run before their first window, without being counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// The name of the database of the service.
const SERVICE_DATABASE: &str = "tsio";

/// The arguments of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// The database to measure [default: both].
    #[arg(long)]
    database: Option<Database>,
    /// The length of one window in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The number of windows of the service and of the baseline, for each number of callers.
    #[arg(long, default_value_t = 5)]
    windows: usize,
    /// The numbers of callers, separated by commas [default: 1,16,64,256 on PostgreSQL; 1,64 on SQLite].
    #[arg(long, value_delimiter = ',')]
    clients: Vec<usize>,
    /// Only compare the baseline on PostgreSQL with `pgbench`.
    #[arg(long)]
    check_baseline: bool,
    /// Only measure the baselines.
    #[arg(long)]
    baseline_only: bool,
    /// The flag that `cargo bench` adds; ignored.
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
        measure_postgres(&args).await;
    }
    if args.database != Some(Database::Postgres) {
        measure_sqlite(&args).await;
    }
}

impl Args {
    /// Returns the numbers of callers to measure.
    fn caller_counts(&self, default: &[usize]) -> Vec<usize> {
        if self.clients.is_empty() { default.to_vec() } else { self.clients.clone() }
    }

    fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// A running service, with its clients and offers.
struct RunningService {
    _server: Server,
    clients: Vec<Client>,
    offers: Arc<Offers>,
}

impl RunningService {
    /// Starts a server on the database at this URL, and makes its offers.
    async fn start(url: &str) -> Self {
        let server = serve(url);
        let clients = connect_clients(&server.url, CONNECTIONS).await;
        eprintln!("{SCHOOLS} offers are made, contacted and accepted");
        let offers = Offers::new(money::prepare(&clients, SCHOOLS).await);
        Self { _server: server, clients, offers }
    }

    /// Measures one window of awards.
    async fn run(&self, callers: usize, length: Duration) -> Window {
        let clients = &self.clients[..callers.min(CONNECTIONS)];
        window(callers, length, |caller| money::award_one_pound(clients, caller, &self.offers)).await
    }
}

/// The results of all windows of the service for one number of callers.
#[derive(Default)]
struct ServiceResults {
    rates: Vec<f64>,
    took: Vec<Duration>,
}

impl ServiceResults {
    fn add(&mut self, window: Window) {
        eprintln!("  service {:.0}/s", window.rate);
        self.rates.push(window.rate);
        self.took.extend(window.took);
    }

    /// The median of the rates; `None` if the service was not measured.
    fn rate(&self) -> Option<f64> {
        (!self.rates.is_empty()).then(|| median(self.rates.iter().copied()))
    }

    /// Returns a percentile of the times of all operations, in milliseconds; `None` if the service was not measured.
    fn percentile(&mut self, percent: usize) -> Option<f64> {
        self.took.sort_unstable();
        (!self.took.is_empty()).then(|| percentile(&self.took, percent))
    }
}

/// Measures the service and the baseline on PostgreSQL.
async fn measure_postgres(args: &Args) {
    let cluster = Cluster::start();
    postgres::prepare(&cluster);
    cluster.create_database(SERVICE_DATABASE, "template1");
    let service =
        if args.baseline_only { None } else { Some(RunningService::start(&cluster.url(SERVICE_DATABASE)).await) };
    for callers in args.caller_counts(&[1, 16, 64, 256]) {
        eprintln!("postgres, {callers} callers");
        measure_postgres_callers(args, &cluster, service.as_ref(), callers).await;
    }
}

/// Measures the service and the baseline on PostgreSQL with one number of callers, and prints the result.
async fn measure_postgres_callers(args: &Args, cluster: &Cluster, service: Option<&RunningService>, callers: usize) {
    // A pool is never larger than the number of callers, so larger sizes become equal, and are measured once.
    let mut pools: Vec<usize> = POOLS.iter().map(|pool| *pool.min(&callers)).collect();
    pools.dedup();
    let length = args.window();
    let (mut results, mut by_hand) = (ServiceResults::default(), vec![Vec::new(); pools.len()]);
    for pool in &pools {
        postgres::run(cluster, callers, *pool, OperationKind::Transaction, WARM_UP).await;
    }
    if let Some(service) = service {
        service.run(callers, WARM_UP).await;
    }
    let mut single_statement = vec![Vec::new(); pools.len()];
    for turn in 0..args.windows {
        if let Some(service) = service {
            results.add(service.run(callers, length).await);
        }
        for (index, pool) in pools.iter().enumerate() {
            let rate = postgres::run(cluster, callers, *pool, OperationKind::Transaction, length).await.rate;
            eprintln!("  by hand, {pool} connections {rate:.0}/s");
            by_hand[index].push(rate);
        }
        // The single statement runs in the pool that has the best median so far.
        let best = best_pool(&by_hand);
        let rate = postgres::run(cluster, callers, pools[best], OperationKind::SingleStatement, length).await.rate;
        eprintln!("  in one statement, {} connections {rate:.0}/s, turn {turn}", pools[best]);
        single_statement[best].push(rate);
    }
    let mut statements_per_commit = None;
    if let Some(service) = service {
        statements::start_counting(cluster);
        service.run(callers, WARM_UP).await;
        let sent = statements::stop_counting(cluster);
        statements_per_commit = (sent.commits > 0).then(|| f64::from(sent.statements) / f64::from(sent.commits));
    }
    let best = best_pool(&by_hand);
    let handwritten = median(by_hand[best].iter().copied());
    support::print(serde_json::json!({
        "database": "postgres",
        "clients": callers,
        "ours_per_s": results.rate(),
        "handwritten_per_s": handwritten,
        "ratio": results.rate().map(|service| service / handwritten),
        "single_statement_per_s": median(single_statement.concat().into_iter()),
        "p50_ms": results.percentile(50),
        "p99_ms": results.percentile(99),
        "statements_per_commit": statements_per_commit,
        "handwritten_pool": pools[best],
    }));
}

/// Returns the index of the pool with the best median rate. `by_hand` has the rates of each pool.
fn best_pool(by_hand: &[Vec<f64>]) -> usize {
    let medians: Vec<f64> = by_hand.iter().map(|rates| median(rates.iter().copied())).collect();
    (0..medians.len()).max_by(|a, b| medians[*a].total_cmp(&medians[*b])).expect("there is at least one pool")
}

/// Measures the service and the baseline on SQLite.
async fn measure_sqlite(args: &Args) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let by_hand = directory.path().join("by_hand.db");
    sqlite::prepare(&by_hand);
    let service_url = support::sqlite_url(&directory.path().join("tsio.db"));
    let service = if args.baseline_only { None } else { Some(RunningService::start(&service_url).await) };
    let length = args.window();
    for callers in args.caller_counts(&[1, 64]) {
        eprintln!("sqlite, {callers} callers");
        let (mut results, mut dedicated, mut contending) = (ServiceResults::default(), Vec::new(), Vec::new());
        sqlite::run(&by_hand, 1, WARM_UP);
        if let Some(service) = &service {
            service.run(callers, WARM_UP).await;
        }
        for _ in 0..args.windows {
            if let Some(service) = &service {
                results.add(service.run(callers, length).await);
            }
            // This blocks the thread, which has no other work.
            let (one_writer, many_writers) =
                (sqlite::run(&by_hand, 1, length), sqlite::run(&by_hand, callers, length / 2));
            eprintln!("  by hand {one_writer:.0}/s, {callers} contending {many_writers:.0}/s");
            dedicated.push(one_writer);
            contending.push(many_writers);
        }
        let handwritten = median(dedicated.into_iter());
        support::print(serde_json::json!({
            "database": "sqlite",
            "clients": callers,
            "ours_per_s": results.rate(),
            "handwritten_per_s": handwritten,
            "ratio": results.rate().map(|service| service / handwritten),
            "single_statement_per_s": null,
            "p50_ms": results.percentile(50),
            "p99_ms": results.percentile(99),
            "statements_per_commit": null,
            "contending_per_s": median(contending.into_iter()),
        }));
    }
}
