//! `tsio verify`: verifies the record of each programme, from its first event. A server may run on the database meanwhile.

use std::process::ExitCode;

use super::args::VerifyArgs;
use super::json::{Json, Object};
use super::output::{self, Output, TableColumn, one_line, table};
use crate::app::verify::{self, VerifyReport};
use crate::store::db::schema::Version;
use crate::store::{Store, Use};

/// Verifies the records, and prints the reports. Exits 0 if there is no difference, and 1 if there is one, or the verification or
/// the output fails.
/// `programme` is the only record to verify, if it is given; `register` is the record of reference data.
pub async fn run(args: VerifyArgs, programme: Option<&str>, output: Output) -> ExitCode {
    match reports(&args, programme).await {
        Ok(reports) => {
            let json = || reports.iter().map(report_json).collect::<Json>();
            let printed = output::answer(output, json, || reports_text(&reports));
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

/// Verifies the records, and returns a report for each.
///
/// # Errors
/// A malformed argument; a schema of another version; an error of the database.
async fn reports(
    args: &VerifyArgs,
    programme: Option<&str>,
) -> Result<Vec<VerifyReport>, Box<dyn std::error::Error + Send + Sync>> {
    let programme = programme.map(str::parse).transpose()?;
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

/// Returns a report as JSON. The contract has no message for it, because this command calls no server.
fn report_json(it: &VerifyReport) -> Object {
    let text_list = |texts: &[String]| texts.iter().map(String::as_str).collect::<Json>();
    Object::default()
        .with("programme", it.programme.to_string())
        .with("sequence", it.seq.0)
        .with("hash", it.hash.to_string())
        .with("entries", it.entries)
        .with("sound", it.is_sound())
        .with("difference_count", it.count)
        .with("differences", text_list(&it.differences))
        .with("allowed_when_made_count", it.allowed_count)
        .with("allowed_when_made", text_list(&it.allowed))
        .with("notes", text_list(&it.notes))
}

/// Formats the reports as a table. Below it are the differences, the decisions that were allowed when they were made and that
/// only a later rule forbids, and the notes.
fn reports_text(reports: &[VerifyReport]) -> String {
    let columns = [
        TableColumn::Id("PROGRAMME"),
        TableColumn::Number("SEQUENCE"),
        TableColumn::Id("HASH"),
        TableColumn::Number("ENTRIES"),
        TableColumn::Number("DIFFERENCES"),
        TableColumn::Number("ALLOWED"),
    ];
    let row = |it: &VerifyReport| {
        let (sequence, entries) = (it.seq.0.to_string(), it.entries.to_string());
        vec![
            it.programme.to_string(),
            sequence,
            it.hash.to_string(),
            entries,
            it.count.to_string(),
            it.allowed_count.to_string(),
        ]
    };
    let mut text = table(&columns, reports.iter().map(row));
    for report in reports {
        for difference in &report.differences {
            text.push_str(&format!("\n{}: {}", report.programme, one_line(difference)));
        }
        for allowed in &report.allowed {
            text.push_str(&format!("\n{}: allowed when made: {}", report.programme, one_line(allowed)));
        }
        for note in &report.notes {
            text.push_str(&format!("\nnote: {}", one_line(note)));
        }
    }
    text
}
