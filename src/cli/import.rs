//! `tsio import`: sends files of GIAS and Ofsted, and lists, shows and withdraws imports.
//!
//! Several files are separate imports, in the order of the arguments. A refused file does not stop the others. The caller gives
//! the as-at date; it is never read from the name or the content of a file.

#[cfg(test)]
mod tests;
mod upload;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::args::ListQuery;
use super::dates::date;
use super::errors::{ErrorView, Failure};
use super::json;
use super::output;
use super::session::{PAGE, Session, every_page};
use super::view::imports::{self, FileOutcome};
use crate::proto::{
    CheckWithdrawalRequest, GetImportRequest, ImportHeader, ImportOutcome, ListImportsRequest, WithdrawImportRequest,
};

/// The options of an import, for all files of one command.
#[derive(Debug, Default, Args)]
pub struct UploadOptions {
    /// The as-at date of the files: the date whose state they show; required unless each file has its own
    #[arg(long, value_name = "DATE", value_parser = date)]
    as_at: Option<String>,
    /// The id of the import that the file replaces; with one file only
    #[arg(long, value_name = "IMPORT")]
    replaces: Option<String>,
    /// Read dates with the day first, if the file itself does not show the order
    #[arg(long)]
    day_first: bool,
    /// Accept the good rows of a file even if more than 5 % of its rows have problems
    #[arg(long)]
    accept_problems: bool,
    /// Only check the files, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// A command about imports.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Import GIAS files: groups, membership, links, establishments; the kind is found by the header
    #[command(after_help = "Example:\n  tsio import register groups.csv membership.csv.gz --as-at 2022-03-31")]
    Register {
        /// The files, plain or gzip, in any order
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The options of the imports
        #[command(flatten)]
        options: UploadOptions,
    },
    /// Import monthly files of Ofsted: management information, latest inspections
    #[command(after_help = "Examples:\n  tsio import ofsted month.csv.gz --as-at 2021-11-30 --dry-run\n  \
                            tsio import ofsted october.csv=2021-10-31 november.csv=2021-11-30")]
    Ofsted {
        /// The files, plain or gzip, in any order; each may have its as-at date, as FILE=DATE
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The options of the import
        #[command(flatten)]
        options: UploadOptions,
    },
    /// List imports, newest first
    #[command(
        after_help = "Examples:\n  tsio import list\n  tsio import list --filter 'kind = OFSTED AND state = LANDED'"
    )]
    List(ListQuery),
    /// Show one import with the problems of its rows
    #[command(after_help = "Example:\n  tsio import show 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f")]
    Show {
        /// The id of the import
        id: String,
    },
    /// Withdraw a wrong import; a second person must approve
    #[command(
        after_help = "Example:\n  tsio import withdraw 0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f --reason \"wrong month\""
    )]
    Withdraw {
        /// The id of the import
        id: String,
        /// The reason
        #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
        reason: Option<String>,
        /// Only list the offers that the withdrawal would affect, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Checks the arguments of a command, before the server is called.
///
/// # Errors
/// As [`dated_files`].
pub(super) fn check(command: &ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::Register { files, options } | ImportCommand::Ofsted { files, options } => {
            dated_files(files.clone(), options).map(drop)
        }
        ImportCommand::List(_) | ImportCommand::Show { .. } | ImportCommand::Withdraw { .. } => Ok(()),
    }
}

pub(super) async fn run(command: ImportCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        ImportCommand::Register { files, options } => {
            let files = dated_files(files, &options)?;
            let mut outcomes = Vec::with_capacity(files.len());
            for (index, file) in files.into_iter().enumerate() {
                let outcome = upload::register(session, &file.path, header(session, index, &file, &options)).await;
                outcomes.push((file.path, outcome));
            }
            report(session, outcomes)
        }
        ImportCommand::Ofsted { files, options } => {
            let files = dated_files(files, &options)?;
            let mut outcomes = Vec::with_capacity(files.len());
            for (index, file) in files.into_iter().enumerate() {
                let outcome = upload::ofsted(session, &file.path, header(session, index, &file, &options)).await;
                outcomes.push((file.path, outcome));
            }
            report(session, outcomes)
        }
        ImportCommand::List(ListQuery { filter, order_by, output: how }) => {
            let first_request = ListImportsRequest { page_size: PAGE, filter, order_by, ..Default::default() };
            let all_imports = every_page(async |page_token| {
                let request = session.call(ListImportsRequest { page_token, ..first_request.clone() });
                let answer = session.services.register().list_imports(request).await?.into_inner();
                Ok((answer.imports, answer.next_page_token))
            });
            let all_imports = all_imports.await?;
            session.print_list(&all_imports, &how, json::of, imports::rows)
        }
        ImportCommand::Show { id } => {
            let request = session.call(GetImportRequest { import_id: id });
            let answer = session.services.register().get_import(request).await?.into_inner();
            session.print(|| json::of(&answer), || imports::detail(&answer))
        }
        ImportCommand::Withdraw { id, dry_run: true, .. } => {
            let request = session.call(CheckWithdrawalRequest { import_id: id });
            let answer = session.services.register().check_withdrawal(request).await?.into_inner();
            session.print(|| json::of(&answer), || imports::would_affect(&answer.affected_offers))
        }
        ImportCommand::Withdraw { id, reason, dry_run: false } => {
            let (request_id, reason) = (session.request_id(), reason.unwrap_or_default());
            let request = WithdrawImportRequest { request_id, import_id: id, reason, ..Default::default() };
            let answer = session.services.register().withdraw_import(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || imports::withdrawn(&answer))
        }
    }
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A file with its as-at date.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DatedFile {
    path: PathBuf,
    as_at: String,
}

/// Finds the as-at date of each file: that of `FILE=DATE`, otherwise that of `--as-at`. An existing file may have `=` in its name.
///
/// # Errors
/// [`Failure::Usage`] for files without a date, for a date that cannot be read, and for `--replaces` with several files.
fn dated_files(files: Vec<PathBuf>, options: &UploadOptions) -> Result<Vec<DatedFile>, Failure> {
    if options.replaces.is_some() && files.len() > 1 {
        return Err(Failure::Usage("--replaces goes with one file".to_owned()));
    }
    let (mut dated, mut mistakes) = (Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        let text = file.to_string_lossy().into_owned();
        let own = text.rsplit_once('=').filter(|_| !file.exists());
        match (own.map(|(path, day)| (path, date(day))), &options.as_at) {
            (Some((path, Ok(as_at))), _) => dated.push(DatedFile { path: PathBuf::from(path), as_at }),
            (Some((path, Err(why))), _) => mistakes.push(format!("the date of {path} {why}")),
            (None, Some(as_at)) => dated.push(DatedFile { path: file, as_at: as_at.clone() }),
            (None, None) => mistakes.push(format!("{text} has no date: add --as-at DATE, or write {text}=DATE")),
        }
    }
    if mistakes.is_empty() { Ok(dated) } else { Err(Failure::Usage(mistakes.join("; "))) }
}

/// Makes the header of an upload. `index` is the index of the file in its command. The size is set when the file is opened.
fn header(session: &Session<'_>, index: usize, file: &DatedFile, options: &UploadOptions) -> ImportHeader {
    ImportHeader {
        request_id: session.request_id_of(index),
        file_name: file_name(&file.path),
        as_at: file.as_at.clone(),
        size_bytes: 0,
        validate_only: options.dry_run,
        replaces: options.replaces.clone().unwrap_or_default(),
        day_first: options.day_first,
        accept_problems: options.accept_problems,
    }
}

/// Prints the outcome of each file. If a single file failed, the command fails with its error. Of several files, a failed one
/// is an element of the list with its error, so that the others are reported too.
fn report(session: &Session<'_>, mut outcomes: Vec<(PathBuf, Result<ImportOutcome, Failure>)>) -> Result<(), Failure> {
    if outcomes.len() == 1
        && let Some((_, Err(failure))) = outcomes.pop_if(|(_, outcome)| outcome.is_err())
    {
        return Err(failure);
    }
    let files = outcomes.into_iter().enumerate().map(|(index, (path, outcome))| {
        let outcome = outcome.map_err(|failure| {
            let error = ErrorView::new(&failure, session.request_id_of(index).parse().ok());
            output::remark(&format!("{}: {}", path.display(), error.text()));
            Box::new(error)
        });
        FileOutcome { file: path.display().to_string(), outcome }
    });
    let files: Vec<_> = files.collect();
    session.print(|| files.iter().map(FileOutcome::json).collect::<Vec<_>>(), || imports::files(&files))?;
    if files.iter().any(|it| it.outcome.is_err()) { Err(Failure::Reported) } else { Ok(()) }
}
