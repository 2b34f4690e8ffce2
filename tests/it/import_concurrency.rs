//! Imports and offers at the same time: each is carried out, and nobody ever sees half of an import.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Request;
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{IdentifyOffersRequest, NoteOfferRequest, SummariseEligibilityRequest};
use uuid::Uuid;

use super::harness::{Db, Server, both};
use super::samples::{SEPTEMBER, SEPTEMBER_CORRECTED, august, done, import, offer_id, text, words};

both!(imports_and_offers_at_once);

const IMPORTS: usize = 20;

/// Two files of one size and one date take turns, while others identify, count and write notes. With September's file
/// 31 are eligible and 3 have no offer yet; with the corrected one 32, and 4. There is nothing between.
async fn imports_and_offers_at_once(db: Db) {
    let server = august(&db);
    let first = text(&import(&server, SEPTEMBER), "import_id");
    let offer = offer_id(&server, 910_001);
    let ended = Arc::new(AtomicBool::new(false));
    let looks = tokio::spawn(look(server.url(), Arc::clone(&ended)));
    let notes = tokio::spawn(annotate(server.url(), offer.clone(), Arc::clone(&ended)));
    tokio::task::block_in_place(|| take_turns(&server, first));
    ended.store(true, Ordering::SeqCst);
    let (looks, notes) = (looks.await.unwrap(), notes.await.unwrap());
    assert!(looks > 0 && notes > 0, "{looks} looks and {notes} notes");
    let events = done(&server, &["offers", "events", &offer]);
    assert_eq!(events.as_array().unwrap().iter().filter(|it| it["kind"] == "noted").count(), notes);
    assert_eq!(done(&server, &["eligibility", "summary"])["eligible_schools"], 31, "the last to land was September's");
    super::samples::verified(&db);
}

fn take_turns(server: &Server, mut counting: String) {
    for turn in 0..IMPORTS {
        let words = words(if turn % 2 == 0 { SEPTEMBER_CORRECTED } else { SEPTEMBER });
        let words = [&words.each_ref().map(String::as_str)[..], &["--replaces", &counting]].concat();
        let landed = done(server, &words);
        assert_eq!((&landed[0]["accepted"], &landed[0]["replaced"]), (&58.into(), &counting.into()), "{landed}");
        counting = text(&landed[0], "import_id");
    }
}

async fn look(url: String, ended: Arc<AtomicBool>) -> usize {
    let mut offers = OfferServiceClient::connect(url.clone()).await.unwrap();
    let mut eligibility = EligibilityServiceClient::connect(url).await.unwrap();
    let mut looks = 0;
    while !ended.load(Ordering::SeqCst) {
        let request_id = Uuid::new_v4().to_string();
        let identify = IdentifyOffersRequest { request_id, programme: "2021-22".to_owned(), validate_only: true };
        let would = offers.identify_offers(by_officer(identify)).await.unwrap().into_inner();
        let seen = (would.created, would.updated, would.already_open, would.blocked.len(), would.unplaced.len());
        assert!([(3, 0, 18, 0, 5), (4, 0, 18, 0, 5)].contains(&seen), "half an import: {seen:?}");
        let count = SummariseEligibilityRequest { programme: "2021-22".to_owned() };
        let it = eligibility.summarise_eligibility(by_officer(count)).await.unwrap().into_inner();
        let seen = (it.schools, it.eligible_schools, it.standalone_schools, it.standalone_maintained, it.unknown);
        assert!([(76, 31, 16, 13, 3), (76, 32, 17, 14, 3)].contains(&seen), "half an import: {seen:?}");
        looks += 1;
    }
    looks
}

async fn annotate(url: String, offer: String, ended: Arc<AtomicBool>) -> usize {
    let mut client = OfferServiceClient::connect(url).await.unwrap();
    let mut notes = 0;
    while !ended.load(Ordering::SeqCst) {
        let request_id = Uuid::new_v4().to_string();
        let note = NoteOfferRequest { request_id, offer: offer.clone(), text: "x".to_owned(), ..Default::default() };
        client.note_offer(by_officer(note)).await.unwrap();
        notes += 1;
    }
    notes
}

fn by_officer<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-tsio-actor", "a.officer".parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", "case-officer".parse().unwrap());
    request
}
