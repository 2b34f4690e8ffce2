//! The use cases: who may, in which order, over which facts.
//!
//! A use case reads the clock once, checks the caller's roles, checks the fields, and then either reads, or hands a
//! command to the one [`writer`] of its book, or lands reference data ([`imports`]). No rule of the scheme is here, and
//! nothing here knows the wire.

pub mod clock;
pub mod eligibility;
mod error;
pub mod imports;
pub mod register;
mod retry;
pub mod terms;

use std::sync::Arc;

use crate::domain::role::{Action, Caller};
use crate::store::Store;
use clock::Clock;
pub use error::{AppError, Violation};

/// Result of every use case.
pub type Result<T> = std::result::Result<T, AppError>;

/// Everything the use cases work with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    terms: terms::Parsed,
    assessments: eligibility::Assessments,
}

impl App {
    /// The use cases over an open, migrated database.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { store, clock, terms: Default::default(), assessments: Default::default() }) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Assessments kept for reuse: see [`eligibility::Assessments`].
    pub(crate) fn assessments(&self) -> &eligibility::Assessments {
        &self.inner.assessments
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

/// Refuses a caller none of whose roles allows the action.
///
/// # Errors
/// [`AppError::Denied`].
pub(crate) fn authorise(caller: &Caller, action: Action) -> Result<()> {
    if caller.may(action) { Ok(()) } else { Err(AppError::Denied(action)) }
}
