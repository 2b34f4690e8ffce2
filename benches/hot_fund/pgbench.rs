//! Whether the baseline is as fast as it should be: the same script, run by PostgreSQL's own `pgbench`.

use std::time::Duration;

use tsio_test_support::cluster::Cluster;

use crate::postgres::{self, DATABASE, Shape};
use crate::support::{median, print};

/// Clients and connections of both.
const CLIENTS: usize = 16;
/// How long each turn takes.
const TURN: Duration = Duration::from_secs(4);
/// The least share of `pgbench` that the baseline has to reach.
const SHARE: f64 = 0.8;

/// Runs both in turns and prints what they made.
pub(crate) async fn check(cluster: &Cluster, turns: usize) {
    postgres::prepare(cluster);
    let directory = tempfile::tempdir().expect("a temporary folder");
    let script = directory.path().join("by_hand.sql");
    std::fs::write(&script, postgres::script()).expect("the folder is ours");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        theirs.push(pgbench(cluster, &script));
        ours.push(postgres::run(cluster, CLIENTS, CLIENTS, Shape::Transaction, TURN).await.rate);
    }
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
    let ratio = median(ratios);
    print(serde_json::json!({
        "check": "baseline",
        "clients": CLIENTS,
        "handwritten_per_s": median(ours.iter().copied()),
        "pgbench_per_s": median(theirs.iter().copied()),
        "ratio": ratio,
    }));
    assert!(ratio >= SHARE, "the baseline reaches {ratio:.2} of pgbench, less than {SHARE}");
}

fn pgbench(cluster: &Cluster, script: &std::path::Path) -> f64 {
    let (clients, seconds) = (CLIENTS.to_string(), TURN.as_secs().to_string());
    let mut pgbench = cluster.program("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", &seconds, "-f"]).arg(script);
    pgbench.args(["-h", "127.0.0.1", "-p", &cluster.port().to_string(), "-U", "tsio", DATABASE]);
    let done = pgbench.output().expect("pgbench runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|line| line.split(' ').next());
    tps.and_then(|tps| tps.parse().ok()).unwrap_or_else(|| {
        panic!("pgbench said {said}{}", String::from_utf8_lossy(&done.stderr));
    })
}
