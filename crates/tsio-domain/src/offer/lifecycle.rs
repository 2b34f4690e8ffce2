//! Defines the states of an offer, and a table of the actions. The table says in which states an action is allowed, and
//! to which state it leads.
//!
//! The diagram in the documents is generated from [`TABLE`] by a test, so the two cannot differ. The other conditions
//! of a command (contacts, awards, dates) are in [`super::decide`].

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::ids::OfferId;
use crate::refusal::{Limit, LimitKind, Reason, Refusal};
use crate::values::named_enum;

named_enum! {
    /// The state of an offer.
    State {
        /// The offer was made for an eligible recipient. There is no contact yet.
        Identified = "identified",
        /// The responsible body was contacted.
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
    /// An action on an existing offer.
    OfferAction {
        /// Record a contact.
        Contact = "contact",
        /// Correct a mistaken contact.
        Correct = "correct",
        /// Accept.
        Accept = "accept",
        /// Decline, which closes the offer.
        Decline = "decline",
        /// Award support.
        Award = "award",
        /// Release the unused part of an award.
        Release = "release",
        /// Book days of an award, or cancel a booking.
        Book = "book",
        /// Start delivery.
        Start = "start",
        /// Draw on an award.
        Draw = "draw",
        /// Refund an amount that was drawn.
        Refund = "refund",
        /// Undo a draw or a release. To undo a refund, the action `Refund` must be allowed.
        Undo = "undo",
        /// Correct the day of the acceptance or of the start.
        CorrectDate = "correct_date",
        /// Close as completed.
        Complete = "complete",
        /// Close with an outcome other than completed.
        Close = "close",
        /// Reopen.
        Reopen = "reopen",
        /// Add newly eligible schools.
        AddSchools = "add_schools",
        /// Assign the offer, add a note, or change its region.
        Keep = "keep",
    }
}

/// The state that an action leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextState {
    /// The state does not change.
    Same,
    /// This state.
    State(State),
    /// Contacted, if the offer was identified; otherwise the state does not change.
    AtLeastContacted,
    /// Identified, if the offer was contacted and no contact remains; otherwise the state does not change.
    IdentifiedIfNoContact,
    /// The state before the offer was closed.
    BeforeClose,
}

use State::{Accepted, Closed, Contacted, Delivering, Identified};

const OPEN: &[State] = &[Identified, Contacted, Accepted, Delivering];

/// The table (`domain.md` section 4): the action, the states in which it is allowed, and the state to which it leads.
pub const TABLE: &[(OfferAction, &[State], NextState)] = &[
    (OfferAction::Contact, OPEN, NextState::AtLeastContacted),
    (OfferAction::Correct, &[Contacted, Accepted, Delivering], NextState::IdentifiedIfNoContact),
    (OfferAction::Accept, &[Contacted], NextState::State(Accepted)),
    (OfferAction::Decline, &[Identified, Contacted, Accepted], NextState::State(Closed)),
    (OfferAction::Award, &[Accepted, Delivering], NextState::Same),
    (OfferAction::Release, &[Accepted, Delivering], NextState::Same),
    (OfferAction::Book, &[Accepted, Delivering], NextState::Same),
    (OfferAction::Start, &[Accepted], NextState::State(Delivering)),
    (OfferAction::Draw, &[Delivering], NextState::Same),
    (OfferAction::Refund, State::ALL, NextState::Same),
    (OfferAction::Undo, &[Accepted, Delivering], NextState::Same),
    (OfferAction::CorrectDate, &[Accepted, Delivering], NextState::Same),
    (OfferAction::Complete, &[Delivering], NextState::State(Closed)),
    (OfferAction::Close, OPEN, NextState::State(Closed)),
    (OfferAction::Reopen, &[Closed], NextState::BeforeClose),
    (OfferAction::AddSchools, OPEN, NextState::Same),
    (OfferAction::Keep, State::ALL, NextState::Same),
];

/// Returns the states in which an action is allowed, and the state to which it leads.
fn row(action: OfferAction) -> (&'static [State], NextState) {
    TABLE.iter().find(|(it, _, _)| *it == action).map_or((&[], NextState::Same), |(_, from, to)| (from, *to))
}

/// The states in which an action is allowed.
#[must_use]
pub fn allowed_in(action: OfferAction) -> &'static [State] {
    row(action).0
}

/// The states to which an action can lead from the state `from`. Empty if the action is not allowed in `from`.
#[must_use]
pub fn leads_to(action: OfferAction, from: State) -> Vec<State> {
    let (allowed, to) = row(action);
    if !allowed.contains(&from) {
        return Vec::new();
    }
    match to {
        NextState::Same => vec![from],
        NextState::State(state) => vec![state],
        NextState::AtLeastContacted if from == Identified => vec![Contacted],
        NextState::AtLeastContacted => vec![from],
        NextState::IdentifiedIfNoContact if from == Contacted => vec![Contacted, Identified],
        NextState::IdentifiedIfNoContact => vec![from],
        NextState::BeforeClose => OPEN.to_vec(),
    }
}

/// Refuses an action that the table does not allow in this state. The refusal names the states in which it is allowed.
///
/// # Errors
/// [`Reason::StateNotAllowed`].
pub fn check(action: OfferAction, state: State, offer: OfferId) -> Result<(), Refusal> {
    let allowed = allowed_in(action);
    if allowed.contains(&state) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|it| it.name()).collect();
    let names = names.join(", ");
    Err(Refusal::of(
        Reason::StateNotAllowed,
        format!("{action} is not allowed while the offer is {state}; it is allowed in: {names}"),
        Limit::plain(LimitKind::State, offer, format!("bring the offer into one of: {names}")),
    ))
}

/// Returns [`TABLE`] as a Mermaid state diagram, for the documents.
#[must_use]
pub fn diagram() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> identified: identify\n");
    for (action, from, _) in TABLE {
        if *action == OfferAction::Reopen {
            let _ = writeln!(out, "    closed --> before_close: reopen");
            continue;
        }
        for state in *from {
            for to in leads_to(*action, *state) {
                if to != *state {
                    let _ = writeln!(out, "    {state} --> {to}: {action}");
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
    fn every_action_has_one_row() {
        for action in OfferAction::ALL {
            assert_eq!(TABLE.iter().filter(|(it, _, _)| it == action).count(), 1, "{action}");
        }
    }

    /// The table of `domain.md` section 4, written by hand. The columns are the five states: identified, contacted,
    /// accepted, delivering and closed (x). A dot means that the action is not allowed.
    #[test]
    fn actions_are_allowed_in_the_states_of_the_scheme() {
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
        for (action, marks) in rows {
            for (state, mark) in State::ALL.iter().zip(marks.chars()) {
                assert_eq!(allowed_in(action).contains(state), mark != '.', "{action} in {state}");
                assert_eq!(check(action, *state, OFFER).is_ok(), mark != '.', "{action} in {state}");
                assert_eq!(leads_to(action, *state).is_empty(), mark == '.', "{action} in {state}");
            }
        }
    }

    #[test]
    fn a_refusal_names_the_states_in_which_the_action_is_allowed() {
        let refusal = check(OfferAction::Accept, State::Identified, OFFER).unwrap_err();
        assert_eq!(refusal.reason, Reason::StateNotAllowed);
        assert_eq!(refusal.limits.len(), 1);
        assert!(refusal.message.contains("contacted"), "{}", refusal.message);
    }
}
