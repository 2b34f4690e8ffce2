//! Approvals: what waits for a second person, and giving it.

use std::collections::BTreeSet;

use super::{App, Result, authorise};
use crate::domain::event::Seq;
use crate::domain::ids::{ApprovalId, Programme};
use crate::domain::role::{Action, Caller};
use crate::store::approvals::{self, StoredApproval};
use crate::store::events;

impl App {
    /// A page of approvals, newest first, older than `before`.
    ///
    /// # Errors
    /// [`super::AppError::Denied`].
    pub async fn list_approvals(
        &self,
        caller: &Caller,
        closed_too: bool,
        before: Option<ApprovalId>,
        limit: u64,
    ) -> Result<Vec<StoredApproval>> {
        authorise(caller, Action::Read)?;
        let snapshot = self.snapshot().await?;
        let mut page = approvals::page(&snapshot, closed_too, before.map(|id| id.0), limit).await?;
        // Why an offer's was asked is the text of the event that opened it.
        let programmes: BTreeSet<Programme> = page.iter().filter_map(|it| it.programme.clone()).collect();
        for programme in programmes {
            let here = |it: &&mut StoredApproval| it.programme.as_ref() == Some(&programme);
            let opened: Vec<Seq> = page.iter_mut().filter(here).filter_map(|it| it.opened).collect();
            let texts = events::texts(&snapshot, &programme, &opened).await?;
            for it in page.iter_mut().filter(here) {
                it.reason = texts.iter().find(|text| Some(text.seq) == it.opened).map(|text| text.text.clone());
            }
        }
        Ok(page)
    }

    /// One approval; whoever gives it has it carried out by the book, or by the register, that it belongs to.
    ///
    /// # Errors
    /// [`super::AppError::NotFound`]; [`super::AppError::Denied`].
    pub async fn approval(&self, caller: &Caller, id: ApprovalId) -> Result<StoredApproval> {
        authorise(caller, Action::Read)?;
        let found = approvals::find(self.store(), &[id], &[], &[]).await?;
        found.into_iter().next().ok_or_else(|| super::AppError::NotFound(format!("approval {id}")))
    }
}
