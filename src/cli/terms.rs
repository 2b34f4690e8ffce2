//! `tsio terms`: lists the programmes, shows, compares and loads terms, and checks a file of terms.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::args::ListOutput;
use super::errors::Failure;
use super::import::file_name;
use super::json::{self, Json, Object};
use super::names::{instant, word};
use super::output::{self, Output, TableColumn, field_lines, parts, table};
use super::session::Session;
use crate::domain;
use crate::domain::ids::Programme;
use crate::domain::text::{Lines, forbidden};
use crate::proto::terms_source::Source;
use crate::proto::{
    DiffTermsRequest, GetTermsRequest, GetTermsResponse, ListTermsRequest, LoadTermsRequest, LoadTermsResponse, Terms,
    TermsDifference, TermsSource, TermsValue,
};

/// A command about terms.
#[derive(Debug, Subcommand)]
pub enum TermsCommand {
    /// List the programmes
    #[command(after_help = "Example:\n  tsio terms list --output json")]
    List {
        #[command(flatten)]
        output: ListOutput,
    },
    /// Show the terms of a programme: every value by its key
    #[command(after_help = "Example:\n  tsio terms show 2021-22")]
    Show {
        /// The programme
        #[arg(value_name = "PROGRAMME")]
        name: String,
    },
    /// Compare two terms, and say what each difference would mean for a programme in use
    #[command(
        after_help = "Examples:\n  tsio terms diff 2021-22 2022-23\n  tsio terms diff 2021-22 terms/2021-22.toml"
    )]
    Diff {
        /// A programme or a terms file
        #[arg(value_name = "PROGRAMME|FILE")]
        before: String,
        /// A programme or a terms file
        #[arg(value_name = "PROGRAMME|FILE")]
        after: String,
        #[command(flatten)]
        output: ListOutput,
    },
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
        TermsCommand::List { output } => {
            let answer = session.services.terms().list_terms(session.call(ListTermsRequest {})).await?.into_inner();
            session.print_list(&answer.terms, &output, json::of, rows)
        }
        TermsCommand::Show { name } => {
            let request = GetTermsRequest { programme: name };
            let answer = session.services.terms().get_terms(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || shown(&answer))
        }
        TermsCommand::Diff { before, after, output } => {
            let request = DiffTermsRequest { before: Some(source(before).await?), after: Some(source(after).await?) };
            let answer = session.services.terms().diff_terms(session.call(request)).await?.into_inner();
            session.print_list(&answer.differences, &output, json::of, differences)
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

/// Makes the source of terms: a programme, or else a file, whose text is sent.
///
/// # Errors
/// [`Failure::Local`] if the file cannot be read.
async fn source(name: String) -> Result<TermsSource, Failure> {
    if name.parse::<Programme>().is_ok() {
        return Ok(TermsSource { source: Some(Source::Programme(name)), ..Default::default() });
    }
    let path = Path::new(&name);
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(path, &error))?;
    Ok(TermsSource { file_name: file_name(path), source: Some(Source::Text(text)) })
}

/// Formats terms: when they were loaded, and every value.
fn shown(answer: &GetTermsResponse) -> String {
    let terms = answer.terms.clone().unwrap_or_default();
    let head = field_lines([
        ("programme", terms.programme),
        ("loaded", instant(terms.load_time).unwrap_or_default()),
        ("sha256", terms.sha256),
    ]);
    let row = |it: &TermsValue| vec![it.key.clone(), it.value.clone()];
    parts([head, table(&[TableColumn::Id("KEY"), TableColumn::Text("VALUE")], answer.values.iter().map(row))])
}

/// Formats differences: a line with the key and what it would mean in use, then a line with each value.
fn differences(differences: &[TermsDifference]) -> String {
    if differences.is_empty() {
        return "no differences".to_owned();
    }
    let value = |sign: &str, value: &str| if value.is_empty() { String::new() } else { format!("\n  {sign} {value}") };
    let lines = differences.iter().map(|it| {
        let kind = word(it.kind().as_str_name(), "TERMS_DIFFERENCE_KIND_").replace('_', " ");
        format!("{} ({kind}){}{}", it.key, value("-", &it.before), value("+", &it.after))
    });
    lines.collect::<Vec<_>>().join("\n")
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
