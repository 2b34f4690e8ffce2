//! Verifies the records in a running server.

use crate::app::verify::{ExpectedHead, VerifyReport, verify};
use crate::app::{App, AppError, Result, authorise};
use crate::domain::ids::RecordName;
use crate::domain::role::{Action, Caller};

impl App {
    /// Verifies every record, or only the record `only`, over one snapshot. Verifications run one at a time. Returns the
    /// reports.
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
        self.verify_one_at_a_time(only, expected).await
    }

    /// Verifies every record for this process itself, without a caller. Returns the reports.
    ///
    /// # Errors
    /// As [`verify`].
    pub async fn check_ledger(&self) -> Result<Vec<VerifyReport>> {
        self.verify_one_at_a_time(None, None).await
    }

    async fn verify_one_at_a_time(
        &self,
        only: Option<&RecordName>,
        expected: Option<ExpectedHead>,
    ) -> Result<Vec<VerifyReport>> {
        let closed = |_| AppError::Bug("nobody may verify any more".to_owned());
        let _permit = self.inner.verify_permit.acquire().await.map_err(closed)?;
        verify(self.store(), only, expected).await
    }
}
