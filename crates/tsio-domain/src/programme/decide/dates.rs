//! Checks the order of dates (`domain.md` section 4). A command must not be dated before the event that brought its offer into the
//! required state. A date must not be corrected past events that depend on it.
//!
//! The order applies from rules version 2 on. Earlier events stay as they were recorded, but no new event may be dated before them.

use crate::Date;
use crate::award::Award;
use crate::event::{EventBody, NewEvent, Seq};
use crate::ids::OfferId;
use crate::offer::lifecycle::{self, check};
use crate::offer::{Milestone, Offer};
use crate::programme::ProgrammeState;
use crate::programme::command::OfferTarget;
use crate::programme::decision::Decision;
use crate::programme::error::CommandError;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};
use crate::rules::RulesVersion;
use crate::time::Now;

/// A recorded event in words, such as `the offer was accepted`, with its day.
pub(in crate::programme) type DatedMilestone = (&'static str, Date);

const ACCEPTED: &str = "the offer was accepted";
const STARTED: &str = "delivery started";

/// Refuses a day before any of these milestones. The refusal names the latest milestone. None if the day is before no milestone.
pub(in crate::programme) fn not_before(
    subject: impl FnOnce() -> LimitSubject,
    on: Date,
    milestones: impl IntoIterator<Item = DatedMilestone>,
) -> Option<Refusal> {
    let (milestone, date) = milestones.into_iter().filter(|it| it.1 > on).max_by_key(|it| it.1)?;
    let limit = Limit::plain(LimitKind::Period, subject(), format!("give a date on or after {date}"));
    Some(Refusal::of(Reason::DateOrder, format!("{on} lies before {milestone}, on {date}"), limit))
}

/// Refuses a day after any of these milestones. The refusal names the earliest milestone. None if the day is after no milestone.
fn not_after(
    subject: impl FnOnce() -> LimitSubject,
    on: Date,
    milestones: impl IntoIterator<Item = DatedMilestone>,
) -> Option<Refusal> {
    let (milestone, date) = milestones.into_iter().filter(|it| it.1 < on).min_by_key(|it| it.1)?;
    let limit = Limit::plain(LimitKind::Period, subject(), format!("give a date on or before {date}"));
    Some(Refusal::of(Reason::DateOrder, format!("{on} lies after {milestone}, on {date}"), limit))
}

/// Refuses a day before the award was made, so that its committed amount is not negative on any day.
pub(in crate::programme) fn before_award(award: &Award, on: Date) -> Option<Refusal> {
    not_before(|| super::limits::subject(award), on, [("the award was made", award.on)])
}

/// The day on which an offer was accepted, if it was.
pub(in crate::programme) fn accepted(offer: &Offer) -> Option<DatedMilestone> {
    offer.accepted.map(|it| (ACCEPTED, it.on))
}

/// The day on which delivery started, if it did.
pub(in crate::programme) fn started(offer: &Offer) -> Option<DatedMilestone> {
    offer.started.map(|on| (STARTED, on))
}

/// The day of the first contact that was not taken back.
fn first_contact(offer: &Offer) -> Option<DatedMilestone> {
    offer.standing_contacts().map(|it| it.on).min().map(|on| ("the first contact", on))
}

/// The day of the last contact that was not taken back.
pub(in crate::programme) fn last_contact(offer: &Offer) -> Option<DatedMilestone> {
    offer.standing_contacts().map(|it| it.on).max().map(|on| ("the last contact", on))
}

impl ProgrammeState {
    /// Refuses a day before any of these milestones of an offer. Under rules 1 no day is refused.
    pub(in crate::programme) fn before_milestones(
        &self,
        offer: &Offer,
        on: Date,
        milestones: impl IntoIterator<Item = DatedMilestone>,
    ) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 {
            return None;
        }
        not_before(|| offer.id.into(), on, milestones)
    }

    /// The milestones of an offer before which it must not be closed.
    pub(in crate::programme) fn milestones_before_closing<'a>(
        &'a self,
        offer: &'a Offer,
    ) -> impl Iterator<Item = DatedMilestone> + 'a {
        let last_draws =
            self.awards_under(offer.id).filter_map(|it| self.movements.drawn_between(it.id)).map(|(_, last)| last);
        let drawn = last_draws.max().map(|on| ("something was delivered or drawn", on));
        // The date of each award that is not settled is checked when its commitment is released: see `release_on_closing`.
        let settled = self.awards_under(offer.id).filter(|it| it.is_settled() && !it.has_open_bookings());
        let awarded = settled.map(|it| it.on).max().map(|on| ("an award was made", on));
        [first_contact(offer), accepted(offer), started(offer), awarded, drawn].into_iter().flatten()
    }

    /// Refuses a contact after the last day of contacts, if the terms have such a day. Under rules 1 no day is refused.
    pub(in crate::programme) fn contact_too_late(&self, on: Date) -> Option<Refusal> {
        let last_day = self.programme.scheme.contact_until().filter(|last_day| on > *last_day)?;
        if self.rules < RulesVersion::V2 {
            return None;
        }
        let programme = self.programme.programme.clone();
        let subject = LimitSubject::Window { name: "contacts", programme, days: None };
        let limit = Limit::plain(LimitKind::Period, subject, format!("give a date on or before {last_day}"));
        Some(Refusal::of(Reason::OutsideWindow, format!("{on} lies after the last day of contacts, {last_day}"), limit))
    }

    /// The least amount that was drawn and not refunded as of `on` and each later day, and the first day from which the amount
    /// is always enough for the request. Counts one payment of an invoice (`paid`), or the draws without an invoice. Under
    /// rules 1, which had no such limit, returns [`i64::MAX`] and no day.
    pub(in crate::programme) fn least_drawn_from(
        &self,
        award: &Award,
        paid: Option<Seq>,
        on: Date,
        requested: i64,
    ) -> (i64, Option<Date>) {
        if self.rules < RulesVersion::V2 {
            return (i64::MAX, None);
        }
        self.movements.spent_from(award.id, paid, on, requested)
    }

    /// Refuses to refund on a day an amount that was drawn only later. Returns the amount that could be refunded on that day,
    /// and the refusal, if any.
    pub(in crate::programme) fn refund_before_draw(
        &self,
        award: &Award,
        paid: Option<Seq>,
        on: Date,
        requested: i64,
    ) -> (i64, Option<Refusal>) {
        let (least, from) = self.least_drawn_from(award, paid, on, requested);
        let drawn_later = from.filter(|_| requested > least).map(|from| ("what it takes back was drawn", from));
        (least.max(0), not_before(|| super::limits::subject(award), on, drawn_later))
    }

    /// Refuses to draw or release on a day an amount that was not committed on that day and each later day. Returns the amount
    /// that was committed, and the refusal, if any. An amount whose draw or release was undone is committed again only from the
    /// undo on.
    pub(in crate::programme) fn taken_before_commitment(
        &self,
        award: &Award,
        on: Date,
        requested: i64,
    ) -> (i64, Option<Refusal>) {
        if self.rules < RulesVersion::V2 {
            return (i64::MAX, None);
        }
        let (least, from) = self.movements.committed_from(award.id, award.awarded, on, requested);
        let committed_later =
            from.filter(|_| requested > least).map(|from| ("what it takes was given back by an undo", from));
        (least.max(0), not_before(|| super::limits::subject(award), on, committed_later))
    }

    /// Corrects the day of the acceptance or of the start of delivery by a counter-event. The new day must not be before a
    /// milestone that the corrected one depends on, and not after a milestone that depends on the corrected one.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Stale`]; [`Reason::StateNotAllowed`], [`Reason::OutsideProgramme`],
    /// [`Reason::ContactMissing`], [`Reason::DateOrder`].
    pub(in crate::programme) fn correct_date(
        &self,
        target: &OfferTarget,
        milestone: Milestone,
        on: Date,
        reason: &str,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decision = self.decide_on_offer(target, |offer| {
            let wrong_state = check(lifecycle::OfferAction::CorrectDate, offer.state, offer.id).err();
            let is_recorded = match milestone {
                Milestone::Accepted => offer.accepted.is_some(),
                Milestone::Started => offer.started.is_some(),
            };
            let missing = (wrong_state.is_none() && !is_recorded).then(|| {
                let limit = Limit::plain(LimitKind::State, offer.id, format!("record it as {milestone} first"));
                Refusal::of(
                    Reason::StateNotAllowed,
                    format!("the offer has no date on which it was {milestone}"),
                    limit,
                )
            });
            let subject = || offer.id.into();
            let not_contacted = offer
                .accepted
                .filter(|_| milestone == Milestone::Accepted)
                .and_then(|it| offer.refusal_if_acceptor_not_contacted(it.by, on));
            let required = accepted(offer).filter(|_| milestone == Milestone::Started);
            let too_early = not_before(subject, on, required);
            let too_late = not_after(subject, on, self.dependents_of(offer, milestone));
            let refusals = [wrong_state, missing, not_contacted, too_early, too_late, self.before_programme(on)];
            Refusal::join(refusals.into_iter().flatten())?;
            let draft = NewEvent::of(offer.id, now.today, EventBody::DateCorrected { milestone, on });
            Ok(draft.with_text(Some(reason.to_owned())))
        });
        decision.map(|it| it.warn_if_past(on, now))
    }

    /// The milestones that depend on the day of an offer's acceptance or start.
    fn dependents_of(&self, offer: &Offer, milestone: Milestone) -> Vec<DatedMilestone> {
        let awards = || self.awards_under(offer.id);
        match milestone {
            Milestone::Accepted => {
                let awarded = awards().map(|it| it.on).min().map(|on| ("an award was made", on));
                awarded.into_iter().chain(started(offer)).collect()
            }
            Milestone::Started => {
                let first_draws = awards().filter_map(|it| self.movements.drawn_between(it.id)).map(|(first, _)| first);
                first_draws.min().map(|on| ("something was delivered or drawn", on)).into_iter().collect()
            }
        }
    }

    fn awards_under(&self, offer: OfferId) -> impl Iterator<Item = &Award> {
        self.awards.of_offer(offer)
    }
}
