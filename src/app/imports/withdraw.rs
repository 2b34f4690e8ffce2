//! Taking a wrong import back: one administrator asks, another gives the approval, which carries it out, or denies it.
//!
//! The import keeps its rows, but none of them counts any more. An import whose place the withdrawn one took stays
//! replaced: what it said was found wrong once already, and it can be imported again.
//!
//! Which offers are left without their ground takes reading every file, and every command would wait for it under the
//! lock. So one short transaction withdraws, its answer kept empty; the offers are then looked up in a snapshot, by the
//! files and offers of that moment; and another short one keeps the answer. Where a process dies in between, the same
//! request, tried again, finds its empty answer and completes it.

use std::convert::Infallible;

use tracing::Instrument as _;

use super::{Import, Reply, State, fingerprint, finished};
use crate::app::clock::new_id;
use crate::app::eligibility;
use crate::app::retry::retried;
use crate::app::{App, AppError, Result, Violation, again, authorise};
use crate::domain::book::approval::{self, WITHDRAW_IMPORT, asked_before, check, required, would_be_required};
use crate::domain::ids::{ApprovalId, ImportId, OfferId, Programme, RequestId, Urn};
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::role::{Action, Caller};
use crate::store;
use crate::store::approvals::StoredApproval;
use crate::store::requests::Stored;

/// The method that gives an approval.
const RPC: &str = "ApprovalService/GiveApproval";
/// The method that denies one.
const DENY: &str = "ApprovalService/DenyApproval";
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

impl App {
    /// Asks to withdraw an import: opens an approval, or names the one the caller opened already. Never carried out by
    /// one person, so it always ends in a refusal or an error. With `validate_only` none is opened.
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
    ) -> Result<Infallible> {
        authorise(caller, Action::Import)?;
        let length = reason.trim().chars().count();
        if length == 0 || length > REASON {
            let wanted = format!("say why, in at most {REASON} characters");
            return Err(AppError::Invalid(vec![Violation::new("reason", wanted)]));
        }
        let ask = || self.ask_to_withdraw(caller, (request, id), reason.trim(), validate_only);
        Err(retried(ask).await?.into())
    }

    async fn ask_to_withdraw(
        &self,
        caller: &Caller,
        (request, id): (RequestId, ImportId),
        reason: &str,
        validate_only: bool,
    ) -> Result<Refusal> {
        let tx = self.locked().await?;
        let found = store::approvals::find(&tx, &[], &[id.0], &[request]).await?;
        let mine = |it: &&StoredApproval| {
            it.action == WITHDRAW_IMPORT && it.subject == id.0 && it.requested_by == caller.actor
        };
        let by_this_call = found.iter().filter(mine).find(|it| it.request == Some(request));
        if let Some(before) = by_this_call {
            tx.confirm().await?;
            return Ok(asked_before(before.id, &before.state, ASKED));
        }
        let counts = landed(&tx, id).await;
        let (tx, _) = tx.proceed(counts).await?;
        if let Some(open) = found.iter().filter(mine).find(|it| it.state.is_open()) {
            tx.confirm().await?;
            return Ok(required(open.id, ASKED));
        }
        if validate_only {
            tx.rollback().await?;
            return Ok(would_be_required());
        }
        let new = StoredApproval {
            id: ApprovalId(new_id()),
            programme: None,
            action: WITHDRAW_IMPORT.to_owned(),
            opened: None,
            change: None,
            subject: id.0,
            reason: Some(reason.to_owned()),
            requested_by: caller.actor.clone(),
            request: Some(request),
            requested_at: self.register_now(&tx).await?.at,
            state: approval::State::Open,
            denied: None,
            denied_reason: None,
        };
        store::approvals::put(&tx, std::slice::from_ref(&new)).await?;
        tx.commit().await?;
        Ok(required(new.id, ASKED))
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
        encode: fn(&Withdrawn) -> Vec<u8>,
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
        withdrawn(&self.snapshot().await?, caller, approval).await
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
        retried(async || {
            let fingerprint = fingerprint(DENY, &[approval.0.as_bytes(), reason.as_bytes()]);
            let tx = self.locked().await?;
            if let Some(stored) = store::requests::one(&tx, &caller.actor, *request).await? {
                tx.confirm().await?;
                return again(&stored, DENY, fingerprint);
            }
            let waiting = may_be_answered(&tx, *approval, caller).await;
            let (tx, waiting) = tx.proceed(waiting).await?;
            let state = approval::State::Denied(caller.actor.clone());
            let denied = StoredApproval { state, denied_reason: Some(reason.clone()), ..waiting };
            let answer = encode(&denied);
            if validate_only {
                tx.rollback().await?;
                return Ok(answer);
            }
            store::approvals::put(&tx, std::slice::from_ref(&denied)).await?;
            let (actor, rpc) = (caller.actor.clone(), DENY.to_owned());
            let stored = Stored { actor, request: *request, rpc, fingerprint, answer: answer.clone() };
            store::requests::keep(&tx, std::slice::from_ref(&stored), self.register_now(&tx).await?.at).await?;
            tx.commit().await?;
            Ok(answer)
        })
        .await
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
        let done = withdrawn(&tx, caller, approval).await;
        let (tx, Withdrawn { approval: given, import, .. }) = tx.proceed(done).await?;
        let now = self.register_now(&tx).await?;
        store::imports::put(&tx, &[&import]).await?;
        store::approvals::put(&tx, std::slice::from_ref(&given)).await?;
        let stored =
            Stored { actor: caller.actor.clone(), request, rpc: RPC.to_owned(), fingerprint, answer: Vec::new() };
        store::requests::keep(&tx, std::slice::from_ref(&stored), now.at).await?;
        tx.commit().await?;
        Ok(Carried::Unanswered(Given { approval, stored }))
    }

    /// Looks up what the withdrawal changed and keeps it as the answer; the first one kept stands.
    async fn answer_withdrawal(&self, given: &Given, encode: fn(&Withdrawn) -> Vec<u8>) -> Result<Reply<Withdrawn>> {
        let snapshot = self.snapshot().await?;
        let approval = asked(&snapshot, given.approval).await?;
        let import = existing(&snapshot, ImportId(approval.subject)).await?;
        let affected = eligibility::affected(self, &snapshot).await?;
        drop(snapshot);
        let done = Withdrawn { approval, import, affected };
        let answer = encode(&done);
        let tx = self.locked().await?;
        let kept = store::requests::one(&tx, &given.stored.actor, given.stored.request).await?;
        if let Some(first) = kept.filter(|it| !it.answer.is_empty()) {
            tx.confirm().await?;
            return Ok(Reply { answer: first.answer, fresh: None });
        }
        store::requests::answer(&tx, &Stored { answer: answer.clone(), ..given.stored.clone() }).await?;
        tx.commit().await?;
        Ok(Reply { answer, fresh: Some(done) })
    }
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

async fn asked(from: &impl store::Readable, approval: ApprovalId) -> Result<StoredApproval> {
    let found = store::approvals::find(from, &[approval], &[], &[]).await?;
    let found = found.into_iter().find(|it| it.id == approval && it.action == WITHDRAW_IMPORT);
    found.ok_or_else(|| AppError::NotFound(format!("approval {approval}")))
}

/// The approval that waits, if this caller may give or deny it.
async fn may_be_answered(from: &impl store::Readable, approval: ApprovalId, caller: &Caller) -> Result<StoredApproval> {
    let waiting = asked(from, approval).await?;
    check(approval, &waiting.requested_by, &waiting.state, &caller.actor)?;
    Ok(waiting)
}

/// The approval given by this caller, and the import withdrawn, neither written.
async fn withdrawn(from: &impl store::Readable, caller: &Caller, approval: ApprovalId) -> Result<Withdrawn> {
    let waiting = may_be_answered(from, approval, caller).await?;
    let import = Import {
        state: State::Withdrawn,
        withdrawn_by: Some(waiting.requested_by.clone()),
        withdrawn_reason: waiting.reason.clone(),
        indexed: false,
        ..landed(from, ImportId(waiting.subject)).await?
    };
    let approval = StoredApproval { state: approval::State::CarriedOut(caller.actor.clone()), ..waiting };
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
