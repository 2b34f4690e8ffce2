//! Approvals: what waits for a second person, and giving it.

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
    /// Open ones.
    Open,
    /// All.
    All,
    /// Open ones that the caller may give.
    WaitingForMe,
}

fn seen(caller: &Caller, which: ApprovalScope, now: Micros) -> VisibleApprovals<'static> {
    let me = caller.person();
    match which {
        ApprovalScope::WaitingForMe => VisibleApprovals {
            actions: approval::may_give(caller),
            asked_by: None,
            not_asked_by: Some(me),
            closed_too: false,
            now,
            condition: None,
        },
        ApprovalScope::Open | ApprovalScope::All => VisibleApprovals {
            actions: approval::may_see(caller),
            asked_by: Some(me),
            not_asked_by: None,
            closed_too: which == ApprovalScope::All,
            now,
            condition: None,
        },
    }
}

impl App {
    /// A page of approvals: those of the kinds that the caller may ask for or give,
    /// and those the caller asked for.
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
            approvals::page(&snapshot, &VisibleApprovals { condition, ..seen(caller, which, now) }, page).await?;
        page.iter_mut().for_each(|it| it.state = it.state_at(now));
        // Why one of a programme was asked, or denied, is the text of that event.
        let programmes: BTreeSet<Programme> = page.iter().filter_map(|it| it.programme.clone()).collect();
        for programme in programmes {
            let here = |it: &&mut Approval| it.programme.as_ref() == Some(&programme);
            let of: Vec<Seq> = page.iter_mut().filter(here).flat_map(|it| [it.opened, it.denied]).flatten().collect();
            let texts = events::texts(&snapshot, &programme, &of).await?;
            let text = |of: Option<Seq>| texts.iter().find(|text| Some(text.seq) == of).map(|text| text.text.clone());
            for it in page.iter_mut().filter(here) {
                (it.reason, it.denied_reason) = (text(it.opened), text(it.denied));
            }
        }
        Ok(page)
    }

    /// One approval. Giving it carries it out in its programme, or in the register.
    ///
    /// # Errors
    /// [`crate::app::AppError::NotFound`]; [`crate::app::AppError::Denied`].
    pub async fn approval(&self, caller: &Caller, id: ApprovalId) -> Result<Approval> {
        authorise(caller, Action::Read)?;
        let found = approvals::find(self.store(), &[id], &[], &[]).await?;
        found.into_iter().next().ok_or_else(|| crate::app::AppError::not_found(EntityKind::Approval, id))
    }
}
