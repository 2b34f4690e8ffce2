//! Makes the fixture of a version: runs its binary over an empty SQLite file and an empty PostgreSQL database, does the
//! casework of `fixtures/casework.rs` on both, and keeps the databases with the recorded calls. CONTRIBUTING.md says when.
//!
//! ```sh
//! cargo build && cargo run --example make-fixture                                    # of the commit that is checked out
//! cargo run --example make-fixture -- --program path/to/tsio --commit 9f9fc2a        # of a binary that was built before
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool that stops at the first surprise and says what it made"
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

/// Where the fixtures are, from the root of the repository.
const FIXTURES: &str = "tests/fixtures";
/// What a binary is built from.
const SOURCES: [&str; 6] = ["src", "proto", "migrations", "terms", "Cargo.toml", "Cargo.lock"];

/// Makes the fixture of a version.
#[derive(Parser)]
struct Arguments {
    /// The binary of the version; the one that `cargo build` made last when left out.
    #[arg(long, requires = "commit")]
    program: Option<PathBuf>,
    /// The commit that the binary was built from; the one that is checked out when left out.
    #[arg(long)]
    commit: Option<String>,
    /// The folder to make; the next of tests/fixtures when left out.
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
    assert!(!to.exists(), "{} is there already: a fixture is never made again", to.display());
    let program = program.unwrap_or_else(built_program);
    let version = Version { program: program.canonicalize().expect("the binary is there: cargo build"), commit };

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

/// The commit, where nothing that a binary is built from differs from it.
fn commit_checked_out() -> String {
    let changed = output(git(&["status", "--porcelain", "--"]).args(SOURCES));
    assert!(changed.is_empty(), "the binary is not of a commit: commit these first\n{changed}");
    output(&mut git(&["rev-parse", "--short=7", "HEAD"])).trim().to_owned()
}

fn git(arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments);
    git
}

/// `tests/fixtures/02-COMMIT` where there is one fixture.
fn next_folder(commit: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURES);
    let number = std::fs::read_dir(&fixtures).map_or(0, Iterator::count) + 1;
    fixtures.join(format!("{number:02}-{commit}"))
}

/// `target/debug/tsio` for `target/debug/examples/make-fixture`.
fn built_program() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().join("tsio")
}

impl Version {
    /// Does the casework on the database at this URL. `contents` reads the database once nobody serves it: the kinds of
    /// its events, and its bytes.
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

    fn heads(&self, url: &str) -> Vec<Head> {
        let reports = output(Command::new(&self.program).args(["--output", "json", "verify", "--database", url]));
        Head::of_reports(&serde_json::from_str(&reports).unwrap())
    }
}

fn sqlite_contents(file: &Path) -> (BTreeSet<String>, Vec<u8>) {
    let log = std::fs::metadata(file.with_extension("db-wal")).map_or(0, |about| about.len());
    assert_eq!(log, 0, "the server ended without closing its database: events are still in the log beside it");
    let database = rusqlite::Connection::open(file).unwrap();
    let mut kinds = database.prepare("SELECT DISTINCT kind FROM events").unwrap();
    let kinds = kinds.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    (kinds, std::fs::read(file).unwrap())
}

fn postgres_contents(cluster: &Cluster) -> (BTreeSet<String>, Vec<u8>) {
    let kinds = cluster.psql("fixture", &["SELECT DISTINCT kind FROM events"]);
    let mut dump = cluster.program("pg_dump");
    let dump = output(dump.args(["--no-owner", "--no-privileges", "--dbname", &cluster.url("fixture")]));
    (kinds.lines().map(ToOwned::to_owned).collect(), for_every_postgres(&dump).into_bytes())
}

/// The dump without the lines that only some versions of PostgreSQL and `psql` understand.
fn for_every_postgres(dump: &str) -> String {
    const OF_SOME_VERSIONS: [&str; 3] = ["SET transaction_timeout", "\\restrict", "\\unrestrict"];
    let kept = dump.lines().filter(|line| !OF_SOME_VERSIONS.iter().any(|it| line.starts_with(it)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
