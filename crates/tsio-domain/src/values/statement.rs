//! What an approval states: what it was judged against and what it will do, before and after, in numbers.
//!
//! It is part of the event that opens the approval.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OfferId, Urn};
use crate::money::Pence;
use crate::region::Region;

/// How long a movement of money counts towards the threshold of two people (`domain.md` section 8).
pub const COUNTS_DAYS: u32 = 30;

/// What an approval states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Statement {
    /// Of a movement of money: each fund it changes; of a virement the one it leaves first.
    Funds {
        /// Those.
        funds: Vec<FundStatement>,
        /// What the requester alone had moved on one of them, where that is why it takes a second person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_alone: Option<Pence>,
    },
    /// Of an import that is to be withdrawn.
    Import {
        /// The open offers that would be left without their ground, of every programme.
        offers: Vec<OfferId>,
    },
    /// Of an offer that is to be reopened: how it was.
    Offer {
        /// Its etag.
        etag: String,
        /// Its region.
        region: Region,
    },
    /// Of a school whose entry position the files cannot say.
    Entry {
        /// The school.
        urn: Urn,
        /// Whether it is to be met.
        met: bool,
        /// Its region, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Region>,
        /// What counted of it before by what two people decided, of the school or of one that it follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<bool>,
        /// The open offers that the school, or one that it follows, is on, where what was met is to be not met. Nothing where
        /// it is not, and of one that was opened before that was stated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offers: Option<Vec<OfferId>>,
    },
}

/// One fund, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundStatement {
    /// The fund.
    pub fund: AccountId,
    /// As it was when the approval was asked for.
    pub before: Numbers,
    /// As it would be with what was asked.
    pub after: Numbers,
    /// By how much it would be short as of the day in the past that is worst, where that is more than by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_shortfall: Option<Pence>,
}

impl FundStatement {
    /// By how much the fund would be short on the day that is worst, by now or in the past.
    fn worst(&self) -> Pence {
        self.after.shortfall().max(self.as_of_shortfall.unwrap_or(Pence::ZERO))
    }

    /// Where it would be shorter than stated: by now, or on the day that is worst. Each is held by itself, so that what was
    /// stated of a day in the past leaves no headroom today.
    pub(crate) fn beyond(&self, stated: Option<&Self>) -> Option<Shorter> {
        let stated = |of: fn(&Self) -> Pence| stated.map_or(Pence::ZERO, of);
        let (by_now, worst) = (stated(|it| it.after.shortfall()), stated(Self::worst));
        let (short, stated, in_the_past) = match (self.after.shortfall(), self.worst()) {
            (now, _) if now > by_now => (now, by_now, false),
            (_, day) if day > worst => (day, worst, true),
            _ => return None,
        };
        Some(Shorter { short, stated, in_the_past })
    }
}

/// By how much a fund would be short, and how much of that is stated.
pub(crate) struct Shorter {
    /// By how much it would be short.
    pub(crate) short: Pence,
    /// How much of that is stated.
    pub(crate) stated: Pence,
    /// As of a day in the past, or by now.
    pub(crate) in_the_past: bool,
}

/// The balances of a fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// What was put in.
    pub allocated: Pence,
    /// Promised by awards.
    pub committed: Pence,
    /// Spent, less what was refunded.
    pub spent: Pence,
    /// What is left; below nothing where the fund is over-committed.
    pub available: Pence,
}

impl Numbers {
    /// By how much the fund has promised and spent more than was put in.
    #[must_use]
    pub fn shortfall(&self) -> Pence {
        Pence(self.available.get().min(0).saturating_neg())
    }
}

impl Statement {
    /// States by how much a fund would be short as of the worst day, where that is more than by now.
    pub(crate) fn short_as_of(&mut self, fund: AccountId, short: Pence) {
        if let Self::Funds { funds, .. } = self {
            let stated = funds.iter_mut().find(|it| it.fund == fund && short > it.after.shortfall());
            stated.into_iter().for_each(|it| it.as_of_shortfall = Some(short));
        }
    }

    /// States what was moved alone before.
    pub(crate) const fn moved_alone(&mut self, moved: Pence) {
        if let Self::Funds { moved_alone, .. } = self {
            *moved_alone = Some(moved);
        }
    }

    /// What makes a movement take a second person though it is not above the threshold, for a refusal.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Funds { moved_alone: Some(moved), .. } => {
                format!(", with {moved} that one person moved on the fund alone in {COUNTS_DAYS} days,")
            }
            Self::Funds { moved_alone: None, .. } | Self::Import { .. } | Self::Offer { .. } | Self::Entry { .. } => {
                String::new()
            }
        }
    }

    /// The school whose entry position is decided, and whether that is to be met.
    #[must_use]
    pub const fn school(&self) -> Option<(Urn, bool)> {
        match self {
            Self::Entry { urn, met, .. } => Some((*urn, *met)),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }

    /// The region that it states of a school; nothing of what is about no school.
    #[must_use]
    pub const fn school_region(&self) -> Option<Option<Region>> {
        match self {
            Self::Entry { region, .. } => Some(*region),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }
}
