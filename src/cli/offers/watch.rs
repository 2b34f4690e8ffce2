//! `tsio offers watch`: prints one line per message, and resumes a broken stream.

use tonic::Status;

use super::args::WatchArgs;
use crate::cli::errors::Failure;
use crate::cli::json::{self, Json, Object};
use crate::cli::output::{self, Output};
use crate::cli::session::Session;
use crate::cli::view::offers;
use crate::proto::watch_offers_request::Start;
use crate::proto::watch_offers_response::Update;
use crate::proto::{Offer, OfferEvent, WatchOffersRequest, WatchOffersResponse};

/// The content of a message. A message has only some of the fields.
#[derive(Default)]
struct MessageContent<'a> {
    kind: &'static str,
    event: Option<&'a OfferEvent>,
    offer: Option<&'a Offer>,
    /// The id of an offer that no longer meets the conditions of the watch.
    gone: Option<&'a str>,
}

/// Returns the content of a message.
fn content(message: &WatchOffersResponse) -> MessageContent<'_> {
    let empty = MessageContent::default();
    match &message.update {
        Some(Update::Offer(offer)) => MessageContent { kind: "offer", offer: Some(offer), ..empty },
        Some(Update::SnapshotEnd(_)) => MessageContent { kind: "snapshot_end", ..empty },
        Some(Update::Change(it)) => {
            MessageContent { kind: "change", event: it.event.as_ref(), offer: it.offer.as_ref(), ..empty }
        }
        Some(Update::Gone(it)) => MessageContent { kind: "gone", gone: Some(it.offer.as_str()), ..empty },
        // A message of a newer server, which this client does not know, has a position too.
        Some(Update::Checkpoint(_)) | None => MessageContent { kind: "checkpoint", ..empty },
    }
}

/// Returns the position of the stream after a message. `None` for an offer of a snapshot; the end of the snapshot has a position.
fn position(message: &WatchOffersResponse) -> Option<i64> {
    (!matches!(message.update, Some(Update::Offer(_)))).then_some(message.sequence)
}

/// Returns one message as JSON. Keys that do not apply are null.
fn json(message: &WatchOffersResponse) -> Object {
    let MessageContent { kind, event, offer, gone } = content(message);
    let sequence = position(message);
    Object::default()
        .with("kind", kind)
        .with("sequence", sequence)
        .with("resume_token", sequence.map_or(Json::Null, |_| message.resume_token.as_str().into()))
        .with("event", event.map(json::of))
        .with("offer", offer.map(json::of))
        .with("gone", gone)
}

/// Formats one message as one line, as JSON or as text.
fn line(message: &WatchOffersResponse, output: Output) -> String {
    if output == Output::Json {
        return serde_json::to_string(&json(message)).unwrap_or_default();
    }
    let MessageContent { kind, event, offer, gone } = content(message);
    let sequence = position(message).map(|it| it.to_string()).unwrap_or_default();
    let event = event.map_or(kind, |it| it.kind.as_str());
    let offer = offer.map_or_else(|| gone.unwrap_or_default().to_owned(), offers::line);
    output::one_line(format!("{sequence:>8}  {event:<18} {offer}").trim_end()).into_owned()
}

/// Prints the messages of a watch until the reader closes the pipe or, with `--once`, until all changes so far are printed.
pub(super) async fn run(args: WatchArgs, session: &Session<'_>) -> Result<(), Failure> {
    let start = args.resume.map(Start::ResumeToken).or(args.after.map(Start::AfterSequence));
    let states = args.states.into_iter().map(Into::into).collect();
    let request = WatchOffersRequest { programme: session.programme(), regions: args.regions, states, start };
    let report_break = |status: &Status| output::remark(&format!("{}; going on", status.message()));
    let mut watch = session.client().watch(request).on_break(report_break);
    loop {
        let message = watch.next().await?;
        let is_complete = args.once && matches!(message.update, Some(Update::Checkpoint(_)));
        let line = line(&message, session.output());
        if !output::part(&format!("{line}\n"))? || is_complete {
            return Ok(());
        }
    }
}
