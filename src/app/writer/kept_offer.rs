//! An offer that is kept between batches, with or without its schools and contacts.

use std::collections::BTreeMap;

use crate::domain::ids::Urn;
use crate::domain::offer::{Contact, ListedSchool, Offer};

/// An offer with more schools and contacts than this is kept without them.
const KEPT_PARTS: usize = 100;

/// An offer. Most batches make awards, for which its schools and contacts are not needed.
#[derive(Debug, Clone)]
pub(super) struct KeptOffer {
    /// The offer without its schools and contacts.
    bare: Offer,
    /// Its schools and contacts; `None` if they were not read or are too many.
    parts: Option<(BTreeMap<Urn, ListedSchool>, Vec<Contact>)>,
}

impl KeptOffer {
    pub(super) fn new(offer: Offer) -> Self {
        let mut kept = Self { bare: offer, parts: None };
        kept.take_parts();
        kept
    }

    /// Replaces the offer after a batch. An offer without schools was read without its parts, and the batch has not changed them.
    pub(super) fn replace(&mut self, offer: Offer) {
        self.bare = offer;
        self.take_parts();
    }

    /// Moves the schools and contacts out of the offer, if it has any.
    fn take_parts(&mut self) {
        let parts = (std::mem::take(&mut self.bare.schools), std::mem::take(&mut self.bare.contacts));
        if !parts.0.is_empty() {
            self.parts =
                Some(parts).filter(|(schools, contacts)| schools.len().saturating_add(contacts.len()) <= KEPT_PARTS);
        }
    }

    /// The offer without its schools and contacts.
    pub(super) const fn bare(&self) -> &Offer {
        &self.bare
    }

    /// The offer with its schools and contacts, if they are kept.
    pub(super) fn in_full(&self) -> Option<Offer> {
        let (schools, contacts) = self.parts.clone()?;
        Some(Offer { schools, contacts, ..self.bare.clone() })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::event::Seq;
    use crate::domain::ids::{LaCode, OfferId};
    use crate::domain::offer::lifecycle::State;
    use crate::domain::offer::{Party, Recipient, ResponsibleBody};
    use crate::domain::region::Region;
    use crate::domain::time::Micros;

    fn contacts(count: usize) -> Vec<Contact> {
        let on = "2021-09-13".parse().unwrap();
        let contact = |seq| Contact { seq: Seq(seq), party: Party::School, urn: None, on, corrected_by: None };
        (0..).map(contact).take(count).collect()
    }

    fn offer(contacts: Vec<Contact>) -> Offer {
        let urn = Urn::new(900_001).unwrap();
        let school = ListedSchool { urn, name: "Invented School".to_owned(), rules: Vec::new() };
        Offer {
            id: OfferId(Uuid::from_u128(1)),
            programme: "2021-22".parse().unwrap(),
            recipient: Recipient::Standalone(urn),
            name: school.name.clone(),
            region: Region::EastMidlandsHumber,
            state: State::Contacted,
            before_close: None,
            outcome: None,
            accepted: None,
            started: None,
            assignee: None,
            trust: None,
            responsible: ResponsibleBody::LocalAuthority(LaCode::new(330).unwrap()),
            terms: [0; 32],
            schools: BTreeMap::from([(urn, school)]),
            contacts,
            version: Seq(1),
            made_at: Micros(0),
        }
    }

    #[test]
    fn an_offer_keeps_its_parts_while_batches_use_it_without_them() {
        let full = offer(contacts(2));
        let bare = Offer { schools: BTreeMap::new(), contacts: Vec::new(), version: Seq(9), ..full.clone() };
        let mut kept = KeptOffer::new(bare.clone());
        assert_eq!((kept.bare(), kept.in_full()), (&bare, None));
        kept.replace(full.clone());
        assert_eq!(kept.in_full(), Some(full.clone()));
        kept.replace(bare.clone());
        assert_eq!(kept.in_full(), Some(Offer { version: Seq(9), ..full.clone() }));
        kept.replace(Offer { contacts: contacts(KEPT_PARTS), ..full });
        assert_eq!(kept.in_full(), None, "too many parts are not kept, and older ones are not the right ones");
    }
}
