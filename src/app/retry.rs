//! Trying again when the database is away or busy: a few times, soon, and never at the same moment as the others.

use std::time::Duration;

use tokio::time::timeout;

use super::AppError;
use crate::store::StoreError;

/// Tries in all.
const TRIES: u32 = 4;
/// The longest wait before the second try; it doubles with each further one. Half of it at least, the rest by chance, so
/// that replicas do not march in step.
const WAIT_MS: u64 = 50;

/// How long one try may take: longer than anything that the database bounds by itself. A connection that is open and silent
/// would be waited for without an end.
const LONGEST_TRY: Duration = Duration::from_secs(25);

/// An error that may pass.
pub(crate) trait Passing {
    /// A try was given up.
    fn timed_out() -> Self;

    /// Whether trying again can help.
    fn may_pass(&self) -> bool;

    /// The error with its cause.
    fn for_log(&self) -> String;
}

impl Passing for StoreError {
    fn timed_out() -> Self {
        Self::no_answer()
    }

    fn may_pass(&self) -> bool {
        self.retryable()
    }

    fn for_log(&self) -> String {
        self.to_string()
    }
}

impl Passing for AppError {
    fn timed_out() -> Self {
        Self::no_answer()
    }

    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::StorageFull(_))
    }

    fn for_log(&self) -> String {
        Self::for_log(self)
    }
}

/// One try, given up when it takes longer than any that is answered.
///
/// # Errors
/// Its own, or [`Passing::timed_out`].
pub(crate) async fn one_try<T, E: Passing>(step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(LONGEST_TRY, step).await.unwrap_or_else(|_| Err(E::timed_out()))
}

/// Runs a step until it succeeds, fails for good, or has been tried four times. A step must be one that may have been
/// done already: the outcome of a lost COMMIT is unknown.
///
/// # Errors
/// The last one.
pub(crate) async fn with_retry<T, E: Passing, F: Future<Output = Result<T, E>>>(
    mut step: impl FnMut() -> F,
) -> Result<T, E> {
    let mut tried = 1;
    loop {
        match one_try(step()).await {
            Err(error) if error.may_pass() && tried < TRIES => {
                tracing::warn!(error = error.for_log(), tried, "trying again");
                let most = WAIT_MS << tried.saturating_sub(1);
                let wait = fastrand::u64(most / 2..=most);
                #[expect(clippy::disallowed_methods, reason = "a bounded back-off before the database is asked again")]
                tokio::time::sleep(Duration::from_millis(wait)).await;
                tried = tried.saturating_add(1);
            }
            done => return done,
        }
    }
}
