//! Which programme a thing belongs to. It never changes once the thing exists, so what was found is remembered: not a cache
//! of anything another process can change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use crate::domain::ids::{AccountId, AwardId, OfferId, Programme};

/// How many of a kind are remembered; past it they are forgotten, all of them, and looked up again.
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
pub(super) struct KnownProgrammes<T>(RwLock<HashMap<T, Programme>>);

impl<T> Default for KnownProgrammes<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Eq + Hash + Copy> KnownProgrammes<T> {
    /// The programmes of these things, as far as they are known.
    pub(super) fn of(&self, ids: &[T]) -> Vec<(T, Programme)> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ids.iter().filter_map(|id| Some((*id, known.get(id)?.clone()))).collect()
    }

    /// Remembers what was found.
    pub(super) fn learn(&self, found: &[(T, Programme)]) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len().saturating_add(found.len()) > MOST {
            known.clear();
        }
        known.extend(found.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let routes = ProgrammeLookup::default();
        let id = |n: usize| OfferId(Uuid::from_u128(n as u128));
        let programme_name: Programme = "2021-22".parse().unwrap();
        let found: Vec<_> = (0..MOST).map(|n| (id(n), programme_name.clone())).collect();
        routes.offers.learn(&found);
        assert_eq!(routes.offers.of(&[id(0), id(MOST)]), [(id(0), programme_name.clone())]);
        routes.offers.learn(&[(id(MOST), programme_name.clone())]);
        assert_eq!(routes.offers.of(&[id(0), id(MOST)]), [(id(MOST), programme_name)]);
    }
}
