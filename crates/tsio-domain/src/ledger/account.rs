//! Defines an account: a fund, or the cap of one offer for a strand.

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

/// The owner of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A programme: the account is its money for a strand.
    Fund {
        /// The region; `None` for a national fund.
        region: Option<Region>,
    },
    /// An offer: the account is its cap for a strand.
    Cap {
        /// The offer.
        offer: OfferId,
    },
}

/// A limit with its current balances. The balances can be computed again from the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The offer or programme that it limits.
    pub owner: Owner,
    /// The strand.
    pub strand: StrandId,
    /// The unit of its amounts.
    pub unit: Unit,
    /// Whether the account limits awards. The NLE fund does not limit them; it only counts.
    pub binds: bool,
    /// Whether a deliberate withdrawal left less than is committed and spent. It is false again when `available` is not
    /// negative.
    pub over_committed: bool,
    /// The negative of the amount allocated, net of withdrawals.
    pub outside: i64,
    /// The amount that can be committed. Negative only if the account does not bind or is over-committed.
    pub available: i64,
    /// The amount committed.
    pub committed: i64,
    /// The amount spent, net of refunds.
    pub spent: i64,
    /// The last event that changed its settings. The etag is made from it. 0 if the terms made the account.
    pub version: Seq,
}

/// An entry that would break its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{verb} of {amount} breaks the account: {bucket} would be {would_be}")]
pub struct PostingError {
    /// The kind of the entry.
    pub verb: EntryKind,
    /// Its amount.
    pub amount: i64,
    /// The bucket that would be out of range.
    pub bucket: Bucket,
    /// The balance that the bucket would have.
    pub would_be: i64,
}

impl Account {
    /// Makes an empty account.
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

    /// Makes the unused cap account of an offer for a strand. Returns `None` for a strand that only its fund limits.
    #[must_use]
    pub fn cap(offer: OfferId, strand: &StrandId, cap: Cap) -> Option<Self> {
        let (unit, limit) = match cap {
            Cap::Pence(limit) => (Unit::Pence, limit.get()),
            Cap::HalfDays(limit) => (Unit::HalfDays, i64::from(limit.get())),
            Cap::FundsOnly => return None,
        };
        let empty = Self::new(AccountId::of_cap(offer, strand), Owner::Cap { offer }, strand.clone(), unit, true);
        Some(Self { outside: limit.saturating_neg(), available: limit, ..empty })
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

    /// The limit: the amount allocated, net of withdrawals.
    #[must_use]
    pub const fn allocated(&self) -> i64 {
        self.outside.saturating_neg()
    }

    /// The largest amount that an entry of this kind could move now, without deliberate over-commitment. Within it,
    /// neither the amount allocated nor the sum of committed and spent overflows an `i64`.
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

    /// Moves an amount between the two buckets of an entry kind. `deliberate` allows a withdrawal to leave less than is
    /// committed and spent. This sets `over_committed`. A later entry clears it when `available` is not negative any
    /// more.
    ///
    /// # Errors
    /// [`PostingError`]. The account is then unchanged.
    pub fn post(&mut self, verb: EntryKind, amount: i64, deliberate: bool) -> Result<(), PostingError> {
        let (from, to) = verb.buckets();
        // On overflow, the error has the end of the range as the balance.
        let posting_error = |bucket, would_be| PostingError { verb, amount, bucket, would_be };
        let new_from = self.bucket(from).checked_sub(amount).ok_or_else(|| posting_error(from, i64::MIN))?;
        let new_to = self.bucket(to).checked_add(amount).ok_or_else(|| posting_error(to, i64::MAX))?;
        let largest = match verb {
            EntryKind::Withdraw if deliberate => self.allocated(),
            _ => self.headroom(verb),
        };
        if amount <= 0 || amount > largest {
            return Err(posting_error(from, new_from));
        }
        *self.bucket_mut(from) = new_from;
        *self.bucket_mut(to) = new_to;
        self.over_committed = self.binds && self.available < 0 && (self.over_committed || deliberate);
        Ok(())
    }

    /// Returns what is wrong with the balances. Returns `None` for an account that only entries have changed.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let sum = [self.outside, self.available, self.committed, self.spent]
            .iter()
            .try_fold(0_i64, |sum, amount| sum.checked_add(*amount));
        if sum != Some(0) {
            return Some(format!("its buckets do not add up to nothing: {self:?}"));
        }
        let below_zero =
            self.committed < 0 || self.spent < 0 || (self.available < 0 && self.binds && !self.over_committed);
        below_zero.then(|| {
            let Self { available, committed, spent, .. } = self;
            format!("a bucket is below zero: available {available}, committed {committed}, spent {spent}")
        })
    }

    /// The account as the subject of a limit.
    #[must_use]
    pub fn subject(&self) -> LimitSubject {
        let strand = self.strand.clone();
        match self.owner {
            Owner::Fund { region } => LimitSubject::Fund { fund: self.id, strand, region },
            Owner::Cap { offer } => LimitSubject::Offer { offer, strand: Some(strand) },
        }
    }

    /// The account as a limit of a refusal, with all its numbers.
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

    /// The etag of a fund. It covers the settings, not the balances.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}

impl fmt::Display for Account {
    /// Formats the account as a limit names it: `fund ID (credit, national)`, `offer ID (nle)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.subject().fmt(f)
    }
}
