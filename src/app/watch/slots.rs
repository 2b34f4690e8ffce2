//! Limits the number of watchers by slots: there is a limit for all watchers together, and a limit for each caller.

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
    /// The most slots of one caller; `None` for no limit.
    max_per_caller: Option<NonZeroUsize>,
    /// The number of slots that each caller holds, if that is limited. Callers without a slot have no entry.
    held_by_caller: Mutex<HashMap<Actor, usize>>,
}

/// A slot, which is free again when this is dropped. The slot is held as long as the stream exists, even if the watch has
/// ended.
#[derive(Debug)]
pub struct WatchSlot {
    _permit: OwnedSemaphorePermit,
    _caller_slot: Option<CallerSlot>,
}

/// The count of one slot for its caller. Dropping this takes the slot off the count.
#[derive(Debug)]
struct CallerSlot {
    slots: Arc<WatchSlots>,
    actor: Actor,
}

impl WatchSlots {
    /// Makes this number of free slots.
    pub(super) fn new(total: usize, max_per_caller: Option<NonZeroUsize>) -> Self {
        Self { total, free: Arc::new(Semaphore::new(total)), max_per_caller, held_by_caller: Mutex::default() }
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
        let caller_slot = self.max_per_caller.map(|max| self.count_for_caller(actor, max)).transpose()?;
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| AppError::Overloaded)?;
        Ok(WatchSlot { _permit: permit, _caller_slot: caller_slot })
    }

    /// Counts one more slot for a caller, who may hold at most `max` slots.
    fn count_for_caller(self: &Arc<Self>, actor: &Actor, max: NonZeroUsize) -> Result<CallerSlot> {
        let mut held_by_caller = self.held_by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held_by_caller.entry(actor.clone()).or_default();
        if *count >= max.get() {
            return Err(AppError::WatchesTooMany(max.get()));
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
    fn the_limit_for_a_caller_leaves_slots_for_others() {
        let [ann, ben] = ["ann", "ben"].map(|it| it.parse::<Actor>().unwrap());
        let slots = Arc::new(WatchSlots::new(3, NonZeroUsize::new(2)));
        let first = slots.take(&ann).unwrap();
        let second = slots.take(&ann).unwrap();
        assert_eq!(slots.take(&ann).unwrap_err(), AppError::WatchesTooMany(2));
        let third = slots.take(&ben).unwrap();
        // No slot is free. The refused request is not counted for its caller.
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
    fn without_a_limit_one_caller_may_hold_all_slots() {
        let ann: Actor = "ann".parse().unwrap();
        let slots = Arc::new(WatchSlots::new(2, None));
        let both_slots = [slots.take(&ann).unwrap(), slots.take(&ann).unwrap()];
        assert_eq!(slots.take(&ann).unwrap_err(), AppError::Overloaded);
        drop(both_slots);
        assert_eq!(slots.taken(), 0);
    }
}
