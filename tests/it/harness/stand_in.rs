//! Tests of the harness itself, with a script in place of the binary. They show that the harness notices failures.

use std::path::Path;

use super::{Db, Server, cli};

const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/harness/stand_in.sh");

fn sqlite() -> Db {
    Db::sqlite_made_by(Path::new(STAND_IN))
}

fn server(db: &Db, extra: &[&str]) -> Server {
    Server::started_by(Path::new(STAND_IN), db, extra)
}

#[test]
fn each_postgres_database_is_migrated_and_alone() {
    let create = || Db::postgres_made_by(Path::new(STAND_IN));
    let (one, other) = (create(), create());
    one.psql("INSERT INTO migrated VALUES (7)");
    assert_eq!(one.psql("SELECT count(*), sum(at_all) FROM migrated"), "1|7");
    assert_eq!(other.psql("SELECT count(*) FROM migrated"), "0");
    assert!(one.is_postgres() && one.url() != other.url());
}

#[test]
fn a_postgres_database_is_gone_when_dropped() {
    let (kept, gone) = (Db::postgres_made_by(Path::new(STAND_IN)), Db::postgres_made_by(Path::new(STAND_IN)));
    let name = gone.url().rsplit('/').next().unwrap().to_owned();
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(kept.psql(&count), "1");
    let clone = gone.clone();
    drop(gone);
    assert_eq!(kept.psql(&count), "1");
    drop(clone);
    assert_eq!(kept.psql(&count), "0");
}

#[test]
fn the_cluster_keeps_what_it_acknowledged() {
    let db = Db::postgres_made_by(Path::new(STAND_IN));
    assert_eq!(db.psql("SHOW fsync"), "on");
    assert_eq!(db.psql("SHOW synchronous_commit"), "on");
    assert_eq!(db.psql("SHOW listen_addresses"), "127.0.0.1");
}

#[test]
fn each_sqlite_file_is_migrated_and_gone_when_dropped() {
    let (one, other) = (sqlite(), sqlite());
    assert!(!one.is_postgres() && one.url() != other.url());
    let file = one.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc").to_owned();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "migrated\n");
    drop(one);
    assert!(!Path::new(&file).exists());
}

#[test]
fn a_server_starts_stalls_stops_and_starts_again() {
    let db = sqlite();
    let mut server = server(&db, &[]);
    assert_eq!(server.url(), "http://127.0.0.1:9");
    assert_eq!(server.address().port(), 9);
    let first = server.pid();
    server.pause();
    assert_eq!(state_of(first), 'T');
    server.resume();
    server.stop();
    assert!(!Path::new(&format!("/proc/{first}")).exists());
    server.restart();
    assert_ne!(server.pid(), first);
    server.kill();
    assert_eq!(server.stderr().trim(), format!("serving {}", db.url()));
}

/// The state letter of a process in `/proc`. Waits for the state *stopped*, because the kernel stops a process a moment
/// after the signal is sent.
fn state_of(pid: u32) -> char {
    let mut state = '?';
    for _ in 0..10_000 {
        let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        state = line.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap();
        if state == 'T' {
            break;
        }
        std::thread::yield_now();
    }
    state
}

#[test]
#[should_panic(expected = "ended without \"LISTENING \"")]
fn a_server_that_does_not_start_fails_the_test() {
    server(&sqlite(), &["--broken"]);
}

#[test]
#[should_panic(expected = "ended with exit status: 3")]
fn a_server_that_does_not_end_well_fails_the_test() {
    server(&sqlite(), &["--stubborn"]).stop();
}

#[test]
fn a_command_answers_its_code_and_both_streams() {
    let db = sqlite();
    let answer = cli(&server(&db, &[]), &["funds", "list"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.json,
        serde_json::json!({"server": "http://127.0.0.1:9", "output": "json", "rest": "funds list"})
    );
    assert_eq!(answer.stderr, "refused\n");
    assert!(answer.stdout.starts_with('{'));
}
