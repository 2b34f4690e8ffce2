//! Receives uploads of files and imports them. The client sends a header, then chunks. The server streams the progress,
//! and at the end the outcome.
//!
//! The compressed upload is kept in memory. Its size and the number of concurrent uploads are limited. If the client
//! disconnects during the upload, nothing is imported. If it disconnects after the upload, the import is completed anyway.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::call;
use crate::app::imports::{ImportOutcome, ImportReply, ImportSource, Progress, Upload, UploadHeader, upload_bytes};
use crate::app::{App, AppError, Result, Violation};
use crate::domain::role::Caller;
use crate::domain::time::Now;
use crate::grpc::auth::call_time::CallTime;
use crate::grpc::auth::method::Method;
use crate::grpc::message::fields::Fields;
use crate::grpc::message::request_id::record_request_id;
use crate::grpc::message::{conversion, texts};
use crate::proto;

/// The most concurrent uploads. Each holds up to [`upload_bytes`] compressed bytes in memory.
const MAX_UPLOADS: u32 = 2;
/// The longest pause between two messages of an upload. It is limited because an upload holds one of few slots.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit of a whole upload: 96 MiB over a slow connection.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The most buffered messages for a slow client. Further progress messages are dropped, but never the outcome.
const BUFFERED_MESSAGES: usize = 16;
/// The number of received bytes between two progress messages.
const PROGRESS_BYTES: usize = 1024 * 1024;

/// One request message of an import.
#[derive(Debug)]
pub(in crate::grpc) enum UploadPart {
    /// The first message.
    Header(proto::ImportHeader),
    /// Every later message.
    Chunk(Vec<u8>),
    /// A message without a part, which is refused.
    Empty,
}

/// One response message of an import.
#[derive(Debug)]
pub(in crate::grpc) enum UploadAnswer {
    /// The progress so far.
    Progress(proto::ImportProgress),
    /// The last message.
    Outcome(proto::ImportOutcome),
}

/// The stream of response messages.
pub(in crate::grpc) type UploadAnswers<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// The slots of concurrent uploads.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Uploads(Arc<Semaphore>);

impl Default for Uploads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_UPLOADS as usize)))
    }
}

impl Uploads {
    /// Waits until no upload runs, including imports whose client has disconnected.
    pub(in crate::grpc) async fn wait_until_idle(&self) {
        // The semaphore is never closed, so this waits for all slots.
        let _ = self.0.acquire_many(MAX_UPLOADS).await;
    }
}

/// Starts a task that receives one upload and imports it. Returns the stream of response messages.
///
/// # Errors
/// PERMISSION_DENIED if no role of the caller allows the method.
pub(in crate::grpc) fn receive_upload<M, T>(
    app: App,
    uploads: Uploads,
    source: ImportSource,
    request: Request<Streaming<M>>,
    part: fn(M) -> UploadPart,
    wrap: fn(UploadAnswer) -> T,
) -> std::result::Result<Response<UploadAnswers<T>>, Status>
where
    M: Send + 'static,
    T: Send + 'static,
{
    let caller = crate::grpc::auth::authenticated_caller(request.extensions())?.caller.clone();
    let method = Method::from_extensions(request.extensions())?;
    let CallTime { now, .. } = CallTime::from_extensions(request.extensions())?;
    // The header has not been received, so a denial is logged without a request id: `()` is an empty message.
    call::check_allowed(method, &caller, request.extensions(), &())?;
    let (sender, receiver) = mpsc::channel(BUFFERED_MESSAGES);
    let parts = request.into_inner().map(move |message| message.map(part));
    let work = async move {
        let last_message =
            match receive_and_import(app, uploads, (source, method), (caller, now), parts, sender.clone()).await {
                Ok(outcome) => Ok(UploadAnswer::Outcome(outcome)),
                Err(error) => Err(call::fail(error)),
            };
        // The send fails if the client has disconnected. The import is complete even then.
        let _ = sender.send(last_message).await;
    };
    tokio::spawn(work.in_current_span());
    Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(move |it| it.map(wrap)))))
}

type Sender = mpsc::Sender<std::result::Result<UploadAnswer, Status>>;

/// Receives the upload, imports it, and returns the outcome.
async fn receive_and_import(
    app: App,
    uploads: Uploads,
    (source, method): (ImportSource, Method),
    (caller, now): (Caller, Now),
    mut parts: impl Stream<Item = std::result::Result<UploadPart, Status>> + Unpin,
    sender: Sender,
) -> Result<proto::ImportOutcome> {
    let _slot = uploads.0.try_acquire_owned().map_err(|_| AppError::Overloaded)?;
    let first = next(&mut parts).await?.and_then(std::result::Result::ok);
    let Some(UploadPart::Header(header)) = first else {
        return Err(invalid("header", "the first message is the header"));
    };
    let stated_size = header.size_bytes;
    let violations = texts::check_part("ImportHeader", "header.", &header);
    let is_accepted = violations.is_empty() || was_answered(&app, &caller, method, &header).await?;
    let header = texts::check_and_refuse(if is_accepted { Vec::new() } else { violations }, || check_header(header))?;
    record_request_id(header.request);
    let timed_out = |_| invalid("chunk", &format!("the upload took longer than {} s", UPLOAD_TIMEOUT.as_secs()));
    let bytes = tokio::time::timeout(UPLOAD_TIMEOUT, receive_chunks(parts, &sender)).await.map_err(timed_out)??;
    // A size of 0 means that the client does not state it.
    if stated_size > 0 && i64::try_from(bytes.len()) != Ok(stated_size) {
        return Err(invalid("header.size_bytes", &format!("says {stated_size}, but {} bytes came", bytes.len())));
    }
    let received_bytes = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let report = move |progress: Progress| {
        // A progress message is dropped if the buffer of a slow client is full.
        let _ = sender.try_send(Ok(UploadAnswer::Progress(proto::ImportProgress {
            received_bytes,
            rows_read: conversion::row_count(progress.rows_read),
            rows_written: conversion::row_count(progress.rows_written),
        })));
    };
    let ImportReply { answer, .. } = app
        .import_file(&caller, header, Upload { source, rpc: method.name(), today: now.today, bytes }, report, encode)
        .await?;
    super::call::decode(&answer)
}

/// Returns true if this request was answered before. Its file is then not imported again, but only compared with the
/// file of the first request.
async fn was_answered(app: &App, caller: &Caller, method: Method, header: &proto::ImportHeader) -> Result<bool> {
    match header.request_id.parse() {
        Ok(request) if !header.validate_only => app.was_answered(&caller.actor, request, (method.name(), None)).await,
        _ => Ok(false),
    }
}

/// Receives the next message; `None` at the end of the stream.
///
/// # Errors
/// [`AppError::Invalid`] if the upload pauses for longer than [`CHUNK_TIMEOUT`].
async fn next<S: Stream + Unpin>(parts: &mut S) -> Result<Option<S::Item>> {
    let stalled = |_| invalid("chunk", &format!("no message came for {} s", CHUNK_TIMEOUT.as_secs()));
    tokio::time::timeout(CHUNK_TIMEOUT, parts.next()).await.map_err(stalled)
}

/// Receives all chunks and reports the progress. Returns the bytes of the file.
///
/// # Errors
/// [`AppError::Invalid`] for a message that is no chunk, a stream that breaks off, or a long pause;
/// [`AppError::FileRefused`] for more than [`upload_bytes`].
async fn receive_chunks(
    mut parts: impl Stream<Item = std::result::Result<UploadPart, Status>> + Unpin,
    sender: &Sender,
) -> Result<Vec<u8>> {
    let limit = upload_bytes();
    let mut upload: Vec<u8> = Vec::new();
    let mut reported_bytes = 0;
    while let Some(part) = next(&mut parts).await? {
        match part {
            Ok(UploadPart::Chunk(chunk)) if chunk.is_empty() => return Err(invalid("chunk", "is empty")),
            Ok(UploadPart::Chunk(chunk)) => upload.extend_from_slice(&chunk),
            Ok(UploadPart::Header(_) | UploadPart::Empty) => {
                return Err(invalid("chunk", "every message but the first is a chunk"));
            }
            // The client cancelled the stream, so the file is incomplete.
            Err(error) => return Err(invalid("chunk", &format!("the upload broke off: {}", error.message()))),
        }
        if u64::try_from(upload.len()).unwrap_or(u64::MAX) > u64::try_from(limit).unwrap_or(u64::MAX) {
            let why = format!("the upload is larger than {limit} bytes");
            return Err(AppError::FileRefused { why, details: Vec::new() });
        }
        if upload.len().saturating_sub(reported_bytes) >= PROGRESS_BYTES {
            reported_bytes = upload.len();
            let received_bytes = i64::try_from(reported_bytes).unwrap_or(i64::MAX);
            let _ = sender
                .try_send(Ok(UploadAnswer::Progress(proto::ImportProgress { received_bytes, ..Default::default() })));
        }
    }
    Ok(upload)
}

/// Checks the fields of the header.
fn check_header(header: proto::ImportHeader) -> Result<UploadHeader> {
    let mut fields = Fields::default();
    let request = fields.parse("header.request_id", &header.request_id);
    let as_at = fields.date("header.as_at", &header.as_at);
    fields.note("header.file_name", &header.file_name);
    let replaces = fields.optional("header.replaces", &header.replaces);
    let value = request.zip(as_at).map(|(request, as_at)| UploadHeader {
        request,
        file_name: header.file_name,
        as_at,
        validate_only: header.validate_only,
        replaces,
        day_first: header.day_first,
        accept_problems: header.accept_problems,
    });
    fields.done(value)
}

fn encode(outcome: &ImportOutcome) -> Vec<u8> {
    conversion::import_outcome(outcome).encode_to_vec()
}

/// Returns an error with one violation.
fn invalid(field: &str, description: &str) -> AppError {
    AppError::Invalid(vec![Violation::new(field, description)])
}
