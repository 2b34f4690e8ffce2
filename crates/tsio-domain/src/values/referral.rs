//! Defines values of events and referrals: subjects, origins, discussion partners.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::named_enum;
use crate::ids::{BadId, Uid, Urn};

/// The school or trust that is referred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferralSubject {
    /// A school, standalone or in a trust.
    School(Urn),
    /// A multi-academy trust, for some of its schools.
    Trust(Uid),
}

impl fmt::Display for ReferralSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::School(urn) => write!(f, "school {urn}"),
            Self::Trust(uid) => write!(f, "trust {uid}"),
        }
    }
}

impl FromStr for ReferralSubject {
    type Err = BadId;
    /// Reads the text that `Display` makes: `school 100001`, `trust 3000`.
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { value: text.chars().take(60).collect(), expected: "a school or a trust" };
        match text.split_once(' ').ok_or_else(bad)? {
            ("school", urn) => urn.parse().map(Self::School),
            ("trust", uid) => uid.parse().map(Self::Trust),
            _ => Err(bad()),
        }
    }
}

named_enum! {
    /// The origin of a referral.
    ReferralOrigin {
        /// The school or trust came forward itself.
        SelfIdentified = "self_identified",
        /// Another person put it forward because of exceptional circumstances.
        Exceptional = "exceptional",
    }
}

named_enum! {
    /// The partner in a discussion of a referral.
    DiscussionPartner {
        /// The regional schools commissioner (RSC) of the region.
        RegionalSchoolsCommissioner = "regional_schools_commissioner",
        /// The school.
        School = "school",
        /// The trust.
        Trust = "trust",
        /// The trust, diocese or local authority that is responsible for the school.
        ResponsibleBody = "responsible_body",
    }
}
