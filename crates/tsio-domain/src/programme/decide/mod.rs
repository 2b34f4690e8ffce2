//! Decides one command. There is a file for each kind of command, and files for the checks that several kinds share.
//!
//! A check whose comment begins with "Refuses" returns the refusal, or none if there is nothing to refuse.

pub mod approvals;
mod as_of;
pub mod awards;
pub mod claims;
mod contact;
pub(crate) mod dates;
mod endings;
pub mod entry_position;
pub mod erasure;
pub mod funds;
pub mod identify;
pub(crate) mod limits;
mod placing;
mod referral_refusals;
pub mod referrals;
mod spending;
pub mod threshold;
mod undo;

use super::command::{Command, OfferTarget};
use super::context::Context;
use super::decision::{CommandAnswer, Decision};
use super::error::CommandError;
use super::state::ProgrammeState;
use crate::Date;
use crate::event::{EventBody, NewEvent};
use crate::ids::{AwardId, OfferId};
use crate::offer::Offer;
use crate::person::Person;
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::role::Reach;
use crate::time::{self, Now};

impl ProgrammeState {
    /// Decides one command, without changing the state. Returns the events, the answer and the warnings.
    ///
    /// The order of the checks is: the date is not in the future; the named entities exist and are within the caller's reach; the
    /// etag is current; the state allows the command; no limit is exceeded.
    ///
    /// # Errors
    /// Any [`CommandError`].
    pub fn decide(&self, command: &Command, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        Ok(self.decide_uncited(command, context)?.citing(self.register_seq))
    }

    fn decide_uncited(&self, command: &Command, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        let today = context.now.today;
        command.happened_on().map(|on| time::happened(on, today)).transpose()?;
        self.within_reach(command, context.reach, &context.person())?;
        match command {
            Command::Identify => {
                let candidates = self.candidates.as_ref().ok_or(CommandError::Bug("identify without candidates"))?;
                Ok(self.identify(candidates, context))
            }
            Command::Contact { offers, party, on, text } => {
                self.contact(offers, *party, *on, text.as_ref(), context.now)
            }
            Command::Correct { offer, contact, text } => {
                let correction = |it: &Offer| it.correct(*contact, today).map(|draft| draft.with_text(text.clone()));
                self.decide_on_offer(offer, correction)
            }
            Command::Accept { offer, by, on, text } => {
                self.decide_dated(offer, *on, text.as_ref(), context.now, |it| it.accept(*by, *on))
            }
            Command::CorrectDate { offer, milestone, on, reason } => {
                self.correct_date(offer, *milestone, *on, reason, context.now)
            }
            Command::Decline { offer, reason, on, text } => {
                self.decline(offer, *reason, (*on, text.as_ref()), context.now)
            }
            Command::Start { offer, on } => self.start(offer, *on, context.now),
            Command::Close { offer, outcome, on, text } => {
                self.close(offer, *outcome, (*on, text.as_ref()), context.now)
            }
            Command::Reopen { offer, reason } => self.ask_to_reopen(offer, reason, context),
            Command::GiveApproval { approval, .. } => self.give_approval(*approval, context),
            Command::DenyApproval { approval, reason, .. } => self.deny_approval(*approval, reason, context),
            Command::WithdrawApproval { approval, .. } => self.withdraw_approval(*approval, context),
            Command::Assign { offer, to } => {
                let body = EventBody::Assigned { to: to.clone() };
                self.decide_on_offer(offer, |it| Ok(NewEvent::of(it.id, today, body.clone())))
            }
            Command::Note { offer, text } => {
                let note = |it: &Offer| NewEvent::of(it.id, today, EventBody::Noted {}).with_text(Some(text.clone()));
                self.decide_on_offer(offer, |it| Ok(note(it)))
            }
            Command::ChangeRegion { offer, to } => self.decide_on_offer(offer, |it| {
                let body = EventBody::RegionChanged { from: it.region, to: *to };
                Ok(NewEvent::of(it.id, today, body))
            }),
            Command::Place { urn, placement, reason } => self.place(*urn, *placement, reason, today),
            Command::DecideEntry { urn, met, reason } => self.ask_entry(*urn, *met, reason, context),
            Command::EraseText { event, reason } => self.erase_text(*event, *reason, today),
            Command::CreateFund { strand, region } => self.create_fund(strand, *region, context),
            Command::ChangeFund { change, etag, text } => {
                self.change_fund(change, etag.as_ref(), text.as_ref(), context)
            }
            Command::Award { offer, awards, on } => self.award(offer, awards, *on, context),
            Command::BookDays { award, half_days, on, leader, leader_kind } => {
                self.book(award, (*half_days, *on), (leader.as_ref(), *leader_kind), context.now)
            }
            Command::CancelBooking { award, booking } => self.cancel_booking(award, *booking, context.now),
            Command::Draw { .. } => self.draw(command, context.reach, context.now),
            Command::Release { award, amount, on, text } => {
                self.release(award, *amount, *on, text.as_ref(), context.now)
            }
            Command::Refund { .. } => self.refund(command, context.now),
            Command::Undo { award, movement, reason } => {
                self.undo((award, context.reach), *movement, reason, context.now)
            }
            Command::Refer(command) => self.refer(command, context),
        }
    }

    /// Reports entities outside the caller's reach as not found, so that the caller does not learn that they exist.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] with every such entity that the command names.
    pub fn within_reach(&self, command: &Command, reach: &Reach, caller: &Person) -> Result<(), CommandError> {
        match command {
            Command::Contact { .. }
            | Command::Correct { .. }
            | Command::Accept { .. }
            | Command::CorrectDate { .. }
            | Command::Decline { .. }
            | Command::Start { .. }
            | Command::Close { .. }
            | Command::Reopen { .. }
            | Command::Assign { .. }
            | Command::Note { .. }
            | Command::ChangeRegion { .. }
            | Command::Award { .. } => self.offers_within_reach(&command.offers(), reach),
            Command::BookDays { award, .. }
            | Command::CancelBooking { award, .. }
            | Command::Draw { award, .. }
            | Command::Release { award, .. }
            | Command::Refund { award, .. }
            | Command::Undo { award, .. } => self.award_within_reach(award.award, reach),
            Command::DecideEntry { urn, .. } => self.school_within_reach(*urn, reach),
            Command::GiveApproval { approval, .. }
            | Command::DenyApproval { approval, .. }
            | Command::WithdrawApproval { approval, .. } => self.approval_within_reach(*approval, reach, caller),
            Command::Refer(command) => self.referral_within_reach(command, reach),
            // Identify itself makes and changes only offers within the reach.
            Command::Identify => Ok(()),
            // These commands need no check: only finance and administrators may send them, and their reach is the whole country. A
            // test of the role table checks this.
            Command::Place { .. }
            | Command::EraseText { .. }
            | Command::CreateFund { .. }
            | Command::ChangeFund { .. } => Ok(()),
        }
    }

    fn offers_within_reach(&self, offers: &[OfferId], reach: &Reach) -> Result<(), CommandError> {
        let hidden_offers = offers.iter().filter(|id| self.offer_is_hidden(**id, reach));
        let hidden: Vec<String> = hidden_offers.map(ToString::to_string).collect();
        if hidden.is_empty() { Ok(()) } else { Err(CommandError::NotFound(EntityKind::Offer, hidden)) }
    }

    fn award_within_reach(&self, award: AwardId, reach: &Reach) -> Result<(), CommandError> {
        match self.awards.get(&award) {
            Some(loaded) if self.offer_is_hidden(loaded.offer, reach) => {
                Err(CommandError::not_found(EntityKind::Award, award))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether an offer exists and is outside the caller's reach. A later check reports an offer that does not exist.
    fn offer_is_hidden(&self, offer: OfferId, reach: &Reach) -> bool {
        self.offers.get(&offer).is_some_and(|it| !reach.covers(it.region, it.assignee.as_ref()))
    }

    /// The offer with this id, or the error that it does not exist.
    fn existing_offer(&self, id: OfferId) -> Result<&Offer, CommandError> {
        self.offers.get(&id).ok_or_else(|| CommandError::not_found(EntityKind::Offer, id))
    }

    /// The offer that a command changes, after checking the caller's etag.
    fn target_offer(&self, target: &OfferTarget) -> Result<&Offer, CommandError> {
        let offer = self.existing_offer(target.offer)?;
        match &target.etag {
            Some(etag) if *etag != offer.etag() => Err(CommandError::Stale {
                subject: format!("offer {}", offer.id),
                given: etag.clone(),
                current: offer.etag(),
            }),
            _ => Ok(offer),
        }
    }

    /// Decides a command that records one event about one offer. Checks the caller's etag first.
    fn decide_on_offer(
        &self,
        target: &OfferTarget,
        decide: impl Fn(&Offer) -> Result<NewEvent, Refusal>,
    ) -> Result<Decision, CommandError> {
        let offer = self.target_offer(target)?;
        let draft = decide(offer)?;
        Ok(Decision::new(vec![draft], CommandAnswer::Offers(vec![offer.id])))
    }

    /// Decides a command that records a past action on one offer. Refuses a day before the programme's year. Adds a warning for a
    /// day long ago.
    fn decide_dated(
        &self,
        target: &OfferTarget,
        on: Date,
        text: Option<&String>,
        now: Now,
        decide: impl Fn(&Offer) -> Result<NewEvent, Refusal>,
    ) -> Result<Decision, CommandError> {
        let decision = self.decide_on_offer(target, |it| {
            let event = decide(it);
            let refusal = event.as_ref().err().cloned();
            Refusal::join(refusal.into_iter().chain(self.before_programme(on)))?;
            event.map(|draft| draft.with_text(text.cloned()))
        });
        decision.map(|it| it.warn_if_past(on, now))
    }

    /// Refuses a day before the programme's year starts. None if the day is not before it.
    fn before_programme(&self, on: Date) -> Option<Refusal> {
        let (programme, start) = (&self.programme.programme, self.programme.scheme.year().from);
        let remedy = format!("give a date on or after {start}");
        let limit = Limit::plain(LimitKind::Period, programme.clone(), remedy);
        let message = format!("{on} lies before programme {programme} starts");
        (on < start).then(|| Refusal::of(Reason::OutsideProgramme, message, limit))
    }
}
