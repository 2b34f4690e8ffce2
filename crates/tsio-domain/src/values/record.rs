//! What events are numbered by, and parts that several of them have.

use serde::{Deserialize, Serialize};

use super::named_enum;
use crate::ids::AwardId;

/// An event's number in its programme: 1, 2, 3, without gaps, in commit order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A commitment that closing an offer gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedAward {
    /// The award.
    pub award: AwardId,
    /// How much, in its unit.
    pub amount: i64,
}

named_enum! {
    /// Why a text is erased: a reason code of the event. There is no free text beside it, which could repeat what is erased.
    ErasureReason {
        /// It names a person, or tells of one.
        PersonalData = "personal_data",
        /// It was written by mistake.
        Mistake = "mistake",
        /// It was kept for as long as it may be.
        RetentionEnded = "retention_ended",
    }
}
