//! `SummariseOffers`: the dimensions and the conditions of the summary.

use super::actor_or_none;
use crate::app::{App, Result, SummaryDimension, SummaryQuery};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::grpc::service::call::Call;
use crate::proto::{OfferState, SummariseOffersRequest, SummariseOffersResponse};

pub(super) async fn summarise(app: &App, call: Call<SummariseOffersRequest>) -> Result<SummariseOffersResponse> {
    let message = &call.message;
    let query = Fields::check(|fields| {
        let programme = fields.programme(&message.programme);
        let by = dimensions(fields, &message.by);
        let state = conversion::state_from(message.state);
        if state.is_none() && message.state != i32::from(OfferState::Unspecified) {
            fields.add_violation("state", "is not a state");
        }
        let region = fields.optional("region", &message.region);
        let assignee = actor_or_none(fields, "assignee", &message.assignee);
        let local_authority = fields.local_authority("local_authority", message.local_authority);
        Some(SummaryQuery { programme: programme?, by, state, region, assignee, local_authority })
    })?;
    let rows = app.summarise_offers(&call.caller, &query).await?;
    Ok(SummariseOffersResponse { rows: rows.iter().map(conversion::offer_summary).collect() })
}

fn dimensions(fields: &mut Fields, numbers: &[i32]) -> Vec<SummaryDimension> {
    let mut by = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        let field = format!("by[{index}]");
        match conversion::summary_dimension_from(*number) {
            Some(dimension) if by.contains(&dimension) => fields.add_violation(&field, "is named twice"),
            Some(dimension) => by.push(dimension),
            None => fields.add_violation(&field, "is not a dimension"),
        }
    }
    by
}
