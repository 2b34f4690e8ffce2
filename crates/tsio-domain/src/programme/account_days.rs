//! Keeps the changes of the available amounts of accounts by day. They give the amount that was available as of a past day.

use std::collections::{BTreeMap, HashMap};

use crate::Date;
use crate::ids::AccountId;
use crate::ledger::{Account, Bucket, EntryKind, Owner};

/// The sum of all changes of the available amount, by account and effective date.
#[derive(Debug, Clone, Default)]
pub struct AccountDays(HashMap<AccountId, BTreeMap<Date, i64>>);

impl AccountDays {
    /// Adds one posting, unless the account does not bind. The allocation by the terms to an offer's cap is left out too, because
    /// that amount is available as of every day.
    pub fn post(&mut self, account: &Account, on: Date, verb: EntryKind, amount: i64) {
        let is_cap_allocation = verb == EntryKind::Allocate && matches!(account.owner, Owner::Cap { .. });
        let change = match verb.buckets() {
            _ if is_cap_allocation || !account.binds => return,
            (Bucket::Available, _) => amount.saturating_neg(),
            (_, Bucket::Available) => amount,
            _ => return,
        };
        let sum = self.0.entry(account.id).or_default().entry(on).or_default();
        *sum = sum.saturating_add(change);
    }

    /// Sets the sum of the changes of one day.
    pub fn put(&mut self, account: AccountId, on: Date, change: i64) {
        self.0.entry(account).or_default().insert(on, change);
    }

    /// All changes, by account and day.
    pub fn changes(&self) -> impl Iterator<Item = (AccountId, Date, i64)> {
        self.0.iter().flat_map(|(account, days)| days.iter().map(|(on, change)| (*account, *on, *change)))
    }

    /// The changes of one account, by day.
    pub fn of_account(&self, account: AccountId) -> impl Iterator<Item = (Date, i64)> {
        self.0.get(&account).into_iter().flatten().map(|(on, change)| (*on, *change))
    }

    /// The available amount as of `on`, and as of each later day on which it changed, in order of days.
    pub(super) fn available_from(&self, account: &Account, on: Date) -> Vec<(Date, i64)> {
        let changes = self.0.get(&account.id);
        let later = changes.into_iter().flat_map(|it| it.range(on..)).filter(|(day, _)| **day > on);
        let mut days: Vec<(Date, i64)> = Vec::new();
        // Goes back from the current amount to `on`, and takes off the change of each later day.
        let mut available = account.available;
        for (day, change) in later.collect::<Vec<_>>().into_iter().rev() {
            days.push((*day, available));
            available = available.saturating_sub(*change);
        }
        days.push((on, available));
        days.reverse();
        days
    }
}
