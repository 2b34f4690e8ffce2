//! Makes the requests of an offer and its money, from the contact to the claim. Each request has a new request id.

use tsio_client::proto::{
    AcceptOfferRequest, Acceptor, AllocateFundRequest, ContactOffersRequest, ContactedOffer, CreateAwardsRequest,
    CreateFundRequest, CreditSupport, DrawAwardRequest, NewAward, Party, StartOfferRequest, draw_award_request,
    new_award,
};
use uuid::Uuid;

/// Makes a new request id.
#[must_use]
pub fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// Makes a request that records a contact with one party of these offers.
pub fn contact<'a>(offers: impl IntoIterator<Item = &'a str>, party: Party, date: &str) -> ContactOffersRequest {
    let offers = offers.into_iter().map(|offer| ContactedOffer { offer: offer.to_owned(), ..Default::default() });
    let (request_id, offers, date) = (fresh(), offers.collect(), date.to_owned());
    ContactOffersRequest { request_id, offers, party: party.into(), date, ..Default::default() }
}

/// Makes a request that accepts an offer.
#[must_use]
pub fn accept(offer: &str, acceptor: Acceptor, date: &str) -> AcceptOfferRequest {
    let (request_id, offer, date) = (fresh(), offer.to_owned(), date.to_owned());
    AcceptOfferRequest { request_id, offer, acceptor: acceptor.into(), date, ..Default::default() }
}

/// Makes a request that starts the delivery of an offer.
#[must_use]
pub fn start(offer: &str, date: &str) -> StartOfferRequest {
    let (request_id, offer, date) = (fresh(), offer.to_owned(), date.to_owned());
    StartOfferRequest { request_id, offer, date, ..Default::default() }
}

/// Makes a request that creates a fund of a programme for one strand. The fund is national if the region is empty.
#[must_use]
pub fn fund(programme: &str, strand: &str, region: &str) -> CreateFundRequest {
    let (programme, strand, region) = (programme.to_owned(), strand.to_owned(), region.to_owned());
    CreateFundRequest { request_id: fresh(), programme, strand, region, validate_only: false }
}

/// Makes a request that allocates money to a fund.
#[must_use]
pub fn allocate(fund: &str, amount_pence: i64, date: &str) -> AllocateFundRequest {
    let (request_id, fund, date) = (fresh(), fund.to_owned(), date.to_owned());
    AllocateFundRequest { request_id, fund, amount_pence, date, ..Default::default() }
}

/// Makes a request that creates awards under an offer.
#[must_use]
pub fn award(offer: &str, awards: Vec<NewAward>, date: &str) -> CreateAwardsRequest {
    let (request_id, offer, date) = (fresh(), offer.to_owned(), date.to_owned());
    CreateAwardsRequest { request_id, offer, awards, date, ..Default::default() }
}

/// Makes a new award of credit, with the UID of the partner trust.
#[must_use]
pub fn credit(partner_uid: i32, pence: i64, suitable_because: &str) -> NewAward {
    let suitable_because = suitable_because.to_owned();
    NewAward {
        amount: Some(new_award::Amount::AmountPence(pence)),
        support: Some(new_award::Support::Credit(CreditSupport { partner_uid, suitable_because })),
    }
}

/// Makes a request that draws from an award.
#[must_use]
pub fn draw(award: &str, amount: draw_award_request::Amount, date: &str) -> DrawAwardRequest {
    let (request_id, award, date) = (fresh(), award.to_owned(), date.to_owned());
    DrawAwardRequest { request_id, award, amount: Some(amount), date, ..Default::default() }
}
