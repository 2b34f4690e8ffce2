//! Taking a wrong import back: one administrator asks, another gives the approval, which carries it out, or denies it.
//!
//! The import keeps its rows, but none of them counts any more. An import whose place the withdrawn one took stays
//! replaced: what it said was found wrong once already, and it can be imported again.
//!
//! The approval states which offers would be left without their ground. Both to state it and to hold the withdrawal to it
//! takes reading every file under the lock, as identify does; an import is withdrawn a few times a year.

use tracing::Instrument as _;

use super::record::DoneBy;
use super::{Import, ImportReply, ImportState, finished};
use crate::app::clock::new_id;
use crate::app::eligibility::AffectedOffer;
use crate::app::request::RequestIdentity;
use crate::app::retry::with_retry;
use crate::app::{App, AppError, Result, Violation, authorise, eligibility, replay_stored_answer};
use crate::domain::approval::{Approval, ApprovalAnswer, ApprovalCaller, would_be_required};
use crate::domain::ids::{ApprovalId, ImportId};
use crate::domain::refusal::{EntityKind, Refusal};
use crate::domain::register_record::{RegisterBody, refusals};
use crate::domain::role::{Action, Caller};
use crate::domain::terms::APPROVALS_EXPIRE_DAYS;
use crate::domain::time::Micros;
use crate::domain::values::approval::ApprovalAction;
use crate::domain::values::statement::Statement;
use crate::store::{self, WriteTx};

/// The longest reason kept.
const REASON: usize = 2_000;

/// What withdrawing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The approval, given.
    pub approval: Approval,
    /// The import as it is now.
    pub import: Import,
    /// Offers left without their ground.
    pub affected: Vec<AffectedOffer>,
}

/// Makes the answers to a withdrawal that was carried out.
#[derive(Debug, Clone, Copy)]
pub struct EncodeWithdrawn {
    /// Of the call that gave the approval.
    pub given: fn(&Withdrawn) -> Vec<u8>,
    /// Of the call that asked for it.
    pub asked: fn(&Withdrawn) -> Vec<u8>,
}

impl App {
    /// Asks to withdraw an import: opens an approval, or names the one the caller opened already. Never carried out by
    /// one person; made again once a second person gave the approval, it answers what that did. With `validate_only`
    /// none is opened.
    ///
    /// # Errors
    /// `Reason::ApprovalRequired` with the approval; `Reason::ApprovalNotOpen` where this very request asked before and
    /// was answered; `Reason::ImportNotLanded`; [`AppError::NotFound`].
    pub async fn withdraw_import(
        &self,
        caller: &Caller,
        (request, id): (RequestIdentity, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let length = reason.trim().chars().count();
        if length == 0 || length > REASON {
            let requested = format!("say why, in at most {REASON} characters");
            return Err(AppError::Invalid(vec![Violation::new("reason", requested)]));
        }
        let (app, caller, reason) = (self.clone(), caller.clone(), reason.trim().to_owned());
        let asked = async move {
            app.begin_register_record().await?;
            let ask = || app.ask_to_withdraw(&caller, (request, id), &reason, validate_only);
            with_retry(ask).await?.map_err(AppError::from)
        };
        finished(tokio::spawn(asked.in_current_span())).await
    }

    async fn ask_to_withdraw(
        &self,
        caller: &Caller,
        (request, id): (RequestIdentity, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<std::result::Result<Vec<u8>, Refusal>> {
        let (tx, mut record) = self.locked_record().await?;
        let kept = store::requests::one(&tx, &caller.actor, request.id).await?;
        let answer = kept.map(|it| replay_stored_answer(&it, &request)).transpose();
        let (tx, answer) = tx.proceed(answer).await?;
        if let Some(answer) = answer.filter(|it| !it.is_empty()) {
            tx.confirm().await?;
            return Ok(Ok(answer));
        }
        let found = store::approvals::find(&tx, &[], &[id.0], &[request.id]).await?;
        let asked = || found.iter().filter(|it| it.import() == Some(id));
        let now = self.clock().now().at;
        let asker = ApprovalCaller::about_reference_data(caller.person(), now);
        if let Some(before) = asker.asked_before(asked(), request.id) {
            tx.confirm().await?;
            // Where it was asked before requests were kept, it is never answered.
            if before.is_answer_outstanding() {
                return Err(AppError::unavailable("carried out, and not answered yet"));
            }
            return Ok(Err(before.asked_before(now)));
        }
        let counts = landed(&tx, id).await;
        let (tx, import) = tx.proceed(counts).await?;
        if let Some(open) = asker.own_open(asked()) {
            tx.confirm().await?;
            return Ok(Err(open.required()));
        }
        if validate_only {
            tx.rollback().await?;
            return Ok(Err(would_be_required()));
        }
        let stated = self.statement(&tx, caller, &import).await;
        let (tx, statement) = tx.proceed(stated).await?;
        let now = self.register_now(&tx).await;
        let (tx, now) = tx.proceed(now).await?;
        let asker = ApprovalCaller::about_reference_data(caller.person(), now.at);
        let (action, days) = (ApprovalAction::WithdrawImport, APPROVALS_EXPIRE_DAYS);
        let new = Approval {
            statement: Some(statement.clone()),
            reason: Some(reason.to_owned()),
            request: Some(request.id),
            ..asker.asking(ApprovalId(new_id()), action, id.0, days)
        };
        store::approvals::put(&tx, &[&new]).await?;
        let (approval, token_subject, expires_at) = (new.id, caller.subject, asker.now.plus_days(days));
        let opened = RegisterBody::ApprovalOpened { approval, import: id, statement, expires_at, token_subject };
        record.append(DoneBy { actor: &caller.actor, request: request.id }, now, opened, Some(reason))?;
        record.write(&tx).await?;
        let kept = request.stored(&caller.actor, Vec::new(), Some(new.id));
        store::requests::keep(&tx, &[kept], now.at).await?;
        tx.commit().await?;
        Ok(Err(new.required()))
    }

    /// Gives an approval to withdraw an import, which carries it out.
    ///
    /// # Errors
    /// `Reason::SelfApproval`, `Reason::ApprovalNotOpen`, `Reason::ImportNotLanded`; `Reason::ApprovalExceeded`
    /// where it would leave other offers without their ground than the approval states; [`AppError::NotFound`] for an
    /// approval of something else.
    pub async fn give_withdrawal(
        &self,
        caller: &Caller,
        request: RequestIdentity,
        approval: ApprovalId,
        encode: EncodeWithdrawn,
    ) -> Result<ImportReply<Withdrawn>> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let carried = async move {
            app.begin_register_record().await?;
            let reply = with_retry(|| app.carry_withdrawal(&caller, (request, approval), encode)).await?;
            if reply.fresh.is_some() {
                app.index_landed().await;
            }
            Ok(reply)
        };
        finished(tokio::spawn(carried.in_current_span())).await
    }

    /// What giving an approval to withdraw an import would come to. Writes nothing.
    ///
    /// # Errors
    /// As [`App::give_withdrawal`].
    pub async fn check_withdrawal(&self, caller: &Caller, approval: ApprovalId) -> Result<Withdrawn> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let checked = async move {
            let tx = app.locked().await?;
            let done = app.judged(&tx, &caller, approval, app.clock().now().at).await;
            let (tx, done) = tx.proceed(done).await?;
            tx.rollback().await?;
            Ok(done)
        };
        finished(tokio::spawn(checked.in_current_span())).await
    }

    /// Withdraws under the register's lock and keeps both answers, unless this request has done so already.
    async fn carry_withdrawal(
        &self,
        caller: &Caller,
        (request, approval): (RequestIdentity, ApprovalId),
        encode: EncodeWithdrawn,
    ) -> Result<ImportReply<Withdrawn>> {
        let (tx, mut record) = self.locked_record().await?;
        let kept = store::requests::one(&tx, &caller.actor, request.id).await?;
        let answer = kept.map(|it| replay_stored_answer(&it, &request)).transpose();
        let (tx, answer) = tx.proceed(answer).await?;
        let is_unanswered = answer.is_some();
        if let Some(answer) = answer.filter(|it| !it.is_empty()) {
            tx.confirm().await?;
            return Ok(ImportReply { answer, fresh: None });
        }
        let now = self.register_now(&tx).await;
        let (tx, now) = tx.proceed(now).await?;
        let done = if is_unanswered {
            // Earlier versions withdrew first and answered apart: a process that died in between left this to be made up.
            self.taken_back(&tx, approval).await
        } else {
            self.judged(&tx, caller, approval, now.at).await
        };
        let (tx, done) = tx.proceed(done).await?;
        store::approvals::put(&tx, &[&done.approval]).await?;
        let answer = (encode.given)(&done);
        if !is_unanswered {
            let (done_by, token_subject) = (DoneBy { actor: &caller.actor, request: request.id }, caller.subject);
            record.append(done_by, now, RegisterBody::ApprovalGiven { approval, token_subject }, None)?;
            let withdrawn = RegisterBody::ImportWithdrawn { import: done.import.id, approval };
            record.append(done_by, now, withdrawn, None)?;
        }
        record.write(&tx).await?;
        if is_unanswered {
            store::requests::answer(&tx, (&caller.actor, request.id), &answer).await?;
        } else {
            let stored = request.stored(&caller.actor, answer.clone(), None);
            store::requests::keep(&tx, std::slice::from_ref(&stored), now.at).await?;
        }
        if let Some(request) = done.approval.request {
            store::requests::answer(&tx, (&done.approval.requested_by, request), &(encode.asked)(&done)).await?;
        }
        tx.commit().await?;
        Ok(ImportReply { answer, fresh: Some(done) })
    }

    /// Withdraws the import of an approval, and judges what that does against what the approval states.
    async fn judged(&self, tx: &WriteTx, caller: &Caller, approval: ApprovalId, now: Micros) -> Result<Withdrawn> {
        let done = withdrawn(tx, caller, approval, now).await?;
        store::imports::put(tx, &[&done.import]).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        let offers = affected.iter().map(|it| it.offer).collect();
        let others = done.approval.exceeded_by(&Statement::Import { offers }, |_| None);
        Refusal::none_of(others)?;
        Ok(Withdrawn { affected, ..done })
    }

    /// What a withdrawal changed that was carried out before.
    async fn taken_back(&self, tx: &WriteTx, approval: ApprovalId) -> Result<Withdrawn> {
        let approval = asked(tx, approval).await?;
        let import = existing(tx, ImportId(approval.subject)).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        Ok(Withdrawn { approval, import, affected })
    }

    /// What an approval to withdraw an import states: the offers it would leave without their ground. The import stays as it
    /// is.
    async fn statement(&self, tx: &WriteTx, caller: &Caller, import: &Import) -> Result<Statement> {
        let without =
            Import { state: ImportState::Withdrawn, withdrawn_by: Some(caller.actor.clone()), ..import.clone() };
        store::imports::put(tx, &[&without]).await?;
        tx.use_custom_plans().await?;
        let affected = eligibility::affected(self, tx).await?;
        store::imports::put(tx, &[import]).await?;
        Ok(Statement::Import { offers: affected.iter().map(|it| it.offer).collect() })
    }
}

/// An approval to withdraw an import.
async fn asked(from: &impl store::Readable, approval: ApprovalId) -> Result<Approval> {
    let found = store::approvals::find(from, &[approval], &[], &[]).await?;
    let found = found.into_iter().find(|it| it.id == approval && it.action == ApprovalAction::WithdrawImport);
    found.ok_or_else(|| AppError::not_found(EntityKind::Approval, approval))
}

/// The approval answered so by this caller, if they may; not written.
pub(super) async fn answered(
    from: &impl store::Readable,
    approval: ApprovalId,
    answer: ApprovalAnswer,
    caller: &Caller,
    now: Micros,
) -> Result<Approval> {
    let mut found = asked(from, approval).await?;
    let by = ApprovalCaller::about_reference_data(caller.person(), now);
    by.may(&found, answer)?;
    // Of one about reference data the row has no event.
    found.answer(answer, &by.person, None);
    Ok(found)
}

/// The approval given by this caller, and the import withdrawn, neither written.
async fn withdrawn(
    from: &impl store::Readable,
    caller: &Caller,
    approval: ApprovalId,
    now: Micros,
) -> Result<Withdrawn> {
    let approval = answered(from, approval, ApprovalAnswer::Given, caller, now).await?;
    let import = Import {
        state: ImportState::Withdrawn,
        withdrawn_by: Some(approval.requested_by.clone()),
        withdrawn_reason: approval.reason.clone(),
        indexed: false,
        ..landed(from, ImportId(approval.subject)).await?
    };
    Ok(Withdrawn { approval, import, affected: Vec::new() })
}

async fn existing(from: &impl store::Readable, id: ImportId) -> Result<Import> {
    store::imports::get(from, id).await?.ok_or_else(|| AppError::not_found(EntityKind::Import, id))
}

async fn landed(from: &impl store::Readable, id: ImportId) -> Result<Import> {
    let import = existing(from, id).await?;
    if import.state == ImportState::Landed {
        return Ok(import);
    }
    Err(refusals::not_landed(id, import.state).into())
}
