//! Entries: an amount that moves between two buckets of an account.

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::money::{HalfDays, Pence};
use crate::period::Period;
use crate::values::named_enum;
use crate::values::unit::Unit;

named_enum! {
    /// Where an amount lies in an account.
    Bucket {
        /// Not in the account; unconstrained.
        Outside = "outside",
        /// There to be given.
        Available = "available",
        /// Promised.
        Committed = "committed",
        /// Drawn.
        Spent = "spent",
    }
}

named_enum! {
    /// What an entry does.
    EntryKind {
        /// Finances the account.
        Allocate = "allocate",
        /// Takes financing back.
        Withdraw = "withdraw",
        /// Promises.
        Commit = "commit",
        /// Gives a promise back.
        Release = "release",
        /// Draws on a promise.
        Spend = "spend",
        /// Takes back what was drawn.
        Refund = "refund",
    }
}

impl EntryKind {
    /// The buckets it moves from and to (`design.md`, "A cap is a balance").
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
    /// The plain number.
    #[must_use]
    pub fn get(self) -> i64 {
        match self {
            Self::Pence(pence) => pence.get(),
            Self::HalfDays(half_days) => i64::from(half_days.get()),
        }
    }

    /// What it counts.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Pence(_) => Unit::Pence,
            Self::HalfDays(_) => Unit::HalfDays,
        }
    }
}

/// An amount of a unit as a person reads it: `£4,000`, `2.5 days`.
#[must_use]
pub fn shown(unit: Unit, amount: i64) -> String {
    match unit {
        Unit::Pence => Pence(amount).to_string(),
        Unit::HalfDays => {
            i32::try_from(amount).map_or_else(|_| format!("{amount} half-days"), |it| HalfDays(it).to_string())
        }
    }
}

/// An entry as a command drafts it, before it has its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: AccountId,
    /// What it does.
    pub verb: EntryKind,
    /// How much, more than nothing, in the account's unit.
    pub amount: i64,
}

/// An entry of the record. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number among the entries of its programme: 1, 2, 3, without gaps.
    pub seq: EntrySeq,
    /// The account.
    pub account: AccountId,
    /// What it does.
    pub verb: EntryKind,
    /// How much, in the account's unit.
    pub amount: i64,
    /// The accounting period it counts in.
    pub period: Period,
}

/// An entry's number in its programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntrySeq(pub i64);
