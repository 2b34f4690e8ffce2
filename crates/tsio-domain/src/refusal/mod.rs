//! A refusal is an answer: it names every limit that binds, and what would lift it.
//!
//! Nothing here is an error of the machine; a lost connection is never a refusal.

mod reason;
mod subject;

use std::fmt;

pub use reason::Reason;
pub use subject::{EntityKind, LimitSubject};

use super::ids::ApprovalId;
use super::values::unit::Unit;

/// What kind of limit binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// The state of an offer.
    State,
    /// A contact that must come first, or that cannot be corrected; a discussion of a referral.
    Contact,
    /// A second person.
    Approval,
    /// A date: a window of the terms, the order of dates, the programme's year.
    Period,
    /// What the terms let one offer have of a strand.
    Cap,
    /// What a fund has.
    Fund,
    /// What a fund or a cap had as of a day in the past.
    AsOf,
    /// What is left of an award, a booking or an invoice, and what they allow.
    Award,
    /// Who a recipient, a partner or a leader is.
    Recipient,
    /// A referral that is open, or that is not.
    Referral,
    /// An import: what it says, or that it does not count.
    Import,
    /// The terms.
    Terms,
    /// The text of an event.
    Text,
}

impl LimitKind {
    /// Its name on the wire, lower_snake.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Contact => "contact",
            Self::Approval => "approval",
            Self::Period => "period",
            Self::Cap => "cap",
            Self::Fund => "fund",
            Self::AsOf => "as_of",
            Self::Award => "award",
            Self::Recipient => "recipient",
            Self::Referral => "referral",
            Self::Import => "import",
            Self::Terms => "terms",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One limit that binds. The numbers are there where the limit is a number (pence or half-days).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What kind it is.
    pub kind: LimitKind,
    /// What it is a limit of.
    pub subject: LimitSubject,
    /// What the numbers count; none for a limit that is no number.
    pub unit: Option<Unit>,
    /// The limit.
    pub limit: Option<i64>,
    /// Committed against it already.
    pub committed: Option<i64>,
    /// Spent against it already.
    pub spent: Option<i64>,
    /// What is left.
    pub available: Option<i64>,
    /// What was asked for.
    pub requested: Option<i64>,
    /// The largest amount this limit alone would have let pass.
    pub largest: Option<i64>,
    /// What would lift it, one sentence.
    pub remedy: String,
}

impl Limit {
    /// A limit that is no number.
    #[must_use]
    pub fn plain(kind: LimitKind, subject: impl Into<LimitSubject>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.into(),
            unit: None,
            limit: None,
            committed: None,
            spent: None,
            available: None,
            requested: None,
            largest: None,
            remedy: remedy.into(),
        }
    }
}

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// One sentence for a person.
    pub message: String,
    /// Every limit that binds.
    pub limits: Vec<Limit>,
    /// The largest amount that would have passed all of them, where an amount is involved.
    pub largest: Option<i64>,
    /// The approval that was opened, for [`Reason::ApprovalRequired`].
    pub approval: Option<ApprovalId>,
}

impl Refusal {
    /// A refusal for one limit that is no number.
    #[must_use]
    pub fn of(reason: Reason, message: impl Into<String>, limit: Limit) -> Self {
        Self { reason, message: message.into(), limits: vec![limit], largest: None, approval: None }
    }

    /// Passes when there is none.
    ///
    /// # Errors
    /// All of them as one: the first one's reason, everybody's limits.
    pub fn none_of(refusals: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut all = refusals.into_iter();
        let Some(mut joined) = all.next() else { return Ok(()) };
        let first = joined.message.strip_suffix(&joined.more()).unwrap_or(&joined.message).to_owned();
        joined.limits.extend(all.flat_map(|refusal| refusal.limits));
        joined.message = first + &joined.more();
        Err(joined)
    }

    /// How many limits bind beside the first, as the message ends.
    fn more(&self) -> String {
        match self.limits.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        }
    }
}

/// What would lift a limit, where there is more than one way: `award at most £6,000, or release first ...`.
pub(crate) fn one_of(ways: &[Option<String>]) -> String {
    let ways: Vec<&str> = ways.iter().flatten().map(String::as_str).collect();
    ways.join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OfferId;

    #[test]
    fn what_is_joined_twice_says_once_how_much_more_there_is() {
        let offer = OfferId(uuid::Uuid::nil());
        let one =
            |message: &str| Refusal::of(Reason::DateOrder, message, Limit::plain(LimitKind::Period, offer, "wait"));
        let two = Refusal::none_of([one("first"), one("second")]).unwrap_err();
        assert_eq!(two.message, "first (and 1 more)");
        let both = Refusal::none_of([two.clone(), one("third")]).unwrap_err();
        assert_eq!((both.message.as_str(), both.limits.len()), ("first (and 2 more)", 3));
        let behind = Refusal::none_of([one("third"), two]).unwrap_err();
        assert_eq!((behind.message.as_str(), behind.limits.len()), ("third (and 2 more)", 3));
        assert_eq!(Refusal::none_of([]), Ok(()));
    }
}
