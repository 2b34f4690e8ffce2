//! Defines the statement of an approval: the state of its subject when it was requested, and what the action will do.
//!
//! The statement is part of the event that opens the approval.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, OfferId, Urn};
use crate::money::Pence;
use crate::region::Region;

/// The number of days for which a movement of money by one person counts towards the threshold above which a second
/// person is needed (`domain.md` section 8).
pub const MOVED_ALONE_DAYS: u32 = 30;

/// The statement of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Statement {
    /// A movement of money.
    Funds {
        /// The funds that the movement changes. For a virement, the first fund is the one that the money leaves.
        funds: Vec<FundStatement>,
        /// The amount that the requester moved alone on one of these funds before. Set only if the movement needs a
        /// second person because of that amount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_alone: Option<Pence>,
    },
    /// The withdrawal of an import.
    Import {
        /// The open offers, of every programme, with schools that would not be eligible any more.
        offers: Vec<OfferId>,
    },
    /// The reopening of an offer: the state of the offer.
    Offer {
        /// Its etag.
        etag: String,
        /// Its region.
        region: Region,
    },
    /// The decision of the entry position of a school.
    Entry {
        /// The school.
        urn: Urn,
        /// Whether the position is to be decided as met.
        met: bool,
        /// The region of the school, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<Region>,
        /// The decision of two people that counted before, about the school or a predecessor: true means met.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<bool>,
        /// The open offers of the school or a predecessor, if the decision changes from met to not met. `None`
        /// otherwise, and for approvals that were requested before statements had this field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offers: Option<Vec<OfferId>>,
    },
}

/// The balances of one fund before and after the movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundStatement {
    /// The fund.
    pub fund: AccountId,
    /// Its balances when the approval was requested.
    pub before: Numbers,
    /// Its balances after the movement.
    pub after: Numbers,
    /// The largest shortfall as of a day in the past, if it is larger than the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_shortfall: Option<Pence>,
}

impl FundStatement {
    /// The largest shortfall of the fund, now or as of a day in the past.
    fn worst_shortfall(&self) -> Pence {
        self.after.shortfall().max(self.as_of_shortfall.unwrap_or(Pence::ZERO))
    }

    /// Returns the shortfall that is larger than the one in `stated`: the current shortfall, or the largest one as of
    /// any day. Returns `None` if neither is larger. The two are compared separately, so that a shortfall stated for a
    /// day in the past does not allow a shortfall today.
    pub(crate) fn larger_shortfall_than(&self, stated: Option<&Self>) -> Option<LargerShortfall> {
        let stated_amount = |shortfall: fn(&Self) -> Pence| stated.map_or(Pence::ZERO, shortfall);
        let (stated_now, stated_worst) =
            (stated_amount(|it| it.after.shortfall()), stated_amount(Self::worst_shortfall));
        let (short, stated, in_the_past) = match (self.after.shortfall(), self.worst_shortfall()) {
            (now, _) if now > stated_now => (now, stated_now, false),
            (_, worst) if worst > stated_worst => (worst, stated_worst, true),
            _ => return None,
        };
        Some(LargerShortfall { short, stated, in_the_past })
    }
}

/// A shortfall of a fund that is larger than the stated one.
pub(crate) struct LargerShortfall {
    /// The shortfall.
    pub(crate) short: Pence,
    /// The stated shortfall.
    pub(crate) stated: Pence,
    /// Whether the shortfall is as of a day in the past. Otherwise it is the current shortfall.
    pub(crate) in_the_past: bool,
}

/// The balances of a fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// The amount allocated, net of withdrawals.
    pub allocated: Pence,
    /// The amount committed by awards.
    pub committed: Pence,
    /// The amount spent, net of refunds.
    pub spent: Pence,
    /// The amount left; negative if the fund is over-committed.
    pub available: Pence,
}

impl Numbers {
    /// The amount by which committed and spent together exceed the amount allocated; 0 if they do not.
    #[must_use]
    pub fn shortfall(&self) -> Pence {
        Pence(self.available.get().min(0).saturating_neg())
    }
}

impl Statement {
    /// Sets the largest shortfall of a fund as of a day in the past, if it is larger than the current shortfall.
    pub(crate) fn set_as_of_shortfall(&mut self, fund: AccountId, short: Pence) {
        if let Self::Funds { funds, .. } = self {
            let statement = funds.iter_mut().find(|it| it.fund == fund && short > it.after.shortfall());
            statement.into_iter().for_each(|it| it.as_of_shortfall = Some(short));
        }
    }

    /// Sets the amount that the requester moved alone before.
    pub(crate) const fn set_moved_alone(&mut self, moved: Pence) {
        if let Self::Funds { moved_alone, .. } = self {
            *moved_alone = Some(moved);
        }
    }

    /// Returns a phrase for a refusal: why a movement needs a second person although its amount is not above the
    /// threshold. Empty for every other statement.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Funds { moved_alone: Some(moved), .. } => {
                format!(", with {moved} that one person moved on the fund alone in {MOVED_ALONE_DAYS} days,")
            }
            Self::Funds { moved_alone: None, .. } | Self::Import { .. } | Self::Offer { .. } | Self::Entry { .. } => {
                String::new()
            }
        }
    }

    /// The school whose entry position is to be decided, and whether it is to be decided as met. `None` for another
    /// statement.
    #[must_use]
    pub const fn school(&self) -> Option<(Urn, bool)> {
        match self {
            Self::Entry { urn, met, .. } => Some((*urn, *met)),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }

    /// The stated region of a school; the inner `None` if the school has no region. The outer `None` if the statement
    /// is not about a school.
    #[must_use]
    pub const fn school_region(&self) -> Option<Option<Region>> {
        match self {
            Self::Entry { region, .. } => Some(*region),
            Self::Funds { .. } | Self::Import { .. } | Self::Offer { .. } => None,
        }
    }
}
