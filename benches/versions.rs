//! This build beside another one, so that a change can be shown to cost no speed: awards from one fund, `GetOffer` by callers
//! who name themselves and by callers with a token, and the import of a month. The two take turns in one run, each on a database
//! of its own with the same in it, and the median of their ratios counts.
//!
//! `cargo bench --bench versions -- --against PATH` with the release binary of the other build. Prints one JSON line a figure on
//! standard output, everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use support::money::{self, Offers};
use support::reading::{self, CALLERS, DEVELOPMENT, NAMED};
use support::window::window;
use support::{Client, TSIO, client, fixture_data, median, sqlite_url};
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

/// Schools, and so offers: a caller has done with one long before the next comes to it.
const SCHOOLS: u32 = 5_000;
/// Connections they share, as a few client processes would.
const CONNECTIONS: usize = 4;
/// Offers that are read.
const READ: usize = 500;

/// What to compare.
#[derive(Debug, Parser)]
struct Args {
    /// The release binary of the other build.
    #[arg(long)]
    against: PathBuf,
    /// Windows of each build a figure.
    #[arg(long, default_value_t = 10)]
    windows: usize,
    /// Seconds of one window.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Awards on PostgreSQL too.
    #[arg(long)]
    postgres: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A build with its database.
struct Build<'a> {
    program: &'a Path,
    database: String,
}

/// A build that serves accepted offers and a full fund.
struct Running {
    server: Server,
    clients: Vec<Client>,
    offers: Arc<Offers>,
    ids: Arc<Vec<String>>,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let programs = [Path::new(TSIO), args.against.as_path()];
    let directory = tempfile::tempdir().expect("a temporary folder");
    let builds = [("this", programs[0]), ("other", programs[1])]
        .map(|(name, program)| Build { program, database: sqlite_url(&directory.path().join(format!("{name}.db"))) });
    let running = start(&builds).await;
    awards(&args, "sqlite", &running).await;
    reads(&args, "get_offer_by_name", &running, NAMED).await;
    let ids = running.map(|it| {
        it.server.stop();
        it.ids
    });
    reads_by_token(&args, directory.path(), &builds, ids).await;
    imports(&args, directory.path(), programs).await;
    if args.postgres {
        let cluster = Cluster::start();
        let builds = [("this", programs[0]), ("other", programs[1])].map(|(name, program)| {
            cluster.create_database(name, "template1");
            Build { program, database: cluster.url(name) }
        });
        awards(&args, "postgres", &start(&builds).await).await;
    }
}

/// Serves both databases, which are empty, and fills them.
async fn start(builds: &[Build<'_>; 2]) -> [Running; 2] {
    let [this, other] = builds;
    [Running::start(this).await, Running::start(other).await]
}

impl Running {
    async fn start(build: &Build<'_>) -> Self {
        let server = Server::start(build.program, &build.database, DEVELOPMENT);
        let clients = client(&server.url, CONNECTIONS).await;
        eprintln!("{}: {SCHOOLS} offers are made, contacted and accepted", build.database);
        let ids = money::prepare(&clients, SCHOOLS).await;
        let some = Arc::new(ids[..READ].to_vec());
        Self { server, clients, offers: Offers::new(ids), ids: some }
    }
}

/// Awards of one pound from one fund, a second.
async fn awards(args: &Args, database: &str, running: &[Running; 2]) {
    for callers in [1, CALLERS] {
        let rates = by_turns(args.windows, async |at| {
            let Running { clients, offers, .. } = &running[at];
            let clients = &clients[..callers.min(CONNECTIONS)];
            window(callers, args.window(), |caller| money::one_pound(clients, caller, offers)).await.rate
        });
        report(&format!("awards_{database}"), callers, "per_s", &rates.await, |this, other| this / other);
    }
}

/// Offers read, a second, by callers who show this.
async fn reads(args: &Args, figure: &str, running: &[Running; 2], shown: &[(&'static str, &str)]) {
    let rates = by_turns(args.windows, async |at| {
        reading::get_offers(&running[at].server.url, args.window(), shown, &running[at].ids).await
    });
    report(figure, CALLERS, "per_s", &rates.await, |this, other| this / other);
}

/// The same by callers with a token, on the databases as they are.
async fn reads_by_token(args: &Args, directory: &Path, builds: &[Build<'_>; 2], ids: [Arc<Vec<String>>; 2]) {
    let (config, token) = reading::write_token_settings(directory);
    let servers = builds.each_ref().map(|it| Server::start(it.program, &it.database, &["--config", &config]));
    let bearer = format!("Bearer {token}");
    let proof: &[(&str, &str)] = &[("authorization", &bearer)];
    let rates =
        by_turns(args.windows, async |at| reading::get_offers(&servers[at].url, args.window(), proof, &ids[at]).await);
    report("get_offer_by_token", CALLERS, "per_s", &rates.await, |this, other| this / other);
    servers.into_iter().for_each(Server::stop);
}

/// Seconds from the first byte of a month to its commit, each time on an empty database, and of the identify that follows.
async fn imports(args: &Args, directory: &Path, programs: [&Path; 2]) {
    let (month, mut turn) = (fixture_data::month(), 0);
    let mut identified = [Vec::new(), Vec::new()];
    let imported = by_turns(args.windows, async |at| {
        turn += 1;
        let server = Server::start(programs[at], &sqlite_url(&directory.join(format!("import{turn}.db"))), DEVELOPMENT);
        let client = client(&server.url, 1).await.remove(0);
        client.import_register(fixture_data::membership(), "2022-03-31").await;
        let begin = Instant::now();
        client.import_ofsted(month.clone(), "2021-08-31").await;
        let imported = begin.elapsed();
        let begin = Instant::now();
        assert!(client.identify().await > 0, "nobody was eligible");
        identified[at].push(begin.elapsed().as_secs_f64());
        server.stop();
        imported.as_secs_f64()
    })
    .await;
    report("import_month", 1, "s", &imported, |this, other| other / this);
    // The first of each is the one that warms up.
    report("identify", 1, "s", &identified.map(|it| it[1..].to_vec()), |this, other| other / this);
}

/// Measures the two in turns, after one of each that does not count. The one that was second begins the next turn.
async fn by_turns(turns: usize, mut measure: impl AsyncFnMut(usize) -> f64) -> [Vec<f64>; 2] {
    for at in [0, 1] {
        measure(at).await;
    }
    let mut measured = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        for at in [turn % 2, (turn + 1) % 2] {
            measured[at].push(measure(at).await);
        }
    }
    measured
}

/// Prints a figure. The ratio is above 1 where this build is faster.
fn report(figure: &str, callers: usize, unit: &str, [this, other]: &[Vec<f64>; 2], ratio: impl Fn(f64, f64) -> f64) {
    let ratios: Vec<f64> = this.iter().zip(other).map(|(this, other)| ratio(*this, *other)).collect();
    support::print(json!({
        "figure": figure,
        "callers": callers,
        format!("this_{unit}"): median(this.iter().copied()),
        format!("other_{unit}"): median(other.iter().copied()),
        "ratio": median(ratios.iter().copied()),
        "ratio_min": ratios.iter().copied().fold(f64::INFINITY, f64::min),
        "ratio_max": ratios.iter().copied().fold(0.0, f64::max),
    }));
}

impl Args {
    fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
