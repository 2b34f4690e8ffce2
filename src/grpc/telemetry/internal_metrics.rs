//! Records the internal metrics: the batches and queues of the writers, the connections to the database, the clock, the
//! issuer's keys, watchers, denied requests, and the results of the ledger check. Values that can be read at any time are
//! read during the scrape.
//!
//! A scrape shows one consistent state. Values that belong together are recorded under a lock ([`ScrapeLock`]), which
//! recorders share and a scrape holds alone.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};
use tokio::time::Instant;

use crate::app::verify::VerifyReport;
use crate::app::{App, Pool, WriterMetrics};
use crate::domain::refusal::Reason;
use crate::grpc::message::reason::{ServiceReason, StatusReason};

/// The buckets of durations, in seconds: from the fsync of an idle disk to a command that waits for an unreachable
/// database.
const SECONDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// The buckets of batch sizes, in commands, up to the largest batch.
const COMMANDS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The reasons for denying authenticated requests. All other denials are failed authentications.
const DENIAL_REASONS: [StatusReason; 5] = [
    StatusReason::Service(ServiceReason::CallsExceeded),
    StatusReason::Service(ServiceReason::ConnectionsExceeded),
    StatusReason::Service(ServiceReason::RateExceeded),
    StatusReason::Service(ServiceReason::RoleMissing),
    StatusReason::Scheme(Reason::SelfApproval),
];

/// Prevents a scrape between the changes of values that belong together. A recorder holds the lock for a few atomic
/// operations, a scrape for about a millisecond. The lock is never held across an await.
#[derive(Debug, Clone, Default)]
pub(in crate::grpc) struct ScrapeLock(Arc<RwLock<()>>);

impl ScrapeLock {
    /// Locks for a recorder. Recorders share the lock, and wait while a scrape holds it.
    pub(in crate::grpc) fn lock_for_recording(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks for a scrape, or for a recorder that replaces a set of values. No other scrape or recorder holds the lock
    /// then.
    pub(in crate::grpc) fn lock_exclusively(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values that are read during the scrape.
#[derive(Debug, Default)]
pub(in crate::grpc) struct ProcessSnapshot {
    /// The number of commands that wait for a batch.
    pub(in crate::grpc) waiting_commands: usize,
    pub(in crate::grpc) open_watches: usize,
    /// False after a write that did not end as it should, until a write succeeds.
    pub(in crate::grpc) is_writable: bool,
    pub(in crate::grpc) pools: Vec<Pool>,
}

impl ProcessSnapshot {
    /// Reads the current values.
    pub(in crate::grpc) fn read(app: &App, open_watches: usize) -> Self {
        let is_writable = !app.is_write_in_doubt();
        Self { waiting_commands: app.waiting(), open_watches, is_writable, pools: app.pools() }
    }
}

/// The internal metrics of this process.
#[derive(Debug)]
pub(in crate::grpc) struct InternalMetrics {
    lock: ScrapeLock,
    answered: Histogram,
    waited: Histogram,
    committed: Histogram,
    waiting: IntGauge,
    connections: IntGaugeVec,
    pool_limits: IntGaugeVec,
    watchers: IntGauge,
    writable: IntGauge,
    denied: IntCounterVec,
    clock_behind: Gauge,
    clock_apart: Gauge,
    key_set_age: IntGauge,
    key_fetches_failed: IntCounter,
    /// When the current key set was fetched; `None` if no tokens are configured.
    key_set_fetched: Mutex<Option<Instant>>,
    checked: IntGaugeVec,
    sound: IntGaugeVec,
    allowed: IntGaugeVec,
}

impl InternalMetrics {
    /// Registers the metrics, all at zero.
    pub(in crate::grpc) fn new(registry: &Registry, lock: ScrapeLock) -> Result<Self> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
        };
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help)?);
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let denied = Opts::new("tsio_denied_total", "Calls denied, by reason.");
        let denied = register(registry, IntCounterVec::new(denied, &["reason"])?)?;
        let authentication = ServiceReason::ALL.iter().copied().filter(|it| it.is_authentication_failure());
        for reason in authentication.map(StatusReason::from).chain(DENIAL_REASONS) {
            drop(denied.with_label_values(&[reason.code()]));
        }
        Ok(Self {
            lock,
            answered: histogram("tsio_writer_group_commands", "Commands that one transaction answered.", &COMMANDS)?,
            waited: histogram("tsio_writer_wait_seconds", "How long commands waited for their batch.", &SECONDS)?,
            committed: histogram("tsio_writer_commit_seconds", "How long the COMMIT of a batch took.", &SECONDS)?,
            waiting: gauge("tsio_writer_waiting", "Commands that wait for a batch, in all programmes.")?,
            connections: gauges("tsio_database_connections", "Open connections, by pool.", &["pool", "state"])?,
            pool_limits: gauges("tsio_database_connections_max", "Connections that a pool may open.", &["pool"])?,
            watchers: gauge("tsio_watchers", "Watches that are open.")?,
            writable: gauge(
                "tsio_database_writable",
                "1, or 0 after a write that did not end as it should, until one succeeds.",
            )?,
            denied,
            clock_behind: register(
                registry,
                Gauge::new("tsio_clock_behind_seconds", "By how much the clock is behind what was recorded last.")?,
            )?,
            clock_apart: register(
                registry,
                Gauge::new("tsio_clock_apart_seconds", "By how much the clock is from the database's, either way.")?,
            )?,
            key_set_age: gauge(
                "tsio_key_set_age_seconds",
                "How old the issuer's keys in force are; 0 without tokens.",
            )?,
            key_fetches_failed: register(
                registry,
                IntCounter::new("tsio_key_set_fetch_failures_total", "Fetches of the issuer's keys that failed.")?,
            )?,
            key_set_fetched: Mutex::default(),
            checked: gauges(
                "tsio_ledger_check_timestamp_seconds",
                "When a programme was checked last, in seconds since 1970.",
                &["programme"],
            )?,
            allowed: gauges(
                "tsio_ledger_check_allowed_when_made",
                "Calls on record that only a rule forbids which their programme adopted later.",
                &["programme"],
            )?,
            sound: gauges(
                "tsio_ledger_check_ok",
                "Whether the last check found a programme sound: 1 or 0.",
                &["programme"],
            )?,
        })
    }

    /// Counts a denied request.
    pub(in crate::grpc) fn record_denial(&self, reason: StatusReason) {
        self.denied.with_label_values(&[reason.code()]).inc();
    }

    /// Sets how far the clock is behind the last recorded time, and how far it differs from the database's clock.
    pub(in crate::grpc) fn set_clock_skew(&self, behind: Duration, apart: Duration) {
        self.clock_behind.set(behind.as_secs_f64());
        self.clock_apart.set(apart.as_secs_f64());
    }

    /// Sets when the current key set was fetched.
    pub(in crate::grpc) fn record_key_set_fetch(&self, at: Instant) {
        *self.key_set_fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Counts a failed fetch of the key set.
    pub(in crate::grpc) fn record_key_fetch_failure(&self) {
        self.key_fetches_failed.inc();
    }

    /// Sets the gauges from a snapshot. The scrape must hold the lock alone, so that it shows its own snapshot.
    pub(in crate::grpc) fn set_snapshot(
        &self,
        ProcessSnapshot { waiting_commands, open_watches, is_writable, pools }: &ProcessSnapshot,
    ) {
        self.waiting.set(gauge_value(*waiting_commands));
        self.watchers.set(gauge_value(*open_watches));
        self.writable.set((*is_writable).into());
        let fetched = *self.key_set_fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let age = fetched.map_or(Duration::ZERO, |it| it.elapsed());
        self.key_set_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        for Pool { name, most, open, idle } in pools {
            self.pool_limits.with_label_values(&[*name]).set((*most).into());
            self.connections.with_label_values(&[*name, "idle"]).set((*idle).into());
            self.connections.with_label_values(&[*name, "used"]).set(open.saturating_sub(*idle).into());
        }
    }

    /// Sets the results of a ledger check; `at` is in seconds since 1970.
    pub(in crate::grpc) fn set_ledger_checks(&self, reports: &[VerifyReport], at: i64) {
        let _lock = self.lock.lock_exclusively();
        for report in reports {
            let programme = [report.programme.as_str()];
            self.checked.with_label_values(&programme).set(at);
            self.sound.with_label_values(&programme).set(report.is_sound().into());
            self.allowed.with_label_values(&programme).set(gauge_value(report.allowed_count));
        }
    }
}

impl WriterMetrics for InternalMetrics {
    fn waited(&self, duration: Duration) {
        self.waited.observe(duration.as_secs_f64());
    }

    fn answered(&self, commands: usize) {
        self.answered.observe(u32::try_from(commands).unwrap_or(u32::MAX).into());
    }

    fn committed(&self, took: Duration) {
        self.committed.observe(took.as_secs_f64());
    }
}

/// Registers a collector, and returns it.
pub(in crate::grpc) fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Converts a count to the value of a gauge. A larger number becomes the largest `i64`.
pub(in crate::grpc) fn gauge_value(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
