//! The rules of an approval, whatever it is about: who may ask, who may answer, and in which order that is checked.
//!
//! Programmes and the record of reference data follow the same steps. Between them each checks what its action is about.
//!
//! | asking | refused with |
//! |---|---|
//! | the same request asked before: [`ApprovalCaller::asked_before`] | [`Approval::asked_before`] |
//! | what is asked cannot be done now | as the action says |
//! | the caller's own approval of the same is open: [`ApprovalCaller::own_open`] | [`Approval::required`] |
//! | otherwise an approval is opened: [`ApprovalCaller::asking`] | [`Approval::required`] |
//!
//! | answering | refused with |
//! |---|---|
//! | the caller may answer so: [`ApprovalCaller::may`] | ApprovalNotOpen, SelfApproval, ApprovalOfAnother |
//! | giving: it would do more than it states: [`Approval::exceeded_by`] | ApprovalExceeded, ApprovalNotOpen |
//! | otherwise it is answered: [`Approval::answer`] | |

use uuid::Uuid;

use super::{Approval, ApprovalState, check, check_withdrawal};
use crate::event::Seq;
use crate::ids::{ApprovalId, RequestId};
use crate::person::Person;
use crate::refusal::Refusal;
use crate::rules::RulesVersion;
use crate::time::Micros;
use crate::values::approval::ApprovalAction;

/// How an approval is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalAnswer {
    /// Given by a second person, which carries out what was asked.
    Given,
    /// Denied by a second person.
    Denied,
    /// Taken back by the person who asked.
    Withdrawn,
}

/// Who asks for an approval or answers one, and when.
#[derive(Debug, Clone)]
pub struct ApprovalCaller {
    /// Who.
    pub person: Person,
    /// The moment.
    pub now: Micros,
    /// The rules in force: those of the programme, and the newest for reference data.
    pub rules: RulesVersion,
}

impl ApprovalCaller {
    /// Who asks for, or answers, an approval about reference data, which never had the rules of before rules 2.
    #[must_use]
    pub const fn about_reference_data(person: Person, now: Micros) -> Self {
        Self { person, now, rules: RulesVersion::CURRENT }
    }

    /// The approval among these that the caller opened under this request: made again, the call must not open another.
    pub fn asked_before<'a>(
        &self,
        mut of: impl Iterator<Item = &'a Approval>,
        request: RequestId,
    ) -> Option<&'a Approval> {
        of.find(|it| it.request == Some(request) && it.requested_by == self.person.actor)
    }

    /// The open approval among these that the caller asked for.
    pub fn own_open<'a>(&self, mut of: impl Iterator<Item = &'a Approval>) -> Option<&'a Approval> {
        of.find(|it| it.state_at(self.now).is_open() && self.has_asked(it))
    }

    /// An open approval that the caller asks for, which expires after so many days.
    #[must_use]
    pub fn asking(&self, id: ApprovalId, action: ApprovalAction, subject: Uuid, days: u32) -> Approval {
        let asked = Approval::asked(id, action, subject, self.person.clone(), self.now);
        Approval { expires: Some(self.now.plus_days(days)), ..asked }
    }

    /// Whether the caller may answer an approval so.
    ///
    /// # Errors
    /// Giving and denying: [`crate::refusal::Reason::ApprovalNotOpen`], then [`crate::refusal::Reason::SelfApproval`].
    /// Withdrawing: [`crate::refusal::Reason::ApprovalOfAnother`], then [`crate::refusal::Reason::ApprovalNotOpen`].
    pub fn may(&self, approval: &Approval, answer: ApprovalAnswer) -> Result<(), Refusal> {
        let (is_own, state) = (self.has_asked(approval), approval.state_at(self.now));
        match answer {
            ApprovalAnswer::Given | ApprovalAnswer::Denied => check(approval.id, is_own, &state),
            ApprovalAnswer::Withdrawn => check_withdrawal(approval.id, is_own, &state),
        }
    }

    /// Whether the caller is the person who asked for it. Before rules 2 ids were compared as they are.
    fn has_asked(&self, approval: &Approval) -> bool {
        if self.rules < RulesVersion::V2 {
            return approval.requested_by == self.person.actor;
        }
        approval.asked_by().is(&self.person)
    }
}

impl Approval {
    /// Answers it. `event` is the number of the event that says so, if there is one. It does not check whether the person
    /// may: [`ApprovalCaller::may`] does.
    pub fn answer(&mut self, answer: ApprovalAnswer, by: &Person, event: Option<Seq>) {
        match answer {
            ApprovalAnswer::Given => {
                (self.state, self.answered_subject) = (ApprovalState::CarriedOut(by.actor.clone()), by.subject);
            }
            ApprovalAnswer::Denied => {
                (self.state, self.answered_subject) = (ApprovalState::Denied(by.actor.clone()), by.subject);
                self.denied = event;
            }
            ApprovalAnswer::Withdrawn => self.state = ApprovalState::Withdrawn,
        }
    }

    /// Whether it was carried out and the answer of the call that asked for it may still have to be stored. Earlier
    /// versions withdrew an import first and stored the answer after it; everything else is answered as it is carried out.
    #[must_use]
    pub const fn is_answer_outstanding(&self) -> bool {
        let stores_later = match self.action {
            ApprovalAction::WithdrawImport => self.expires.is_some(),
            ApprovalAction::ReopenOffer
            | ApprovalAction::DecideEntry
            | ApprovalAction::AllocateFund
            | ApprovalAction::WithdrawFund
            | ApprovalAction::MoveFunds => false,
        };
        stores_later && matches!(self.state, ApprovalState::CarriedOut(_))
    }
}
