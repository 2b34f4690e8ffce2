//! `ListOfferEvents`: the filter, the order and the pages of the list.

use crate::app::{App, EventField, Operand, Page, Recorded, Result, Text};
use crate::domain::event::EventBody;
use crate::domain::ids::OfferId;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size_within, token};
use crate::grpc::message::filter::values::{Value, actor, day, instant, name, number, text};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListOfferEventsRequest, ListOfferEventsResponse, OfferEvent};

/// The fields of an event that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<EventField>] = &[
    FilterColumn { name: "sequence",       column: EventField::Seq,       comparisons: ORDERED, read: number },
    FilterColumn { name: "kind",           column: EventField::Kind,      comparisons: SAME,    read: kind },
    FilterColumn { name: "actor",          column: EventField::Actor,     comparisons: SAME,    read: actor },
    FilterColumn { name: "effective_date", column: EventField::Effective, comparisons: ORDERED, read: day },
    FilterColumn { name: "recorded_time",  column: EventField::Recorded,  comparisons: ORDERED, read: instant },
    FilterColumn { name: "reason_code",    column: EventField::Reason,    comparisons: SAME,    read: optional_text },
];

fn kind(text: &str) -> Value {
    name(text, &EventBody::KINDS)
}

/// Parses a text, or `""` for none.
fn optional_text(it: &str) -> Value {
    if it.is_empty() { Ok(Operand::Nothing) } else { text(it) }
}

pub(super) async fn list(app: &App, call: Call<ListOfferEventsRequest>) -> Result<ListOfferEventsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let id: Option<OfferId> = fields.parse("offer", &message.offer);
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("sequence", false), ("sequence desc", true)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let (id, newest_first) = fields.done(id.zip(newest_first))?;
    let token_binding =
        call.token_binding(&ListOfferEventsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&token_binding, &message.page_token)?;
    let limit = page_size_within(message.page_size, 100, 1_000);
    let page = Page { newest_first, after, limit };
    let page = app.offer_events(&call.caller, id, condition.as_ref(), page).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |(last, _)| last.event.seq.to_string());
    let event = |(it, text): &(Recorded, Option<Text>)| OfferEvent {
        text_erased: it.event.text_hash.is_some() && text.is_none(),
        ..conversion::offer_event(it, text.as_ref().map(|text| text.text.clone()))
    };
    Ok(ListOfferEventsResponse { events: page.iter().map(event).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("OfferEvent", COLUMNS);
    }
}
