//! `tsio offers watch`: one line a message, and on from where it came to when the stream breaks.

use serde::Serialize;
use tonic::Status;

use super::args::WatchArgs;
use super::record::EventView;
use crate::cli::errors::Failure;
use crate::cli::output::{self, Output};
use crate::cli::session::Session;
use crate::cli::view::offers::OfferDetail;
use crate::proto::watch_offers_request::Start;
use crate::proto::watch_offers_response::Told;
use crate::proto::{WatchOffersRequest, WatchOffersResponse};

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
        output::one_line(format!("{sequence:>8}  {event:<18} {offer}").trim_end()).into_owned()
    }
}

pub(super) async fn run(args: WatchArgs, session: &Session<'_>) -> Result<(), Failure> {
    let start = args.resume.map(Start::ResumeToken).or(args.after.map(Start::AfterSequence));
    let states = args.states.into_iter().map(Into::into).collect();
    let request = WatchOffersRequest { programme: args.programme, regions: args.regions, states, start };
    let going_on = |broken: &Status| output::remark(&format!("{}; going on", broken.message()));
    let mut watch = session.client().watch(request).telling(going_on);
    loop {
        let message = watch.next().await?;
        let done = args.once && matches!(message.told, Some(Told::Checkpoint(_)));
        let line = WatchedView::from(message).line(session.output());
        if !output::part(&format!("{line}\n"))? || done {
            return Ok(());
        }
    }
}
