//! What changed accounts by the day: what lies between a day in the past and today, as far as a command asks.

use std::collections::{BTreeMap, HashMap};

use crate::Date;
use crate::ids::AccountId;
use crate::ledger::{Account, Bucket, EntryKind, Owner};

/// By account and day, how postings of that effective date changed what is available.
#[derive(Debug, Clone, Default)]
pub struct AccountDays(HashMap<AccountId, BTreeMap<Date, i64>>);

impl AccountDays {
    /// Counts one posting. What the terms give an offer's cap is there as of every day.
    pub fn post(&mut self, account: &Account, on: Date, verb: EntryKind, amount: i64) {
        let by_terms = verb == EntryKind::Allocate && matches!(account.owner, Owner::Cap { .. });
        let change = match verb.buckets() {
            _ if by_terms || !account.binds => return,
            (Bucket::Available, _) => amount.saturating_neg(),
            (_, Bucket::Available) => amount,
            _ => return,
        };
        let sum = self.0.entry(account.id).or_default().entry(on).or_default();
        *sum = sum.saturating_add(change);
    }

    /// Takes over what is stored of one day.
    pub fn put(&mut self, account: AccountId, on: Date, change: i64) {
        self.0.entry(account).or_default().insert(on, change);
    }

    /// All of it, by account and day.
    pub fn changes(&self) -> impl Iterator<Item = (AccountId, Date, i64)> {
        self.0.iter().flat_map(|(account, days)| days.iter().map(|(on, change)| (*account, *on, *change)))
    }

    /// What is available as of a day and as of each later one on which that changed, in order.
    pub(super) fn available_from(&self, account: &Account, on: Date) -> Vec<(Date, i64)> {
        let changes = self.0.get(&account.id);
        let later = changes.into_iter().flat_map(|it| it.range(on..)).filter(|(day, _)| **day > on);
        let mut days: Vec<(Date, i64)> = Vec::new();
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
