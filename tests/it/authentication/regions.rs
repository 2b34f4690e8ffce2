//! Regions: for every method, an item outside the caller's regions does not exist.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost::bytes::Bytes;
use tonic::Code;
use tonic::transport::Channel;
use tsio::proto::{
    AcceptOfferRequest, Acceptor, AssignOfferRequest, BatchGetOffersRequest, BookDaysRequest, CancelBookingRequest,
    CheckAwardRequest, CloseOfferRequest, ContactOffersRequest, ContactedOffer, CorrectContactRequest,
    CorrectOfferDateRequest, CreateAwardsRequest, DecideEntryRequest, DeclineOfferRequest, DeclineReason,
    DrawAwardRequest, EntryPosition, ExplainEligibilityRequest, ExplainEligibilityResponse, GetAwardRequest,
    GetFundPositionRequest, GetFundRequest, GetOfferRequest, IdentifyOffersRequest, IdentifyOffersResponse,
    ListAwardsRequest, ListAwardsResponse, ListFundsRequest, ListFundsResponse, ListOfferEventsRequest,
    ListOffersRequest, ListOffersResponse, Milestone, NoteOfferRequest, Outcome, Party, ReleaseAwardRequest,
    StartOfferRequest, explain_eligibility_request::Subject,
};
use uuid::Uuid;

use super::{as_role, call, refusal_of};
use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both};
use crate::money::nle;

both!(
    an_item_of_another_region_does_not_exist,
    lists_have_only_items_that_the_caller_may_see,
    a_stored_answer_is_repeated_only_to_a_caller_who_may_see_it,
    identify_makes_offers_in_the_callers_regions,
);

/// A region other than this one.
fn other_region(region: &str) -> &'static str {
    if region == "South-West England" { "West Midlands" } else { "South-West England" }
}

/// A method, a role that may call it, and an encoded message with the id of an item.
type CallWithId = (&'static str, &'static str, Vec<u8>);

fn row(method: &'static str, role: &'static str, message: impl Message) -> CallWithId {
    (method, role, message.encode_to_vec())
}

/// A call of each method that names an offer, an award, a fund or a school by its id.
fn calls_with_ids(offer: &str, award: &str, fund: &str, urn: i32) -> Vec<CallWithId> {
    let mut all = calls_with_offer(offer);
    all.extend(calls_with_award(award));
    let fund = || fund.to_owned();
    all.push(row("FundService/GetFund", "reader", GetFundRequest { fund: fund() }));
    let position = GetFundPositionRequest { fund: fund(), ..Default::default() };
    all.push(row("FundService/GetFundPosition", "reader", position));
    let (request_id, programme, reason) = (fresh(), YEAR.to_owned(), "x".to_owned());
    let position = EntryPosition::Met.into();
    let decide = DecideEntryRequest { request_id, programme, urn, position, reason, validate_only: false };
    all.push(row("EligibilityService/DecideEntry", "case-officer", decide));
    all
}

#[rustfmt::skip]
fn calls_with_offer(offer: &str) -> Vec<CallWithId> {
    let (officer, reader, request_id) = ("case-officer", "reader", fresh());
    let (id, offer, awards) = (|| request_id.clone(), || offer.to_owned(), || vec![nle(1)]);
    let offers = vec![ContactedOffer { offer: offer(), ..Default::default() }];
    let (party, date) = (Party::ResponsibleBody.into(), "2021-10-04".to_owned());
    vec![
        row("OfferService/GetOffer", reader, GetOfferRequest { offer: offer(), ..Default::default() }),
        row("OfferService/BatchGetOffers", reader, BatchGetOffersRequest { offers: vec![offer()], ..Default::default() }),
        row("OfferService/ListOfferEvents", reader, ListOfferEventsRequest { offer: offer(), ..Default::default() }),
        row("OfferService/ContactOffers", officer, ContactOffersRequest { request_id: id(), offers, party, date, ..Default::default() }),
        row("OfferService/CorrectContact", officer, CorrectContactRequest { request_id: id(), offer: offer(), contact: 1, ..Default::default() }),
        row("OfferService/CorrectOfferDate", officer, CorrectOfferDateRequest { request_id: id(), offer: offer(), milestone: Milestone::Accepted.into(), date: "2021-10-04".to_owned(), reason: "x".to_owned(), ..Default::default() }),
        row("OfferService/AcceptOffer", officer, AcceptOfferRequest { request_id: id(), offer: offer(), acceptor: Acceptor::School.into(), ..Default::default() }),
        row("OfferService/DeclineOffer", officer, DeclineOfferRequest { request_id: id(), offer: offer(), reason: DeclineReason::NoCapacity.into(), ..Default::default() }),
        row("OfferService/StartOffer", officer, StartOfferRequest { request_id: id(), offer: offer(), ..Default::default() }),
        row("OfferService/CloseOffer", officer, CloseOfferRequest { request_id: id(), offer: offer(), outcome: Outcome::Withdrawn.into(), ..Default::default() }),
        row("OfferService/AssignOffer", officer, AssignOfferRequest { request_id: id(), offer: offer(), assignee: "someone".to_owned(), ..Default::default() }),
        row("OfferService/NoteOffer", "regional-director", NoteOfferRequest { request_id: id(), offer: offer(), text: "x".to_owned(), ..Default::default() }),
        row("AwardService/CreateAwards", officer, CreateAwardsRequest { request_id: id(), offer: offer(), awards: awards(), ..Default::default() }),
        row("AwardService/CheckAward", officer, CheckAwardRequest { offer: offer(), awards: awards(), ..Default::default() }),
        row("AwardService/ListAwards", reader, ListAwardsRequest { offer: offer(), ..Default::default() }),
    ]
}

#[rustfmt::skip]
fn calls_with_award(award: &str) -> Vec<CallWithId> {
    let (partner, request_id) = ("delivery-partner", fresh());
    let (id, award, date) = (|| request_id.clone(), || award.to_owned(), || "2021-11-15".to_owned());
    vec![
        row("AwardService/GetAward", "reader", GetAwardRequest { award: award() }),
        row("AwardService/BookDays", partner, BookDaysRequest { request_id: id(), award: award(), half_days: 1, date: date(), ..Default::default() }),
        row("AwardService/CancelBooking", partner, CancelBookingRequest { request_id: id(), award: award(), booking: 1, ..Default::default() }),
        row("AwardService/DrawAward", partner, DrawAwardRequest { request_id: id(), award: award(), booking: 1, date: date(), ..Default::default() }),
        row("AwardService/ReleaseAward", "case-officer", ReleaseAwardRequest { request_id: id(), award: award(), ..Default::default() }),
    ]
}

async fn an_item_of_another_region_does_not_exist(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.into_iter().next().unwrap();
    client.accept_offer(&offer).await;
    let award = client.create_award(&offer.offer, nle(2)).await;
    let fund = client.create_fund(YEAR, "credit", &offer.region).await;
    let before =
        (client.offer_details(&offer.offer).await, client.fund(&fund).await, client.events(&offer.offer).await);
    let channel = client.channel();
    let (other, absent_id) = (other_region(&offer.region), Uuid::new_v4().to_string());
    let (urn, absent_urn) = (offer.schools[0].urn, 123_456);
    let absent_calls = calls_with_ids(&absent_id, &absent_id, &absent_id, absent_urn);
    for ((method, role, message), (_, _, absent_message)) in
        calls_with_ids(&offer.offer, &award, &fund, urn).into_iter().zip(absent_calls)
    {
        let ask = async |bytes: Vec<u8>| {
            let request = as_role(role, Some(other), ()).map(|_| Bytes::from(bytes));
            call(&channel, method, request).await.unwrap_err()
        };
        let hidden = ask(message).await;
        assert_eq!(refusal_of(&hidden), (Code::NotFound, "NOT_FOUND".to_owned()), "{method}: {hidden}");
        // The message is the same as for an item that has never existed.
        let absent = ask(absent_message).await;
        let neutral = |text: &str| {
            let ids = [&offer.offer, &award, &fund, &absent_id, &urn.to_string(), &absent_urn.to_string()];
            ids.iter().fold(text.to_owned(), |it, id| it.replace(id.as_str(), "ID"))
        };
        assert_eq!(neutral(hidden.message()), neutral(absent.message()), "{method}");
    }
    let after = (client.offer_details(&offer.offer).await, client.fund(&fund).await, client.events(&offer.offer).await);
    assert_eq!(after, before, "a refused call changed something");
    // A caller of the item's region finds it by the same calls. The offer is not assigned to the delivery partner.
    for (method, role, message) in calls_with_ids(&offer.offer, &award, &fund, urn) {
        if role != "delivery-partner" {
            let request = as_role(role, Some(&offer.region), ()).map(|_| Bytes::from(message));
            let code = call(&channel, method, request).await.err().map(|it| it.code());
            assert_ne!(code, Some(Code::NotFound), "{method}");
        }
    }
}

async fn offers_seen(channel: &Channel, role: &str, regions: Option<&str>) -> Vec<String> {
    let request = ListOffersRequest { programme: YEAR.to_owned(), page_size: 500, ..Default::default() };
    let answer = call(channel, "OfferService/ListOffers", as_role(role, regions, request)).await.unwrap();
    ListOffersResponse::decode(answer[0].clone()).unwrap().offers.into_iter().map(|it| it.offer).collect()
}

async fn lists_have_only_items_that_the_caller_may_see(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let channel = client.channel();
    let mut by_region: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for offer in &offers {
        by_region.entry(offer.region.clone()).or_default().push(offer.offer.clone());
    }
    assert!(by_region.len() > 2, "the samples have offers in too few regions");
    for (region, expected) in &by_region {
        for role in ["reader", "case-officer", "regional-director"] {
            assert_eq!(offers_seen(&channel, role, Some(region)).await, *expected, "{role} of {region}");
        }
    }
    let everything: Vec<String> = offers.iter().map(|it| it.offer.clone()).collect();
    for role in ["finance", "finance-approver", "administrator"] {
        assert_eq!(offers_seen(&channel, role, Some("")).await, everything, "{role} sees all regions");
    }
    let regions: Vec<&String> = by_region.keys().take(2).collect();
    let both = offers_seen(&channel, "reader", Some(&format!("{};{}", regions[0], regions[1]))).await;
    assert_eq!(both.len(), by_region[regions[0]].len() + by_region[regions[1]].len());
    assert_eq!(offers_seen(&channel, "reader", Some("")).await, Vec::<String>::new());
    // A delivery partner sees the offers assigned to it in any region, and their awards, but no funds. The actor of all
    // these calls is `someone`. For readers, awards, funds and explanations also depend on the region of the offer. The
    // filters are true for every item, and must not show more of them.
    let own = &offers[4];
    assert_eq!(offers_seen(&channel, "delivery-partner", None).await, Vec::<String>::new());
    client.assign(&own.offer, "someone", &fresh()).await.unwrap();
    assert_eq!(offers_seen(&channel, "delivery-partner", None).await, std::slice::from_ref(&own.offer));
    client.accept_offer(own).await;
    client.create_award(&own.offer, nle(1)).await;
    let awards = async |role: &str, regions: &str| {
        let filter = "state = OPEN OR state = SETTLED".to_owned();
        let request = ListAwardsRequest { programme: YEAR.to_owned(), filter, ..Default::default() };
        let answer = call(&channel, "AwardService/ListAwards", as_role(role, Some(regions), request)).await.unwrap();
        ListAwardsResponse::decode(answer[0].clone()).unwrap().awards.len()
    };
    assert_eq!(awards("delivery-partner", "").await, 1);
    assert_eq!((awards("reader", &own.region).await, awards("reader", other_region(&own.region)).await), (1, 0));
    client.create_fund(YEAR, "credit", &own.region).await;
    let funds = async |role: &str, regions: &str| {
        let filter = "binds = true OR binds = false".to_owned();
        let request = ListFundsRequest { programme: YEAR.to_owned(), filter, ..Default::default() };
        let answer = call(&channel, "FundService/ListFunds", as_role(role, Some(regions), request)).await.unwrap();
        let regions = ListFundsResponse::decode(answer[0].clone()).unwrap().funds.into_iter().map(|it| it.region);
        regions.collect::<BTreeSet<_>>()
    };
    assert!(funds("reader", &own.region).await.contains(&own.region));
    assert_eq!(
        funds("reader", other_region(&own.region)).await,
        BTreeSet::from([String::new()]),
        "national funds alone"
    );
    assert_eq!(funds("delivery-partner", "").await, BTreeSet::new());
    let on_offer = async |regions: &str| {
        let subject = Some(Subject::Urn(own.schools[0].urn));
        let request = ExplainEligibilityRequest { programme: YEAR.to_owned(), subject };
        let answer = call(&channel, "EligibilityService/ExplainEligibility", as_role("reader", Some(regions), request));
        ExplainEligibilityResponse::decode(answer.await.unwrap()[0].clone()).unwrap().schools[0].offer.clone()
    };
    assert_eq!(
        (on_offer(&own.region).await, on_offer(other_region(&own.region)).await),
        (own.offer.clone(), String::new())
    );
}

async fn a_stored_answer_is_repeated_only_to_a_caller_who_may_see_it(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.into_iter().next().unwrap();
    let channel = client.channel();
    let (request_id, text, etag) = (fresh(), "x".to_owned(), String::new());
    let note = NoteOfferRequest { request_id, offer: offer.offer.clone(), text, etag, ..Default::default() };
    let ask = async |role: &str, regions: &str| {
        call(&channel, "OfferService/NoteOffer", as_role(role, Some(regions), note.clone()))
            .await
            .map_err(|it| it.code())
    };
    let first = ask("case-officer", &offer.region).await.unwrap();
    assert_eq!(ask("case-officer", other_region(&offer.region)).await, Err(Code::NotFound));
    assert_eq!(ask("reader", &offer.region).await, Err(Code::PermissionDenied));
    assert_eq!(ask("regional-director", &offer.region).await, Ok(first));
    assert_eq!(client.times_recorded(&offer.offer, &note.request_id).await, 1);
}

async fn identify_makes_offers_in_the_callers_regions(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.import_august().await;
    let channel = client.channel();
    let identify = async |regions: Option<&str>| {
        let request = IdentifyOffersRequest { request_id: fresh(), programme: YEAR.to_owned(), validate_only: false };
        let answer = call(&channel, "OfferService/IdentifyOffers", as_role("case-officer", regions, request)).await;
        let answer = IdentifyOffersResponse::decode(answer.unwrap()[0].clone()).unwrap();
        (answer.created, answer.already_open)
    };
    let (region, before) = ("West Midlands", offers_seen(&channel, "reader", None).await.len());
    let (made, already_open) = identify(Some(region)).await;
    assert!(made > 0 && made < 19 && already_open == 0 && before == 0, "{made} of 19");
    assert!(client.list(YEAR).await.iter().all(|it| it.region == region));
    assert_eq!(identify(Some(region)).await, (0, made));
    assert_eq!(identify(None).await, (19 - made, made), "a caller of all regions makes the other offers, each once");
}
