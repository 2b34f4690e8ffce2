//! Defines an approval: a request for an action that needs a second person. Decides who may answer the approval.
//!
//! "The second person must differ from the first, in every role." (`domain.md` section 8)

mod rules;
mod statement;

use uuid::Uuid;

use super::event::{Event, EventBody, Seq};
use super::ids::{Actor, ApprovalId, ImportId, OfferId, Programme, RequestId, Urn};
use super::ledger::fund_change::FundChange;
use super::offer::Offer;
use super::person::{Person, TokenSubject};
use super::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};
use super::role::{Action, Caller, Reach};
use super::time::Micros;
use super::values::approval::ApprovalAction;
use super::values::statement::Statement;
pub use rules::{ApprovalAnswer, ApprovalCaller};
pub(crate) use statement::{changed, phrase};

impl ApprovalAction {
    /// Returns the permission that is needed to request an approval of this action (`domain.md` section 8).
    #[must_use]
    pub const fn permission_to_request(self) -> Action {
        match self {
            Self::ReopenOffer => Action::Reopen,
            Self::WithdrawImport => Action::Import,
            Self::DecideEntry => Action::AskEntry,
            Self::AllocateFund | Self::WithdrawFund | Self::MoveFunds => Action::KeepFunds,
        }
    }

    /// Returns the permission that is needed to give or deny an approval of this action (`domain.md` section 8).
    #[must_use]
    pub const fn permission_to_answer(self) -> Action {
        match self {
            Self::ReopenOffer => Action::Reopen,
            Self::WithdrawImport => Action::Import,
            Self::DecideEntry => Action::DecideEntry,
            Self::AllocateFund | Self::WithdrawFund | Self::MoveFunds => Action::ApproveMoney,
        }
    }

    /// The requested action as the beginning of a sentence.
    #[must_use]
    const fn phrase(self) -> &'static str {
        match self {
            Self::ReopenOffer => "reopening an offer",
            Self::WithdrawImport => "withdrawing an import",
            Self::DecideEntry => "deciding an entry position",
            Self::AllocateFund => "an allocation",
            Self::WithdrawFund => "a withdrawal",
            Self::MoveFunds => "a virement",
        }
    }
}

/// Returns the actions whose approvals this caller may give, each with the reach of that permission.
#[must_use]
pub fn actions_caller_may_give(caller: &Caller) -> Vec<(ApprovalAction, Reach)> {
    let may_give = ApprovalAction::ALL.iter().filter(|it| caller.may(it.permission_to_answer()));
    may_give.map(|it| (*it, caller.reach(it.permission_to_answer()))).collect()
}

/// Returns the actions whose approvals this caller may see: those that the caller's roles may request or give. Each has
/// the union of the reaches of the two permissions.
#[must_use]
pub fn actions_caller_may_see(caller: &Caller) -> Vec<(ApprovalAction, Reach)> {
    let may_see = ApprovalAction::ALL
        .iter()
        .filter(|it| caller.may(it.permission_to_request()) || caller.may(it.permission_to_answer()));
    may_see
        .map(|it| (*it, caller.reach(it.permission_to_request()).or(caller.reach(it.permission_to_answer()))))
        .collect()
}

/// A request that needs a second person, with its answer if it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The programme that it is about; `None` for reference data.
    pub programme: Option<Programme>,
    /// The requested action.
    pub action: ApprovalAction,
    /// The id of the offer, import, fund or school ([`subject_of`]) that the action changes.
    pub subject: Uuid,
    /// The requested movement of money; `None` if the action moves no money.
    pub change: Option<FundChange>,
    /// The state of its subject when it was requested, and what the action will do. `None` if it was opened before
    /// statements were recorded.
    pub statement: Option<Statement>,
    /// The time at which it expires if it is still open. `None` if it was opened under version 1 of the rules, in which
    /// approvals do not expire; see [`Self::expire_if_no_expiry`].
    pub expires: Option<Micros>,
    /// The number of the event that opened it, in the record of the programme or of the reference data. `None` if that event
    /// has no number yet, or if the approval is about reference data and was read from the database, which does not store
    /// the number.
    pub opened: Option<Seq>,
    /// The reason of the request, if the approval is about reference data. `None` if the approval is about a programme, or
    /// was computed from the events of the record. Then the reason is the text of the event that opened it.
    pub reason: Option<String>,
    /// The requester.
    pub requested_by: Actor,
    /// The token subject of the requester; `None` without a token.
    pub requested_subject: Option<TokenSubject>,
    /// The id of the request; `None` if it was not stored.
    pub request: Option<RequestId>,
    /// The time at which it was requested.
    pub requested_at: Micros,
    /// Its stored state, which is never [`ApprovalState::Expired`]. [`Self::state_at`] also considers the time.
    pub state: ApprovalState,
    /// The token subject of the person who gave or denied it.
    pub answered_subject: Option<TokenSubject>,
    /// The number of the event that denied it. `None` if it was not denied, or if it is about reference data and was read
    /// from the database, which does not store the number.
    pub denied: Option<Seq>,
    /// The reason of the denial. Set only for an approval whose [`Self::reason`] is set.
    pub denied_reason: Option<String>,
}

/// The state of an approval. The state of an approval that was given, denied or withdrawn does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// Waiting for a second person.
    Open,
    /// Given by this person. The action was carried out in the same commit.
    CarriedOut(Actor),
    /// Denied by this person.
    Denied(Actor),
    /// Withdrawn by the requester.
    Withdrawn,
    /// Still open when it expired. This state is never stored; it is computed from the time.
    Expired,
}

impl ApprovalState {
    /// Its name in the database.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::CarriedOut(_) => "carried_out",
            Self::Denied(_) => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Returns the state that has this name in the database. `answered_by` is the person who gave or denied the approval.
    /// Returns `None` if no stored state has the name, or if `answered_by` is missing or not expected.
    #[must_use]
    pub fn named(name: &str, answered_by: Option<Actor>) -> Option<Self> {
        match (name, answered_by) {
            ("open", None) => Some(Self::Open),
            ("withdrawn", None) => Some(Self::Withdrawn),
            ("carried_out", Some(by)) => Some(Self::CarriedOut(by)),
            ("denied", Some(by)) => Some(Self::Denied(by)),
            _ => None,
        }
    }

    /// Returns the state at the time `now` of an approval that expires at `expires`.
    #[must_use]
    pub fn at(&self, now: Micros, expires: Option<Micros>) -> Self {
        match self {
            Self::Open if expires.is_some_and(|expires| expires <= now) => Self::Expired,
            other => other.clone(),
        }
    }

    /// Whether the approval waits for a second person.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// The person who gave or denied the approval; `None` if it was neither given nor denied.
    #[must_use]
    pub const fn answered_by(&self) -> Option<&Actor> {
        match self {
            Self::Open | Self::Withdrawn | Self::Expired => None,
            Self::CarriedOut(by) | Self::Denied(by) => Some(by),
        }
    }
}

impl Approval {
    /// Makes an open approval that `by` requested at the time `at`. It has no statement, expiry or event.
    #[must_use]
    pub fn requested(id: ApprovalId, action: ApprovalAction, subject: Uuid, by: Person, at: Micros) -> Self {
        Self {
            id,
            programme: None,
            action,
            subject,
            change: None,
            statement: None,
            expires: None,
            opened: None,
            reason: None,
            requested_by: by.actor,
            requested_subject: by.subject,
            request: None,
            requested_at: at,
            state: ApprovalState::Open,
            answered_subject: None,
            denied: None,
            denied_reason: None,
        }
    }

    /// Returns the approval that an `approval_opened` event of a programme opens; `None` for another event.
    #[must_use]
    pub fn from_event(programme: &Programme, event: &Event) -> Option<Self> {
        let EventBody::ApprovalOpened { approval, action, change, statement, expires_at, token_subject } = &event.body
        else {
            return None;
        };
        let school = statement.as_ref().and_then(Statement::school).map(|(urn, _)| subject_of(urn));
        let subject = event.offer.map(|it| it.0).or_else(|| change.as_ref().map(|it| it.fund().0)).or(school);
        let by = Person { actor: event.actor.clone(), subject: *token_subject };
        Some(Self {
            programme: Some(programme.clone()),
            change: change.clone(),
            statement: statement.clone(),
            expires: *expires_at,
            opened: Some(event.seq),
            request: Some(event.request),
            ..Self::requested(*approval, *action, subject.unwrap_or_default(), by, event.recorded)
        })
    }

    /// Sets the expiry to `now` if the approval is open and has no expiry. A programme does this when it adopts the
    /// rules that require an expiry.
    pub const fn expire_if_no_expiry(&mut self, now: Micros) {
        if self.state.is_open() && self.expires.is_none() {
            self.expires = Some(now);
        }
    }

    /// The offer that the action would reopen; `None` for another action.
    #[must_use]
    pub fn offer(&self) -> Option<OfferId> {
        (self.action == ApprovalAction::ReopenOffer).then_some(OfferId(self.subject))
    }

    /// The import that the action would withdraw; `None` for another action.
    #[must_use]
    pub fn import(&self) -> Option<ImportId> {
        (self.action == ApprovalAction::WithdrawImport).then_some(ImportId(self.subject))
    }

    /// The school whose entry position the action would decide, and whether it would decide it as met. `None` for
    /// another action.
    #[must_use]
    pub fn school(&self) -> Option<(Urn, bool)> {
        self.statement.as_ref().and_then(Statement::school)
    }

    /// The requested action as the beginning of a sentence. If a movement of money needs two people for a reason other
    /// than its amount, the reason is included.
    #[must_use]
    pub fn phrase(&self) -> String {
        match (&self.change, self.school()) {
            (Some(change), _) => {
                format!("{}{}", change.phrase(), self.statement.as_ref().map(Statement::why).unwrap_or_default())
            }
            (None, Some(decision)) => entry_decision_phrase(decision),
            (None, None) => self.action.phrase().to_owned(),
        }
    }

    /// The state at the time `now`: an open approval may have expired.
    #[must_use]
    pub fn state_at(&self, now: Micros) -> ApprovalState {
        self.state.at(now, self.expires)
    }

    /// The requester, with the two values by which people are compared.
    #[must_use]
    pub fn requester(&self) -> Person {
        Person { actor: self.requested_by.clone(), subject: self.requested_subject }
    }

    /// Returns the refusal with [`Reason::ApprovalRequired`] that names this approval.
    #[must_use]
    pub fn required_refusal(&self) -> Refusal {
        approval_required(self.id, &self.phrase())
    }

    /// Returns the refusal of a repeated request that opened this approval. It says that the approval is open, or how
    /// the approval ended. The request gets a stored answer only when the approval is carried out; before that, each repeat
    /// gets this refusal. Earlier versions stored no answer even then.
    #[must_use]
    pub fn repeated_request_refusal(&self, now: Micros) -> Refusal {
        repeated_request_refusal(self.id, (&self.state_at(now), self.expires), &self.phrase())
    }

    /// Whether the etag and region of the offer are still those that the approval states.
    #[must_use]
    pub fn stands(&self, offer: &Offer) -> bool {
        self.statement.as_ref() == Some(&statement_of(offer))
    }
}

/// Returns the refusal with [`Reason::ApprovalRequired`] that names the approval. `phrase` begins the message.
fn approval_required(approval: ApprovalId, phrase: &str) -> Refusal {
    let remedy = format!("a second person gives approval {approval}");
    let mut refusal = Refusal::of(
        Reason::ApprovalRequired,
        format!("{phrase} needs a second person: approval {approval} is open"),
        Limit::plain(LimitKind::Approval, approval, remedy),
    );
    refusal.approval = Some(approval);
    refusal
}

/// Returns the refusal with [`Reason::ApprovalRequired`] of a request that was only checked. The refusal names no
/// approval, because a check opens no approval.
#[must_use]
pub fn approval_would_be_required() -> Refusal {
    let remedy = "make the call, which opens an approval, and have a second person give it";
    let limit = Limit::plain(LimitKind::Approval, LimitSubject::UnopenedApproval, remedy);
    Refusal::of(Reason::ApprovalRequired, "this needs a second person", limit)
}

/// Returns the refusal of a repeated request that opened an approval. It says that the approval is open, or how it
/// ended.
fn repeated_request_refusal(
    approval: ApprovalId,
    (state, expires): (&ApprovalState, Option<Micros>),
    phrase: &str,
) -> Refusal {
    let remedy_request_again = "to open another approval, make the request again under a new request id";
    let (ending, remedy) = match state {
        ApprovalState::Open => return approval_required(approval, phrase),
        ApprovalState::CarriedOut(_) => (
            "given and carried out",
            "nothing to do; to have it done once more, make the request again under a new request id",
        ),
        ApprovalState::Denied(_) => ("denied", remedy_request_again),
        ApprovalState::Withdrawn => ("withdrawn", remedy_request_again),
        ApprovalState::Expired => ("left open until it expired", remedy_request_again),
    };
    let reason = match state {
        ApprovalState::Withdrawn | ApprovalState::Expired => Reason::ApprovalClosed,
        // A denied approval without an expiry was denied under version 1 of the rules. A repeat of its request still gets the
        // reason that it got then.
        ApprovalState::Denied(_) if expires.is_some() => Reason::ApprovalClosed,
        ApprovalState::Open | ApprovalState::CarriedOut(_) | ApprovalState::Denied(_) => Reason::ApprovalNotOpen,
    };
    let message = format!("approval {approval}, which this request opened, was {ending}: {phrase}");
    Refusal::of(reason, message, Limit::plain(LimitKind::Approval, approval, remedy))
}

/// Checks that an approval may be given or denied. It must be open, and another person must have requested it (`is_own`
/// is false): "The second person must differ from the first, in every role."
///
/// # Errors
/// [`Reason::ApprovalNotOpen`], [`Reason::SelfApproval`].
fn check_answer(approval: ApprovalId, is_own: bool, state: &ApprovalState) -> Result<(), Refusal> {
    if let Some(message) = not_open_message(state) {
        return Err(not_open_refusal(approval, message));
    }
    if is_own {
        let limit = Limit::plain(LimitKind::Approval, approval, "have another person answer");
        return Err(Refusal::of(Reason::SelfApproval, "the requester may neither approve nor deny", limit));
    }
    Ok(())
}

/// Returns why an approval is not open; `None` if it is open.
const fn not_open_message(state: &ApprovalState) -> Option<&'static str> {
    match state {
        ApprovalState::Open => None,
        ApprovalState::CarriedOut(_) => Some("this approval has been given already"),
        ApprovalState::Denied(_) => Some("this approval has been denied already"),
        ApprovalState::Withdrawn => Some("this approval has been withdrawn by the requester"),
        ApprovalState::Expired => Some("this approval has expired"),
    }
}

fn not_open_refusal(approval: ApprovalId, message: &str) -> Refusal {
    let remedy = "have the requester make the original request again, under a new request id, to open another approval";
    Refusal::of(Reason::ApprovalNotOpen, message, Limit::plain(LimitKind::Approval, approval, remedy))
}

/// Checks that an approval may be withdrawn: the caller requested it (`is_own`), and it is open.
///
/// # Errors
/// [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`].
fn check_withdrawal(approval: ApprovalId, is_own: bool, state: &ApprovalState) -> Result<(), Refusal> {
    if !is_own {
        let limit = Limit::plain(LimitKind::Approval, approval, "deny it, or have the requester withdraw it");
        return Err(Refusal::of(Reason::ApprovalOfAnother, "only the requester of an approval may withdraw it", limit));
    }
    match not_open_message(state) {
        None => Ok(()),
        Some(message) => Err(not_open_refusal(approval, message)),
    }
}

/// The statement of an approval to reopen an offer: the current etag and region of the offer.
#[must_use]
pub fn statement_of(offer: &Offer) -> Statement {
    Statement::Offer { etag: offer.etag(), region: offer.region }
}

/// The id of a school as the subject of an approval: its URN as a UUID.
#[must_use]
pub fn subject_of(urn: Urn) -> Uuid {
    Uuid::from_u128(urn.get().into())
}

/// The decision of an entry position as the beginning of a sentence.
fn entry_decision_phrase((urn, met): (Urn, bool)) -> String {
    let position = phrase(met);
    format!("deciding that the entry position of school {urn} is {position}")
}
