//! Makes every programme adopt the rules version of this program, as an event of the programme's record.
//!
//! A programme adopts the version when the schema is migrated, when a server starts, and when the programme is made. A batch of
//! commands on a programme with older rules also makes it adopt the version, before its first command. Nothing is recorded for a
//! programme that has the version already.

use super::{App, AppError, Result};
use crate::domain::approval::Approval;
use crate::domain::ids::{Actor, Programme, RequestId};
use crate::domain::rules::RulesVersion;
use crate::store::approvals;
use crate::store::programmes;

/// The actor of events that the program records by itself.
const PROGRAM: &str = "tsio";

/// The actor and the request id of an adoption.
#[derive(Debug, Clone)]
pub(super) struct AdoptedBy {
    pub(super) actor: Actor,
    pub(super) request: RequestId,
}

impl AdoptedBy {
    /// An adoption by the program itself.
    pub(super) fn program() -> Result<Self> {
        let actor = PROGRAM.parse().map_err(|error| AppError::Bug(format!("{PROGRAM}: {error}")))?;
        Ok(Self { actor, request: RequestId(super::clock::new_id()) })
    }
}

/// What [`App::adopt_rules`] has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgraded {
    /// The programmes that adopted the rules.
    pub programmes: Vec<Programme>,
    /// The number of imports that the register's record adopted when it began; `None` if the record had begun before.
    pub imports: Option<usize>,
    /// All approvals that have expired without an answer, also those that expired long ago. Empty if no programme adopted the rules.
    /// Under version 1 of the rules, approvals had no expiry. Those that are still open expire at the adoption. The changes that they
    /// were for must be requested again.
    pub expired: Vec<Approval>,
}

impl App {
    /// Makes every programme with older rules adopt the rules of this program. Begins the register's record if it has not
    /// begun.
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
