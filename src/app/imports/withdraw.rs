//! Withdraws a wrong import. One administrator requests the withdrawal, which opens an approval. Another administrator
//! gives the approval, which carries out the withdrawal, or denies it.
//!
//! A withdrawn import keeps its rows, but none of them counts any more. If the import had replaced another import, the other
//! import stays replaced; its file can be imported again.
//!
//! The approval states which offers would have schools that are no longer eligible. The withdrawal must not affect other
//! offers. Both the request and the approval read every file under the lock, as identify does. That is acceptable, because
//! an import is withdrawn only a few times a year.

use super::record::DoneBy;
use super::{Import, ImportReply, ImportState, run_to_end};
use crate::app::clock::new_id;
use crate::app::eligibility::AffectedOffer;
use crate::app::request::RequestIdentity;
use crate::app::retry::with_retry;
use crate::app::{App, AppError, Result, Violation, authorise, eligibility, replay_stored_answer};
use crate::domain::approval::{Approval, ApprovalAnswer, ApprovalCaller, approval_would_be_required};
use crate::domain::ids::{ApprovalId, ImportId};
use crate::domain::refusal::{EntityKind, Refusal};
use crate::domain::register_record::{RegisterBody, refusals};
use crate::domain::role::{Action, Caller};
use crate::domain::terms::APPROVALS_EXPIRE_DAYS;
use crate::domain::time::Micros;
use crate::domain::values::approval::ApprovalAction;
use crate::domain::values::statement::Statement;
use crate::store::{self, WriteTx};

/// The most characters of a reason.
const MAX_REASON: usize = 2_000;

/// The result of a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The approval, after it was given.
    pub approval: Approval,
    /// The import, after it was withdrawn.
    pub import: Import,
    /// Open offers with schools that are no longer eligible.
    pub affected: Vec<AffectedOffer>,
}

/// Functions that encode the answers to a withdrawal that was carried out.
#[derive(Debug, Clone, Copy)]
pub struct EncodeWithdrawn {
    /// Encodes the answer for the request that gave the approval.
    pub given: fn(&Withdrawn) -> Vec<u8>,
    /// Encodes the answer for the request that opened the approval.
    pub asked: fn(&Withdrawn) -> Vec<u8>,
}

impl App {
    /// Requests to withdraw an import. Opens an approval, unless the caller has opened one already, and returns a refusal
    /// that names it: one person alone never withdraws an import. If the same request is repeated after a second person
    /// gave the approval, it returns the encoded answer. With `validate_only` no approval is opened.
    ///
    /// # Errors
    /// [`AppError::Denied`]. [`AppError::Invalid`] for a reason that is empty or too long. `Reason::ApprovalRequired` with
    /// the approval. `Reason::ApprovalClosed` if the same request opened an approval that was denied or withdrawn, or has
    /// expired. `Reason::ApprovalNotOpen` for some approvals of earlier versions. `Reason::ImportNotLanded`;
    /// [`AppError::NotFound`]; [`AppError::RequestIdReused`]; [`AppError::Unavailable`].
    pub async fn withdraw_import(
        &self,
        caller: &Caller,
        (request, id): (RequestIdentity, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let length = reason.trim().chars().count();
        if length == 0 || length > MAX_REASON {
            let expected = format!("say why, in at most {MAX_REASON} characters");
            return Err(AppError::Invalid(vec![Violation::new("reason", expected)]));
        }
        let (app, caller, reason) = (self.clone(), caller.clone(), reason.trim().to_owned());
        let task = async move {
            app.begin_register_record().await?;
            let open_approval = || app.open_withdrawal_approval(&caller, (request, id), &reason, validate_only);
            with_retry(open_approval).await?.map_err(AppError::from)
        };
        run_to_end(task).await
    }

    /// Opens the approval of a withdrawal, unless there is one already. The inner result is the stored answer of a request
    /// that was carried out, or the refusal that names the approval.
    async fn open_withdrawal_approval(
        &self,
        caller: &Caller,
        (request, id): (RequestIdentity, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<std::result::Result<Vec<u8>, Refusal>> {
        let (tx, mut record) = self.locked_record().await?;
        let stored = store::requests::one(&tx, &caller.actor, request.id).await?;
        let answer = stored.map(|it| replay_stored_answer(&it, &request)).transpose();
        let (tx, answer) = tx.continue_if_ok(answer).await?;
        if let Some(answer) = answer.filter(|it| !it.is_empty()) {
            tx.confirm().await?;
            return Ok(Ok(answer));
        }
        let approvals = store::approvals::find(&tx, &[], &[id.0], &[request.id]).await?;
        let of_import = || approvals.iter().filter(|it| it.import() == Some(id));
        let now = self.clock().now().at;
        let requester = ApprovalCaller::about_reference_data(caller.person(), now);
        if let Some(opened_before) = requester.opened_by_request(of_import(), request.id) {
            tx.confirm().await?;
            // The request of an approval never gets an answer if the approval is from a version that did not store its
            // request.
            if opened_before.may_lack_stored_response() {
                return Err(AppError::unavailable("carried out, and not answered yet"));
            }
            return Ok(Err(opened_before.repeated_request_refusal(now)));
        }
        let import = get_landed(&tx, id).await;
        let (tx, import) = tx.continue_if_ok(import).await?;
        if let Some(open) = requester.find_own_open(of_import()) {
            tx.confirm().await?;
            return Ok(Err(open.required_refusal()));
        }
        if validate_only {
            tx.rollback().await?;
            return Ok(Err(approval_would_be_required()));
        }
        let statement = self.compute_statement(&tx, caller, &import).await;
        let (tx, statement) = tx.continue_if_ok(statement).await?;
        let now = self.register_now(&tx).await;
        let (tx, now) = tx.continue_if_ok(now).await?;
        let requester = ApprovalCaller::about_reference_data(caller.person(), now.at);
        let (action, days) = (ApprovalAction::WithdrawImport, APPROVALS_EXPIRE_DAYS);
        let new = Approval {
            statement: Some(statement.clone()),
            reason: Some(reason.to_owned()),
            request: Some(request.id),
            ..requester.new_approval(ApprovalId(new_id()), action, id.0, days)
        };
        store::approvals::put(&tx, &[&new]).await?;
        let (approval, token_subject, expires_at) = (new.id, caller.subject, requester.now.plus_days(days));
        let opened = RegisterBody::ApprovalOpened { approval, import: id, statement, expires_at, token_subject };
        record.append(DoneBy { actor: &caller.actor, request: request.id }, now, opened, Some(reason))?;
        record.write(&tx).await?;
        let stored = request.stored(&caller.actor, Vec::new(), Some(new.id));
        store::requests::keep(&tx, &[stored], now.at).await?;
        tx.commit().await?;
        Ok(Err(new.required_refusal()))
    }

    /// Gives an approval to withdraw an import, and withdraws the import. Returns the reply.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::RequestIdReused`]. `Reason::SelfApproval`, `Reason::ApprovalNotOpen`,
    /// `Reason::ImportNotLanded`; `Reason::ApprovalExceeded` if the withdrawal would affect other offers than the approval
    /// states. [`AppError::NotFound`] for an unknown approval or one of another kind.
    pub async fn give_withdrawal(
        &self,
        caller: &Caller,
        request: RequestIdentity,
        approval: ApprovalId,
        encode: EncodeWithdrawn,
    ) -> Result<ImportReply<Withdrawn>> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let task = async move {
            app.begin_register_record().await?;
            let reply = with_retry(|| app.carry_out_withdrawal(&caller, (request, approval), encode)).await?;
            if reply.fresh.is_some() {
                app.index_landed().await;
            }
            Ok(reply)
        };
        run_to_end(task).await
    }

    /// Previews giving an approval to withdraw an import. Returns the result that it would have, and writes nothing.
    ///
    /// # Errors
    /// As [`App::give_withdrawal`], except [`AppError::RequestIdReused`].
    pub async fn check_withdrawal(&self, caller: &Caller, approval: ApprovalId) -> Result<Withdrawn> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let task = async move {
            let tx = app.locked().await?;
            let withdrawal = app.withdraw_and_check(&tx, &caller, approval, app.clock().now().at).await;
            let (tx, withdrawal) = tx.continue_if_ok(withdrawal).await?;
            tx.rollback().await?;
            Ok(withdrawal)
        };
        run_to_end(task).await
    }

    /// Withdraws an import under the register's lock and stores both answers, unless this request did so before.
    async fn carry_out_withdrawal(
        &self,
        caller: &Caller,
        (request, approval): (RequestIdentity, ApprovalId),
        encode: EncodeWithdrawn,
    ) -> Result<ImportReply<Withdrawn>> {
        let (tx, mut record) = self.locked_record().await?;
        let stored = store::requests::one(&tx, &caller.actor, request.id).await?;
        let answer = stored.map(|it| replay_stored_answer(&it, &request)).transpose();
        let (tx, answer) = tx.continue_if_ok(answer).await?;
        // Whether the request is stored without an answer. It is used only after the return below, so a stored answer is
        // empty then.
        let is_unanswered = answer.is_some();
        if let Some(answer) = answer.filter(|it| !it.is_empty()) {
            tx.confirm().await?;
            return Ok(ImportReply { answer, fresh: None });
        }
        let now = self.register_now(&tx).await;
        let (tx, now) = tx.continue_if_ok(now).await?;
        let withdrawal = if is_unanswered {
            // Earlier versions withdrew first and stored the answer in a second transaction. If the process died in between, only
            // the answer is missing.
            self.load_earlier_withdrawal(&tx, approval).await
        } else {
            self.withdraw_and_check(&tx, caller, approval, now.at).await
        };
        let (tx, withdrawal) = tx.continue_if_ok(withdrawal).await?;
        store::approvals::put(&tx, &[&withdrawal.approval]).await?;
        let answer = (encode.given)(&withdrawal);
        if !is_unanswered {
            let (done_by, token_subject) = (DoneBy { actor: &caller.actor, request: request.id }, caller.subject);
            record.append(done_by, now, RegisterBody::ApprovalGiven { approval, token_subject }, None)?;
            let withdrawn = RegisterBody::ImportWithdrawn { import: withdrawal.import.id, approval };
            record.append(done_by, now, withdrawn, None)?;
        }
        record.write(&tx).await?;
        if is_unanswered {
            store::requests::answer(&tx, (&caller.actor, request.id), &answer).await?;
        } else {
            let stored = request.stored(&caller.actor, answer.clone(), None);
            store::requests::keep(&tx, std::slice::from_ref(&stored), now.at).await?;
        }
        if let Some(request) = withdrawal.approval.request {
            store::requests::answer(&tx, (&withdrawal.approval.requested_by, request), &(encode.asked)(&withdrawal))
                .await?;
        }
        tx.commit().await?;
        Ok(ImportReply { answer, fresh: Some(withdrawal) })
    }

    /// Withdraws the import of an approval, and checks that this affects no other offers than the approval states.
    async fn withdraw_and_check(
        &self,
        tx: &WriteTx,
        caller: &Caller,
        approval: ApprovalId,
        now: Micros,
    ) -> Result<Withdrawn> {
        let withdrawal = give_and_withdraw(tx, caller, approval, now).await?;
        store::imports::put(tx, &[&withdrawal.import]).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        let offers = affected.iter().map(|it| it.offer).collect();
        let offers_not_stated = withdrawal.approval.exceeded_by(&Statement::Import { offers }, |_| None);
        Refusal::join(offers_not_stated)?;
        Ok(Withdrawn { affected, ..withdrawal })
    }

    /// Loads the result of a withdrawal that was carried out before.
    async fn load_earlier_withdrawal(&self, tx: &WriteTx, approval: ApprovalId) -> Result<Withdrawn> {
        let approval = find_withdrawal_approval(tx, approval).await?;
        let import = get_existing(tx, ImportId(approval.subject)).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        Ok(Withdrawn { approval, import, affected })
    }

    /// Finds the offers that the withdrawal of an import would affect, and writes nothing.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`]; `Reason::ImportNotLanded`; [`AppError::Unavailable`].
    pub async fn affected_by_withdrawal(&self, caller: &Caller, id: ImportId) -> Result<Vec<AffectedOffer>> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let task = async move {
            let tx = app.locked().await?;
            let import = get_landed(&tx, id).await;
            let (tx, import) = tx.continue_if_ok(import).await?;
            let affected = app.affected_without(&tx, &caller, &import).await;
            let (tx, affected) = tx.continue_if_ok(affected).await?;
            tx.rollback().await?;
            Ok(affected)
        };
        run_to_end(task).await
    }

    /// Computes the statement of an approval to withdraw an import: the offers that the withdrawal would affect.
    async fn compute_statement(&self, tx: &WriteTx, caller: &Caller, import: &Import) -> Result<Statement> {
        let affected = self.affected_without(tx, caller, import).await?;
        Ok(Statement::Import { offers: affected.iter().map(|it| it.offer).collect() })
    }

    /// Finds the offers that the withdrawal of an import would affect. Inside the transaction the import is withdrawn for the
    /// computation and then restored.
    async fn affected_without(&self, tx: &WriteTx, caller: &Caller, import: &Import) -> Result<Vec<AffectedOffer>> {
        let withdrawn =
            Import { state: ImportState::Withdrawn, withdrawn_by: Some(caller.actor.clone()), ..import.clone() };
        store::imports::put(tx, &[&withdrawn]).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        store::imports::put(tx, &[import]).await?;
        Ok(affected)
    }
}

/// Finds an approval to withdraw an import; fails if there is none with this id.
async fn find_withdrawal_approval(from: &dyn store::Readable, approval: ApprovalId) -> Result<Approval> {
    let approvals = store::approvals::find(from, &[approval], &[], &[]).await?;
    let of_withdrawal =
        approvals.into_iter().find(|it| it.id == approval && it.action == ApprovalAction::WithdrawImport);
    of_withdrawal.ok_or_else(|| AppError::not_found(EntityKind::Approval, approval))
}

/// Returns an approval with the answer of this caller, if the caller may answer it. Writes nothing.
pub(super) async fn answer_approval(
    from: &dyn store::Readable,
    approval: ApprovalId,
    answer: ApprovalAnswer,
    caller: &Caller,
    now: Micros,
) -> Result<Approval> {
    let mut approval = find_withdrawal_approval(from, approval).await?;
    let by = ApprovalCaller::about_reference_data(caller.person(), now);
    by.may(&approval, answer)?;
    // The row of an approval about reference data has no event number.
    approval.answer(answer, &by.person, None);
    Ok(approval)
}

/// Returns the approval as given by this caller, with its import as withdrawn. Writes nothing, and computes no affected
/// offers.
async fn give_and_withdraw(
    from: &dyn store::Readable,
    caller: &Caller,
    approval: ApprovalId,
    now: Micros,
) -> Result<Withdrawn> {
    let approval = answer_approval(from, approval, ApprovalAnswer::Given, caller, now).await?;
    let import = Import {
        state: ImportState::Withdrawn,
        withdrawn_by: Some(approval.requested_by.clone()),
        withdrawn_reason: approval.reason.clone(),
        indexed: false,
        ..get_landed(from, ImportId(approval.subject)).await?
    };
    Ok(Withdrawn { approval, import, affected: Vec::new() })
}

/// Loads an import; fails if there is none with this id.
async fn get_existing(from: &dyn store::Readable, id: ImportId) -> Result<Import> {
    store::imports::get(from, id).await?.ok_or_else(|| AppError::not_found(EntityKind::Import, id))
}

/// Loads an import; fails if there is none with this id, or if it is not landed.
async fn get_landed(from: &dyn store::Readable, id: ImportId) -> Result<Import> {
    let import = get_existing(from, id).await?;
    if import.state == ImportState::Landed {
        return Ok(import);
    }
    Err(refusals::import_not_landed(id, import.state).into())
}
