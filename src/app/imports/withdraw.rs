//! Taking a wrong import back: one administrator asks, another gives the approval, which carries it out.
//!
//! The import keeps its rows, but none of them counts any more. An import whose place the withdrawn one took stays
//! replaced: what it said was found wrong once already, and it can be imported again.

use std::convert::Infallible;

use super::{Import, Reply, State, fingerprint, finished};
use crate::app::clock::new_id;
use crate::app::eligibility;
use crate::app::retry::retried;
use crate::app::{App, AppError, Result, Violation, authorise};
use crate::domain::book::approval::{WITHDRAW_IMPORT, check, required};
use crate::domain::ids::{ApprovalId, ImportId, OfferId, Programme, RequestId, Urn};
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::role::{Action, Caller};
use crate::store;
use crate::store::approvals::StoredApproval;
use crate::store::requests::Stored;

/// The method that gives an approval.
const RPC: &str = "GiveApproval";
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
    /// one person, so it always ends in a refusal or an error.
    ///
    /// # Errors
    /// [`Reason::ApprovalRequired`] with the approval; [`Reason::ImportNotLanded`]; [`AppError::NotFound`].
    pub async fn withdraw_import(&self, caller: &Caller, id: ImportId, reason: &str) -> Result<Infallible> {
        authorise(caller, Action::Import)?;
        let length = reason.trim().chars().count();
        if length == 0 || length > REASON {
            let wanted = format!("say why, in at most {REASON} characters");
            return Err(AppError::Invalid(vec![Violation::new("reason", wanted)]));
        }
        let ask = || self.ask_to_withdraw(caller, id, reason.trim());
        Err(required(retried(ask).await?, "withdrawing an import").into())
    }

    async fn ask_to_withdraw(&self, caller: &Caller, id: ImportId, reason: &str) -> Result<ApprovalId> {
        let tx = self.locked().await?;
        landed(&tx, id).await?;
        let open = store::approvals::find(&tx, &[], &[id.0]).await?;
        let mine = |it: &&StoredApproval| it.action == WITHDRAW_IMPORT && it.requested_by == caller.actor;
        if let Some(open) = open.iter().find(mine) {
            let id = open.id;
            tx.rollback().await?;
            return Ok(id);
        }
        let new = StoredApproval {
            id: ApprovalId(new_id()),
            programme: None,
            action: WITHDRAW_IMPORT.to_owned(),
            opened: None,
            subject: id.0,
            reason: Some(reason.to_owned()),
            requested_by: caller.actor.clone(),
            requested_at: self.clock().now().at,
            given_by: None,
        };
        store::approvals::put(&tx, std::slice::from_ref(&new)).await?;
        tx.commit().await?;
        Ok(new.id)
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
        finished(tokio::spawn(async move {
            let done = retried(|| app.carry_withdrawal(&caller, request, approval, encode)).await?;
            app.index_landed().await;
            Ok(done)
        }))
        .await
    }

    async fn carry_withdrawal(
        &self,
        caller: &Caller,
        request: RequestId,
        approval: ApprovalId,
        encode: fn(&Withdrawn) -> Vec<u8>,
    ) -> Result<Reply<Withdrawn>> {
        let fingerprint = fingerprint(RPC, &[approval.0.as_bytes()]);
        let tx = self.locked().await?;
        if let Some(stored) = store::requests::one(&tx, &caller.actor, request).await? {
            if stored.fingerprint != fingerprint {
                return Err(AppError::RequestIdReused);
            }
            return Ok(Reply { answer: stored.answer, fresh: None });
        }
        let found = store::approvals::find(&tx, &[approval], &[]).await?;
        let found = found.into_iter().find(|it| it.id == approval && it.action == WITHDRAW_IMPORT);
        let waiting = found.ok_or_else(|| AppError::NotFound(format!("approval {approval}")))?;
        check(approval, &waiting.requested_by, waiting.given_by.as_ref(), &caller.actor)?;
        let import = landed(&tx, ImportId(waiting.subject)).await?;
        let now = self.clock().now();
        let import = Import {
            state: State::Withdrawn,
            withdrawn_by: Some(waiting.requested_by.clone()),
            withdrawn_reason: waiting.reason.clone(),
            indexed: false,
            ..import
        };
        store::imports::put(&tx, &[&import]).await?;
        let given = StoredApproval { given_by: Some(caller.actor.clone()), ..waiting };
        store::approvals::put(&tx, std::slice::from_ref(&given)).await?;
        let affected = eligibility::affected(self, &tx).await?;
        let done = Withdrawn { approval: given, import, affected };
        let answer = encode(&done);
        let stored =
            Stored { actor: caller.actor.clone(), request, rpc: RPC.to_owned(), fingerprint, answer: answer.clone() };
        store::requests::keep(&tx, &[stored], now.at).await?;
        tx.commit().await?;
        Ok(Reply { answer, fresh: Some(done) })
    }
}

async fn landed(from: &impl store::Readable, id: ImportId) -> Result<Import> {
    let import = store::imports::get(from, id).await?.ok_or_else(|| AppError::NotFound(format!("import {id}")))?;
    if import.state == State::Landed {
        return Ok(import);
    }
    let limit = Limit::plain("import", format!("import {id}"), "nothing to do: it does not count");
    let message = format!("import {id} does not count: it is {}", import.state);
    Err(Refusal::of(Reason::ImportNotLanded, message, limit).into())
}
