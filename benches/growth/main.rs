//! What a long record costs: the rate of awards on a ledger of 1,000 entries and on one of 2,000,000, in turns; and
//! `tsio verify` of the long one, beside a bare stream of the rows that it reads.
//!
//! `cargo bench --bench growth [-- OPTIONS]`; docs/reference/benchmarks.md says what is measured and how to read it. Prints JSON
//! lines on standard output, everything else on standard error.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first surprise"
)]

mod place;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use place::Place;
use support::money::{self, Offers, at_once};
use support::window::window;
use support::{Client, client, median, serve};
use tsio_test_support::child_process::ChildProcess;
use tsio_test_support::server::peak_kib;

/// Entries of the short ledger; the awards that the long one draws on make most of them.
const SMALL: u32 = 1_000;
/// Entries at which memory is looked at, beside the end.
const EARLY: u32 = 100_000;
/// Schools, and so offers: more than a year has.
const SCHOOLS: u32 = 20_000;
/// Offers with an award in the short ledger: three entries each, and few enough for [`SMALL`].
const DRAWN_ON: usize = 300;
/// Offers that get one for the long ledger too: a draw reads the events of its offer, so no award has thousands of draws.
const DRAWN_ON_LATER: usize = 15_700;
/// What is awarded under each of them in pence, all that the cap allows; drawn on by the penny.
const CAP: i64 = 1_000_000;
/// Entries that a draw makes: one on the cap, one on the fund.
const PER_DRAW: u32 = 2;
/// Callers of a window.
const CALLERS: usize = 64;
/// Connections they share.
const CONNECTIONS: usize = 4;
/// How long each window's server has worked before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Turns of `verify` and the bare stream.
const TURNS: usize = 3;
/// How often memory is looked at while `verify` runs.
const LOOK: Duration = Duration::from_millis(5);

/// What to measure.
#[derive(Debug, Parser)]
struct Args {
    /// On which database; both unless given.
    #[arg(long)]
    database: Option<Kind>,
    /// Entries of the long ledger.
    #[arg(long, default_value_t = 2_000_000)]
    entries: u32,
    /// Seconds of one window.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Windows on each ledger.
    #[arg(long, default_value_t = 10)]
    windows: usize,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Postgres,
    Sqlite,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    if args.database != Some(Kind::Sqlite) {
        run(&args, &Place::postgres()).await;
    }
    if args.database != Some(Kind::Postgres) {
        run(&args, &Place::sqlite()).await;
    }
}

async fn run(args: &Args, place: &Place) {
    place.make("small_base");
    let server = serve(&place.url("small_base"));
    let clients = client(&server.url, CONNECTIONS).await;
    eprintln!("{}: {SCHOOLS} offers are made, contacted and accepted", place.name());
    let mut offers = money::prepare(&clients, SCHOOLS).await;
    let mut awards = drawable(&clients, offers.drain(..DRAWN_ON)).await;
    grow(place, "small_base", &clients, &awards, SMALL).await;
    server.stop();
    place.copy("small_base", "large");
    let server = serve(&place.url("large"));
    let clients = client(&server.url, CONNECTIONS).await;
    awards.extend(drawable(&clients, offers.drain(..DRAWN_ON_LATER)).await);
    let mut looked_at = vec![EARLY.min(args.entries), args.entries];
    looked_at.dedup();
    for entries in looked_at {
        grow(place, "large", &clients, &awards, entries).await;
        verify(place, "large").await;
    }
    server.stop();
    rates(args, place, &Offers::new(offers)).await;
}

/// Awards all that the cap allows under each of these offers, and starts it; answers the awards.
async fn drawable(clients: &[Client], offers: impl Iterator<Item = String>) -> Vec<String> {
    let made = at_once(clients, offers, |client, offer| async move {
        let award = client.award(offer.clone(), CAP).await;
        client.start(offer).await;
        award
    });
    made.await
}

/// Draws a penny after the other until the ledger has so many entries.
async fn grow(place: &Place, database: &str, clients: &[Client], awards: &[String], entries: u32) {
    let draws = entries.saturating_sub(place.entries(database)).div_ceil(PER_DRAW);
    eprintln!("{}: {draws} draws, for {entries} entries", place.name());
    let begin = Instant::now();
    let drawn = awards.iter().cycle().take(usize::try_from(draws).expect("it fits")).cloned();
    at_once(clients, drawn, |client, award| async move { client.draw(award, 1).await }).await;
    let now = place.entries(database);
    assert!(now >= entries, "{now} entries after {draws} draws");
    eprintln!("{}: {now} entries after {:.1?}", place.name(), begin.elapsed());
}

/// Awards of one pound by many callers on the short and on the long ledger, in turns.
async fn rates(args: &Args, place: &Place, offers: &Arc<Offers>) {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let length = Duration::from_secs_f64(args.seconds);
    for turn in 0..args.windows {
        // The short one stays short: each window has a fresh copy. Who goes first changes from turn to turn.
        place.copy("small_base", "small");
        for small_goes in [turn.is_multiple_of(2), !turn.is_multiple_of(2)] {
            let (database, seen) = if small_goes { ("small", &mut small) } else { ("large", &mut large) };
            let rate = rate(place, database, offers, length).await;
            eprintln!("{}: {database} {rate:.0}/s", place.name());
            seen.push(rate);
        }
    }
    let mut ratios: Vec<f64> = large.iter().zip(&small).map(|(large, small)| large / small).collect();
    ratios.sort_by(f64::total_cmp);
    let (small, large) = (median(small.into_iter()), median(large.into_iter()));
    support::print(serde_json::json!({
        "database": place.name(),
        "small_per_s": small,
        "large_per_s": large,
        "ratio": large / small,
        "ratio_min": ratios.first(),
        "ratio_max": ratios.last(),
        "small_entries": place.entries("small_base"),
        "large_entries": place.entries("large"),
    }));
}

/// One window, on a server just started and warmed up.
async fn rate(place: &Place, database: &str, offers: &Arc<Offers>, length: Duration) -> f64 {
    let server = serve(&place.url(database));
    let clients = client(&server.url, CONNECTIONS).await;
    window(CALLERS, WARM_UP, |caller| money::one_pound(&clients, caller, offers)).await;
    let seen = window(CALLERS, length, |caller| money::one_pound(&clients, caller, offers)).await;
    server.stop();
    seen.rate
}

/// `tsio verify` beside a bare ordered stream of the same rows, in turns.
async fn verify(place: &Place, database: &str) {
    let entries = place.entries(database);
    let (mut ours, mut bare, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        bare.push(f64::from(entries) / place.stream(database).await.as_secs_f64());
        let (took, kib) = verified(&place.url(database)).await;
        ours.push(f64::from(entries) / took.as_secs_f64());
        peak = peak.max(kib);
    }
    let (ours, bare) = (median(ours.into_iter()), median(bare.into_iter()));
    support::print(serde_json::json!({
        "database": place.name(),
        "entries": entries,
        "verify_entries_per_s": ours,
        "bare_entries_per_s": bare,
        "ratio": ours / bare,
        "peak_mib": peak / 1024,
    }));
}

/// How long the verifier took, and the most memory it had resident in KiB.
async fn verified(url: &str) -> (Duration, u64) {
    let begin = Instant::now();
    let mut command = Command::new(support::TSIO);
    command.args(["verify", "--output", "json", "--database", url]).stdout(Stdio::null());
    let mut process = ChildProcess::start(&mut command, "KILL");
    let id = process.id();
    let mut ended = tokio::task::spawn_blocking(move || (process.wait(), begin.elapsed()));
    let mut peak = 0;
    loop {
        peak = peak.max(peak_kib(id).unwrap_or_default());
        if let Ok(ended) = tokio::time::timeout(LOOK, &mut ended).await {
            let (status, took) = ended.expect("waiting does not panic");
            assert!(status.success(), "verify ended with {status}");
            return (took, peak);
        }
    }
}
