//! Defines the commands about referrals.

use crate::Date;
use crate::ids::{ReferralId, Urn};
use crate::role::Action;
use crate::values::referral::{DiscussionPartner, ReferralOrigin, ReferralSubject};

/// A command about a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferralCommand {
    /// Raise a referral.
    Raise(NewReferral),
    /// Record a discussion.
    Discuss {
        /// The referral.
        referral: ReferralTarget,
        /// The day on which the discussion was held.
        on: Date,
        /// The party that took part.
        with: DiscussionPartner,
        /// What was said, not empty.
        text: String,
    },
    /// Approve or decline a referral.
    Decide {
        /// The referral.
        referral: ReferralTarget,
        /// Whether it is approved.
        approve: bool,
        /// The day of the decision.
        on: Date,
        /// The reason, not empty.
        reason: String,
    },
    /// Withdraw a referral before it is decided.
    Withdraw {
        /// The referral.
        referral: ReferralTarget,
        /// The reason, not empty.
        reason: String,
    },
}

impl ReferralCommand {
    /// The permission that this command needs.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Raise(_) | Self::Discuss { .. } | Self::Withdraw { .. } => Action::RaiseReferral,
            Self::Decide { .. } => Action::DecideReferral,
        }
    }

    /// The date of the past action that this command records. None if the action happens now.
    #[must_use]
    pub const fn happened_on(&self) -> Option<Date> {
        match self {
            Self::Raise(new) => Some(new.on),
            Self::Discuss { on, .. } | Self::Decide { on, .. } => Some(*on),
            Self::Withdraw { .. } => None,
        }
    }

    /// The referral that this command names. None for a new referral.
    #[must_use]
    pub const fn referral(&self) -> Option<ReferralId> {
        match self {
            Self::Raise(_) => None,
            Self::Discuss { referral, .. } | Self::Decide { referral, .. } | Self::Withdraw { referral, .. } => {
                Some(referral.referral)
            }
        }
    }

    /// Whether deciding this command needs the register and the monthly files.
    #[must_use]
    pub const fn reads_files(&self) -> bool {
        matches!(self, Self::Raise(_) | Self::Decide { approve: true, .. })
    }
}

/// The referral that a command changes, with the caller's etag if it sent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralTarget {
    /// The referral.
    pub referral: ReferralId,
    /// The caller's etag.
    pub etag: Option<String>,
}

/// A referral that a command raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReferral {
    /// The school or trust that is referred.
    pub subject: ReferralSubject,
    /// The referred schools: at least one, without duplicates. If the subject is a school, only that school.
    pub urns: Vec<Urn>,
    /// Whether the school or trust came forward itself.
    pub origin: ReferralOrigin,
    /// The ground, by its id in the terms.
    pub ground: String,
    /// The day on which it was raised.
    pub on: Date,
    /// The reason, not empty.
    pub reason: String,
}
