//! Sends one file to the server: a header, then the content in chunks. Shows the progress that the server reports.
//!
//! If the file cannot be read to its end, the call is cancelled, so that the server does not import a truncated file.

use std::future::{Future, pending};
use std::io;
use std::path::Path;

use futures_util::stream::{self, Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;
use tonic::{Response, Status, Streaming};

use crate::cli::errors::Failure;
use crate::cli::output::one_line;
use crate::cli::session::Session;
use crate::proto::{
    ImportHeader, ImportOfstedRequest, ImportOfstedResponse, ImportOutcome, ImportProgress, ImportRegisterRequest,
    ImportRegisterResponse, import_ofsted_request, import_ofsted_response, import_register_request,
    import_register_response,
};

/// The size of a chunk in bytes: a quarter of the largest that the server accepts.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Imports one GIAS file, and returns the outcome.
pub(super) async fn register(
    session: &Session<'_>,
    path: &Path,
    header: ImportHeader,
) -> Result<ImportOutcome, Failure> {
    use import_register_request::Part;
    let (header, file, bar) = open(path, header).await?;
    let first = ImportRegisterRequest { part: Some(Part::Header(header)) };
    let (chunks, read_error) = read_chunks(file);
    let rest = chunks.map(|bytes| ImportRegisterRequest { part: Some(Part::Chunk(bytes)) });
    let request = session.long_call(stream::iter([first]).chain(rest));
    let mut client = session.services.register();
    finish_upload(path, client.import_register(request), read_error, bar).await
}

/// Imports one monthly file of Ofsted, and returns the outcome.
pub(super) async fn ofsted(session: &Session<'_>, path: &Path, header: ImportHeader) -> Result<ImportOutcome, Failure> {
    use import_ofsted_request::Part;
    let (header, file, bar) = open(path, header).await?;
    let first = ImportOfstedRequest { part: Some(Part::Header(header)) };
    let (chunks, read_error) = read_chunks(file);
    let rest = chunks.map(|bytes| ImportOfstedRequest { part: Some(Part::Chunk(bytes)) });
    let request = session.long_call(stream::iter([first]).chain(rest));
    let mut client = session.services.eligibility();
    finish_upload(path, client.import_ofsted(request), read_error, bar).await
}

/// The content of a message that the server sends during an import.
enum UploadMessage {
    Progress(ImportProgress),
    Outcome(ImportOutcome),
}

/// A message of the server, of either kind of import.
trait ImportAnswer {
    /// Returns the content of the message; `None` for an empty message.
    fn content(self) -> Option<UploadMessage>;
}

impl ImportAnswer for ImportRegisterResponse {
    fn content(self) -> Option<UploadMessage> {
        use import_register_response::Part;
        self.part.map(|part| match part {
            Part::Progress(progress) => UploadMessage::Progress(progress),
            Part::Outcome(outcome) => UploadMessage::Outcome(outcome),
        })
    }
}

impl ImportAnswer for ImportOfstedResponse {
    fn content(self) -> Option<UploadMessage> {
        use import_ofsted_response::Part;
        self.part.map(|part| match part {
            Part::Progress(progress) => UploadMessage::Progress(progress),
            Part::Outcome(outcome) => UploadMessage::Outcome(outcome),
        })
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Local("FILE_UNREADABLE", format!("cannot read {}: {error}", path.display()))
}

/// Opens a file. Returns the header with the size of the file, the file, and a progress bar.
async fn open(path: &Path, header: ImportHeader) -> Result<(ImportHeader, File, ProgressBar), Failure> {
    let failed = |error| unreadable(path, &error);
    let file = File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    // The bar is shown on stderr, and only if stderr is a terminal.
    let bar = ProgressBar::new(size).with_prefix(one_line(&header.file_name).into_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    Ok((ImportHeader { size_bytes: i64::try_from(size).unwrap_or_default(), ..header }, file, bar))
}

/// Reads a file in chunks. After a read error the receiver gets the error, and the stream neither continues nor ends: the server
/// would take its end for the end of the file.
fn read_chunks(file: File) -> (impl Stream<Item = Vec<u8>> + Send + 'static, oneshot::Receiver<io::Error>) {
    let (error_sender, error_receiver) = oneshot::channel();
    let chunks = stream::unfold((file, error_sender), |(mut file, error_sender)| async move {
        let mut chunk = Vec::new();
        match (&mut file).take(CHUNK_BYTES).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((chunk, (file, error_sender))),
            Err(error) => {
                error_sender.send(error).unwrap_or_default();
                pending().await
            }
        }
    });
    (chunks, error_receiver)
}

/// Waits for the outcome of an import. If the file cannot be read, cancels the call and returns the read error.
async fn finish_upload<A: ImportAnswer>(
    path: &Path,
    call: impl Future<Output = Result<Response<Streaming<A>>, Status>>,
    read_error: oneshot::Receiver<io::Error>,
    bar: ProgressBar,
) -> Result<ImportOutcome, Failure> {
    let wait_for_read_error = async {
        match read_error.await {
            Ok(error) => error,
            // The file was read to its end.
            Err(_) => pending().await,
        }
    };
    let outcome = tokio::select! {
        error = wait_for_read_error => Err(unreadable(path, &error)),
        outcome = receive_outcome(call, &bar) => outcome,
    };
    bar.finish_and_clear();
    outcome
}

/// Receives the messages of the server, shows the progress, and returns the outcome.
async fn receive_outcome<A: ImportAnswer>(
    call: impl Future<Output = Result<Response<Streaming<A>>, Status>>,
    bar: &ProgressBar,
) -> Result<ImportOutcome, Failure> {
    let mut answers = call.await?.into_inner();
    while let Some(answer) = answers.message().await? {
        match answer.content() {
            Some(UploadMessage::Progress(progress)) => {
                bar.set_position(u64::try_from(progress.received_bytes).unwrap_or_default());
                if progress.rows_read > 0 {
                    bar.set_message(format!("{} rows read, {} written", progress.rows_read, progress.rows_written));
                }
            }
            Some(UploadMessage::Outcome(outcome)) => return Ok(outcome),
            None => {}
        }
    }
    Err(Status::internal("the import ended without its outcome").into())
}
