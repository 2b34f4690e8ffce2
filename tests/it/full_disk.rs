//! The disk becomes full and is freed again, at random moments under load. No acknowledged change is lost, health
//! reports the full disk, and the server recovers by itself.
//!
//! The disk is a tmpfs if this process may mount one; otherwise the shim of `io_faults` simulates a full disk. On
//! PostgreSQL the tables are on it, but not the write-ahead log: a full log ends the whole cluster, which `kill.rs`
//! tests. `TSIO_DISK_ROUNDS` sets the number of rounds, and `TSIO_SEED` the random moments.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::client::Client;
use crate::harness::{Db, Server, run_within, setting};
use crate::io_faults::{Control, wait_for_health};
use crate::load::{Load, OnFailure, check_all_recorded};
use crate::raw_sql::verified_heads;

/// How often the disk fills up, unless `TSIO_DISK_ROUNDS` sets another number.
const ROUNDS: usize = 2;
/// After this many rounds the server is killed, and all acknowledged changes are checked.
const ROUNDS_PER_KILL: usize = 5;
/// The highest number of answers before the disk is full again.
const MAX_ANSWERS: usize = 60;
/// How long a round may take.
const MAX_ROUND: Duration = Duration::from_secs(90);
/// The size of the disk in MiB: enough for a new cluster, or for a SQLite file with its log.
const BASE_SIZE: usize = 160;
/// The size in MiB that the changes of one round need.
const SIZE_PER_ROUND: usize = 20;

/// A disk that a test can fill.
enum Disk {
    Mounted(TempDir),
    Simulated(TempDir, Control),
}

impl Disk {
    fn new(rounds: usize) -> Self {
        let folder = TempDir::with_prefix("tsio-it-disk-").unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={}m", BASE_SIZE + rounds * SIZE_PER_ROUND);
        mount.args(["-t", "tmpfs", "-o", &size, "tsio-it-disk"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|mounted| mounted.status.success());
        if mounted { Self::Mounted(folder) } else { Self::Simulated(folder, Control::new()) }
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Mounted(folder) | Self::Simulated(folder, _) => folder.path(),
        }
    }

    /// The environment of a process that writes files below `part` of the disk.
    fn environment(&self, part: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Mounted(_) => Vec::new(),
            Self::Simulated(folder, control) => control.environment(folder.path(), part).into(),
        }
    }

    fn fill(&self) {
        match self {
            Self::Mounted(folder) => {
                let mut file = File::create(folder.path().join("filler")).unwrap();
                let zeros = vec![0; 1024 * 1024];
                while file.write_all(&zeros).is_ok() {}
            }
            Self::Simulated(_, control) => control.fill(),
        }
    }

    fn free(&self) {
        match self {
            Self::Mounted(folder) => fs::remove_file(folder.path().join("filler")).unwrap(),
            Self::Simulated(_, control) => control.fail_none(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(folder) = self {
            // Lazily, because a cluster that is being stopped may still use it.
            let _ = Command::new("umount").arg("--lazy").arg(folder.path()).status();
        }
    }
}

/// Fills and frees the disk this many times under load, and checks that all acknowledged changes are recorded.
async fn fill_and_free(mut random: Rng, rounds: usize, on_postgres: bool) {
    let disk = Disk::new(rounds);
    let environment = disk.environment(if on_postgres { "data/base" } else { "" });
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (db, mut server) = if on_postgres {
        let db = Db::postgres_on(disk.folder(), &environment);
        (db.clone(), Server::start_losing_state(&db))
    } else {
        let db = Db::sqlite_in(disk.folder());
        (db.clone(), Server::start_in(&db, &environment))
    };
    let offers = Client::of(&server).await.seed().await;
    let (mut sent, mut done) = (Vec::new(), 0);
    while done < rounds {
        let client = Client::of(&server).await;
        // Two loads of eight callers each.
        let loads =
            [Load::on(&client, &offers[..9], OnFailure::Retry), Load::on(&client, &offers[9..], OnFailure::Retry)];
        for _ in 0..ROUNDS_PER_KILL.min(rounds - done) {
            loads[0].until_more(random.usize(1..=MAX_ANSWERS)).await;
            disk.fill();
            wait_for_health(&client, ServingStatus::NotServing).await;
            disk.free();
            wait_for_health(&client, ServingStatus::Serving).await;
            for load in &loads {
                load.until_more(5).await;
            }
            done += 1;
        }
        for load in loads {
            sent.extend(load.end().await);
        }
        server.kill();
        server.restart();
        verified_heads(&db);
        check_all_recorded(&Client::of(&server).await, &offers, &sent).await;
    }
    verified_heads(&db);
}

/// Runs the rounds, and prints their seed.
fn run_rounds(on_postgres: bool) {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    let rounds = setting("TSIO_DISK_ROUNDS").map_or(ROUNDS, |it| usize::try_from(it).unwrap());
    eprintln!("--- TSIO_SEED={seed}, {rounds} rounds");
    run_within(
        MAX_ROUND * u32::try_from(rounds + 1).unwrap(),
        fill_and_free(Rng::with_seed(seed), rounds, on_postgres),
    );
}

#[test]
fn a_disk_that_fills_up_loses_nothing_sqlite() {
    run_rounds(false);
}

#[test]
fn a_disk_that_fills_up_loses_nothing_postgres() {
    run_rounds(true);
}
