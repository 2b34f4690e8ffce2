//! What an offer answers to each command: drafts of events, or a refusal with every limit that binds.
//!
//! Pure: the facts come in, the decision goes out. Whether the command is allowed in this state is always asked of
//! [`super::lifecycle`] first; each other limit is named beside it.

use super::lifecycle::{OfferAction, State, check};
use super::{Acceptor, Contact, DeclineReason, Offer, Outcome, Party, Recipient};
use crate::Date;
use crate::event::{EventBody, NewEvent, Seq};
use crate::ids::{ApprovalId, OfferId, Urn};
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};

/// What an offer's awards say, as far as its life asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AwardTotals {
    /// Awards of which something is still committed.
    pub unsettled: usize,
    /// Whether anything was drawn and not refunded.
    pub drawn: bool,
}

/// The result of one command on one offer.
pub type OfferDecision = Result<NewEvent, Refusal>;

impl Offer {
    /// Records a contact. A contact with the school needs one with the responsible body before it, with a date no
    /// later (`domain.md` section 3); on a trust's offer it names the school.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::SchoolNotOnOffer`], [`Reason::ContactMissing`].
    pub fn contact(&self, party: Party, urn: Option<Urn>, on: Date) -> OfferDecision {
        let state = check(OfferAction::Contact, self.state, self.id).err();
        let urn = match party {
            Party::ResponsibleBody => None,
            Party::School => Some(self.school_contacted(urn)),
        };
        let untold = (party == Party::School && !self.responsible_body_told_by(on)).then(|| {
            let remedy = format!("record the contact with {} first, dated {on} or earlier", self.responsible);
            self.contact_missing(&remedy)
        });
        let unnamed = urn.as_ref().and_then(|urn| urn.as_ref().err().cloned());
        Refusal::none_of([state, unnamed, untold].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Contacted { party, urn: urn.and_then(Result::ok) }))
    }

    /// Takes a mistaken contact back by a counter-event. The contacts left standing must still be in order, and the
    /// acceptance must still depend on one.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::ContactNotCorrectable`].
    pub fn correct(&self, contact: Seq, today: Date) -> OfferDecision {
        check(OfferAction::Correct, self.state, self.id)?;
        let refuse = |why: String, remedy: &str| {
            let limit = Limit::plain(LimitKind::Contact, LimitSubject::Contact { offer: self.id, contact }, remedy);
            Err(Refusal::of(Reason::ContactNotCorrectable, why, limit))
        };
        if !self.standing_contacts().any(|it| it.seq == contact) {
            return refuse(
                format!("contact {contact} is not a standing contact of this offer"),
                "name a contact that is on record and not corrected yet",
            );
        }
        let left: Vec<Contact> = self.standing_contacts().copied().filter(|it| it.seq != contact).collect();
        let told_first = |school: &Contact| left.iter().any(|it| is_before(it, school));
        if let Some(school) = left.iter().find(|it| it.party == Party::School && !told_first(it)) {
            return refuse(
                format!("contact {} with the school depends on contact {contact}", school.seq),
                "correct the school's contact first, or record the right one with the responsible body",
            );
        }
        let accepted = self.accepted.filter(|_| self.state != State::Contacted);
        if let Some(accepted) = accepted
            && !left.iter().any(|it| it.party == party_of(accepted.by) && it.on <= accepted.on)
        {
            return refuse(
                format!("the acceptance of {} depends on contact {contact}", accepted.on),
                "record the right contact first, dated no later than the acceptance",
            );
        }
        Ok(NewEvent::of(self.id, today, EventBody::ContactCorrected { contact }))
    }

    /// Accepts. A trust's offer is accepted by the trust; a standalone one by the school, or by its trust where it has
    /// one. Needs a contact with the accepting body, dated no later.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AcceptorNotAllowed`], [`Reason::ContactMissing`].
    pub fn accept(&self, by: Acceptor, on: Date) -> OfferDecision {
        let state = check(OfferAction::Accept, self.state, self.id).err();
        let wrong = match (self.recipient, by) {
            (Recipient::Mat(_), Acceptor::School) => Some("an offer to a trust is accepted by the trust"),
            (Recipient::Standalone(_), Acceptor::Trust) if self.trust.is_none() => {
                Some("this school is in no trust: the school accepts")
            }
            _ => None,
        };
        let wrong = wrong.map(|why| {
            let limit = Limit::plain(LimitKind::Recipient, self.id, why);
            Refusal::of(Reason::AcceptorNotAllowed, why, limit)
        });
        // Who may not accept is not worth a contact.
        let untold = if wrong.is_some() { None } else { self.untold(by, on) };
        Refusal::none_of([state, wrong, untold].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Accepted { by }))
    }

    /// Refuses a day of the acceptance before any contact with the accepting body.
    pub(crate) fn untold(&self, by: Acceptor, on: Date) -> Option<Refusal> {
        let told = self.standing_contacts().any(|it| it.party == party_of(by) && it.on <= on);
        (!told).then(|| self.contact_missing(&format!("record the contact with the {by} first, dated {on} or earlier")))
    }

    /// Declines: closes with the outcome declined. Nothing may have been drawn.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AlreadyDrawn`].
    pub fn decline(&self, reason: DeclineReason, awards: AwardTotals, on: Date) -> OfferDecision {
        let state = check(OfferAction::Decline, self.state, self.id).err();
        Refusal::none_of([state, self.drawn_on(awards)].into_iter().flatten())?;
        Ok(self.declined(reason, on))
    }

    fn declined(&self, reason: DeclineReason, on: Date) -> NewEvent {
        let mut draft =
            NewEvent::of(self.id, on, EventBody::Closed { outcome: Outcome::Declined, released: Vec::new() });
        draft.reason_code = Some(reason.name());
        draft
    }

    fn drawn_on(&self, awards: AwardTotals) -> Option<Refusal> {
        awards.drawn.then(|| {
            let remedy = "refund what was drawn, or close it with another outcome";
            let limit = Limit::plain(LimitKind::Award, self.id, remedy);
            Refusal::of(Reason::AlreadyDrawn, "an offer that has been drawn on cannot be declined", limit)
        })
    }

    /// Starts delivery. Needs an award that is not yet settled.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AwardMissing`].
    pub fn start(&self, awards: AwardTotals, on: Date) -> OfferDecision {
        let state = check(OfferAction::Start, self.state, self.id).err();
        let missing = (awards.unsettled == 0).then(|| {
            let limit = Limit::plain(LimitKind::Award, self.id, "award support first");
            let message = "delivery needs an award that is not yet settled, and this offer has none";
            Refusal::of(Reason::AwardMissing, message, limit)
        });
        Refusal::none_of([state, missing].into_iter().flatten())?;
        Ok(NewEvent::of(self.id, on, EventBody::Started {}))
    }

    /// Closes with an outcome. `completed` only from delivering; `declined` only where nothing was drawn; `lapsed` only
    /// once the programme has ended.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::AlreadyDrawn`], [`Reason::ProgrammeNotEnded`].
    pub fn close(&self, outcome: Outcome, awards: AwardTotals, on: Date, programme_ends: Date) -> OfferDecision {
        let verb = if outcome == Outcome::Completed { OfferAction::Complete } else { OfferAction::Close };
        let state = check(verb, self.state, self.id).err();
        let barred = match outcome {
            Outcome::Declined => self.drawn_on(awards),
            Outcome::Lapsed => self.not_ended(on, programme_ends),
            Outcome::Completed | Outcome::Withdrawn | Outcome::Ineligible | Outcome::Superseded => None,
        };
        Refusal::none_of([state, barred].into_iter().flatten())?;
        Ok(match outcome {
            Outcome::Declined => self.declined(DeclineReason::Other, on),
            _ => NewEvent::of(self.id, on, EventBody::Closed { outcome, released: Vec::new() }),
        })
    }

    fn not_ended(&self, on: Date, programme_ends: Date) -> Option<Refusal> {
        (on <= programme_ends).then(|| {
            let remedy = format!("wait for the programme to end on {programme_ends}, or choose another outcome");
            let limit = Limit::plain(LimitKind::Period, self.programme.clone(), remedy);
            Refusal::of(Reason::ProgrammeNotEnded, "an offer lapses only once its programme has ended", limit)
        })
    }

    /// Whether it may be reopened: closed, and none of its schools on another open offer meanwhile.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::SchoolOnAnotherOffer`] with one limit a school.
    pub fn may_reopen(&self, listed: impl Fn(Urn) -> Option<OfferId>) -> Result<(), Refusal> {
        let state = check(OfferAction::Reopen, self.state, self.id).err();
        let elsewhere = |urn: &Urn| listed(*urn).filter(|offer| *offer != self.id);
        let limits: Vec<Limit> = (self.schools.keys())
            .filter_map(|urn| elsewhere(urn).map(|offer| (urn, offer)))
            .map(|(urn, offer)| Limit::plain(LimitKind::Recipient, *urn, format!("close offer {offer} first")))
            .collect();
        let elsewhere = (!limits.is_empty()).then(|| {
            let message = "a school of this offer is on another open offer by now".to_owned();
            Refusal { reason: Reason::SchoolOnAnotherOffer, message, limits, largest: None, approval: None }
        });
        Refusal::none_of([state, elsewhere].into_iter().flatten())
    }

    /// Reopens into the state before, once the second person has approved.
    ///
    /// # Errors
    /// As [`Offer::may_reopen`].
    pub fn reopen(&self, approval: ApprovalId, today: Date, listed: impl Fn(Urn) -> Option<OfferId>) -> OfferDecision {
        self.may_reopen(listed)?;
        Ok(NewEvent::of(self.id, today, EventBody::Reopened { approval }))
    }

    fn school_contacted(&self, urn: Option<Urn>) -> Result<Urn, Refusal> {
        let urn = match (self.recipient, urn) {
            (Recipient::Standalone(own), None) => Some(own),
            (_, given) => given,
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

    fn responsible_body_told_by(&self, on: Date) -> bool {
        self.standing_contacts().any(|it| it.party == Party::ResponsibleBody && it.on <= on)
    }

    fn contact_missing(&self, remedy: &str) -> Refusal {
        let message = format!("a contact is missing on offer {}: {remedy}", self.id);
        Refusal::of(Reason::ContactMissing, message, Limit::plain(LimitKind::Contact, self.id, remedy))
    }
}

/// Whether a contact is one with the responsible body that a contact with the school can depend on: dated no later. It
/// may be recorded later, as the right one in place of a mistake is.
fn is_before(contact: &Contact, school: &Contact) -> bool {
    contact.party == Party::ResponsibleBody && contact.on <= school.on
}

const fn party_of(by: Acceptor) -> Party {
    match by {
        Acceptor::School => Party::School,
        Acceptor::Trust => Party::ResponsibleBody,
    }
}
