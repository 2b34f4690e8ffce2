//! Sends one file: the header, then its bytes in chunks, and receives progress meanwhile.
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

/// A quarter of the largest chunk that the server takes.
const CHUNK: u64 = 256 * 1024;

/// Imports one GIAS file.
pub(super) async fn register(
    session: &Session<'_>,
    path: &Path,
    header: ImportHeader,
) -> Result<ImportOutcome, Failure> {
    use import_register_request::Part;
    let (header, file, bar) = open(path, header).await?;
    let first = ImportRegisterRequest { part: Some(Part::Header(header)) };
    let (chunks, broken) = read(file);
    let rest = chunks.map(|bytes| ImportRegisterRequest { part: Some(Part::Chunk(bytes)) });
    let request = session.long_call(stream::iter([first]).chain(rest));
    let mut client = session.services.register();
    drive(path, client.import_register(request), broken, bar).await
}

/// Imports one Ofsted month.
pub(super) async fn ofsted(session: &Session<'_>, path: &Path, header: ImportHeader) -> Result<ImportOutcome, Failure> {
    use import_ofsted_request::Part;
    let (header, file, bar) = open(path, header).await?;
    let first = ImportOfstedRequest { part: Some(Part::Header(header)) };
    let (chunks, broken) = read(file);
    let rest = chunks.map(|bytes| ImportOfstedRequest { part: Some(Part::Chunk(bytes)) });
    let request = session.long_call(stream::iter([first]).chain(rest));
    let mut client = session.services.eligibility();
    drive(path, client.import_ofsted(request), broken, bar).await
}

/// A message of the server during an import.
enum UploadMessage {
    Progress(ImportProgress),
    Outcome(ImportOutcome),
}

/// A response message of one of the two imports.
trait Answer {
    /// Its content; `None` for an empty message.
    fn message(self) -> Option<UploadMessage>;
}

impl Answer for ImportRegisterResponse {
    fn message(self) -> Option<UploadMessage> {
        use import_register_response::Part;
        self.part.map(|part| match part {
            Part::Progress(progress) => UploadMessage::Progress(progress),
            Part::Outcome(outcome) => UploadMessage::Outcome(outcome),
        })
    }
}

impl Answer for ImportOfstedResponse {
    fn message(self) -> Option<UploadMessage> {
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

async fn open(path: &Path, header: ImportHeader) -> Result<(ImportHeader, File, ProgressBar), Failure> {
    let failed = |error| unreadable(path, &error);
    let file = File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    // Drawn on stderr, and only when that is a terminal.
    let bar = ProgressBar::new(size).with_prefix(one_line(&header.file_name).into_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    Ok((ImportHeader { size_bytes: i64::try_from(size).unwrap_or_default(), ..header }, file, bar))
}

/// Reads a file in chunks. The receiver gets a read error, after which the stream of chunks stays pending.
fn read(file: File) -> (impl Stream<Item = Vec<u8>> + Send + 'static, oneshot::Receiver<io::Error>) {
    let (error_sender, broken) = oneshot::channel();
    let chunks = stream::unfold((file, error_sender), |(mut file, error_sender)| async move {
        let mut chunk = Vec::new();
        match (&mut file).take(CHUNK).read_to_end(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((chunk, (file, error_sender))),
            Err(error) => {
                error_sender.send(error).unwrap_or_default();
                pending().await
            }
        }
    });
    (chunks, broken)
}

async fn drive<A: Answer>(
    path: &Path,
    call: impl Future<Output = Result<Response<Streaming<A>>, Status>>,
    broken: oneshot::Receiver<io::Error>,
    bar: ProgressBar,
) -> Result<ImportOutcome, Failure> {
    let failed_read = async {
        match broken.await {
            Ok(error) => error,
            // The file was read to its end.
            Err(_) => pending().await,
        }
    };
    let outcome = tokio::select! {
        error = failed_read => Err(unreadable(path, &error)),
        outcome = follow(call, &bar) => outcome,
    };
    bar.finish_and_clear();
    outcome
}

async fn follow<A: Answer>(
    call: impl Future<Output = Result<Response<Streaming<A>>, Status>>,
    bar: &ProgressBar,
) -> Result<ImportOutcome, Failure> {
    let mut answers = call.await?.into_inner();
    while let Some(answer) = answers.message().await? {
        match answer.message() {
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
