//! Decides each command on an offer: returns a new event, or a refusal with every limit that prevents it.
//!
//! The functions are pure. Each checks the state with [`super::lifecycle`], and the other limits even if the state is
//! refused. Only [`Offer::correct`] stops at the first limit that prevents it.

use super::lifecycle::{OfferAction, State, check};
use super::{Acceptor, Contact, DeclineReason, Offer, Outcome, Party, Recipient};
use crate::Date;
use crate::event::{EventBody, NewEvent, Seq};
use crate::ids::{ApprovalId, OfferId, Urn};
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};

/// The totals over an offer's awards that the commands on the offer need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AwardTotals {
    /// The number of awards that are not settled: some of their amount is committed.
    pub unsettled: usize,
    /// Whether an amount was drawn and not refunded.
    pub drawn: bool,
}

/// The result of one command on one offer.
pub type OfferDecision = Result<NewEvent, Refusal>;

impl Offer {
    /// Records a contact. A contact with a school needs a contact with the responsible body that is dated no later
    /// (`domain.md` section 3). On a trust's offer, a contact with a school must name that school.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::SchoolNotOnOffer`], [`Reason::ContactMissing`].
    pub fn contact(&self, party: Party, urn: Option<Urn>, on: Date) -> OfferDecision {
        let state = check(OfferAction::Contact, self.state, self.id).err();
        let urn = match party {
            Party::ResponsibleBody => None,
            Party::School => Some(self.school_contacted(urn)),
        };
        let body_contact_missing = (party == Party::School && !self.responsible_body_contacted_by(on)).then(|| {
            let remedy = format!("record the contact with {} first, dated {on} or earlier", self.responsible);
            self.contact_missing_refusal(&remedy)
        });
        let wrong_school = urn.as_ref().and_then(|urn| urn.as_ref().err().cloned());
        Refusal::join([state, wrong_school, body_contact_missing].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Contacted { party, urn: urn.and_then(Result::ok) }))
    }

    /// Marks a contact as a mistake. The other contacts must still be enough. Each contact with a
    /// school needs a contact with the responsible body that is dated no later. The acceptance needs a contact with the
    /// body that accepted.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::ContactNotCorrectable`].
    pub fn correct(&self, contact: Seq, today: Date) -> OfferDecision {
        check(OfferAction::Correct, self.state, self.id)?;
        let refuse = |message: String, remedy: &str| {
            let limit = Limit::plain(LimitKind::Contact, LimitSubject::Contact { offer: self.id, contact }, remedy);
            Err(Refusal::of(Reason::ContactNotCorrectable, message, limit))
        };
        if !self.standing_contacts().any(|it| it.seq == contact) {
            return refuse(
                format!("contact {contact} is not a standing contact of this offer"),
                "name a contact that is on record and not corrected yet",
            );
        }
        let remaining: Vec<Contact> = self.standing_contacts().copied().filter(|it| it.seq != contact).collect();
        let has_body_contact =
            |school_contact: &Contact| remaining.iter().any(|it| is_body_contact_no_later_than(it, school_contact));
        if let Some(school_contact) = remaining.iter().find(|it| it.party == Party::School && !has_body_contact(it)) {
            return refuse(
                format!("contact {} with the school depends on contact {contact}", school_contact.seq),
                "correct the school's contact first, or record the right one with the responsible body",
            );
        }
        let accepted = self.accepted.filter(|_| self.state != State::Contacted);
        if let Some(accepted) = accepted
            && !remaining.iter().any(|it| it.party == party_of_acceptor(accepted.by) && it.on <= accepted.on)
        {
            return refuse(
                format!("the acceptance of {} depends on contact {contact}", accepted.on),
                "record the right contact first, dated no later than the acceptance",
            );
        }
        Ok(NewEvent::of(self.id, today, EventBody::ContactCorrected { contact }))
    }

    /// Accepts the offer. A trust accepts the offer that is made to it. A standalone offer is accepted by the school,
    /// or by the trust that the school is in. The acceptance needs a contact with the accepting body on the same day or
    /// earlier.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AcceptorNotAllowed`], [`Reason::ContactMissing`].
    pub fn accept(&self, by: Acceptor, on: Date) -> OfferDecision {
        let state = check(OfferAction::Accept, self.state, self.id).err();
        let wrong_acceptor = match (self.recipient, by) {
            (Recipient::Mat(_), Acceptor::School) => Some("an offer to a trust is accepted by the trust"),
            (Recipient::Standalone(_), Acceptor::Trust) if self.trust.is_none() => {
                Some("this school is in no trust: the school accepts")
            }
            _ => None,
        };
        let wrong_acceptor = wrong_acceptor.map(|explanation| {
            let limit = Limit::plain(LimitKind::Recipient, self.id, explanation);
            Refusal::of(Reason::AcceptorNotAllowed, explanation, limit)
        });
        // If this body may not accept, the refusal does not also ask for a contact with it.
        let contact_missing =
            if wrong_acceptor.is_some() { None } else { self.refusal_if_acceptor_not_contacted(by, on) };
        Refusal::join([state, wrong_acceptor, contact_missing].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Accepted { by }))
    }

    /// Returns a refusal if there is no contact with the accepting body on the day `on` or earlier. Otherwise returns
    /// `None`.
    pub(crate) fn refusal_if_acceptor_not_contacted(&self, by: Acceptor, on: Date) -> Option<Refusal> {
        let contacted = self.standing_contacts().any(|it| it.party == party_of_acceptor(by) && it.on <= on);
        (!contacted).then(|| {
            self.contact_missing_refusal(&format!("record the contact with the {by} first, dated {on} or earlier"))
        })
    }

    /// Closes the offer with the outcome `declined`. Every amount that was drawn must have been refunded.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AlreadyDrawn`].
    pub fn decline(&self, reason: DeclineReason, awards: AwardTotals, on: Date) -> OfferDecision {
        let state = check(OfferAction::Decline, self.state, self.id).err();
        Refusal::join([state, self.refusal_if_drawn(awards)].into_iter().flatten())?;
        Ok(self.closed_as_declined(reason, on))
    }

    fn closed_as_declined(&self, reason: DeclineReason, on: Date) -> NewEvent {
        let mut event =
            NewEvent::of(self.id, on, EventBody::Closed { outcome: Outcome::Declined, released: Vec::new() });
        event.reason_code = Some(reason.name());
        event
    }

    fn refusal_if_drawn(&self, awards: AwardTotals) -> Option<Refusal> {
        awards.drawn.then(|| {
            let remedy = "refund what was drawn, or close it with another outcome";
            let limit = Limit::plain(LimitKind::Award, self.id, remedy);
            Refusal::of(Reason::AlreadyDrawn, "an offer that has been drawn on cannot be declined", limit)
        })
    }

    /// Starts delivery. The offer needs an award that is not settled.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AwardMissing`].
    pub fn start(&self, awards: AwardTotals, on: Date) -> OfferDecision {
        let state = check(OfferAction::Start, self.state, self.id).err();
        let award_missing = (awards.unsettled == 0).then(|| {
            let limit = Limit::plain(LimitKind::Award, self.id, "award support first");
            let message = "delivery needs an award that is not yet settled, and this offer has none";
            Refusal::of(Reason::AwardMissing, message, limit)
        });
        Refusal::join([state, award_missing].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Started {}))
    }

    /// Closes the offer with an outcome: `completed` only while delivering, `lapsed` only after the end of the
    /// programme. `declined` is allowed only if every amount that was drawn has been refunded; its recorded reason is
    /// `other`.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AlreadyDrawn`], [`Reason::ProgrammeNotEnded`].
    pub fn close(&self, outcome: Outcome, awards: AwardTotals, on: Date, programme_ends: Date) -> OfferDecision {
        let action = if outcome == Outcome::Completed { OfferAction::Complete } else { OfferAction::Close };
        let state = check(action, self.state, self.id).err();
        let wrong_outcome = match outcome {
            Outcome::Declined => self.refusal_if_drawn(awards),
            Outcome::Lapsed => self.refusal_if_not_ended(on, programme_ends),
            Outcome::Completed | Outcome::Withdrawn | Outcome::Ineligible | Outcome::Superseded => None,
        };
        Refusal::join([state, wrong_outcome].into_iter().flatten())?;
        Ok(match outcome {
            Outcome::Declined => self.closed_as_declined(DeclineReason::Other, on),
            _ => NewEvent::of(self.id, on, EventBody::Closed { outcome, released: Vec::new() }),
        })
    }

    fn refusal_if_not_ended(&self, on: Date, programme_ends: Date) -> Option<Refusal> {
        (on <= programme_ends).then(|| {
            let remedy = format!("wait for the programme to end on {programme_ends}, or choose another outcome");
            let limit = Limit::plain(LimitKind::Period, self.programme.clone(), remedy);
            Refusal::of(Reason::ProgrammeNotEnded, "an offer lapses only once its programme has ended", limit)
        })
    }

    /// Checks that the offer may be reopened: the offer is closed, and none of its schools is on another open offer.
    /// `open_offer_of` returns the open offer that lists a school.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::SchoolOnAnotherOffer`] with one limit for each school that is on another
    /// open offer.
    pub fn may_reopen(&self, open_offer_of: impl Fn(Urn) -> Option<OfferId>) -> Result<(), Refusal> {
        let state = check(OfferAction::Reopen, self.state, self.id).err();
        let other_offer = |urn: &Urn| open_offer_of(*urn).filter(|offer| *offer != self.id);
        let limits: Vec<Limit> = (self.schools.keys())
            .filter_map(|urn| other_offer(urn).map(|offer| (urn, offer)))
            .map(|(urn, offer)| Limit::plain(LimitKind::Recipient, *urn, format!("close offer {offer} first")))
            .collect();
        let on_other_offers = (!limits.is_empty()).then(|| {
            let message = "a school of this offer is on another open offer by now".to_owned();
            Refusal { reason: Reason::SchoolOnAnotherOffer, message, limits, largest: None, approval: None }
        });
        Refusal::join([state, on_other_offers].into_iter().flatten())
    }

    /// Reopens the offer: its state is again the one before it was closed. `approval` is the approval that
    /// allows this.
    ///
    /// # Errors
    /// The errors of [`Offer::may_reopen`].
    pub fn reopen(
        &self,
        approval: ApprovalId,
        today: Date,
        open_offer_of: impl Fn(Urn) -> Option<OfferId>,
    ) -> OfferDecision {
        self.may_reopen(open_offer_of)?;
        Ok(NewEvent::of(self.id, today, EventBody::Reopened { approval }))
    }

    /// Returns the school that was contacted: `urn`, which must be on the offer. A standalone offer has only one
    /// school, so `urn` may be `None` there.
    fn school_contacted(&self, urn: Option<Urn>) -> Result<Urn, Refusal> {
        let urn = match (self.recipient, urn) {
            (Recipient::Standalone(school), None) => Some(school),
            (_, urn) => urn,
        };
        urn.filter(|urn| self.schools.contains_key(urn)).ok_or_else(|| {
            let schools: Vec<String> = self.schools.keys().map(Urn::to_string).collect();
            let remedy = format!("name one of its schools: {}", schools.join(", "));
            let message = match urn {
                Some(urn) => format!("school {urn} is not on this offer"),
                None => "a contact with a school of a trust's offer names the school".to_owned(),
            };
            Refusal::of(Reason::SchoolNotOnOffer, message, Limit::plain(LimitKind::Recipient, self.id, remedy))
        })
    }

    fn responsible_body_contacted_by(&self, on: Date) -> bool {
        self.standing_contacts().any(|it| it.party == Party::ResponsibleBody && it.on <= on)
    }

    fn contact_missing_refusal(&self, remedy: &str) -> Refusal {
        let message = format!("a contact is missing on offer {}: {remedy}", self.id);
        Refusal::of(Reason::ContactMissing, message, Limit::plain(LimitKind::Contact, self.id, remedy))
    }
}

/// Whether `contact` is with the responsible body and dated no later than `school_contact`. It may be recorded after
/// `school_contact`, for example to replace a mistaken contact.
fn is_body_contact_no_later_than(contact: &Contact, school_contact: &Contact) -> bool {
    contact.party == Party::ResponsibleBody && contact.on <= school_contact.on
}

/// The party that must be contacted before `by` accepts.
const fn party_of_acceptor(by: Acceptor) -> Party {
    match by {
        Acceptor::School => Party::School,
        Acceptor::Trust => Party::ResponsibleBody,
    }
}
