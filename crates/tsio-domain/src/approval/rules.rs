//! Defines the rules that all approvals share: how an approval is requested, who may answer it, and the order of the
//! checks.
//!
//! Programmes and the record of reference data follow the same steps. Each adds the checks of its own actions.
//!
//! A request for an approval is always answered with a refusal, also if it opens the approval.
//!
//! | requesting an approval | refused with |
//! |---|---|
//! | the same request opened an approval before: [`ApprovalCaller::opened_by_request`] | [`Approval::repeated_request_refusal`] |
//! | the action cannot be done now | the refusal of the action |
//! | the requester has an open approval of the same change: [`ApprovalCaller::find_own_open`] | [`Approval::required_refusal`] |
//! | otherwise an approval is opened: [`ApprovalCaller::new_approval`] | [`Approval::required_refusal`] |
//!
//! A request to decide an entry position needs no first step. The service recognises its repetition by the stored request id before it
//! comes here. The other actions are older than these stored ids.
//!
//! | answering an approval | refused with |
//! |---|---|
//! | the caller may not give this answer: [`ApprovalCaller::may`] | ApprovalNotOpen, SelfApproval, ApprovalOfAnother |
//! | giving it would do more than it states: [`Approval::exceeded_by`] | ApprovalExceeded if a fund would be short of more money than it states, or more offers would be concerned; ApprovalNotOpen for any other difference |
//! | otherwise it is answered: [`Approval::answer`] | |

use uuid::Uuid;

use super::{Approval, ApprovalState, check_answer, check_withdrawal};
use crate::event::Seq;
use crate::ids::{ApprovalId, RequestId};
use crate::person::Person;
use crate::refusal::Refusal;
use crate::rules::RulesVersion;
use crate::time::Micros;
use crate::values::approval::ApprovalAction;

/// The answer that ends an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalAnswer {
    /// Given by a second person. This carries the action out.
    Given,
    /// Denied by a second person.
    Denied,
    /// Withdrawn by the requester.
    Withdrawn,
}

/// The person who requests or answers an approval, with the time and the rules in force.
#[derive(Debug, Clone)]
pub struct ApprovalCaller {
    /// The person.
    pub person: Person,
    /// The current time.
    pub now: Micros,
    /// The rules in force: the rules that the programme has adopted, or the newest rules for reference data.
    pub rules: RulesVersion,
}

impl ApprovalCaller {
    /// The caller for an approval about reference data. The newest rules always apply there.
    #[must_use]
    pub const fn about_reference_data(person: Person, now: Micros) -> Self {
        Self { person, now, rules: RulesVersion::CURRENT }
    }

    /// Finds the approval that the caller opened under this request id. A repeated request must not open a second
    /// approval.
    pub fn opened_by_request<'a>(
        &self,
        mut approvals: impl Iterator<Item = &'a Approval>,
        request: RequestId,
    ) -> Option<&'a Approval> {
        approvals.find(|it| it.request == Some(request) && it.requested_by == self.person.actor)
    }

    /// Finds an open approval that this person requested. `approvals` are the approvals of the same change, which the calling
    /// function selects.
    pub fn find_own_open<'a>(&self, mut approvals: impl Iterator<Item = &'a Approval>) -> Option<&'a Approval> {
        approvals.find(|it| it.state_at(self.now).is_open() && self.is_requester_of(it))
    }

    /// Makes an open approval that the caller requests and that expires after `days` days.
    #[must_use]
    pub fn new_approval(&self, id: ApprovalId, action: ApprovalAction, subject: Uuid, days: u32) -> Approval {
        let without_expiry = Approval::requested(id, action, subject, self.person.clone(), self.now);
        Approval { expires: Some(self.now.plus_days(days)), ..without_expiry }
    }

    /// Checks that the caller may answer the approval in this way.
    ///
    /// # Errors
    /// Giving and denying: [`crate::refusal::Reason::ApprovalNotOpen`], then [`crate::refusal::Reason::SelfApproval`].
    /// Withdrawing: [`crate::refusal::Reason::ApprovalOfAnother`], then [`crate::refusal::Reason::ApprovalNotOpen`].
    pub fn may(&self, approval: &Approval, answer: ApprovalAnswer) -> Result<(), Refusal> {
        let (is_own, state) = (self.is_requester_of(approval), approval.state_at(self.now));
        match answer {
            ApprovalAnswer::Given | ApprovalAnswer::Denied => check_answer(approval.id, is_own, &state),
            ApprovalAnswer::Withdrawn => check_withdrawal(approval.id, is_own, &state),
        }
    }

    /// Whether the caller is the requester. [`Person::is`] compares the two. Before version 2 of the rules, the ids had to be
    /// equal byte by byte.
    fn is_requester_of(&self, approval: &Approval) -> bool {
        if self.rules < RulesVersion::V2 {
            return approval.requested_by == self.person.actor;
        }
        approval.requester().is(&self.person)
    }
}

impl Approval {
    /// Answers the approval. `event` is the number of the event that records the denial; `None` if no event does. It is ignored for the
    /// other answers. This does not check the permission; [`ApprovalCaller::may`] does.
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

    /// Whether the approval was carried out, but the response to the request that opened it may not be stored yet. Earlier
    /// versions withdrew an import first and stored the responses later, so this can happen to the withdrawal of an import. Still
    /// earlier versions stored no response at all. Their approvals have no expiry, and lack nothing. All other actions store
    /// the response in the commit that carries them out.
    #[must_use]
    pub const fn may_lack_stored_response(&self) -> bool {
        let may_store_later = match self.action {
            ApprovalAction::WithdrawImport => self.expires.is_some(),
            ApprovalAction::ReopenOffer
            | ApprovalAction::DecideEntry
            | ApprovalAction::AllocateFund
            | ApprovalAction::WithdrawFund
            | ApprovalAction::MoveFunds => false,
        };
        may_store_later && matches!(self.state, ApprovalState::CarriedOut(_))
    }
}
