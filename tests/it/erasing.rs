//! Erasing a text is an event, which records who erased it, when and why. `tsio verify` names a text that was deleted
//! without such an event.

use serde_json::Value;
use tonic::{Code, Status};
use tsio::proto::record_service_client::RecordServiceClient;
use tsio::proto::watch_offers_response::Update;
use tsio::proto::{
    EraseTextRequest, EraseTextResponse, ErasureReason, ListOfferEventsRequest, OfferEvent, WatchOffersRequest,
};

use crate::client::{Client, YEAR, fresh, reason};
use crate::harness::{Db, Server, both};
use crate::raw_sql::{RawSql, verified_heads, verified_length, verify};
use crate::samples::run_ok;

both!(
    a_text_is_erased_and_the_record_says_so,
    erasing_without_a_text_is_refused,
    a_text_deleted_without_an_event_is_named,
);

/// Erases the text of the event with this sequence.
async fn erase(client: &Client, sequence: i64, request_id: &str) -> Result<EraseTextResponse, Status> {
    let request = EraseTextRequest {
        request_id: request_id.to_owned(),
        programme: YEAR.to_owned(),
        sequence,
        reason: ErasureReason::PersonalData.into(),
        validate_only: false,
    };
    let mut record = RecordServiceClient::new(client.channel());
    record.erase_text(client.ask(request)).await.map(tonic::Response::into_inner)
}

async fn events(client: &Client, offer: &str) -> Vec<OfferEvent> {
    let list = ListOfferEventsRequest { offer: offer.to_owned(), ..Default::default() };
    client.offers().list_offer_events(client.ask(list)).await.unwrap().into_inner().events
}

/// Makes offers and writes a note on one. Returns the id of that offer, and the sequence of the note's event.
async fn write_note(client: &Client) -> (String, i64) {
    let offer = client.seed().await.remove(0).offer;
    client.note(&offer, "rang Jo Bloggs", &fresh()).await.unwrap();
    let sequence = events(client, &offer).await.last().unwrap().sequence;
    (offer, sequence)
}

async fn a_text_is_erased_and_the_record_says_so(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (offer, note) = write_note(&client).await;
    let all = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
    let mut watch = client.offers().watch_offers(client.ask(all)).await.unwrap().into_inner();
    let texts = format!("SELECT COUNT(*) FROM texts WHERE programme = '{YEAR}' AND seq = {note}");
    let mut raw_sql = RawSql::of(&db).await;
    assert_eq!(raw_sql.number(&texts).await, 1);
    let etag = client.offer(&offer).await.etag;

    let id = fresh();
    let erased = erase(&client, note, &id).await.unwrap();
    assert_eq!((erased.programme.as_str(), erased.sequence), (YEAR, note));
    assert_eq!(raw_sql.number(&texts).await, 0, "text and salt are gone");
    assert_eq!(erase(&client, note, &id).await.unwrap(), erased, "the repeated request gets the same answer");
    assert_eq!(client.offer(&offer).await.etag, etag, "erasing a text does not change the offer");

    let events = events(&client, &offer).await;
    let [.., of_note, last] = &events[..] else { panic!("{events:?}") };
    assert_eq!((of_note.text.as_str(), of_note.text_erased), ("", true));
    assert_eq!((last.kind.as_str(), last.reason_code.as_str()), ("text_erased", "personal_data"));
    assert!(!last.text_erased, "the event of the erasure has never had a text");
    assert_eq!(serde_json::from_str::<Value>(&last.body_json).unwrap()["event"], note);
    assert_eq!((last.sequence, last.actor.is_empty()), (note + 1, false), "one event for both requests");
    // A watcher gets the sequence of the erased text.
    let change = loop {
        if let Some(Update::Change(change)) = watch.message().await.unwrap().unwrap().update {
            break change.event.unwrap();
        }
    };
    assert_eq!((change.kind.as_str(), change.hash.as_str()), ("text_erased", last.hash.as_str()));
    assert_eq!(run_ok(&server, &["offers", "events", &offer])[1]["text_erased"], true);
    assert_eq!(verified_length(&db), last.sequence);
}

async fn erasing_without_a_text_is_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (offer, note) = write_note(&client).await;
    client.assign(&offer, "ann", &fresh()).await.unwrap();
    erase(&client, note, &fresh()).await.unwrap();
    let code_and_reason = |status: Status| (status.code(), reason(&status));
    let precondition = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    assert_eq!(code_and_reason(erase(&client, note, &fresh()).await.unwrap_err()), precondition("TEXT_ERASED"));
    assert_eq!(code_and_reason(erase(&client, note + 1, &fresh()).await.unwrap_err()), precondition("NO_TEXT"));
    assert_eq!(erase(&client, 9_999, &fresh()).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(erase(&client, 0, &fresh()).await.unwrap_err().code(), Code::InvalidArgument);
    verified_heads(&db);
}

/// Checks that `tsio verify` reports this difference.
fn assert_named(db: &Db, difference: &str) {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 1);
    let differences = reports[0]["differences"].as_array().unwrap();
    assert!(differences.iter().any(|it| it.as_str().unwrap().contains(difference)), "{difference}: {differences:#?}");
}

async fn a_text_deleted_without_an_event_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (_, note) = write_note(&client).await;
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.run("CREATE TABLE my_copy AS SELECT * FROM texts").await.unwrap();
    raw_sql.run(&format!("DELETE FROM texts WHERE seq = {note}")).await.unwrap();
    assert_named(&db, &format!("event {note}: its text is not there, and no event erased it"));
    // The deletion can be recorded as an erasure afterwards.
    erase(&client, note, &fresh()).await.unwrap();
    verified_heads(&db);
    raw_sql.run("INSERT INTO texts SELECT * FROM my_copy").await.unwrap();
    assert_named(&db, &format!("event {note}: its text was erased, and is there"));
}
