//! Converts summaries of offers.

use super::{both_ways, recipient_kind, state};
use crate::app::{OfferSummary, StageDays, SummaryDimension};
use crate::proto;

both_ways!(_summary_dimension, summary_dimension_from: SummaryDimension = proto::SummaryDimension {
    Region = Region, State = State, Assignee = Assignee, LocalAuthority = LocalAuthority,
    RecipientKind = RecipientKind, Month = Month,
});

/// Converts a row.
pub(in crate::grpc) fn offer_summary(it: &OfferSummary) -> proto::OfferSummary {
    proto::OfferSummary {
        region: it.key.region.map(|it| it.to_string()).unwrap_or_default(),
        state: it.key.state.map_or(proto::OfferState::Unspecified, state).into(),
        assignee: it.key.assignee.clone().unwrap_or_default(),
        local_authority: it.key.local_authority.map_or(0, |code| i32::from(code.get())),
        recipient_kind: it.key.recipient_kind.map_or(proto::RecipientKind::Unspecified, recipient_kind).into(),
        month: it.key.month.clone().unwrap_or_default(),
        offers: it.offers,
        awarded_pence: it.pence.awarded,
        drawn_pence: it.pence.drawn,
        left_pence: it.pence.left,
        awarded_half_days: it.half_days.awarded,
        drawn_half_days: it.half_days.drawn,
        left_half_days: it.half_days.left,
        booked_half_days: it.booked,
        delivered_half_days: it.delivered,
        contacted_offers: it.contacted.offers(),
        contacted_median_days: days(&it.contacted, 50),
        contacted_p90_days: days(&it.contacted, 90),
        accepted_offers: it.accepted.offers(),
        accepted_median_days: days(&it.accepted, 50),
        accepted_p90_days: days(&it.accepted, 90),
        started_offers: it.started.offers(),
        started_median_days: days(&it.started, 50),
        started_p90_days: days(&it.started, 90),
    }
}

fn days(stage: &StageDays, percent: i64) -> Option<i32> {
    stage.percentile(percent).map(|it| i32::try_from(it).unwrap_or(i32::MAX))
}
