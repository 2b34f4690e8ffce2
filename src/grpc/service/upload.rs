//! Uploads: a header, then chunks; progress comes back while they run, the outcome last.
//!
//! The upload is held packed as it came, bounded in bytes; how many are held at a time is bounded too. A caller that
//! goes away during the upload has changed nothing; past it the import is carried through.

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
use crate::grpc::message::request_id::requested;
use crate::grpc::message::{conversion, texts};
use crate::proto;

/// Uploads held at the same time: each is bounded by [`upload_bytes`], packed.
const AT_ONCE: u32 = 2;
/// How long an upload may stand still: it holds one of few places.
const STALLED: Duration = Duration::from_secs(30);
/// How long it may take in all: 96 MiB over a slow line.
const SLOWEST: Duration = Duration::from_secs(600);
/// Messages waiting to be read by a slow caller; progress beyond them is dropped, the outcome never.
const BUFFER: usize = 16;
/// Progress is told about every so many bytes received.
const TELL_EVERY: usize = 1024 * 1024;

/// One message of either import's stream.
#[derive(Debug)]
pub(in crate::grpc) enum UploadPart {
    /// The first.
    Header(proto::ImportHeader),
    /// Every later one.
    Chunk(Vec<u8>),
    /// Neither: an empty message.
    Nothing,
}

/// One message of either import's answer.
#[derive(Debug)]
pub(in crate::grpc) enum UploadAnswer {
    /// How far it is.
    Progress(proto::ImportProgress),
    /// The last.
    Outcome(proto::ImportOutcome),
}

/// The stream of answers.
pub(in crate::grpc) type UploadAnswers<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

/// How many uploads are held now.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Uploads(Arc<Semaphore>);

impl Default for Uploads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE as usize)))
    }
}

impl Uploads {
    /// Waits until none is held any more: an import whose caller has gone is carried through all the same.
    pub(in crate::grpc) async fn idle(&self) {
        // It is never closed, so that this waits for every place.
        let _ = self.0.acquire_many(AT_ONCE).await;
    }
}

/// Receives one upload and imports it.
pub(in crate::grpc) fn import<M, T>(
    app: App,
    uploads: Uploads,
    source: ImportSource,
    request: Request<Streaming<M>>,
    part: fn(M) -> UploadPart,
    tell: fn(UploadAnswer) -> T,
) -> std::result::Result<Response<UploadAnswers<T>>, Status>
where
    M: Send + 'static,
    T: Send + 'static,
{
    let caller = crate::grpc::auth::authenticated(request.extensions())?.caller.clone();
    let method = Method::of(request.extensions())?;
    let CallTime { now, .. } = CallTime::of(request.extensions())?;
    call::allowed(method, &caller, request.extensions(), &())?;
    let (sender, receiver) = mpsc::channel(BUFFER);
    let parts = request.into_inner().map(move |message| message.map(part));
    let work = async move {
        let ending = match run(app, uploads, (source, method), (caller, now), parts, sender.clone()).await {
            Ok(outcome) => Ok(UploadAnswer::Outcome(outcome)),
            Err(error) => Err(call::fail(error)),
        };
        // The caller may have gone; what was imported stays imported.
        let _ = sender.send(ending).await;
    };
    tokio::spawn(work.in_current_span());
    Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(move |it| it.map(tell)))))
}

type Sender = mpsc::Sender<std::result::Result<UploadAnswer, Status>>;

async fn run(
    app: App,
    uploads: Uploads,
    (source, method): (ImportSource, Method),
    (caller, now): (Caller, Now),
    mut parts: impl Stream<Item = std::result::Result<UploadPart, Status>> + Unpin,
    sender: Sender,
) -> Result<proto::ImportOutcome> {
    let _held = uploads.0.try_acquire_owned().map_err(|_| AppError::Overloaded)?;
    let first = next(&mut parts).await?.and_then(std::result::Result::ok);
    let Some(UploadPart::Header(header)) = first else {
        return Err(wrong("header", "the first message is the header"));
    };
    let size = header.size_bytes;
    let found = texts::check_part("ImportHeader", "header.", &header);
    let is_sound = found.is_empty() || was_answered(&app, &caller, method, &header).await?;
    let header = texts::refuse_at_once(if is_sound { Vec::new() } else { found }, || checked(header))?;
    requested(header.request);
    let slow = |_| wrong("chunk", &format!("the upload took longer than {} s", SLOWEST.as_secs()));
    let bytes = tokio::time::timeout(SLOWEST, receive(parts, &sender)).await.map_err(slow)??;
    if size > 0 && i64::try_from(bytes.len()) != Ok(size) {
        return Err(wrong("header.size_bytes", &format!("says {size}, but {} bytes came", bytes.len())));
    }
    let received = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let tell = move |progress: Progress| {
        // A slow caller misses progress, never the outcome.
        let _ = sender.try_send(Ok(UploadAnswer::Progress(proto::ImportProgress {
            received_bytes: received,
            rows_read: conversion::rows(progress.rows_read),
            rows_written: conversion::rows(progress.rows_written),
        })));
    };
    let ImportReply { answer, .. } = app
        .import_file(&caller, header, Upload { source, rpc: method.name(), today: now.today, bytes }, tell, encode)
        .await?;
    super::call::decode(&answer)
}

/// Whether this request was answered before: then the file is only compared with the one of that time.
async fn was_answered(app: &App, caller: &Caller, method: Method, header: &proto::ImportHeader) -> Result<bool> {
    match header.request_id.parse() {
        Ok(request) if !header.validate_only => app.was_answered(&caller.actor, request, (method.name(), None)).await,
        _ => Ok(false),
    }
}

/// The next message; an upload that stands still for too long gives its place up.
async fn next<S: Stream + Unpin>(parts: &mut S) -> Result<Option<S::Item>> {
    let stalled = |_| wrong("chunk", &format!("no message came for {} s", STALLED.as_secs()));
    tokio::time::timeout(STALLED, parts.next()).await.map_err(stalled)
}

/// Takes in the chunks, up to the limit.
async fn receive(
    mut parts: impl Stream<Item = std::result::Result<UploadPart, Status>> + Unpin,
    sender: &Sender,
) -> Result<Vec<u8>> {
    let most = upload_bytes();
    let mut upload: Vec<u8> = Vec::new();
    let mut told = 0;
    while let Some(part) = next(&mut parts).await? {
        match part {
            Ok(UploadPart::Chunk(chunk)) if chunk.is_empty() => return Err(wrong("chunk", "is empty")),
            Ok(UploadPart::Chunk(chunk)) => upload.extend_from_slice(&chunk),
            Ok(UploadPart::Header(_) | UploadPart::Nothing) => {
                return Err(wrong("chunk", "every message but the first is a chunk"));
            }
            // The caller tore the stream: what came is not a file.
            Err(error) => return Err(wrong("chunk", &format!("the upload broke off: {}", error.message()))),
        }
        if u64::try_from(upload.len()).unwrap_or(u64::MAX) > u64::try_from(most).unwrap_or(u64::MAX) {
            let why = format!("the upload is larger than {most} bytes");
            return Err(AppError::FileRefused { why, details: Vec::new() });
        }
        if upload.len().saturating_sub(told) >= TELL_EVERY {
            told = upload.len();
            let received_bytes = i64::try_from(told).unwrap_or(i64::MAX);
            let _ = sender
                .try_send(Ok(UploadAnswer::Progress(proto::ImportProgress { received_bytes, ..Default::default() })));
        }
    }
    Ok(upload)
}

fn checked(header: proto::ImportHeader) -> Result<UploadHeader> {
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

fn wrong(field: &str, description: &str) -> AppError {
    AppError::Invalid(vec![Violation::new(field, description)])
}
