//! Schools about which the newest files say something that a person has to deal with.

use super::{DueItem, Search};
use crate::app::Result;
use crate::app::eligibility::{Findings, SchoolFinding, findings};
use crate::domain::due::DueKind;
use crate::domain::referral::Referral;

/// The kinds of such items.
pub(super) const KINDS: [DueKind; 6] = [
    DueKind::Unplaced,
    DueKind::Unknown,
    DueKind::Blocked,
    DueKind::RecipientChanged,
    DueKind::SchoolClosed,
    DueKind::NotEligible,
];

impl Search<'_> {
    /// What the newest files say of schools and of open referrals. Empty if the query includes neither.
    pub(super) async fn findings(&self, referrals: &[Referral]) -> Result<Findings> {
        if referrals.is_empty() && !KINDS.iter().any(|kind| self.includes(*kind)) {
            return Ok(Findings::default());
        }
        findings(self.snapshot, self.terms, (&self.listed, referrals), self.query.on).await
    }

    /// The findings about schools that the caller may see and the query includes.
    pub(super) fn schools(&self, found: Findings) -> impl Iterator<Item = DueItem> {
        let included = found.schools.into_iter().filter(|it| self.includes(it.kind) && self.may_see(it));
        included.map(item).filter(|it| self.meets(it))
    }

    /// Whether the caller may see a finding. The offers of findings are within reach already.
    fn may_see(&self, finding: &SchoolFinding) -> bool {
        finding.offer.is_some() || self.reach.covers_school(finding.region)
    }
}

fn item(finding: SchoolFinding) -> DueItem {
    let offer = finding.offer;
    DueItem {
        subject: finding.name,
        reason: finding.reason,
        region: offer.as_ref().map(|it| it.region).or(finding.region),
        owner: offer.as_ref().and_then(|it| it.assignee.clone()),
        recipient_kind: offer.as_ref().map(|it| it.recipient.row()),
        offer: offer.map(|it| it.id),
        la: finding.la,
        urn: Some(finding.urn),
        trust: finding.trust,
        ..DueItem::due_at_once(finding.kind, finding.since, finding.urn, finding.rule)
    }
}
