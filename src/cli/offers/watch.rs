//! `tsio offers watch`: one line a message, and on from where it came to when the stream breaks.

use std::time::Duration;

use serde::Serialize;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::args::WatchArgs;
use super::record::EventView;
use super::render::OfferDetail;
use crate::cli::connect::Session;
use crate::cli::errors::Failure;
use crate::cli::out::{self, Output};
use crate::proto::watch_offers_request::Start;
use crate::proto::watch_offers_response::Told;
use crate::proto::{WatchOffersRequest, WatchOffersResponse};

/// Between two tries to go on.
const AGAIN: Duration = Duration::from_secs(1);

/// One message. Keys that do not apply are null.
#[derive(Debug, Default, Serialize)]
struct WatchedView {
    kind: &'static str,
    sequence: Option<i64>,
    resume_token: Option<String>,
    event: Option<EventView>,
    offer: Option<OfferDetail>,
    /// The id of an offer that left.
    gone: Option<String>,
}

impl From<WatchOffersResponse> for WatchedView {
    fn from(message: WatchOffersResponse) -> Self {
        let place =
            Self { sequence: Some(message.sequence), resume_token: Some(message.resume_token), ..Self::default() };
        match message.told {
            Some(Told::Offer(offer)) => Self { kind: "offer", offer: Some(offer.into()), ..Self::default() },
            Some(Told::SnapshotEnd(_)) => Self { kind: "snapshot_end", ..place },
            Some(Told::Change(it)) => {
                Self { kind: "change", event: it.event.map(Into::into), offer: it.offer.map(Into::into), ..place }
            }
            Some(Told::Gone(it)) => Self { kind: "gone", gone: Some(it.offer), ..place },
            // What a later server may tell is a place at least.
            Some(Told::Checkpoint(_)) | None => Self { kind: "checkpoint", ..place },
        }
    }
}

impl WatchedView {
    /// As a person reads it, or as a script does; each on one line.
    fn line(&self, output: Output) -> String {
        if output == Output::Json {
            return serde_json::to_string(self).unwrap_or_default();
        }
        let sequence = self.sequence.map(|it| it.to_string()).unwrap_or_default();
        let event = self.event.as_ref().map_or(self.kind, EventView::kind);
        let gone = self.gone.clone().unwrap_or_default();
        let offer = self.offer.as_ref().map_or(gone, OfferDetail::line);
        format!("{sequence:>8}  {event:<18} {offer}").trim_end().to_owned()
    }
}

pub(super) async fn run(args: WatchArgs, session: &Session<'_>) -> Result<(), Failure> {
    let start = args.resume.map(Start::ResumeToken).or(args.after.map(Start::AfterSequence));
    let states = args.states.into_iter().map(Into::into).collect();
    let mut request = WatchOffersRequest { programme: args.programme, regions: args.regions, states, start };
    loop {
        let ended = match session.offers().watch_offers(session.call(request.clone())).await {
            Ok(answer) => match follow(answer.into_inner(), &mut request, args.once, session.output()).await? {
                Some(ended) => ended,
                None => return Ok(()),
            },
            Err(status) => status,
        };
        if !passes(&ended) {
            return Err(ended.into());
        }
        out::remark(&format!("{}; going on", ended.message()));
        #[expect(clippy::disallowed_methods, reason = "a bounded wait before the server is asked again")]
        tokio::time::sleep(AGAIN).await;
    }
}

/// Prints what comes, and keeps where to go on from; why it ended, unless nothing more is wanted.
async fn follow(
    mut stream: Streaming<WatchOffersResponse>,
    request: &mut WatchOffersRequest,
    once: bool,
    output: Output,
) -> Result<Option<Status>, Failure> {
    loop {
        let message = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Some(Status::unavailable("the server ended the stream"))),
            Err(status) => return Ok(Some(status)),
        };
        if !message.resume_token.is_empty() {
            request.start = Some(Start::ResumeToken(message.resume_token.clone()));
        }
        let done = once && matches!(message.told, Some(Told::Checkpoint(_)));
        let line = WatchedView::from(message).line(output);
        if !out::bytes(format!("{line}\n").as_bytes())? || done {
            return Ok(None);
        }
    }
}

/// Whether going on from the last message can help. A connection that is torn comes as UNKNOWN or CANCELLED.
fn passes(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled => true,
        Code::ResourceExhausted => {
            status.get_details_error_info().is_some_and(|info| info.reason == "WATCHER_TOO_SLOW")
        }
        _ => false,
    }
}
