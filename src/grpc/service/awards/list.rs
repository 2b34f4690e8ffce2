//! `ListAwards`: the filter, the order and the pages of the list.

use super::award_message;
use crate::app::{App, AwardField, AwardFilter, Page, Result};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{Value, actor, choice, day, id, number, text};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListAwardsRequest, ListAwardsResponse};

/// The fields of an award that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<AwardField>] = &[
    FilterColumn { name: "offer",      column: AwardField::Offer,     comparisons: SAME,    read: id },
    FilterColumn { name: "strand",     column: AwardField::Strand,    comparisons: SAME,    read: text },
    FilterColumn { name: "state",      column: AwardField::State,     comparisons: SAME,    read: state },
    FilterColumn { name: "awarded",    column: AwardField::Awarded,   comparisons: ORDERED, read: number },
    FilterColumn { name: "drawn",      column: AwardField::Drawn,     comparisons: ORDERED, read: number },
    FilterColumn { name: "released",   column: AwardField::Released,  comparisons: ORDERED, read: number },
    FilterColumn { name: "refunded",   column: AwardField::Refunded,  comparisons: ORDERED, read: number },
    FilterColumn { name: "committed",  column: AwardField::Committed, comparisons: ORDERED, read: number },
    FilterColumn { name: "fund",       column: AwardField::Fund,      comparisons: SAME,    read: id },
    FilterColumn { name: "date",       column: AwardField::On,        comparisons: ORDERED, read: day },
    FilterColumn { name: "awarded_by", column: AwardField::By,        comparisons: SAME,    read: actor },
];

fn state(text: &str) -> Value {
    choice(text, "AWARD_STATE_", ["open", "settled"].into_iter())
}

pub(super) async fn list(app: &App, call: Call<ListAwardsRequest>) -> Result<ListAwardsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let offer = fields.optional("offer", &message.offer);
    let programme = if message.programme.is_empty() && message.offer.is_empty() {
        fields.add_violation("programme", "is required where no offer is named");
        None
    } else {
        fields.optional("programme", &message.programme)
    };
    let strand = fields.strand(&message.strand);
    let is_open = conversion::award_is_open_from(message.state);
    if message.state != 0 && is_open.is_none() {
        fields.add_violation("state", "is not a state");
    }
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let newest_first = filter::order(&mut fields, &[("award", false), ("award desc", true)], &message.order_by);
    let newest_first = fields.done(newest_first)?;
    let token_binding =
        call.token_binding(&ListAwardsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&token_binding, &message.page_token)?;
    let limit = page_size(message.page_size);
    let filter = AwardFilter { offer, programme, strand, open: is_open, condition };
    let page = app.list_awards(&call.caller, &filter, Page { newest_first, after, limit }).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.award.id.to_string());
    Ok(ListAwardsResponse { awards: page.iter().map(award_message).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Award", COLUMNS);
    }
}
