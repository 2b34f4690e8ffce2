//! Runs the commands that change one offer. Each takes the offer and an optional etag, and prints the offer in its new state.

use prost::{Message, Name};

use super::args::ChangeCommand;
use crate::cli::errors::Failure;
use crate::cli::json;
use crate::cli::output::{self, parts};
use crate::cli::session::Session;
use crate::cli::view::{awards, offers};
use crate::proto::{
    AcceptOfferRequest, AssignOfferRequest, ChangeOfferRegionRequest, CloseOfferRequest, CorrectContactRequest,
    CorrectOfferDateRequest, DeclineOfferRequest, NoteOfferRequest, Offer, ReleasedAward, ReopenOfferRequest,
    StartOfferRequest, Warning,
};

/// Runs a command that changes one offer, and prints the offer in its new state.
pub(super) async fn run(command: ChangeCommand, session: &Session<'_>) -> Result<(), Failure> {
    let mut offers = session.services.offers();
    let request_id = session.request_id();
    let validate_only = false;
    match command {
        ChangeCommand::Correct { which, contact, note } => {
            let ((offer, etag), note) = (which.parts(), note.text());
            let request = CorrectContactRequest { request_id, offer, contact, note, etag, validate_only };
            let answer = offers.correct_contact(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&[], &[]))
        }
        ChangeCommand::CorrectDate { which, milestone, on: date, reason } => {
            let ((offer, etag), milestone) = (which.parts(), milestone.into());
            let request = CorrectOfferDateRequest { request_id, offer, milestone, date, reason, etag, validate_only };
            let answer = offers.correct_offer_date(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&answer.warnings, &[]))
        }
        ChangeCommand::Accept { which, by, on, note } => {
            let ((offer, etag), date, note, acceptor) = (which.parts(), on.date(), note.text(), by.into());
            let request = AcceptOfferRequest { request_id, offer, acceptor, date, note, etag, validate_only };
            let answer = offers.accept_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&answer.warnings, &[]))
        }
        ChangeCommand::Decline { which, reason, on, note } => {
            let ((offer, etag), date, note, reason) = (which.parts(), on.date(), note.text(), reason.into());
            let request = DeclineOfferRequest { request_id, offer, reason, date, note, etag, validate_only };
            let answer = offers.decline_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&answer.warnings, &answer.released))
        }
        ChangeCommand::Start { which, on } => {
            let ((offer, etag), date) = (which.parts(), on.date());
            let request = StartOfferRequest { request_id, offer, date, etag, validate_only };
            let answer = offers.start_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&answer.warnings, &[]))
        }
        ChangeCommand::Close { which, outcome, on, note } => {
            let ((offer, etag), date, note, outcome) = (which.parts(), on.date(), note.text(), outcome.into());
            let request = CloseOfferRequest { request_id, offer, outcome, date, note, etag, validate_only };
            let answer = offers.close_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&answer.warnings, &answer.released))
        }
        ChangeCommand::Reopen { which, reason } => {
            let (offer, etag) = which.parts();
            let request = ReopenOfferRequest { request_id, offer, reason, etag, ..Default::default() };
            let answer = offers.reopen_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&[], &[]))
        }
        ChangeCommand::Assign { which, to } => {
            let ((offer, etag), assignee) = (which.parts(), if to == "-" { String::new() } else { to });
            let request = AssignOfferRequest { request_id, offer, assignee, etag, validate_only };
            let answer = offers.assign_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&[], &[]))
        }
        ChangeCommand::Note { which, text } => {
            let (offer, etag) = which.parts();
            let request = NoteOfferRequest { request_id, offer, text, etag, ..Default::default() };
            let answer = offers.note_offer(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&[], &[]))
        }
        ChangeCommand::Region { which, to } => {
            let ((offer, etag), region) = (which.parts(), to);
            let request = ChangeOfferRegionRequest { request_id, offer, region, etag, validate_only };
            let answer = offers.change_offer_region(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.offer.as_ref(), (&[], &[]))
        }
    }
}

/// Prints the warnings of a command on stderr, the offer in its new state, and the amounts that closing the offer released.
fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    offer: Option<&Offer>,
    (warnings, released): (&[Warning], &[ReleasedAward]),
) -> Result<(), Failure> {
    warn(warnings);
    let text = || parts(offer.map(offers::with_schools).into_iter().chain([awards::released(released)]));
    session.print(|| json::changed(answer), text)
}

/// Prints warnings on stderr.
pub(in crate::cli) fn warn(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| output::remark(&format!("warning: {} ({})", warning.message, warning.code)));
}
