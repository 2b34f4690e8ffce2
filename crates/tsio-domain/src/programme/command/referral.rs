//! Commands about referrals.

use crate::Date;
use crate::ids::{ReferralId, Urn};
use crate::role::Action;
use crate::values::referral::{DiscussionPartner, ReferralOrigin, ReferralSubject};

/// A command about a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferralCommand {
    /// Raise one.
    Raise(NewReferral),
    /// Put a discussion on record.
    Discuss {
        /// Which referral.
        referral: ReferralTarget,
        /// The day it was held.
        on: Date,
        /// With whom.
        with: DiscussionPartner,
        /// What was said, not empty.
        text: String,
    },
    /// Approve or decline.
    Decide {
        /// Which referral.
        referral: ReferralTarget,
        /// Whether it is approved.
        approve: bool,
        /// The day.
        on: Date,
        /// Why, not empty.
        reason: String,
    },
    /// Take it back undecided.
    Withdraw {
        /// Which referral.
        referral: ReferralTarget,
        /// Why, not empty.
        reason: String,
    },
}

impl ReferralCommand {
    /// The permission it needs.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Raise(_) | Self::Discuss { .. } | Self::Withdraw { .. } => Action::RaiseReferral,
            Self::Decide { .. } => Action::DecideReferral,
        }
    }

    /// The day on which something happened that it records.
    #[must_use]
    pub const fn happened_on(&self) -> Option<Date> {
        match self {
            Self::Raise(new) => Some(new.on),
            Self::Discuss { on, .. } | Self::Decide { on, .. } => Some(*on),
            Self::Withdraw { .. } => None,
        }
    }

    /// The referral it names.
    #[must_use]
    pub const fn referral(&self) -> Option<ReferralId> {
        match self {
            Self::Raise(_) => None,
            Self::Discuss { referral, .. } | Self::Decide { referral, .. } | Self::Withdraw { referral, .. } => {
                Some(referral.referral)
            }
        }
    }

    /// Whether it looks at the register and the monthly files.
    #[must_use]
    pub const fn reads_files(&self) -> bool {
        matches!(self, Self::Raise(_) | Self::Decide { approve: true, .. })
    }
}

/// The referral a command is about, and the version the caller saw, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralTarget {
    /// The referral.
    pub referral: ReferralId,
    /// The etag the caller saw.
    pub etag: Option<String>,
}

/// A referral to be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReferral {
    /// Who is referred.
    pub subject: ReferralSubject,
    /// The schools it speaks of, at least one, each once; of a school itself only.
    pub urns: Vec<Urn>,
    /// How it came about.
    pub origin: ReferralOrigin,
    /// The ground, by its name in the terms.
    pub ground: String,
    /// The day.
    pub on: Date,
    /// Why, not empty.
    pub reason: String,
}
