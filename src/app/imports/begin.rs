//! The beginning of the register's record: what was there before it is adopted, by an event each.
//!
//! It happens when the schema is migrated, when a server starts, and before anything else is recorded. The rows are hashed
//! before the lock is taken; one transaction then appends all of it or nothing. The second finds it done.

use super::Import;
use super::record::{DoneBy, RegisterAppender, imported_file};
use crate::app::retry::with_retry;
use crate::app::rules::AdoptedBy;
use crate::app::write_error::WriteError;
use crate::app::{App, Result};
use crate::domain::approval::{self, Approval};
use crate::domain::ids::ImportId;
use crate::domain::register_record::{AnswerFound, ImportedFile, RegisterBody};
use crate::domain::time::Now;
use crate::store::{self, Readable, WriteTx};

/// What there is to be adopted.
#[derive(Debug, PartialEq, Eq)]
struct ExistingImports {
    imports: Vec<(Import, ImportedFile)>,
    approvals: Vec<Approval>,
}

impl App {
    /// Begins the register's record, unless it has begun. Returns how many imports it adopted; nothing where it was not
    /// for this call to do.
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
            let found = found(self.store()).await?;
            let tx = self.begin_write().await?;
            let locked = store::register::lock(&tx).await;
            let (tx, head) = tx.proceed(locked).await?;
            if head.has_begun() {
                tx.rollback().await?;
                return Ok(None);
            }
            // Nothing lands before the record has begun: what was hashed is still all there is.
            let same = ids(&tx).await.map(|ids| ids == found.imports.iter().map(|it| it.0.id).collect::<Vec<_>>());
            let (tx, is_same) = tx.proceed(same).await?;
            if !is_same {
                tx.rollback().await?;
                return Err(WriteError::Overtaken("an import landed while those there were hashed"));
            }
            let now = self.begins_at(&tx).await;
            let (tx, now) = tx.proceed(now).await?;
            let mut record = RegisterAppender::after(head);
            let by = DoneBy { actor: &by.actor, request: by.request };
            let appended = found.bodies().into_iter().try_for_each(|(body, text)| record.append(by, now, body, text));
            let (tx, ()) = tx.proceed(appended).await?;
            let written = record.write(&tx).await;
            let (tx, ()) = tx.proceed(written).await?;
            tx.commit().await?;
            Ok(Some(found.imports.len()))
        });
        let begun = begun.await?;
        if let Some(imports) = begun.filter(|it| *it > 0) {
            tracing::info!(imports, "the register's record has begun, and adopted the imports that were there");
        }
        Ok(begun)
    }

    /// The moment the record begins at: never before an answer about reference data that has no event, as repeated imports
    /// and denied or withdrawn approvals have none from before.
    async fn begins_at(&self, locked: &WriteTx) -> store::Result<Now> {
        let recorded = store::imports::last_recorded(locked).await?;
        Ok(self.clock().now_after(recorded.max(store::requests::last_of_register(locked).await?)))
    }
}

impl ExistingImports {
    /// The events, each with its text.
    fn bodies(&self) -> Vec<(RegisterBody, Option<&str>)> {
        let mut bodies: Vec<(RegisterBody, Option<&str>)> = Vec::new();
        for (import, file) in &self.imports {
            let found = RegisterBody::ImportFound {
                import: import.id,
                file: file.clone(),
                state: import.state,
                imported_by: import.imported_by.clone(),
                imported_at: import.imported_at,
                withdrawn_by: import.withdrawn_by.clone(),
                replaced_by: import.replaced_by,
            };
            bodies.push((found, None));
        }
        for it in &self.approvals {
            let asked = RegisterBody::ApprovalFound {
                approval: it.id,
                import: ImportId(it.subject),
                requested_by: it.requested_by.clone(),
                requested_at: it.requested_at,
                request: it.request,
                token_subject: it.requested_subject,
                statement: it.statement.clone(),
                expires_at: it.expires,
            };
            bodies.push((asked, it.reason.as_deref()));
            let answer = match &it.state {
                approval::ApprovalState::Open | approval::ApprovalState::Expired => continue,
                approval::ApprovalState::CarriedOut(_) => AnswerFound::CarriedOut,
                approval::ApprovalState::Denied(_) => AnswerFound::Denied,
                approval::ApprovalState::Withdrawn => AnswerFound::Withdrawn,
            };
            let answered = RegisterBody::AnswerFound {
                approval: it.id,
                answer,
                answered_by: it.state.answered_by().cloned(),
                token_subject: it.answered_subject,
            };
            bodies.push((answered, it.denied_reason.as_deref()));
        }
        let found = i64::try_from(bodies.len()).unwrap_or(i64::MAX);
        bodies.insert(0, (RegisterBody::RecordBegun { found }, None));
        bodies
    }
}

/// Everything that counts or has counted, its rows hashed.
async fn found(from: &impl Readable) -> store::Result<ExistingImports> {
    let mut imports = Vec::new();
    for import in stored(from).await? {
        let hashes = (
            store::imports::rows_hash(from, import.kind, import.id).await?,
            store::imports::findings_hash(from, import.id).await?,
        );
        let file = imported_file(&import, hashes);
        imports.push((import, file));
    }
    let mut approvals = store::approvals::about_imports(from).await?.values()?;
    approvals.sort_by_key(|it| (it.requested_at, it.id));
    Ok(ExistingImports { imports, approvals })
}

/// The imports in the order in which they were made.
async fn stored(from: &impl Readable) -> store::Result<Vec<Import>> {
    let mut imports = store::imports::all(from).await?.values()?;
    imports.sort_by_key(|it| (it.imported_at, it.id));
    Ok(imports)
}

async fn ids(from: &impl Readable) -> store::Result<Vec<ImportId>> {
    Ok(stored(from).await?.into_iter().map(|it| it.id).collect())
}
