//! The life of an offer as one table: which command is allowed in which state, and where it leads.
//!
//! The diagram in the documents is generated from [`TABLE`] by a test, so the two cannot differ. What else a command
//! needs (contacts, awards, dates) is in [`super::decide`].

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::ids::OfferId;
use crate::refusal::{Limit, LimitKind, Reason, Refusal};
use crate::values::named_enum;

named_enum! {
    /// Where an offer is in its life.
    State {
        /// Eligible and an offer made; nobody told yet.
        Identified = "identified",
        /// The responsible body has been told.
        Contacted = "contacted",
        /// The school or trust has accepted.
        Accepted = "accepted",
        /// Support is being given.
        Delivering = "delivering",
        /// Ended, with an outcome.
        Closed = "closed",
    }
}

named_enum! {
    /// What can be done to an offer that exists.
    OfferAction {
        /// Record a contact.
        Contact = "contact",
        /// Take a mistaken contact back.
        Correct = "correct",
        /// Accept.
        Accept = "accept",
        /// Decline: closes.
        Decline = "decline",
        /// Award support.
        Award = "award",
        /// Give back what of an award is not used.
        Release = "release",
        /// Book days of an award, or cancel a booking.
        Book = "book",
        /// Start delivery.
        Start = "start",
        /// Draw on an award.
        Draw = "draw",
        /// Refund what was drawn.
        Refund = "refund",
        /// Undo a draw or a release; a refund is undone wherever it may be made.
        Undo = "undo",
        /// Correct the day of the acceptance or of the start.
        CorrectDate = "correct_date",
        /// Close as completed.
        Complete = "complete",
        /// Close with another outcome.
        Close = "close",
        /// Reopen.
        Reopen = "reopen",
        /// Add newly eligible schools.
        AddSchools = "add_schools",
        /// Assign, note, change the region.
        Keep = "keep",
    }
}

/// Where a command leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The state stays.
    Same,
    /// This state.
    State(State),
    /// Contacted, if it was identified; otherwise the state stays.
    AtLeastContacted,
    /// Back to identified, if no contact is left standing.
    IdentifiedIfNoContact,
    /// The state before it was closed.
    BeforeClose,
}

use State::{Accepted, Closed, Contacted, Delivering, Identified};

const OPEN: &[State] = &[Identified, Contacted, Accepted, Delivering];

/// The table (`domain.md` section 4): command, the states it is allowed in, where it leads.
pub const TABLE: &[(OfferAction, &[State], To)] = &[
    (OfferAction::Contact, OPEN, To::AtLeastContacted),
    (OfferAction::Correct, &[Contacted, Accepted, Delivering], To::IdentifiedIfNoContact),
    (OfferAction::Accept, &[Contacted], To::State(Accepted)),
    (OfferAction::Decline, &[Identified, Contacted, Accepted], To::State(Closed)),
    (OfferAction::Award, &[Accepted, Delivering], To::Same),
    (OfferAction::Release, &[Accepted, Delivering], To::Same),
    (OfferAction::Book, &[Accepted, Delivering], To::Same),
    (OfferAction::Start, &[Accepted], To::State(Delivering)),
    (OfferAction::Draw, &[Delivering], To::Same),
    (OfferAction::Refund, State::ALL, To::Same),
    (OfferAction::Undo, &[Accepted, Delivering], To::Same),
    (OfferAction::CorrectDate, &[Accepted, Delivering], To::Same),
    (OfferAction::Complete, &[Delivering], To::State(Closed)),
    (OfferAction::Close, OPEN, To::State(Closed)),
    (OfferAction::Reopen, &[Closed], To::BeforeClose),
    (OfferAction::AddSchools, OPEN, To::Same),
    (OfferAction::Keep, State::ALL, To::Same),
];

fn row(verb: OfferAction) -> (&'static [State], To) {
    TABLE.iter().find(|(it, _, _)| *it == verb).map_or((&[], To::Same), |(_, from, to)| (from, *to))
}

/// The states a command is allowed in.
#[must_use]
pub fn allowed_in(verb: OfferAction) -> &'static [State] {
    row(verb).0
}

/// The states a command can lead to from one it is allowed in; empty where it is not allowed.
#[must_use]
pub fn leads_to(verb: OfferAction, from: State) -> Vec<State> {
    let (allowed, to) = row(verb);
    if !allowed.contains(&from) {
        return Vec::new();
    }
    match to {
        To::Same => vec![from],
        To::State(state) => vec![state],
        To::AtLeastContacted if from == Identified => vec![Contacted],
        To::AtLeastContacted => vec![from],
        To::IdentifiedIfNoContact if from == Contacted => vec![Contacted, Identified],
        To::IdentifiedIfNoContact => vec![from],
        To::BeforeClose => OPEN.to_vec(),
    }
}

/// Refuses a command that the table does not allow in this state, saying where it is allowed.
///
/// # Errors
/// [`Reason::StateNotAllowed`].
pub fn check(verb: OfferAction, state: State, offer: OfferId) -> Result<(), Refusal> {
    let allowed = allowed_in(verb);
    if allowed.contains(&state) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|it| it.name()).collect();
    let names = names.join(", ");
    Err(Refusal::of(
        Reason::StateNotAllowed,
        format!("{verb} is not allowed while the offer is {state}; it is allowed in: {names}"),
        Limit::plain(LimitKind::State, offer, format!("bring the offer into one of: {names}")),
    ))
}

/// The table as a Mermaid state diagram, for the documents.
#[must_use]
pub fn diagram() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> identified: identify\n");
    for (verb, from, _) in TABLE {
        if *verb == OfferAction::Reopen {
            let _ = writeln!(out, "    closed --> before_close: reopen");
            continue;
        }
        for state in *from {
            for to in leads_to(*verb, *state) {
                if to != *state {
                    let _ = writeln!(out, "    {state} --> {to}: {verb}");
                }
            }
        }
    }
    out.push_str("    before_close: (the state before)\n    closed --> [*]\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: OfferId = OfferId(uuid::Uuid::nil());

    #[test]
    fn every_command_has_one_row() {
        for verb in OfferAction::ALL {
            assert_eq!(TABLE.iter().filter(|(it, _, _)| it == verb).count(), 1, "{verb}");
        }
    }

    /// `domain.md` section 4, written out again by hand: i c a d x are the five states.
    #[test]
    fn commands_are_allowed_where_the_scheme_says() {
        let rows = [
            (OfferAction::Contact, "icad."),
            (OfferAction::Correct, ".cad."),
            (OfferAction::Accept, ".c..."),
            (OfferAction::Decline, "ica.."),
            (OfferAction::Award, "..ad."),
            (OfferAction::Release, "..ad."),
            (OfferAction::Book, "..ad."),
            (OfferAction::Start, "..a.."),
            (OfferAction::Draw, "...d."),
            (OfferAction::Refund, "icadx"),
            (OfferAction::Undo, "..ad."),
            (OfferAction::CorrectDate, "..ad."),
            (OfferAction::Complete, "...d."),
            (OfferAction::Close, "icad."),
            (OfferAction::Reopen, "....x"),
            (OfferAction::AddSchools, "icad."),
            (OfferAction::Keep, "icadx"),
        ];
        assert_eq!(rows.len(), OfferAction::ALL.len());
        for (verb, marks) in rows {
            for (state, mark) in State::ALL.iter().zip(marks.chars()) {
                assert_eq!(allowed_in(verb).contains(state), mark != '.', "{verb} in {state}");
                assert_eq!(check(verb, *state, OFFER).is_ok(), mark != '.', "{verb} in {state}");
                assert_eq!(leads_to(verb, *state).is_empty(), mark == '.', "{verb} in {state}");
            }
        }
    }

    #[test]
    fn a_refusal_says_where_it_would_be_allowed() {
        let refusal = check(OfferAction::Accept, State::Identified, OFFER).unwrap_err();
        assert_eq!(refusal.reason, Reason::StateNotAllowed);
        assert_eq!(refusal.limits.len(), 1);
        assert!(refusal.message.contains("contacted"), "{}", refusal.message);
    }
}
