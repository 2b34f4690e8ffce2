//! `WatchOffers`: a stream that lasts until somebody ends it.
//!
//! Each change is made into its message once a process and copied for each watcher. The ending has a way of its own, so
//! that a watcher whose messages are stuck still hears of it, after them. Its place is held until the response is gone: what
//! nobody takes still fills memory.

use std::num::NonZeroUsize;
use std::pin::Pin;

use futures_util::stream::once;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::call;
use crate::app::watch::{RecordPosition, Start, WatchLimits, WatchMessage, WatchRequest, Watches};
use crate::app::{App, AppError, Recorded, Result};
use crate::domain::event::Seq;
use crate::domain::ids::Programme;
use crate::domain::offer::Offer;
use crate::grpc::auth::method::Method;
use crate::grpc::auth::{self, Authenticated, Proof};
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::grpc::message::status::status;
use crate::grpc::message::texts;
use crate::grpc::telemetry::call_span;
use crate::grpc::transport::delivery::HeldByResponse;
use crate::proto::watch_offers_request::Start as Given;
use crate::proto::watch_offers_response::Told as Shown;
use crate::proto::{
    OfferChange, OfferGone, WatchCheckpoint, WatchOffersRequest, WatchOffersResponse, WatchSnapshotEnd,
};

/// Messages waiting for a watcher that is busy, beside what its connection holds.
const BUFFER: usize = 32;
/// Regions or states one watcher may name; there are eight and five.
const MOST: usize = 16;

/// Everybody who watches.
pub(in crate::grpc) type Watchers = Watches<WatchOffersResponse>;

/// What one of them hears.
pub(in crate::grpc) type Stream =
    Pin<Box<dyn tokio_stream::Stream<Item = std::result::Result<WatchOffersResponse, Status>> + Send>>;

/// Nobody yet.
pub(in crate::grpc) fn watchers(app: App, of_one: Option<NonZeroUsize>) -> Watchers {
    Watches::new(app, change, WatchLimits { of_one, ..WatchLimits::default() })
}

/// Watches until the watcher goes, its deadline passes, or [`Watches::watch`] ends it.
pub(in crate::grpc) fn watch(
    watchers: Watchers,
    request: Request<WatchOffersRequest>,
) -> std::result::Result<Response<Stream>, Status> {
    let (metadata, extensions, message) = request.into_parts();
    let Authenticated { caller, ends, .. } = auth::authenticated(&extensions)?.clone();
    let method = Method::of(&extensions)?;
    call::allowed(method, &caller, &extensions, &message)?;
    let deadline = call::deadline(&metadata).into_iter().chain(ends).min();
    let found = texts::check(method.name(), &message);
    let asked = texts::refuse_at_once(found, || asked(&message)).map_err(status)?;
    // First: callers that get none must cost the database nothing, however many they are.
    let place = watchers.place(&caller).map_err(call::fail)?;
    let proof = extensions.get::<Proof>().copied();
    let programme = asked.programme.clone();
    let (sender, receiver) = mpsc::channel(BUFFER);
    let (ending, ended) = oneshot::channel();
    let work = async move {
        match call::within(deadline, watchers.watch(&caller, asked, sender)).await {
            Ok(()) => {}
            Err(AppError::DeadlinePassed) if deadline == ends => {
                call_span::not_done(&"the caller's proof has ended");
                let _ = ending.send(Err(auth::proof_expired_status(proof)));
            }
            Err(error) => {
                // It may have gone meanwhile.
                let _ = ending.send(Err(call::fail(error)));
            }
        }
    };
    drop(tokio::spawn(work.in_current_span()));
    let told = ReceiverStream::new(receiver).map(move |it| Ok(shown(&programme, it)));
    let stream: Stream = Box::pin(told.chain(once(ended).filter_map(std::result::Result::ok)));
    let mut response = Response::new(stream);
    response.extensions_mut().insert(HeldByResponse::new(place));
    Ok(response)
}

fn asked(message: &WatchOffersRequest) -> Result<WatchRequest> {
    let mut fields = Fields::default();
    let programme = fields.programme(&message.programme);
    if message.regions.len() > MOST || message.states.len() > MOST {
        fields.wrong("regions", format!("must have at most {MOST} regions and {MOST} states"));
    }
    let regions = message.regions.iter().enumerate().take(MOST);
    let regions = regions.filter_map(|(at, it)| fields.parse(&format!("regions[{at}]"), it)).collect();
    let states = message.states.iter().enumerate().take(MOST);
    let states =
        states.filter_map(|(at, it)| fields.choice(&format!("states[{at}]"), conversion::state_from(*it))).collect();
    let start = match &message.start {
        None => Some(Start::Snapshot),
        Some(Given::AfterSequence(after)) if *after >= 0 => Some(Start::After(Seq(*after))),
        Some(Given::AfterSequence(_)) => {
            fields.wrong("after_sequence", "is the number of an event, or 0");
            None
        }
        Some(Given::ResumeToken(text)) => match (position(text), &programme) {
            (Some((of, position)), Some(programme)) if of == *programme => Some(Start::Resume(position)),
            (Some((of, _)), Some(_)) => {
                fields.wrong("resume_token", format!("is of programme {of}"));
                None
            }
            (Some(_), None) => None,
            (None, _) => {
                fields.wrong("resume_token", "is not a resume token");
                None
            }
        },
    };
    fields.done(programme.zip(start).map(|(programme, start)| WatchRequest { programme, regions, states, start }))
}

/// A change, encoded once for all watchers.
fn change(recorded: &Recorded, offer: &Offer) -> WatchOffersResponse {
    let position = RecordPosition { seq: recorded.event.seq, hash: recorded.hash };
    let change =
        OfferChange { event: Some(conversion::offer_event(recorded, None)), offer: Some(conversion::offer(offer)) };
    at(&offer.programme, position, Shown::Change(change))
}

fn shown(programme: &Programme, told: WatchMessage<WatchOffersResponse>) -> WatchOffersResponse {
    match told {
        WatchMessage::Offer(offer) => {
            let told = Some(Shown::Offer(conversion::offer(&offer)));
            WatchOffersResponse { told, ..WatchOffersResponse::default() }
        }
        WatchMessage::SnapshotEnd(position) => at(programme, position, Shown::SnapshotEnd(WatchSnapshotEnd {})),
        WatchMessage::Change(change) => (*change).clone(),
        WatchMessage::Gone(offer, position) => {
            at(programme, position, Shown::Gone(OfferGone { offer: offer.to_string() }))
        }
        WatchMessage::Checkpoint(position) => at(programme, position, Shown::Checkpoint(WatchCheckpoint {})),
    }
}

/// A message that ends a place.
fn at(programme: &Programme, position: RecordPosition, told: Shown) -> WatchOffersResponse {
    WatchOffersResponse { told: Some(told), sequence: position.seq.0, resume_token: token(programme, position) }
}

/// A place as a token: of which programme, which event, and of which history.
fn token(programme: &Programme, position: RecordPosition) -> String {
    format!("{programme}.{}.{}", position.seq, position.hash)
}

fn position(token: &str) -> Option<(Programme, RecordPosition)> {
    let mut parts = token.splitn(3, '.');
    let (programme, seq, hash) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
    let seq = seq.parse().ok().filter(|it: &i64| *it >= 0 && it.to_string() == seq)?;
    Some((programme, RecordPosition { seq: Seq(seq), hash }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{AppError, Violation};
    use crate::domain::event::Hash;

    #[test]
    fn a_token_is_of_one_place_of_one_book() {
        let place = RecordPosition { seq: Seq(1_207), hash: Hash([0xab; 32]) };
        let programme_name: Programme = "2021-22".parse().unwrap();
        let token = token(&programme_name, place);
        assert_eq!(position(&token), Some((programme_name, place)));
        let hash = "ab".repeat(32);
        let bad = ["", "x", "2021-22.7", "2021-22.-7.", &token[..token.len() - 1]].map(ToOwned::to_owned);
        let worse = [format!("2021-22.07.{hash}"), format!("2021-22.-7.{hash}"), format!("2021-22.7.{hash}.7")];
        for bad in bad.into_iter().chain(worse) {
            assert_eq!(position(&bad), None, "{bad}");
        }
    }

    #[test]
    fn everything_wrong_with_a_request_is_named() {
        let message = WatchOffersRequest {
            programme: "2021-22".to_owned(),
            regions: vec!["West Midlands".to_owned(), "Mercia".to_owned()],
            states: vec![0, 1, 99],
            start: Some(Given::AfterSequence(-1)),
        };
        let Err(AppError::Invalid(violations)) = asked(&message) else { panic!("nothing found") };
        let named: Vec<&str> = violations.iter().map(|it: &Violation| it.field.as_str()).collect();
        assert_eq!(named, ["regions[1]", "states[0]", "states[2]", "after_sequence"]);
    }
}
