//! Taking a wrong import back: one administrator asks, another gives the approval, which carries it out, or denies it.
//!
//! The import keeps its rows, but none of them counts any more. An import whose place the withdrawn one took stays
//! replaced: what it said was found wrong once already, and it can be imported again.
//!
//! Which offers are left without their ground takes reading every file, and every command would wait for it under the
//! lock. So one short transaction withdraws, its answer kept empty; the offers are then looked up in a snapshot, by the
//! files and offers of that moment; and another short one keeps the answer. Where a process dies in between, the same
//! request, tried again, finds its empty answer and completes it.

use tracing::Instrument as _;

use super::{Import, Reply, State, fingerprint, finished};
use crate::app::clock::new_id;
use crate::app::eligibility;
use crate::app::retry::retried;
use crate::app::{App, AppError, Result, Violation, again, authorise};
use crate::domain::book::approval::{
    self, WITHDRAW_IMPORT, asked_before, check, check_withdrawal, required, would_be_required,
};
use crate::domain::event::Hash;
use crate::domain::ids::{ApprovalId, ImportId, OfferId, Programme, RequestId, Urn};
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::role::{Action, Caller};
use crate::domain::terms::APPROVALS_EXPIRE_DAYS;
use crate::domain::time::Micros;
use crate::store;
use crate::store::approvals::StoredApproval;
use crate::store::requests::Stored;

/// The method that asks for it.
const ASK: &str = "RegisterService/WithdrawImport";
/// The method that gives an approval.
const RPC: &str = "ApprovalService/GiveApproval";
/// The method that denies one.
const DENY: &str = "ApprovalService/DenyApproval";
/// The method that takes one back.
const WITHDRAW: &str = "ApprovalService/WithdrawApproval";
/// What is asked for, in a refusal.
const ASKED: &str = "withdrawing an import";
/// The longest reason kept.
const REASON: usize = 2_000;

/// An open offer that a withdrawal leaves without its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedOffer {
    /// Its programme.
    pub programme: Programme,
    /// The offer.
    pub offer: OfferId,
    /// Its schools that are not eligible by the files that remain.
    pub urns: Vec<Urn>,
}

/// A withdrawal that is to be denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The caller's id of the mutation.
    pub request: RequestId,
    /// The approval.
    pub approval: ApprovalId,
    /// Why, not empty.
    pub reason: String,
}

/// An approval that is to be taken back by whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawal {
    /// The caller's id of the mutation.
    pub request: RequestId,
    /// The approval.
    pub approval: ApprovalId,
}

/// What withdrawing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The approval, given.
    pub approval: StoredApproval,
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
    /// [`Reason::ApprovalRequired`] with the approval; [`Reason::ApprovalNotOpen`] where this very request asked before and
    /// was answered; [`Reason::ImportNotLanded`]; [`AppError::NotFound`].
    pub async fn withdraw_import(
        &self,
        caller: &Caller,
        (request, id): (RequestId, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let length = reason.trim().chars().count();
        if length == 0 || length > REASON {
            let wanted = format!("say why, in at most {REASON} characters");
            return Err(AppError::Invalid(vec![Violation::new("reason", wanted)]));
        }
        let ask = || self.ask_to_withdraw(caller, (request, id), reason.trim(), validate_only);
        retried(ask).await?.map_err(AppError::from)
    }

    async fn ask_to_withdraw(
        &self,
        caller: &Caller,
        (request, id): (RequestId, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<std::result::Result<Vec<u8>, Refusal>> {
        let fingerprint = fingerprint(ASK, &[id.0.as_bytes(), reason.as_bytes()]);
        let tx = self.locked().await?;
        let kept = store::requests::one(&tx, &caller.actor, request).await?;
        let answer = kept.map(|it| again(&it, ASK, fingerprint)).transpose();
        let (tx, answer) = tx.proceed(answer).await?;
        if let Some(answer) = answer.filter(|it| !it.is_empty()) {
            tx.confirm().await?;
            return Ok(Ok(answer));
        }
        let found = store::approvals::find(&tx, &[], &[id.0], &[request]).await?;
        let mine = |it: &&StoredApproval| {
            it.action == WITHDRAW_IMPORT && it.subject == id.0 && it.asked_by().is(&caller.person())
        };
        let by_this_call =
            found.iter().filter(mine).find(|it| it.request == Some(request) && it.requested_by == caller.actor);
        if let Some(before) = by_this_call {
            tx.confirm().await?;
            let state = before.state.at(self.clock().now().at, before.expires);
            // Carried out, and about to be answered; where it was asked before requests were kept, it never is.
            if before.expires.is_some() && matches!(state, approval::State::CarriedOut(_)) {
                return Err(AppError::Unavailable);
            }
            return Ok(Err(asked_before(before.id, (&state, before.expires), ASKED)));
        }
        let now = self.clock().now().at;
        let counts = landed(&tx, id).await;
        let (tx, _) = tx.proceed(counts).await?;
        if let Some(open) = found.iter().filter(mine).find(|it| it.state.at(now, it.expires).is_open()) {
            tx.confirm().await?;
            return Ok(Err(required(open.id, ASKED)));
        }
        if validate_only {
            tx.rollback().await?;
            return Ok(Err(would_be_required()));
        }
        let now = self.register_now(&tx).await?.at;
        let new = StoredApproval {
            id: ApprovalId(new_id()),
            programme: None,
            action: WITHDRAW_IMPORT.to_owned(),
            opened: None,
            change: None,
            statement: None,
            expires: Some(now.plus_days(APPROVALS_EXPIRE_DAYS)),
            subject: id.0,
            reason: Some(reason.to_owned()),
            requested_by: caller.actor.clone(),
            requested_subject: caller.subject,
            request: Some(request),
            requested_at: now,
            state: approval::State::Open,
            answered_subject: None,
            denied: None,
            denied_reason: None,
        };
        store::approvals::put(&tx, std::slice::from_ref(&new)).await?;
        let (actor, rpc, approval) = (caller.actor.clone(), ASK.to_owned(), Some(new.id));
        let kept = Stored { actor, request, rpc, fingerprint, answer: Vec::new(), approval };
        store::requests::keep(&tx, &[kept], now).await?;
        tx.commit().await?;
        Ok(Err(required(new.id, ASKED)))
    }

    /// Gives an approval to withdraw an import, which carries it out.
    ///
    /// # Errors
    /// [`Reason::SelfApproval`], [`Reason::ApprovalNotOpen`], [`Reason::ImportNotLanded`]; [`AppError::NotFound`] for an
    /// approval of something else.
    pub async fn give_withdrawal(
        &self,
        caller: &Caller,
        request: RequestId,
        approval: ApprovalId,
        encode: EncodeWithdrawn,
    ) -> Result<Reply<Withdrawn>> {
        authorise(caller, Action::Import)?;
        let (app, caller) = (self.clone(), caller.clone());
        let carried = async move {
            match retried(|| app.carry_withdrawal(&caller, request, approval)).await? {
                Carried::Answered(answer) => Ok(Reply { answer, fresh: None }),
                Carried::Unanswered(given) => {
                    app.index_landed().await;
                    retried(|| app.answer_withdrawal(&given, encode)).await
                }
            }
        };
        finished(tokio::spawn(carried.in_current_span())).await
    }

    /// What giving an approval to withdraw an import would come to, but for the offers it would affect. Writes nothing.
    ///
    /// # Errors
    /// As [`App::give_withdrawal`].
    pub async fn check_withdrawal(&self, caller: &Caller, approval: ApprovalId) -> Result<Withdrawn> {
        authorise(caller, Action::Import)?;
        withdrawn(&self.snapshot().await?, caller, approval, self.clock().now().at).await
    }

    /// Denies an approval to withdraw an import: nothing is carried out. With `validate_only` nothing is written.
    ///
    /// # Errors
    /// [`Reason::SelfApproval`], [`Reason::ApprovalNotOpen`]; [`AppError::NotFound`] for an approval of something else.
    pub async fn deny_withdrawal(
        &self,
        caller: &Caller,
        Denial { request, approval, reason }: &Denial,
        validate_only: bool,
        encode: fn(&StoredApproval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let fingerprint = fingerprint(DENY, &[approval.0.as_bytes(), reason.as_bytes()]);
        let call = Call { approval: *approval, request: *request, rpc: DENY, fingerprint };
        retried(async || self.end_withdrawal(caller, &call, Ending::Denied(reason), validate_only, encode).await).await
    }

    /// Takes an approval to withdraw an import back, as whoever asked for it. With `validate_only` nothing is written.
    ///
    /// # Errors
    /// [`Reason::ApprovalOfAnother`], [`Reason::ApprovalNotOpen`]; [`AppError::NotFound`] for an approval of something else.
    pub async fn take_back_withdrawal(
        &self,
        caller: &Caller,
        Withdrawal { request, approval }: Withdrawal,
        validate_only: bool,
        encode: fn(&StoredApproval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        authorise(caller, Action::Import)?;
        let fingerprint = fingerprint(WITHDRAW, &[approval.0.as_bytes()]);
        let call = Call { approval, request, rpc: WITHDRAW, fingerprint };
        retried(async || self.end_withdrawal(caller, &call, Ending::Withdrawn, validate_only, encode).await).await
    }

    /// Ends an approval that carries nothing out, and keeps the answer; a call made again is answered as before.
    async fn end_withdrawal(
        &self,
        caller: &Caller,
        call: &Call,
        ending: Ending<'_>,
        validate_only: bool,
        encode: fn(&StoredApproval) -> Vec<u8>,
    ) -> Result<Vec<u8>> {
        let tx = self.locked().await?;
        if let Some(stored) = store::requests::one(&tx, &caller.actor, call.request).await? {
            tx.confirm().await?;
            return again(&stored, call.rpc, call.fingerprint);
        }
        let ended = ended(&tx, caller, (call.approval, ending), self.clock().now().at).await;
        let (tx, ended) = tx.proceed(ended).await?;
        let answer = encode(&ended);
        if validate_only {
            tx.rollback().await?;
            return Ok(answer);
        }
        store::approvals::put(&tx, std::slice::from_ref(&ended)).await?;
        let (actor, rpc, fingerprint) = (caller.actor.clone(), call.rpc.to_owned(), call.fingerprint);
        let stored = Stored { actor, request: call.request, rpc, fingerprint, answer: answer.clone(), approval: None };
        store::requests::keep(&tx, std::slice::from_ref(&stored), self.register_now(&tx).await?.at).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// Withdraws under the register's lock, unless this request has done so already.
    pub(super) async fn carry_withdrawal(
        &self,
        caller: &Caller,
        request: RequestId,
        approval: ApprovalId,
    ) -> Result<Carried> {
        let fingerprint = fingerprint(RPC, &[approval.0.as_bytes()]);
        let tx = self.locked().await?;
        if let Some(stored) = store::requests::one(&tx, &caller.actor, request).await? {
            let answer = again(&stored, RPC, fingerprint);
            let (tx, answer) = tx.proceed(answer).await?;
            let unanswered = answer.is_empty();
            if unanswered {
                tx.rollback().await?;
                return Ok(Carried::Unanswered(Given { approval, stored }));
            }
            tx.confirm().await?;
            return Ok(Carried::Answered(answer));
        }
        let done = withdrawn(&tx, caller, approval, self.clock().now().at).await;
        let (tx, Withdrawn { approval: given, import, .. }) = tx.proceed(done).await?;
        let now = self.register_now(&tx).await?;
        store::imports::put(&tx, &[&import]).await?;
        store::approvals::put(&tx, std::slice::from_ref(&given)).await?;
        let (actor, rpc) = (caller.actor.clone(), RPC.to_owned());
        let stored = Stored { actor, request, rpc, fingerprint, answer: Vec::new(), approval: None };
        store::requests::keep(&tx, std::slice::from_ref(&stored), now.at).await?;
        tx.commit().await?;
        Ok(Carried::Unanswered(Given { approval, stored }))
    }

    /// Looks up what the withdrawal changed and keeps it as the answer; the first one kept stands.
    async fn answer_withdrawal(&self, given: &Given, encode: EncodeWithdrawn) -> Result<Reply<Withdrawn>> {
        let snapshot = self.snapshot().await?;
        let approval = asked(&snapshot, given.approval).await?;
        let import = existing(&snapshot, ImportId(approval.subject)).await?;
        let affected = eligibility::affected(self, &snapshot).await?;
        drop(snapshot);
        let done = Withdrawn { approval, import, affected };
        let answer = (encode.given)(&done);
        let tx = self.locked().await?;
        let kept = store::requests::one(&tx, &given.stored.actor, given.stored.request).await?;
        if let Some(first) = kept.filter(|it| !it.answer.is_empty()) {
            tx.confirm().await?;
            return Ok(Reply { answer: first.answer, fresh: None });
        }
        store::requests::answer(&tx, (&given.stored.actor, given.stored.request), &answer).await?;
        if let Some(request) = done.approval.request {
            store::requests::answer(&tx, (&done.approval.requested_by, request), &(encode.asked)(&done)).await?;
        }
        tx.commit().await?;
        Ok(Reply { answer, fresh: Some(done) })
    }
}

/// A call that is answered once: about which approval, under which id, and what it is.
#[derive(Debug)]
struct Call {
    approval: ApprovalId,
    request: RequestId,
    rpc: &'static str,
    fingerprint: Hash,
}

/// How far a withdrawal is.
#[derive(Debug)]
pub(super) enum Carried {
    /// It was answered before.
    Answered(Vec<u8>),
    /// It is carried out, and its answer not yet kept.
    Unanswered(Given),
}

/// An approval given, and the request that gave it.
#[derive(Debug)]
pub(super) struct Given {
    approval: ApprovalId,
    stored: Stored,
}

/// How an approval ends that carries nothing out.
#[derive(Debug, Clone, Copy)]
enum Ending<'a> {
    /// By the second person, who says why.
    Denied(&'a str),
    /// By whoever asked.
    Withdrawn,
}

/// The approval ended so by this caller, if they may; not written.
async fn ended(
    from: &impl store::Readable,
    caller: &Caller,
    (approval, ending): (ApprovalId, Ending<'_>),
    now: Micros,
) -> Result<StoredApproval> {
    match ending {
        Ending::Denied(reason) => {
            let waiting = may_be_answered(from, approval, caller, now).await?;
            let (state, answered_subject) = (approval::State::Denied(caller.actor.clone()), caller.subject);
            Ok(StoredApproval { state, answered_subject, denied_reason: Some(reason.to_owned()), ..waiting })
        }
        Ending::Withdrawn => {
            let found = asked(from, approval).await?;
            check_withdrawal(approval, &found.asked_by(), &found.state.at(now, found.expires), &caller.person())?;
            Ok(StoredApproval { state: approval::State::Withdrawn, ..found })
        }
    }
}

async fn asked(from: &impl store::Readable, approval: ApprovalId) -> Result<StoredApproval> {
    let found = store::approvals::find(from, &[approval], &[], &[]).await?;
    let found = found.into_iter().find(|it| it.id == approval && it.action == WITHDRAW_IMPORT);
    found.ok_or_else(|| AppError::NotFound(format!("approval {approval}")))
}

/// The approval that waits, if this caller may give or deny it.
async fn may_be_answered(
    from: &impl store::Readable,
    approval: ApprovalId,
    caller: &Caller,
    now: Micros,
) -> Result<StoredApproval> {
    let waiting = asked(from, approval).await?;
    check(approval, &waiting.asked_by(), &waiting.state.at(now, waiting.expires), &caller.person())?;
    Ok(waiting)
}

/// The approval given by this caller, and the import withdrawn, neither written.
async fn withdrawn(
    from: &impl store::Readable,
    caller: &Caller,
    approval: ApprovalId,
    now: Micros,
) -> Result<Withdrawn> {
    let waiting = may_be_answered(from, approval, caller, now).await?;
    let import = Import {
        state: State::Withdrawn,
        withdrawn_by: Some(waiting.requested_by.clone()),
        withdrawn_reason: waiting.reason.clone(),
        indexed: false,
        ..landed(from, ImportId(waiting.subject)).await?
    };
    let state = approval::State::CarriedOut(caller.actor.clone());
    let approval = StoredApproval { state, answered_subject: caller.subject, ..waiting };
    Ok(Withdrawn { approval, import, affected: Vec::new() })
}

async fn existing(from: &impl store::Readable, id: ImportId) -> Result<Import> {
    store::imports::get(from, id).await?.ok_or_else(|| AppError::NotFound(format!("import {id}")))
}

async fn landed(from: &impl store::Readable, id: ImportId) -> Result<Import> {
    let import = existing(from, id).await?;
    if import.state == State::Landed {
        return Ok(import);
    }
    let limit = Limit::plain("import", format!("import {id}"), "nothing to do: it does not count");
    let message = format!("import {id} does not count: it is {}", import.state);
    Err(Refusal::of(Reason::ImportNotLanded, message, limit).into())
}
