//! What finance proves, through a running server.

use super::verify::{Expected, Report, verify};
use super::{App, AppError, Result, authorise};
use crate::domain::ids::Programme;
use crate::domain::role::{Action, Caller};

impl App {
    /// Verifies every book, or only one, over one snapshot. One at a time: whoever comes meanwhile waits.
    ///
    /// # Errors
    /// As [`verify`]; [`AppError::Denied`].
    pub async fn verify_ledger(
        &self,
        caller: &Caller,
        only: Option<&Programme>,
        expected: Option<Expected>,
    ) -> Result<Vec<Report>> {
        authorise(caller, Action::ReadLedger)?;
        let closed = |_| AppError::Bug("nobody may verify any more".to_owned());
        let _turn = self.inner.verifying.acquire().await.map_err(closed)?;
        verify(self.store(), only, expected).await
    }
}
