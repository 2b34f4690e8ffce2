//! Defines a movement of money into, out of or between funds.

use serde::{Deserialize, Serialize};

use crate::Date;
use crate::ids::AccountId;
use crate::money::Pence;
use crate::values::approval::ApprovalAction;

/// A movement of money into, out of or between funds. Its JSON is part of the record: see
/// [`crate::event::EventBody::ApprovalOpened`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FundChange {
    /// Money is allocated to a fund.
    Allocate {
        /// The fund.
        fund: AccountId,
        /// The amount, above zero.
        amount: Pence,
        /// The effective date.
        on: Date,
    },
    /// Money is withdrawn from a fund.
    Withdraw {
        /// The fund.
        fund: AccountId,
        /// The amount, above zero.
        amount: Pence,
        /// Whether the withdrawal may leave less than is committed and spent. The amount allocated cannot become
        /// negative. This flag has no effect on a fund that does not bind, because such a fund is never over-committed.
        over_commit: bool,
        /// The effective date.
        on: Date,
    },
    /// Money is moved from one fund to another: a virement.
    Move {
        /// The fund that the money leaves.
        from: AccountId,
        /// The fund that it goes to.
        to: AccountId,
        /// The amount, above zero.
        amount: Pence,
        /// The effective date.
        on: Date,
    },
}

impl FundChange {
    /// The fund that changes; for a virement, the fund that the money leaves.
    #[must_use]
    pub const fn fund(&self) -> AccountId {
        match self {
            Self::Allocate { fund, .. } | Self::Withdraw { fund, .. } | Self::Move { from: fund, .. } => *fund,
        }
    }

    /// The amount.
    #[must_use]
    pub const fn amount(&self) -> Pence {
        match self {
            Self::Allocate { amount, .. } | Self::Withdraw { amount, .. } | Self::Move { amount, .. } => *amount,
        }
    }

    /// The effective date.
    #[must_use]
    pub const fn on(&self) -> Date {
        match self {
            Self::Allocate { on, .. } | Self::Withdraw { on, .. } | Self::Move { on, .. } => *on,
        }
    }

    /// Returns the same movement with the effective date `day`.
    pub(crate) fn dated(&self, day: Date) -> Self {
        let mut change = self.clone();
        match &mut change {
            Self::Allocate { on, .. } | Self::Withdraw { on, .. } | Self::Move { on, .. } => *on = day,
        }
        change
    }

    /// The movement as the beginning of a sentence: `an allocation of £60,000`.
    #[must_use]
    pub fn phrase(&self) -> String {
        let movement_name = match self {
            Self::Allocate { .. } => "an allocation",
            Self::Withdraw { .. } => "a withdrawal",
            Self::Move { .. } => "a virement",
        };
        format!("{movement_name} of {}", self.amount())
    }

    /// The action of an approval for this movement.
    #[must_use]
    pub const fn action(&self) -> ApprovalAction {
        match self {
            Self::Allocate { .. } => ApprovalAction::AllocateFund,
            Self::Withdraw { .. } => ApprovalAction::WithdrawFund,
            Self::Move { .. } => ApprovalAction::MoveFunds,
        }
    }

    /// The funds that change. For a virement, the first fund is the one that the money leaves.
    pub fn funds(&self) -> impl Iterator<Item = AccountId> {
        let second = match self {
            Self::Move { to, .. } => Some(*to),
            Self::Allocate { .. } | Self::Withdraw { .. } => None,
        };
        [self.fund()].into_iter().chain(second)
    }
}
