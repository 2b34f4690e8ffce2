//! The crate's own client where something breaks at the wrong moment: nothing waits for ever, and nothing is told twice or lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Code;
use tsio::client::{self, Builder, Client, Error};
use tsio::proto::watch_offers_request::Start;
use tsio::proto::watch_offers_response::Told;
use tsio::proto::{
    GetOfferRequest, ListTermsRequest, NoteOfferRequest, Offer, WatchCheckpoint, WatchOffersRequest,
    WatchOffersResponse, WatchSnapshotEnd,
};

use super::Tear;
use super::scripted::{self, Answer};
use crate::authentication::issuer::{Guarded, claims};
use crate::client::{Client as Officer, YEAR, fresh};
use crate::harness::{Db, Server, both, run};

both!(
    an_answer_that_is_torn_on_its_way_is_asked_for_again,
    a_call_finds_its_way_past_a_dead_connection,
    a_server_that_stands_still_is_left_and_found_again,
);

const BRIEF: Duration = Duration::from_millis(300);

fn note(offer: &str) -> NoteOfferRequest {
    NoteOfferRequest { offer: offer.to_owned(), text: "rang the school".to_owned(), ..Default::default() }
}

fn everything_after(place: i64) -> WatchOffersRequest {
    let start = Some(Start::AfterSequence(place));
    WatchOffersRequest { programme: YEAR.to_owned(), start, ..Default::default() }
}

/// The connection breaks only once the server has carried it out, which another connection sees.
async fn an_answer_that_is_torn_on_its_way_is_asked_for_again(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let tear = Tear::before(server.address());
    let to = |url: String| Client::to(url).named("ann", "case-officer", None);
    let client = to(format!("http://{}", tear.address())).connect().await.unwrap();
    let ask = GetOfferRequest { offer: offer.clone(), ..Default::default() };
    client.read(ask, async |tsio, it| tsio.offers().get_offer(it).await).await.unwrap();

    tear.swallow();
    let mut beside = to(server.url()).connect().await.unwrap().watch(everything_after(20));
    let broken_off = async {
        let seen = loop {
            if let Some(Told::Change(change)) = beside.next().await.unwrap().told {
                break change.event.unwrap();
            }
        };
        tear.now();
        seen
    };
    let tries = AtomicUsize::new(0);
    let answer = client.mutate(note(&offer), async |tsio, it| {
        tries.fetch_add(1, Ordering::Relaxed);
        tsio.offers().note_offer(it).await
    });
    let (answer, first) = tokio::join!(answer, broken_off);
    assert_eq!(answer.unwrap().offer.unwrap().offer, offer);
    assert!(tries.load(Ordering::Relaxed) > 1, "its answer was lost");
    let noted: Vec<_> = officer.events(&offer).await.into_iter().filter(|it| it.kind == "noted").collect();
    let [only] = noted.as_slice() else { panic!("carried out once: {noted:?}") };
    assert_eq!((only.sequence, &only.request_id), (first.sequence, &first.request_id));
}

/// The connection died without a word while it was idle. A fifth of the usual times, in their proportion: a call has the patience to
/// see it left for another.
async fn a_call_finds_its_way_past_a_dead_connection(db: Db) {
    let server = Server::start(&db);
    let tear = Tear::before(server.address());
    let fifth = |usual: Duration| usual / 5;
    let to = Client::to(format!("http://{}", tear.address())).named("ann", "reader", None);
    let to = to.silence(fifth(client::SILENCE)).deadline(fifth(client::DEADLINE)).patience(fifth(client::PATIENCE));
    let client = to.connect().await.unwrap();
    let list = async || client.read(ListTermsRequest {}, async |tsio, it| tsio.terms().list_terms(it).await).await;
    list().await.unwrap();
    tear.swallow();
    assert_eq!(list().await.unwrap().terms.len(), 2);
}

/// Its host is there and takes what is sent, but nothing answers: a watch does not wait for ever for what comes no more.
async fn a_server_that_stands_still_is_left_and_found_again(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let to = Client::to(server.url()).named("ann", "case-officer", None).silence(Duration::from_secs(2));
    let (broke, mut broken) = mpsc::unbounded_channel();
    let mut watch = to.connect().await.unwrap().watch(everything_after(19)).telling(move |status| {
        let _ = broke.send(status.clone());
    });
    assert_eq!(watch.next().await.unwrap().sequence, 20);

    server.pause();
    loop {
        tokio::select! {
            // What was under way when it stopped.
            message = watch.next() => assert!(matches!(message.unwrap().told, Some(Told::Checkpoint(_)))),
            _ = broken.recv() => break,
        }
    }
    server.resume();
    officer.note(&offer, "after all", &fresh()).await.unwrap();
    loop {
        let message = watch.next().await.unwrap();
        match message.told {
            Some(Told::Change(_)) => break assert_eq!(message.sequence, 21, "the next one, once"),
            _ => assert_eq!(message.sequence, 20),
        }
    }
}

fn named(url: String) -> Builder {
    Client::to(url).named("ann", "reader", None)
}

/// A message of a watch that has a place.
fn placed(sequence: i64, told: Told) -> WatchOffersResponse {
    WatchOffersResponse { sequence, resume_token: format!("{YEAR}.{sequence}.x"), told: Some(told) }
}

/// An offer that leaves while a snapshot breaks off is in no second one, and no `gone` tells of it.
#[test]
fn a_torn_snapshot_is_told_once_and_whole() {
    run(async {
        let offer = |id: &str| {
            let told = Some(Told::Offer(Offer { offer: id.to_owned(), ..Default::default() }));
            WatchOffersResponse { told, ..Default::default() }
        };
        let end = placed(7, Told::SnapshotEnd(WatchSnapshotEnd {}));
        let url = scripted::serve(vec![
            Answer::of(&[offer("leaves"), offer("stays")], Some(Code::Unavailable)),
            Answer::of(&[offer("stays"), offer("comes"), end.clone()], None),
        ])
        .await;
        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let mut watch = named(url).lazy().unwrap().watch(request);
        for expected in [offer("stays"), offer("comes")] {
            assert_eq!(watch.next().await.unwrap(), expected);
            assert_eq!(watch.resume_token(), None, "what was not told yet would be lost");
        }
        assert_eq!(watch.next().await.unwrap(), end);
        assert_eq!(watch.resume_token(), Some(end.resume_token.as_str()));
    });
}

/// A call that is taken in and never answered is made again, if it begins a watch.
#[test]
fn a_watch_that_does_not_begin_is_begun_again() {
    run(async {
        let first = placed(1, Told::Checkpoint(WatchCheckpoint {}));
        let url = scripted::serve(vec![None, Answer::of(std::slice::from_ref(&first), None)]).await;
        let broke = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&broke);
        let client = named(url).deadline(BRIEF).lazy().unwrap();
        let mut watch = client.watch(everything_after(0)).telling(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(watch.next().await.unwrap(), first);
        assert_eq!(broke.load(Ordering::Relaxed), 1);
    });
}

/// Nothing that hangs outlasts the time given: an answer that begins and does not end, or a source of tokens.
#[test]
fn what_hangs_ends_in_time() {
    run(async {
        let url = scripted::serve(vec![Answer::of::<Offer>(&[], None)]).await;
        let client = named(url.clone()).patience(BRIEF).lazy().unwrap();
        let begun = std::time::Instant::now();
        let failed = client.read(ListTermsRequest {}, async |tsio, it| tsio.terms().list_terms(it).await).await;
        assert_eq!(failed.unwrap_err().code(), Code::DeadlineExceeded);
        let client = Client::to(url).tokens(std::future::pending).patience(BRIEF).lazy().unwrap();
        let failed = client.mutate(note("1f"), async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
        assert_eq!(failed.code(), Code::DeadlineExceeded);
        assert!(failed.request_id().is_some_and(|id| id.len() == 36), "{failed:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}

/// What comes of a mutation whose token cannot be renewed may still be asked for, under its id.
#[test]
fn a_failure_to_renew_a_token_keeps_the_request_id() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let (client, _) = expired_first(&guarded, None).await;
        let note = NoteOfferRequest { request_id: fresh(), ..note(&fresh()) };
        let id = note.request_id.clone();
        let failed = client.mutate(note, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
        assert!(matches!(failed, Error::Token { .. }), "{failed:?}");
        assert_eq!(failed.request_id(), Some(id.as_str()));
    });
}

/// The generated clients repeat nothing, but a token that has expired is not shown for ever.
#[test]
fn the_generated_clients_renew_a_token_too() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let good = guarded.key.sign(&claims("bo", &["reader"], &["*"]));
        let (client, asked) = expired_first(&guarded, Some(good)).await;
        let list = async || client.services().await.unwrap().terms().list_terms(ListTermsRequest {}).await;
        assert_eq!(list().await.unwrap_err().code(), Code::Unauthenticated);
        for _ in 0..2 {
            assert_eq!(list().await.unwrap().into_inner().terms.len(), 2);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    });
}

/// A client whose first token has expired, and each later one is this, or none can be had; and how often it asked.
async fn expired_first(guarded: &Guarded, then: Option<String>) -> (Client, Arc<AtomicUsize>) {
    let mut old = claims("bo", &["case-officer"], &["*"]);
    old["exp"] = serde_json::json!(1_600_000_000);
    let expired = guarded.key.sign(&old);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let tokens = move || {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let token = if first { Some(expired.clone()) } else { then.clone() };
        async move { token.ok_or_else(|| "the issuer is away".into()) }
    };
    let authority = std::fs::read(guarded.path("ca.pem")).unwrap();
    (Client::to(guarded.url()).authority(authority).tokens(tokens).connect().await.unwrap(), asked)
}
