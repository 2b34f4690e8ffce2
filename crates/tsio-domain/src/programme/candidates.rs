//! Who is eligible and on which offer they would be listed: read for identify and for referrals, and what identifying did.

use crate::ids::{OfferId, ReferralId, Uid, Urn};
use crate::region::Region;
use crate::values::offer::{Recipient, ResponsibleBody};

/// A recipient that is eligible, with its eligible schools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The recipient.
    pub recipient: Recipient,
    /// Its name.
    pub name: String,
    /// The trust behind it.
    pub trust: Option<Uid>,
    /// Who has to be told first.
    pub responsible: ResponsibleBody,
    /// Whether a file of establishments names the school that is the recipient; without one nobody knows its diocese.
    pub diocese_known: bool,
    /// Its eligible schools, at least one.
    pub schools: Vec<CandidateSchool>,
}

/// An eligible school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateSchool {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// The rules it meets.
    pub rules: Vec<String>,
    /// Whether a file meets one of them: without what people decided, of an entry position or a referral.
    pub by_files: bool,
    /// URNs of its lineage that were eligible before it.
    pub predecessors: Vec<Urn>,
}

/// A school that cannot be put on an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// The open offer it is on already, where the caller may see that.
    pub offer: Option<OfferId>,
    /// Why.
    pub reason: String,
}

/// An eligible school that fits no row of the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A school that has closed by the newest register: no offer is made for it, and one it is on stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSchool {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Why it counts as closed.
    pub reason: String,
    /// The schools that the register's links name as its successors.
    pub successors: Vec<Urn>,
    /// Whether it is eligible. One that is not is listed for the offer it is on, to those who may see that.
    pub eligible: bool,
    /// The open offer it is on, where the caller may see that.
    pub offer: Option<OfferId>,
}

/// A school on an open offer that is not eligible by the files that count: the offer stays as it is until a person closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotEligible {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// What the rules say of it.
    pub reason: String,
    /// The open offer it is on, where the caller may see that.
    pub offer: Option<OfferId>,
    /// Whether no school of that offer is eligible.
    pub whole_offer: bool,
}

/// Everybody eligible, by recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// Recipients, in order.
    pub recipients: Vec<Candidate>,
    /// Eligible schools that fit no row.
    pub unplaced: Vec<Unplaced>,
    /// Schools that have closed: the eligible ones, and those on open offers.
    pub closed: Vec<ClosedSchool>,
    /// Schools on open offers that are not eligible, those that have closed too.
    pub not_eligible: Vec<NotEligible>,
}

/// What identifying did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identified {
    /// Offers made.
    pub created: usize,
    /// Open offers that gained schools.
    pub updated: usize,
    /// Recipients whose open offer needed no change.
    pub already_open: usize,
    /// Recipients whose offer is closed; only reopening revives it.
    pub already_closed: usize,
    /// Schools that cannot be put on an offer.
    pub blocked: Vec<Blocked>,
    /// Eligible schools that fit no row.
    pub unplaced: Vec<Unplaced>,
    /// Schools that have closed: the eligible ones, and those on open offers.
    pub closed: Vec<ClosedSchool>,
    /// Schools on open offers that are not eligible, those that have closed too.
    pub not_eligible: Vec<NotEligible>,
    /// Open referrals whose schools the files have made eligible, by id.
    pub confirmed: Vec<ReferralId>,
}

/// What the register and the monthly files say of a school that is referred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferPlacement {
    /// It would be listed on the offer to this recipient. The candidate has this one school, with the rules that make it
    /// eligible already, perhaps none.
    With(Box<Candidate>),
    /// It fits no row of the scheme.
    Nowhere {
        /// Its region, where it has one.
        region: Option<Region>,
        /// Why.
        reason: String,
    },
    /// It counts under the newest URN of its lineage.
    Superseded {
        /// That URN.
        by: Urn,
        /// Its region, where it has one.
        region: Option<Region>,
    },
}

impl OfferPlacement {
    /// The region of the school, where it has one.
    pub(in crate::programme) fn region(&self) -> Option<Region> {
        match self {
            Self::With(candidate) => candidate.schools.first().map(|it| it.region),
            Self::Nowhere { region, .. } | Self::Superseded { region, .. } => *region,
        }
    }
}
