//! Movements of money in, out of, or between funds.

use serde::{Deserialize, Serialize};

use crate::Date;
use crate::ids::AccountId;
use crate::money::Pence;
use crate::values::approval::ApprovalAction;

/// A movement of money in, out of, or between funds. Its JSON is part of the record: see
/// [`crate::event::EventBody::ApprovalOpened`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FundChange {
    /// Money arrives.
    Allocate {
        /// Where.
        fund: AccountId,
        /// How much, more than nothing.
        amount: Pence,
        /// When.
        on: Date,
    },
    /// Money leaves.
    Withdraw {
        /// From where.
        fund: AccountId,
        /// How much, more than nothing.
        amount: Pence,
        /// Whether it may deliberately cut below what is committed and spent, down to nothing put in. A fund that does not
        /// bind is never over-committed: there it means nothing.
        over_commit: bool,
        /// When.
        on: Date,
    },
    /// A virement.
    Move {
        /// From where.
        from: AccountId,
        /// To where.
        to: AccountId,
        /// How much, more than nothing.
        amount: Pence,
        /// When.
        on: Date,
    },
}

impl FundChange {
    /// The fund it is about; of a virement the one it leaves.
    #[must_use]
    pub const fn fund(&self) -> AccountId {
        match self {
            Self::Allocate { fund, .. } | Self::Withdraw { fund, .. } | Self::Move { from: fund, .. } => *fund,
        }
    }

    /// How much.
    #[must_use]
    pub const fn amount(&self) -> Pence {
        match self {
            Self::Allocate { amount, .. } | Self::Withdraw { amount, .. } | Self::Move { amount, .. } => *amount,
        }
    }

    /// When.
    #[must_use]
    pub const fn on(&self) -> Date {
        match self {
            Self::Allocate { on, .. } | Self::Withdraw { on, .. } | Self::Move { on, .. } => *on,
        }
    }

    /// The same on another day.
    pub(crate) fn dated(&self, day: Date) -> Self {
        let mut it = self.clone();
        match &mut it {
            Self::Allocate { on, .. } | Self::Withdraw { on, .. } | Self::Move { on, .. } => *on = day,
        }
        it
    }

    /// What is asked, as a sentence begins: `an allocation of £60,000`.
    #[must_use]
    pub fn phrase(&self) -> String {
        let what = match self {
            Self::Allocate { .. } => "an allocation",
            Self::Withdraw { .. } => "a withdrawal",
            Self::Move { .. } => "a virement",
        };
        format!("{what} of {}", self.amount())
    }

    /// The action of an approval that asks for it.
    #[must_use]
    pub const fn action(&self) -> ApprovalAction {
        match self {
            Self::Allocate { .. } => ApprovalAction::AllocateFund,
            Self::Withdraw { .. } => ApprovalAction::WithdrawFund,
            Self::Move { .. } => ApprovalAction::MoveFunds,
        }
    }

    /// The funds it changes.
    pub fn funds(&self) -> impl Iterator<Item = AccountId> {
        let second = match self {
            Self::Move { to, .. } => Some(*to),
            Self::Allocate { .. } | Self::Withdraw { .. } => None,
        };
        [self.fund()].into_iter().chain(second)
    }
}
