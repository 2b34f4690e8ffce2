//! Formats offers with their schools, contacts, caps and awards.

use super::{awards, funds};
use crate::cli::json::{self, Json, Object};
use crate::cli::names::{instant, word};
use crate::cli::output::{TableColumn, field_lines, number, parts, table, table_if_any};
use crate::proto::{Cap, Contact, GetOfferResponse, Offer, OfferSchool};

/// The keys that a list of offers does not have. A single offer has them.
const DETAIL_KEYS: [&str; 6] = ["trust_uid", "responsible_body", "terms_sha256", "create_time", "schools", "contacts"];

/// Returns the JSON of an offer in a list.
pub(in crate::cli) fn row_json(it: &Offer) -> Object {
    json::of(it).without(&DETAIL_KEYS)
}

/// Returns the JSON of one offer with its awards and caps. A cap has the keys of a fund; `fund` and `region` are null.
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

/// Formats an offer on one line.
pub(in crate::cli) fn line(it: &Offer) -> String {
    format!("{}  {:<10}  {}, {}", it.offer, state(it), it.name, it.region)
}

/// Returns the names and values of an offer's main fields.
fn offer_fields(it: &Offer) -> [(&'static str, String); 10] {
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

/// Formats an offer without its schools and contacts.
pub(in crate::cli) fn brief(it: &Offer) -> String {
    field_lines(offer_fields(it))
}

/// Formats offers as a table, one row per offer.
pub(in crate::cli) fn rows(offers: &[Offer]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [Id("OFFER"), Text("KIND"), Number("RECIPIENT"), Text("NAME"), Text("REGION"), Text("STATE")];
    let row = |it: &Offer| {
        let recipient = it.recipient.to_string();
        vec![it.offer.clone(), recipient_kind(it), recipient, it.name.clone(), it.region.clone(), state(it)]
    };
    table(&columns, offers.iter().map(row))
}

/// Formats one offer with its schools and contacts.
pub(in crate::cli) fn with_schools(it: &Offer) -> String {
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
        field_lines(offer_fields(it).into_iter().chain(more)),
        table(&[Number("URN"), Text("SCHOOL"), Text("RULES")], it.schools.iter().map(school)),
        table_if_any(&contacts, &it.contacts, contact),
    ])
}

/// Formats one offer with its schools, contacts, caps and awards.
pub(in crate::cli) fn detail(answer: &GetOfferResponse) -> String {
    let awards = if answer.awards.is_empty() { String::new() } else { awards::rows(&answer.awards) };
    parts(answer.offer.iter().map(with_schools).chain([funds::caps(&answer.caps), awards]))
}
