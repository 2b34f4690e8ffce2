//! `tsio terms`: the programmes known, and loading a new one.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::connect::Session;
use super::errors::Failure;
use super::import::file_name;
use super::names::instant;
use super::out::{Column, View, facts, table};
use crate::proto::{ListTermsRequest, LoadTermsRequest, LoadTermsResponse, Terms};

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
}

pub(super) async fn run(command: TermsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        TermsCommand::List => {
            let answer = session.terms().list_terms(session.call(ListTermsRequest {})).await?.into_inner();
            session.print(&answer.terms.into_iter().map(TermsView::from).collect::<Vec<_>>())
        }
        TermsCommand::Load { file } => {
            let unreadable =
                |error| Failure::Local("FILE_UNREADABLE", format!("cannot read {}: {error}", file.display()));
            let text = tokio::fs::read_to_string(&file).await.map_err(unreadable)?;
            let request = LoadTermsRequest { request_id: session.request_id(), file_name: file_name(&file), text };
            let answer = session.terms().load_terms(session.call(request)).await?.into_inner();
            session.print(&LoadedView::from(answer))
        }
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
        }
    }
}

impl View for Vec<TermsView> {
    fn text(&self) -> String {
        let columns = ["PROGRAMME", "STARTS", "ENDS", "RULES"].map(Column::Text);
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
