//! The ledger: "up to 3 days", "up to £10,000" and "subject to the availability of funds" as one mechanism.
//!
//! Every limit is an [`Account`] with four buckets; an entry moves an amount between two of them. A fund is an account
//! financed by allocations; an offer's cap for a strand is an account financed once, by the terms. No award can exist
//! that any of its accounts cannot bear.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::event::Seq;
use super::ids::{AccountId, OfferId, Programme};
use super::money::{HalfDays, Pence};
use super::offer::named;
use super::period::Period;
use super::refusal::Limit;
use super::region::Region;
use super::terms::{Cap, StrandId, Terms};

named! {
    /// What an account or an award counts.
    Unit {
        /// Whole pence.
        Pence = "pence",
        /// Whole half-days.
        HalfDays = "half_days",
    }
}

named! {
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

named! {
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

impl AccountId {
    /// The account of a fund that the terms bring with them: the same id in every process, without being stored first.
    #[must_use]
    pub fn of_programme(programme: &Programme, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio fund v1\n")
            .chain_update(programme.as_str())
            .chain_update(b"\n")
            .chain_update(strand.as_str())
            .finalize();
        Self(custom(&hash, [0; 6]))
    }

    /// The cap account of an offer for a strand. It keeps the offer's time in front, so that accounts lie in the order
    /// their offers were made.
    #[must_use]
    pub fn of_cap(offer: OfferId, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio cap v1\n")
            .chain_update(offer.0.as_bytes())
            .chain_update(strand.as_str())
            .finalize();
        let mut time = [0_u8; 6];
        time.copy_from_slice(offer.0.as_bytes().first_chunk::<6>().unwrap_or(&[0; 6]));
        Self(custom(&hash, time))
    }
}

/// A UUID of our own making (version 8): a time in front, or none, and a hash.
fn custom(hash: &[u8], time: [u8; 6]) -> Uuid {
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    if time != [0; 6] {
        for (to, from) in bytes.iter_mut().zip(time) {
            *to = from;
        }
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

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

    /// It as a limit that a request runs into, with all its numbers.
    #[must_use]
    pub fn limit(&self, requested: Option<i64>, largest: i64, remedy: String) -> Limit {
        Limit {
            kind: match self.owner {
                Owner::Fund { .. } => "fund",
                Owner::Cap { .. } => "cap",
            },
            account: self.to_string(),
            unit: self.unit.name(),
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
        match &self.owner {
            Owner::Fund { region: None } => write!(f, "fund {} ({}, national)", self.id, self.strand),
            Owner::Fund { region: Some(region) } => write!(f, "fund {} ({}, {region})", self.id, self.strand),
            Owner::Cap { offer } => write!(f, "offer {offer} ({})", self.strand),
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
    /// Its number among the entries of its book: 1, 2, 3, without gaps.
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

/// An entry's number in its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntrySeq(pub i64);

/// The accounts that a group of commands is decided against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    accounts: HashMap<AccountId, Account>,
    funds: BTreeMap<(StrandId, Option<Region>), AccountId>,
}

impl Ledger {
    /// The ledger that a programme begins with: the funds that its terms bring with them, empty.
    #[must_use]
    pub fn of_programme(terms: &Terms) -> Self {
        let mut ledger = Self::default();
        for strand in terms.strands().iter().filter(|it| !it.funds_bind) {
            let id = AccountId::of_programme(terms.programme(), &strand.id);
            ledger.put(Account::new(id, Owner::Fund { region: None }, strand.id.clone(), Unit::Pence, false));
        }
        ledger
    }

    /// Adds an account, or replaces it.
    pub fn put(&mut self, account: Account) {
        if let Owner::Fund { region } = &account.owner {
            self.funds.insert((account.strand.clone(), *region), account.id);
        }
        self.accounts.insert(account.id, account);
    }

    /// An account.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// An account, to post to.
    pub fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    /// All of them, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The fund of a strand and exactly this region, or the national one for none.
    #[must_use]
    pub fn fund(&self, strand: &StrandId, region: Option<Region>) -> Option<&Account> {
        self.funds.get(&(strand.clone(), region)).and_then(|id| self.accounts.get(id))
    }

    /// The fund an award is charged to: its offer's regional fund if there is one, else the national
    /// (`domain.md` section 5).
    #[must_use]
    pub fn fund_for(&self, strand: &StrandId, region: Region) -> Option<&Account> {
        self.fund(strand, Some(region)).or_else(|| self.fund(strand, None))
    }
}
