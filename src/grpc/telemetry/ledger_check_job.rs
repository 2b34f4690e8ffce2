//! Checks the ledger at regular intervals: folds the whole record again and compares the result with the tables.
//!
//! A check reads one snapshot, as `tsio verify` does. It takes turns with other verifications, and does not block writers.
//! Each server checks on its own. The first check starts at a random time in the first minute, so that several servers do
//! not check at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::internal_metrics::InternalMetrics;
use crate::app::{App, AppError};

/// The first check begins within this time after the start.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(60);
/// The time limit of a check. Its snapshot occupies a connection, and keeps SQLite from truncating its log.
const CHECK_TIMEOUT: Duration = Duration::from_secs(600);

/// Checks the ledger every `interval`. Never returns.
pub(in crate::grpc) async fn run(app: App, metrics: Arc<InternalMetrics>, interval: Duration) {
    let latest_start = u64::try_from(interval.min(FIRST_CHECK_WITHIN).as_millis()).unwrap_or(u64::MAX);
    let mut ticks = interval_at(Instant::now() + Duration::from_millis(fastrand::u64(..latest_start.max(1))), interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        check(&app, &metrics).await;
    }
}

/// Checks the ledger once. The log does not name the differences, because they may contain any data; `tsio verify` does.
async fn check(app: &App, metrics: &InternalMetrics) {
    let reports = match timeout(CHECK_TIMEOUT, app.check_ledger()).await {
        Ok(Ok(reports)) => reports,
        Ok(Err(error)) => return tracing::error!(error = error.for_log(), "the ledger could not be checked"),
        Err(_) => return tracing::error!("the ledger could not be checked in time"),
    };
    // A newer version of the program may have written to the ledger during the check. This version cannot check such
    // events.
    if let Err(error @ AppError::Outdated) = app.ready().await {
        return tracing::warn!(%error, "the ledger was not checked");
    }
    for report in reports.iter().filter(|it| !it.is_sound()) {
        let (programme, differences) = (&report.programme, report.count);
        tracing::error!(%programme, differences, "the ledger differs from its record: tsio verify says where");
    }
    metrics.set_ledger_checks(&reports, app.clock().now().at.0.div_euclid(1_000_000));
}
