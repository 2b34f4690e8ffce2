//! Imports and changes of offers run concurrently. Each is carried out, and no reader sees a part of an import.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Request;
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{IdentifyOffersRequest, NoteOfferRequest, SummariseEligibilityRequest};
use uuid::Uuid;

use super::harness::{Db, Server, both};
use super::samples::{SEPTEMBER, SEPTEMBER_CORRECTED, import, import_args, offer_id, run_ok, start_with_august, text};

both!(imports_and_offers_at_once);

/// How many times a file is replaced.
const IMPORTS: usize = 20;

/// Two files of the same date replace each other in turns, while other callers preview identify, count schools and
/// write notes. With the file of September, 31 schools are eligible and 3 recipients have no offer. With the corrected
/// file, these numbers are 32 and 4. No other answer is right.
async fn imports_and_offers_at_once(db: Db) {
    let server = start_with_august(&db);
    let first = text(&import(&server, SEPTEMBER), "import_id");
    let offer = offer_id(&server, 910_001);
    let stopped = Arc::new(AtomicBool::new(false));
    let checks = tokio::spawn(check_counts(server.url(), Arc::clone(&stopped)));
    let notes = tokio::spawn(annotate(server.url(), offer.clone(), Arc::clone(&stopped)));
    tokio::task::block_in_place(|| replace_in_turns(&server, first));
    stopped.store(true, Ordering::SeqCst);
    let (checks, notes) = (checks.await.unwrap(), notes.await.unwrap());
    assert!(checks > 0 && notes > 0, "{checks} checks and {notes} notes");
    let events = run_ok(&server, &["offers", "events", &offer]);
    assert_eq!(events.as_array().unwrap().iter().filter(|it| it["kind"] == "noted").count(), notes);
    assert_eq!(run_ok(&server, &["eligibility", "summary"])["eligible_schools"], 31, "the last file was September's");
    super::samples::verify_ok(&db);
}

/// Replaces the current import with each of the two files in turn. The last one is the file of September.
fn replace_in_turns(server: &Server, mut current_import: String) {
    for index in 0..IMPORTS {
        let words = import_args(if index % 2 == 0 { SEPTEMBER_CORRECTED } else { SEPTEMBER });
        let words = [&words.each_ref().map(String::as_str)[..], &["--replaces", &current_import]].concat();
        let replaced = run_ok(server, &words);
        assert_eq!(
            (&replaced[0]["accepted"], &replaced[0]["replaced"]),
            (&58.into(), &current_import.into()),
            "{replaced}"
        );
        current_import = text(&replaced[0], "import_id");
    }
}

/// Checks that answers agree with one of the two files, until it is stopped. Returns the number of checks.
async fn check_counts(url: String, stopped: Arc<AtomicBool>) -> usize {
    let mut offers = OfferServiceClient::connect(url.clone()).await.unwrap();
    let mut eligibility = EligibilityServiceClient::connect(url).await.unwrap();
    let mut checks = 0;
    while !stopped.load(Ordering::SeqCst) {
        let request_id = Uuid::new_v4().to_string();
        let identify = IdentifyOffersRequest { request_id, programme: "2021-22".to_owned(), validate_only: true };
        let preview = offers.identify_offers(by_officer(identify)).await.unwrap().into_inner();
        let seen =
            (preview.created, preview.updated, preview.already_open, preview.blocked.len(), preview.unplaced.len());
        assert!([(3, 0, 18, 0, 5), (4, 0, 18, 0, 5)].contains(&seen), "half an import: {seen:?}");
        let count = SummariseEligibilityRequest { programme: "2021-22".to_owned() };
        let summary = eligibility.summarise_eligibility(by_officer(count)).await.unwrap().into_inner();
        let seen = (
            summary.schools,
            summary.eligible_schools,
            summary.standalone_schools,
            summary.standalone_maintained,
            summary.unknown,
        );
        assert!([(76, 31, 16, 13, 3), (76, 32, 17, 14, 3)].contains(&seen), "half an import: {seen:?}");
        checks += 1;
    }
    checks
}

/// Writes notes on an offer until it is stopped. Returns the number of notes.
async fn annotate(url: String, offer: String, stopped: Arc<AtomicBool>) -> usize {
    let mut client = OfferServiceClient::connect(url).await.unwrap();
    let mut notes = 0;
    while !stopped.load(Ordering::SeqCst) {
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
