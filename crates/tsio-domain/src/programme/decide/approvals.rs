//! Decides changes that need two people. The request of the first person opens an approval. The change is carried out when a second
//! person gives the approval.

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
    /// Refuses a repeated request that already opened an approval, so that a retry does not open a second one. This check comes
    /// before all limits, because a repeated request gets the answer of the first request, even if the state has changed since.
    ///
    /// # Errors
    /// [`Reason::ApprovalRequired`] while the approval is open. [`Reason::ApprovalClosed`] if it was denied or withdrawn, or has
    /// expired. [`Reason::ApprovalNotOpen`] if it was given, or if it was denied under version 1 of the rules.
    pub(in crate::programme) fn refuse_repeated_request(
        &self,
        context: &Context<'_>,
        subject: Uuid,
        is_same: impl Fn(&Approval) -> bool,
    ) -> Result<(), Refusal> {
        let same_change = self.approvals.about(subject).filter(|it| is_same(it));
        let opened = self.approval_caller(context).opened_by_request(same_change, context.request);
        opened.map_or(Ok(()), |it| Err(it.repeated_request_refusal(context.now.at)))
    }

    /// The caller, with the time and the rules version that decide whether the caller may answer an approval.
    pub(in crate::programme) fn approval_caller(&self, context: &Context<'_>) -> ApprovalCaller {
        ApprovalCaller { person: context.person(), now: context.now.at, rules: self.rules }
    }

    /// A new approval that the caller requests. It expires after the number of days in the terms.
    pub(in crate::programme) fn new_approval(
        &self,
        action: ApprovalAction,
        subject: Uuid,
        context: &mut Context<'_>,
    ) -> Approval {
        let id = ApprovalId((context.ids)());
        self.approval_caller(context).new_approval(id, action, subject, self.programme.scheme.approvals_expire_days())
    }

    /// Opens an approval to reopen an offer. If the caller already has an open approval for this, the refusal names it.
    ///
    /// # Errors
    /// Those of [`ProgrammeState::refuse_repeated_request`]; [`CommandError::NotFound`], [`CommandError::Stale`]; those of
    /// [`Offer::may_reopen`]; [`Reason::ProgrammeClosed`]; [`Reason::ApprovalRequired`].
    pub(in crate::programme) fn ask_to_reopen(
        &self,
        target: &OfferTarget,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let subject = target.offer.0;
        // An open approval can no longer be given after its offer has changed. Then another approval may be opened. Under version
        // 1 of the rules even a repeated request opened another, and `verify` decides the requests of that time again. Under
        // version 2 the request of an open approval is never decided twice: the writer finds its stored request id.
        let now = context.now.at;
        let is_outdated = |it: &Approval| {
            it.state_at(now).is_open() && self.offers.get(&target.offer).is_some_and(|offer| !it.stands(offer))
        };
        let is_reopening = |it: &Approval| it.action == ApprovalAction::ReopenOffer && !is_outdated(it);
        self.refuse_repeated_request(context, subject, is_reopening)?;
        let offer = self.target_offer(target)?;
        self.check_may_reopen(offer)?;
        if let Some(open) =
            self.approval_caller(context).find_own_open(self.approvals.about(subject).filter(|it| is_reopening(it)))
        {
            return Err(open.required_refusal().into());
        }
        let approval = self.new_approval(ApprovalAction::ReopenOffer, subject, context);
        let approval = Approval { statement: Some(statement_of(offer)), ..approval };
        Ok(open_approval(approval, Some(reason.to_owned()), context))
    }

    /// Gives an approval and carries out the requested change, in one decision.
    pub(in crate::programme) fn give_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let requested = self.approval_to_answer(approval, ApprovalAnswer::Given, context)?;
        match requested.action {
            ApprovalAction::ReopenOffer => self.give_reopening(requested, context),
            ApprovalAction::DecideEntry => {
                let school_and_met = requested
                    .school()
                    .ok_or(CommandError::Bug("an approval to decide an entry position has no school"))?;
                self.give_entry(requested, school_and_met, context)
            }
            ApprovalAction::AllocateFund | ApprovalAction::WithdrawFund | ApprovalAction::MoveFunds => {
                let change =
                    requested.change.as_ref().ok_or(CommandError::Bug("an approval to move money has no movement"))?;
                self.give_money_approval(requested, change, context)
            }
            ApprovalAction::WithdrawImport => {
                Err(CommandError::Bug("an approval to withdraw an import is in the record of a programme"))
            }
        }
    }

    /// Gives an approval to reopen an offer, and reopens the offer.
    fn give_reopening(&self, requested: &Approval, context: &Context<'_>) -> Result<Decision, CommandError> {
        let approval = requested.id;
        let offer = self
            .offers
            .get(&OfferId(requested.subject))
            .ok_or(CommandError::Bug("the approval's offer is not loaded"))?;
        let exceeded = self.exceeds_approval_refusal(requested, &statement_of(offer));
        Refusal::join(self.check_may_reopen(offer).err().into_iter().chain(exceeded))?;
        let today = context.now.today;
        let reopened = offer.reopen(approval, today, |urn| self.open_offer_by_school.get(&urn).copied())?;
        let given =
            NewEvent::of(offer.id, today, EventBody::ApprovalGiven { approval, token_subject: context.subject });
        Ok(Decision::new(vec![given, reopened], CommandAnswer::Approved(approval, Approved::Offer(offer.id))))
    }

    /// Denies an approval, as a second person. The requested change is not carried out.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`Reason::ApprovalNotOpen`], [`Reason::SelfApproval`].
    pub(in crate::programme) fn deny_approval(
        &self,
        approval: ApprovalId,
        reason: &str,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let requested = self.approval_to_answer(approval, ApprovalAnswer::Denied, context)?;
        let offer = requested.offer();
        let body = EventBody::ApprovalDenied { approval, token_subject: context.subject };
        let denied = NewEvent { offer, ..NewEvent::without_offer(context.now.today, body) };
        let answer = CommandAnswer::Approved(approval, Approved::Nothing);
        Ok(Decision::new(vec![denied.with_text(Some(reason.to_owned()))], answer))
    }

    /// Withdraws an approval, as its requester. The requested change is not carried out.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`].
    pub(in crate::programme) fn withdraw_approval(
        &self,
        approval: ApprovalId,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let offer = self.approval_to_answer(approval, ApprovalAnswer::Withdrawn, context)?.offer();
        let body = EventBody::ApprovalWithdrawn { approval, token_subject: context.subject };
        let withdrawn = NewEvent { offer, ..NewEvent::without_offer(context.now.today, body) };
        Ok(Decision::new(vec![withdrawn], CommandAnswer::Approved(approval, Approved::Nothing)))
    }

    /// The approval with this id, after checking that the caller may give it this answer.
    fn approval_to_answer(
        &self,
        id: ApprovalId,
        answer: ApprovalAnswer,
        context: &Context<'_>,
    ) -> Result<&Approval, CommandError> {
        let approval = self.approvals.get(&id).ok_or_else(|| CommandError::not_found(EntityKind::Approval, id))?;
        self.approval_caller(context).may(approval, answer)?;
        Ok(approval)
    }

    /// Refuses a change that would now do more than its approval states. Before version 2 of the rules, approvals had no statement.
    pub(in crate::programme) fn exceeds_approval_refusal(
        &self,
        approval: &Approval,
        current: &Statement,
    ) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 { None } else { approval.exceeded_by(current, |fund| self.ledger.get(fund)) }
    }

    /// Checks that an offer may be reopened and that the programme is open.
    fn check_may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let refusal = offer.may_reopen(|urn| self.open_offer_by_school.get(&urn).copied()).err();
        Refusal::join(refusal.into_iter().chain(self.programme_closed()))
    }

    /// Refuses a command if the programme is closed. None if the programme is open.
    pub(in crate::programme) fn programme_closed(&self) -> Option<Refusal> {
        (!self.programme.open).then(|| {
            let remedy = "a closed programme cannot be opened again";
            let limit = Limit::plain(LimitKind::Period, self.programme.programme.clone(), remedy);
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        })
    }
}

/// The decision that records a new approval. Its answer names the approval to the caller.
pub(in crate::programme) fn open_approval(new: Approval, text: Option<String>, context: &Context<'_>) -> Decision {
    let (offer, refusal) = (new.offer(), new.required_refusal());
    let body = EventBody::ApprovalOpened {
        approval: new.id,
        action: new.action,
        change: new.change,
        statement: new.statement,
        expires_at: new.expires,
        token_subject: context.subject,
    };
    let draft = NewEvent { offer, ..NewEvent::without_offer(context.now.today, body) }.with_text(text);
    Decision::new(vec![draft], CommandAnswer::ApprovalOpened(refusal))
}
