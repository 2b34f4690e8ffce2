//! Approvals: what waits for a second person, and giving it.

use super::{App, Result, authorise};
use crate::domain::ids::ApprovalId;
use crate::domain::role::{Action, Caller};
use crate::store::approvals::{self, StoredApproval};

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
        Ok(approvals::page(self.store(), closed_too, before.map(|id| id.0), limit).await?)
    }

    /// One approval; whoever gives it has it carried out by the book, or by the register, that it belongs to.
    ///
    /// # Errors
    /// [`super::AppError::NotFound`]; [`super::AppError::Denied`].
    pub async fn approval(&self, caller: &Caller, id: ApprovalId) -> Result<StoredApproval> {
        authorise(caller, Action::Read)?;
        let found = approvals::find(self.store(), &[id], &[]).await?;
        found.into_iter().next().ok_or_else(|| super::AppError::NotFound(format!("approval {id}")))
    }
}
