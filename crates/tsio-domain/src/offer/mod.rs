//! Offers: the state, schools and contacts of an offer. [`lifecycle`] and [`decide`] decide the commands on it.
//!
//! Only [`Offer::apply`] changes an offer, from an event. The writer and `verify` use the same fold, so the current state
//! can always be checked against the record.

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

/// A contact on record. It is never edited; a counter-event marks it as a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contact {
    /// The number of its event, which is also its own number.
    pub seq: Seq,
    /// The party that was contacted.
    pub party: Party,
    /// The school, for a contact with a school.
    pub urn: Option<Urn>,
    /// The day it happened.
    pub on: Date,
    /// The counter-event, if it was a mistake.
    pub corrected_by: Option<Seq>,
}

/// The acceptance of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Acceptance {
    /// The body that accepted.
    pub by: Acceptor,
    /// The day it happened.
    pub on: Date,
}

/// The current state of one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: OfferId,
    /// The programme it belongs to.
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
    /// The acceptance.
    pub accepted: Option<Acceptance>,
    /// The day delivery started.
    pub started: Option<Date>,
    /// The person it is assigned to.
    pub assignee: Option<Actor>,
    /// The trust of the recipient, if it is or has one.
    pub trust: Option<Uid>,
    /// The body that has to be contacted before the school.
    pub responsible: ResponsibleBody,
    /// SHA-256 of the terms it was made under.
    pub terms: [u8; 32],
    /// Its schools. Only `identify` and an approved referral change the list.
    pub schools: BTreeMap<Urn, ListedSchool>,
    /// Its contacts, in the order they were recorded.
    pub contacts: Vec<Contact>,
    /// The last event that changed its state, schools, contacts or awards. The etag is made from it.
    pub version: Seq,
    /// When it was made.
    pub made_at: Micros,
}

impl Offer {
    /// The offer that an `identified` event makes; `None` for any other event.
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

    /// Folds one more event of this offer in. An event that does not concern an offer changes nothing.
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
        if event.body.moves_etag() {
            self.version = event.seq;
        }
    }

    /// Whether it is not closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// The school whose row in the newest register determines the responsible body. This is the school of a standalone open
    /// offer until the first contact with the body; after that the body does not change. `None` for a trust's offer.
    #[must_use]
    pub fn school_of_responsible_body(&self) -> Option<Urn> {
        let body_contacted = self.standing_contacts().any(|it| it.party == Party::ResponsibleBody);
        match self.recipient {
            Recipient::Standalone(urn) if self.is_open() && !body_contacted => Some(urn),
            Recipient::Standalone(_) | Recipient::Mat(_) => None,
        }
    }

    /// The contacts that are not corrected.
    pub fn standing_contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().filter(|contact| contact.corrected_by.is_none())
    }

    /// Its etag, made from the version. Callers must not interpret it.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
