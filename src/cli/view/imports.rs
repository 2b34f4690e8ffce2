//! Imports and what was wrong in them, as they are printed.

use serde::Serialize;

use crate::cli::errors::ErrorView;
use crate::cli::names::{instant, name, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, one_line, table};
use crate::proto::{AffectedOffer, GetImportResponse, Import, ImportOutcome, RowProblem, WithdrawImportResponse};

/// What came of one file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum FileView {
    /// It went in, or was there already.
    Imported(Imported),
    /// It was refused.
    Failed { file: String, error: Box<ErrorView> },
}

#[derive(Debug, Serialize)]
pub(in crate::cli) struct Imported {
    import_id: Option<String>,
    kind: Option<String>,
    as_at: String,
    rows: i64,
    accepted: i64,
    unchanged: i64,
    problems: Vec<ProblemView>,
    more_problems: i64,
    notes: Vec<String>,
    dry_run: bool,
    replaced: Option<String>,
    file: String,
}

impl FileView {
    pub(in crate::cli) fn imported(file: String, outcome: ImportOutcome) -> Self {
        Self::Imported(Imported {
            kind: name(outcome.kind().as_str_name(), "IMPORT_KIND_"),
            import_id: some_text(outcome.import_id),
            as_at: outcome.as_at,
            rows: outcome.rows,
            accepted: outcome.accepted,
            unchanged: outcome.unchanged,
            problems: outcome.problems.into_iter().map(ProblemView::from).collect(),
            more_problems: outcome.more_problems,
            notes: outcome.notes,
            dry_run: outcome.dry_run,
            replaced: some_text(outcome.replaced),
            file,
        })
    }

    pub(in crate::cli) fn failed(file: String, error: ErrorView) -> Self {
        Self::Failed { file, error: Box::new(error) }
    }

    /// `FILE: note: NOTE`, then `FILE:LINE: COLUMN: REASON`, as editors know it.
    pub(in crate::cli) fn finding_lines(&self) -> Vec<String> {
        let Self::Imported(done) = self else { return Vec::new() };
        let mut lines: Vec<_> = done.notes.iter().map(|note| note_line(&done.file, note)).collect();
        lines.extend(done.problems.iter().map(|problem| problem.line_of(&done.file)));
        if done.more_problems > 0 {
            lines.push(format!("{}: and {} more", one_line(&done.file), done.more_problems));
        }
        lines
    }

    fn row(&self) -> Vec<String> {
        match self {
            Self::Imported(done) => {
                let id = done.import_id.clone().unwrap_or_else(|| "(dry run)".to_owned());
                let numbers = [done.rows, done.accepted, done.unchanged].map(|number| number.to_string());
                [base_name(&done.file), cell(done.kind.as_ref()), id].into_iter().chain(numbers).collect()
            }
            Self::Failed { file, .. } => vec![base_name(file), "refused".to_owned()],
        }
    }
}

impl View for Vec<FileView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Number, Text};
        let columns = [Text("FILE"), Id("KIND"), Id("IMPORT"), Number("ROWS"), Number("ACCEPTED"), Number("UNCHANGED")];
        let files = table(&columns, self.iter().map(FileView::row));
        let findings = self.iter().flat_map(FileView::finding_lines);
        std::iter::once(files).chain(findings).collect::<Vec<_>>().join("\n")
    }
}

fn note_line(file: &str, note: &str) -> String {
    format!("{file}: note: {note}")
}

/// What is wrong with one row.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ProblemView {
    line: i64,
    column: String,
    reason: String,
}

impl ProblemView {
    fn line_of(&self, file: &str) -> String {
        one_line(&format!("{file}:{}: {}: {}", self.line, self.column, self.reason)).into_owned()
    }
}

impl From<RowProblem> for ProblemView {
    fn from(problem: RowProblem) -> Self {
        Self { line: problem.line, column: problem.column, reason: problem.reason }
    }
}

/// One import.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ImportView {
    import_id: String,
    kind: Option<String>,
    as_at: String,
    state: Option<String>,
    file_name: String,
    sha256: String,
    rows: i64,
    accepted: i64,
    imported_by: String,
    imported_time: Option<String>,
    withdrawn_by: Option<String>,
    withdrawn_reason: Option<String>,
}

impl From<Import> for ImportView {
    fn from(import: Import) -> Self {
        Self {
            kind: name(import.kind().as_str_name(), "IMPORT_KIND_"),
            state: name(import.state().as_str_name(), "IMPORT_STATE_"),
            import_id: import.import_id,
            as_at: import.as_at,
            file_name: import.file_name,
            sha256: import.sha256,
            rows: import.rows,
            accepted: import.accepted,
            imported_by: import.imported_by,
            imported_time: instant(import.imported_time),
            withdrawn_by: some_text(import.withdrawn_by),
            withdrawn_reason: some_text(import.withdrawn_reason),
        }
    }
}

impl View for ImportView {
    fn text(&self) -> String {
        facts([
            ("import", self.import_id.clone()),
            ("kind", cell(self.kind.as_ref())),
            ("as at", self.as_at.clone()),
            ("state", cell(self.state.as_ref())),
            ("file", self.file_name.clone()),
            ("sha256", self.sha256.clone()),
            ("rows", self.rows.to_string()),
            ("accepted", self.accepted.to_string()),
            ("imported by", self.imported_by.clone()),
            ("imported", cell(self.imported_time.as_ref())),
            ("withdrawn by", cell(self.withdrawn_by.as_ref())),
            ("withdrawn because", cell(self.withdrawn_reason.as_ref())),
        ])
    }
}

impl View for Vec<ImportView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Number, Text};
        let columns =
            [Id("IMPORT"), Id("KIND"), Id("AS AT"), Id("STATE"), Number("ROWS"), Number("ACCEPTED"), Text("FILE")];
        let row = |import: &ImportView| {
            vec![
                import.import_id.clone(),
                cell(import.kind.as_ref()),
                import.as_at.clone(),
                cell(import.state.as_ref()),
                import.rows.to_string(),
                import.accepted.to_string(),
                import.file_name.clone(),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

/// One import with what was wrong in it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ImportDetail {
    #[serde(flatten)]
    import: ImportView,
    problems: Vec<ProblemView>,
    notes: Vec<String>,
}

impl From<GetImportResponse> for ImportDetail {
    fn from(answer: GetImportResponse) -> Self {
        Self {
            import: answer.import.unwrap_or_default().into(),
            problems: answer.problems.into_iter().map(ProblemView::from).collect(),
            notes: answer.notes,
        }
    }
}

impl View for ImportDetail {
    fn text(&self) -> String {
        let file = &self.import.file_name;
        let notes = self.notes.iter().map(|note| note_line(file, note));
        let problems = self.problems.iter().map(|problem| problem.line_of(file));
        std::iter::once(self.import.text()).chain(notes).chain(problems).collect::<Vec<_>>().join("\n")
    }
}

/// An offer that a withdrawal leaves without its ground.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct AffectedView {
    offer: String,
    urns: Vec<i32>,
}

impl From<AffectedOffer> for AffectedView {
    fn from(affected: AffectedOffer) -> Self {
        Self { offer: affected.offer, urns: affected.urns }
    }
}

/// The offers that a withdrawal affects; nothing when there are none.
pub(in crate::cli) fn affected_text(offers: &[AffectedView]) -> Option<String> {
    let row = |affected: &AffectedView| {
        let urns: Vec<_> = affected.urns.iter().map(i32::to_string).collect();
        vec![affected.offer.clone(), urns.join(" ")]
    };
    let columns = [TableColumn::Id("OFFER AFFECTED"), TableColumn::Text("SCHOOLS NO LONGER ELIGIBLE")];
    (!offers.is_empty()).then(|| table(&columns, offers.iter().map(row)))
}

/// What withdrawing changed.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct WithdrawnView {
    #[serde(flatten)]
    import: ImportView,
    affected_offers: Vec<AffectedView>,
}

impl From<WithdrawImportResponse> for WithdrawnView {
    fn from(answer: WithdrawImportResponse) -> Self {
        Self {
            import: answer.import.unwrap_or_default().into(),
            affected_offers: answer.affected_offers.into_iter().map(AffectedView::from).collect(),
        }
    }
}

impl View for WithdrawnView {
    fn text(&self) -> String {
        let parts = [Some(self.import.text()), affected_text(&self.affected_offers)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

/// The name without its directories, which is too long for a table.
fn base_name(file: &str) -> String {
    file.rsplit('/').next().unwrap_or(file).to_owned()
}
