//! What needs two people: the first call opens an approval, the second person's approval carries it out.

use uuid::Uuid;

use crate::approval::{Approval, ApprovalAnswer, ApprovalCaller, statement_of};
use crate::event::{EventBody, NewEvent};
use crate::ids::{ApprovalId, OfferId};
use crate::offer::Offer;
use crate::programme::ProgrammeState;
use crate::programme::command::OfferTarget;
use crate::programme::context::Context;
use crate::programme::decision::{Approved, CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::rules::RulesVersion;
use crate::values::approval::ApprovalAction;
use crate::values::statement::Statement;

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
        let same = self.approvals.about(subject).filter(|it| same(it));
        let opened = self.approval_caller(context).asked_before(same, context.request);
        opened.map_or(Ok(()), |it| Err(it.asked_before(context.now.at)))
    }

    /// The caller, as the rules of approvals see one.
    pub(in crate::programme) fn approval_caller(&self, context: &Context<'_>) -> ApprovalCaller {
        ApprovalCaller { person: context.person(), now: context.now.at, rules: self.rules }
    }

    /// An approval that the caller asks for; it expires after the days that the terms say.
    pub(in crate::programme) fn asking(
        &self,
        action: ApprovalAction,
        subject: Uuid,
        context: &mut Context<'_>,
    ) -> Approval {
        let id = ApprovalId((context.ids)());
        self.approval_caller(context).asking(id, action, subject, self.programme.scheme.approvals_expire_days())
    }

    /// Opens an approval to reopen an offer, or names the one its caller opened already.
    pub(in crate::programme) fn ask_to_reopen(
        &self,
        target: &OfferTarget,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let subject = target.offer.0;
        // An open one that the offer has changed since cannot be given: then another may be opened.
        let now = context.now.at;
        let useless = |it: &Approval| {
            it.state_at(now).is_open() && self.offers.get(&target.offer).is_some_and(|offer| !it.stands(offer))
        };
        let reopens = |it: &Approval| it.action == ApprovalAction::ReopenOffer && !useless(it);
        self.not_asked_before(context, subject, reopens)?;
        let offer = self.target(target)?;
        self.may_reopen(offer)?;
        if let Some(open) =
            self.approval_caller(context).own_open(self.approvals.about(subject).filter(|it| reopens(it)))
        {
            return Err(open.required().into());
        }
        let asked = self.asking(ApprovalAction::ReopenOffer, subject, context);
        let asked = Approval { statement: Some(statement_of(offer)), ..asked };
        Ok(opening(asked, Some(reason.to_owned()), context))
    }

    /// Gives an approval and carries out what was asked, in one decision.
    pub(in crate::programme) fn give_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let waiting = self.answerable(approval, ApprovalAnswer::Given, context)?;
        match waiting.action {
            ApprovalAction::ReopenOffer => self.give_reopening(waiting, context),
            ApprovalAction::DecideEntry => {
                let asked = waiting.school().ok_or(CommandError::Bug("an approval about a school states none"))?;
                self.give_entry(waiting, asked, context)
            }
            ApprovalAction::AllocateFund | ApprovalAction::WithdrawFund | ApprovalAction::MoveFunds => {
                let change = waiting.change.as_ref().ok_or(CommandError::Bug("an approval of money moves none"))?;
                self.give_money_approval(waiting, change, context)
            }
            ApprovalAction::WithdrawImport => Err(CommandError::Bug("no programme withdraws an import")),
        }
    }

    fn give_reopening(&self, waiting: &Approval, context: &Context<'_>) -> Result<Decision, CommandError> {
        let approval = waiting.id;
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
        let waiting = self.answerable(approval, ApprovalAnswer::Denied, context)?;
        let offer = waiting.offer();
        let body = EventBody::ApprovalDenied { approval, token_subject: context.subject };
        let denied = NewEvent { offer, ..NewEvent::of_book(context.now.today, body) };
        let answer = CommandAnswer::Approved(approval, Approved::Nothing);
        Ok(Decision::new(vec![denied.with_text(Some(reason.to_owned()))], answer))
    }

    /// Withdraws an approval, as its requester: nothing of what was asked is done, and it is open no more.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`].
    pub(in crate::programme) fn withdraw_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let offer = self.answerable(approval, ApprovalAnswer::Withdrawn, context)?.offer();
        let withdrawn = EventBody::ApprovalWithdrawn { approval, token_subject: context.subject };
        let withdrawn = NewEvent { offer, ..NewEvent::of_book(context.now.today, withdrawn) };
        Ok(Decision::new(vec![withdrawn], CommandAnswer::Approved(approval, Approved::Nothing)))
    }

    /// An approval that this caller may answer so.
    fn answerable(
        &self,
        approval: ApprovalId,
        answer: ApprovalAnswer,
        context: &Context<'_>,
    ) -> Result<&Approval, CommandError> {
        let found =
            self.approvals.get(&approval).ok_or_else(|| CommandError::not_found(EntityKind::Approval, approval))?;
        self.approval_caller(context).may(found, answer)?;
        Ok(found)
    }

    /// Refuses what would do more than an approval states. Before rules 2 approvals stated nothing.
    pub(in crate::programme) fn beyond(&self, approval: &Approval, now: &Statement) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 { None } else { approval.exceeded_by(now, |fund| self.ledger.get(fund)) }
    }

    fn may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let barred = offer.may_reopen(|urn| self.listed.get(&urn).copied()).err();
        Refusal::none_of(barred.into_iter().chain(self.programme_closed()))
    }

    /// Refuses what a closed programme does not allow.
    pub(in crate::programme) fn programme_closed(&self) -> Option<Refusal> {
        (!self.programme.open).then(|| {
            let limit = Limit::plain(LimitKind::Period, self.programme.programme.clone(), "nothing lifts it");
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        })
    }
}

/// Opens an approval, and names it to the caller.
pub(in crate::programme) fn opening(asked: Approval, text: Option<String>, context: &Context<'_>) -> Decision {
    let (offer, refusal) = (asked.offer(), asked.required());
    let body = EventBody::ApprovalOpened {
        approval: asked.id,
        action: asked.action,
        change: asked.change,
        statement: asked.statement,
        expires_at: asked.expires,
        token_subject: context.subject,
    };
    let draft = NewEvent { offer, ..NewEvent::of_book(context.now.today, body) }.with_text(text);
    Decision::new(vec![draft], CommandAnswer::ApprovalOpened(refusal))
}
