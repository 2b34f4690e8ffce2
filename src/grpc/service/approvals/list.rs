//! `ListApprovals`: the filter, the order and the pages of the list.

use crate::app::{App, ApprovalField, ApprovalScope, Page, Result};
use crate::domain::approval::Approval;
use crate::domain::values::approval::ApprovalAction;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{Value, actor, choice, id, instant, name, optional_actor};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{self, ListApprovalsRequest, ListApprovalsResponse};

/// The fields of an approval that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<ApprovalField>] = &[
    FilterColumn { name: "action",       column: ApprovalField::Action,      comparisons: SAME,    read: action },
    FilterColumn { name: "subject",      column: ApprovalField::Subject,     comparisons: SAME,    read: id },
    FilterColumn { name: "state",        column: ApprovalField::State,       comparisons: SAME,    read: state },
    FilterColumn { name: "requested_by", column: ApprovalField::RequestedBy, comparisons: SAME,    read: actor },
    FilterColumn { name: "request_time", column: ApprovalField::Requested,   comparisons: ORDERED, read: instant },
    FilterColumn { name: "given_by",     column: ApprovalField::AnsweredBy,  comparisons: SAME,    read: optional_actor },
];

fn action(text: &str) -> Value {
    let names: Vec<&str> = ApprovalAction::ALL.iter().map(|it| it.name()).collect();
    name(text, &names)
}

fn state(text: &str) -> Value {
    choice(text, "APPROVAL_STATE_", ["open", "carried_out", "denied", "withdrawn", "expired"].into_iter())
}

pub(super) async fn list(app: &App, call: Call<ListApprovalsRequest>) -> Result<ListApprovalsResponse> {
    let message = &call.message;
    let scope = match (message.waiting_for_me, message.include_closed) {
        (true, _) => ApprovalScope::WaitingForMe,
        (false, true) => ApprovalScope::All,
        (false, false) => ApprovalScope::Open,
    };
    let mut fields = Fields::default();
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("approval desc", true), ("approval", false)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let newest_first = fields.done(newest_first)?;
    let token_binding =
        call.token_binding(&ListApprovalsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&token_binding, &message.page_token)?;
    let limit = page_size(message.page_size);
    let page = Page { newest_first, after, limit };
    let page = app.list_approvals(&call.caller, call.now.at, (scope, condition.as_ref()), page).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.id.to_string());
    let with_reasons = |it: &Approval| proto::Approval {
        reason: it.reason.clone().unwrap_or_default(),
        denied_reason: it.denied_reason.clone().unwrap_or_default(),
        ..conversion::approval(it)
    };
    Ok(ListApprovalsResponse { approvals: page.iter().map(with_reasons).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Approval", COLUMNS);
    }
}
