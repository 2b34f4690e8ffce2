//! Ends an approval to withdraw an import without carrying it out: the second person denies it, or the requester withdraws it.

use super::record::DoneBy;
use super::withdraw::answer_approval;
use crate::app::request::RequestIdentity;
use crate::app::retry::with_retry;
use crate::app::{App, Result, authorise, replay_stored_answer};
use crate::domain::approval::{Approval, ApprovalAnswer};
use crate::domain::ids::ApprovalId;
use crate::domain::person::TokenSubject;
use crate::domain::register_record::RegisterBody;
use crate::domain::role::{Action, Caller};
use crate::store;

/// A request to deny an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The identity of the request, by which a repeat is recognised.
    pub request: RequestIdentity,
    /// The approval.
    pub approval: ApprovalId,
    /// The reason, not empty.
    pub reason: String,
}

/// A request to withdraw an approval, made by its requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// The identity of the request, by which a repeat is recognised.
    pub request: RequestIdentity,
    /// The approval.
    pub approval: ApprovalId,
}

impl App {
    /// Denies an approval to withdraw an import, so that the import is not withdrawn. Returns the encoded answer. With
    /// `validate_only` nothing is written.
    ///
    /// # Errors
    /// [`crate::app::AppError::Denied`]; [`crate::domain::refusal::Reason::SelfApproval`];
    /// [`crate::domain::refusal::Reason::ApprovalNotOpen`]; [`crate::app::AppError::RequestIdReused`];
    /// [`crate::app::AppError::NotFound`] for an unknown approval or one of another kind.
    pub async fn deny_withdrawal(
        &self,
        caller: &Caller,
        Denial { request, approval, reason }: &Denial,
        validate_only: bool,
        encode: fn(&Approval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let end_request = EndRequest { approval: *approval, request: *request };
        self.begin_register_record().await?;
        with_retry(async || {
            self.end_withdrawal(caller, &end_request, ApprovalEnding::Denied(reason), validate_only, encode).await
        })
        .await
    }

    /// Ends an approval to withdraw an import, because its requester withdraws the approval. Returns the encoded answer. With
    /// `validate_only` nothing is written.
    ///
    /// # Errors
    /// [`crate::app::AppError::Denied`]; [`crate::domain::refusal::Reason::ApprovalOfAnother`];
    /// [`crate::domain::refusal::Reason::ApprovalNotOpen`]; [`crate::app::AppError::RequestIdReused`];
    /// [`crate::app::AppError::NotFound`] for an unknown approval or one of another kind.
    pub async fn take_back_withdrawal(
        &self,
        caller: &Caller,
        Withdrawal { request, approval }: Withdrawal,
        validate_only: bool,
        encode: fn(&Approval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let end_request = EndRequest { approval, request };
        self.begin_register_record().await?;
        with_retry(async || {
            self.end_withdrawal(caller, &end_request, ApprovalEnding::Withdrawn, validate_only, encode).await
        })
        .await
    }

    /// Ends an approval without carrying it out. Stores the encoded answer and returns it. A repeated request gets the stored
    /// answer.
    async fn end_withdrawal(
        &self,
        caller: &Caller,
        end_request: &EndRequest,
        ending: ApprovalEnding<'_>,
        validate_only: bool,
        encode: fn(&Approval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        let (tx, mut record) = self.locked_record().await?;
        if let Some(stored) = store::requests::one(&tx, &caller.actor, end_request.request.id).await? {
            tx.confirm().await?;
            return replay_stored_answer(&stored, &end_request.request);
        }
        let now = self.register_now(&tx).await;
        let (tx, now) = tx.continue_if_ok(now).await?;
        let ended = answer_approval(&tx, end_request.approval, ending.answer(), caller, now.at).await;
        let (tx, ended) = tx.continue_if_ok(ended).await?;
        let ended = Approval { denied_reason: ending.reason(), ..ended };
        let answer = encode(&ended);
        if validate_only {
            tx.rollback().await?;
            return Ok(answer);
        }
        store::approvals::put(&tx, &[&ended]).await?;
        let (body, text) = ending.event_body(end_request.approval, caller.subject);
        record.append(DoneBy { actor: &caller.actor, request: end_request.request.id }, now, body, text)?;
        record.write(&tx).await?;
        let stored = end_request.request.stored(&caller.actor, answer.clone(), None);
        store::requests::keep(&tx, std::slice::from_ref(&stored), now.at).await?;
        tx.commit().await?;
        Ok(answer)
    }
}

/// A request to end an approval without carrying it out.
#[derive(Debug)]
struct EndRequest {
    approval: ApprovalId,
    request: RequestIdentity,
}

/// How an approval ends without being carried out.
#[derive(Debug, Clone, Copy)]
enum ApprovalEnding<'a> {
    /// The second person denied the approval, for this reason.
    Denied(&'a str),
    /// The requester withdrew the approval.
    Withdrawn,
}

impl ApprovalEnding<'_> {
    const fn answer(&self) -> ApprovalAnswer {
        match self {
            Self::Denied(_) => ApprovalAnswer::Denied,
            Self::Withdrawn => ApprovalAnswer::Withdrawn,
        }
    }

    /// The reason of a denial; `None` for a withdrawal.
    fn reason(&self) -> Option<String> {
        match self {
            Self::Denied(reason) => Some((*reason).to_owned()),
            Self::Withdrawn => None,
        }
    }

    /// The body of the event for the register's record, with the text of the event.
    fn event_body(&self, approval: ApprovalId, token_subject: Option<TokenSubject>) -> (RegisterBody, Option<&str>) {
        match self {
            Self::Denied(reason) => (RegisterBody::ApprovalDenied { approval, token_subject }, Some(reason)),
            Self::Withdrawn => (RegisterBody::ApprovalWithdrawn { approval, token_subject }, None),
        }
    }
}
