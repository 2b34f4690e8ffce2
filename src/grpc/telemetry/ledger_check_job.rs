//! The ledger's check: now and then the whole record is folded again and held against the tables, beside the writers.
//!
//! It reads one snapshot, as `tsio verify` does, takes turns with other verifications, and holds nobody up. Each
//! server checks by itself; the first check comes at any moment of the first minute, so that they do not march in step.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::internal_metrics::InternalMetrics;
use crate::app::{App, AppError};

/// Within this long after the start, the first check begins.
const FIRST: Duration = Duration::from_secs(60);
/// How long a check may take; its snapshot holds a connection, and SQLite's log open.
const WHOLE: Duration = Duration::from_secs(600);

/// Checks until it is dropped.
pub(in crate::grpc) async fn follow(app: App, measured: Arc<InternalMetrics>, every: Duration) {
    let most = u64::try_from(every.min(FIRST).as_millis()).unwrap_or(u64::MAX);
    let mut ticks = interval_at(Instant::now() + Duration::from_millis(fastrand::u64(..most.max(1))), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        check(&app, &measured).await;
    }
}

/// What differs stays out of the log, as it may hold anything; `tsio verify` names it.
async fn check(app: &App, measured: &InternalMetrics) {
    let reports = match timeout(WHOLE, app.check_ledger()).await {
        Ok(Ok(reports)) => reports,
        Ok(Err(error)) => return tracing::error!(error = error.for_log(), "the ledger could not be checked"),
        Err(_) => return tracing::error!("the ledger could not be checked in time"),
    };
    // What a newer program wrote meanwhile is nothing that this one can judge.
    if let Err(error @ AppError::Outdated) = app.ready().await {
        return tracing::warn!(%error, "the ledger was not checked");
    }
    for report in reports.iter().filter(|it| !it.is_sound()) {
        let (programme, differences) = (&report.programme, report.count);
        tracing::error!(%programme, differences, "the ledger differs from its record: tsio verify says where");
    }
    measured.checked(&reports, app.clock().now().at.0.div_euclid(1_000_000));
}
