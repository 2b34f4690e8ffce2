//! `ListOffers`: the filter, the order, the pages and the read mask of the list.

use crate::app::{App, OfferField, OfferFilter, OfferOrder, OfferPageQuery, OfferPageStart, Operand, Result};
use crate::domain::ids::{Actor, OfferId};
use crate::domain::offer::lifecycle::State;
use crate::domain::offer::{Offer, Outcome};
use crate::domain::placement::RecipientKind;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{
    Value, choice, instant, number, optional_actor, optional_number, region, text,
};
use crate::grpc::message::filter::{self, FilterColumn, HOLDS, ORDERED, PART, SAME};
use crate::grpc::message::mask::{Mask, MaskField};
use crate::grpc::service::call::Call;
use crate::proto;
use crate::proto::{ListOffersRequest, ListOffersResponse};

/// The fields of an offer that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<OfferField>] = &[
    FilterColumn { name: "state",            column: OfferField::State,         comparisons: SAME,    read: state },
    FilterColumn { name: "outcome",          column: OfferField::Outcome,       comparisons: SAME,    read: outcome },
    FilterColumn { name: "recipient_kind",   column: OfferField::RecipientKind, comparisons: SAME,    read: kind },
    FilterColumn { name: "recipient",        column: OfferField::Recipient,     comparisons: ORDERED, read: number },
    FilterColumn { name: "name",             column: OfferField::Name,          comparisons: PART,    read: text },
    FilterColumn { name: "region",           column: OfferField::Region,        comparisons: SAME,    read: region },
    FilterColumn { name: "assignee",         column: OfferField::Assignee,      comparisons: SAME,    read: optional_actor },
    FilterColumn { name: "trust_uid",        column: OfferField::Trust,         comparisons: SAME,    read: optional_number },
    FilterColumn { name: "schools.urn",      column: OfferField::School,        comparisons: HOLDS,   read: number },
    FilterColumn { name: "create_time",      column: OfferField::Made,          comparisons: ORDERED, read: instant },
];

/// The orders of the list, each of which has an index.
const ORDERS: [(&str, OfferOrder); 4] = [
    ("create_time", OfferOrder::Made),
    ("create_time desc", OfferOrder::MadeLast),
    ("name", OfferOrder::Name),
    ("name desc", OfferOrder::NameLast),
];

/// Makes the mask fields of a message from the names of its fields.
macro_rules! mask_fields {
    ($message:ty: $($field:ident),+ $(,)?) => {
        &[$(MaskField::<$message> { name: stringify!($field), clear: |it| it.$field = Default::default() }),+]
    };
}

/// The fields of an offer that a read mask may name.
pub(super) const MASK_FIELDS: &[MaskField<proto::Offer>] = mask_fields!(
    proto::Offer: offer, programme, recipient_kind, recipient, name, region, state, outcome, assignee, schools, contacts, etag,
    trust_uid, responsible_body, terms_sha256, create_time, accepted_date, started_date,
);

/// Returns true if an offer has a field of this name.
pub(super) fn is_offer_field(name: &str) -> bool {
    MASK_FIELDS.iter().any(|it| it.name == name)
}

pub(super) async fn list(app: &App, call: Call<ListOffersRequest>) -> Result<ListOffersResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let programme = fields.programme(&message.programme);
    let state = conversion::state_from(message.state);
    if state.is_none() && message.state != 0 {
        fields.add_violation("state", "is not a state");
    }
    let filter = OfferFilter {
        state,
        region: fields.optional("region", &message.region),
        assignee: match message.assignee.as_str() {
            "" => None,
            // Only offers without an assignee.
            "-" => Some(None),
            actor => fields.parse("assignee", actor).map(|actor: Actor| Some(actor.to_string())),
        },
        search: fields.note("search", &message.search),
        schools: None,
        condition: filter::read(&mut fields, COLUMNS, &message.filter),
    };
    let local_authority = fields.local_authority("local_authority", message.local_authority);
    let order = filter::order(&mut fields, &ORDERS, &message.order_by);
    let mask = Mask::read(&mut fields, message.read_mask.as_ref(), is_offer_field);
    let (programme, order) = fields.done(programme.zip(order))?;
    // A page token is not bound to the mask, so the mask may change between pages.
    let bound_message =
        ListOffersRequest { page_size: 0, page_token: String::new(), read_mask: None, ..message.clone() };
    let token_binding = call.token_binding(&bound_message);
    let after: Option<token::NamedKey<OfferId>> = token::read_as(&token_binding, &message.page_token)?;
    let after = after.map(|it| OfferPageStart { offer: it.key, name: it.name });
    let limit = page_size(message.page_size);
    let with_parts = mask.has("schools") || mask.has("contacts");
    let query = OfferPageQuery {
        programme: &programme,
        filter: &filter,
        order,
        after: after.as_ref(),
        limit,
        parts: with_parts,
    };
    let page = app.list_offers(&call.caller, call.now.today, &query, local_authority).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| token::named_key(last.id, &last.name));
    let masked = |offer: &Offer| {
        let mut message = conversion::offer(offer);
        mask.apply(&mut message, MASK_FIELDS);
        message
    };
    Ok(ListOffersResponse { offers: page.iter().map(masked).collect(), next_page_token })
}

fn state(text: &str) -> Value {
    choice(text, "OFFER_STATE_", State::ALL.iter().map(|it| it.name()))
}

fn outcome(text: &str) -> Value {
    if text.is_empty() {
        Ok(Operand::Nothing)
    } else {
        choice(text, "OUTCOME_", Outcome::ALL.iter().map(|it| it.name()))
    }
}

fn kind(text: &str) -> Value {
    choice(
        text,
        "RECIPIENT_KIND_",
        [RecipientKind::Standalone, RecipientKind::Mat].into_iter().map(RecipientKind::as_str),
    )
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// Fails if a field is added to the message and not to [`MASK_FIELDS`].
    #[test]
    fn a_mask_may_name_every_field_of_an_offer() {
        let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let message = set.file.iter().flat_map(|file| &file.message_type).find(|it| it.name() == "Offer").unwrap();
        let fields: Vec<&str> = message.field.iter().map(|field| field.name()).collect();
        assert_eq!(MASK_FIELDS.iter().map(|it| it.name).collect::<Vec<_>>(), fields);
    }

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Offer", COLUMNS);
    }
}
