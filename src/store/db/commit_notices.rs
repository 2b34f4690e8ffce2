//! Detects warnings that PostgreSQL sends with the answer to a COMMIT.
//!
//! COMMIT waits for the synchronous standby. When that wait is cancelled, by a timeout or by an administrator, COMMIT still
//! succeeds, and only a WARNING shows it. The driver passes warnings only to the log, with their text in the
//! server's language and without their code. Every warning of COMMIT means that the commit may not be what was
//! requested. So any warning makes the outcome unknown, and the caller reads again under the lock.
//!
//! The driver logs a warning while the future of the COMMIT is being polled, on the thread that polls it. So
//! [`CommitNoticeLayer`] sets a flag of the thread, and [`watch`] looks at it around each poll. The layer is part of every
//! process that serves ([`crate::telemetry`]), with its own filter, independent of the level of the log.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

/// The log target of the driver for notices of PostgreSQL.
const TARGET: &str = "sqlx::postgres::notice";

thread_local! {
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// Sets a flag of the thread for each warning that PostgreSQL sends.
#[derive(Debug, Clone, Copy)]
pub struct CommitNoticeLayer;

impl CommitNoticeLayer {
    /// The layer with its filter, to add to the other layers of the subscriber.
    pub fn filtered<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
        Self.with_filter(Targets::new().with_target(TARGET, Level::WARN))
    }
}

impl<S: Subscriber> Layer<S> for CommitNoticeLayer {
    fn on_event(&self, _event: &Event<'_>, _context: layer::Context<'_, S>) {
        WARNED.set(true);
    }
}

/// Runs a future. Returns its output, and whether PostgreSQL sent a warning meanwhile.
pub(in crate::store) async fn watch<F: Future>(future: F) -> (F::Output, bool) {
    let mut future = pin!(future);
    let mut was_warned = false;
    let output = std::future::poll_fn(|context| poll(future.as_mut(), context, &mut was_warned)).await;
    (output, was_warned)
}

fn poll<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>, was_warned: &mut bool) -> Poll<F::Output> {
    WARNED.set(false);
    let polled = future.poll(context);
    *was_warned |= WARNED.take();
    polled
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Logs as the driver does, with a wait before and after.
    async fn commit(level: Level) {
        tokio::task::yield_now().await;
        match level {
            Level::WARN => tracing::event!(target: "sqlx::postgres::notice", Level::WARN, message = "annulation"),
            _ => tracing::event!(target: "sqlx::postgres::notice", Level::INFO, message = "something"),
        }
        tokio::task::yield_now().await;
    }

    #[tokio::test]
    async fn a_warning_counts_only_for_its_own_commit() {
        let subscriber = tracing_subscriber::registry().with(CommitNoticeLayer::filtered());
        let _guard = tracing::subscriber::set_default(subscriber);
        let (warned, quiet) = tokio::join!(watch(commit(Level::WARN)), watch(commit(Level::INFO)));
        assert_eq!((warned.1, quiet.1), (true, false));
        tracing::warn!(target: "sqlx::query", "slow");
        assert!(!watch(async {}).await.1);
    }
}
