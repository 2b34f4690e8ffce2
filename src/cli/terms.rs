//! `tsio terms`: the programmes known, and loading a new one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::errors::Failure;
use super::import::file_name;
use super::names::instant;
use super::output::{self, Output, TableColumn, View, facts, table};
use super::session::Session;
use crate::domain;
use crate::domain::text::{Lines, forbidden};
use crate::proto::{Ground, ListTermsRequest, LoadTermsRequest, LoadTermsResponse, Terms};

/// A command about terms.
#[derive(Debug, Subcommand)]
pub enum TermsCommand {
    /// The programmes known
    #[command(after_help = "Example:\n  tsio terms list --output json")]
    List,
    /// Load the terms of a new programme
    #[command(after_help = "Example:\n  tsio terms load terms/2022-23.toml")]
    Load {
        /// A terms file, TOML
        file: PathBuf,
    },
    /// Check a terms file, without a server: every mistake with its line
    #[command(after_help = "Example:\n  tsio terms check terms/2022-23.toml")]
    Check {
        /// A terms file, TOML
        file: PathBuf,
    },
}

/// Checks a terms file; needs no server.
pub(super) fn check(file: &Path, output: Output) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    if let Some(found) = forbidden(&text, Lines::Many) {
        let (file, line) = (file.display(), found.line);
        let message =
            format!("{file}:{line}: must have no control or invisible characters but line feeds and tabs; got {found}");
        return Err(Failure::Local("TERMS_UNSOUND", message));
    }
    let name = file.display().to_string();
    let mut mistakes = domain::terms::Terms::unseen(&name, &text);
    match domain::terms::Terms::parse(&name, &text) {
        Ok(terms) if mistakes.is_empty() => {
            let rules = terms.rules().iter().map(|rule| rule.id.to_string()).collect();
            let programme = terms.programme().to_string();
            Ok(output::answer(output, &CheckedView { file: name, programme, rules })?)
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

#[derive(Debug, Serialize)]
struct CheckedView {
    file: String,
    programme: String,
    rules: Vec<String>,
}

impl View for CheckedView {
    fn text(&self) -> String {
        facts([("sound", self.file.clone()), ("programme", self.programme.clone()), ("rules", self.rules.join(" "))])
    }
}

pub(super) async fn run(command: TermsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        TermsCommand::List => {
            let answer = session.services.terms().list_terms(session.call(ListTermsRequest {})).await?.into_inner();
            session.print(&answer.terms.into_iter().map(TermsView::from).collect::<Vec<_>>())
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
            session.print(&LoadedView::from(answer))
        }
        TermsCommand::Check { file } => check(&file, session.output()),
    }
}

#[derive(Debug, Serialize)]
struct TermsView {
    programme: String,
    starts: String,
    ends: String,
    sha256: String,
    load_time: Option<String>,
    rules: Vec<String>,
    grounds: Vec<GroundView>,
}

#[derive(Debug, Serialize)]
struct GroundView {
    ground: String,
    rule: String,
    text: String,
    starts: String,
    ends: String,
}

impl From<Ground> for GroundView {
    fn from(it: Ground) -> Self {
        Self { ground: it.ground, rule: it.rule, text: it.text, starts: it.starts, ends: it.ends }
    }
}

impl From<Terms> for TermsView {
    fn from(terms: Terms) -> Self {
        Self {
            programme: terms.programme,
            starts: terms.starts,
            ends: terms.ends,
            sha256: terms.sha256,
            load_time: instant(terms.load_time),
            rules: terms.rules,
            grounds: terms.grounds.into_iter().map(GroundView::from).collect(),
        }
    }
}

impl View for Vec<TermsView> {
    fn text(&self) -> String {
        let columns = ["PROGRAMME", "STARTS", "ENDS", "RULES"].map(TableColumn::Text);
        let row = |terms: &TermsView| {
            vec![terms.programme.clone(), terms.starts.clone(), terms.ends.clone(), terms.rules.join(" ")]
        };
        table(&columns, self.iter().map(row))
    }
}

#[derive(Debug, Serialize)]
struct LoadedView {
    #[serde(flatten)]
    terms: TermsView,
    unchanged: bool,
}

impl From<LoadTermsResponse> for LoadedView {
    fn from(answer: LoadTermsResponse) -> Self {
        Self { terms: answer.terms.unwrap_or_default().into(), unchanged: answer.unchanged }
    }
}

impl View for LoadedView {
    fn text(&self) -> String {
        let terms = &self.terms;
        facts([
            ("programme", terms.programme.clone()),
            ("starts", terms.starts.clone()),
            ("ends", terms.ends.clone()),
            ("rules", terms.rules.join(" ")),
            ("sha256", terms.sha256.clone()),
            ("outcome", if self.unchanged { "there already" } else { "loaded" }.to_owned()),
        ])
    }
}
