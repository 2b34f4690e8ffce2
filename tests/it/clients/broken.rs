//! The crate's own client when a connection or server fails: every wait ends, and no message is lost or delivered
//! twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Code;
use tsio::client::{self, Builder, Client, Error};
use tsio::proto::watch_offers_request::Start;
use tsio::proto::watch_offers_response::Update;
use tsio::proto::{
    GetOfferRequest, ListTermsRequest, NoteOfferRequest, Offer, WatchCheckpoint, WatchOffersRequest,
    WatchOffersResponse, WatchSnapshotEnd,
};

use super::BreakableProxy;
use super::scripted::{self, Answer};
use crate::authentication::issuer::{Guarded, claims};
use crate::client::{Client as Officer, YEAR, fresh};
use crate::harness::{Db, Server, both, run};

both!(
    a_mutation_whose_answer_is_lost_is_sent_again,
    a_call_replaces_a_dead_connection,
    a_watch_reconnects_when_the_server_stops_responding,
);

/// A time limit that a test lets pass.
const BRIEF: Duration = Duration::from_millis(300);

fn note(offer: &str) -> NoteOfferRequest {
    NoteOfferRequest { offer: offer.to_owned(), text: "rang the school".to_owned(), ..Default::default() }
}

fn everything_after(sequence: i64) -> WatchOffersRequest {
    let start = Some(Start::AfterSequence(sequence));
    WatchOffersRequest { programme: YEAR.to_owned(), start, ..Default::default() }
}

/// The connection breaks only after the server has carried out the call. A watch on another connection shows when that
/// has happened.
async fn a_mutation_whose_answer_is_lost_is_sent_again(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let proxy = BreakableProxy::to(server.address());
    let builder = |url: String| Client::to(url).named("ann", "case-officer", None);
    let client = builder(format!("http://{}", proxy.address())).connect().await.unwrap();
    let get = GetOfferRequest { offer: offer.clone(), ..Default::default() };
    client.read(get, async |tsio, it| tsio.offers().get_offer(it).await).await.unwrap();

    proxy.discard_answers();
    let mut observer = builder(server.url()).connect().await.unwrap().watch(everything_after(20));
    let break_after_change = async {
        let seen = loop {
            if let Some(Update::Change(change)) = observer.next().await.unwrap().update {
                break change.event.unwrap();
            }
        };
        proxy.break_connections();
        seen
    };
    let tries = AtomicUsize::new(0);
    let answer = client.mutate(note(&offer), async |tsio, it| {
        tries.fetch_add(1, Ordering::Relaxed);
        tsio.offers().note_offer(it).await
    });
    let (answer, first) = tokio::join!(answer, break_after_change);
    assert_eq!(answer.unwrap().offer.unwrap().offer, offer);
    assert!(tries.load(Ordering::Relaxed) > 1, "its answer was lost");
    let noted: Vec<_> = officer.events(&offer).await.into_iter().filter(|it| it.kind == "noted").collect();
    let [only] = noted.as_slice() else { panic!("carried out once: {noted:?}") };
    assert_eq!((only.sequence, &only.request_id), (first.sequence, &first.request_id));
}

/// An idle connection stays open, but the answers on it are lost. The time limits are a fifth of the defaults, so they
/// keep their proportions: the call has time to notice the dead connection and use another.
async fn a_call_replaces_a_dead_connection(db: Db) {
    let server = Server::start(&db);
    let proxy = BreakableProxy::to(server.address());
    let fifth = |usual: Duration| usual / 5;
    let builder = Client::to(format!("http://{}", proxy.address())).named("ann", "reader", None);
    let builder =
        builder.silence(fifth(client::SILENCE)).deadline(fifth(client::DEADLINE)).patience(fifth(client::PATIENCE));
    let client = builder.connect().await.unwrap();
    let list = async || client.read(ListTermsRequest {}, async |tsio, it| tsio.terms().list_terms(it).await).await;
    list().await.unwrap();
    proxy.discard_answers();
    assert_eq!(list().await.unwrap().terms.len(), 2);
}

/// The host accepts bytes, but the server does not answer: the watch notices the silence and reconnects.
async fn a_watch_reconnects_when_the_server_stops_responding(db: Db) {
    let server = Server::start(&db);
    let officer = Officer::of(&server).await;
    let offer = officer.seed().await.remove(0).offer;
    let builder = Client::to(server.url()).named("ann", "case-officer", None).silence(Duration::from_secs(2));
    let (report_break, mut breaks) = mpsc::unbounded_channel();
    let mut watch = builder.connect().await.unwrap().watch(everything_after(19)).on_break(move |status| {
        let _ = report_break.send(status.clone());
    });
    assert_eq!(watch.next().await.unwrap().sequence, 20);

    server.pause();
    loop {
        tokio::select! {
            // A checkpoint that was in flight when the server stopped.
            message = watch.next() => assert!(matches!(message.unwrap().update, Some(Update::Checkpoint(_)))),
            _ = breaks.recv() => break,
        }
    }
    server.resume();
    officer.note(&offer, "after all", &fresh()).await.unwrap();
    loop {
        let message = watch.next().await.unwrap();
        match message.update {
            Some(Update::Change(_)) => break assert_eq!(message.sequence, 21, "the next change, once"),
            _ => assert_eq!(message.sequence, 20),
        }
    }
}

fn named(url: String) -> Builder {
    Client::to(url).named("ann", "reader", None)
}

/// A message of a watch with a sequence and a resume token.
fn message_at(sequence: i64, update: Update) -> WatchOffersResponse {
    WatchOffersResponse { sequence, resume_token: format!("{YEAR}.{sequence}.x"), update: Some(update) }
}

/// An offer that is in an interrupted snapshot, but not in the repeated one, is not delivered. The client does not
/// report it as gone either.
#[test]
fn an_interrupted_snapshot_is_delivered_once_and_complete() {
    run(async {
        let offer = |id: &str| {
            let update = Some(Update::Offer(Offer { offer: id.to_owned(), ..Default::default() }));
            WatchOffersResponse { update, ..Default::default() }
        };
        let end = message_at(7, Update::SnapshotEnd(WatchSnapshotEnd {}));
        let url = scripted::serve(vec![
            Answer::of(&[offer("leaves"), offer("stays")], Some(Code::Unavailable)),
            Answer::of(&[offer("stays"), offer("comes"), end.clone()], None),
        ])
        .await;
        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let mut watch = named(url).lazy().unwrap().watch(request);
        for expected in [offer("stays"), offer("comes")] {
            assert_eq!(watch.next().await.unwrap(), expected);
            assert_eq!(watch.resume_token(), None, "resuming here would lose the rest of the snapshot");
        }
        assert_eq!(watch.next().await.unwrap(), end);
        assert_eq!(watch.resume_token(), Some(end.resume_token.as_str()));
    });
}

/// A call that starts a watch is made again if the server accepts it and never answers.
#[test]
fn a_watch_without_an_answer_is_started_again() {
    run(async {
        let first = message_at(1, Update::Checkpoint(WatchCheckpoint {}));
        let url = scripted::serve(vec![None, Answer::of(std::slice::from_ref(&first), None)]).await;
        let breaks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&breaks);
        let client = named(url).deadline(BRIEF).lazy().unwrap();
        let mut watch = client.watch(everything_after(0)).on_break(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(watch.next().await.unwrap(), first);
        assert_eq!(breaks.load(Ordering::Relaxed), 1);
    });
}

/// A call ends when its patience is over, which is the time limit of all its tries together. It ends even if the server
/// never finishes its answer, or if the source of tokens hangs.
#[test]
fn a_hanging_call_ends_in_time() {
    run(async {
        let url = scripted::serve(vec![Answer::of::<Offer>(&[], None)]).await;
        let client = named(url.clone()).patience(BRIEF).lazy().unwrap();
        let started = std::time::Instant::now();
        let failed = client.read(ListTermsRequest {}, async |tsio, it| tsio.terms().list_terms(it).await).await;
        assert_eq!(failed.unwrap_err().code(), Code::DeadlineExceeded);
        let client = Client::to(url).tokens(std::future::pending).patience(BRIEF).lazy().unwrap();
        let failed = client.mutate(note("1f"), async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
        assert_eq!(failed.code(), Code::DeadlineExceeded);
        assert!(failed.request_id().is_some_and(|id| id.len() == 36), "{failed:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    });
}

/// If the token of a mutation cannot be renewed, the error keeps the request id, so that the caller can try again.
#[test]
fn a_failure_to_renew_a_token_keeps_the_request_id() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let (client, _) = client_with_expired_token(&guarded, None).await;
        let note = NoteOfferRequest { request_id: fresh(), ..note(&fresh()) };
        let id = note.request_id.clone();
        let failed = client.mutate(note, async |tsio, it| tsio.offers().note_offer(it).await).await.unwrap_err();
        assert!(matches!(failed, Error::Token { .. }), "{failed:?}");
        assert_eq!(failed.request_id(), Some(id.as_str()));
    });
}

/// The generated clients repeat no call, but they replace an expired token for the next call.
#[test]
fn the_generated_clients_renew_a_token_too() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let good = guarded.key.sign(&claims("bo", &["reader"], &["*"]));
        let (client, token_requests) = client_with_expired_token(&guarded, Some(good)).await;
        let list = async || client.services().await.unwrap().terms().list_terms(ListTermsRequest {}).await;
        assert_eq!(list().await.unwrap_err().code(), Code::Unauthenticated);
        for _ in 0..2 {
            assert_eq!(list().await.unwrap().into_inner().terms.len(), 2);
        }
        assert_eq!(token_requests.load(Ordering::Relaxed), 2);
    });
}

/// A client whose first token has expired. Each later token is `renewed`; if that is `None`, the issuer fails. Also
/// returns the number of tokens that the client has asked for.
async fn client_with_expired_token(guarded: &Guarded, renewed: Option<String>) -> (Client, Arc<AtomicUsize>) {
    let mut old = claims("bo", &["case-officer"], &["*"]);
    old["exp"] = serde_json::json!(1_600_000_000);
    let expired = guarded.key.sign(&old);
    let token_requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&token_requests);
    let tokens = move || {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        let token = if first { Some(expired.clone()) } else { renewed.clone() };
        async move { token.ok_or_else(|| "the issuer is away".into()) }
    };
    let authority = std::fs::read(guarded.path("ca.pem")).unwrap();
    (Client::to(guarded.url()).authority(authority).tokens(tokens).connect().await.unwrap(), token_requests)
}
