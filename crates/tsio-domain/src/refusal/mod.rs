//! A refusal is an answer: it names every limit that binds, and what would lift it.
//!
//! Nothing here is an error of the machine; a lost connection is never a refusal.

mod reason;

pub use reason::Reason;

use super::ids::ApprovalId;

/// One limit that binds. The numbers are there where the limit is a number (pence or half-days).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limit {
    /// `state`, `contact`, `approval`, `period`, `cap`, `fund`, `as_of`, `award`, `recipient`, `referral`, `import`,
    /// `terms`.
    pub kind: &'static str,
    /// What it is a limit of.
    pub account: String,
    /// `pence`, `half_days`, or empty.
    pub unit: &'static str,
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
    pub fn plain(kind: &'static str, account: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, account: account.into(), remedy: remedy.into(), ..Self::default() }
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

    #[test]
    fn what_is_joined_twice_says_once_how_much_more_there_is() {
        let one = |message: &str| Refusal::of(Reason::DateOrder, message, Limit::plain("period", "offer 1", "wait"));
        let two = Refusal::none_of([one("first"), one("second")]).unwrap_err();
        assert_eq!(two.message, "first (and 1 more)");
        let both = Refusal::none_of([two.clone(), one("third")]).unwrap_err();
        assert_eq!((both.message.as_str(), both.limits.len()), ("first (and 2 more)", 3));
        let behind = Refusal::none_of([one("third"), two]).unwrap_err();
        assert_eq!((behind.message.as_str(), behind.limits.len()), ("third (and 2 more)", 3));
        assert_eq!(Refusal::none_of([]), Ok(()));
    }
}
