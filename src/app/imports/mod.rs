//! Imports and withdraws reference data: files of the register, and the monthly files of Ofsted.
//!
//! A file is parsed before any lock is taken. Its rows are staged in short transactions under an import that is not visible yet.
//! One short transaction under the register's lock then makes the import count ([`land`]), so commands never wait for a large
//! file. An import that fails or is interrupted leaves invisible rows, which [`App::clean_staging`] deletes.

mod agree;
mod answer;
mod begin;
mod index;
mod land;
mod record;
mod rows;
#[cfg(test)]
mod tests;
mod withdraw;

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{App, AppError, Result, Violation, authorise};
pub use crate::app::eligibility::AffectedOffer;
use crate::domain::Date;
use crate::domain::ids::{ImportId, RequestId};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller};
use crate::domain::time::{self, FutureDate};
use crate::import::{ImportLimits, Reading, read_ofsted, read_register};
use crate::store;
use crate::store::db::page::Page;
pub use crate::store::imports::{FileKind, Import, ImportFilter, ImportState, Problem};
pub use answer::{Denial, Withdrawal};
use land::ImportJob;
use rows::Parsed;
pub use withdraw::{EncodeWithdrawn, Withdrawn};

/// The most characters of a file name.
const MAX_FILE_NAME: usize = 255;

/// The most bytes of an upload, which may be compressed.
#[must_use]
pub fn upload_bytes() -> usize {
    ImportLimits::default().upload_bytes
}

/// The header of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadHeader {
    /// The request id.
    pub request: RequestId,
    /// The file's name, for people.
    pub file_name: String,
    /// The as-at date of the file.
    pub as_at: Date,
    /// Whether to only check the file and write nothing.
    pub validate_only: bool,
    /// The import that this file replaces, if any.
    pub replaces: Option<ImportId>,
    /// Whether ambiguous dates have the day first.
    pub day_first: bool,
    /// Whether to import the good rows even if many others have problems.
    pub accept_problems: bool,
}

impl UploadHeader {
    /// How to read the file.
    fn reading_options(&self) -> Reading {
        let Self { day_first, accept_problems, .. } = *self;
        Reading { day_first, accept_problems, ..Reading::of(self.as_at) }
    }
}

/// The bytes of a file, and the method that received them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The kinds of file that the method takes.
    pub source: ImportSource,
    /// The name of the method.
    pub rpc: &'static str,
    /// The day of the request. The as-at date must not be later.
    pub today: Date,
    /// The content of the file, plain or compressed by gzip.
    pub bytes: Vec<u8>,
}

/// The progress of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of data rows that were read.
    pub rows_read: usize,
    /// The number of rows that were written.
    pub rows_written: usize,
}

/// The outcome of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOutcome {
    /// The import; an earlier import if that has the same content; `None` for a dry run.
    pub import: Option<ImportId>,
    /// The kind of the file.
    pub kind: FileKind,
    /// The as-at date of the file.
    pub as_at: Date,
    /// The number of data rows in the file.
    pub rows: i64,
    /// The number of rows that were imported, or would be.
    pub accepted: i64,
    /// The number of rows that an earlier import with the same content has already.
    pub unchanged: i64,
    /// Problems of the rows that were not imported, or would not be.
    pub problems: Vec<Problem>,
    /// The number of problems beyond those listed.
    pub more_problems: i64,
    /// Notes on the file as a whole.
    pub notes: Vec<String>,
    /// Whether this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// The import that this import replaced, or would replace; `None` if there is none.
    pub replaced: Option<ImportId>,
}

/// An encoded answer. A repeated request gets the same bytes as the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReply<T> {
    /// The encoded answer.
    pub answer: Vec<u8>,
    /// The answer as a value; `None` if it was stored by an earlier request.
    pub fresh: Option<T>,
}

/// The kinds of file that a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportSource {
    /// A file of the register.
    Register,
    /// A monthly file of Ofsted.
    Ofsted,
}

impl ImportSource {
    fn parse(self, upload: &[u8], reading: &Reading) -> Result<Parsed> {
        let parsed = match self {
            Self::Register => read_register(upload, reading).map(Parsed::from),
            Self::Ofsted => read_ofsted(upload, reading).map(Parsed::from),
        };
        parsed.map_err(|refused| AppError::FileRefused {
            why: refused.to_string(),
            details: refused.details().into_iter().map(|(field, text)| Violation::new(field, text)).collect(),
        })
    }
}

impl App {
    /// Imports one file and returns the outcome. The import is completed even if the caller disconnects.
    ///
    /// # Errors
    /// [`AppError::Denied`]. [`AppError::Invalid`] for a date in the future, a file name that is too long, or an import
    /// that cannot be replaced. [`AppError::FileRefused`] for a file that is unusable as a whole. [`AppError::Refused`] if
    /// a landed file of the same date disagrees. [`AppError::RequestIdReused`]. [`AppError::Unavailable`],
    /// [`AppError::StorageFull`], [`AppError::ClockWrong`], [`AppError::Outdated`].
    pub async fn import_file(
        &self,
        caller: &Caller,
        header: UploadHeader,
        upload: Upload,
        progress: impl Fn(Progress) + Send + Sync + 'static,
        encode: fn(&ImportOutcome) -> Vec<u8>,
    ) -> Result<ImportReply<ImportOutcome>> {
        let progress = Box::new(progress);
        let Upload { source, rpc, today, bytes } = upload;
        let job = ImportJob { app: self.clone(), caller: caller.clone(), source, rpc, header, progress, encode };
        self.check_and_run(job, today, bytes).await
    }

    /// Checks the caller and the header, and runs the import to its end.
    async fn check_and_run(&self, job: ImportJob, today: Date, upload: Vec<u8>) -> Result<ImportReply<ImportOutcome>> {
        authorise(&job.caller, Action::Import)?;
        let mut violations = Vec::new();
        if let Err(FutureDate { today, .. }) = time::happened(job.header.as_at, today) {
            violations.push(Violation::new("header.as_at", format!("lies in the future: today is {today}")));
        }
        if job.header.file_name.chars().count() > MAX_FILE_NAME {
            violations.push(Violation::new("header.file_name", format!("is longer than {MAX_FILE_NAME} characters")));
        }
        if !violations.is_empty() {
            return Err(AppError::Invalid(violations));
        }
        run_to_end(job.run(upload)).await
    }

    /// A page of the imports that match a filter.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::Unavailable`].
    pub async fn list_imports(&self, caller: &Caller, filter: &ImportFilter, page: Page) -> Result<Vec<Import>> {
        authorise(caller, Action::Read)?;
        Ok(store::imports::page(self.store(), filter, page).await?)
    }

    /// One import with its row problems and its notes.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_import(&self, caller: &Caller, id: ImportId) -> Result<(Import, Vec<Problem>, Vec<String>)> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let import = store::imports::get(&snapshot, id).await?;
        let import = import.ok_or_else(|| AppError::not_found(EntityKind::Import, id))?;
        let (problems, notes) = store::imports::findings(&snapshot, id).await?;
        Ok((import, problems, notes))
    }
}

/// Runs work to its end in a task, even if the caller disconnects, and returns the result. If the caller has disconnected,
/// logs an error of the work.
async fn run_to_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (sender, result) = oneshot::channel();
    let task = async move {
        if let Err(Err(error)) = sender.send(work.await) {
            error.log();
        }
    };
    let running = tokio::spawn(task.in_current_span());
    match result.await {
        Ok(result) => result,
        Err(_) => {
            let error = running.await.err().map(|it| it.to_string()).unwrap_or_default();
            Err(AppError::Bug(format!("a task ended badly: {error}")))
        }
    }
}
