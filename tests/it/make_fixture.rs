//! Makes the fixture of a version. Runs its binary on an empty SQLite file and an empty PostgreSQL database, and does the
//! casework of `fixtures/casework.rs` on both. Writes the databases and the recorded calls. CONTRIBUTING.md says when to use
//! this.
//!
//! ```sh
//! cargo build && cargo run --example make-fixture                                    # for the commit that is checked out
//! cargo run --example make-fixture -- --program path/to/tsio --commit 9f9fc2a        # for a binary that was built before
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the tool stops at the first unexpected result, and prints what it made"
)]

mod fixtures {
    pub(crate) mod casework;
    pub(crate) mod complete;
    pub(crate) mod format;
    pub(crate) mod look;
    pub(crate) mod recorder;
    pub(crate) mod watch;
}
mod raw_call;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use fixtures::format::{Fixture, Head, Manifest};
use fixtures::watch::Place;
use fixtures::{casework, complete, look};
use tsio::domain::event::EventBody;
use tsio_test_support::caller::connect;
use tsio_test_support::cluster::Cluster;
use tsio_test_support::server::Server;

/// The folder of the fixtures, relative to the root of the repository.
const FIXTURES: &str = "tests/fixtures";
/// The files and folders that a binary is built from.
const SOURCES: [&str; 6] = ["src", "proto", "migrations", "terms", "Cargo.toml", "Cargo.lock"];

/// Makes the fixture of a version.
#[derive(Parser)]
struct Arguments {
    /// The binary of the version. The default is the one that `cargo build` made last.
    #[arg(long, requires = "commit")]
    program: Option<PathBuf>,
    /// The commit that the binary was built from. The default is the one that is checked out.
    #[arg(long)]
    commit: Option<String>,
    /// The folder to make. The default is the next one in tests/fixtures.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// The version that makes the fixture.
struct Version {
    program: PathBuf,
    commit: String,
}

fn main() {
    let Arguments { program, commit, to } = Arguments::parse();
    let commit = commit.unwrap_or_else(commit_checked_out);
    let to = to.unwrap_or_else(|| next_folder(&commit));
    assert!(!to.exists(), "{} exists already: a fixture is never made again", to.display());
    let program = program.unwrap_or_else(built_program);
    let version = Version { program: program.canonicalize().expect("the binary exists: run cargo build"), commit };

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tsio.db");
    let sqlite = version.fixture("sqlite", &format!("sqlite:{}", file.display()), || sqlite_contents(&file));

    let cluster = Cluster::start();
    cluster.create_database("fixture", "template1");
    let postgres = version.fixture("postgres", &cluster.url("fixture"), || postgres_contents(&cluster));

    for fixture in [sqlite, postgres] {
        let folder = to.join(&fixture.manifest.database);
        fixture.write(&folder);
        let written = Fixture::read(&folder);
        assert_eq!(written, fixture);
        println!("{}: {} stored answers, {:#?}", folder.display(), written.stored().count(), written.manifest.heads);
    }
}

/// Returns the commit that is checked out. Panics if the sources of the binary differ from it.
fn commit_checked_out() -> String {
    let changed = output(git(&["status", "--porcelain", "--"]).args(SOURCES));
    assert!(changed.is_empty(), "these sources differ from the commit; commit them first\n{changed}");
    output(&mut git(&["rev-parse", "--short=7", "HEAD"])).trim().to_owned()
}

fn git(arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments);
    git
}

/// Returns the folder of the next fixture: `tests/fixtures/02-COMMIT` if there is one fixture.
fn next_folder(commit: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURES);
    let number = std::fs::read_dir(&fixtures).map_or(0, Iterator::count) + 1;
    fixtures.join(format!("{number:02}-{commit}"))
}

/// Returns the path of the built binary: `target/debug/tsio` if this is `target/debug/examples/make-fixture`.
fn built_program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().join("tsio")
}

impl Version {
    /// Does the casework on the database at this URL, and returns its fixture. `contents` reads the kinds of the events and
    /// the bytes of the database after the server has stopped.
    fn fixture(&self, database: &str, url: &str, contents: impl FnOnce() -> (BTreeSet<String>, Vec<u8>)) -> Fixture {
        let server = Server::start(&self.program, url, &["--development"]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (calls, counts, place) = runtime.block_on(async {
            let channel = connect(&server.url).await;
            let calls = casework::carry_out(channel.clone()).await;
            (calls, look::counted(channel.clone()).await, Place::in_the_middle_of(&channel, casework::YEAR).await)
        });
        server.stop();
        let heads = self.heads(url);
        let (kinds, bytes) = contents();
        let missing = complete::missing(&kinds, &calls);
        assert!(missing.is_empty(), "the casework lacks {missing:#?}: extend tests/it/fixtures/casework");
        let manifest = Manifest {
            version: output(Command::new(&self.program).arg("--version")).trim().to_owned(),
            commit: self.commit.clone(),
            database: database.to_owned(),
            kinds: EventBody::KINDS.map(ToOwned::to_owned).to_vec(),
            heads,
            counts,
            place,
        };
        Fixture { manifest, calls, database: bytes }
    }

    /// Verifies the database, and returns the heads of its records.
    fn heads(&self, url: &str) -> Vec<Head> {
        let reports = output(Command::new(&self.program).args(["--output", "json", "verify", "--database", url]));
        Head::of_reports(&serde_json::from_str(&reports).unwrap())
    }
}

/// Returns the kinds of the events in a SQLite file, and its bytes.
fn sqlite_contents(file: &Path) -> (BTreeSet<String>, Vec<u8>) {
    let log = std::fs::metadata(file.with_extension("db-wal")).map_or(0, |metadata| metadata.len());
    assert_eq!(log, 0, "the server did not close its database: events are still in the write-ahead log");
    let database = rusqlite::Connection::open(file).unwrap();
    let mut kinds = database.prepare("SELECT DISTINCT kind FROM events").unwrap();
    let kinds = kinds.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    (kinds, std::fs::read(file).unwrap())
}

/// Returns the kinds of the events in the PostgreSQL database, and its dump.
fn postgres_contents(cluster: &Cluster) -> (BTreeSet<String>, Vec<u8>) {
    let kinds = cluster.psql("fixture", &["SELECT DISTINCT kind FROM events"]);
    let mut dump = cluster.program("pg_dump");
    let dump = output(dump.args(["--no-owner", "--no-privileges", "--dbname", &cluster.url("fixture")]));
    (kinds.lines().map(ToOwned::to_owned).collect(), for_every_postgres(&dump).into_bytes())
}

/// Removes the lines of a dump that only some versions of PostgreSQL and `psql` understand.
fn for_every_postgres(dump: &str) -> String {
    const OF_SOME_VERSIONS: [&str; 3] = ["SET transaction_timeout", "\\restrict", "\\unrestrict"];
    let kept = dump.lines().filter(|line| !OF_SOME_VERSIONS.iter().any(|it| line.starts_with(it)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Runs a command, checks that it succeeds, and returns its standard output.
fn output(command: &mut Command) -> String {
    let result = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    assert!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}
