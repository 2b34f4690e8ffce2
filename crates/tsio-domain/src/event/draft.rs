//! Defines a new event: an event that a command makes, before it has a number and a hash.

use super::EventBody;
use crate::Date;
use crate::ids::OfferId;
use crate::ledger::Posting;

/// An event that a command makes, before it has a number and a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The offer that it is about; `None` if it is not about an offer.
    pub offer: Option<OfferId>,
    /// The day it happened.
    pub effective: Date,
    /// The reason code, if the command has one.
    pub reason_code: Option<&'static str>,
    /// The free text, if the caller gave one.
    pub text: Option<String>,
    /// The body: what happened.
    pub body: EventBody,
    /// The ledger postings of the amounts it moves, in order.
    pub postings: Vec<Posting>,
}

impl NewEvent {
    /// Makes a new event about an offer, without reason code, text or postings.
    #[must_use]
    pub const fn of(offer: OfferId, effective: Date, body: EventBody) -> Self {
        Self { offer: Some(offer), effective, reason_code: None, text: None, body, postings: Vec::new() }
    }

    /// Makes a new event that is not about an offer, without reason code, text or postings.
    #[must_use]
    pub const fn without_offer(effective: Date, body: EventBody) -> Self {
        Self { offer: None, effective, reason_code: None, text: None, body, postings: Vec::new() }
    }

    /// Sets the postings.
    #[must_use]
    pub fn posting(mut self, postings: Vec<Posting>) -> Self {
        self.postings = postings;
        self
    }

    /// Sets the free text. An empty text counts as no text.
    #[must_use]
    pub fn with_text(mut self, text: Option<String>) -> Self {
        self.text = text.filter(|it| !it.is_empty());
        self
    }
}
