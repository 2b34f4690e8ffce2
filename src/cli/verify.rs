//! `tsio verify`: verifies the record of each programme, from its first event: of a database, on which a server may run meanwhile,
//! or by asking a server.

use std::process::ExitCode;
use std::sync::OnceLock;

use super::args::{Global, VerifyArgs};
use super::errors::Failure;
use super::json::{Json, Object};
use super::output::{self, TableColumn, one_line, table};
use super::session::Session;
use crate::app::verify::{self, VerifyReport};
use crate::proto::{VerifiedBook, VerifyLedgerRequest};
use crate::store::db::schema::Version;
use crate::store::{Store, Use};

/// Verifies the records, and prints the reports. Exits 0 if there is no difference, and 1 if there is one, or the verification or
/// the output fails.
///
/// # Errors
/// The error of the server, if it is asked.
pub(super) async fn run(args: VerifyArgs, global: &Global) -> Result<ExitCode, Failure> {
    let books = match &args.database {
        Some(database) => match reports(database, &args, global.programme.as_deref()).await {
            Ok(reports) => reports.into_iter().map(to_book).collect(),
            Err(error) => {
                output::remark(&format!("error: {error}"));
                return Ok(ExitCode::FAILURE);
            }
        },
        None => ask_server(&args, global).await?,
    };
    let json = || books.iter().map(book_json).collect::<Json>();
    let printed = output::answer(global.output, json, || books_text(&books));
    let is_sound = printed.is_ok() && books.iter().all(|it| it.difference_count == 0);
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the server to verify the records.
async fn ask_server(args: &VerifyArgs, global: &Global) -> Result<Vec<VerifiedBook>, Failure> {
    let no_request_id = OnceLock::new();
    let session = Session::open(global, &no_request_id).await?;
    let expect = args.expect.as_ref().map(|it| format!("{}:{}", it.sequence, it.hash)).unwrap_or_default();
    let programme = session.named_programme().unwrap_or_default().to_owned();
    let request = session.call(VerifyLedgerRequest { programme, expect });
    Ok(session.services.finance().verify_ledger(request).await?.into_inner().books)
}

/// Converts a report to the message that a server answers with.
fn to_book(it: VerifyReport) -> VerifiedBook {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    VerifiedBook {
        programme: it.programme.to_string(),
        sequence: it.seq.0,
        hash: it.hash.to_string(),
        entries: it.entries,
        difference_count: count(it.count),
        differences: it.differences,
        allowed_when_made_count: count(it.allowed_count),
        allowed_when_made: it.allowed,
        notes: it.notes,
    }
}

/// Verifies the records, and returns a report for each.
///
/// # Errors
/// A malformed argument; a schema of another version; an error of the database.
async fn reports(
    database: &str,
    args: &VerifyArgs,
    programme: Option<&str>,
) -> Result<Vec<VerifyReport>, Box<dyn std::error::Error + Send + Sync>> {
    let programme = programme.map(str::parse).transpose()?;
    let store = Store::open(database, Use::Look).await?;
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

/// Returns a report as JSON.
fn book_json(it: &VerifiedBook) -> Object {
    let text_list = |texts: &[String]| texts.iter().map(String::as_str).collect::<Json>();
    Object::default()
        .with("programme", it.programme.as_str())
        .with("sequence", it.sequence)
        .with("hash", it.hash.as_str())
        .with("entries", it.entries)
        .with("sound", it.difference_count == 0)
        .with("difference_count", it.difference_count)
        .with("differences", text_list(&it.differences))
        .with("allowed_when_made_count", it.allowed_when_made_count)
        .with("allowed_when_made", text_list(&it.allowed_when_made))
        .with("notes", text_list(&it.notes))
}

/// Formats the reports as a table. Below it are the differences, the decisions that were allowed when they were made and that
/// only a later rule forbids, and the notes.
fn books_text(books: &[VerifiedBook]) -> String {
    let columns = [
        TableColumn::Id("PROGRAMME"),
        TableColumn::Number("SEQUENCE"),
        TableColumn::Id("HASH"),
        TableColumn::Number("ENTRIES"),
        TableColumn::Number("DIFFERENCES"),
        TableColumn::Number("ALLOWED"),
    ];
    let row = |it: &VerifiedBook| {
        let numbers = [it.entries, it.difference_count, it.allowed_when_made_count].map(|number| number.to_string());
        [it.programme.clone(), it.sequence.to_string(), it.hash.clone()].into_iter().chain(numbers).collect()
    };
    let mut text = table(&columns, books.iter().map(row));
    for book in books {
        for difference in &book.differences {
            text.push_str(&format!("\n{}: {}", book.programme, one_line(difference)));
        }
        for allowed in &book.allowed_when_made {
            text.push_str(&format!("\n{}: allowed when made: {}", book.programme, one_line(allowed)));
        }
        for note in &book.notes {
            text.push_str(&format!("\nnote: {}", one_line(note)));
        }
    }
    text
}
