//! Defines an entry. It moves an amount between two buckets of an account.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::money::{HalfDays, Pence};
use crate::period::Period;
use crate::values::named_enum;
use crate::values::unit::Unit;

named_enum! {
    /// Where an amount is: outside an account, or in one of the three parts of the account.
    Bucket {
        /// Outside the account. Its balance is minus the amount allocated, so the four balances add up to zero.
        Outside = "outside",
        /// In the account, neither committed nor drawn.
        Available = "available",
        /// Committed by an award.
        Committed = "committed",
        /// Drawn from an award.
        Spent = "spent",
    }
}

named_enum! {
    /// The kind of an entry.
    EntryKind {
        /// Puts an amount into the account.
        Allocate = "allocate",
        /// Takes an available amount out of the account.
        Withdraw = "withdraw",
        /// Commits an available amount.
        Commit = "commit",
        /// Makes a committed amount available again.
        Release = "release",
        /// Draws a committed amount.
        Spend = "spend",
        /// Makes a drawn amount available again.
        Refund = "refund",
    }
}

impl EntryKind {
    /// The bucket from which the amount moves, and the bucket to which it moves (ADR 0011).
    #[must_use]
    pub const fn buckets(self) -> (Bucket, Bucket) {
        match self {
            Self::Allocate => (Bucket::Outside, Bucket::Available),
            Self::Withdraw => (Bucket::Available, Bucket::Outside),
            Self::Commit => (Bucket::Available, Bucket::Committed),
            Self::Release => (Bucket::Committed, Bucket::Available),
            Self::Spend => (Bucket::Committed, Bucket::Spent),
            Self::Refund => (Bucket::Spent, Bucket::Available),
        }
    }
}

/// An amount in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Money.
    Pence(Pence),
    /// Time.
    HalfDays(HalfDays),
}

impl Amount {
    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        match self {
            Self::Pence(pence) => pence.get(),
            Self::HalfDays(half_days) => i64::from(half_days.get()),
        }
    }

    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Pence(_) => Unit::Pence,
            Self::HalfDays(_) => Unit::HalfDays,
        }
    }
}

/// Formats an amount of a unit for people: `£4,000`, `2.5 days`.
#[must_use]
pub fn shown(unit: Unit, amount: i64) -> String {
    match unit {
        Unit::Pence => Pence(amount).to_string(),
        Unit::HalfDays => {
            i32::try_from(amount).map_or_else(|_| format!("{amount} half-days"), |it| HalfDays(it).to_string())
        }
    }
}

/// An entry that a command makes, before the entry has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: AccountId,
    /// The kind of the entry. The database and the API call it `verb`.
    pub verb: EntryKind,
    /// The amount in the account's unit, above zero.
    pub amount: i64,
}

/// An entry of the record. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number among the entries of its programme: 1, 2, 3, without gaps.
    pub seq: EntrySeq,
    /// The account.
    pub account: AccountId,
    /// The kind of the entry. The database and the API call it `verb`.
    pub verb: EntryKind,
    /// The amount in the account's unit.
    pub amount: i64,
    /// Its accounting period.
    pub period: Period,
}

/// The number of an entry in its programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntrySeq(pub i64);
