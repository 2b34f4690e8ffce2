//! Defines an offer, with its state, schools and contacts. [`lifecycle`] and [`decide`] decide the commands on an
//! offer.
//!
//! Only [`Offer::apply`] changes an offer: it applies an event. The writer and `verify` use the same fold, so the current
//! state can always be checked against the record.

pub mod decide;
pub mod lifecycle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::Date;
use super::event::{Event, EventBody, Seq};
use super::ids::{Actor, OfferId, Programme, Uid, Urn};
use super::region::Region;
use super::time::Micros;
pub use super::values::offer::{
    Acceptor, DeclineReason, ListedSchool, Milestone, Outcome, Party, Recipient, ResponsibleBody,
};
use crate::events_about;
pub use lifecycle::State;

/// A contact on record. It is never edited. The event `contact_corrected` marks it as a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contact {
    /// The number of the event that recorded the contact. It identifies the contact.
    pub seq: Seq,
    /// The party that was contacted.
    pub party: Party,
    /// The school that was contacted; `None` for a contact with the responsible body.
    pub urn: Option<Urn>,
    /// The day of the contact.
    pub on: Date,
    /// The event that marked the contact as a mistake; `None` if the contact is valid.
    pub corrected_by: Option<Seq>,
}

/// The acceptance of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Acceptance {
    /// The body that accepted.
    pub by: Acceptor,
    /// The day of the acceptance.
    pub on: Date,
}

/// The current state of one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// The programme of the offer.
    pub programme: Programme,
    /// The recipient. It never changes.
    pub recipient: Recipient,
    /// The recipient's name when the offer was made.
    pub name: String,
    /// The region. It is set when the offer is made; an administrator may change it.
    pub region: Region,
    /// The state.
    pub state: State,
    /// For a closed offer, the state that reopening returns to.
    pub before_close: Option<State>,
    /// For a closed offer, how it ended.
    pub outcome: Option<Outcome>,
    /// The acceptance; `None` if the offer was not accepted yet.
    pub accepted: Option<Acceptance>,
    /// The day on which delivery started; `None` if it has not started.
    pub started: Option<Date>,
    /// The person to whom the offer is assigned.
    pub assignee: Option<Actor>,
    /// The recipient, if it is a trust; the trust of the school, if the recipient is a school in a trust.
    pub trust: Option<Uid>,
    /// The body that has to be contacted before the school.
    pub responsible: ResponsibleBody,
    /// SHA-256 of the terms under which the offer was made.
    pub terms: [u8; 32],
    /// Its schools. Only `identify` and an approved referral change the list.
    pub schools: BTreeMap<Urn, ListedSchool>,
    /// Its contacts, in the order they were recorded.
    pub contacts: Vec<Contact>,
    /// The number of the last event that changed the etag ([`EventBody::changes_etag`]). The etag is made from this
    /// number.
    pub version: Seq,
    /// The time at which the offer was made.
    pub made_at: Micros,
}

impl Offer {
    /// Returns the offer that an `identified` event makes; `None` for any other event.
    #[must_use]
    pub fn from_event(programme: &Programme, event: &Event) -> Option<Self> {
        let EventBody::Identified { recipient, name, region, trust, responsible, terms, schools, .. } = &event.body
        else {
            return None;
        };
        Some(Self {
            id: event.offer?,
            programme: programme.clone(),
            recipient: *recipient,
            name: name.clone(),
            region: *region,
            state: State::Identified,
            before_close: None,
            outcome: None,
            accepted: None,
            started: None,
            assignee: None,
            trust: *trust,
            responsible: responsible.clone(),
            terms: terms.0,
            schools: schools.iter().map(|school| (school.urn, school.clone())).collect(),
            contacts: Vec::new(),
            version: event.seq,
            made_at: event.recorded,
        })
    }

    fn add_contact(&mut self, party: Party, urn: Option<Urn>, event: &Event) {
        self.contacts.push(Contact { seq: event.seq, party, urn, on: event.effective, corrected_by: None });
        if self.state == State::Identified {
            self.state = State::Contacted;
        }
    }

    fn correct_contact(&mut self, contact: Seq, by: Seq) {
        if let Some(mistake) = self.contacts.iter_mut().find(|it| it.seq == contact) {
            mistake.corrected_by = Some(by);
        }
        if self.state == State::Contacted && self.standing_contacts().next().is_none() {
            self.state = State::Identified;
        }
    }

    /// Applies one more event of this offer. An event that does not concern an offer changes nothing.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            EventBody::SchoolsAdded { schools, .. } => {
                self.schools.extend(schools.iter().map(|school| (school.urn, school.clone())));
            }
            EventBody::Contacted { party, urn } => self.add_contact(*party, *urn, event),
            EventBody::ContactCorrected { contact } => self.correct_contact(*contact, event.seq),
            EventBody::Accepted { by } => {
                self.state = State::Accepted;
                self.accepted = Some(Acceptance { by: *by, on: event.effective });
            }
            EventBody::Started {} => {
                self.state = State::Delivering;
                self.started = Some(event.effective);
            }
            EventBody::DateCorrected { milestone: Milestone::Accepted, on } => {
                self.accepted = self.accepted.map(|it| Acceptance { on: *on, ..it });
            }
            EventBody::DateCorrected { milestone: Milestone::Started, on } => self.started = Some(*on),
            EventBody::Closed { outcome, .. } => {
                self.before_close = Some(self.state);
                self.outcome = Some(*outcome);
                self.state = State::Closed;
            }
            EventBody::Reopened { .. } => {
                self.state = self.before_close.take().unwrap_or(State::Identified);
                self.outcome = None;
            }
            EventBody::Assigned { to } => self.assignee = to.clone(),
            EventBody::RegionChanged { to, .. } => self.region = *to,
            EventBody::ResponsibleBodyChanged { to, trust, .. } => {
                self.responsible = to.clone();
                self.trust = *trust;
            }
            EventBody::Identified { .. }
            | EventBody::Noted {}
            | events_about!(school, approval, fund, award, referral, record) => {}
        }
        if event.body.changes_etag() {
            self.version = event.seq;
        }
    }

    /// Whether the offer is not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// The school whose row in the newest register determines the responsible body. This is the school of a standalone
    /// offer. `None` for a trust's offer. Also `None` when the offer is closed or its responsible body was contacted,
    /// because the body then does not change any more.
    #[must_use]
    pub fn school_of_responsible_body(&self) -> Option<Urn> {
        let body_contacted = self.standing_contacts().any(|it| it.party == Party::ResponsibleBody);
        match self.recipient {
            Recipient::Standalone(urn) if self.is_open() && !body_contacted => Some(urn),
            Recipient::Standalone(_) | Recipient::Mat(_) => None,
        }
    }

    /// The contacts that are not marked as mistakes.
    pub fn standing_contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().filter(|contact| contact.corrected_by.is_none())
    }

    /// The etag of the offer, made from the version. Callers must not interpret the text.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
