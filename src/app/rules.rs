//! Makes every programme adopt the rules version of this program, as an event of the programme's record.
//!
//! This happens when the schema is migrated, when a server starts and when a programme is made. Each batch also adopts the
//! version, under the programme's lock, before it records anything else. If a programme has the version already, nothing
//! happens.

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

/// The result of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgraded {
    /// The programmes that adopted the rules.
    pub programmes: Vec<Programme>,
    /// The number of imports that the register's record adopted when it began; `None` if the record had begun before.
    pub imports: Option<usize>,
    /// If a programme adopted the rules now: all approvals that have expired without an answer, otherwise empty. An open
    /// approval that has no expiry, because older rules did not set one, expires by the adoption. Its change has to be
    /// requested again.
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
