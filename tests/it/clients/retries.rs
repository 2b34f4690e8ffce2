//! The crate's own client: what it makes again, and what it never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::{Code, Status};
use tsio::client::{Client, Error};
use tsio::proto::{AssignOfferRequest, GetOfferRequest, NoteOfferRequest};

use super::Tear;
use crate::authentication::issuer::{Guarded, claims};
use crate::client::{Client as Officer, YEAR, fresh};
use crate::harness::{Db, Server, both};

both!(a_lost_answer_is_asked_for_again, what_is_refused_is_made_once, nobody_there_ends_in_time);

fn note(offer: &str) -> NoteOfferRequest {
    NoteOfferRequest { offer: offer.to_owned(), text: "rang the school".to_owned(), ..Default::default() }
}

/// The answer is lost on its way, twice: the note is there once, under the one id that was made.
async fn a_lost_answer_is_asked_for_again(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let client = Client::to(server.url()).named("ann", "case-officer", None).connect().await.unwrap();
    let calls = AtomicUsize::new(0);
    let answer = client.mutate(note(&offer), async |tsio, request| {
        let done = tsio.offers().note_offer(request).await;
        // What came back is thrown away, as with a broken connection.
        if calls.fetch_add(1, Ordering::Relaxed) < 2 { Err(Status::unknown("transport error")) } else { done }
    });
    let answer = answer.await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let noted: Vec<_> = officer.events(&offer).await.into_iter().filter(|it| it.kind == "noted").collect();
    assert_eq!(noted.len(), 1, "carried out once");
    // A later call with that id answers the same.
    let same = NoteOfferRequest { request_id: noted[0].request_id.clone(), ..note(&offer) };
    assert_eq!(client.mutate(same, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap(), answer);

    // Through connections that really break, under way.
    let tear = Tear::before(server.address());
    let through = format!("http://{}", tear.address());
    let client = Client::to(through).named("ann", "case-officer", None).tries(20).connect().await.unwrap();
    for n in 0..10 {
        let assign =
            AssignOfferRequest { offer: offer.clone(), assignee: format!("officer-{n}"), ..Default::default() };
        // Not the first: the proxy has its connection only once it carried a call.
        let first = std::cell::Cell::new(n % 2 == 1);
        let answer = client.mutate(assign, async |tsio, request| {
            if first.take() {
                tear.now();
            }
            tsio.offers().assign_offer(request).await
        });
        assert_eq!(answer.await.unwrap().offer.unwrap().assignee, format!("officer-{n}"));
    }
    let assigned = officer.events(&offer).await.iter().filter(|it| it.kind == "assigned").count();
    assert_eq!(assigned, 10, "each once");
}

async fn what_is_refused_is_made_once(db: Db) {
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
    assert!(failed.request_id.as_ref().is_some_and(|id| id.len() == 36), "it says under which id");

    let wrong = note("no offer");
    let wrong = client.mutate(wrong, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
    let fields: Vec<String> = wrong.failed().unwrap().violations().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["offer"]);
    let many = tsio::proto::ListOffersRequest { programme: YEAR.to_owned(), page_size: 4, ..Default::default() };
    let every = client.every(many, async |tsio, it| tsio.offers().list_offers(it).await).await.unwrap();
    assert_eq!(every.len(), 19, "over five pages");
}

/// A server that is away: a bounded number of tries, within the time given, and then UNAVAILABLE.
async fn nobody_there_ends_in_time(db: Db) {
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
    let nowhere = format!("http://{}", silent.local_addr().unwrap());
    let brief = Duration::from_millis(300);
    let client = Client::to(nowhere).named("ann", "reader", None).deadline(brief).patience(brief).lazy().unwrap();
    let begun = std::time::Instant::now();
    let failed = client.read(request, async |tsio, request| tsio.offers().get_offer(request).await).await.unwrap_err();
    assert!(matches!(failed.code(), Code::DeadlineExceeded | Code::Cancelled | Code::Unavailable), "{failed:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// A token that has expired is fetched again, once; one that stays expired is an answer.
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
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let tokens = move || {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            let token = if first { expired.clone() } else { good.clone() };
            async move { Ok(token) }
        };
        let client = Client::to(&url).authority(authority.clone()).tokens(tokens).connect().await.unwrap();
        let list = tsio::proto::ListTermsRequest {};
        let terms = client.read(list, async |tsio, it| tsio.terms().list_terms(it).await).await.unwrap();
        assert_eq!((terms.terms.len(), asked.load(Ordering::Relaxed)), (2, 2));

        let fixed = guarded.key.sign(&old);
        let client = Client::to(&url).authority(authority).token(fixed).connect().await.unwrap();
        let failed = client.read(list, async |tsio, it| tsio.terms().list_terms(it).await).await.unwrap_err();
        let said = failed.failed().unwrap();
        assert_eq!((failed.code(), said.reason(), said.tries), (Code::Unauthenticated, "TOKEN_EXPIRED", 1));

        let clear = Client::to(url.replace("https://127.0.0.1", "http://tsio.example")).token("x").connect().await;
        assert!(matches!(clear, Err(Error::Setup { reason: "TLS_WANTED", .. })), "{clear:?}");
    });
}
