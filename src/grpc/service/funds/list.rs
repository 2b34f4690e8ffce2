//! `ListFunds`: the filter and the pages of the list.

use crate::app::{App, FundField, FundKey, Result};
use crate::domain::ids::Programme;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{boolean, number, optional_region, text};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListFundsRequest, ListFundsResponse};

/// The fields of a fund that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<FundField>] = &[
    FilterColumn { name: "strand",         column: FundField::Strand,        comparisons: SAME,    read: text },
    FilterColumn { name: "region",         column: FundField::Region,        comparisons: SAME,    read: optional_region },
    FilterColumn { name: "binds",          column: FundField::Binds,         comparisons: SAME,    read: boolean },
    FilterColumn { name: "over_committed", column: FundField::OverCommitted, comparisons: SAME,    read: boolean },
    FilterColumn { name: "allocated",      column: FundField::Allocated,     comparisons: ORDERED, read: number },
    FilterColumn { name: "committed",      column: FundField::Committed,     comparisons: ORDERED, read: number },
    FilterColumn { name: "spent",          column: FundField::Spent,         comparisons: ORDERED, read: number },
    FilterColumn { name: "available",      column: FundField::Available,     comparisons: ORDERED, read: number },
];

pub(super) async fn list(app: &App, call: Call<ListFundsRequest>) -> Result<ListFundsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let programme: Option<Programme> = fields.optional("programme", &message.programme);
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    fields.done(Some(()))?;
    let token_binding =
        call.token_binding(&ListFundsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after: Option<FundKey> = token::read_as(&token_binding, &message.page_token)?;
    let size = page_size(message.page_size);
    let filter = (programme.as_ref(), condition.as_ref());
    let page = app.list_funds(&call.caller, filter, after.as_ref(), size).await?;
    let next_page_token = token::next(&token_binding, size, &page, |last| last.key().to_string());
    Ok(ListFundsResponse { funds: page.iter().map(conversion::fund).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Fund", COLUMNS);
    }
}
