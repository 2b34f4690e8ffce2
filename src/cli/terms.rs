//! `tsio terms`: lists the programmes, loads the terms of a new programme, and checks a file of terms.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::errors::Failure;
use super::import::file_name;
use super::json::{self, Json, Object};
use super::output::{self, Output, TableColumn, field_lines, table};
use super::session::Session;
use crate::domain;
use crate::domain::text::{Lines, forbidden};
use crate::proto::{ListTermsRequest, LoadTermsRequest, LoadTermsResponse, Terms};

/// A command about terms.
#[derive(Debug, Subcommand)]
pub enum TermsCommand {
    /// List the programmes
    #[command(after_help = "Example:\n  tsio terms list --output json")]
    List,
    /// Load the terms of a new programme
    #[command(after_help = "Example:\n  tsio terms load terms/2022-23.toml")]
    Load {
        /// The terms file, TOML
        file: PathBuf,
    },
    /// Check a terms file without a server, and print each mistake with its line
    #[command(after_help = "Example:\n  tsio terms check terms/2022-23.toml")]
    Check {
        /// The terms file, TOML
        file: PathBuf,
    },
}

/// Checks a terms file without a server, and prints its programme and rules.
///
/// # Errors
/// [`Failure::Local`] if the file cannot be read or has mistakes, or if the output fails.
pub(super) fn check(file: &Path, output: Output) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    // First the text of the file, then its keys and values, which may contain such a character as an escape.
    if let Some(character) = forbidden(&text, Lines::Many) {
        let (file, line) = (file.display(), character.line);
        let message = format!(
            "{file}:{line}: must have no control or invisible characters except line feeds and tabs; got {character}"
        );
        return Err(Failure::Local("TERMS_UNSOUND", message));
    }
    let name = file.display().to_string();
    let mut mistakes = domain::terms::Terms::forbidden_characters(&name, &text);
    match domain::terms::Terms::parse(&name, &text) {
        Ok(terms) if mistakes.is_empty() => {
            let rules: Vec<String> = terms.rules().iter().map(|rule| rule.id.to_string()).collect();
            let programme = terms.programme().to_string();
            let fields = [("sound", name.clone()), ("programme", programme.clone()), ("rules", rules.join(" "))];
            let json = Object::default().with("file", name).with("programme", programme);
            let json = || json.with("rules", rules.into_iter().collect::<Json>());
            Ok(output::answer(output, json, || field_lines(fields))?)
        }
        parsed => {
            mistakes.extend(parsed.err().into_iter().flatten());
            mistakes.sort();
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Err(Failure::Local("TERMS_UNSOUND", lines.join("\n")))
        }
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::Local("FILE_UNREADABLE", format!("cannot read {}: {error}", file.display()))
}

pub(super) async fn run(command: TermsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        TermsCommand::List => {
            let answer = session.services.terms().list_terms(session.call(ListTermsRequest {})).await?.into_inner();
            session.print(|| json::list(&answer.terms), || rows(&answer.terms))
        }
        TermsCommand::Load { file } => {
            let text = tokio::fs::read_to_string(&file).await.map_err(|error| unreadable(&file, &error))?;
            let request = LoadTermsRequest {
                request_id: session.request_id(),
                file_name: file_name(&file),
                text,
                ..Default::default()
            };
            let answer = session.services.terms().load_terms(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || loaded(&answer))
        }
        TermsCommand::Check { file } => check(&file, session.output()),
    }
}

fn rows(terms: &[Terms]) -> String {
    let columns = ["PROGRAMME", "STARTS", "ENDS", "RULES"].map(TableColumn::Text);
    let row = |it: &Terms| vec![it.programme.clone(), it.starts.clone(), it.ends.clone(), it.rules.join(" ")];
    table(&columns, terms.iter().map(row))
}

/// Formats the answer to a load.
fn loaded(answer: &LoadTermsResponse) -> String {
    let terms = answer.terms.clone().unwrap_or_default();
    field_lines([
        ("programme", terms.programme),
        ("starts", terms.starts),
        ("ends", terms.ends),
        ("rules", terms.rules.join(" ")),
        ("sha256", terms.sha256),
        ("outcome", if answer.unchanged { "there already" } else { "loaded" }.to_owned()),
    ])
}
