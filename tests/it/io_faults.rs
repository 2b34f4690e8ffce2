//! Every call that changes SQLite's files fails once, at every place of a scenario, and what was promised is kept.
//!
//! The server runs with `io_faults/shim.c` before the C library. A point is one place: the scenario's n-th call fails, alone
//! or with those after it. Then the server is killed or stopped, started again, and held to all that it answered. Every 25th
//! point is part of the tests; `TSIO_FAULT_STRIDE=1` takes each.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::{Client, fresh, reason};
use crate::harness::{Db, Server, directory, lock_file, output_of, run, run_within, setting};
use crate::workload::Workload;

const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/io_faults/shim.c");
const COMPILED: Duration = Duration::from_secs(60);
/// Places from one point to the next, unless `TSIO_FAULT_STRIDE` says another number.
const STRIDE: u64 = 25;
/// A full sweep takes as long as it takes.
const SWEEP: Duration = Duration::from_secs(4 * 3_600);
const ENOSPC: u64 = 28;
const EIO: u64 = 5;
const EROFS: u64 = 30;
/// Readiness is asked every 2 s.
const NOTICED: Duration = Duration::from_secs(20);

/// How calls fail.
#[derive(Debug, Clone, Copy)]
struct Fault {
    error: u64,
    /// So many in a row.
    times: u64,
    /// Whether half of the bytes are written first.
    partial: bool,
}

/// What the shim counts and is told; see there.
pub(crate) struct Control {
    file: File,
    folder: TempDir,
}

impl Control {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("tsio-it-faults-").unwrap();
        let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).clone();
        let file = open.open(folder.path().join("control")).unwrap();
        file.set_len(40).unwrap();
        Self { file, folder }
    }

    fn put(&self, place: u64, number: u64) {
        self.file.write_all_at(&number.to_ne_bytes(), place * 8).unwrap();
    }

    fn calls(&self) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, 0).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// Counts again, and has calls fail from this one on.
    fn fail_from(&self, first: u64, fault: Fault) {
        self.put(1, 0);
        self.put(0, 0);
        self.put(2, first.saturating_add(fault.times - 1));
        self.put(3, fault.error);
        self.put(4, fault.partial.into());
        self.put(1, first);
    }

    pub(crate) fn fail_none(&self) {
        self.put(1, 0);
    }

    fn server(&self, db: &Db) -> Server {
        let database = db.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc").to_owned();
        let environment = self.environment(Path::new(&database).parent().unwrap(), "");
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Server::start_in(db, &environment)
    }

    /// What a process needs to be told what becomes of files below this part of a folder.
    pub(crate) fn environment(&self, folder: &Path, part: &str) -> [(&'static str, String); 3] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(shim())),
            ("TSIO_FAULT_FOLDER", text(folder.canonicalize().unwrap().join(part))),
            ("TSIO_FAULT_CONTROL", text(self.folder.path().join("control"))),
        ]
    }

    /// From here on the disk is full.
    pub(crate) fn fill(&self) {
        self.fail_from(1, Fault { error: ENOSPC, times: u64::MAX, partial: false });
    }
}

/// The shim as a library, compiled once.
fn shim() -> PathBuf {
    let directory = directory("it-io-faults");
    let lock = lock_file(&directory.join("lock"));
    lock.lock().unwrap();
    let (made, made_of) = (directory.join("shim.so"), directory.join("shim.c"));
    let source = fs::read(SHIM).unwrap();
    if !made.exists() || fs::read(&made_of).ok() != Some(source.clone()) {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&made).args([SHIM, "-ldl"]);
        output_of(&mut cc, COMPILED);
        fs::write(made_of, source).unwrap();
    }
    made
}

/// Places from one point of a sweep to the next.
pub(crate) fn stride() -> u64 {
    setting("TSIO_FAULT_STRIDE").unwrap_or(STRIDE)
}

/// One database under one server, and where the sweep has come to.
struct Sweep {
    db: Db,
    control: Control,
    server: Server,
    workload: Workload,
}

impl Sweep {
    async fn start() -> Self {
        let (db, control) = (Db::sqlite(), Control::new());
        let server = control.server(&db);
        let workload = Workload::prepare(&Client::of(&server).await).await;
        Self { db, control, server, workload }
    }

    /// The scenario with a fault at this place; whether it makes so many calls, and what was not as it should be.
    async fn point(&mut self, first: u64, fault: Fault) -> (bool, Result<(), String>) {
        let client = Client::of(&self.server).await;
        self.control.fail_from(first, fault);
        let done = self.workload.run(&client).await;
        let reached = self.control.calls() >= first;
        self.control.fail_none();
        let done = match done {
            Ok(()) => self.hold_to_answers(first).await,
            problem => problem,
        };
        (reached, done)
    }

    /// Ends the server, one way or the other, and starts it again: what it has answered must be there.
    async fn hold_to_answers(&mut self, first: u64) -> Result<(), String> {
        if first.is_multiple_of(2) {
            let ended = self.server.end();
            if !ended.status.success() {
                return Err(format!("ended with {}: {}", ended.status, ended.stderr));
            }
        }
        self.server.restart();
        self.workload.check(&Client::of(&self.server).await, &self.db).await
    }
}

async fn sweep(fault: Fault) {
    let (mut sweep, mut failed, mut first) = (Sweep::start().await, Vec::new(), stride());
    loop {
        let (reached, done) = sweep.point(first, fault).await;
        if let Err(problem) = done {
            eprintln!("--- call {first}: {problem}");
            failed.push(first);
            sweep = Sweep::start().await;
        }
        if !reached {
            break;
        }
        first += stride();
    }
    let points = first / stride() - 1;
    eprintln!("--- {fault:?}: {points} points, {} failed", failed.len());
    assert!(points > 0 && failed.is_empty(), "{} of {points} points failed: {failed:?}", failed.len());
}

#[test]
fn one_call_finds_the_disk_full() {
    run_within(SWEEP, sweep(Fault { error: ENOSPC, times: 1, partial: false }));
}

#[test]
fn one_call_fails_and_leaves_half() {
    run_within(SWEEP, sweep(Fault { error: EIO, times: 1, partial: true }));
}

#[test]
fn a_dozen_calls_find_the_disk_full() {
    run_within(SWEEP, sweep(Fault { error: ENOSPC, times: 12, partial: true }));
}

/// As long as it lasts: callers are told why, health says so, reads go on; then all goes on by itself.
async fn while_it_lasts(error: u64, expected: &str) {
    let (db, control) = (Db::sqlite(), Control::new());
    let mut server = control.server(&db);
    let client = Client::of(&server).await;
    let mut workload = Workload::prepare(&client).await;
    let offer = client.list(crate::client::YEAR).await.remove(0).offer;
    control.fail_from(1, Fault { error, times: u64::MAX, partial: false });
    let ids = [fresh(), fresh()];
    for id in &ids {
        let status = client.note(&offer, "while it lasts", id).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unavailable, expected), "{status:?}");
    }
    becomes(&client, ServingStatus::NotServing).await;
    assert_eq!(client.offer(&offer).await.offer, offer, "reads go on");
    control.fail_none();
    becomes(&client, ServingStatus::Serving).await;
    client.note(&offer, "while it lasts", &ids[0]).await.unwrap();
    workload.run(&client).await.unwrap();
    server.kill();
    server.restart();
    let client = Client::of(&server).await;
    workload.check(&client, &db).await.unwrap();
    assert_eq!(client.times(&offer, &ids[0]).await, 1);
    assert_eq!(client.times(&offer, &ids[1]).await, 0, "what was never sent again was never carried out");
}

pub(crate) async fn becomes(client: &Client, expected: ServingStatus) {
    let mut health = HealthClient::new(client.channel());
    let mut told = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let until = async { while told.message().await.unwrap().unwrap().status() != expected {} };
    tokio::time::timeout(NOTICED, until).await.unwrap_or_else(|_| panic!("health does not become {expected:?}"));
}

#[test]
fn a_full_disk_is_told_and_left_behind() {
    run(while_it_lasts(ENOSPC, "STORAGE_FULL"));
}

#[test]
fn a_disk_that_fails_is_told_and_left_behind() {
    run(while_it_lasts(EIO, "DATABASE_AWAY"));
}

#[test]
fn a_disk_mounted_anew_for_reading_is_told_and_left_behind() {
    run(while_it_lasts(EROFS, "DATABASE_AWAY"));
}
