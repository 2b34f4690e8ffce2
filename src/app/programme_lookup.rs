//! Which programme a thing belongs to. It never changes once the thing exists, so what was found is remembered: not a cache
//! of anything another process can change.

use std::hash::Hash;

use quick_cache::sync::Cache;

use crate::domain::ids::{AccountId, AwardId, OfferId, Programme};

/// How many of a kind are remembered; past it, those that are asked for least are looked up again.
const MOST: usize = 100_000;

/// The programmes of things by id.
#[derive(Debug, Default)]
pub(super) struct ProgrammeLookup {
    /// Offers.
    pub(super) offers: KnownProgrammes<OfferId>,
    /// Awards.
    pub(super) awards: KnownProgrammes<AwardId>,
    /// Funds.
    pub(super) funds: KnownProgrammes<AccountId>,
}

/// The programmes of one kind of thing.
#[derive(Debug)]
pub(super) struct KnownProgrammes<T>(Cache<T, Programme>);

impl<T: Eq + Hash> Default for KnownProgrammes<T> {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl<T: Eq + Hash + Copy> KnownProgrammes<T> {
    /// The programmes of these things, as far as they are known.
    pub(super) fn of(&self, ids: &[T]) -> Vec<(T, Programme)> {
        ids.iter().filter_map(|id| Some((*id, self.0.get(id)?))).collect()
    }

    /// Remembers what was found.
    pub(super) fn learn(&self, found: &[(T, Programme)]) {
        for (id, programme) in found {
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
        lookup.offers.learn(std::slice::from_ref(&hot));
        assert_eq!(lookup.offers.of(&[id(0), id(1)]), std::slice::from_ref(&hot));
        for n in 1..=2 * MOST {
            let newest = (id(n), programme.clone());
            lookup.offers.learn(std::slice::from_ref(&newest));
            // What is asked for stays, and so does what was just found.
            assert_eq!(lookup.offers.of(&[id(0), id(n)]), [hot.clone(), newest], "{n}");
        }
        // The bound is divided among locks, and rounded up for each.
        let remembered = (0..=2 * MOST).filter(|n| !lookup.offers.of(&[id(*n)]).is_empty()).count();
        assert!((MOST / 2..=MOST + MOST / 100).contains(&remembered), "{remembered}");
    }
}
