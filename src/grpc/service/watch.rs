//! Handles `WatchOffers`: a stream of changes that lasts until the client or the server ends it.
//!
//! Each change is converted to its message once per process, and copied for each watcher. The final status has its own
//! channel, so a watcher with a full buffer still gets it, after the buffered messages. The slot of a watch is held until
//! the response has been sent, because unsent messages use memory.

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
use crate::grpc::message::encoded::EncodedMessage;
use crate::grpc::message::fields::Fields;
use crate::grpc::message::texts;
use crate::grpc::telemetry::call_span;
use crate::grpc::transport::delivery::HeldByResponse;
use crate::proto::watch_offers_request::Start as ProtoStart;
use crate::proto::watch_offers_response::Update;
use crate::proto::{
    OfferChange, OfferGone, WatchCheckpoint, WatchOffersRequest, WatchOffersResponse, WatchSnapshotEnd,
};

/// The most buffered messages of a slow watcher, in addition to those in its connection.
const BUFFERED_MESSAGES: usize = 32;
/// The most regions and the most states in a request. There are eight regions and five states.
const MAX_NAMES: usize = 16;

/// All open watches.
pub(in crate::grpc) type Watchers = Watches<EncodedMessage>;

/// The response stream of one watch.
pub(in crate::grpc) type Stream =
    Pin<Box<dyn tokio_stream::Stream<Item = std::result::Result<EncodedMessage, Status>> + Send>>;

/// Makes the set of open watches, which is empty. `per_caller` limits the watches of one caller.
pub(in crate::grpc) fn new_watchers(app: App, per_caller: Option<NonZeroUsize>) -> Watchers {
    Watches::new(app, change_message, WatchLimits { per_caller, ..WatchLimits::default() })
}

/// Starts a watch, which lasts until the client disconnects, the deadline of the request or the proof of the caller's
/// identity expires, or [`Watches::watch`] ends the watch. Returns the response stream.
///
/// # Errors
/// The status of a caller without a role, of wrong fields, or of too many watches.
pub(in crate::grpc) fn watch(
    watchers: Watchers,
    request: Request<WatchOffersRequest>,
) -> std::result::Result<Response<Stream>, Status> {
    let (metadata, extensions, message) = request.into_parts();
    let Authenticated { caller, deadline: expiry, .. } = auth::authenticated_caller(&extensions)?.clone();
    let method = Method::from_extensions(&extensions)?;
    call::check_allowed(method, &caller, &extensions, &message)?;
    let deadline = call::deadline(&metadata).into_iter().chain(expiry).min();
    let violations = texts::check(method.name(), &message);
    let watch_request = texts::check_and_refuse(violations, || read_request(&message)).map_err(call::fail)?;
    // Take the slot first: a request that gets no slot must not cost a database query.
    let slot = watchers.take_slot(&caller).map_err(call::fail)?;
    let proof = extensions.get::<Proof>().copied();
    let programme = watch_request.programme.clone();
    let (sender, receiver) = mpsc::channel(BUFFERED_MESSAGES);
    let (end_sender, end_receiver) = oneshot::channel();
    let work = async move {
        match call::within(deadline, watchers.watch(&caller, watch_request, sender)).await {
            Ok(()) => {}
            Err(AppError::DeadlinePassed) if deadline == expiry => {
                call_span::record_failure(&"the caller's proof has ended");
                let _ = end_sender.send(Err(auth::proof_expired_status(proof)));
            }
            Err(error) => {
                // The send fails if the client has disconnected.
                let _ = end_sender.send(Err(call::fail(error)));
            }
        }
    };
    drop(tokio::spawn(work.in_current_span()));
    let messages = ReceiverStream::new(receiver).map(move |it| Ok(response(&programme, it)));
    let stream: Stream = Box::pin(messages.chain(once(end_receiver).filter_map(std::result::Result::ok)));
    let mut response = Response::new(stream);
    response.extensions_mut().insert(HeldByResponse::new(slot));
    Ok(response)
}

fn read_request(message: &WatchOffersRequest) -> Result<WatchRequest> {
    let mut fields = Fields::default();
    let programme = fields.programme(&message.programme);
    for (field, count) in [("regions", message.regions.len()), ("states", message.states.len())] {
        if count > MAX_NAMES {
            fields.add_violation(field, format!("must have at most {MAX_NAMES} {field}, got {count}"));
        }
    }
    let regions = message.regions.iter().enumerate().take(MAX_NAMES);
    let regions = regions.filter_map(|(index, it)| fields.parse(&format!("regions[{index}]"), it)).collect();
    let states = message.states.iter().enumerate().take(MAX_NAMES);
    let states = states
        .filter_map(|(index, it)| fields.choice(&format!("states[{index}]"), conversion::state_from(*it)))
        .collect();
    let start = match &message.start {
        None => Some(Start::Snapshot),
        Some(ProtoStart::AfterSequence(after)) if *after >= 0 => Some(Start::After(Seq(*after))),
        Some(ProtoStart::AfterSequence(_)) => {
            fields.add_violation("after_sequence", "is the number of an event, or 0");
            None
        }
        Some(ProtoStart::ResumeToken(text)) => match (parse_token(text), &programme) {
            (Some((token_programme, position)), Some(programme)) if token_programme == *programme => {
                Some(Start::Resume(position))
            }
            (Some((token_programme, _)), Some(_)) => {
                fields.add_violation("resume_token", format!("is of programme {token_programme}"));
                None
            }
            (Some(_), None) => None,
            (None, _) => {
                fields.add_violation("resume_token", "is not a resume token");
                None
            }
        },
    };
    fields.done(programme.zip(start).map(|(programme, start)| WatchRequest { programme, regions, states, start }))
}

/// Makes the message of a change. This is done once for all watchers.
fn change_message(recorded: &Recorded, offer: &Offer) -> EncodedMessage {
    let position = RecordPosition { seq: recorded.event.seq, hash: recorded.hash };
    let change =
        OfferChange { event: Some(conversion::offer_event(recorded, None)), offer: Some(conversion::offer(offer)) };
    response_at(&offer.programme, position, Update::Change(change))
}

fn response(programme: &Programme, message: WatchMessage<EncodedMessage>) -> EncodedMessage {
    match message {
        WatchMessage::Offer(offer) => {
            let offer = Update::Offer(conversion::offer(&offer));
            EncodedMessage::of(&WatchOffersResponse { update: Some(offer), ..WatchOffersResponse::default() })
        }
        WatchMessage::SnapshotEnd(position) => {
            response_at(programme, position, Update::SnapshotEnd(WatchSnapshotEnd {}))
        }
        WatchMessage::Change(change) => change,
        WatchMessage::Gone(offer, position) => {
            response_at(programme, position, Update::Gone(OfferGone { offer: offer.to_string() }))
        }
        WatchMessage::Checkpoint(position) => response_at(programme, position, Update::Checkpoint(WatchCheckpoint {})),
    }
}

/// Makes a response with a position of the record, from which the client can resume.
fn response_at(programme: &Programme, position: RecordPosition, update: Update) -> EncodedMessage {
    EncodedMessage::of(&WatchOffersResponse {
        update: Some(update),
        sequence: position.seq.0,
        resume_token: make_token(programme, position),
    })
}

/// Encodes a position as a token: the programme, the number of the event, and its hash, which identifies the history.
fn make_token(programme: &Programme, position: RecordPosition) -> String {
    format!("{programme}.{}.{}", position.seq, position.hash)
}

/// Parses a token; `None` if the text is not a token.
fn parse_token(token: &str) -> Option<(Programme, RecordPosition)> {
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
    fn a_token_names_one_position_of_one_programme() {
        let expected = RecordPosition { seq: Seq(1_207), hash: Hash([0xab; 32]) };
        let programme_name: Programme = "2021-22".parse().unwrap();
        let token = make_token(&programme_name, expected);
        assert_eq!(parse_token(&token), Some((programme_name, expected)));
        let hash = "ab".repeat(32);
        let malformed = ["", "x", "2021-22.7", "2021-22.-7.", &token[..token.len() - 1]].map(ToOwned::to_owned);
        let almost_valid = [format!("2021-22.07.{hash}"), format!("2021-22.-7.{hash}"), format!("2021-22.7.{hash}.7")];
        for bad in malformed.into_iter().chain(almost_valid) {
            assert_eq!(parse_token(&bad), None, "{bad}");
        }
    }

    #[test]
    fn all_wrong_fields_of_a_request_are_reported_together() {
        let message = WatchOffersRequest {
            programme: "2021-22".to_owned(),
            regions: vec!["West Midlands".to_owned(), "Mercia".to_owned()],
            states: vec![0, 1, 99],
            start: Some(ProtoStart::AfterSequence(-1)),
        };
        let Err(AppError::Invalid(violations)) = read_request(&message) else { panic!("the request was accepted") };
        let wrong_fields: Vec<&str> = violations.iter().map(|it: &Violation| it.field.as_str()).collect();
        assert_eq!(wrong_fields, ["regions[1]", "states[0]", "states[2]", "after_sequence"]);

        let states = vec![1; MAX_NAMES + 1];
        let message = WatchOffersRequest { programme: "2021-22".to_owned(), states, ..WatchOffersRequest::default() };
        let Err(AppError::Invalid(violations)) = read_request(&message) else { panic!("the request was accepted") };
        assert_eq!(violations, [Violation::new("states", "must have at most 16 states, got 17")]);
    }
}
