//! Places for watchers: bounded for all of them together, and for each caller.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::{AppError, Result};
use crate::domain::ids::Actor;

/// All places there are.
#[derive(Debug)]
pub(super) struct WatchSlots {
    all: usize,
    free: Arc<Semaphore>,
    of_one: Option<NonZeroUsize>,
    /// How many each caller holds whose watches are bounded; nobody who holds none.
    held: Mutex<HashMap<Actor, usize>>,
}

/// A place, held until this is dropped: as long as the stream exists, whether or not it is told anything more.
#[derive(Debug)]
pub struct WatchSlot {
    _of_all: OwnedSemaphorePermit,
    _of_one: Option<Own>,
}

#[derive(Debug)]
struct Own {
    places: Arc<WatchSlots>,
    actor: Actor,
}

impl WatchSlots {
    /// All of them free.
    pub(super) fn new(all: usize, of_one: Option<NonZeroUsize>) -> Self {
        Self { all, free: Arc::new(Semaphore::new(all)), of_one, held: Mutex::default() }
    }

    /// How many are held.
    pub(super) fn taken(&self) -> usize {
        self.all.saturating_sub(self.free.available_permits())
    }

    /// Takes one for this caller.
    ///
    /// # Errors
    /// [`AppError::WatchesTooMany`] when the caller holds all that one may; [`AppError::Overloaded`] when none is free.
    pub(super) fn take(self: &Arc<Self>, actor: &Actor) -> Result<WatchSlot> {
        let own = self.of_one.map(|most| self.own(actor, most)).transpose()?;
        let of_all = Arc::clone(&self.free).try_acquire_owned().map_err(|_| AppError::Overloaded)?;
        Ok(WatchSlot { _of_all: of_all, _of_one: own })
    }

    fn own(self: &Arc<Self>, actor: &Actor, most: NonZeroUsize) -> Result<Own> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(actor.clone()).or_default();
        if *count >= most.get() {
            return Err(AppError::WatchesTooMany(most.get()));
        }
        *count = count.saturating_add(1);
        Ok(Own { places: Arc::clone(self), actor: actor.clone() })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.actor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_leaves_places_for_others() {
        let [ann, ben] = ["ann", "ben"].map(|it| it.parse::<Actor>().unwrap());
        let places = Arc::new(WatchSlots::new(3, NonZeroUsize::new(2)));
        let first = places.take(&ann).unwrap();
        let second = places.take(&ann).unwrap();
        assert_eq!(places.take(&ann).unwrap_err(), AppError::WatchesTooMany(2));
        let third = places.take(&ben).unwrap();
        // Where none is free at all, that is said; who got none holds none.
        assert_eq!(places.take(&ben).unwrap_err(), AppError::Overloaded);
        assert_eq!(places.taken(), 3);
        drop(first);
        drop(third);
        let again = [places.take(&ben).unwrap(), places.take(&ben).unwrap()];
        assert_eq!(places.take(&ben).unwrap_err(), AppError::WatchesTooMany(2));
        drop((second, again));
        assert!(places.held.lock().unwrap().is_empty() && places.taken() == 0);
    }

    #[test]
    fn without_a_bound_one_caller_may_hold_all() {
        let ann: Actor = "ann".parse().unwrap();
        let places = Arc::new(WatchSlots::new(2, None));
        let held = [places.take(&ann).unwrap(), places.take(&ann).unwrap()];
        assert_eq!(places.take(&ann).unwrap_err(), AppError::Overloaded);
        drop(held);
        assert_eq!(places.taken(), 0);
    }
}
