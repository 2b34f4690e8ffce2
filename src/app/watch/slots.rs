//! Slots for watchers: a limit for all of them together, and one for each caller.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::{AppError, Result};
use crate::domain::ids::Actor;

/// All slots of the process.
#[derive(Debug)]
pub(super) struct WatchSlots {
    total: usize,
    free: Arc<Semaphore>,
    of_one: Option<NonZeroUsize>,
    /// The number of slots that each caller holds, if that is limited. Callers without a slot have no entry.
    held_by_caller: Mutex<HashMap<Actor, usize>>,
}

/// A slot, which is free again when this is dropped. It is held as long as the stream exists, even if no more messages come.
#[derive(Debug)]
pub struct WatchSlot {
    _of_all: OwnedSemaphorePermit,
    _of_one: Option<CallerSlot>,
}

/// A slot counted for its caller.
#[derive(Debug)]
struct CallerSlot {
    slots: Arc<WatchSlots>,
    actor: Actor,
}

impl WatchSlots {
    /// Makes this number of free slots.
    pub(super) fn new(total: usize, of_one: Option<NonZeroUsize>) -> Self {
        Self { total, free: Arc::new(Semaphore::new(total)), of_one, held_by_caller: Mutex::default() }
    }

    /// The number of slots that are held.
    pub(super) fn taken(&self) -> usize {
        self.total.saturating_sub(self.free.available_permits())
    }

    /// Takes a slot for this caller.
    ///
    /// # Errors
    /// [`AppError::WatchesTooMany`] if the caller has the maximum already; [`AppError::Overloaded`] if no slot is free.
    pub(super) fn take(self: &Arc<Self>, actor: &Actor) -> Result<WatchSlot> {
        let caller_slot = self.of_one.map(|most| self.count_for_caller(actor, most)).transpose()?;
        let of_all = Arc::clone(&self.free).try_acquire_owned().map_err(|_| AppError::Overloaded)?;
        Ok(WatchSlot { _of_all: of_all, _of_one: caller_slot })
    }

    fn count_for_caller(self: &Arc<Self>, actor: &Actor, most: NonZeroUsize) -> Result<CallerSlot> {
        let mut held_by_caller = self.held_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held_by_caller.entry(actor.clone()).or_default();
        if *count >= most.get() {
            return Err(AppError::WatchesTooMany(most.get()));
        }
        *count = count.saturating_add(1);
        Ok(CallerSlot { slots: Arc::clone(self), actor: actor.clone() })
    }
}

impl Drop for CallerSlot {
    fn drop(&mut self) {
        let mut held_by_caller = self.slots.held_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held_by_caller.get_mut(&self.actor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held_by_caller.remove(&self.actor);
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
        let slots = Arc::new(WatchSlots::new(3, NonZeroUsize::new(2)));
        let first = slots.take(&ann).unwrap();
        let second = slots.take(&ann).unwrap();
        assert_eq!(slots.take(&ann).unwrap_err(), AppError::WatchesTooMany(2));
        let third = slots.take(&ben).unwrap();
        // No slot is free at all; the refused caller holds none more.
        assert_eq!(slots.take(&ben).unwrap_err(), AppError::Overloaded);
        assert_eq!(slots.taken(), 3);
        drop(first);
        drop(third);
        let again = [slots.take(&ben).unwrap(), slots.take(&ben).unwrap()];
        assert_eq!(slots.take(&ben).unwrap_err(), AppError::WatchesTooMany(2));
        drop((second, again));
        assert!(slots.held_by_caller.lock().unwrap().is_empty() && slots.taken() == 0);
    }

    #[test]
    fn without_a_bound_one_caller_may_hold_all() {
        let ann: Actor = "ann".parse().unwrap();
        let slots = Arc::new(WatchSlots::new(2, None));
        let held = [slots.take(&ann).unwrap(), slots.take(&ann).unwrap()];
        assert_eq!(slots.take(&ann).unwrap_err(), AppError::Overloaded);
        drop(held);
        assert_eq!(slots.taken(), 0);
    }
}
