//! `tsio offers summary`: counts offers by dimensions.

use super::args::SummaryArgs;
use crate::cli::errors::Failure;
use crate::cli::session::Session;
use crate::cli::view::offer_summary as view;
use crate::proto::{OfferState, SummariseOffersRequest};

pub(super) async fn run(args: SummaryArgs, session: &Session<'_>) -> Result<(), Failure> {
    let request = SummariseOffersRequest {
        programme: session.programme(),
        by: args.by.iter().map(|it| i32::from(*it)).collect(),
        state: args.state.unwrap_or(OfferState::Unspecified).into(),
        region: args.region.unwrap_or_default(),
        assignee: if args.mine { session.actor() } else { args.assignee.unwrap_or_default() },
        local_authority: args.local_authority.unwrap_or_default(),
    };
    let answer = session.services.work().summarise_offers(session.call(request)).await?.into_inner();
    session.print_list(
        &answer.rows,
        &args.output,
        |row| view::row_json(row, &args.by),
        |rows| view::rows(rows, &args.by),
    )
}
