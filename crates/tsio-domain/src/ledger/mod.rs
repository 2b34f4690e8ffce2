//! The ledger: "up to 3 days", "up to £10,000" and "subject to the availability of funds" as one mechanism.
//!
//! Every limit is an [`Account`] with four buckets; an entry moves an amount between two of them. A fund is an account
//! financed by allocations; an offer's cap for a strand is an account financed once, by the terms. No award can exist
//! that any of its accounts cannot bear.

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
pub use account::{Account, Broken, Owner};
pub use entry::{Amount, Bucket, EntryKind, EntrySeq, LedgerEntry, Posting, shown};

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
