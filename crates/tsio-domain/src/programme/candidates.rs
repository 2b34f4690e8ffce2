//! Defines eligible recipients with their schools, for identify and for referrals. Defines the result of identify.

use crate::ids::{OfferId, ReferralId, Uid, Urn};
use crate::region::Region;
use crate::values::offer::{Recipient, ResponsibleBody};

/// An eligible recipient, with its eligible schools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The recipient.
    pub recipient: Recipient,
    /// Its name.
    pub name: String,
    /// The trust that is the recipient, or that the recipient belongs to, if any.
    pub trust: Option<Uid>,
    /// The responsible body, which has to be contacted before the school.
    pub responsible: ResponsibleBody,
    /// Whether the diocese of a school is known: whether a file of establishments names the school. Only for a recipient that is a
    /// school.
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
    /// The rules of eligibility that it meets.
    pub rules: Vec<String>,
    /// Whether it meets one of these rules by the files alone, without a decided entry position or a referral.
    pub by_files: bool,
    /// Older URNs of its lineage.
    pub predecessors: Vec<Urn>,
}

/// A school that cannot be put on an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// The open offer that it is already on, if the caller may see that offer.
    pub offer: Option<OfferId>,
    /// Why it cannot be put on an offer.
    pub reason: String,
}

/// An eligible school that is unplaced: it belongs to no kind of recipient of the scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Why it belongs to no kind of recipient.
    pub reason: String,
}

/// A school that is closed according to the newest register. No offer is made for it, and an offer that lists it does not change.
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
    /// Whether it is eligible. A closed school that is not eligible is listed only if it is on an offer that the caller may see.
    pub eligible: bool,
    /// The open offer that it is on, if the caller may see that offer.
    pub offer: Option<OfferId>,
}

/// A school that is on an open offer but is not eligible by the current files. The offer does not change until a person
/// closes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IneligibleSchool {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Why it is not eligible.
    pub reason: String,
    /// The open offer that it is on, if the caller may see that offer.
    pub offer: Option<OfferId>,
    /// Whether this is true of the whole offer: none of its schools is eligible.
    pub whole_offer: bool,
}

/// All eligible recipients of a programme, and the schools that an identify reports without making an offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// The eligible recipients.
    pub recipients: Vec<Candidate>,
    /// Eligible schools that are unplaced.
    pub unplaced: Vec<Unplaced>,
    /// Schools that have closed and are eligible or on an open offer.
    pub closed: Vec<ClosedSchool>,
    /// Schools on open offers that are not eligible. This includes closed schools.
    pub not_eligible: Vec<IneligibleSchool>,
}

/// The result of identify. For a request that only validates, it says what identify would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentifyReport {
    /// The number of offers made.
    pub created: usize,
    /// The number of open offers that gained schools.
    pub updated: usize,
    /// The number of recipients whose open offer gained no school.
    pub already_open: usize,
    /// The number of recipients whose offer is closed. The offer stays closed until a person reopens it.
    pub already_closed: usize,
    /// Schools that cannot be put on an offer.
    pub blocked: Vec<Blocked>,
    /// Eligible schools that are unplaced.
    pub unplaced: Vec<Unplaced>,
    /// Schools that have closed and are eligible or on an open offer.
    pub closed: Vec<ClosedSchool>,
    /// Schools on open offers that are not eligible. This includes closed schools.
    pub not_eligible: Vec<IneligibleSchool>,
    /// The ids of open referrals whose schools the files have made eligible.
    pub confirmed: Vec<ReferralId>,
}

/// The offer on which a referred school would be listed, according to the register and the monthly files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferPlacement {
    /// On the offer to this recipient. The candidate has only this school, with the rules that it meets. It may meet none yet.
    With(Box<Candidate>),
    /// On no offer: the school belongs to no kind of recipient of the scheme.
    Nowhere {
        /// Its region, if it has one.
        region: Option<Region>,
        /// Why it belongs to no kind of recipient.
        reason: String,
    },
    /// On no offer under this URN: a newer URN of its lineage replaces it.
    Superseded {
        /// The newest URN.
        by: Urn,
        /// Its region, if it has one.
        region: Option<Region>,
    },
}

impl OfferPlacement {
    /// The region of the school, if it has one.
    pub(in crate::programme) fn region(&self) -> Option<Region> {
        match self {
            Self::With(candidate) => candidate.schools.first().map(|it| it.region),
            Self::Nowhere { region, .. } | Self::Superseded { region, .. } => *region,
        }
    }
}
