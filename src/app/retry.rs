//! Retries when the database is unavailable or busy: a few times, with short random waits.

use std::time::Duration;

use tokio::time::timeout;

use super::AppError;
use crate::store::StoreError;

/// The most attempts.
const MAX_ATTEMPTS: u32 = 4;
/// The longest wait before the second attempt, in milliseconds. This limit doubles with each further attempt. The wait is
/// random and at least half of the limit, so that replicas do not retry at the same time.
const MAX_FIRST_WAIT_MS: u64 = 50;

/// The most time that one attempt may take. It is longer than all timeouts of the database. Without it, an attempt would
/// wait for ever on a connection that is open but silent.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// An error after which an operation may be tried again.
pub(crate) trait Transient {
    /// The error of an attempt that took too long.
    fn timed_out() -> Self;

    /// Whether trying again can help.
    fn is_transient(&self) -> bool;

    /// The error with its cause, for the log.
    fn for_log(&self) -> String;
}

impl Transient for StoreError {
    fn timed_out() -> Self {
        Self::no_answer()
    }

    fn is_transient(&self) -> bool {
        self.retryable()
    }

    fn for_log(&self) -> String {
        self.to_string()
    }
}

impl Transient for AppError {
    fn timed_out() -> Self {
        Self::no_answer()
    }

    fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::StorageFull(_))
    }

    fn for_log(&self) -> String {
        Self::for_log(self)
    }
}

/// Runs one attempt of a step, with a timeout.
///
/// # Errors
/// The error of the step, or [`Transient::timed_out`].
pub(crate) async fn one_try<T, E: Transient>(step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(ATTEMPT_TIMEOUT, step).await.unwrap_or_else(|_| Err(E::timed_out()))
}

/// Runs a step until it succeeds, or fails with an error for which trying again cannot help, or has been tried
/// [`MAX_ATTEMPTS`] times. The step must be safe to repeat, because the outcome of a lost COMMIT is unknown.
///
/// # Errors
/// The error of the last attempt, which may be [`Transient::timed_out`].
pub(crate) async fn with_retry<T, E: Transient, F: Future<Output = Result<T, E>>>(
    mut step: impl FnMut() -> F,
) -> Result<T, E> {
    let mut attempts = 1;
    loop {
        match one_try(step()).await {
            Err(error) if error.is_transient() && attempts < MAX_ATTEMPTS => {
                tracing::warn!(error = error.for_log(), tried = attempts, "trying again");
                let longest_wait = MAX_FIRST_WAIT_MS << attempts.saturating_sub(1);
                let wait = fastrand::u64(longest_wait / 2..=longest_wait);
                #[expect(clippy::disallowed_methods, reason = "a bounded back-off before the database is asked again")]
                tokio::time::sleep(Duration::from_millis(wait)).await;
                attempts = attempts.saturating_add(1);
            }
            result => return result,
        }
    }
}
