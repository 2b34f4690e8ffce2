//! `tsio verify`: proves every programme from its first event, beside a running server or without one.

use std::process::ExitCode;

use serde::Serialize;

use super::args::VerifyArgs;
use super::output::{self, Output, TableColumn, View, one_line, table};
use crate::app::verify::{self, VerifyReport};
use crate::store::db::schema::Version;
use crate::store::{Store, Use};

/// Verifies. 0 when every programme is proved, 1 on any difference.
pub async fn run(args: VerifyArgs, output: Output) -> ExitCode {
    match reports(&args).await {
        Ok(reports) => {
            let views: Vec<ReportView> = reports.iter().map(ReportView::from).collect();
            let printed = output::answer(output, &views);
            if printed.is_ok() && reports.iter().all(VerifyReport::is_sound) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            output::remark(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn reports(args: &VerifyArgs) -> Result<Vec<VerifyReport>, Box<dyn std::error::Error + Send + Sync>> {
    let programme = args.programme.as_deref().map(str::parse).transpose()?;
    let store = Store::open(&args.database, Use::Look).await?;
    match store.version().await? {
        Version::Current => {}
        Version::Old(missing) => {
            let missing = missing.join(", ");
            return Err(format!("the database lacks {missing}: it is an older one, or not a whole copy").into());
        }
        Version::Newer(unknown) => {
            return Err(format!("the database is newer than this program: it has {}", unknown.join(", ")).into());
        }
    }
    let expected = args.expect.as_ref().map(|it| verify::ExpectedHead::new(it.sequence, &it.hash)).transpose()?;
    Ok(verify::verify(&store, programme.as_ref(), expected).await?)
}

#[derive(Debug, Serialize)]
struct ReportView {
    programme: String,
    sequence: i64,
    hash: String,
    entries: i64,
    sound: bool,
    difference_count: usize,
    differences: Vec<String>,
    allowed_when_made_count: usize,
    allowed_when_made: Vec<String>,
    notes: Vec<String>,
}

impl From<&VerifyReport> for ReportView {
    fn from(report: &VerifyReport) -> Self {
        Self {
            programme: report.programme.to_string(),
            sequence: report.seq.0,
            hash: report.hash.to_string(),
            entries: report.entries,
            sound: report.is_sound(),
            difference_count: report.count,
            differences: report.differences.clone(),
            allowed_when_made_count: report.allowed_count,
            allowed_when_made: report.allowed.clone(),
            notes: report.notes.clone(),
        }
    }
}

impl View for Vec<ReportView> {
    fn text(&self) -> String {
        let columns = [
            TableColumn::Id("PROGRAMME"),
            TableColumn::Number("SEQUENCE"),
            TableColumn::Id("HASH"),
            TableColumn::Number("ENTRIES"),
            TableColumn::Number("DIFFERENCES"),
            TableColumn::Number("ALLOWED"),
        ];
        let row = |it: &ReportView| {
            let (sequence, entries) = (it.sequence.to_string(), it.entries.to_string());
            let (differences, allowed) = (it.difference_count.to_string(), it.allowed_when_made_count.to_string());
            vec![it.programme.clone(), sequence, it.hash.clone(), entries, differences, allowed]
        };
        let mut text = table(&columns, self.iter().map(row));
        for report in self {
            for difference in &report.differences {
                text.push_str(&format!("\n{}: {}", report.programme, one_line(difference)));
            }
            for allowed in &report.allowed_when_made {
                text.push_str(&format!("\n{}: allowed when made: {}", report.programme, one_line(allowed)));
            }
            for note in &report.notes {
                text.push_str(&format!("\nnote: {}", one_line(note)));
            }
        }
        text
    }
}
