//! A change with a stale etag is refused as a whole. A preview returns the answer that the call would get, and writes
//! nothing.

use tonic::{Code, Response};
use tsio::proto::{
    AcceptOfferRequest, Acceptor, AssignOfferRequest, ChangeOfferRegionRequest, CloseOfferRequest,
    CorrectContactRequest, CorrectOfferDateRequest, DeclineOfferRequest, DeclineReason, IdentifyOffersRequest,
    Milestone, Offer, Outcome, Party, StartOfferRequest,
};

use crate::client::{Client, YEAR, comparable, contact, fresh, offer_of_school, reason};
use crate::harness::{Db, Server, both};
use crate::raw_sql::{verified_heads, verified_length};

both!(
    a_stale_etag_changes_nothing,
    a_contact_with_several_offers_is_all_or_none,
    a_preview_of_identify_writes_nothing,
    a_preview_of_each_change_writes_nothing,
    a_text_that_no_database_can_store_is_a_field_violation,
);

async fn a_stale_etag_changes_nothing(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let first = client.seed().await.remove(0);
    let assign = |etag: &str| {
        let (offer, assignee, etag) = (first.offer.clone(), "ann".to_owned(), etag.to_owned());
        client.ask(AssignOfferRequest { request_id: fresh(), offer, assignee, etag, validate_only: false })
    };
    let first_contact = contact(Party::ResponsibleBody, &[&first], &fresh());
    let now = client.offers().contact_offers(client.ask(first_contact)).await.unwrap().into_inner().offers.remove(0);
    assert_ne!(now.etag, first.etag);
    let heads = verified_heads(&db);
    let stale = client.offers().assign_offer(assign(&first.etag)).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "ETAG_STALE"));
    assert_eq!(verified_heads(&db), heads);
    assert_eq!(client.offer(&now.offer).await, now);
    client.offers().assign_offer(assign(&now.etag)).await.unwrap();
    assert_eq!(client.offer(&now.offer).await.assignee, "ann");
}

async fn a_contact_with_several_offers_is_all_or_none(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (one, two, closed) = (&offers[0], &offers[1], &offers[2]);
    let close = CloseOfferRequest {
        request_id: fresh(),
        offer: closed.offer.clone(),
        outcome: Outcome::Withdrawn.into(),
        ..Default::default()
    };
    client.offers().close_offer(client.ask(close)).await.unwrap();
    let heads = verified_heads(&db);
    let mut two_contacts = contact(Party::ResponsibleBody, &[one, two], &fresh());
    two_contacts.offers[0].etag = one.etag.clone();
    two_contacts.offers[1].etag = "of-long-ago".to_owned();
    let status = client.offers().contact_offers(client.ask(two_contacts.clone())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_STALE"));
    let one_closed = contact(Party::ResponsibleBody, &[one, two, closed], &fresh());
    let status = client.offers().contact_offers(client.ask(one_closed)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "STATE_NOT_ALLOWED"));
    assert_eq!(verified_heads(&db), heads);
    two_contacts.offers[1].etag = two.etag.clone();
    let answer = client.offers().contact_offers(client.ask(two_contacts)).await.unwrap().into_inner();
    assert!(answer.offers.iter().all(|it| it.contacts.len() == 1));
    assert_eq!(verified_length(&db), heads[0].sequence + 2, "one event for each offer");
}

/// Previews a call, and then makes the call under the same id. Checks that the preview writes nothing and that both
/// answers are equal. Returns the answer of the call.
macro_rules! previewed {
    ($db:expr, $client:expr, $rpc:ident, $message:expr) => {{
        let mut message = $message;
        message.request_id = fresh();
        let heads = verified_heads($db);
        message.validate_only = true;
        let preview = $client.offers().$rpc($client.ask(message.clone())).await.map(Response::into_inner);
        assert_eq!(verified_heads($db), heads, stringify!($rpc));
        message.validate_only = false;
        let real = $client.offers().$rpc($client.ask(message)).await.map(Response::into_inner);
        assert_eq!(comparable(preview), comparable(real.clone()), stringify!($rpc));
        real
    }};
}

async fn a_preview_of_identify_writes_nothing(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.import_august().await;
    let message = IdentifyOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
    let answer = previewed!(&db, client, identify_offers, message.clone()).unwrap();
    assert_eq!((answer.created, answer.unplaced.len(), answer.judged_at_sequence), (19, 4, 1));
    let again = previewed!(&db, client, identify_offers, message).unwrap();
    assert_eq!((again.created, again.already_open, again.judged_at_sequence), (0, 19, 20));
}

async fn a_preview_of_each_change_writes_nothing(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    let others: Vec<&Offer> = offers.iter().filter(|it| it.offer != school.offer).collect();
    let (offer, date) = (school.offer.clone(), "2021-09-20".to_owned());

    let early = previewed!(&db, client, contact_offers, contact(Party::School, &[school], ""));
    assert_eq!(reason(&early.unwrap_err()), "CONTACT_MISSING");
    previewed!(&db, client, contact_offers, contact(Party::ResponsibleBody, &[school, others[0]], "")).unwrap();
    previewed!(&db, client, contact_offers, contact(Party::School, &[school], "")).unwrap();

    let mistaken = client.offer(&others[0].offer).await;
    let correct = CorrectContactRequest {
        offer: mistaken.offer.clone(),
        contact: mistaken.contacts[0].contact,
        note: "another school was meant".to_owned(),
        ..Default::default()
    };
    previewed!(&db, client, correct_contact, correct).unwrap();

    let by = Acceptor::School.into();
    let accept = AcceptOfferRequest { offer: offer.clone(), acceptor: by, date: date.clone(), ..Default::default() };
    previewed!(&db, client, accept_offer, accept).unwrap();
    let correct = CorrectOfferDateRequest {
        offer: offer.clone(),
        milestone: Milestone::Accepted.into(),
        date: date.clone(),
        reason: "letter".to_owned(),
        ..Default::default()
    };
    previewed!(&db, client, correct_offer_date, correct).unwrap();
    let start = StartOfferRequest { offer: offer.clone(), date: date.clone(), ..Default::default() };
    assert_eq!(reason(&previewed!(&db, client, start_offer, start).unwrap_err()), "AWARD_MISSING");

    let assign = AssignOfferRequest { offer: offer.clone(), assignee: "ann".to_owned(), ..Default::default() };
    assert_eq!(previewed!(&db, client, assign_offer, assign).unwrap().offer.unwrap().assignee, "ann");
    let elsewhere = others.iter().find(|it| it.region != school.region).unwrap();
    let region = elsewhere.region.clone();
    let moved = ChangeOfferRegionRequest { offer: offer.clone(), region, ..Default::default() };
    previewed!(&db, client, change_offer_region, moved).unwrap();

    let not_wanted = DeclineReason::NotWanted.into();
    let decline = DeclineOfferRequest { offer, reason: not_wanted, date, ..Default::default() };
    previewed!(&db, client, decline_offer, decline).unwrap();
    let outcome = Outcome::Withdrawn.into();
    let close = CloseOfferRequest { offer: others[1].offer.clone(), outcome, ..Default::default() };
    previewed!(&db, client, close_offer, close).unwrap();
    // One event adopts the rules, and 19 make offers. The real calls write ten: contacts with two offers and with one,
    // a corrected contact, an acceptance, a corrected date, an assignment, another region, a decline and a close.
    assert_eq!(verified_length(&db), 1 + 19 + 10);
}

async fn a_text_that_no_database_can_store_is_a_field_violation(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let refused = client.note(&offer, "a\0b", &fresh()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
    client.note(&offer, "fine", &fresh()).await.unwrap();
    server.stop();
}
