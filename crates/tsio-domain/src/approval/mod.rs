//! Approvals: what waits for a second person, and who may answer it.
//!
//! "The second differs from the first, for everyone" (`domain.md` section 8).

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
    /// The permission that asking for an approval of this action takes (`domain.md` section 8).
    #[must_use]
    pub const fn asking(self) -> Action {
        match self {
            Self::ReopenOffer => Action::Reopen,
            Self::WithdrawImport => Action::Import,
            Self::DecideEntry => Action::AskEntry,
            Self::AllocateFund | Self::WithdrawFund | Self::MoveFunds => Action::KeepFunds,
        }
    }

    /// The permission that giving or denying an approval of this action takes (`domain.md` section 8).
    #[must_use]
    pub const fn permission(self) -> Action {
        match self {
            Self::ReopenOffer => Action::Reopen,
            Self::WithdrawImport => Action::Import,
            Self::DecideEntry => Action::DecideEntry,
            Self::AllocateFund | Self::WithdrawFund | Self::MoveFunds => Action::ApproveMoney,
        }
    }

    /// What is asked, as a sentence begins.
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

/// The actions whose approvals this caller may give, and where.
#[must_use]
pub fn may_give(caller: &Caller) -> Vec<(ApprovalAction, Reach)> {
    let may = ApprovalAction::ALL.iter().filter(|it| caller.may(it.permission()));
    may.map(|it| (*it, caller.reach(it.permission()))).collect()
}

/// The actions whose approvals this caller sees, the requester, and where: those that may be asked for or given by one
/// like them.
#[must_use]
pub fn may_see(caller: &Caller) -> Vec<(ApprovalAction, Reach)> {
    let seen = ApprovalAction::ALL.iter().filter(|it| caller.may(it.asking()) || caller.may(it.permission()));
    seen.map(|it| (*it, caller.reach(it.asking()).or(caller.reach(it.permission())))).collect()
}

/// A call that waits for, or has had, a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The programme it belongs to; `None` about reference data.
    pub programme: Option<Programme>,
    /// What was asked.
    pub action: ApprovalAction,
    /// What it is about: an offer, an import, a fund, or a school ([`subject_of`]).
    pub subject: Uuid,
    /// The movement asked for, where it is about money.
    pub change: Option<FundChange>,
    /// What it was judged against and what it will do; nothing of one that was opened before that was recorded.
    pub statement: Option<Statement>,
    /// When it expires, if it is still open then; nothing of one that was opened before approvals expired.
    pub expires: Option<Micros>,
    /// The event that opened it, in the record it belongs to. The database does not have it of one about reference data.
    pub opened: Option<Seq>,
    /// Why it was asked for, of one about reference data that was read from the database; otherwise the reason is the text of
    /// the event that opened it.
    pub reason: Option<String>,
    /// Who asked.
    pub requested_by: Actor,
    /// Whose token that was.
    pub requested_subject: Option<TokenSubject>,
    /// Under which id they asked; nothing where that was not kept.
    pub request: Option<RequestId>,
    /// When.
    pub requested_at: Micros,
    /// Where it is.
    pub state: ApprovalState,
    /// Whose token answered it.
    pub answered_subject: Option<TokenSubject>,
    /// The event that denied it, in the record it belongs to. The database does not have it of one about reference data.
    pub denied: Option<Seq>,
    /// Why it was denied, as for [`Self::reason`].
    pub denied_reason: Option<String>,
}

/// Where an approval is. Once answered, it stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// Waiting for a second person.
    Open,
    /// Given by this person, and carried out in the same commit.
    CarriedOut(Actor),
    /// Denied by this person.
    Denied(Actor),
    /// Withdrawn by the requester.
    Withdrawn,
    /// Open, and past its time: it never comes to be stored, the time tells it.
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

    /// The state of this name, answered by this person; nothing where the two do not go together.
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

    /// Where it is at a moment, if it expires at `expires`.
    #[must_use]
    pub fn at(&self, now: Micros, expires: Option<Micros>) -> Self {
        match self {
            Self::Open if expires.is_some_and(|expires| expires <= now) => Self::Expired,
            other => other.clone(),
        }
    }

    /// Whether it waits for a second person.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Who answered it.
    #[must_use]
    pub const fn answered_by(&self) -> Option<&Actor> {
        match self {
            Self::Open | Self::Withdrawn | Self::Expired => None,
            Self::CarriedOut(by) | Self::Denied(by) => Some(by),
        }
    }
}

impl Approval {
    /// An open approval that states nothing and does not expire, opened by no event yet.
    #[must_use]
    pub fn asked(id: ApprovalId, action: ApprovalAction, subject: Uuid, by: Person, at: Micros) -> Self {
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

    /// The approval that an `approval_opened` event of a programme opens; `None` for another event.
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
            ..Self::asked(*approval, *action, subject.unwrap_or_default(), by, event.recorded)
        })
    }

    /// Has it expire now, if it was opened without saying when: so it does when its programme adopts the rules that ask for
    /// it.
    pub const fn expire_undated(&mut self, now: Micros) {
        if self.state.is_open() && self.expires.is_none() {
            self.expires = Some(now);
        }
    }

    /// The offer it is about, if it is about one.
    #[must_use]
    pub fn offer(&self) -> Option<OfferId> {
        (self.action == ApprovalAction::ReopenOffer).then_some(OfferId(self.subject))
    }

    /// The import that it withdraws, if it withdraws one.
    #[must_use]
    pub fn import(&self) -> Option<ImportId> {
        (self.action == ApprovalAction::WithdrawImport).then_some(ImportId(self.subject))
    }

    /// The school whose entry position it decides, and whether that is to be met.
    #[must_use]
    pub fn school(&self) -> Option<(Urn, bool)> {
        self.statement.as_ref().and_then(Statement::school)
    }

    /// What was asked, as a sentence begins, and why it takes two people where that cannot be seen.
    #[must_use]
    pub fn phrase(&self) -> String {
        match (&self.change, self.school()) {
            (Some(change), _) => {
                format!("{}{}", change.phrase(), self.statement.as_ref().map(Statement::why).unwrap_or_default())
            }
            (None, Some(asked)) => asked_for(asked),
            (None, None) => self.action.phrase().to_owned(),
        }
    }

    /// Where it is at a moment.
    #[must_use]
    pub fn state_at(&self, now: Micros) -> ApprovalState {
        self.state.at(now, self.expires)
    }

    /// Who asked, as far as two people are told apart.
    #[must_use]
    pub fn asked_by(&self) -> Person {
        Person { actor: self.requested_by.clone(), subject: self.requested_subject }
    }

    /// Refuses with [`Reason::ApprovalRequired`], naming it.
    #[must_use]
    pub fn required(&self) -> Refusal {
        required(self.id, &self.phrase())
    }

    /// What the call that asked for it is told, made again, as long as no answer of it is stored: that it is open, or what
    /// has become of it.
    #[must_use]
    pub fn asked_before(&self, now: Micros) -> Refusal {
        asked_before(self.id, (&self.state_at(now), self.expires), &self.phrase())
    }

    /// Whether the offer is still as it was when the approval was asked for.
    #[must_use]
    pub fn stands(&self, offer: &Offer) -> bool {
        self.statement.as_ref() == Some(&statement_of(offer))
    }
}

/// Refuses with [`Reason::ApprovalRequired`], naming the approval.
fn required(approval: ApprovalId, what: &str) -> Refusal {
    let remedy = format!("a second person gives approval {approval}");
    let mut refusal = Refusal::of(
        Reason::ApprovalRequired,
        format!("{what} needs a second person: approval {approval} is open"),
        Limit::plain(LimitKind::Approval, approval, remedy),
    );
    refusal.approval = Some(approval);
    refusal
}

/// Refuses with [`Reason::ApprovalRequired`] a call that was only checked: the approval it would open is not there to be
/// named.
#[must_use]
pub fn would_be_required() -> Refusal {
    let remedy = "make the call, which opens an approval, and have a second person give it";
    let limit = Limit::plain(LimitKind::Approval, LimitSubject::UnopenedApproval, remedy);
    Refusal::of(Reason::ApprovalRequired, "this needs a second person", limit)
}

/// What the call is told, made again, that opened an approval before: that it is open, or what has become of it.
fn asked_before(approval: ApprovalId, (state, expires): (&ApprovalState, Option<Micros>), what: &str) -> Refusal {
    let again = "to ask once more, make the call under a new request id";
    let (became, remedy) = match state {
        ApprovalState::Open => return required(approval, what),
        ApprovalState::CarriedOut(_) => {
            ("given and carried out", "nothing to do; to have it done once more, make the call under a new request id")
        }
        ApprovalState::Denied(_) => ("denied", again),
        ApprovalState::Withdrawn => ("withdrawn", again),
        ApprovalState::Expired => ("left open until it expired", again),
    };
    let reason = match state {
        ApprovalState::Withdrawn | ApprovalState::Expired => Reason::ApprovalClosed,
        // What was answered before approvals expired is told of as it was then.
        ApprovalState::Denied(_) if expires.is_some() => Reason::ApprovalClosed,
        ApprovalState::Open | ApprovalState::CarriedOut(_) | ApprovalState::Denied(_) => Reason::ApprovalNotOpen,
    };
    let message = format!("{what} was asked for by this request: approval {approval} was {became}");
    Refusal::of(reason, message, Limit::plain(LimitKind::Approval, approval, remedy))
}

/// Refuses an answer to an approval that is not open, or that they asked for themselves (`is_own`): "the second differs from the first, for everyone".
///
/// # Errors
/// [`Reason::ApprovalNotOpen`], [`Reason::SelfApproval`].
fn check(approval: ApprovalId, is_own: bool, state: &ApprovalState) -> Result<(), Refusal> {
    if let Some(answered) = answered(state) {
        return Err(not_open(approval, answered));
    }
    if is_own {
        let limit = Limit::plain(LimitKind::Approval, approval, "have another person answer");
        return Err(Refusal::of(Reason::SelfApproval, "the requester may neither approve nor deny", limit));
    }
    Ok(())
}

/// Why an approval is not open; nothing where it is.
const fn answered(state: &ApprovalState) -> Option<&'static str> {
    match state {
        ApprovalState::Open => None,
        ApprovalState::CarriedOut(_) => Some("this approval has been given already"),
        ApprovalState::Denied(_) => Some("this approval has been denied already"),
        ApprovalState::Withdrawn => Some("this approval has been withdrawn by the requester"),
        ApprovalState::Expired => Some("this approval has expired"),
    }
}

fn not_open(approval: ApprovalId, answered: &str) -> Refusal {
    let remedy = "make the call again, under a new request id, to open another";
    Refusal::of(Reason::ApprovalNotOpen, answered, Limit::plain(LimitKind::Approval, approval, remedy))
}

/// Refuses withdrawing an approval that another asked for, or that is not open.
///
/// # Errors
/// [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`].
fn check_withdrawal(approval: ApprovalId, is_own: bool, state: &ApprovalState) -> Result<(), Refusal> {
    if !is_own {
        let limit = Limit::plain(LimitKind::Approval, approval, "deny it, or have the requester withdraw it");
        return Err(Refusal::of(Reason::ApprovalOfAnother, "only the requester of an approval may withdraw it", limit));
    }
    match answered(state) {
        None => Ok(()),
        Some(answered) => Err(not_open(approval, answered)),
    }
}

/// What an approval to reopen an offer states: how the offer is now.
#[must_use]
pub fn statement_of(offer: &Offer) -> Statement {
    Statement::Offer { etag: offer.etag(), region: offer.region }
}

/// The id that a school has as the subject of approvals.
#[must_use]
pub fn subject_of(urn: Urn) -> Uuid {
    Uuid::from_u128(urn.get().into())
}

/// What is asked for, as a sentence begins.
fn asked_for((urn, met): (Urn, bool)) -> String {
    let position = phrase(met);
    format!("deciding that the entry position of school {urn} is {position}")
}
