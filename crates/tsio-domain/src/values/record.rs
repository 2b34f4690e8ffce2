//! Defines the numbers of events, and parts that several events share.

use serde::{Deserialize, Serialize};

use super::named_enum;
use crate::ids::AwardId;

/// An event's number in its record: 1, 2, 3, without gaps, in commit order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A commitment that was released when its offer was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedAward {
    /// The award.
    pub award: AwardId,
    /// The amount, in the unit of the award.
    pub amount: i64,
}

named_enum! {
    /// Why a text is erased: a reason code of the event. The event has no free text, which could repeat the erased
    /// text.
    ErasureReason {
        /// The text has personal data.
        PersonalData = "personal_data",
        /// The text was written by mistake.
        Mistake = "mistake",
        /// The retention period of the text has ended.
        RetentionEnded = "retention_ended",
    }
}
