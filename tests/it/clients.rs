//! Runs the example clients with their own tools against the real server. They use TLS, a certificate, a token that
//! expires and connections that break.

mod broken;
mod buf;
mod retries;
mod scripted;
mod tcp_proxy;
mod tokens;
mod web;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tonic::Request;
use tonic::transport::Channel;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{NoteOfferRequest, OfferState, Party, StartOfferRequest};

use crate::authentication::issuer::{Guarded, claims};
use crate::client::{Client, YEAR, contact, fresh, offer_of_school};
use crate::harness::process::{Process, output_of};
use crate::harness::{Db, Server, both, run};
use crate::money::{DAY, create_fund_with};

use tcp_proxy::BreakableProxy;
use tokens::Tokens;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long each step of a client may take.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How long building the Rust example with its dependencies may take.
const MAX_BUILD: Duration = Duration::from_secs(600);

#[test]
fn python() {
    run(async {
        let interpreter = dependencies("python", "requirements.txt").join("bin/python");
        let stubs = tempfile::tempdir().unwrap();
        let mut protoc = Command::new(&interpreter);
        protoc.args(["-m", "grpc_tools.protoc", "-I", "proto"]).current_dir(ROOT);
        for kind in ["--python_out", "--grpc_python_out"] {
            protoc.arg(format!("{kind}={}", stubs.path().display()));
        }
        for entry in std::fs::read_dir(Path::new(ROOT).join("proto/tsio/v1")).unwrap() {
            protoc.arg(Path::new("proto/tsio/v1").join(entry.unwrap().file_name()));
        }
        output_of(&mut protoc, MAX_WAIT);
        let mut example = Command::new(interpreter);
        example.arg("examples/python/casework.py").env("PYTHONPATH", stubs.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        run_casework(&Db::sqlite(), example).await;
    });
}

#[test]
fn node() {
    run(async {
        let dependency_folder = dependencies("node", "package-lock.json");
        // Node looks for packages in the folder of the program first, and then in the folders of NODE_PATH.
        let mut example = Command::new("node");
        example
            .arg("examples/node/casework.js")
            .env("NODE_PATH", dependency_folder.join("node_modules"))
            .env("TSIO_PROTO", "proto");
        run_casework(&Db::sqlite(), example).await;
    });
}

both!(rust);

/// The Rust example is a separate crate that depends only on the client. `tests/run` builds it before the tests. This
/// test builds it again if it is not up to date.
async fn rust(db: Db) {
    let target = clients().join("rust");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--manifest-path", "examples/rust/Cargo.toml", "--target-dir"]);
    build.arg(&target).current_dir(ROOT);
    // With Cargo's variables of this package, Cargo would run the build scripts of ring again.
    let of_this_package =
        |name: &String| ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR"].iter().any(|it| name.starts_with(it));
    for name in std::env::vars().map(|(name, _)| name).filter(of_this_package) {
        build.env_remove(name);
    }
    output_of(&mut build, MAX_BUILD);
    run_casework(&db, Command::new(target.join("debug/casework"))).await;
}

/// Where `tests/run` puts the dependencies of the examples.
fn clients() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients")
}

/// The folder with the dependencies of an example. Panics unless they match its requirements file.
fn dependencies(client: &str, requirements: &str) -> PathBuf {
    let dependency_folder = clients().join(client);
    let expected = std::fs::read_to_string(Path::new(ROOT).join("examples").join(client).join(requirements)).unwrap();
    let stamp = std::fs::read_to_string(dependency_folder.join("made-of")).unwrap_or_default();
    assert_eq!(stamp, expected, "{} is not up to date: tests/run --set-up-only makes it", dependency_folder.display());
    dependency_folder
}

/// A running example client, and the lines it has printed.
struct ClientOutput {
    process: Process,
    lines: Vec<String>,
}

impl ClientOutput {
    /// Waits until the client has printed a line with this beginning.
    fn wait_for_line(&mut self, beginning: &str) {
        self.wait_for_lines(beginning, 1);
    }

    /// Waits until the client has printed that many lines with this beginning.
    fn wait_for_lines(&mut self, beginning: &str, times: usize) {
        while self.count_lines(beginning) < times {
            match self.process.line("", MAX_WAIT) {
                Ok(line) => self.lines.push(line),
                Err(problem) => panic!("{beginning:?}: {problem}; printed {:?}\n{}", self.lines, self.process.stderr()),
            }
        }
    }

    /// How many printed lines have this beginning.
    fn count_lines(&self, beginning: &str) -> usize {
        self.lines.iter().filter(|it| it.starts_with(beginning)).count()
    }
}

/// A second caller who works on the same offer as the example. The officer's token is valid for an hour.
struct Officer {
    offers: OfferServiceClient<Channel>,
    token: String,
}

impl Officer {
    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request
    }

    async fn note(&mut self, offer: &str) {
        let (request_id, offer, text) = (fresh(), offer.to_owned(), "rang the school".to_owned());
        let note = self.ask(NoteOfferRequest { request_id, offer, text, ..Default::default() });
        self.offers.note_offer(note).await.unwrap();
    }

    async fn start(&mut self, offer: &str) {
        let (request_id, offer, date) = (fresh(), offer.to_owned(), DAY.to_owned());
        let start = self.ask(StartOfferRequest { request_id, offer, date, ..Default::default() });
        self.offers.start_offer(start).await.unwrap();
    }
}

/// Prepares a database with one offer that may be accepted and £5,000 for credit, and returns the id of the offer.
async fn prepare(db: &Db) -> String {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offer_of_school(&offers, 910_003);
    for party in [Party::ResponsibleBody, Party::School] {
        client.offers().contact_offers(client.ask(contact(party, &[offer], &fresh()))).await.unwrap();
    }
    create_fund_with(&server, "credit", "5000");
    server.stop();
    offer.offer.clone()
}

/// Runs an example through its casework while its connections break and its token expires.
async fn run_casework(db: &Db, mut example: Command) {
    let offer = prepare(db).await;
    let mut guarded = Guarded::start(db, "");
    let officer_token = guarded.key.sign(&claims("bo", &["case-officer"], &["*"]));
    let proxy = BreakableProxy::to(guarded.server.address());
    let tokens = Tokens::of(&guarded.key);
    let (certificate, key) = guarded.authority.service("spiffe://dfe.example/reconciliation");
    for (name, text) in [("service.pem", certificate), ("service.key", key)] {
        std::fs::write(guarded.path(name), text).unwrap();
    }
    example
        .current_dir(ROOT)
        .env("TSIO_TARGET", proxy.address().to_string())
        .env("TSIO_CA", guarded.path("ca.pem"))
        .env("TSIO_CERT", guarded.path("service.pem"))
        .env("TSIO_KEY", guarded.path("service.key"))
        .env("TSIO_TOKEN_URL", tokens.url());
    let mut output = ClientOutput { process: Process::start(&mut example), lines: Vec::new() };
    let mut officer =
        Officer { offers: OfferServiceClient::new(guarded.connect(None).await.unwrap()), token: officer_token };

    output.wait_for_line("up to ");
    for _ in 0..3 {
        let (changes, reconnects) = (output.count_lines("change "), output.count_lines("watching again"));
        proxy.break_connections();
        officer.note(&offer).await;
        output.wait_for_lines("change ", changes + 1);
        assert!(output.count_lines("watching again") > reconnects, "the example did not reconnect: {:?}", output.lines);
    }
    output.wait_for_line("token expired");
    officer.start(&offer).await;
    let ended = output.process.end(MAX_WAIT);
    output.lines.extend(ended.stdout.lines().map(str::to_owned));
    assert!(ended.status.success(), "{}\n{}", output.lines.join("\n"), ended.stderr);
    assert_eq!(tokens.issued(), 2, "one token at the start, and one after it expired");

    guarded.server.stop();
    check_outcome(db, &offer, &output.lines).await;
}

/// Checks the lines and the events of the example. After its award of £3,000, the cap of £10,000 has £7,000 left, and
/// the fund of £5,000 has £2,000.
async fn check_outcome(db: &Db, offer: &str, lines: &[String]) {
    for expected in [
        "listed 1".to_owned(),
        format!("accepted {offer} OFFER_STATE_ACCEPTED"),
        "awarded 300000".to_owned(),
        "limit cap requested 800000 largest 700000".to_owned(),
        "limit fund requested 800000 largest 200000".to_owned(),
        "done".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines:#?}");
    }
    assert!(lines.iter().any(|it| it.starts_with("refused ") && it.ends_with(" largest 200000")), "{lines:#?}");

    let server = Server::start(db);
    let client = Client::of(&server).await;
    let mut events = Vec::new();
    for offer in client.list(YEAR).await {
        events.extend(client.events(&offer.offer).await.iter().map(|it| it.sequence));
    }
    events.sort_unstable();
    let printed: Vec<i64> = lines.iter().filter_map(|it| it.strip_prefix("change ")?.parse().ok()).collect();
    assert_eq!(printed, events, "the example must print each change once, in order");
    assert_eq!(client.offer(offer).await.state(), OfferState::Delivering);
}
