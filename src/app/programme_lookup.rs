//! Caches which programme an offer, award or fund belongs to. That never changes, so a cached programme cannot become
//! stale, even if other processes write.

use std::hash::Hash;

use quick_cache::sync::Cache;

use crate::domain::ids::{AccountId, AwardId, OfferId, Programme};

/// The most ids of one kind of entity that are cached. Beyond that, the least used ids are dropped.
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

/// The cached programmes of one kind of entity, by id.
#[derive(Debug)]
pub(super) struct KnownProgrammes<T>(Cache<T, Programme>);

impl<T: Eq + Hash> Default for KnownProgrammes<T> {
    fn default() -> Self {
        Self(Cache::new(CAPACITY))
    }
}

impl<T: Eq + Hash + Copy> KnownProgrammes<T> {
    /// Returns each of these ids that is cached, with its programme. Ids that are not cached are left out.
    pub(super) fn find(&self, ids: &[T]) -> Vec<(T, Programme)> {
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
    fn the_number_of_cached_ids_is_bounded() {
        let lookup = ProgrammeLookup::default();
        let id = |n: usize| OfferId(Uuid::from_u128(n as u128));
        let programme: Programme = "2021-22".parse().unwrap();
        let often_used = (id(0), programme.clone());
        lookup.offers.remember(std::slice::from_ref(&often_used));
        assert_eq!(lookup.offers.find(&[id(0), id(1)]), std::slice::from_ref(&often_used));
        for n in 1..=2 * CAPACITY {
            let newest = (id(n), programme.clone());
            lookup.offers.remember(std::slice::from_ref(&newest));
            // An id that is used often is not dropped, and neither is the newest id.
            assert_eq!(lookup.offers.find(&[id(0), id(n)]), [often_used.clone(), newest], "{n}");
        }
        // The cache divides its capacity among shards, and rounds it up for each shard.
        let remembered = (0..=2 * CAPACITY).filter(|n| !lookup.offers.find(&[id(*n)]).is_empty()).count();
        assert!((CAPACITY / 2..=CAPACITY + CAPACITY / 100).contains(&remembered), "{remembered}");
    }
}
