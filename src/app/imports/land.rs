//! Runs one import, from its bytes to its landing.
//!
//! The steps are: parse, compare with the imports of the same kind and as-at date, stage, land. Landing holds the register's
//! lock for a few small statements. If another import of the same kind and date landed or was withdrawn after the
//! comparison, the file is compared again.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::record::{DoneBy, imported_file};
use super::rows::Parsed;
use super::{ImportOutcome, ImportReply, ImportSource, Progress, UploadHeader, agree};
use crate::app::clock::new_id;
use crate::app::request::RequestIdentity;
use crate::app::retry::with_retry;
use crate::app::write_error::WriteError;
use crate::app::{App, AppError, Result, Violation, replay_stored_answer};
use crate::domain::event::Hash;
use crate::domain::ids::ImportId;
use crate::domain::register_record::{ImportedFile, RegisterBody, refusals};
use crate::domain::role::Caller;
use crate::store;
use crate::store::imports::{Import, ImportState, Problem, StagedRows};
use crate::store::requests::Stored;

/// The number of rows that one transaction stages, which takes about 10 ms on SQLite.
const ROWS_PER_WRITE: usize = 1_000;
/// How many of these transactions are running or prepared: one is prepared while another one runs.
const PREPARED_WRITES: usize = 2;
/// The most times that a file is compared. It is compared again if another import of the same date lands after a comparison.
const MAX_COMPARISONS: usize = 5;

/// One import in progress.
pub(super) struct ImportJob {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) source: ImportSource,
    pub(super) rpc: &'static str,
    pub(super) header: UploadHeader,
    pub(super) progress: Box<dyn Fn(Progress) + Send + Sync>,
    pub(super) encode: fn(&ImportOutcome) -> Vec<u8>,
}

/// The import to make from a parsed file, with the result of the last comparison.
struct Plan {
    import: Import,
    problems: Vec<Problem>,
    notes: Vec<String>,
    /// The import that this import replaces, if any.
    replaced: Option<Import>,
    /// The landed imports of the same date at the last comparison.
    compared: Vec<ImportId>,
    request: RequestIdentity,
    /// The description of the file for the record; `None` until the rows are staged.
    file: Option<ImportedFile>,
}

/// The outcome of an attempt to land.
enum Landing {
    /// The import has landed, or an earlier import has the same content.
    Done(ImportReply<ImportOutcome>),
    /// Another attempt has answered this request already.
    Answered(Stored),
    /// An import of the same date landed or was withdrawn since the comparison.
    Overtaken,
    /// The staged rows were deleted by [`App::clean_staging`], which took the import for abandoned.
    RowsDeleted,
}

impl ImportJob {
    /// Runs the import and returns the reply.
    pub(super) async fn run(self, upload: Vec<u8>) -> Result<ImportReply<ImportOutcome>> {
        if !self.header.validate_only {
            self.app.clean_staging().await?;
        }
        let (source, reading) = (self.source, self.header.reading_options());
        let (sha256, parsed) = run_blocking(move || (Sha256::digest(&upload), source.parse(&upload, &reading))).await?;
        let request = self.identity(&sha256);
        if !self.header.validate_only
            && let Some(stored) = self.find_stored_answer().await?
        {
            let answer = replay_stored_answer(&stored, &request)?;
            with_retry(|| self.app.store().confirm()).await?;
            return Ok(ImportReply { answer, fresh: None });
        }
        let parsed = parsed?;
        (self.progress)(Progress { rows_read: parsed.rows_read, rows_written: 0 });
        let (mut plan, rows) = self.make_plan(parsed, request);
        let result = self.compare_and_land(&mut plan, rows).await;
        let landed =
            matches!(&result, Ok(ImportReply { fresh: Some(outcome), .. }) if outcome.import == Some(plan.import.id));
        if !landed && !self.header.validate_only {
            self.app.discard(&plan.import).await;
        }
        result
    }

    /// The identity of the request: its header, and the SHA-256 of its file.
    fn identity(&self, sha256: &[u8]) -> RequestIdentity {
        let replaces = self.header.replaces.map_or_else(String::new, |id| id.to_string());
        let as_at = self.header.as_at.to_string();
        let mut parts = vec![self.header.file_name.as_bytes(), as_at.as_bytes(), replaces.as_bytes(), sha256];
        // Flags count only if set, so that a request without them keeps the fingerprint that it had in earlier versions.
        let flags = [(self.header.day_first, "day_first"), (self.header.accept_problems, "accept_problems")];
        parts.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.as_bytes()));
        RequestIdentity::of_parts(self.header.request, self.rpc, &parts)
    }

    async fn find_stored_answer(&self) -> Result<Option<Stored>> {
        let find = || store::requests::one(self.app.store(), &self.caller.actor, self.header.request);
        Ok(with_retry(find).await?)
    }

    /// Makes the import and its rows from a parsed file. Nothing is compared or written yet.
    fn make_plan(&self, mut parsed: Parsed, request: RequestIdentity) -> (Plan, Arc<StagedRows>) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let id = ImportId(new_id());
        let problems = std::mem::take(&mut parsed.problems);
        let notes = std::mem::take(&mut parsed.notes);
        let (kind, sha256, rows_read, more_problems) =
            (parsed.kind, parsed.sha256, parsed.rows_read, parsed.more_problems);
        let rows = parsed.rows(id);
        let import = Import {
            id,
            kind,
            as_at: self.header.as_at,
            state: ImportState::Staging,
            file_name: self.header.file_name.clone(),
            sha256: Hash(sha256),
            rows: number(rows_read),
            accepted: number(rows.len()),
            more_problems: number(more_problems),
            imported_by: self.caller.actor.clone(),
            imported_at: self.app.clock().now().at,
            withdrawn_by: None,
            withdrawn_reason: None,
            replaced_by: None,
            indexed: false,
        };
        let plan = Plan { import, problems, notes, replaced: None, compared: Vec::new(), request, file: None };
        (plan, Arc::new(rows))
    }

    /// Compares, stages and lands the file, and returns the reply. If another import of the same date landed or was
    /// withdrawn after the comparison, compares again. A dry run ends after the first comparison.
    async fn compare_and_land(&self, plan: &mut Plan, rows: Arc<StagedRows>) -> Result<ImportReply<ImportOutcome>> {
        if !self.header.validate_only {
            self.app.begin_register_record().await?;
        }
        self.note_other_dates(plan).await?;
        for _ in 0..MAX_COMPARISONS {
            let repeated_outcome = self.compare(plan, &rows).await?;
            if self.header.validate_only {
                let planned = repeated_outcome.unwrap_or_else(|| plan.outcome(None));
                let outcome = ImportOutcome { import: None, dry_run: true, ..planned };
                return Ok(ImportReply { answer: (self.encode)(&outcome), fresh: Some(outcome) });
            }
            if plan.file.is_none() && repeated_outcome.is_none() {
                plan.file = Some(self.stage_and_hash(plan, &rows).await?);
            }
            match with_retry(|| self.land(plan)).await? {
                Landing::Done(reply) => {
                    self.app.index_landed().await;
                    return Ok(reply);
                }
                Landing::Answered(stored) => {
                    let answer = replay_stored_answer(&stored, &plan.request)?;
                    self.app.index_landed().await;
                    return Ok(ImportReply { answer, fresh: None });
                }
                Landing::Overtaken => {}
                Landing::RowsDeleted => return Err(rows_deleted(&plan.import)),
            }
        }
        Err(AppError::unavailable("other imports of the same date landed again and again"))
    }

    /// Adds a note if the same content has landed for another date: then the as-at date is probably wrong.
    async fn note_other_dates(&self, plan: &mut Plan) -> Result<()> {
        let landed = with_retry(|| store::imports::landed(self.app.store(), plan.import.kind)).await?;
        let same: Vec<&Import> = landed.iter().filter(|it| it.sha256 == plan.import.sha256).collect();
        // The same content for the same date is a repetition, which lands no import that could have a note.
        if same.iter().all(|it| it.as_at != plan.import.as_at) {
            plan.notes.extend(same.first().map(|it| {
                format!("the same content counts as at {} already (import {}): check the as-at date", it.as_at, it.id)
            }));
        }
        Ok(())
    }

    /// Compares the file with all landed imports of the same kind and date. Finds the import to replace, if one is named.
    /// Returns the outcome if one of the imports has the same content, otherwise `None`.
    ///
    /// # Errors
    /// [`AppError::Refused`] if an import that is not replaced disagrees; [`AppError::Invalid`] if the import to replace
    /// cannot be replaced.
    async fn compare(&self, plan: &mut Plan, rows: &StagedRows) -> Result<Option<ImportOutcome>> {
        let store = self.app.store();
        let same_day = same_day(store, &plan.import).await?;
        plan.compared = same_day.iter().map(|it| it.id).collect();
        let earlier = same_day.iter().find(|it| it.sha256 == plan.import.sha256);
        plan.replaced = match self.header.replaces {
            None => None,
            Some(id) => self.find_replaced(id, plan, &same_day, earlier.map(|it| it.id)).await?,
        };
        if let Some(earlier) = earlier {
            return Ok(Some(plan.repeated_outcome(earlier)));
        }
        let mut disagreements = Vec::new();
        for other in same_day.iter().filter(|it| Some(it.id) != self.header.replaces) {
            let other_rows = with_retry(|| StagedRows::of(store, other.kind, other.id)).await?;
            disagreements.extend(agree::disagreements(rows, &other_rows).into_iter().map(|row| (row, other.id)));
        }
        if disagreements.is_empty() { Ok(None) } else { Err(refusals::import_disagrees(&disagreements).into()) }
    }

    /// Finds the import to replace, which must be landed and of the same kind and date. `earlier` is a landed import with
    /// the same content. Returns `None` if `earlier` is the import to replace, or has replaced it already.
    async fn find_replaced(
        &self,
        id: ImportId,
        plan: &Plan,
        same_day: &[Import],
        earlier: Option<ImportId>,
    ) -> Result<Option<Import>> {
        if earlier == Some(id) {
            return Ok(None);
        }
        if let Some(found) = same_day.iter().find(|it| it.id == id) {
            return Ok(Some(found.clone()));
        }
        let why = match store::imports::get(self.app.store(), id).await? {
            None => "names no import".to_owned(),
            Some(it) if earlier.is_some() && it.replaced_by == earlier => return Ok(None),
            Some(it) if it.state != ImportState::Landed => format!("import {id} counts no more: it is {}", it.state),
            Some(it) => format!(
                "import {id} is of {} as at {}, this file of {} as at {}",
                it.kind, it.as_at, plan.import.kind, plan.import.as_at
            ),
        };
        Err(AppError::Invalid(vec![Violation::new("header.replaces", why)]))
    }

    /// Stages the import, and hashes its rows meanwhile. Returns the description of the file.
    async fn stage_and_hash(&self, plan: &Plan, rows: &Arc<StagedRows>) -> Result<ImportedFile> {
        let (store, import) = (self.app.store(), &plan.import);
        let hash = run_blocking({
            let rows = Arc::clone(rows);
            move || rows.hash()
        });
        self.stage(plan, rows).await?;
        let accepted = hash.await??;
        let findings = with_retry(|| store::imports::findings_hash(store, import.id)).await?;
        if with_retry(|| store::imports::count_rows(store, import.kind, import.id)).await? != import.accepted {
            return Err(rows_deleted(import));
        }
        Ok(imported_file(import, (accepted, findings)))
    }

    /// Stores the import with its problems and notes, and stages its rows, in short transactions. The statements of a transaction
    /// are prepared while the one before is running.
    async fn stage(&self, plan: &Plan, rows: &StagedRows) -> Result<()> {
        let store = self.app.store();
        let begin = || async {
            let tx = self.app.begin_write().await?;
            store::imports::put(&tx, &[&plan.import]).await?;
            store::imports::keep_findings(&tx, plan.import.id, &plan.problems, &plan.notes).await?;
            tx.commit().await?;
            Ok::<_, WriteError>(())
        };
        with_retry(begin).await?;
        let (rows_read, mut written) = (usize::try_from(plan.import.rows).unwrap_or(usize::MAX), 0_usize);
        let backend = store.backend();
        let chunks = stream::iter(rows.chunks(ROWS_PER_WRITE));
        let prepare = |chunk: StagedRows| run_blocking(move || (chunk.len(), chunk.into_writes(backend)));
        let mut prepared = chunks.map(prepare).buffered(PREPARED_WRITES);
        while let Some(prepared) = prepared.next().await {
            let (rows, writes) = prepared?;
            let write = || async {
                let tx = store.write(store.write_permit().await?).await?;
                writes.run(&tx).await?;
                tx.commit().await
            };
            with_retry(write).await?;
            written = written.saturating_add(rows);
            (self.progress)(Progress { rows_read, rows_written: written });
        }
        Ok(())
    }

    /// Makes the import count, in one transaction. If an earlier import has the same content, records the repetition instead.
    async fn land(&self, plan: &Plan) -> std::result::Result<Landing, WriteError> {
        let (tx, mut record) = self.app.locked_record().await?;
        // The request is answered already if a COMMIT succeeded but its confirmation was lost, or if the same request
        // arrived twice at the same time.
        if let Some(stored) = store::requests::one(&tx, &self.caller.actor, self.header.request).await? {
            tx.confirm().await?;
            return Ok(Landing::Answered(stored));
        }
        let same_day = same_day(&tx, &plan.import).await?;
        if !same_day.iter().map(|it| it.id).eq(plan.compared.iter().copied()) {
            tx.rollback().await?;
            return Ok(Landing::Overtaken);
        }
        let now = self.app.register_now(&tx).await?;
        let earlier = same_day.iter().find(|it| it.sha256 == plan.import.sha256);
        let counting_id = earlier.map_or(plan.import.id, |it| it.id);
        let replaced = plan.replaced.clone().map(|it| Import {
            state: ImportState::Replaced,
            replaced_by: Some(counting_id),
            indexed: false,
            ..it
        });
        store::imports::put(&tx, &replaced.iter().collect::<Vec<_>>()).await?;
        let done_by = DoneBy { actor: &self.caller.actor, request: self.header.request };
        let outcome = match earlier {
            Some(earlier) => {
                record.append(done_by, now, RegisterBody::ImportRepeated { import: earlier.id }, None)?;
                plan.repeated_outcome(earlier)
            }
            None => {
                let staged = store::imports::find(&tx, plan.import.id).await?;
                let is_staged = staged.is_some_and(|it| it.state == ImportState::Staging);
                let Some(file) = plan.file.clone().filter(|_| is_staged) else {
                    tx.rollback().await?;
                    return Ok(Landing::RowsDeleted);
                };
                record.append(done_by, now, RegisterBody::ImportLanded { import: plan.import.id, file }, None)?;
                let landed = Import { state: ImportState::Landed, imported_at: now.at, ..plan.import.clone() };
                store::imports::put(&tx, &[&landed]).await?;
                plan.outcome(Some(landed.id))
            }
        };
        if let Some(replaced) = &replaced {
            let body = RegisterBody::ImportReplaced { import: replaced.id, by: counting_id };
            record.append(done_by, now, body, None)?;
        }
        record.write(&tx).await?;
        let answer = (self.encode)(&outcome);
        let stored = plan.request.stored(&self.caller.actor, answer.clone(), None);
        store::requests::keep(&tx, &[stored], now.at).await?;
        tx.commit().await?;
        Ok(Landing::Done(ImportReply { answer, fresh: Some(outcome) }))
    }
}

impl Plan {
    /// The outcome of the import, under this id; `None` for a dry run.
    fn outcome(&self, import: Option<ImportId>) -> ImportOutcome {
        ImportOutcome {
            import,
            kind: self.import.kind,
            as_at: self.import.as_at,
            rows: self.import.rows,
            accepted: self.import.accepted,
            unchanged: 0,
            problems: self.problems.clone(),
            more_problems: self.import.more_problems,
            notes: self.notes.clone(),
            dry_run: false,
            replaced: self.replaced.as_ref().map(|it| it.id),
        }
    }

    /// The outcome if an earlier import has the same content: no row is imported, but another import may be replaced.
    fn repeated_outcome(&self, earlier: &Import) -> ImportOutcome {
        let outcome = self.outcome(Some(earlier.id));
        ImportOutcome { accepted: 0, unchanged: earlier.accepted, ..outcome }
    }
}

/// The error of an import whose staged rows were deleted before it landed. The caller has to import the file again.
fn rows_deleted(import: &Import) -> AppError {
    AppError::unavailable(format!(
        "the {} staged rows of import {} were deleted before they landed",
        import.accepted, import.id
    ))
}

/// The landed imports of the same kind and date, by id.
async fn same_day(from: &dyn store::Readable, import: &Import) -> store::Result<Vec<Import>> {
    let landed = store::imports::landed(from, import.kind).await?;
    Ok(landed.into_iter().filter(|it| it.as_at == import.as_at).collect())
}

/// Runs work on a thread that may block. The work begins at once.
fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = Result<T>> {
    let task = tokio::task::spawn_blocking(work);
    async { task.await.map_err(|error| AppError::Bug(format!("work on a file ended badly: {error}"))) }
}
