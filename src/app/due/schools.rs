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
        let included = found.schools.into_iter().filter(|it| self.includes(it.kind));
        included.filter_map(|it| self.visible(it)).map(item).filter(|it| self.meets(it))
    }

    /// The part of a finding that the caller may see. A finding about an offer belongs to those who may see the offer. A blocked
    /// school belongs to its own region; an offer that is out of reach is not named.
    fn visible(&self, finding: SchoolFinding) -> Option<SchoolFinding> {
        let covers_offer = finding.offer.as_ref().is_some_and(|it| self.reach.covers(it.region, it.assignee.as_ref()));
        let covers_school = self.reach.covers_school(finding.region);
        match finding.offer {
            Some(_) if covers_offer => Some(finding),
            Some(_) if finding.kind == DueKind::Blocked && covers_school => {
                let reason = "its predecessor is on an open offer to another recipient".to_owned();
                Some(SchoolFinding { offer: None, reason, ..finding })
            }
            Some(_) => None,
            None => Some(finding).filter(|_| covers_school),
        }
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
