//! How an offer goes on and ends: started, declined, closed, each on a day that keeps the order of dates.

use super::dates;
use crate::Date;
use crate::event::NewEvent;
use crate::offer::{DeclineReason, Offer, Outcome};
use crate::programme::ProgrammeState;
use crate::programme::command::OfferTarget;
use crate::programme::decision::Decision;
use crate::programme::error::CommandError;
use crate::refusal::Refusal;
use crate::time::Now;

impl ProgrammeState {
    /// Starts delivery.
    ///
    /// # Errors
    /// Those of [`Offer::start`]; [`Reason::DateOrder`](crate::refusal::Reason::DateOrder) before the acceptance.
    pub(in crate::programme) fn start(
        &self,
        offer: &OfferTarget,
        on: Date,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decide =
            |it: &Offer| joined(it.start(self.awards_of(it.id), on), self.in_order(it, on, dates::accepted(it)));
        self.decide_dated(offer, on, None, now, decide)
    }

    /// Ends an offer that is declined, and gives back what its awards promise.
    ///
    /// # Errors
    /// Those of [`Offer::decline`] and [`ProgrammeState::closing`].
    pub(in crate::programme) fn decline(
        &self,
        offer: &OfferTarget,
        reason: DeclineReason,
        (on, text): (Date, Option<&String>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decide = |it: &Offer| {
            let order = self.in_order(it, on, self.before_closing(it).chain(dates::last_contact(it)));
            joined(it.decline(reason, self.awards_of(it.id), on), order)
        };
        self.closing(offer, on, self.decide_dated(offer, on, text, now, decide))
    }

    /// Ends an offer, and gives back what its awards promise.
    ///
    /// # Errors
    /// Those of [`Offer::close`] and [`ProgrammeState::closing`].
    pub(in crate::programme) fn close(
        &self,
        offer: &OfferTarget,
        outcome: Outcome,
        (on, text): (Date, Option<&String>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let ends = self.programme.scheme.year().to;
        let decide = |it: &Offer| {
            let declined = dates::last_contact(it).filter(|_| outcome == Outcome::Declined);
            let order = self.in_order(it, on, self.before_closing(it).chain(declined));
            joined(it.close(outcome, self.awards_of(it.id), on, ends), order)
        };
        self.closing(offer, on, self.decide_dated(offer, on, text, now, decide))
    }
}

/// A decision that one more limit may stand against.
fn joined(decision: Result<NewEvent, Refusal>, more: Option<Refusal>) -> Result<NewEvent, Refusal> {
    let refused = decision.as_ref().err().cloned();
    Refusal::none_of(refused.into_iter().chain(more))?;
    decision
}
