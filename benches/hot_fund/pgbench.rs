//! Checks that the baseline is fast enough: compares it with `pgbench`, which runs the same transaction.

use std::time::Duration;

use tsio_test_support::cluster::Cluster;

use crate::postgres::{self, DATABASE, OperationKind};
use crate::support::{median, print};

/// The number of clients, each with a connection, of `pgbench` and of the baseline.
const CLIENTS: usize = 16;
/// The length of one measurement.
const WINDOW: Duration = Duration::from_secs(4);
/// The smallest ratio of the baseline to `pgbench` that is accepted.
const MIN_RATIO: f64 = 0.8;

/// Measures both in turns, and prints the result. Panics if the baseline is too slow.
pub(crate) async fn check(cluster: &Cluster, turns: usize) {
    postgres::prepare(cluster);
    let directory = tempfile::tempdir().expect("a temporary folder");
    let script = directory.path().join("by_hand.sql");
    std::fs::write(&script, postgres::script()).expect("the temporary folder is writable");
    let (mut baseline_rates, mut pgbench_rates) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        pgbench_rates.push(run_pgbench(cluster, &script));
        baseline_rates.push(postgres::run(cluster, CLIENTS, CLIENTS, OperationKind::Transaction, WINDOW).await.rate);
    }
    let ratios = baseline_rates.iter().zip(&pgbench_rates).map(|(baseline, pgbench)| baseline / pgbench);
    let ratio = median(ratios);
    print(serde_json::json!({
        "check": "baseline",
        "clients": CLIENTS,
        "handwritten_per_s": median(baseline_rates.iter().copied()),
        "pgbench_per_s": median(pgbench_rates.iter().copied()),
        "ratio": ratio,
    }));
    assert!(ratio >= MIN_RATIO, "the baseline reaches {ratio:.2} of pgbench, less than {MIN_RATIO}");
}

/// Runs `pgbench` for one window. Returns its transactions per second.
fn run_pgbench(cluster: &Cluster, script: &std::path::Path) -> f64 {
    let (clients, seconds) = (CLIENTS.to_string(), WINDOW.as_secs().to_string());
    let mut pgbench = cluster.program("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", &seconds, "-f"]).arg(script);
    pgbench.args(["-h", "127.0.0.1", "-p", &cluster.port().to_string(), "-U", "tsio", DATABASE]);
    let output = pgbench.output().expect("pgbench runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = printed.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|line| line.split(' ').next());
    tps.and_then(|tps| tps.parse().ok()).unwrap_or_else(|| {
        panic!("pgbench printed {printed}{}", String::from_utf8_lossy(&output.stderr));
    })
}
