//! Defines the ledger. It enforces every limit on amounts in the same way: "up to 3 days", "up to £10,000" and "subject
//! to the availability of funds".
//!
//! Every limit is an [`Account`] with four buckets, and an entry moves an amount between two of them. A fund is an
//! account that gets its money by allocations. The cap of an offer for a strand is an account that gets its amount
//! once, from the terms. An award can be made only if all its accounts have enough. An account
//! that does not bind counts amounts, and limits none.

mod account;
mod entry;
pub mod fund_change;
mod ids;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use super::ids::AccountId;
use super::region::Region;
use super::terms::{StrandId, Terms};
pub use super::values::unit::Unit;
pub use account::{Account, Owner, PostingError};
pub use entry::{Amount, Bucket, EntryKind, EntrySeq, LedgerEntry, Posting, shown};

/// The accounts against which a batch of commands is decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    accounts: HashMap<AccountId, Account>,
    funds: BTreeMap<(StrandId, Option<Region>), AccountId>,
}

impl Ledger {
    /// Returns the ledger with which a programme begins: an empty fund for each strand whose funds do not bind.
    #[must_use]
    pub fn of_programme(terms: &Terms) -> Self {
        let mut ledger = Self::default();
        for strand in terms.strands().iter().filter(|it| !it.funds_bind) {
            let id = AccountId::of_programme(terms.programme(), &strand.id);
            ledger.put(Account::new(id, Owner::Fund { region: None }, strand.id.clone(), Unit::Pence, false));
        }
        ledger
    }

    /// Adds or replaces an account.
    pub fn put(&mut self, account: Account) {
        if let Owner::Fund { region } = &account.owner {
            self.funds.insert((account.strand.clone(), *region), account.id);
        }
        self.accounts.insert(account.id, account);
    }

    /// The account with this id; `None` if the ledger does not have it.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The account with this id, to post an entry to it; `None` if the ledger does not have it.
    pub fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    /// All accounts, in no particular order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The fund of a strand for exactly this region; for `None`, the national fund.
    #[must_use]
    pub fn fund(&self, strand: &StrandId, region: Option<Region>) -> Option<&Account> {
        self.funds.get(&(strand.clone(), region)).and_then(|id| self.accounts.get(id))
    }

    /// The fund to which an award is charged: the regional fund of its offer if there is one, otherwise the national
    /// fund (`domain.md` section 5).
    #[must_use]
    pub fn fund_for(&self, strand: &StrandId, region: Region) -> Option<&Account> {
        self.fund(strand, Some(region)).or_else(|| self.fund(strand, None))
    }
}
