//! Defines the error of a command that was not carried out.

use std::fmt;

use crate::refusal::{EntityKind, Refusal};
use crate::time::FutureDate;

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The scheme does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Entities that the command names do not exist: their kind, and the id of each.
    #[error("{0} {ids} does not exist", ids = .1.join(", "))]
    NotFound(EntityKind, Vec<String>),
    /// A name that the terms do not have: its kind, the name, and the names that they have.
    #[error("{}", unknown_name(*.0, .1, .2))]
    UnknownName(EntityKind, String, Vec<String>),
    /// The caller's etag is not the current one.
    #[error("{subject} has changed: etag {given} was given, {current} is current")]
    Stale {
        /// The entity with the etag.
        subject: String,
        /// The etag in the request.
        given: String,
        /// The current etag.
        current: String,
    },
    /// The date of the command is in the future.
    #[error(transparent)]
    FutureDate(#[from] FutureDate),
    /// A bug, such as state that was not loaded. It should not be reachable.
    #[error("bug: {0}")]
    Bug(&'static str),
}

/// Says that a name does not exist, and lists the names that do.
#[must_use]
pub fn unknown_name(kind: EntityKind, name: &str, known: &[String]) -> String {
    if known.is_empty() {
        format!("{kind} {name} does not exist; there is none")
    } else {
        format!("{kind} {name} does not exist; there are: {}", known.join(", "))
    }
}

impl CommandError {
    /// The error for one entity that does not exist.
    #[must_use]
    pub fn not_found(kind: EntityKind, id: impl fmt::Display) -> Self {
        Self::NotFound(kind, vec![id.to_string()])
    }
}
