//! Decides to start, decline or close an offer, and checks the order of dates.

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
    /// Those of [`Offer::start`]; [`Reason::OutsideProgramme`](crate::refusal::Reason::OutsideProgramme);
    /// [`Reason::DateOrder`](crate::refusal::Reason::DateOrder) for a day before the acceptance; [`CommandError::NotFound`],
    /// [`CommandError::Stale`].
    pub(in crate::programme) fn start(
        &self,
        offer: &OfferTarget,
        on: Date,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decide = |it: &Offer| {
            with_refusal(it.start(self.award_totals(it.id), on), self.before_milestones(it, on, dates::accepted(it)))
        };
        self.decide_dated(offer, on, None, now, decide)
    }

    /// Declines an offer, and releases the open commitments of its awards.
    ///
    /// # Errors
    /// Those of [`Offer::decline`] and [`ProgrammeState::release_on_closing`];
    /// [`Reason::OutsideProgramme`](crate::refusal::Reason::OutsideProgramme);
    /// [`Reason::DateOrder`](crate::refusal::Reason::DateOrder) for a day before an earlier milestone;
    /// [`CommandError::NotFound`], [`CommandError::Stale`].
    pub(in crate::programme) fn decline(
        &self,
        offer: &OfferTarget,
        reason: DeclineReason,
        (on, text): (Date, Option<&String>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decide = |it: &Offer| {
            let too_early =
                self.before_milestones(it, on, self.milestones_before_closing(it).chain(dates::last_contact(it)));
            with_refusal(it.decline(reason, self.award_totals(it.id), on), too_early)
        };
        self.release_on_closing(offer, on, self.decide_dated(offer, on, text, now, decide))
    }

    /// Closes an offer, and releases the open commitments of its awards.
    ///
    /// # Errors
    /// Those of [`Offer::close`] and [`ProgrammeState::release_on_closing`];
    /// [`Reason::OutsideProgramme`](crate::refusal::Reason::OutsideProgramme);
    /// [`Reason::DateOrder`](crate::refusal::Reason::DateOrder) for a day before an earlier milestone;
    /// [`CommandError::NotFound`], [`CommandError::Stale`].
    pub(in crate::programme) fn close(
        &self,
        offer: &OfferTarget,
        outcome: Outcome,
        (on, text): (Date, Option<&String>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let year_end = self.programme.scheme.year().to;
        let decide = |it: &Offer| {
            let last_contact = dates::last_contact(it).filter(|_| outcome == Outcome::Declined);
            let too_early = self.before_milestones(it, on, self.milestones_before_closing(it).chain(last_contact));
            with_refusal(it.close(outcome, self.award_totals(it.id), on, year_end), too_early)
        };
        self.release_on_closing(offer, on, self.decide_dated(offer, on, text, now, decide))
    }
}

/// Adds another refusal to the outcome of a decision, so that the caller gets both refusals in one. If there is no other
/// refusal, returns the outcome unchanged.
fn with_refusal(decision: Result<NewEvent, Refusal>, other: Option<Refusal>) -> Result<NewEvent, Refusal> {
    let refusal = decision.as_ref().err().cloned();
    Refusal::join(refusal.into_iter().chain(other))?;
    decision
}
