//! What needs two people: the first call opens an approval, the second person's approval carries it out.
//!
//! "The second differs from the first, for everyone" (`domain.md` section 8).

use super::Facts;
use super::command::{Answer, Context, Decided, Fault, Target};
use crate::domain::event::{Draft, Event, EventBody, Seq};
use crate::domain::ids::{Actor, ApprovalId, OfferId};
use crate::domain::offer::Offer;
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::time::Micros;

/// The action of an approval that reopens an offer.
pub const REOPEN_OFFER: &str = "reopen_offer";
/// The action of an approval that withdraws an import; it lies outside any book.
pub const WITHDRAW_IMPORT: &str = "withdraw_import";

/// A call that waits for, or has had, a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What was asked.
    pub action: String,
    /// The offer it is about.
    pub offer: OfferId,
    /// The event that opened it.
    pub opened: Seq,
    /// Who asked.
    pub requested_by: Actor,
    /// When.
    pub requested_at: Micros,
    /// Who gave it, once given.
    pub given_by: Option<Actor>,
}

impl Approval {
    /// The approval an `approval_opened` event opens.
    #[must_use]
    pub fn from_event(id: ApprovalId, action: &str, event: &Event) -> Self {
        Self {
            id,
            action: action.to_owned(),
            offer: event.offer.unwrap_or(OfferId(uuid::Uuid::nil())),
            opened: event.seq,
            requested_by: event.actor.clone(),
            requested_at: event.recorded,
            given_by: None,
        }
    }
}

impl Approval {
    /// Whether the offer is still as it was when the approval was asked for.
    #[must_use]
    pub fn stands(&self, offer: &Offer) -> bool {
        self.opened > offer.version
    }
}

/// Refuses with [`Reason::ApprovalRequired`], naming the approval.
#[must_use]
pub fn required(approval: ApprovalId, what: &str) -> Refusal {
    let remedy = format!("a second person gives approval {approval}");
    let mut refusal = Refusal::of(
        Reason::ApprovalRequired,
        format!("{what} needs a second person: approval {approval} is open"),
        Limit::plain("approval", format!("approval {approval}"), remedy),
    );
    refusal.approval = Some(approval);
    refusal
}

/// Refuses whoever gives an approval that is not open, or their own.
///
/// # Errors
/// [`Reason::ApprovalNotOpen`], [`Reason::SelfApproval`].
pub fn check(
    approval: ApprovalId,
    requested_by: &Actor,
    given_by: Option<&Actor>,
    giver: &Actor,
) -> Result<(), Refusal> {
    let refuse = |reason, message: &str, remedy: &str| {
        Err(Refusal::of(reason, message, Limit::plain("approval", format!("approval {approval}"), remedy)))
    };
    if given_by.is_some() {
        return refuse(
            Reason::ApprovalNotOpen,
            "this approval has been given already",
            "make the call again to open another",
        );
    }
    if requested_by == giver {
        return refuse(Reason::SelfApproval, "whoever asked may not approve", "have another person approve");
    }
    Ok(())
}

impl Facts {
    /// Opens an approval to reopen an offer, or names the one its caller opened already.
    pub(super) fn ask_to_reopen(
        &self,
        target: &Target,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decided, Fault> {
        let offer = self.target(target)?;
        self.may_reopen(offer)?;
        let mine = |it: &&Approval| {
            it.offer == offer.id
                && it.action == REOPEN_OFFER
                && it.given_by.is_none()
                && it.stands(offer)
                && it.requested_by == *context.actor
        };
        if let Some(open) = self.approvals.values().find(mine) {
            return Err(required(open.id, "reopening an offer").into());
        }
        let approval = ApprovalId((context.ids)());
        let body = EventBody::ApprovalOpened { approval, action: REOPEN_OFFER.to_owned() };
        let draft = Draft::of(offer.id, context.now.today, body).with_text(Some(reason.to_owned()));
        Ok(Decided::new(vec![draft], Answer::ApprovalOpened(required(approval, "reopening an offer"))))
    }

    /// Gives an approval and carries out what was asked, in one decision.
    pub(super) fn give_approval(&self, approval: ApprovalId, context: &Context<'_>) -> Result<Decided, Fault> {
        let waiting = self.approvals.get(&approval).ok_or_else(|| Fault::NotFound(format!("approval {approval}")))?;
        check(approval, &waiting.requested_by, waiting.given_by.as_ref(), context.actor)?;
        let offer = self.offers.get(&waiting.offer).ok_or(Fault::Bug("the approval's offer is not loaded"))?;
        self.may_reopen(offer)?;
        if !waiting.stands(offer) {
            let remedy = "ask again, so that what is approved is what was asked";
            let limit = Limit::plain("approval", format!("approval {approval}"), remedy);
            let message = "the offer has changed since this approval was asked for";
            return Err(Refusal::of(Reason::ApprovalNotOpen, message, limit).into());
        }
        let today = context.now.today;
        let reopened = offer.reopen(approval, today, |urn| self.listed.get(&urn).copied())?;
        let given = Draft::of(offer.id, today, EventBody::ApprovalGiven { approval });
        Ok(Decided::new(vec![given, reopened], Answer::Approved(approval, offer.id)))
    }

    fn may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let closed = (!self.programme.open).then(|| {
            let limit = Limit::plain("period", format!("programme {}", self.programme.programme), "nothing lifts it");
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        });
        let barred = offer.may_reopen(|urn| self.listed.get(&urn).copied()).err();
        Refusal::none_of(barred.into_iter().chain(closed))
    }
}
