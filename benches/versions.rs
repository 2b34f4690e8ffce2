//! Compares the speed of this build with another build, to show that a change costs no speed.
//!
//! Measures awards from one fund, `GetOffer` in development mode and with a token, the import of a month, and
//! `IdentifyOffers`. The two builds are measured in turns in one run. Each has its own database with the same content. The
//! result is the median of the ratios.
//!
//! `cargo bench --bench versions -- --against PATH`, where PATH is the release binary of the other build. Prints one JSON line
//! per figure on standard output, and everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
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
use support::{Client, PROGRAMME, TSIO, connect_clients, fixture_data, median, sqlite_url};
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

/// The number of schools, each with one offer. There are enough of them that two callers never use the same offer at the same
/// time.
const SCHOOLS: u32 = 5_000;
/// The number of connections that the callers share, as in a few client processes.
const CONNECTIONS: usize = 4;
/// The number of different offers that are read.
const OFFERS_TO_READ: usize = 500;

/// The arguments of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// The release binary of the other build.
    #[arg(long)]
    against: PathBuf,
    /// The number of windows of each build, for each figure.
    #[arg(long, default_value_t = 10)]
    windows: usize,
    /// The length of one window in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Measure awards on PostgreSQL too.
    #[arg(long)]
    postgres: bool,
    /// The flag that `cargo bench` adds; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A build with its database.
struct Build<'a> {
    program: &'a Path,
    database: String,
}

/// A running server of one build, with accepted offers and a fund that has money.
struct Running {
    server: Server,
    clients: Vec<Client>,
    /// The offers to make awards under.
    offers: Arc<Offers>,
    /// The ids of the offers to read.
    ids_to_read: Arc<Vec<String>>,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let programs = [Path::new(TSIO), args.against.as_path()];
    let directory = tempfile::tempdir().expect("a temporary folder");
    let builds = [("this", programs[0]), ("other", programs[1])]
        .map(|(name, program)| Build { program, database: sqlite_url(&directory.path().join(format!("{name}.db"))) });
    let running = start(&builds).await;
    measure_awards(&args, "sqlite", &running).await;
    measure_reads(&args, "get_offer_by_name", &running, NAMED).await;
    let ids = running.map(|it| {
        it.server.stop();
        it.ids_to_read
    });
    measure_reads_by_token(&args, directory.path(), &builds, ids).await;
    measure_imports(&args, directory.path(), programs).await;
    if args.postgres {
        let cluster = Cluster::start();
        let builds = [("this", programs[0]), ("other", programs[1])].map(|(name, program)| {
            cluster.create_database(name, "template1");
            Build { program, database: cluster.url(name) }
        });
        measure_awards(&args, "postgres", &start(&builds).await).await;
    }
}

/// Starts a server on each database, which is empty, and makes its offers.
async fn start(builds: &[Build<'_>; 2]) -> [Running; 2] {
    let [this, other] = builds;
    [Running::start(this).await, Running::start(other).await]
}

impl Running {
    async fn start(build: &Build<'_>) -> Self {
        let server = Server::start(build.program, &build.database, DEVELOPMENT);
        let clients = connect_clients(&server.url, CONNECTIONS).await;
        eprintln!("{}: {SCHOOLS} offers are made, contacted and accepted", build.database);
        let ids = money::prepare(&clients, SCHOOLS).await;
        let ids_to_read = Arc::new(ids[..OFFERS_TO_READ].to_vec());
        Self { server, clients, offers: Offers::new(ids), ids_to_read }
    }
}

/// Measures how many awards of one pound per second are made from one fund.
async fn measure_awards(args: &Args, database: &str, running: &[Running; 2]) {
    for callers in [1, CALLERS] {
        let rates = by_turns(args.windows, async |index| {
            let Running { clients, offers, .. } = &running[index];
            let clients = &clients[..callers.min(CONNECTIONS)];
            window(callers, args.window(), |caller| money::award_one_pound(clients, caller, offers)).await.rate
        });
        report(&format!("awards_{database}"), callers, "per_s", &rates.await, |this, other| this / other);
    }
}

/// Measures how many offers per second are read, by callers with this metadata.
async fn measure_reads(args: &Args, figure: &str, running: &[Running; 2], metadata: &[(&'static str, &str)]) {
    let rates = by_turns(args.windows, async |index| {
        reading::get_offers(&running[index].server.url, args.window(), metadata, &running[index].ids_to_read).await
    });
    report(figure, CALLERS, "per_s", &rates.await, |this, other| this / other);
}

/// Measures how many offers per second are read by callers with a token. The servers use the existing databases.
async fn measure_reads_by_token(args: &Args, directory: &Path, builds: &[Build<'_>; 2], ids: [Arc<Vec<String>>; 2]) {
    let (config, token) = reading::write_token_settings(directory);
    let servers = builds.each_ref().map(|it| Server::start(it.program, &it.database, &["--config", &config]));
    let bearer = format!("Bearer {token}");
    let token_metadata: &[(&str, &str)] = &[("authorization", &bearer)];
    let rates = by_turns(args.windows, async |index| {
        reading::get_offers(&servers[index].url, args.window(), token_metadata, &ids[index]).await
    });
    report("get_offer_by_token", CALLERS, "per_s", &rates.await, |this, other| this / other);
    servers.into_iter().for_each(Server::stop);
}

/// Measures the seconds of an import, from the first byte to the commit, each time on a new database. Measures also the
/// seconds of the `IdentifyOffers` that follows.
async fn measure_imports(args: &Args, directory: &Path, programs: [&Path; 2]) {
    let (month, mut import_count) = (fixture_data::month(), 0);
    let mut identify_seconds = [Vec::new(), Vec::new()];
    let import_seconds = by_turns(args.windows, async |index| {
        import_count += 1;
        let server = Server::start(
            programs[index],
            &sqlite_url(&directory.join(format!("import{import_count}.db"))),
            DEVELOPMENT,
        );
        let client = connect_clients(&server.url, 1).await.remove(0);
        client.import_register(fixture_data::membership(), "2022-03-31").await;
        let begin = Instant::now();
        client.import_ofsted(month.clone(), "2021-08-31").await;
        let import_time = begin.elapsed();
        let begin = Instant::now();
        assert!(client.identify(PROGRAMME).await > 0, "no school was eligible");
        identify_seconds[index].push(begin.elapsed().as_secs_f64());
        server.stop();
        import_time.as_secs_f64()
    })
    .await;
    report("import_month", 1, "s", &import_seconds, |this, other| other / this);
    // The first value of each build is of the warm-up, which does not count.
    report("identify", 1, "s", &identify_seconds.map(|it| it[1..].to_vec()), |this, other| other / this);
}

/// Measures the two builds in turns, after one measurement of each that does not count. `measure` gets the index of the build.
/// The build that was second in a turn is first in the next one. Returns the values of each build.
async fn by_turns(turns: usize, mut measure: impl AsyncFnMut(usize) -> f64) -> [Vec<f64>; 2] {
    for index in [0, 1] {
        measure(index).await;
    }
    let mut measured = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        for index in [turn % 2, (turn + 1) % 2] {
            measured[index].push(measure(index).await);
        }
    }
    measured
}

/// Prints a figure. `ratio` computes a ratio from the value of this build and the value of the other; it is above 1 if this
/// build is faster.
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
