//! Defines a refusal of a command. It lists every limit that prevents the command, each with a remedy.
//!
//! A refusal is never a technical error such as a lost connection.

mod reason;
mod subject;

use std::fmt;

pub use reason::Reason;
pub use subject::{EntityKind, LimitSubject};

use super::ids::ApprovalId;
use super::values::unit::Unit;

/// The kind of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// The state of an offer.
    State,
    /// A contact that must come first or cannot be corrected, or a missing discussion of a referral.
    Contact,
    /// The approval by a second person.
    Approval,
    /// A date that is outside a window of the terms, in the wrong order, or outside the programme's year.
    Period,
    /// The cap of an offer for a strand.
    Cap,
    /// The money of a fund.
    Fund,
    /// The amount of a fund or a cap as of a day in the past.
    AsOf,
    /// The amount that is left of an award, a booking or an invoice; another condition for their use; an award that an
    /// offer needs; or an amount that an offer must not have drawn.
    Award,
    /// A recipient, a partner or a leader who is not allowed.
    Recipient,
    /// A referral that is open but must not be, or that is not open but must be.
    Referral,
    /// An import that disagrees with another, or that does not count.
    Import,
    /// The terms of the programme, which cannot be replaced any more, or do not name a provider.
    Terms,
    /// The text of an event, which is absent or erased already.
    Text,
}

impl LimitKind {
    /// Its name on the wire, in lower snake case.
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

/// One limit that prevents a command. The numbers are set if the limit is an amount (pence or half-days).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its kind.
    pub kind: LimitKind,
    /// The entity that has the limit.
    pub subject: LimitSubject,
    /// The unit of the numbers; `None` if the limit is not an amount.
    pub unit: Option<Unit>,
    /// The amount of the cap, fund, award, booking or invoice.
    pub limit: Option<i64>,
    /// The amount committed against it.
    pub committed: Option<i64>,
    /// The amount spent against it.
    pub spent: Option<i64>,
    /// The amount left.
    pub available: Option<i64>,
    /// The amount requested.
    pub requested: Option<i64>,
    /// The largest amount that this limit alone would have allowed.
    pub largest: Option<i64>,
    /// How to satisfy the limit, in one sentence.
    pub remedy: String,
}

impl Limit {
    /// Makes a limit that is not an amount.
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
    /// The reason.
    pub reason: Reason,
    /// The message, one sentence for a person.
    pub message: String,
    /// Every limit that prevents the command.
    pub limits: Vec<Limit>,
    /// The largest amount that all limits together would have allowed; `None` if the command has no amount.
    pub largest: Option<i64>,
    /// For [`Reason::ApprovalRequired`], the open approval; `None` if the request was only checked.
    pub approval: Option<ApprovalId>,
}

impl Refusal {
    /// Makes a refusal with one limit.
    #[must_use]
    pub fn of(reason: Reason, message: impl Into<String>, limit: Limit) -> Self {
        Self { reason, message: message.into(), limits: vec![limit], largest: None, approval: None }
    }

    /// Returns `Ok` if there are no refusals.
    ///
    /// # Errors
    /// One refusal that joins all of them. It has the reason and message of the first, and the limits of all.
    pub fn join(refusals: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut refusals = refusals.into_iter();
        let Some(mut joined) = refusals.next() else { return Ok(()) };
        let message = joined.message.strip_suffix(&joined.more_suffix()).unwrap_or(&joined.message).to_owned();
        joined.limits.extend(refusals.flat_map(|refusal| refusal.limits));
        joined.message = message + &joined.more_suffix();
        Err(joined)
    }

    /// The end of the message: the number of limits after the first. Empty if there is only one limit.
    fn more_suffix(&self) -> String {
        match self.limits.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        }
    }
}

/// Joins several remedies of a limit: `award at most £6,000, or release first ...`.
pub(crate) fn join_remedies(remedies: &[Option<String>]) -> String {
    let remedies: Vec<&str> = remedies.iter().flatten().map(String::as_str).collect();
    remedies.join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OfferId;

    #[test]
    fn joining_a_joined_refusal_replaces_its_count_of_more_limits() {
        let offer = OfferId(uuid::Uuid::nil());
        let refusal =
            |message: &str| Refusal::of(Reason::DateOrder, message, Limit::plain(LimitKind::Period, offer, "wait"));
        let joined_two = Refusal::join([refusal("first"), refusal("second")]).unwrap_err();
        assert_eq!(joined_two.message, "first (and 1 more)");
        let two_then_one = Refusal::join([joined_two.clone(), refusal("third")]).unwrap_err();
        assert_eq!((two_then_one.message.as_str(), two_then_one.limits.len()), ("first (and 2 more)", 3));
        let one_then_two = Refusal::join([refusal("third"), joined_two]).unwrap_err();
        assert_eq!((one_then_two.message.as_str(), one_then_two.limits.len()), ("third (and 2 more)", 3));
        assert_eq!(Refusal::join([]), Ok(()));
    }
}
