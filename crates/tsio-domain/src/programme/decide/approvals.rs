//! Changes that need two people. The first person's request opens an approval; giving it, as a second person, carries out the
//! change.

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
    /// Refuses a repeated request that already opened an approval, so that a retry does not open a second one. It is checked before
    /// all limits, as a stored answer is.
    ///
    /// # Errors
    /// [`Reason::ApprovalRequired`] while the approval is open; [`Reason::ApprovalClosed`] if it was denied, withdrawn or has expired;
    /// [`Reason::ApprovalNotOpen`] if it was carried out.
    pub(in crate::programme) fn no_approval_opened_before(
        &self,
        context: &Context<'_>,
        subject: Uuid,
        is_same: impl Fn(&Approval) -> bool,
    ) -> Result<(), Refusal> {
        let same = self.approvals.about(subject).filter(|it| is_same(it));
        let opened = self.approval_caller(context).opened_by_request(same, context.request);
        opened.map_or(Ok(()), |it| Err(it.repeated_request_refusal(context.now.at)))
    }

    /// The caller, with what the rules of approvals need.
    pub(in crate::programme) fn approval_caller(&self, context: &Context<'_>) -> ApprovalCaller {
        ApprovalCaller { person: context.person(), now: context.now.at, rules: self.rules }
    }

    /// A new approval that the caller asks for. It expires after the number of days in the terms.
    pub(in crate::programme) fn new_approval(
        &self,
        action: ApprovalAction,
        subject: Uuid,
        context: &mut Context<'_>,
    ) -> Approval {
        let id = ApprovalId((context.ids)());
        self.approval_caller(context).new_approval(id, action, subject, self.programme.scheme.approvals_expire_days())
    }

    /// Opens an approval to reopen an offer, or refuses with the open approval that the caller already asked for.
    pub(in crate::programme) fn ask_to_reopen(
        &self,
        target: &OfferTarget,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let subject = target.offer.0;
        // An open approval cannot be given any more if the offer has changed since. Then another may be opened.
        let now = context.now.at;
        let is_outdated = |it: &Approval| {
            it.state_at(now).is_open() && self.offers.get(&target.offer).is_some_and(|offer| !it.stands(offer))
        };
        let is_reopening = |it: &Approval| it.action == ApprovalAction::ReopenOffer && !is_outdated(it);
        self.no_approval_opened_before(context, subject, is_reopening)?;
        let offer = self.target(target)?;
        self.may_reopen(offer)?;
        if let Some(open) =
            self.approval_caller(context).find_own_open(self.approvals.about(subject).filter(|it| is_reopening(it)))
        {
            return Err(open.required().into());
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
        let waiting = self.answerable(approval, ApprovalAnswer::Given, context)?;
        match waiting.action {
            ApprovalAction::ReopenOffer => self.give_reopening(waiting, context),
            ApprovalAction::DecideEntry => {
                let school_and_met =
                    waiting.school().ok_or(CommandError::Bug("an approval about a school states none"))?;
                self.give_entry(waiting, school_and_met, context)
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
        let changed = self.exceeds_approval(waiting, &statement_of(offer));
        Refusal::none_of(self.may_reopen(offer).err().into_iter().chain(changed))?;
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
        let waiting = self.answerable(approval, ApprovalAnswer::Denied, context)?;
        let offer = waiting.offer();
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
        let offer = self.answerable(approval, ApprovalAnswer::Withdrawn, context)?.offer();
        let body = EventBody::ApprovalWithdrawn { approval, token_subject: context.subject };
        let withdrawn = NewEvent { offer, ..NewEvent::without_offer(context.now.today, body) };
        Ok(Decision::new(vec![withdrawn], CommandAnswer::Approved(approval, Approved::Nothing)))
    }

    /// The approval, if the caller may give this answer.
    fn answerable(
        &self,
        id: ApprovalId,
        answer: ApprovalAnswer,
        context: &Context<'_>,
    ) -> Result<&Approval, CommandError> {
        let approval = self.approvals.get(&id).ok_or_else(|| CommandError::not_found(EntityKind::Approval, id))?;
        self.approval_caller(context).may(approval, answer)?;
        Ok(approval)
    }

    /// Refuses a change that would now do more than its approval states. Before rules 2 approvals stated nothing.
    pub(in crate::programme) fn exceeds_approval(&self, approval: &Approval, now: &Statement) -> Option<Refusal> {
        if self.rules < RulesVersion::V2 { None } else { approval.exceeded_by(now, |fund| self.ledger.get(fund)) }
    }

    /// Refuses to reopen an offer that may not be reopened, or in a closed programme.
    fn may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let refusal = offer.may_reopen(|urn| self.open_offer_by_school.get(&urn).copied()).err();
        Refusal::none_of(refusal.into_iter().chain(self.programme_closed()))
    }

    /// The refusal of a command that a closed programme does not allow; none if the programme is open.
    pub(in crate::programme) fn programme_closed(&self) -> Option<Refusal> {
        (!self.programme.open).then(|| {
            let limit = Limit::plain(LimitKind::Period, self.programme.programme.clone(), "nothing lifts it");
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        })
    }
}

/// The decision that records a new approval and names it to the caller.
pub(in crate::programme) fn open_approval(new: Approval, text: Option<String>, context: &Context<'_>) -> Decision {
    let (offer, refusal) = (new.offer(), new.required());
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
