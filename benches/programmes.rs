//! Compares awards in sixteen programmes at the same time with awards in one programme, on one PostgreSQL database whose commits wait
//! for a standby that is some milliseconds away. Each programme has two callers. The two ways take turns.
//!
//! `cargo bench --bench programmes`; options: `--programmes 16`, `--callers 2`, `--round-trip-ms 5`, `--seconds 3`, `--windows 5`.
//! Prints one JSON line.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench measures time, prints, and stops at the first unexpected result"
)]

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde_json::json;
use support::money::{self, Offers};
use support::window::{Window, percentile, window};
use support::{Client, PROGRAMME, connect_clients, median, serve};
use tsio_test_support::cluster::Cluster;
use tsio_test_support::delayed_link;

/// The number of schools, each with one offer in each programme.
const SCHOOLS: u32 = 200;
/// The number of connections that all callers share.
const CONNECTIONS: usize = 4;
const DATABASE: &str = "tsio";
/// The year in which the newest programme begins.
const NEWEST: u32 = 2017;
/// The terms of the programmes, but for the years.
const TERMS: &str = include_str!("../terms/2021-22.toml");

/// The arguments of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// The number of programmes.
    #[arg(long, default_value_t = 16)]
    programmes: u32,
    /// The number of callers of each programme.
    #[arg(long, default_value_t = 2)]
    callers: usize,
    /// The time in milliseconds that a message to the standby and its answer take.
    #[arg(long, default_value_t = 5.0)]
    round_trip_ms: f64,
    /// The length of one window in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The number of windows of each way.
    #[arg(long, default_value_t = 5)]
    windows: usize,
    /// The flag that `cargo bench` adds; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let length = Duration::from_secs_f64(args.seconds);
    let cluster = Cluster::start();
    cluster.create_database(DATABASE, "template1");
    let server = serve(&cluster.url(DATABASE));
    let clients = connect_clients(&server.url, CONNECTIONS).await;
    eprintln!("{} programmes of {SCHOOLS} offers are made", args.programmes);
    let programmes = prepare(&clients, args.programmes).await;
    let round_trip = Duration::from_secs_f64(args.round_trip_ms / 1_000.0);
    let _standby = cluster.start_standby(delayed_link::start(cluster.port(), round_trip / 2));
    run(&clients, &programmes, args.callers, length).await;
    let (mut alone, mut together, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.windows {
        let one = run(&clients, &programmes[..1], args.callers, length).await;
        let all = run(&clients, &programmes, args.callers, length).await;
        eprintln!("  one programme {:.0}/s, {} programmes {:.0}/s", one.rate, args.programmes, all.rate);
        alone.push(one.rate);
        together.push(all.rate);
        took.extend(all.took);
    }
    took.sort_unstable();
    let ratios = together.iter().zip(&alone).map(|(together, alone)| together / alone);
    support::print(json!({
        "programmes": args.programmes,
        "callers_each": args.callers,
        "round_trip_ms": args.round_trip_ms,
        "one_programme_per_s": median(alone.iter().copied()),
        "all_programmes_per_s": median(together.iter().copied()),
        "ratio": median(ratios),
        "p50_ms": percentile(&took, 50),
        "p99_ms": percentile(&took, 99),
    }));
}

/// Makes the offers and the fund of each programme. The programmes begin in different years and all last until the end of
/// [`PROGRAMME`], so that the same dates are valid in all of them. Each school is judged after the newest one has begun.
async fn prepare(clients: &[Client], count: u32) -> Vec<Arc<Offers>> {
    money::import_schools(&clients[0], SCHOOLS).await;
    let mut offers = Vec::new();
    for year in (0..count).map(|index| NEWEST - index) {
        let programme = format!("{year}-{:02}", (year + 1) % 100);
        let renamed = TERMS.replace(&format!("programme = \"{PROGRAMME}\""), &format!("programme = \"{programme}\""));
        clients[0].load_terms(&programme, renamed.replace("= 2021-09-01", &format!("= {year}-09-01"))).await;
        offers.push(Offers::new(money::prepare_programme(clients, &programme, SCHOOLS).await));
    }
    offers
}

/// Measures one window of awards in these programmes.
async fn run(clients: &[Client], programmes: &[Arc<Offers>], callers: usize, length: Duration) -> Window {
    let operation = |caller: usize| money::award_one_pound(clients, caller, &programmes[caller % programmes.len()]);
    window(callers * programmes.len(), length, operation).await
}
