//! Awards and approvals as a programme holds them: by id, and by what they are about, so that a decision over a whole record looks
//! only at what it asks for.

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
    of_offers: HashMap<OfferId, BTreeSet<AwardId>>,
}

impl AwardSet {
    /// Adds an award, or takes its state over. An award stays with its offer.
    pub fn put(&mut self, award: Award) {
        self.of_offers.entry(award.offer).or_default().insert(award.id);
        self.by_id.insert(award.id, award);
    }

    /// An award, to be changed.
    pub fn get_mut(&mut self, id: AwardId) -> Option<&mut Award> {
        self.by_id.get_mut(&id)
    }

    /// All of them, to be changed.
    #[cfg(test)]
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Award> {
        self.by_id.values_mut()
    }

    /// The awards of an offer, by id.
    pub fn of(&self, offer: OfferId) -> impl Iterator<Item = &Award> {
        let ids = self.of_offers.get(&offer).into_iter().flatten();
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

/// Approvals by id, and the approvals about each subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalSet {
    by_id: BTreeMap<ApprovalId, Approval>,
    about: HashMap<Uuid, BTreeSet<ApprovalId>>,
}

impl ApprovalSet {
    /// Adds an approval, or takes its state over. It stays about what it was opened about.
    pub fn put(&mut self, approval: Approval) {
        self.about.entry(approval.subject).or_default().insert(approval.id);
        self.by_id.insert(approval.id, approval);
    }

    /// An approval, to be changed.
    pub fn get_mut(&mut self, id: ApprovalId) -> Option<&mut Approval> {
        self.by_id.get_mut(&id)
    }

    /// All of them, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Approval> {
        self.by_id.values_mut()
    }

    /// The approvals about an offer, a fund or a school, by id.
    pub fn about(&self, subject: Uuid) -> impl Iterator<Item = &Approval> {
        let ids = self.about.get(&subject).into_iter().flatten();
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
