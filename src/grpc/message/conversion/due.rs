//! Converts what needs attention.

use super::{both_ways, date, number, recipient_kind, timestamp};
use crate::app::DueItem;
use crate::domain::due::DueKind;
use crate::proto;

both_ways!(due_kind, due_kind_from: DueKind = proto::DueKind {
    FirstContact = FirstContact, SchoolContact = SchoolContact, Acceptance = Acceptance, FirstDay = FirstDay,
    Claim = Claim, Unclaimed = Unclaimed, Close = Close, ReferralDiscussion = ReferralDiscussion,
    ReferralDecision = ReferralDecision, Approval = Approval,
    LowFund = LowFund, Unplaced = Unplaced, Unknown = Unknown, Blocked = Blocked,
    RecipientChanged = RecipientChanged, SchoolClosed = SchoolClosed, NotEligible = NotEligible,
});

/// Converts an item.
pub(in crate::grpc) fn due_item(it: &DueItem) -> proto::DueItem {
    proto::DueItem {
        kind: due_kind(it.key.kind).into(),
        rule: it.rule.clone(),
        since_date: date(Some(it.since)),
        due_date: date(Some(it.key.due)),
        due_time: Some(timestamp(it.due_time())),
        subject: it.subject.clone(),
        reason: it.reason.clone(),
        offer: text(it.offer.as_ref()),
        region: text(it.region.as_ref()),
        owner: text(it.owner.as_ref()),
        local_authority: it.la.map_or(0, |code| i32::from(code.get())),
        urn: it.urn.map_or(0, |urn| number(urn.get())),
        trust_uid: it.trust.map_or(0, |uid| number(uid.get())),
        award: text(it.award.as_ref()),
        booking: it.booking.map_or(0, |seq| seq.0),
        referral: text(it.referral.as_ref()),
        approval: text(it.approval.as_ref()),
        fund: text(it.fund.as_ref()),
        strand: it.strand.clone().unwrap_or_default(),
        recipient_kind: it.recipient_kind.map_or(proto::RecipientKind::Unspecified, recipient_kind).into(),
    }
}

/// Converts a value that may be missing; the text is empty then.
fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
