//! The crate's own client: which calls it retries, and which it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::{Code, Status};
use tsio::client::{Client, Error};
use tsio::proto::{AssignOfferRequest, GetOfferRequest, NoteOfferRequest};

use super::BreakableProxy;
use crate::authentication::issuer::{Guarded, claims};
use crate::client::{Client as Officer, YEAR, fresh};
use crate::harness::{Db, Server, both};

both!(
    a_mutation_is_retried_under_one_request_id,
    a_refused_call_is_not_retried,
    retries_of_an_absent_server_end_in_time
);

fn note(offer: &str) -> NoteOfferRequest {
    NoteOfferRequest { offer: offer.to_owned(), text: "rang the school".to_owned(), ..Default::default() }
}

/// The answer is lost twice. The note is recorded once, under the request id that the client generated.
async fn a_mutation_is_retried_under_one_request_id(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let client = Client::to(server.url()).named("ann", "case-officer", None).connect().await.unwrap();
    let calls = AtomicUsize::new(0);
    let answer = client.mutate(note(&offer), async |tsio, request| {
        let done = tsio.offers().note_offer(request).await;
        // Discards the first two answers, as a broken connection would.
        if calls.fetch_add(1, Ordering::Relaxed) < 2 { Err(Status::unknown("transport error")) } else { done }
    });
    let answer = answer.await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let noted: Vec<_> = officer.events(&offer).await.into_iter().filter(|it| it.kind == "noted").collect();
    assert_eq!(noted.len(), 1, "the note was carried out more than once");
    // A later call with that id gets the same answer.
    let repeated = NoteOfferRequest { request_id: noted[0].request_id.clone(), ..note(&offer) };
    assert_eq!(client.mutate(repeated, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap(), answer);

    // Through connections that really break during a call.
    let proxy = BreakableProxy::to(server.address());
    let through = format!("http://{}", proxy.address());
    let client = Client::to(through).named("ann", "case-officer", None).tries(20).connect().await.unwrap();
    for n in 0..10 {
        let assign =
            AssignOfferRequest { offer: offer.clone(), assignee: format!("officer-{n}"), ..Default::default() };
        // Not in the first round: the proxy has a connection only after the first call.
        let must_break = std::cell::Cell::new(n % 2 == 1);
        let answer = client.mutate(assign, async |tsio, request| {
            if must_break.take() {
                proxy.break_connections();
            }
            tsio.offers().assign_offer(request).await
        });
        assert_eq!(answer.await.unwrap().offer.unwrap().assignee, format!("officer-{n}"));
    }
    let assigned = officer.events(&offer).await.iter().filter(|it| it.kind == "assigned").count();
    assert_eq!(assigned, 10, "each call must be carried out once");
}

async fn a_refused_call_is_not_retried(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let client = Client::to(server.url()).named("ann", "case-officer", None).connect().await.unwrap();
    let calls = AtomicUsize::new(0);
    let stale = AssignOfferRequest { etag: "v0".to_owned(), offer, assignee: "x".to_owned(), ..Default::default() };
    let refused = client.mutate(stale, async |tsio, request| {
        calls.fetch_add(1, Ordering::Relaxed);
        tsio.offers().assign_offer(request).await
    });
    let refused = refused.await.unwrap_err();
    let failed = refused.failed().unwrap();
    assert_eq!((refused.code(), failed.reason(), failed.tries), (Code::Aborted, "ETAG_STALE", 1));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(failed.request_id.as_ref().is_some_and(|id| id.len() == 36), "the error has the request id");

    let wrong = note("no offer");
    let wrong = client.mutate(wrong, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
    let fields: Vec<String> = wrong.failed().unwrap().violations().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["offer"]);
    let many = tsio::proto::ListOffersRequest { programme: YEAR.to_owned(), page_size: 4, ..Default::default() };
    let listed = client.every(many, async |tsio, it| tsio.offers().list_offers(it).await).await.unwrap();
    assert_eq!(listed.len(), 19, "over five pages");
}

/// Without a server, a call fails with UNAVAILABLE after the maximum number of tries. If a host accepts the connection
/// and never answers, the call fails after its time limit.
async fn retries_of_an_absent_server_end_in_time(db: Db) {
    let server = Server::start(&db);
    let client = Client::to(server.url()).named("ann", "reader", None).tries(3).connect().await.unwrap();
    drop(server);
    let calls = AtomicUsize::new(0);
    let request = GetOfferRequest { offer: fresh(), ..Default::default() };
    let failed = client.read(request.clone(), async |tsio, request| {
        calls.fetch_add(1, Ordering::Relaxed);
        tsio.offers().get_offer(request).await
    });
    let failed = failed.await.unwrap_err();
    assert_eq!(
        (failed.code(), failed.failed().unwrap().tries, calls.load(Ordering::Relaxed)),
        (Code::Unavailable, 3, 3)
    );

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let time_limit = Duration::from_millis(300);
    let client =
        Client::to(silent_url).named("ann", "reader", None).deadline(time_limit).patience(time_limit).lazy().unwrap();
    let started = std::time::Instant::now();
    let failed = client.read(request, async |tsio, request| tsio.offers().get_offer(request).await).await.unwrap_err();
    assert!(matches!(failed.code(), Code::DeadlineExceeded | Code::Cancelled | Code::Unavailable), "{failed:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// The client replaces an expired token once and repeats the call. With a fixed token that has expired, the call fails.
/// Without TLS, the client refuses to use a certificate, and to send a token to another host.
#[test]
fn an_expired_token_is_renewed_once() {
    crate::harness::run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let url = format!("https://{}", guarded.server.address());
        let authority = std::fs::read(guarded.path("ca.pem")).unwrap();
        let good = guarded.key.sign(&claims("bo", &["reader"], &["*"]));
        let mut old = claims("bo", &["reader"], &["*"]);
        old["exp"] = serde_json::json!(1_600_000_000);
        let expired = guarded.key.sign(&old);
        let token_requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&token_requests);
        let tokens = move || {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            let token = if first { expired.clone() } else { good.clone() };
            async move { Ok(token) }
        };
        let client = Client::to(&url).authority(authority.clone()).tokens(tokens).connect().await.unwrap();
        let list = tsio::proto::ListTermsRequest {};
        let terms = client.read(list, async |tsio, it| tsio.terms().list_terms(it).await).await.unwrap();
        assert_eq!((terms.terms.len(), token_requests.load(Ordering::Relaxed)), (2, 2));

        let fixed = guarded.key.sign(&old);
        let client = Client::to(&url).authority(authority).token(fixed).connect().await.unwrap();
        let failed = client.read(list, async |tsio, it| tsio.terms().list_terms(it).await).await.unwrap_err();
        let failure = failed.failed().unwrap();
        assert_eq!((failed.code(), failure.reason(), failure.tries), (Code::Unauthenticated, "TOKEN_EXPIRED", 1));

        let plain_text = Client::to(url.replace("https://127.0.0.1", "http://tsio.example")).token("x").connect().await;
        assert!(matches!(plain_text, Err(Error::Setup { reason: "TLS_WANTED", .. })), "{plain_text:?}");
        let plain_text = Client::to(url.replace("https:", "http:")).certificate("x", "y").lazy();
        assert!(matches!(plain_text, Err(Error::Setup { reason: "TLS_WANTED", .. })), "{plain_text:?}");
        let unreadable = Client::to(&url).certificate("x", "y").lazy();
        assert!(matches!(unreadable, Err(Error::Setup { reason: "SETTINGS_WRONG", .. })), "{unreadable:?}");
    });
}
