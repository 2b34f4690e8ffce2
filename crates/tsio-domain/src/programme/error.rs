//! Why a command was not carried out.

use std::fmt;

use crate::refusal::{EntityKind, Refusal};
use crate::time::FutureDate;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The scheme does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Things that it names are not there: their kind, and the id of each.
    #[error("{0} {ids} does not exist", ids = .1.join(", "))]
    NotFound(EntityKind, Vec<String>),
    /// The caller saw an older version.
    #[error("{subject} has changed: etag {given} was given, {current} is current")]
    Stale {
        /// Of what.
        subject: String,
        /// The etag given.
        given: String,
        /// The etag now.
        current: String,
    },
    /// Its day is still to come.
    #[error(transparent)]
    FutureDate(#[from] FutureDate),
    /// Not reachable: the facts were loaded wrongly.
    #[error("bug: {0}")]
    Bug(&'static str),
}

impl CommandError {
    /// One thing that it names is not there.
    #[must_use]
    pub fn not_found(kind: EntityKind, id: impl fmt::Display) -> Self {
        Self::NotFound(kind, vec![id.to_string()])
    }
}
