//! The rules that programmes go by: every programme adopts this program's version, as an event of its record.
//!
//! It happens when the schema is migrated, when a server starts, when a programme is made and, as each group looks under
//! the book's lock, before anything else is recorded. Whoever is second finds it done.

use super::{App, AppError, Result};
use crate::domain::ids::{Actor, Programme, RequestId};
use crate::domain::rules::RulesVersion;
use crate::store::books;

/// Who the record says did what the program does by itself.
const PROGRAM: &str = "tsio";

/// Who has a programme adopt the rules, and under which request.
#[derive(Debug, Clone)]
pub(super) struct AdoptedBy {
    pub(super) actor: Actor,
    pub(super) request: RequestId,
}

impl AdoptedBy {
    /// The program by itself.
    pub(super) fn program() -> Result<Self> {
        let actor = PROGRAM.parse().map_err(|error| AppError::Bug(format!("{PROGRAM}: {error}")))?;
        Ok(Self { actor, request: RequestId(super::clock::new_id()) })
    }
}

impl App {
    /// Has every programme that goes by older rules adopt this program's. Returns those that did.
    ///
    /// # Errors
    /// [`AppError::Unavailable`], [`AppError::StorageFull`], [`AppError::ClockWrong`], [`AppError::Outdated`];
    /// [`AppError::Bug`] for stored terms that cannot be read.
    pub async fn adopt_rules(&self) -> Result<Vec<Programme>> {
        let mut adopted = Vec::new();
        for programme in books::with_rules_before(self.store(), RulesVersion::CURRENT).await? {
            if self.inner.writer.adopt_rules(&programme).await? {
                tracing::info!(%programme, version = %RulesVersion::CURRENT, "a programme adopted the rules");
                adopted.push(programme);
            }
        }
        Ok(adopted)
    }
}
