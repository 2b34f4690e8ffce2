//! Why the state of a batch cannot be loaded.

use crate::app::AppError;
use crate::domain::programme::ProgrammeState;
use crate::domain::register_record::RegisterSeq;
use crate::store::{Failure, StoreError};

/// Why facts could not be loaded.
#[derive(Debug)]
pub(in crate::app::writer) enum Unloadable {
    /// The database failed: the group may be tried again.
    Store(StoreError),
    /// Something else: everybody is told.
    App(AppError),
}

impl Failure for Unloadable {
    fn may_be_connection_fault(&self) -> bool {
        match self {
            Self::Store(error) => error.may_be_connection_fault(),
            Self::App(error) => error.may_be_connection_fault(),
        }
    }
}

impl From<StoreError> for Unloadable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Notes after which event of its record the register was read. All of a group's reading is after the same one.
///
/// # Errors
/// [`StoreError::Contention`] where something landed or went in between: to be read anew.
pub(in crate::app::writer) fn read_after(
    facts: &mut ProgrammeState,
    at: Option<RegisterSeq>,
) -> Result<(), StoreError> {
    let is_other = facts.register_seq.zip(at).is_some_and(|(before, at)| before != at);
    if is_other {
        return Err(StoreError::Contention("the register changed while it was read".to_owned()));
    }
    facts.register_seq = facts.register_seq.or(at);
    Ok(())
}

pub(in crate::app::writer) fn sort(error: AppError) -> Unloadable {
    match error {
        AppError::Unavailable => Unloadable::Store(StoreError::Unavailable("while the facts were read".to_owned())),
        AppError::StorageFull => Unloadable::Store(StoreError::Full("while the facts were read".to_owned())),
        error => Unloadable::App(error),
    }
}
