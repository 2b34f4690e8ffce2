//! Reference data in, and out again: files of the register and of Ofsted's.
//!
//! A file is parsed before any lock. Its rows are staged in short transactions under an import that nobody sees; one
//! short transaction under the register's lock then makes it count ([`land`]). So no command waits for a file, for any
//! its size. An import that fails or is interrupted leaves rows that nobody sees; [`App::clean_staging`] deletes them.

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

/// The longest file name kept.
const FILE_NAME: usize = 255;

/// The most bytes an upload may have, packed as it comes.
#[must_use]
pub fn upload_bytes() -> usize {
    ImportLimits::default().upload_bytes
}

/// What an upload says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadHeader {
    /// The caller's id for this mutation.
    pub request: RequestId,
    /// The file's name, for people.
    pub file_name: String,
    /// The date the file speaks for.
    pub as_at: Date,
    /// Run the same path and write nothing.
    pub validate_only: bool,
    /// The import this file takes the place of.
    pub replaces: Option<ImportId>,
    /// Its dates have the day first, where nothing in it tells.
    pub day_first: bool,
    /// Take the good rows, though many have problems.
    pub accept_problems: bool,
}

impl UploadHeader {
    /// How the file is to be read.
    fn reading(&self) -> Reading {
        let Self { day_first, accept_problems, .. } = *self;
        Reading { day_first, accept_problems, ..Reading::of(self.as_at) }
    }
}

/// The bytes of a file, as they came, and the call that they came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What the method takes.
    pub source: ImportSource,
    /// The method called.
    pub rpc: &'static str,
    /// The day of the call: no file speaks for a later one.
    pub today: Date,
    /// Plain or gzip.
    pub bytes: Vec<u8>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Data rows read.
    pub rows_read: usize,
    /// Rows written.
    pub rows_written: usize,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOutcome {
    /// The import; the earlier one's when the same content was there already; nothing for a dry run.
    pub import: Option<ImportId>,
    /// What the file is.
    pub kind: FileKind,
    /// The date it speaks for.
    pub as_at: Date,
    /// Data rows in the file.
    pub rows: i64,
    /// Rows that went in, or would.
    pub accepted: i64,
    /// Rows that were there already, because the same content was.
    pub unchanged: i64,
    /// What is wrong with the other rows.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub more_problems: i64,
    /// What is worth a word about the file as a whole.
    pub notes: Vec<String>,
    /// Whether nothing was written because it was asked so.
    pub dry_run: bool,
    /// The import whose place it took, or would take.
    pub replaced: Option<ImportId>,
}

/// An answer as it goes over the wire. For a request made before it is the first one's, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReply<T> {
    /// The encoded answer.
    pub answer: Vec<u8>,
    /// The same as a value, unless it was stored by an earlier call.
    pub fresh: Option<T>,
}

/// The kinds of file that a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportSource {
    /// A file of the register.
    Register,
    /// A monthly file of Ofsted's.
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
            details: refused.details().into_iter().map(|(place, what)| Violation::new(place, what)).collect(),
        })
    }
}

impl App {
    /// Imports one file. It is carried through even when the caller goes away.
    ///
    /// # Errors
    /// [`AppError::FileRefused`] for a file unusable as a whole; a refusal when a landed file of the same date disagrees.
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
        self.import(job, today, bytes).await
    }

    async fn import(&self, job: ImportJob, today: Date, upload: Vec<u8>) -> Result<ImportReply<ImportOutcome>> {
        authorise(&job.caller, Action::Import)?;
        let mut wrong = Vec::new();
        if let Err(FutureDate { today, .. }) = time::happened(job.header.as_at, today) {
            wrong.push(Violation::new("header.as_at", format!("lies in the future: today is {today}")));
        }
        if job.header.file_name.chars().count() > FILE_NAME {
            wrong.push(Violation::new("header.file_name", format!("is longer than {FILE_NAME} characters")));
        }
        if !wrong.is_empty() {
            return Err(AppError::Invalid(wrong));
        }
        finished(tokio::spawn(job.run(upload).in_current_span())).await
    }

    /// A page of imports.
    pub async fn list_imports(&self, caller: &Caller, filter: &ImportFilter, page: Page) -> Result<Vec<Import>> {
        authorise(caller, Action::Read)?;
        Ok(store::imports::page(self.store(), filter, page).await?)
    }

    /// One import with its row problems and its notes.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn get_import(&self, caller: &Caller, id: ImportId) -> Result<(Import, Vec<Problem>, Vec<String>)> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let import = store::imports::get(&snapshot, id).await?;
        let import = import.ok_or_else(|| AppError::not_found(EntityKind::Import, id))?;
        let (problems, notes) = store::imports::findings(&snapshot, id).await?;
        Ok((import, problems, notes))
    }
}

/// Waits for a task that must not be cancelled when its caller hangs up.
async fn finished<T>(task: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    task.await.unwrap_or_else(|error| Err(AppError::Bug(format!("a task ended badly: {error}"))))
}
