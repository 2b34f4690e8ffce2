//! The rules that programmes go by: every programme adopts this program's version, as an event of its record.
//!
//! It happens when the schema is migrated, when a server starts, when a programme is made and, as each group looks under
//! the programme's lock, before anything else is recorded. The second finds it done.

use super::{App, AppError, Result};
use crate::domain::approval::Approval;
use crate::domain::ids::{Actor, Programme, RequestId};
use crate::domain::rules::RulesVersion;
use crate::store::approvals;
use crate::store::programmes;

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

/// What an upgrade did: the programmes that adopted the rules, and the approvals that expired with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgraded {
    /// The programmes.
    pub programmes: Vec<Programme>,
    /// How many imports the register's record adopted as it began; nothing where it had begun.
    pub imports: Option<usize>,
    /// Approvals that were open, and state nothing of what they were judged against: what they ask for has to be asked again.
    pub expired: Vec<Approval>,
}

impl App {
    /// Has every programme that uses older rules adopt this program's, and begins the register's record where it has not
    /// begun. Returns what came of it.
    ///
    /// # Errors
    /// [`AppError::Unavailable`], [`AppError::StorageFull`], [`AppError::ClockWrong`], [`AppError::Outdated`];
    /// [`AppError::Bug`] for stored terms that cannot be read.
    pub async fn adopt_rules(&self) -> Result<Upgraded> {
        let mut upgraded = Upgraded { imports: self.begin_register_record().await?, ..Upgraded::default() };
        for programme in programmes::with_rules_before(self.store(), RulesVersion::CURRENT).await? {
            if self.inner.writer.adopt_rules(&programme).await? {
                tracing::info!(%programme, version = %RulesVersion::CURRENT, "a programme adopted the rules");
                upgraded.programmes.push(programme);
            }
        }
        if !upgraded.programmes.is_empty() {
            upgraded.expired = approvals::past(self.store(), self.clock().now().at).await?;
        }
        for it in &upgraded.expired {
            let (approval, action) = (it.id, it.action.name());
            tracing::warn!(%approval, action, requested_by = %it.requested_by, "an approval that was open has expired");
        }
        Ok(upgraded)
    }
}
