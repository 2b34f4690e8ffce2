//! What finance proves, through a running server.

use crate::app::verify::{ExpectedHead, VerifyReport, verify};
use crate::app::{App, AppError, Result, authorise};
use crate::domain::ids::RecordName;
use crate::domain::role::{Action, Caller};

impl App {
    /// Verifies every programme, or only one, over one snapshot. One at a time: later calls wait.
    ///
    /// # Errors
    /// As [`verify`]; [`AppError::Denied`].
    pub async fn verify_ledger(
        &self,
        caller: &Caller,
        only: Option<&RecordName>,
        expected: Option<ExpectedHead>,
    ) -> Result<Vec<VerifyReport>> {
        authorise(caller, Action::ReadLedger)?;
        self.verify_in_turn(only, expected).await
    }

    /// The same of every programme, for this process itself, which tells nobody more than whether it is sound.
    ///
    /// # Errors
    /// As [`verify`].
    pub async fn check_ledger(&self) -> Result<Vec<VerifyReport>> {
        self.verify_in_turn(None, None).await
    }

    async fn verify_in_turn(
        &self,
        only: Option<&RecordName>,
        expected: Option<ExpectedHead>,
    ) -> Result<Vec<VerifyReport>> {
        let closed = |_| AppError::Bug("nobody may verify any more".to_owned());
        let _turn = self.inner.verifying.acquire().await.map_err(closed)?;
        verify(self.store(), only, expected).await
    }
}
