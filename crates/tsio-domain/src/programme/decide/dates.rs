//! The order of dates: a command is dated no earlier than what brought its offer into the state it needs, and what rests
//! on a day keeps that day from moving past it (`domain.md` section 4).
//!
//! Rules version 2 brought it. What was recorded before stays as it is, and nothing is dated before it any more.

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

/// Something on record that has a day: `the offer was accepted`.
pub(in crate::programme) type DatedMilestone = (&'static str, Date);

const ACCEPTED: &str = "the offer was accepted";
const STARTED: &str = "delivery started";

/// Refuses a day before any of these, and names the last of them.
pub(in crate::programme) fn not_before(
    subject: impl FnOnce() -> LimitSubject,
    on: Date,
    moments: impl IntoIterator<Item = DatedMilestone>,
) -> Option<Refusal> {
    let (what, other) = moments.into_iter().filter(|it| it.1 > on).max_by_key(|it| it.1)?;
    let limit = Limit::plain(LimitKind::Period, subject(), format!("give a date on or after {other}"));
    Some(Refusal::of(Reason::DateOrder, format!("{on} lies before {what}, on {other}"), limit))
}

/// Refuses a day after any of these, and names the first of them.
fn not_after(
    subject: impl FnOnce() -> LimitSubject,
    on: Date,
    moments: impl IntoIterator<Item = DatedMilestone>,
) -> Option<Refusal> {
    let (what, other) = moments.into_iter().filter(|it| it.1 < on).min_by_key(|it| it.1)?;
    let limit = Limit::plain(LimitKind::Period, subject(), format!("give a date on or before {other}"));
    Some(Refusal::of(Reason::DateOrder, format!("{on} lies after {what}, on {other}"), limit))
}

/// Refuses a day before an award was made for what happens to it: as of no day is less than nothing of it promised.
pub(in crate::programme) fn before_award(award: &Award, on: Date) -> Option<Refusal> {
    not_before(|| super::limits::subject(award), on, [("the award was made", award.on)])
}

/// The day an offer was accepted.
pub(in crate::programme) fn accepted(offer: &Offer) -> Option<DatedMilestone> {
    offer.accepted.map(|it| (ACCEPTED, it.on))
}

/// The day delivery started.
pub(in crate::programme) fn started(offer: &Offer) -> Option<DatedMilestone> {
    offer.started.map(|on| (STARTED, on))
}

fn first_contact(offer: &Offer) -> Option<DatedMilestone> {
    offer.standing_contacts().map(|it| it.on).min().map(|on| ("the first contact", on))
}

/// The last contact of the body that declines.
pub(in crate::programme) fn last_contact(offer: &Offer) -> Option<DatedMilestone> {
    offer.standing_contacts().map(|it| it.on).max().map(|on| ("the last contact", on))
}

impl ProgrammeState {
    /// Refuses a day of an offer's command before any of these moments of it.
    pub(in crate::programme) fn in_order(
        &self,
        offer: &Offer,
        on: Date,
        moments: impl IntoIterator<Item = DatedMilestone>,
    ) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 {
            return None;
        }
        not_before(|| offer.id.into(), on, moments)
    }

    /// What an offer is not closed before.
    pub(in crate::programme) fn before_closing<'a>(
        &'a self,
        offer: &'a Offer,
    ) -> impl Iterator<Item = DatedMilestone> + 'a {
        let drawn =
            self.awards_under(offer.id).filter_map(|it| self.movements.drawn_between(it.id)).map(|(_, last)| last);
        let drawn = drawn.max().map(|on| ("something was delivered or drawn", on));
        // Of what is still open each award says so itself.
        let settled = self.awards_under(offer.id).filter(|it| it.is_settled() && !it.has_open_bookings());
        let awarded = settled.map(|it| it.on).max().map(|on| ("an award was made", on));
        [first_contact(offer), accepted(offer), started(offer), awarded, drawn].into_iter().flatten()
    }

    /// Refuses a contact dated after the last day of the academic year's contacts; absent from the terms, there is none.
    pub(in crate::programme) fn contact_too_late(&self, on: Date) -> Option<Refusal> {
        let last = self.programme.scheme.contact_until().filter(|last| on > *last)?;
        if self.rules < RulesVersion::V2 {
            return None;
        }
        let programme = self.programme.programme.clone();
        let subject = LimitSubject::Window { name: "contacts", programme, days: None };
        let limit = Limit::plain(LimitKind::Period, subject, format!("give a date on or before {last}"));
        Some(Refusal::of(Reason::OutsideWindow, format!("{on} lies after the last day of contacts, {last}"), limit))
    }

    /// What was drawn and not refunded as of each day from one on, of a payment of an invoice or of what was drawn without one:
    /// the least of these, and the first day from which it is always enough. Before rules 2 any day was.
    pub(in crate::programme) fn drawn_since(
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

    /// Refuses the refund of what was drawn later than that day; answers what of it there was from that day on.
    pub(in crate::programme) fn before_draw(
        &self,
        award: &Award,
        paid: Option<Seq>,
        on: Date,
        requested: i64,
    ) -> (i64, Option<Refusal>) {
        let (least, from) = self.drawn_since(award, paid, on, requested);
        let drawn = from.filter(|_| requested > least).map(|from| ("what it takes back was drawn", from));
        (least.max(0), not_before(|| super::limits::subject(award), on, drawn))
    }

    /// Refuses to draw, release or give back what of an award was not committed as of that day and each later one; answers
    /// what of it there was. What was undone meanwhile was gone until then.
    pub(in crate::programme) fn before_commitment(
        &self,
        award: &Award,
        on: Date,
        requested: i64,
    ) -> (i64, Option<Refusal>) {
        if self.rules < RulesVersion::V2 {
            return (i64::MAX, None);
        }
        let (least, from) = self.movements.committed_from(award.id, award.awarded, on, requested);
        let gone = from.filter(|_| requested > least).map(|from| ("what it takes was given back by an undo", from));
        (least.max(0), not_before(|| super::limits::subject(award), on, gone))
    }

    /// Corrects the day of the acceptance or of the start by a counter-event, between what it depends on and what depends on
    /// it.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideProgramme`], [`Reason::ContactMissing`], [`Reason::DateOrder`].
    pub(in crate::programme) fn correct_date(
        &self,
        target: &OfferTarget,
        milestone: Milestone,
        on: Date,
        reason: &str,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let decided = self.decide_on_offer(target, |offer| {
            let state = check(lifecycle::OfferAction::CorrectDate, offer.state, offer.id).err();
            let recorded = match milestone {
                Milestone::Accepted => offer.accepted.is_some(),
                Milestone::Started => offer.started.is_some(),
            };
            let missing = (state.is_none() && !recorded).then(|| {
                let limit = Limit::plain(LimitKind::State, offer.id, format!("record it as {milestone} first"));
                Refusal::of(
                    Reason::StateNotAllowed,
                    format!("the offer has no date on which it was {milestone}"),
                    limit,
                )
            });
            let subject = || offer.id.into();
            let untold =
                offer.accepted.filter(|_| milestone == Milestone::Accepted).and_then(|it| offer.untold(it.by, on));
            let rests_on = accepted(offer).filter(|_| milestone == Milestone::Started);
            let early = not_before(subject, on, rests_on);
            let late = not_after(subject, on, self.resting_on(offer, milestone));
            let all = [state, missing, untold, early, late, self.before_programme(on)];
            Refusal::none_of(all.into_iter().flatten())?;
            let draft = NewEvent::of(offer.id, now.today, EventBody::DateCorrected { milestone, on });
            Ok(draft.with_text(Some(reason.to_owned())))
        });
        decided.map(|it| it.warn_if_past(on, now))
    }

    /// What depends on the day of an offer's acceptance or start.
    fn resting_on(&self, offer: &Offer, milestone: Milestone) -> Vec<DatedMilestone> {
        let awards = || self.awards_under(offer.id);
        match milestone {
            Milestone::Accepted => {
                let awarded = awards().map(|it| it.on).min().map(|on| ("an award was made", on));
                awarded.into_iter().chain(started(offer)).collect()
            }
            Milestone::Started => {
                let drawn = awards().filter_map(|it| self.movements.drawn_between(it.id)).map(|(first, _)| first);
                drawn.min().map(|on| ("something was delivered or drawn", on)).into_iter().collect()
            }
        }
    }

    fn awards_under(&self, offer: OfferId) -> impl Iterator<Item = &Award> {
        self.awards.of(offer)
    }
}
