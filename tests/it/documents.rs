//! Runs the commands of the README, the tutorial, the how-to pages and some reference pages, in order, against a live
//! server. Each command must print the output that its page shows.
//!
//! `TSIO_WRITE_DOCS=1 tests/run documents` writes the current output into the pages. `documents/compare.rs` says how
//! output is compared. A command must end with 0, or with 1 where its page shows a line that begins with `error: `.

mod compare;
mod page;
mod session;

use std::path::{Path, PathBuf};

use crate::harness::{Db, Server, both, run};
use crate::samples::{as_person, run_ok, start_with_august};

use compare::Bindings;
use page::{Only, Page, Step};
use session::Session;

/// The state before the first command of a page. Each page describes its own.
enum InitialState {
    /// Nothing: the page starts its own server.
    Nothing,
    /// A server with the files of August 2021, and the offers made from them.
    Offers,
    /// The same as `Offers`, with £40,000 in the fund of credit.
    Funded,
}

/// Pages whose commands another test runs.
const RUN_ELSEWHERE: [(&str, &str); 1] = [("docs/how-to/client-developer.md", "tests/docs.rs and tests/it/clients.rs")];

/// The only blocks of commands that are not run: the page, and the first line of the block.
const NOT_RUN: &[(&str, &str)] = &[
    ("docs/tutorial.md", "cargo build"),
    ("README.md", "sudo apt-get install git curl gcc libc6-dev      # on Debian"),
    ("README.md", "tests/run"),
    ("docs/how-to/administrator.md", "createdb tsio"),
    (
        "docs/how-to/back-up-and-restore.md",
        "pg_basebackup -d postgres://postgres@127.0.0.1:5432 -D base -X stream --checkpoint=fast",
    ),
];

/// The default address of a server. The test replaces it by the address of its own server.
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
/// The database URLs in the pages. On PostgreSQL the test replaces them by the URL of its own database.
const DATABASES: [&str; 2] = ["sqlite:tour.db", "postgres://tsio@127.0.0.1/tsio"];
/// The database that a page makes. On PostgreSQL the test gives it a unique name.
const RESTORED: &str = "restored";

both!(the_tutorial, backing_up);

async fn the_tutorial(db: Db) {
    check_page("docs/tutorial.md", &db, &InitialState::Nothing);
}

async fn backing_up(db: Db) {
    check_page("docs/how-to/back-up-and-restore.md", &db, &InitialState::Nothing);
    if db.is_postgres() {
        db.psql(&format!("DROP DATABASE {}_{RESTORED}", db.url().rsplit('/').next().unwrap()));
    }
}

macro_rules! pages {
    ($($name:ident: $path:literal after $before:ident;)+) => {
        $(#[test]
        fn $name() {
            run(async { check_page($path, &Db::sqlite(), &InitialState::$before) });
        })+

        /// Every page that a test of this module runs.
        const PAGES: &[&str] = &["docs/tutorial.md", $($path,)+ "docs/how-to/back-up-and-restore.md"];
    };
}

pages! {
    the_readme: "README.md" after Nothing;
    a_case_officers_month: "docs/how-to/case-officer.md" after Funded;
    the_regional_directors_part: "docs/how-to/regional-director.md" after Offers;
    finances_month: "docs/how-to/finance.md" after Offers;
    running_the_service: "docs/how-to/administrator.md" after Nothing;
    upgrading: "docs/how-to/upgrade.md" after Nothing;
    verifying: "docs/how-to/verify.md" after Nothing;
    json_output: "docs/reference/json.md" after Funded;
    checking_the_record_without_the_program: "docs/reference/record.md" after Nothing;
    asking_for_health: "docs/reference/monitoring.md" after Offers;
}

/// Runs a page, and compares each output with the page, or writes the output into the page.
fn check_page(path: &str, db: &Db, initial_state: &InitialState) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let page = Page::read(&std::fs::read_to_string(&file).unwrap());
    assert!(!page.steps.is_empty(), "{path} has no command");
    let server = start_server(db, initial_state);
    let mut session = Session::begin(server.as_ref().map(Server::url).as_deref());
    let mut bindings = Bindings::default();
    if let Some(server) = &server {
        assert!(bindings.bind(DEFAULT_ADDRESS, &server.address().to_string()));
    }
    let rewrites_page = std::env::var_os("TSIO_WRITE_DOCS").is_some();
    let mut outputs = Vec::new();
    for step in page.steps.iter().filter(|step| is_for(step, db)) {
        let shown = page.shown(step);
        let command = bindings.live(&adapt(db, &step.command));
        let printed = session.run(&command, shown.map_or(0, <[String]>::len));
        let agrees = shown.is_none_or(|shown| match step.only {
            Some(Only::Exact) => shown == printed.lines,
            Some(Only::Sqlite | Only::Postgres) | None => bindings.agree(shown, &printed.lines),
        });
        if rewrites_page && !agrees {
            outputs.extend(step.shown.clone().map(|shown| (shown, bindings.learn(&printed.lines))));
            continue;
        }
        let (shown, output) = (shown.unwrap_or_default(), printed.lines.join("\n"));
        let begins = |words: &str| shown.iter().any(|line| line.starts_with(words));
        let code = if begins("filed for approval ") { 3 } else { i32::from(begins("error: ")) };
        assert_eq!(printed.code, code, "{path}:{}: {command}\n{output}", step.line);
        let shown = shown.join("\n");
        assert!(agrees, "{path}:{}: {command}\n--- shown:\n{shown}\n--- printed:\n{output}", step.line);
    }
    if !outputs.is_empty() {
        write(&file, page.lines, outputs);
    }
}

/// Replaces the shown outputs of a page, given by their lines, with the printed ones.
fn write(file: &PathBuf, mut lines: Vec<String>, outputs: Vec<(std::ops::Range<usize>, Vec<String>)>) {
    for (shown, printed) in outputs.into_iter().rev() {
        lines.splice(shown, printed);
    }
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}

/// Whether a step is to be run on this database.
fn is_for(step: &Step, db: &Db) -> bool {
    match step.only {
        Some(Only::Sqlite) => !db.is_postgres(),
        Some(Only::Postgres) => db.is_postgres(),
        Some(Only::Exact) | None => true,
    }
}

/// A command of a page, adapted to this database and the built binary.
fn adapt(db: &Db, command: &str) -> String {
    let command = command.replace("cargo run -- ", "tsio ");
    if !db.is_postgres() {
        return command;
    }
    let url = db.url();
    let (server, name) = url.rsplit_once('/').unwrap();
    let command = DATABASES.iter().fold(command, |command, database| command.replace(database, &url));
    let command = command.replace("postgres://tsio@127.0.0.1/", &format!("{server}/"));
    command.replace(RESTORED, &format!("{name}_{RESTORED}"))
}

fn start_server(db: &Db, initial_state: &InitialState) -> Option<Server> {
    if let InitialState::Nothing = initial_state {
        return None;
    }
    let server = start_with_august(db);
    if let InitialState::Funded = initial_state {
        let fund = run_ok(&server, &as_person("fiona", "finance", &["funds", "create", "--strand", "credit"]));
        let fund = fund["fund"].as_str().unwrap();
        let allocate = ["funds", "allocate", fund, "£40,000", "--on", "2021-09-06"];
        run_ok(&server, &as_person("fiona", "finance", &allocate));
    }
    Some(server)
}

/// The pages for users. Each command in them is run, or is listed in [`NOT_RUN`].
fn user_pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let how_to = std::fs::read_dir(root.join("docs/how-to")).unwrap();
    let mut pages: Vec<String> =
        how_to.map(|entry| format!("docs/how-to/{}", entry.unwrap().file_name().display())).collect();
    pages.sort();
    ["README.md", "docs/tutorial.md"].map(str::to_owned).into_iter().chain(pages).collect()
}

#[test]
fn every_page_for_users_is_run() {
    let run_pages: Vec<&str> = PAGES.iter().copied().chain(RUN_ELSEWHERE.map(|(page, _)| page)).collect();
    for page in user_pages() {
        assert!(run_pages.contains(&page.as_str()), "no test runs the commands of {page}");
    }
}

#[test]
fn only_listed_blocks_are_not_run() {
    let mut not_run = Vec::new();
    for path in PAGES {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let page = Page::read(&text);
        assert!(page.faults.is_empty(), "{path}: {:?}", page.faults);
        not_run.extend(page.not_run.into_iter().map(|line| (*path, line)));
    }
    let not_run: Vec<(&str, &str)> = not_run.iter().map(|(path, line)| (*path, line.as_str())).collect();
    assert_eq!(not_run, NOT_RUN, "the pages mark other blocks as not run than NOT_RUN lists");
}
