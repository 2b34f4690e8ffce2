//! What needs two people: the first call opens an approval, the second person's approval carries it out.
//!
//! "The second differs from the first, for everyone" (`domain.md` section 8).

use super::Facts;
use super::command::{Answer, Approved, Context, Decided, Fault, Target};
use super::funds::FundChange;
use crate::domain::event::{Draft, Event, EventBody, Seq};
use crate::domain::ids::{Actor, ApprovalId, OfferId, RequestId};
use crate::domain::offer::Offer;
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::role::{Action, Caller};
use crate::domain::time::Micros;
use uuid::Uuid;

/// The action of an approval that reopens an offer.
pub const REOPEN_OFFER: &str = "reopen_offer";
/// The action of an approval that withdraws an import; it lies outside any book.
pub const WITHDRAW_IMPORT: &str = "withdraw_import";

/// Each action that takes two people: what asking for it takes, and what giving it takes (`domain.md` section 8).
#[rustfmt::skip]
const TWO_PEOPLE: [(&str, Action, Action); 5] = [
    (REOPEN_OFFER,    Action::Reopen,    Action::Reopen),
    (WITHDRAW_IMPORT, Action::Import,    Action::Import),
    ("allocate_fund", Action::KeepFunds, Action::ApproveMoney),
    ("withdraw_fund", Action::KeepFunds, Action::ApproveMoney),
    ("move_funds",    Action::KeepFunds, Action::ApproveMoney),
];

/// The permission that giving an approval of this action takes.
#[must_use]
pub fn permission(action: &str) -> Action {
    TWO_PEOPLE.iter().find(|(name, ..)| *name == action).map_or(Action::ApproveMoney, |(.., give)| *give)
}

/// The actions whose approvals this caller may give.
#[must_use]
pub fn may_give(caller: &Caller) -> Vec<&'static str> {
    TWO_PEOPLE.iter().filter(|(.., give)| caller.may(*give)).map(|(name, ..)| *name).collect()
}

/// The actions whose approvals this caller sees, whoever asked: those that may be asked for or given by one like them.
#[must_use]
pub fn may_see(caller: &Caller) -> Vec<&'static str> {
    let sees = |ask: &Action, give: &Action| caller.may(*ask) || caller.may(*give);
    TWO_PEOPLE.iter().filter(|(_, ask, give)| sees(ask, give)).map(|(name, ..)| *name).collect()
}

/// A call that waits for, or has had, a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What was asked.
    pub action: String,
    /// What it is about: an offer, or a fund.
    pub subject: Uuid,
    /// The movement asked for, where it is about money.
    pub change: Option<FundChange>,
    /// The event that opened it.
    pub opened: Seq,
    /// Who asked.
    pub requested_by: Actor,
    /// Under which id they asked; nothing where that was not kept.
    pub request: Option<RequestId>,
    /// When.
    pub requested_at: Micros,
    /// Who gave it, once given.
    pub given_by: Option<Actor>,
}

impl Approval {
    /// The approval an `approval_opened` event opens.
    #[must_use]
    pub fn from_event(id: ApprovalId, action: &str, change: Option<&FundChange>, event: &Event) -> Self {
        let subject = event.offer.map(|it| it.0).or_else(|| change.map(|it| it.fund().0));
        Self {
            id,
            action: action.to_owned(),
            subject: subject.unwrap_or_default(),
            change: change.cloned(),
            opened: event.seq,
            requested_by: event.actor.clone(),
            request: Some(event.request),
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

/// Refuses with [`Reason::ApprovalRequired`] a call that was only checked: the approval it would open is not there to be
/// named.
#[must_use]
pub fn would_be_required() -> Refusal {
    let remedy = "make the call, which opens an approval, and have a second person give it";
    let limit = Limit::plain("approval", "not opened, this was only a check", remedy);
    Refusal::of(Reason::ApprovalRequired, "this needs a second person", limit)
}

/// Refuses with [`Reason::ApprovalNotOpen`] the call, made again, that opened an approval which has been carried out.
fn carried_out(approval: ApprovalId, what: &str) -> Refusal {
    let limit = Limit::plain(
        "approval",
        format!("approval {approval}"),
        "nothing to do; to have it done once more, make the call under a new request id",
    );
    let message = format!("{what} was asked for by this request: approval {approval} was given and carried out");
    Refusal::of(Reason::ApprovalNotOpen, message, limit)
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
    /// Refuses a call that opened an approval and is made again: retried, it must not open a second one. It comes before
    /// all limits, as an answer given before does.
    ///
    /// # Errors
    /// [`Reason::ApprovalRequired`] while the approval is open, then [`Reason::ApprovalNotOpen`].
    pub(super) fn not_asked_before(
        &self,
        context: &Context<'_>,
        what: &str,
        same: impl Fn(&Approval) -> bool,
    ) -> Result<(), Refusal> {
        let by_this_call =
            |it: &&Approval| it.request == Some(context.request) && it.requested_by == *context.actor && same(it);
        match self.approvals.values().find(by_this_call) {
            Some(opened) if opened.given_by.is_some() => Err(carried_out(opened.id, what)),
            Some(opened) => Err(required(opened.id, what)),
            None => Ok(()),
        }
    }

    /// Opens an approval to reopen an offer, or names the one its caller opened already.
    pub(super) fn ask_to_reopen(
        &self,
        target: &Target,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decided, Fault> {
        let about_it = |it: &Approval| it.subject == target.offer.0 && it.action == REOPEN_OFFER;
        // An open one that the offer has changed since cannot be given: then another may be opened.
        let useless = |it: &Approval| {
            it.given_by.is_none() && self.offers.get(&target.offer).is_some_and(|offer| !it.stands(offer))
        };
        self.not_asked_before(context, "reopening an offer", |it| about_it(it) && !useless(it))?;
        let offer = self.target(target)?;
        self.may_reopen(offer)?;
        let mine = |it: &&Approval| {
            about_it(it) && it.given_by.is_none() && it.stands(offer) && it.requested_by == *context.actor
        };
        if let Some(open) = self.approvals.values().find(mine) {
            return Err(required(open.id, "reopening an offer").into());
        }
        let approval = ApprovalId((context.ids)());
        let body = EventBody::ApprovalOpened { approval, action: REOPEN_OFFER.to_owned(), change: None };
        let draft = Draft::of(offer.id, context.now.today, body).with_text(Some(reason.to_owned()));
        Ok(Decided::new(vec![draft], Answer::ApprovalOpened(required(approval, "reopening an offer"))))
    }

    /// Gives an approval and carries out what was asked, in one decision.
    pub(super) fn give_approval(&self, approval: ApprovalId, context: &Context<'_>) -> Result<Decided, Fault> {
        let waiting = self.approvals.get(&approval).ok_or_else(|| Fault::NotFound(format!("approval {approval}")))?;
        check(approval, &waiting.requested_by, waiting.given_by.as_ref(), context.actor)?;
        if let Some(change) = &waiting.change {
            return self.give_money_approval(approval, change, context);
        }
        let offer =
            self.offers.get(&OfferId(waiting.subject)).ok_or(Fault::Bug("the approval's offer is not loaded"))?;
        let changed = (!waiting.stands(offer)).then(|| {
            let remedy = "ask again, so that what is approved is what was asked";
            let limit = Limit::plain("approval", format!("approval {approval}"), remedy);
            Refusal::of(Reason::ApprovalNotOpen, "the offer has changed since this approval was asked for", limit)
        });
        Refusal::none_of(self.may_reopen(offer).err().into_iter().chain(changed))?;
        let today = context.now.today;
        let reopened = offer.reopen(approval, today, |urn| self.listed.get(&urn).copied())?;
        let given = Draft::of(offer.id, today, EventBody::ApprovalGiven { approval });
        Ok(Decided::new(vec![given, reopened], Answer::Approved(approval, Approved::Offer(offer.id))))
    }

    fn may_reopen(&self, offer: &Offer) -> Result<(), Refusal> {
        let barred = offer.may_reopen(|urn| self.listed.get(&urn).copied()).err();
        Refusal::none_of(barred.into_iter().chain(self.book_closed()))
    }

    /// Refuses what a closed programme has no room for.
    pub(super) fn book_closed(&self) -> Option<Refusal> {
        (!self.programme.open).then(|| {
            let limit = Limit::plain("period", format!("programme {}", self.programme.programme), "nothing lifts it");
            Refusal::of(Reason::ProgrammeClosed, "the programme is closed", limit)
        })
    }
}
