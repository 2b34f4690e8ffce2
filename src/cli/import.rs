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
use crate::proto::{GetImportRequest, ImportHeader, ImportOutcome, ListImportsRequest, WithdrawImportRequest};

/// The options of an import, for all files of one command.
#[derive(Debug, Default, Args)]
pub struct UploadOptions {
    /// The as-at date of the files: the date whose state they show
    #[arg(long, value_name = "DATE", value_parser = date)]
    as_at: String,
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
    /// Import one monthly file of Ofsted: management information, latest inspections
    #[command(after_help = "Example:\n  tsio import ofsted month.csv.gz --as-at 2021-11-30 --dry-run")]
    Ofsted {
        /// The file, plain or gzip
        file: PathBuf,
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
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) async fn run(command: ImportCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        ImportCommand::Register { files, options } => {
            if options.replaces.is_some() && files.len() > 1 {
                return Err(Failure::Usage("--replaces goes with one file".to_owned()));
            }
            let mut outcomes = Vec::with_capacity(files.len());
            for (index, path) in files.into_iter().enumerate() {
                let outcome = upload::register(session, &path, header(session, index, &path, &options)).await;
                outcomes.push((path, outcome));
            }
            report(session, outcomes)
        }
        ImportCommand::Ofsted { file, options } => {
            let outcome = upload::ofsted(session, &file, header(session, 0, &file, &options)).await;
            report(session, vec![(file, outcome)])
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
        ImportCommand::Withdraw { id, reason } => {
            let request =
                WithdrawImportRequest { request_id: session.request_id(), import_id: id, reason, ..Default::default() };
            let answer = session.services.register().withdraw_import(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || imports::withdrawn(&answer))
        }
    }
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Makes the header of an upload. `index` is the index of the file in its command. The size is set when the file is opened.
fn header(session: &Session<'_>, index: usize, path: &Path, options: &UploadOptions) -> ImportHeader {
    ImportHeader {
        request_id: session.request_id_of(index),
        file_name: file_name(path),
        as_at: options.as_at.clone(),
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
