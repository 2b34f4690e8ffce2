//! Formats imports and their problems.

use serde::Serialize;

use crate::cli::errors::ErrorView;
use crate::cli::json::{self, HasIds, Object};
use crate::cli::names::{instant, word};
use crate::cli::output::{TableColumn, field_lines, one_line, parts, table, table_if_any};
use crate::proto::{
    AffectedOffer, GetImportResponse, Import, ImportKind, ImportOutcome, RowProblem, WithdrawImportResponse,
};

/// A file, and the outcome of its import: the answer of the server, or the error.
#[derive(Debug)]
pub(in crate::cli) struct FileOutcome {
    /// The path of the file.
    pub(in crate::cli) file: String,
    pub(in crate::cli) outcome: Result<ImportOutcome, Box<ErrorView>>,
}

/// The JSON of one file with its outcome.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum FileJson<'a> {
    Imported(Object),
    Failed { file: &'a str, error: &'a ErrorView },
}

/// The ids of the imports; a file that failed has none.
impl HasIds for Vec<FileJson<'_>> {
    fn ids(&self) -> Option<Vec<String>> {
        Some(
            self.iter().filter_map(|it| if let FileJson::Imported(object) = it { object.id() } else { None }).collect(),
        )
    }
}

impl FileOutcome {
    /// Returns the JSON of the outcome with the key `file`, or of the file and the error.
    pub(in crate::cli) fn json(&self) -> FileJson<'_> {
        match &self.outcome {
            Ok(outcome) => FileJson::Imported(json::of(outcome).with("file", self.file.as_str())),
            Err(error) => FileJson::Failed { file: &self.file, error },
        }
    }

    /// Returns the notes and problems as lines: `FILE: note: NOTE`, then `FILE:LINE: COLUMN NAME: REASON`. Editors can open
    /// `FILE:LINE`. Empty if the import failed.
    pub(in crate::cli) fn finding_lines(&self) -> Vec<String> {
        let Ok(outcome) = &self.outcome else { return Vec::new() };
        let mut lines = findings(&self.file, &outcome.notes, &outcome.problems);
        if outcome.more_problems > 0 {
            lines.push(format!("{}: and {} more", one_line(&self.file), outcome.more_problems));
        }
        lines
    }

    /// Returns the table row that describes this file.
    fn row(&self) -> Vec<String> {
        // Only the last part of the path, because a whole path is too long for a table.
        let name = self.file.rsplit('/').next().unwrap_or(&self.file).to_owned();
        let Ok(outcome) = &self.outcome else { return vec![name, "failed".to_owned()] };
        let id = if outcome.import_id.is_empty() { "(dry run)".to_owned() } else { outcome.import_id.clone() };
        let numbers = [outcome.rows, outcome.accepted, outcome.unchanged].map(|number| number.to_string());
        [name, kind(outcome.kind()), id].into_iter().chain(numbers).collect()
    }
}

/// Formats files as a table, one row per file, and their notes and problems below it.
pub(in crate::cli) fn files(files: &[FileOutcome]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [Text("FILE"), Id("KIND"), Id("IMPORT"), Number("ROWS"), Number("ACCEPTED"), Number("UNCHANGED")];
    let rows = table(&columns, files.iter().map(FileOutcome::row));
    let findings = files.iter().flat_map(FileOutcome::finding_lines);
    std::iter::once(rows).chain(findings).collect::<Vec<_>>().join("\n")
}

fn kind(kind: ImportKind) -> String {
    word(kind.as_str_name(), "IMPORT_KIND_")
}

/// Returns the notes and problems of a file as lines.
fn findings(file: &str, notes: &[String], problems: &[RowProblem]) -> Vec<String> {
    let notes = notes.iter().map(|note| one_line(&format!("{file}: note: {note}")).into_owned());
    let problem = |it: &RowProblem| one_line(&format!("{file}:{}: {}: {}", it.line, it.column, it.reason)).into_owned();
    notes.chain(problems.iter().map(problem)).collect()
}

/// Formats one import without its notes and problems.
pub(in crate::cli) fn brief(it: &Import) -> String {
    field_lines([
        ("import", it.import_id.clone()),
        ("kind", kind(it.kind())),
        ("as at", it.as_at.clone()),
        ("state", word(it.state().as_str_name(), "IMPORT_STATE_")),
        ("file", it.file_name.clone()),
        ("sha256", it.sha256.clone()),
        ("rows", it.rows.to_string()),
        ("accepted", it.accepted.to_string()),
        ("imported by", it.imported_by.clone()),
        ("imported", instant(it.imported_time).unwrap_or_default()),
        ("withdrawn by", it.withdrawn_by.clone()),
        ("withdrawn because", it.withdrawn_reason.clone()),
    ])
}

/// Formats imports as a table, one row per import.
pub(in crate::cli) fn rows(imports: &[Import]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns =
        [Id("IMPORT"), Id("KIND"), Id("AS AT"), Id("STATE"), Number("ROWS"), Number("ACCEPTED"), Text("FILE")];
    let row = |it: &Import| {
        vec![
            it.import_id.clone(),
            kind(it.kind()),
            it.as_at.clone(),
            word(it.state().as_str_name(), "IMPORT_STATE_"),
            it.rows.to_string(),
            it.accepted.to_string(),
            it.file_name.clone(),
        ]
    };
    table(&columns, imports.iter().map(row))
}

/// Formats one import with its notes and problems.
pub(in crate::cli) fn detail(answer: &GetImportResponse) -> String {
    let import = answer.import.clone().unwrap_or_default();
    let findings = findings(&import.file_name, &answer.notes, &answer.problems);
    std::iter::once(brief(&import)).chain(findings).collect::<Vec<_>>().join("\n")
}

/// Formats the offers with schools that are no longer eligible after the withdrawal of an import; empty if there are none.
pub(in crate::cli) fn affected(offers: &[AffectedOffer]) -> String {
    let row = |it: &AffectedOffer| {
        let urns: Vec<_> = it.urns.iter().map(i32::to_string).collect();
        vec![it.offer.clone(), urns.join(" ")]
    };
    let columns = [TableColumn::Id("OFFER AFFECTED"), TableColumn::Text("SCHOOLS NO LONGER ELIGIBLE")];
    table_if_any(&columns, offers, row)
}

/// Formats the offers that a withdrawal would affect.
pub(in crate::cli) fn would_affect(offers: &[AffectedOffer]) -> String {
    if offers.is_empty() { "no open offer would be affected".to_owned() } else { affected(offers) }
}

/// Formats a withdrawn import, and the offers that its withdrawal affects.
pub(in crate::cli) fn withdrawn(answer: &WithdrawImportResponse) -> String {
    parts(answer.import.iter().map(brief).chain([affected(&answer.affected_offers)]))
}
