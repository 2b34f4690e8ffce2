//! `buf curl` over reflection: in development mode over plain HTTP/2, and with a token over TLS.

use std::process::Command;

use super::{MAX_WAIT, ROOT, dependencies, prepare};
use crate::authentication::issuer::{Guarded, claims};
use crate::harness::process::Process;
use crate::harness::{Db, Server, run};

/// Runs the example and checks that it lists the services and the one contacted offer.
fn check_example(example: &mut Command, url: &str, offer: &str) {
    let programs = dependencies("buf", "package-lock.json").join("node_modules/.bin");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let cache = tempfile::tempdir().unwrap();
    example.current_dir(ROOT).env("PATH", path).env("TSIO_URL", url).env("BUF_CACHE_DIR", cache.path());
    let ended = Process::start(example).end(MAX_WAIT);
    assert!(ended.status.success(), "{}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
    // If a call is refused, `buf` exits with the gRPC code times 8: 24 is 3, INVALID_ARGUMENT.
    for expected in ["tsio.v1.OfferService\n", "tsio.v1.FundService\n", "ended with 24\n"] {
        assert!(ended.stdout.contains(expected), "{expected}: {}\n{}", ended.stdout, ended.stderr);
    }
    assert_eq!(ended.stdout.matches(&format!("\"offer\": \"{offer}\"")).count(), 1, "{}", ended.stdout);
    assert!(ended.stdout.contains("\"state\": \"OFFER_STATE_CONTACTED\""), "{}", ended.stdout);
}

#[test]
fn buf_curl_in_development_mode() {
    run(async {
        let db = Db::sqlite();
        let offer = prepare(&db).await;
        let server = Server::start(&db);
        check_example(Command::new("examples/buf/curl.sh").arg("cas"), &server.url(), &offer);
    });
}

#[test]
fn buf_curl_with_a_token_over_tls() {
    run(async {
        let db = Db::sqlite();
        let offer = prepare(&db).await;
        let guarded = Guarded::start(&db, "");
        let token = guarded.key.sign(&claims("cas", &["case-officer"], &["*"]));
        std::fs::write(guarded.path("token"), format!("authorization: Bearer {token}\n")).unwrap();
        let mut example = Command::new("examples/buf/curl.sh");
        example.env("TSIO_CA", guarded.path("ca.pem")).env("TSIO_HEADER_FILE", guarded.path("token"));
        check_example(&mut example, &guarded.url(), &offer);
    });
}
