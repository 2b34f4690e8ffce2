//! `ListReferrals`: the filter, the order and the pages of the list.

use crate::app::{App, Operand, Page, ReferralField, ReferralFilter, Result};
use crate::domain::ids::Uid;
use crate::domain::referral::{ReferralOrigin, ReferralSubject, State};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::grpc::message::filter::values::{
    Value, actor, choice, day, number, optional_actor, optional_id, region, text,
};
use crate::grpc::message::filter::{self, FilterColumn, HOLDS, ORDERED, SAME};
use crate::grpc::service::call::Call;
use crate::proto::{ListReferralsRequest, ListReferralsResponse, ReferralState};

/// The fields of a referral that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<ReferralField>] = &[
    FilterColumn { name: "uid",              column: ReferralField::Subject,     comparisons: SAME,    read: trust },
    FilterColumn { name: "urns",             column: ReferralField::School,      comparisons: HOLDS,   read: number },
    FilterColumn { name: "region",           column: ReferralField::Region,      comparisons: SAME,    read: region },
    FilterColumn { name: "origin",           column: ReferralField::Origin,      comparisons: SAME,    read: origin },
    FilterColumn { name: "ground",           column: ReferralField::Ground,      comparisons: SAME,    read: text },
    FilterColumn { name: "state",            column: ReferralField::State,       comparisons: SAME,    read: state },
    FilterColumn { name: "raised_by",        column: ReferralField::RaisedBy,    comparisons: SAME,    read: actor },
    FilterColumn { name: "raise_date",       column: ReferralField::Raised,      comparisons: ORDERED, read: day },
    FilterColumn { name: "decided_by",       column: ReferralField::DecidedBy,   comparisons: SAME,    read: optional_actor },
    FilterColumn { name: "decide_date",      column: ReferralField::Decided,     comparisons: ORDERED, read: day },
    FilterColumn { name: "offer",            column: ReferralField::Offer,       comparisons: SAME,    read: optional_id },
    FilterColumn { name: "exceptional_urns", column: ReferralField::Exceptional, comparisons: HOLDS,   read: number },
];

fn trust(text: &str) -> Value {
    let uid: Option<Uid> = text.parse().ok();
    uid.map(|it| Operand::Text(ReferralSubject::Trust(it).to_string())).ok_or_else(|| "a group UID".to_owned())
}

fn origin(text: &str) -> Value {
    choice(text, "REFERRAL_ORIGIN_", ReferralOrigin::ALL.iter().map(|it| it.name()))
}

fn state(text: &str) -> Value {
    choice(text, "REFERRAL_STATE_", State::ALL.iter().map(|it| it.name()))
}

pub(super) async fn list(app: &App, call: Call<ListReferralsRequest>) -> Result<ListReferralsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let programme = fields.programme(&message.programme);
    let region = fields.optional("region", &message.region);
    let state = conversion::referral_state_from(message.state);
    if state.is_none() && message.state != i32::from(ReferralState::Unspecified) {
        fields.add_violation("state", "is not a state");
    }
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("referral desc", true), ("referral", false)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let (programme, newest_first) = fields.done(programme.zip(newest_first))?;
    let token_binding =
        call.token_binding(&ListReferralsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after = token::read_as(&token_binding, &message.page_token)?;
    let limit = page_size(message.page_size);
    let filter = ReferralFilter { state, region, condition, ..ReferralFilter::default() };
    let page = app
        .list_referrals(&call.caller, call.now.today, &programme, &filter, Page { newest_first, after, limit })
        .await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.referral.id.to_string());
    Ok(ListReferralsResponse { referrals: page.iter().map(conversion::referral_in_full).collect(), next_page_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("Referral", COLUMNS);
    }
}
