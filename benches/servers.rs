//! Compares two servers on one PostgreSQL database with one server: awards of one pound from one fund of one programme. The same number
//! of callers is divided between the two servers. The two ways take turns.
//!
//! `cargo bench --bench servers`; options: `--clients 64`, `--seconds 3`, `--windows 5`. Prints one JSON line.
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
use support::{Client, connect_clients, median, serve};
use tsio_test_support::cluster::Cluster;

/// The number of schools, each with one offer.
const SCHOOLS: u32 = 20_000;
/// The number of connections that the callers of a server share.
const CONNECTIONS: usize = 4;
const DATABASE: &str = "tsio";

/// The arguments of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// The number of callers of all servers together.
    #[arg(long, default_value_t = 64)]
    clients: usize,
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
    let (length, half) = (Duration::from_secs_f64(args.seconds), args.clients / 2);
    let cluster = Cluster::start();
    cluster.create_database(DATABASE, "template1");
    let servers = [serve(&cluster.url(DATABASE)), serve(&cluster.url(DATABASE))];
    let one = connect_clients(&servers[0].url, CONNECTIONS).await;
    let other = connect_clients(&servers[1].url, CONNECTIONS).await;
    eprintln!("{SCHOOLS} offers are made, contacted and accepted");
    let offers = Offers::new(money::prepare(&one, SCHOOLS).await);
    run(&one, args.clients, length, &offers).await;
    let (mut alone, mut together, mut took) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..args.windows {
        let window = run(&one, args.clients, length, &offers).await;
        eprintln!("  one server {:.0}/s", window.rate);
        alone.push(window.rate);
        let windows = tokio::join!(run(&one, half, length, &offers), run(&other, half, length, &offers));
        eprintln!("  two servers {:.0}/s and {:.0}/s", windows.0.rate, windows.1.rate);
        together.push(windows.0.rate + windows.1.rate);
        took[0].extend(windows.0.took);
        took[1].extend(windows.1.took);
    }
    took.iter_mut().for_each(|it| it.sort_unstable());
    let [p99, other_p99] = took.each_ref().map(|it| percentile(it, 99));
    let ratios = together.iter().zip(&alone).map(|(together, alone)| together / alone);
    support::print(json!({
        "clients": args.clients,
        "one_server_per_s": median(alone.iter().copied()),
        "two_servers_per_s": median(together.iter().copied()),
        "ratio": median(ratios),
        "p50_ms": [percentile(&took[0], 50), percentile(&took[1], 50)],
        "p99_ms": [p99, other_p99],
        "p99_ratio": p99.max(other_p99) / p99.min(other_p99),
    }));
}

/// Measures one window of awards by callers of one server.
async fn run(clients: &[Client], callers: usize, length: Duration, offers: &Arc<Offers>) -> Window {
    window(callers, length, |caller| money::award_one_pound(clients, caller, offers)).await
}
