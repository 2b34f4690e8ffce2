//! Accounts: a fund, or what the terms let one offer have of a strand.

use std::fmt;

use super::entry::{Bucket, EntryKind};
use crate::ids::{AccountId, OfferId};
use crate::money::Pence;
use crate::refusal::{Limit, LimitKind, LimitSubject};
use crate::region::Region;
use crate::terms::{Cap, StrandId};
use crate::values::record::Seq;
use crate::values::statement::Numbers;
use crate::values::unit::Unit;

/// What an account is the limit of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A programme's money for a strand, of a region or national.
    Fund {
        /// The region; national when there is none.
        region: Option<Region>,
    },
    /// What one offer may have of a strand.
    Cap {
        /// The offer.
        offer: OfferId,
    },
}

/// A limit and what of it is used. Current balances; the entries prove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it limits.
    pub owner: Owner,
    /// The strand.
    pub strand: StrandId,
    /// What its amounts count.
    pub unit: Unit,
    /// Whether it limits at all: the NLE fund only counts.
    pub binds: bool,
    /// Whether its allocation was deliberately cut below what is committed and spent. Clears itself.
    pub over_committed: bool,
    /// Minus what was ever put in, net of what was taken out.
    pub outside: i64,
    /// There to be given; below zero only where the account does not bind, or is over-committed.
    pub available: i64,
    /// Promised.
    pub committed: i64,
    /// Drawn, net of refunds.
    pub spent: i64,
    /// The last event that changed its settings; what its etag says. 0 when the terms made it.
    pub version: Seq,
}

/// An entry that would break its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{verb} of {amount} breaks the account: {bucket} would be {would_be}")]
pub struct Broken {
    /// What was to be done.
    pub verb: EntryKind,
    /// How much.
    pub amount: i64,
    /// The bucket that would break.
    pub bucket: Bucket,
    /// What it would hold.
    pub would_be: i64,
}

impl Account {
    /// An account with nothing in it.
    #[must_use]
    pub const fn new(id: AccountId, owner: Owner, strand: StrandId, unit: Unit, binds: bool) -> Self {
        let (outside, available, committed, spent) = (0, 0, 0, 0);
        Self {
            id,
            owner,
            strand,
            unit,
            binds,
            over_committed: false,
            outside,
            available,
            committed,
            spent,
            version: Seq(0),
        }
    }

    /// What the terms let one offer have of a strand, with nothing used. None for a strand that only its fund limits.
    #[must_use]
    pub fn cap(offer: OfferId, strand: &StrandId, cap: Cap) -> Option<Self> {
        let (unit, most) = match cap {
            Cap::Pence(most) => (Unit::Pence, most.get()),
            Cap::HalfDays(most) => (Unit::HalfDays, i64::from(most.get())),
            Cap::FundsOnly => return None,
        };
        let empty = Self::new(AccountId::of_cap(offer, strand), Owner::Cap { offer }, strand.clone(), unit, true);
        Some(Self { outside: most.saturating_neg(), available: most, ..empty })
    }

    /// The balances, for a statement.
    pub(crate) fn numbers(&self) -> Numbers {
        Numbers {
            allocated: Pence(self.allocated()),
            committed: Pence(self.committed),
            spent: Pence(self.spent),
            available: Pence(self.available),
        }
    }

    /// What was put in, net of what was taken out: the limit.
    #[must_use]
    pub const fn allocated(&self) -> i64 {
        self.outside.saturating_neg()
    }

    /// The largest amount this verb could move now, deliberate over-commitment aside. What is committed and spent
    /// together stays within an `i64`, and so does what was put in, so that no sum of buckets overflows.
    #[must_use]
    pub fn headroom(&self, verb: EntryKind) -> i64 {
        match verb {
            EntryKind::Allocate => i64::MAX.saturating_add(self.outside.min(0)),
            EntryKind::Commit if !self.binds => {
                i64::MAX.saturating_sub(self.committed).saturating_sub(self.spent).max(0)
            }
            EntryKind::Withdraw if !self.binds => self.allocated(),
            EntryKind::Withdraw | EntryKind::Commit => self.available.max(0),
            EntryKind::Release | EntryKind::Spend => self.committed,
            EntryKind::Refund => self.spent,
        }
    }

    /// Moves an amount between the two buckets of a verb. `deliberate` allows a withdrawal to cut the account below what
    /// is committed and spent; the flag it raises goes down by itself once there is nothing below zero.
    ///
    /// # Errors
    /// [`Broken`], and the account is as it was.
    pub fn post(&mut self, verb: EntryKind, amount: i64, deliberate: bool) -> Result<(), Broken> {
        let (from, to) = verb.buckets();
        let broken = |bucket, would_be| Broken { verb, amount, bucket, would_be };
        let less = self.bucket(from).checked_sub(amount).ok_or_else(|| broken(from, i64::MIN))?;
        let more = self.bucket(to).checked_add(amount).ok_or_else(|| broken(to, i64::MAX))?;
        let most = match verb {
            EntryKind::Withdraw if deliberate => self.allocated(),
            _ => self.headroom(verb),
        };
        if amount <= 0 || amount > most {
            return Err(broken(from, less));
        }
        *self.bucket_mut(from) = less;
        *self.bucket_mut(to) = more;
        self.over_committed = self.binds && self.available < 0 && (self.over_committed || deliberate);
        Ok(())
    }

    /// What is wrong with its balances: nothing, in an account that only entries ever changed.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let sum = [self.outside, self.available, self.committed, self.spent]
            .iter()
            .try_fold(0_i64, |sum, amount| sum.checked_add(*amount));
        if sum != Some(0) {
            return Some(format!("its buckets do not add up to nothing: {self:?}"));
        }
        let below = self.committed < 0 || self.spent < 0 || (self.available < 0 && self.binds && !self.over_committed);
        below.then(|| {
            let Self { available, committed, spent, .. } = self;
            format!("a bucket is below zero: available {available}, committed {committed}, spent {spent}")
        })
    }

    /// As a limit names it.
    #[must_use]
    pub fn subject(&self) -> LimitSubject {
        let strand = self.strand.clone();
        match self.owner {
            Owner::Fund { region } => LimitSubject::Fund { fund: self.id, strand, region },
            Owner::Cap { offer } => LimitSubject::Offer { offer, strand: Some(strand) },
        }
    }

    /// It as a limit that a request runs into, with all its numbers.
    #[must_use]
    pub fn limit(&self, requested: Option<i64>, largest: i64, remedy: String) -> Limit {
        Limit {
            kind: match self.owner {
                Owner::Fund { .. } => LimitKind::Fund,
                Owner::Cap { .. } => LimitKind::Cap,
            },
            subject: self.subject(),
            unit: Some(self.unit),
            limit: Some(self.allocated()),
            committed: Some(self.committed),
            spent: Some(self.spent),
            available: Some(self.available),
            requested,
            largest: Some(largest),
            remedy,
        }
    }

    const fn bucket(&self, bucket: Bucket) -> i64 {
        match bucket {
            Bucket::Outside => self.outside,
            Bucket::Available => self.available,
            Bucket::Committed => self.committed,
            Bucket::Spent => self.spent,
        }
    }

    const fn bucket_mut(&mut self, bucket: Bucket) -> &mut i64 {
        match bucket {
            Bucket::Outside => &mut self.outside,
            Bucket::Available => &mut self.available,
            Bucket::Committed => &mut self.committed,
            Bucket::Spent => &mut self.spent,
        }
    }

    /// The etag of a fund: its settings, never its balances.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}

impl fmt::Display for Account {
    /// As a limit names it: `fund ID (credit, national)`, `offer ID (nle)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subject().fmt(f)
    }
}
