//! `tsio offers watch`: one line a message, and on from where it came to when the stream breaks.

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

/// What a message says: its kind, the event, the offer, and the id of an offer that left.
fn said(message: &WatchOffersResponse) -> (&'static str, Option<&OfferEvent>, Option<&Offer>, Option<&str>) {
    match &message.update {
        Some(Update::Offer(offer)) => ("offer", None, Some(offer), None),
        Some(Update::SnapshotEnd(_)) => ("snapshot_end", None, None, None),
        Some(Update::Change(it)) => ("change", it.event.as_ref(), it.offer.as_ref(), None),
        Some(Update::Gone(it)) => ("gone", None, None, Some(it.offer.as_str())),
        // What a later server may tell is a place at least.
        Some(Update::Checkpoint(_)) | None => ("checkpoint", None, None, None),
    }
}

/// Where the stream came to with a message. An offer of the snapshot says none: the end of the snapshot does.
fn place(message: &WatchOffersResponse) -> Option<i64> {
    (!matches!(message.update, Some(Update::Offer(_)))).then_some(message.sequence)
}

/// One message as json. Keys that do not apply are null.
fn json(message: &WatchOffersResponse) -> Object {
    let (kind, event, offer, gone) = said(message);
    let sequence = place(message);
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
    let (kind, event, offer, gone) = said(message);
    let sequence = place(message).map(|it| it.to_string()).unwrap_or_default();
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
