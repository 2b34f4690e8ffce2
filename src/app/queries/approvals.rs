//! Reads approvals.

use std::collections::BTreeSet;

use crate::app::{App, Result, authorise};
use crate::domain::approval::{self, Approval};
use crate::domain::event::Seq;
use crate::domain::ids::{ApprovalId, Programme};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller};
use crate::domain::time::Micros;
use crate::store::approvals::{self, ApprovalField, VisibleApprovals};
use crate::store::db::condition::Condition;
use crate::store::db::page::Page;
use crate::store::events;

/// Which approvals a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalScope {
    /// Open approvals.
    Open,
    /// All approvals.
    All,
    /// Open approvals that the caller may give or deny.
    WaitingForMe,
}

/// The part of a query that selects the approvals which a caller may see in this scope.
pub(in crate::app) fn visible_approvals(
    caller: &Caller,
    which: ApprovalScope,
    now: Micros,
) -> VisibleApprovals<'static> {
    let me = caller.person();
    match which {
        ApprovalScope::WaitingForMe => VisibleApprovals {
            actions: approval::actions_caller_may_give(caller),
            asked_by: None,
            not_asked_by: Some(me),
            closed_too: false,
            now,
            condition: None,
        },
        ApprovalScope::Open | ApprovalScope::All => VisibleApprovals {
            actions: approval::actions_caller_may_see(caller),
            asked_by: Some(me),
            not_asked_by: None,
            closed_too: which == ApprovalScope::All,
            now,
            condition: None,
        },
    }
}

impl App {
    /// A page of approvals: those of the kinds that the caller may request or give, and those that the caller requested.
    ///
    /// # Errors
    /// [`crate::app::AppError::Denied`].
    pub async fn list_approvals(
        &self,
        caller: &Caller,
        now: Micros,
        (which, condition): (ApprovalScope, Option<&Condition<ApprovalField>>),
        page: Page,
    ) -> Result<Vec<Approval>> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let mut page =
            approvals::page(&snapshot, &VisibleApprovals { condition, ..visible_approvals(caller, which, now) }, page)
                .await?;
        page.iter_mut().for_each(|it| it.state = it.state_at(now));
        // The reasons of an approval of a programme are the texts of its events.
        let programmes: BTreeSet<Programme> = page.iter().filter_map(|it| it.programme.clone()).collect();
        for programme in programmes {
            let is_of_programme = |it: &&mut Approval| it.programme.as_ref() == Some(&programme);
            let of_programme = page.iter_mut().filter(is_of_programme);
            let seqs: Vec<Seq> = of_programme.flat_map(|it| [it.opened, it.denied]).flatten().collect();
            let texts = events::texts(&snapshot, &programme, &seqs).await?;
            let text = |seq: Option<Seq>| texts.iter().find(|text| Some(text.seq) == seq).map(|text| text.text.clone());
            for it in page.iter_mut().filter(is_of_programme) {
                (it.reason, it.denied_reason) = (text(it.opened), text(it.denied));
            }
        }
        Ok(page)
    }

    /// Returns one approval, of a programme or of the register.
    ///
    /// # Errors
    /// [`crate::app::AppError::NotFound`]; [`crate::app::AppError::Denied`].
    pub async fn approval(&self, caller: &Caller, id: ApprovalId) -> Result<Approval> {
        authorise(caller, Action::Read)?;
        let found = approvals::find(self.store(), &[id], &[], &[]).await?;
        found.into_iter().next().ok_or_else(|| crate::app::AppError::not_found(EntityKind::Approval, id))
    }
}
