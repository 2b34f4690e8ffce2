//! Begins the register's record. The record adopts the imports and approvals that exist already, with an event for each of
//! them.
//!
//! This happens when the schema is migrated, when a server starts, and before the record gets any other event. The rows are
//! hashed before the lock is taken. One transaction then appends all events, or none. If the record has begun before,
//! nothing happens.

use super::Import;
use super::record::{DoneBy, RegisterAppender, imported_file};
use crate::app::retry::with_retry;
use crate::app::rules::AdoptedBy;
use crate::app::write_error::WriteError;
use crate::app::{App, Result};
use crate::domain::approval::{self, Approval};
use crate::domain::ids::ImportId;
use crate::domain::register_record::{AdoptedAnswer, ImportedFile, RegisterBody};
use crate::domain::time::Now;
use crate::store::{self, Readable, WriteTx};

/// The imports to adopt, each with its description for the record, and the approvals about them.
#[derive(Debug, PartialEq, Eq)]
struct ExistingImports {
    imports: Vec<(Import, ImportedFile)>,
    approvals: Vec<Approval>,
}

impl App {
    /// Begins the register's record. Returns how many imports it adopted, or `None` if the record had begun before.
    ///
    /// # Errors
    /// [`crate::app::AppError::Unavailable`], [`crate::app::AppError::StorageFull`], [`crate::app::AppError::ClockWrong`], [`crate::app::AppError::Outdated`];
    /// [`crate::app::AppError::Bug`] for stored rows that cannot be read.
    pub(in crate::app) async fn begin_register_record(&self) -> Result<Option<usize>> {
        if with_retry(|| store::register::record::head(self.store())).await?.has_begun() {
            return Ok(None);
        }
        let by = AdoptedBy::program()?;
        let begun = with_retry(|| async {
            let existing = ExistingImports::load(self.store()).await?;
            let tx = self.begin_write().await?;
            let locked = store::register::lock(&tx).await;
            let (tx, head) = tx.continue_if_ok(locked).await?;
            if head.has_begun() {
                tx.rollback().await?;
                return Ok(None);
            }
            // This program lands no import before the record has begun. But a server of an older version may have landed one
            // since the rows were hashed.
            let hashed_ids: Vec<ImportId> = existing.imports.iter().map(|(import, _)| import.id).collect();
            let is_unchanged = stored_import_ids(&tx).await.map(|ids| ids == hashed_ids);
            let (tx, is_unchanged) = tx.continue_if_ok(is_unchanged).await?;
            if !is_unchanged {
                tx.rollback().await?;
                return Err(WriteError::Overtaken("an import landed while those there were hashed"));
            }
            let now = self.beginning_time(&tx).await;
            let (tx, now) = tx.continue_if_ok(now).await?;
            let mut record = RegisterAppender::after(head);
            let by = DoneBy { actor: &by.actor, request: by.request };
            let appended =
                existing.event_bodies().into_iter().try_for_each(|(body, text)| record.append(by, now, body, text));
            let (tx, ()) = tx.continue_if_ok(appended).await?;
            let written = record.write(&tx).await;
            let (tx, ()) = tx.continue_if_ok(written).await?;
            tx.commit().await?;
            Ok(Some(existing.imports.len()))
        });
        let begun = begun.await?;
        if let Some(imports) = begun.filter(|it| *it > 0) {
            tracing::info!(imports, "the register's record has begun, and adopted the imports that were there");
        }
        Ok(begun)
    }

    /// The time at which the record begins. It is never before the time of a stored answer about reference data. Earlier
    /// versions recorded no events, so repeated imports, and denied or withdrawn approvals, left only their answers.
    async fn beginning_time(&self, locked: &WriteTx) -> store::Result<Now> {
        let recorded = store::imports::last_recorded(locked).await?;
        Ok(self.clock().now_after(recorded.max(store::requests::last_of_register(locked).await?)))
    }
}

impl ExistingImports {
    /// Loads the imports that count or have counted, hashes their rows, and loads the approvals about imports.
    async fn load(from: &dyn Readable) -> store::Result<Self> {
        let mut imports = Vec::new();
        for import in stored_imports(from).await? {
            let hashes = (
                store::imports::rows_hash(from, import.kind, import.id).await?,
                store::imports::findings_hash(from, import.id).await?,
            );
            let file = imported_file(&import, hashes);
            imports.push((import, file));
        }
        let mut approvals = store::approvals::about_imports(from).await?.values()?;
        approvals.sort_by_key(|it| (it.requested_at, it.id));
        Ok(Self { imports, approvals })
    }

    /// The bodies of the events that begin the record, each with its text.
    fn event_bodies(&self) -> Vec<(RegisterBody, Option<&str>)> {
        let mut bodies: Vec<(RegisterBody, Option<&str>)> = Vec::new();
        for (import, file) in &self.imports {
            let import_found = RegisterBody::ImportFound {
                import: import.id,
                file: file.clone(),
                state: import.state,
                imported_by: import.imported_by.clone(),
                imported_at: import.imported_at,
                withdrawn_by: import.withdrawn_by.clone(),
                replaced_by: import.replaced_by,
            };
            bodies.push((import_found, None));
        }
        for it in &self.approvals {
            let approval_found = RegisterBody::ApprovalFound {
                approval: it.id,
                import: ImportId(it.subject),
                requested_by: it.requested_by.clone(),
                requested_at: it.requested_at,
                request: it.request,
                token_subject: it.requested_subject,
                statement: it.statement.clone(),
                expires_at: it.expires,
            };
            bodies.push((approval_found, it.reason.as_deref()));
            let answer = match &it.state {
                approval::ApprovalState::Open | approval::ApprovalState::Expired => continue,
                approval::ApprovalState::CarriedOut(_) => AdoptedAnswer::CarriedOut,
                approval::ApprovalState::Denied(_) => AdoptedAnswer::Denied,
                approval::ApprovalState::Withdrawn => AdoptedAnswer::Withdrawn,
            };
            let answer_found = RegisterBody::AnswerFound {
                approval: it.id,
                answer,
                answered_by: it.state.answered_by().cloned(),
                token_subject: it.answered_subject,
            };
            bodies.push((answer_found, it.denied_reason.as_deref()));
        }
        let count = i64::try_from(bodies.len()).unwrap_or(i64::MAX);
        bodies.insert(0, (RegisterBody::RecordBegun { found: count }, None));
        bodies
    }
}

/// The stored imports in the order in which they were made.
async fn stored_imports(from: &dyn Readable) -> store::Result<Vec<Import>> {
    let mut imports = store::imports::all(from).await?.values()?;
    imports.sort_by_key(|it| (it.imported_at, it.id));
    Ok(imports)
}

/// The ids of the stored imports in the same order.
async fn stored_import_ids(from: &dyn Readable) -> store::Result<Vec<ImportId>> {
    Ok(stored_imports(from).await?.into_iter().map(|it| it.id).collect())
}
