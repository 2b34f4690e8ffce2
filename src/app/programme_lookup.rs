//! Remembers which programme an offer, award or fund belongs to. This never changes, so the entries cannot become stale, even if
//! other processes write.

use std::hash::Hash;

use quick_cache::sync::Cache;

use crate::domain::ids::{AccountId, AwardId, OfferId, Programme};

/// The most ids of one kind that are remembered. Beyond that, the least used ones are dropped.
const CAPACITY: usize = 100_000;

/// The programmes of offers, awards and funds by id.
#[derive(Debug, Default)]
pub(super) struct ProgrammeLookup {
    /// Offers.
    pub(super) offers: KnownProgrammes<OfferId>,
    /// Awards.
    pub(super) awards: KnownProgrammes<AwardId>,
    /// Funds.
    pub(super) funds: KnownProgrammes<AccountId>,
}

/// The programmes of one kind of entity.
#[derive(Debug)]
pub(super) struct KnownProgrammes<T>(Cache<T, Programme>);

impl<T: Eq + Hash> Default for KnownProgrammes<T> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl<T: Eq + Hash + Copy> KnownProgrammes<T> {
    /// The programmes of those ids that are remembered.
    pub(super) fn of(&self, ids: &[T]) -> Vec<(T, Programme)> {
        ids.iter().filter_map(|id| Some((*id, self.0.get(id)?))).collect()
    }

    /// Remembers these programmes.
    pub(super) fn remember(&self, programmes: &[(T, Programme)]) {
        for (id, programme) in programmes {
            self.0.insert(*id, programme.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let lookup = ProgrammeLookup::default();
        let id = |n: usize| OfferId(Uuid::from_u128(n as u128));
        let programme: Programme = "2021-22".parse().unwrap();
        let hot = (id(0), programme.clone());
        lookup.offers.remember(std::slice::from_ref(&hot));
        assert_eq!(lookup.offers.of(&[id(0), id(1)]), std::slice::from_ref(&hot));
        for n in 1..=2 * CAPACITY {
            let newest = (id(n), programme.clone());
            lookup.offers.remember(std::slice::from_ref(&newest));
            // An id that is used often stays, and so does the newest.
            assert_eq!(lookup.offers.of(&[id(0), id(n)]), [hot.clone(), newest], "{n}");
        }
        // The bound is divided among locks, and rounded up for each.
        let remembered = (0..=2 * CAPACITY).filter(|n| !lookup.offers.of(&[id(*n)]).is_empty()).count();
        assert!((CAPACITY / 2..=CAPACITY + CAPACITY / 100).contains(&remembered), "{remembered}");
    }
}
