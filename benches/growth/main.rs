//! Measures the cost of a long record.
//!
//! Compares the rate of awards on a ledger of 1,000 entries and on one of 2,000,000, in turns. Compares also `tsio verify` of the
//! long ledger with reading the same rows directly through the driver.
//!
//! `cargo bench --bench growth [-- OPTIONS]`; docs/reference/benchmarks.md explains the measurements and the results. Prints JSON
//! lines on standard output, and everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

mod databases;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use databases::Databases;
use support::money::{self, Offers, run_concurrently};
use support::window::window;
use support::{Client, connect_clients, median, serve};
use tsio_test_support::child_process::ChildProcess;
use tsio_test_support::server::peak_kib;

/// The number of entries of the short ledger. Most of them are of the awards that the draws of the long ledger use.
const SHORT_LEDGER_ENTRIES: u32 = 1_000;
/// The number of entries at which the long ledger is verified for the first time. It is verified again at its full length.
const FIRST_VERIFIED_ENTRIES: u32 = 100_000;
/// The number of schools, each with one offer: more than a year has.
const SCHOOLS: u32 = 20_000;
/// The number of offers with an award in the short ledger. An award makes three entries, so these are fewer than
/// [`SHORT_LEDGER_ENTRIES`].
const DRAWN_ON: usize = 300;
/// The number of further offers that get an award for the long ledger. A draw reads all events of its offer, so there are
/// enough awards that none has thousands of draws.
const DRAWN_ON_LATER: usize = 15_700;
/// The amount of each of these awards, in pence: all that the cap allows. Each draw takes one penny of it.
const AWARDED_PENCE: i64 = 1_000_000;
/// The number of entries that a draw makes: one for the cap, one for the fund.
const ENTRIES_PER_DRAW: u32 = 2;
/// The number of callers in a window.
const CALLERS: usize = 64;
/// The number of connections that the callers share.
const CONNECTIONS: usize = 4;
/// How long the callers run before each window, without being counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// How many times `verify`, and reading the same rows through the driver, are measured.
const TURNS: usize = 3;
/// The interval at which the memory of `verify` is measured.
const MEMORY_INTERVAL: Duration = Duration::from_millis(5);

/// The arguments of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// The database to measure [default: both].
    #[arg(long)]
    database: Option<DatabaseKind>,
    /// The number of entries of the long ledger.
    #[arg(long, default_value_t = 2_000_000)]
    entries: u32,
    /// The length of one window in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The number of windows on each ledger.
    #[arg(long, default_value_t = 10)]
    windows: usize,
    /// The flag that `cargo bench` adds; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DatabaseKind {
    Postgres,
    Sqlite,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    if args.database != Some(DatabaseKind::Sqlite) {
        run(&args, &Databases::postgres()).await;
    }
    if args.database != Some(DatabaseKind::Postgres) {
        run(&args, &Databases::sqlite()).await;
    }
}

/// Makes the short and the long ledger, verifies the long one, and measures the rate of awards on both.
async fn run(args: &Args, databases: &Databases) {
    databases.create("small_base");
    let server = serve(&databases.url("small_base"));
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    eprintln!("{}: {SCHOOLS} offers are made, contacted and accepted", databases.name());
    let mut offers = money::prepare(&clients, SCHOOLS).await;
    let mut awards = start_awards(&clients, offers.drain(..DRAWN_ON)).await;
    grow(databases, "small_base", &clients, &awards, SHORT_LEDGER_ENTRIES).await;
    server.stop();
    databases.copy("small_base", "large");
    let server = serve(&databases.url("large"));
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    awards.extend(start_awards(&clients, offers.drain(..DRAWN_ON_LATER)).await);
    let mut lengths_to_verify = vec![FIRST_VERIFIED_ENTRIES.min(args.entries), args.entries];
    lengths_to_verify.dedup();
    for entries in lengths_to_verify {
        grow(databases, "large", &clients, &awards, entries).await;
        measure_verify(databases, "large").await;
    }
    server.stop();
    measure_rates(args, databases, &Offers::new(offers)).await;
}

/// Makes an award of [`AWARDED_PENCE`] under each of these offers, and starts the offer. Returns the ids of the awards.
async fn start_awards(clients: &[Client], offers: impl Iterator<Item = String>) -> Vec<String> {
    let award_ids = run_concurrently(clients, offers, |client, offer| async move {
        let award = client.award(offer.clone(), AWARDED_PENCE).await;
        client.start(offer).await;
        award
    });
    award_ids.await
}

/// Draws single pennies until the ledger has this number of entries.
async fn grow(databases: &Databases, database: &str, clients: &[Client], awards: &[String], entries: u32) {
    let draws = entries.saturating_sub(databases.entries(database)).div_ceil(ENTRIES_PER_DRAW);
    eprintln!("{}: {draws} draws, for {entries} entries", databases.name());
    let begin = Instant::now();
    let awards_to_draw = awards.iter().cycle().take(usize::try_from(draws).expect("the number fits in usize")).cloned();
    run_concurrently(clients, awards_to_draw, |client, award| async move { client.draw(award, 1).await }).await;
    let entries_now = databases.entries(database);
    assert!(entries_now >= entries, "{entries_now} entries after {draws} draws");
    eprintln!("{}: {entries_now} entries after {:.1?}", databases.name(), begin.elapsed());
}

/// Measures the rate of awards of one pound on the short ledger (`small`) and on the long one (`large`), in turns.
async fn measure_rates(args: &Args, databases: &Databases, offers: &Arc<Offers>) {
    let (mut short_rates, mut long_rates) = (Vec::new(), Vec::new());
    let length = Duration::from_secs_f64(args.seconds);
    for turn in 0..args.windows {
        // Each window has a new copy of the short ledger, so that it stays short. Each turn begins with the other ledger.
        databases.copy("small_base", "small");
        for is_short in [turn.is_multiple_of(2), !turn.is_multiple_of(2)] {
            let (database, rates) = if is_short { ("small", &mut short_rates) } else { ("large", &mut long_rates) };
            let rate = measure_rate(databases, database, offers, length).await;
            eprintln!("{}: {database} {rate:.0}/s", databases.name());
            rates.push(rate);
        }
    }
    let mut ratios: Vec<f64> = long_rates.iter().zip(&short_rates).map(|(long, short)| long / short).collect();
    ratios.sort_by(f64::total_cmp);
    let (short_rate, long_rate) = (median(short_rates.into_iter()), median(long_rates.into_iter()));
    support::print(serde_json::json!({
        "database": databases.name(),
        "small_per_s": short_rate,
        "large_per_s": long_rate,
        "ratio": long_rate / short_rate,
        "ratio_min": ratios.first(),
        "ratio_max": ratios.last(),
        "small_entries": databases.entries("small_base"),
        "large_entries": databases.entries("large"),
    }));
}

/// Returns the rate of one window, on a new server after a warm-up.
async fn measure_rate(databases: &Databases, database: &str, offers: &Arc<Offers>, length: Duration) -> f64 {
    let server = serve(&databases.url(database));
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    window(CALLERS, WARM_UP, |caller| money::award_one_pound(&clients, caller, offers)).await;
    let measured = window(CALLERS, length, |caller| money::award_one_pound(&clients, caller, offers)).await;
    server.stop();
    measured.rate
}

/// Measures `tsio verify` against reading the same rows in the same order through the driver, in turns.
async fn measure_verify(databases: &Databases, database: &str) {
    let entries = databases.entries(database);
    let (mut verify_rates, mut bare_rates, mut peak_memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        bare_rates.push(f64::from(entries) / databases.read_rows(database).await.as_secs_f64());
        let (took, process_memory) = run_verify(&databases.url(database)).await;
        verify_rates.push(f64::from(entries) / took.as_secs_f64());
        peak_memory = peak_memory.max(process_memory);
    }
    let (verify_rate, bare_rate) = (median(verify_rates.into_iter()), median(bare_rates.into_iter()));
    support::print(serde_json::json!({
        "database": databases.name(),
        "entries": entries,
        "verify_entries_per_s": verify_rate,
        "bare_entries_per_s": bare_rate,
        "ratio": verify_rate / bare_rate,
        "peak_mib": peak_memory / 1024,
    }));
}

/// Runs `tsio verify`. Returns its time, and its largest resident memory in KiB.
async fn run_verify(url: &str) -> (Duration, u64) {
    let begin = Instant::now();
    let mut command = Command::new(support::TSIO);
    command.args(["verify", "--output", "json", "--database", url]).stdout(Stdio::null());
    let mut process = ChildProcess::start(&mut command, "KILL");
    let id = process.id();
    let mut ended = tokio::task::spawn_blocking(move || (process.wait(), begin.elapsed()));
    let mut peak = 0;
    loop {
        peak = peak.max(peak_kib(id).unwrap_or_default());
        if let Ok(ended) = tokio::time::timeout(MEMORY_INTERVAL, &mut ended).await {
            let (status, took) = ended.expect("waiting does not panic");
            assert!(status.success(), "verify ended with {status}");
            return (took, peak);
        }
    }
}
