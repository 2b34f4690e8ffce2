//! Holds the awards and approvals of a programme, by id. Indexes by offer and by subject make lookups fast, even with a whole
//! record loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

use uuid::Uuid;

use crate::approval::Approval;
use crate::award::Award;
use crate::ids::{ApprovalId, AwardId, OfferId};

/// Awards by id, and the awards of each offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwardSet {
    by_id: BTreeMap<AwardId, Award>,
    by_offer: HashMap<OfferId, BTreeSet<AwardId>>,
}

impl AwardSet {
    /// Adds an award or replaces it. An award never changes its offer.
    pub fn put(&mut self, award: Award) {
        self.by_offer.entry(award.offer).or_default().insert(award.id);
        self.by_id.insert(award.id, award);
    }

    /// The award with this id, mutable.
    pub fn get_mut(&mut self, id: AwardId) -> Option<&mut Award> {
        self.by_id.get_mut(&id)
    }

    /// All awards, mutable.
    #[cfg(test)]
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Award> {
        self.by_id.values_mut()
    }

    /// The awards of an offer, in order of id.
    pub fn of_offer(&self, offer: OfferId) -> impl Iterator<Item = &Award> {
        let ids = self.by_offer.get(&offer).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }
}

impl Deref for AwardSet {
    type Target = BTreeMap<AwardId, Award>;
    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

impl Extend<(AwardId, Award)> for AwardSet {
    fn extend<T: IntoIterator<Item = (AwardId, Award)>>(&mut self, awards: T) {
        awards.into_iter().for_each(|(_, award)| self.put(award));
    }
}

/// Approvals by id, and the approvals of each subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalSet {
    by_id: BTreeMap<ApprovalId, Approval>,
    by_subject: HashMap<Uuid, BTreeSet<ApprovalId>>,
}

impl ApprovalSet {
    /// Adds an approval or replaces it. An approval never changes its subject.
    pub fn put(&mut self, approval: Approval) {
        self.by_subject.entry(approval.subject).or_default().insert(approval.id);
        self.by_id.insert(approval.id, approval);
    }

    /// The approval with this id, mutable.
    pub fn get_mut(&mut self, id: ApprovalId) -> Option<&mut Approval> {
        self.by_id.get_mut(&id)
    }

    /// All approvals, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Approval> {
        self.by_id.values_mut()
    }

    /// The approvals about an offer, a fund or a school, in order of id.
    pub fn about(&self, subject: Uuid) -> impl Iterator<Item = &Approval> {
        let ids = self.by_subject.get(&subject).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }
}

impl Deref for ApprovalSet {
    type Target = BTreeMap<ApprovalId, Approval>;
    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

impl Extend<(ApprovalId, Approval)> for ApprovalSet {
    fn extend<T: IntoIterator<Item = (ApprovalId, Approval)>>(&mut self, approvals: T) {
        approvals.into_iter().for_each(|(_, approval)| self.put(approval));
    }
}
