//! An event as a command drafts it, before it has its number and its hash.

use super::EventBody;
use crate::Date;
use crate::ids::OfferId;
use crate::ledger::Posting;

/// One event as a command drafts it, before it has its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The offer it is about, if any.
    pub offer: Option<OfferId>,
    /// The day it happened.
    pub effective: Date,
    /// A reason code, where the command has one.
    pub reason_code: Option<&'static str>,
    /// Free text, where the caller gave some.
    pub text: Option<String>,
    /// What happened.
    pub body: EventBody,
    /// The amounts it moves, in order.
    pub postings: Vec<Posting>,
}

impl NewEvent {
    /// A draft about an offer, without reason code or text.
    #[must_use]
    pub const fn of(offer: OfferId, effective: Date, body: EventBody) -> Self {
        Self { offer: Some(offer), effective, reason_code: None, text: None, body, postings: Vec::new() }
    }

    /// A draft about no offer.
    #[must_use]
    pub const fn of_book(effective: Date, body: EventBody) -> Self {
        Self { offer: None, effective, reason_code: None, text: None, body, postings: Vec::new() }
    }

    /// The same with the amounts it moves.
    #[must_use]
    pub fn posting(mut self, postings: Vec<Posting>) -> Self {
        self.postings = postings;
        self
    }

    /// The same with free text.
    #[must_use]
    pub fn with_text(mut self, text: Option<String>) -> Self {
        self.text = text.filter(|it| !it.is_empty());
        self
    }
}
