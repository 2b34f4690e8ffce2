//! What needs two people: the first call opens an approval, the second person's approval carries it out.

use uuid::Uuid;

use crate::approval::{Approval, asked_before, check, check_withdrawal, required, statement_of};
use crate::event::{EventBody, NewEvent};
use crate::ids::{ApprovalId, OfferId};
use crate::offer::Offer;
use crate::programme::ProgrammeState;
use crate::programme::command::OfferTarget;
use crate::programme::context::Context;
use crate::programme::decision::{Approved, CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::refusal::{Limit, Reason, Refusal};
use crate::time::Micros;
use crate::values::approval::ApprovalAction;

impl ProgrammeState {
    /// Refuses a call that opened an approval and is made again: retried, it must not open a second one. It comes before
    /// all limits, as an answer given before does.
    ///
    /// # Errors
    /// [`Reason::ApprovalRequired`] while the approval is open, then [`Reason::ApprovalNotOpen`].
    pub(in crate::programme) fn not_asked_before(
        &self,
        context: &Context<'_>,
        subject: Uuid,
        same: impl Fn(&Approval) -> bool,
    ) -> Result<(), Refusal> {
        let by_this_call =
            |it: &&Approval| it.request == Some(context.request) && it.requested_by == *context.actor && same(it);
        match self.approvals.about(subject).find(by_this_call) {
            Some(opened) => {
                let state = opened.state_at(context.now.at);
                Err(asked_before(opened.id, (&state, opened.expires), &opened.phrase()))
            }
            None => Ok(()),
        }
    }

    /// Opens an approval to reopen an offer, or names the one its caller opened already.
    pub(in crate::programme) fn ask_to_reopen(
        &self,
        target: &OfferTarget,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let subject = target.offer.0;
        let about_it = |it: &Approval| it.action == ApprovalAction::ReopenOffer;
        // An open one that the offer has changed since cannot be given: then another may be opened.
        let now = context.now.at;
        let useless = |it: &Approval| {
            it.state_at(now).is_open() && self.offers.get(&target.offer).is_some_and(|offer| !it.stands(offer))
        };
        self.not_asked_before(context, subject, |it| about_it(it) && !useless(it))?;
        let offer = self.target(target)?;
        self.may_reopen(offer)?;
        let mine = |it: &&Approval| {
            about_it(it)
                && it.state_at(now).is_open()
                && it.stands(offer)
                && self.is_one(&it.asked_by(), &context.person())
        };
        if let Some(open) = self.approvals.about(subject).find(mine) {
            return Err(required(open.id, "reopening an offer").into());
        }
        let approval = ApprovalId((context.ids)());
        let body = EventBody::ApprovalOpened {
            approval,
            action: ApprovalAction::ReopenOffer,
            change: None,
            statement: Some(statement_of(offer)),
            expires_at: Some(self.expiry(context)),
            token_subject: context.subject,
        };
        let draft = NewEvent::of(offer.id, context.now.today, body).with_text(Some(reason.to_owned()));
        Ok(Decision::new(vec![draft], CommandAnswer::ApprovalOpened(required(approval, "reopening an offer"))))
    }

    /// Gives an approval and carries out what was asked, in one decision.
    pub(in crate::programme) fn give_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let waiting = self.waiting(approval, context)?;
        if let Some(change) = &waiting.change {
            return self.give_money_approval(approval, change, context);
        }
        if let Some(asked) = waiting.school() {
            return self.give_entry(waiting, asked, context);
        }
        let offer = self
            .offers
            .get(&OfferId(waiting.subject))
            .ok_or(CommandError::Bug("the approval's offer is not loaded"))?;
        let changed = self.beyond(waiting, &statement_of(offer));
        Refusal::none_of(self.may_reopen(offer).err().into_iter().chain(changed))?;
        let today = context.now.today;
        let reopened = offer.reopen(approval, today, |urn| self.listed.get(&urn).copied())?;
        let given =
            NewEvent::of(offer.id, today, EventBody::ApprovalGiven { approval, token_subject: context.subject });
        Ok(Decision::new(vec![given, reopened], CommandAnswer::Approved(approval, Approved::Offer(offer.id))))
    }

    /// Denies an approval: nothing of what was asked is done, and it is open no more.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`Reason::ApprovalNotOpen`], [`Reason::SelfApproval`].
    pub(in crate::programme) fn deny_approval(
        &self,
        approval: ApprovalId,
        reason: &str,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let waiting = self.waiting(approval, context)?;
        let offer = waiting.offer();
        let body = EventBody::ApprovalDenied { approval, token_subject: context.subject };
        let denied = NewEvent { offer, ..NewEvent::of_book(context.now.today, body) };
        let answer = CommandAnswer::Approved(approval, Approved::Nothing);
        Ok(Decision::new(vec![denied.with_text(Some(reason.to_owned()))], answer))
    }

    /// Takes an approval back, as whoever asked: nothing of what was asked is done, and it is open no more.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`].
    pub(in crate::programme) fn withdraw_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let found =
            self.approvals.get(&approval).ok_or_else(|| CommandError::NotFound(format!("approval {approval}")))?;
        let is_theirs = self.is_one(&found.asked_by(), &context.person());
        check_withdrawal(approval, is_theirs, &found.state_at(context.now.at))?;
        let offer = found.offer();
        let withdrawn = EventBody::ApprovalWithdrawn { approval, token_subject: context.subject };
        let withdrawn = NewEvent { offer, ..NewEvent::of_book(context.now.today, withdrawn) };
        Ok(Decision::new(vec![withdrawn], CommandAnswer::Approved(approval, Approved::Nothing)))
    }

    /// When an approval that is asked for now expires.
    pub(in crate::programme) fn expiry(&self, context: &Context<'_>) -> Micros {
        context.now.at.plus_days(self.programme.scheme.approvals_expire_days())
    }

    /// An approval that this caller may answer.
    fn waiting(&self, approval: ApprovalId, context: &Context<'_>) -> Result<&Approval, CommandError> {
        let found =
            self.approvals.get(&approval).ok_or_else(|| CommandError::NotFound(format!("approval {approval}")))?;
        let is_theirs = self.is_one(&found.asked_by(), &context.person());
        check(approval, is_theirs, &found.state_at(context.now.at))?;
        Ok(found)
    }

    fn may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let barred = offer.may_reopen(|urn| self.listed.get(&urn).copied()).err();
        Refusal::none_of(barred.into_iter().chain(self.programme_closed()))
    }

    /// Refuses what a closed programme has no room for.
    pub(in crate::programme) fn programme_closed(&self) -> Option<Refusal> {
        (!self.programme.open).then(|| {
            let limit = Limit::plain("period", format!("programme {}", self.programme.programme), "nothing lifts it");
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        })
    }
}
