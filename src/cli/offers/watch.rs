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

/// The content of a message.
#[derive(Default)]
struct MessageContent<'a> {
    kind: &'static str,
    event: Option<&'a OfferEvent>,
    offer: Option<&'a Offer>,
    /// The id of an offer that left.
    gone: Option<&'a str>,
}

fn content(message: &WatchOffersResponse) -> MessageContent<'_> {
    let none = MessageContent::default();
    match &message.update {
        Some(Update::Offer(offer)) => MessageContent { kind: "offer", offer: Some(offer), ..none },
        Some(Update::SnapshotEnd(_)) => MessageContent { kind: "snapshot_end", ..none },
        Some(Update::Change(it)) => {
            MessageContent { kind: "change", event: it.event.as_ref(), offer: it.offer.as_ref(), ..none }
        }
        Some(Update::Gone(it)) => MessageContent { kind: "gone", gone: Some(it.offer.as_str()), ..none },
        // An unknown message of a later server still has a position.
        Some(Update::Checkpoint(_)) | None => MessageContent { kind: "checkpoint", ..none },
    }
}

/// The position of the stream after a message. An offer of a snapshot has none; the end of the snapshot has it.
fn position(message: &WatchOffersResponse) -> Option<i64> {
    (!matches!(message.update, Some(Update::Offer(_)))).then_some(message.sequence)
}

/// One message as JSON. Keys that do not apply are null.
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

/// One message on one line, as a script reads it or as a person does.
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

pub(super) async fn run(args: WatchArgs, session: &Session<'_>) -> Result<(), Failure> {
    let start = args.resume.map(Start::ResumeToken).or(args.after.map(Start::AfterSequence));
    let states = args.states.into_iter().map(Into::into).collect();
    let request = WatchOffersRequest { programme: args.programme, regions: args.regions, states, start };
    let going_on = |broken: &Status| output::remark(&format!("{}; going on", broken.message()));
    let mut watch = session.client().watch(request).telling(going_on);
    loop {
        let message = watch.next().await?;
        let done = args.once && matches!(message.update, Some(Update::Checkpoint(_)));
        let line = line(&message, session.output());
        if !output::part(&format!("{line}\n"))? || done {
            return Ok(());
        }
    }
}
