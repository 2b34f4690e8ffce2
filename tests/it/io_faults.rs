//! Fails each system call that changes SQLite's files, one at a time in a scenario, and checks that no acknowledged
//! change is lost.
//!
//! The server runs with `io_faults/shim.c` before the C library. At each point the n-th call of the scenario fails,
//! alone or with calls after it. Then the server is killed or stopped, and started again. All changes that it
//! acknowledged must be recorded. The tests take every 25th point; `TSIO_FAULT_STRIDE=1` takes all points.

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
/// How long compiling the shim may take.
const MAX_COMPILATION: Duration = Duration::from_secs(60);
/// How many system calls lie between two tested points, unless `TSIO_FAULT_STRIDE` sets another number.
const STRIDE: u64 = 25;
/// How long a sweep over all points may take.
const MAX_SWEEP: Duration = Duration::from_secs(4 * 3_600);
/// The error number for a full disk.
const ENOSPC: u64 = 28;
/// The error number for a failing disk.
const EIO: u64 = 5;
/// The error number for a file system that is read-only.
const EROFS: u64 = 30;
/// How long a change of health may take. The server checks its readiness every 2 s.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The fields of the control file, in the order of `shim.c`. Each takes 8 bytes.
const COUNT: u64 = 0;
const FIRST_FAILING: u64 = 1;
const LAST_FAILING: u64 = 2;
const ERROR: u64 = 3;
const PARTIAL: u64 = 4;

/// How calls fail.
#[derive(Debug, Clone, Copy)]
struct Fault {
    error: u64,
    /// How many calls in a row fail.
    times: u64,
    /// Whether half of the bytes are written first.
    partial: bool,
}

/// The control file that is shared with the shim; `shim.c` describes its fields.
pub(crate) struct Control {
    file: File,
    folder: TempDir,
}

impl Control {
    /// Makes a control file that makes no call fail.
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("tsio-it-faults-").unwrap();
        let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).clone();
        let file = open.open(folder.path().join("control")).unwrap();
        file.set_len(40).unwrap();
        Self { file, folder }
    }

    fn put(&self, field: u64, number: u64) {
        self.file.write_all_at(&number.to_ne_bytes(), field * 8).unwrap();
    }

    /// How many system calls have been counted since the last [`Self::fail_from`].
    fn calls(&self) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, COUNT * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// Restarts the count, and makes calls fail from the `first` one on.
    fn fail_from(&self, first: u64, fault: Fault) {
        self.put(FIRST_FAILING, 0);
        self.put(COUNT, 0);
        self.put(LAST_FAILING, first.saturating_add(fault.times - 1));
        self.put(ERROR, fault.error);
        self.put(PARTIAL, fault.partial.into());
        self.put(FIRST_FAILING, first);
    }

    /// Makes no further call fail.
    pub(crate) fn fail_none(&self) {
        self.put(FIRST_FAILING, 0);
    }

    /// Starts a server whose calls on the files of its database may fail.
    fn start_server(&self, db: &Db) -> Server {
        let database = db.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc").to_owned();
        let environment = self.environment(Path::new(&database).parent().unwrap(), "");
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Server::start_in(db, &environment)
    }

    /// The environment variables of a process whose calls on files below `part` of this folder may fail.
    pub(crate) fn environment(&self, folder: &Path, part: &str) -> [(&'static str, String); 3] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [
            ("LD_PRELOAD", text(shim())),
            ("TSIO_FAULT_FOLDER", text(folder.canonicalize().unwrap().join(part))),
            ("TSIO_FAULT_CONTROL", text(self.folder.path().join("control"))),
        ]
    }

    /// Simulates a full disk from now on.
    pub(crate) fn fill(&self) {
        self.fail_from(1, Fault { error: ENOSPC, times: u64::MAX, partial: false });
    }
}

/// The path of the shim as a library. The first process of a test run compiles it.
fn shim() -> PathBuf {
    let directory = directory("it-io-faults");
    let lock = lock_file(&directory.join("lock"));
    lock.lock().unwrap();
    let (library, compiled_source) = (directory.join("shim.so"), directory.join("shim.c"));
    let source = fs::read(SHIM).unwrap();
    if !library.exists() || fs::read(&compiled_source).ok() != Some(source.clone()) {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library).args([SHIM, "-ldl"]);
        output_of(&mut cc, MAX_COMPILATION);
        fs::write(compiled_source, source).unwrap();
    }
    library
}

/// How many system calls lie between two tested points.
pub(crate) fn stride() -> u64 {
    setting("TSIO_FAULT_STRIDE").unwrap_or(STRIDE)
}

/// One database with its server and workload.
struct Sweep {
    db: Db,
    control: Control,
    server: Server,
    workload: Workload,
}

impl Sweep {
    async fn start() -> Self {
        let (db, control) = (Db::sqlite(), Control::new());
        let server = control.start_server(&db);
        let workload = Workload::prepare(&Client::of(&server).await).await;
        Self { db, control, server, workload }
    }

    /// Runs the scenario with a fault at its `first` call. Returns whether the scenario makes that many calls, and the
    /// problem if there was one.
    async fn run_with_fault(&mut self, first: u64, fault: Fault) -> (bool, Result<(), String>) {
        let client = Client::of(&self.server).await;
        self.control.fail_from(first, fault);
        let outcome = self.workload.run(&client).await;
        let reached = self.control.calls() >= first;
        self.control.fail_none();
        let outcome = match outcome {
            Ok(()) => self.check_after_restart(first).await,
            problem => problem,
        };
        (reached, outcome)
    }

    /// Stops the server if `first` is even, else kills it. Starts it again, and checks all that it has answered.
    async fn check_after_restart(&mut self, first: u64) -> Result<(), String> {
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

/// Runs the scenario with this fault at each tested point. Panics if an acknowledged change is lost at any point.
async fn sweep(fault: Fault) {
    let (mut sweep, mut failed, mut first) = (Sweep::start().await, Vec::new(), stride());
    loop {
        let (reached, outcome) = sweep.run_with_fault(first, fault).await;
        if let Err(problem) = outcome {
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
    run_within(MAX_SWEEP, sweep(Fault { error: ENOSPC, times: 1, partial: false }));
}

#[test]
fn one_call_fails_after_half_of_its_bytes() {
    run_within(MAX_SWEEP, sweep(Fault { error: EIO, times: 1, partial: true }));
}

#[test]
fn a_dozen_calls_find_the_disk_full() {
    run_within(MAX_SWEEP, sweep(Fault { error: ENOSPC, times: 12, partial: true }));
}

/// Makes all calls fail with an error. Changes then fail with the expected reason, health is NOT_SERVING, and reads
/// succeed. When calls succeed again, the server recovers by itself.
async fn check_lasting_fault(error: u64, expected: &str) {
    let (db, control) = (Db::sqlite(), Control::new());
    let mut server = control.start_server(&db);
    let client = Client::of(&server).await;
    let mut workload = Workload::prepare(&client).await;
    let offer = client.list(crate::client::YEAR).await.remove(0).offer;
    control.fail_from(1, Fault { error, times: u64::MAX, partial: false });
    let ids = [fresh(), fresh()];
    for id in &ids {
        let status = client.note(&offer, "while it lasts", id).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unavailable, expected), "{status:?}");
    }
    wait_for_health(&client, ServingStatus::NotServing).await;
    assert_eq!(client.offer(&offer).await.offer, offer, "reads succeed during the fault");
    control.fail_none();
    wait_for_health(&client, ServingStatus::Serving).await;
    client.note(&offer, "while it lasts", &ids[0]).await.unwrap();
    workload.run(&client).await.unwrap();
    server.kill();
    server.restart();
    let client = Client::of(&server).await;
    workload.check(&client, &db).await.unwrap();
    assert_eq!(client.times_recorded(&offer, &ids[0]).await, 1);
    assert_eq!(client.times_recorded(&offer, &ids[1]).await, 0, "a failed call that was not repeated was carried out");
}

/// Waits until health has the expected status.
pub(crate) async fn wait_for_health(client: &Client, expected: ServingStatus) {
    let mut health = HealthClient::new(client.channel());
    let mut states = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let until = async { while states.message().await.unwrap().unwrap().status() != expected {} };
    tokio::time::timeout(MAX_WAIT, until).await.unwrap_or_else(|_| panic!("health does not become {expected:?}"));
}

#[test]
fn a_full_disk_is_reported_and_recovered_from() {
    run(check_lasting_fault(ENOSPC, "STORAGE_FULL"));
}

#[test]
fn a_failing_disk_is_reported_and_recovered_from() {
    run(check_lasting_fault(EIO, "DATABASE_AWAY"));
}

#[test]
fn a_disk_remounted_read_only_is_reported_and_recovered_from() {
    run(check_lasting_fault(EROFS, "DATABASE_AWAY"));
}
