//! Offers, their schools and contacts.

use super::{awards, funds};
use crate::cli::json::{self, Json, Object};
use crate::cli::names::{instant, word};
use crate::cli::output::{TableColumn, field_lines, number, parts, table, table_of_some};
use crate::proto::{Cap, Contact, GetOfferResponse, Offer, OfferSchool};

/// The fields that only a single offer shows, not a list.
const DETAIL: [&str; 6] = ["trust_uid", "responsible_body", "terms_sha256", "create_time", "schools", "contacts"];

/// An offer in a list, as json.
pub(in crate::cli) fn row_json(it: &Offer) -> Object {
    json::of(it).without(&DETAIL)
}

/// One offer with its awards and caps, as JSON. A cap is printed with the keys of a fund, without an id and a region.
pub(in crate::cli) fn detail_json(answer: &GetOfferResponse) -> Object {
    let programme = answer.offer.as_ref().map(|it| it.programme.as_str());
    let cap = |it: &Cap| json::of(it).with("fund", Json::Null).with("programme", programme).with("region", Json::Null);
    json::of(answer).with("caps", answer.caps.iter().map(cap).collect::<Json>())
}

fn state(it: &Offer) -> String {
    word(it.state().as_str_name(), "OFFER_STATE_")
}

fn recipient_kind(it: &Offer) -> String {
    word(it.recipient_kind().as_str_name(), "RECIPIENT_KIND_")
}

/// An offer on one line.
pub(in crate::cli) fn line(it: &Offer) -> String {
    format!("{}  {:<10}  {}, {}", it.offer, state(it), it.name, it.region)
}

fn offer_facts(it: &Offer) -> [(&'static str, String); 10] {
    [
        ("offer", it.offer.clone()),
        ("programme", it.programme.clone()),
        ("recipient", format!("{} {} {}", recipient_kind(it), it.recipient, it.name)),
        ("region", it.region.clone()),
        ("state", state(it)),
        ("accepted", it.accepted_date.clone()),
        ("started", it.started_date.clone()),
        ("outcome", word(it.outcome().as_str_name(), "OUTCOME_")),
        ("assignee", it.assignee.clone()),
        ("etag", it.etag.clone()),
    ]
}

/// An offer without its schools and contacts.
pub(in crate::cli) fn brief(it: &Offer) -> String {
    field_lines(offer_facts(it))
}

/// Offers, a row each.
pub(in crate::cli) fn rows(offers: &[Offer]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [Id("OFFER"), Text("KIND"), Number("RECIPIENT"), Text("NAME"), Text("REGION"), Text("STATE")];
    let row = |it: &Offer| {
        let recipient = it.recipient.to_string();
        vec![it.offer.clone(), recipient_kind(it), recipient, it.name.clone(), it.region.clone(), state(it)]
    };
    table(&columns, offers.iter().map(row))
}

/// One offer with its schools and contacts.
pub(in crate::cli) fn one(it: &Offer) -> String {
    use TableColumn::{Number, Text};
    let school = |it: &OfferSchool| vec![it.urn.to_string(), it.name.clone(), it.rules.join(" ")];
    let contact = |it: &Contact| {
        let party = word(it.party().as_str_name(), "PARTY_");
        vec![it.contact.to_string(), it.date.clone(), party, number(it.urn), number(it.corrected_by)]
    };
    let more = [
        ("responsible body", it.responsible_body.clone()),
        ("trust", number(it.trust_uid)),
        ("made", instant(it.create_time).unwrap_or_default()),
    ];
    let contacts = [Number("CONTACT"), Text("DATE"), Text("PARTY"), Number("URN"), Number("CORRECTED BY")];
    parts([
        field_lines(offer_facts(it).into_iter().chain(more)),
        table(&[Number("URN"), Text("SCHOOL"), Text("RULES")], it.schools.iter().map(school)),
        table_of_some(&contacts, &it.contacts, contact),
    ])
}

/// One offer with all that was awarded under it, and what it may still have.
pub(in crate::cli) fn detail(answer: &GetOfferResponse) -> String {
    let awards = if answer.awards.is_empty() { String::new() } else { awards::rows(&answer.awards) };
    parts(answer.offer.iter().map(one).chain([funds::caps(&answer.caps), awards]))
}
