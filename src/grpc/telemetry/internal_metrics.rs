//! What is counted inside: the writers' groups and what waits for them, connections to the database, watchers, calls that
//! were denied, and what the ledger's check found. What can be asked is asked when it is scraped.
//!
//! A scrape shows one state: values that belong together are recorded under a lock that recorders share, and that a scrape
//! takes for itself ([`ScrapeLock`]).

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

/// Seconds: from an idle disk's fsync to a command that waits for a database that is away.
const SECONDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Commands, up to the most that go into one group.
const COMMANDS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// Why authenticated calls are denied; the other denials are of those who are not authenticated.
const DENIAL_REASONS: [StatusReason; 5] = [
    StatusReason::Service(ServiceReason::CallsExceeded),
    StatusReason::Service(ServiceReason::ConnectionsExceeded),
    StatusReason::Service(ServiceReason::RateExceeded),
    StatusReason::Service(ServiceReason::RoleMissing),
    StatusReason::Scheme(Reason::SelfApproval),
];

/// Keeps scrapes out while values that belong together are recorded one after the other. Held for some atomics by who
/// records, and for about a millisecond by a scrape; never across an await.
#[derive(Debug, Clone, Default)]
pub(in crate::grpc) struct ScrapeLock(Arc<RwLock<()>>);

impl ScrapeLock {
    /// For a recorder: any number at a time, none during a scrape.
    pub(in crate::grpc) fn recording(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a scrape, and for a writer that replaces values that others set too: one at a time, and no recorder.
    pub(in crate::grpc) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be asked at any moment, as it was at one.
#[derive(Debug, Default)]
pub(in crate::grpc) struct ProcessSnapshot {
    pub(in crate::grpc) waiting: usize,
    pub(in crate::grpc) watching: usize,
    pub(in crate::grpc) is_writable: bool,
    pub(in crate::grpc) pools: Vec<Pool>,
}

impl ProcessSnapshot {
    /// As it is now.
    pub(in crate::grpc) fn of(app: &App, watching: usize) -> Self {
        let is_writable = !app.is_write_in_doubt();
        Self { waiting: app.waiting(), watching, is_writable, pools: app.pools() }
    }
}

/// What is counted inside this process.
#[derive(Debug)]
pub(in crate::grpc) struct InternalMetrics {
    lock: ScrapeLock,
    answered: Histogram,
    waited: Histogram,
    committed: Histogram,
    waiting: IntGauge,
    connections: IntGaugeVec,
    most: IntGaugeVec,
    watchers: IntGauge,
    writable: IntGauge,
    denied: IntCounterVec,
    clock_behind: Gauge,
    clock_apart: Gauge,
    key_set_age: IntGauge,
    key_fetches_failed: IntCounter,
    /// When the key set in force was fetched; nothing where no tokens are taken.
    key_set_fetched: Mutex<Option<Instant>>,
    checked: IntGaugeVec,
    sound: IntGaugeVec,
    allowed: IntGaugeVec,
}

impl InternalMetrics {
    /// Everything at zero.
    pub(in crate::grpc) fn new(registry: &Registry, lock: ScrapeLock) -> Result<Self> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            kept(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
        };
        let gauge = |name: &str, help: &str| kept(registry, IntGauge::new(name, help)?);
        let gauges =
            |name: &str, help: &str, labels: &[&str]| kept(registry, IntGaugeVec::new(Opts::new(name, help), labels)?);
        let denied = Opts::new("tsio_denied_total", "Calls denied, by reason.");
        let denied = kept(registry, IntCounterVec::new(denied, &["reason"])?)?;
        let authentication = ServiceReason::ALL.iter().copied().filter(|it| it.is_of_authentication());
        for reason in authentication.map(StatusReason::from).chain(DENIAL_REASONS) {
            drop(denied.with_label_values(&[reason.code()]));
        }
        Ok(Self {
            lock,
            answered: histogram("tsio_writer_group_commands", "Commands answered out of one transaction.", &COMMANDS)?,
            waited: histogram("tsio_writer_wait_seconds", "How long commands waited for their group.", &SECONDS)?,
            committed: histogram("tsio_writer_commit_seconds", "How long COMMIT of a group took.", &SECONDS)?,
            waiting: gauge("tsio_writer_waiting", "Commands that wait for a batch, in all programmes.")?,
            connections: gauges("tsio_database_connections", "Open connections, by pool.", &["pool", "state"])?,
            most: gauges("tsio_database_connections_max", "Connections that a pool may open.", &["pool"])?,
            watchers: gauge("tsio_watchers", "Watches that are open.")?,
            writable: gauge(
                "tsio_database_writable",
                "1, or 0 after a write that did not end as it should, until one succeeds.",
            )?,
            denied,
            clock_behind: kept(
                registry,
                Gauge::new("tsio_clock_behind_seconds", "By how much the clock is behind what was recorded last.")?,
            )?,
            clock_apart: kept(
                registry,
                Gauge::new("tsio_clock_apart_seconds", "By how much the clock is from the database's, either way.")?,
            )?,
            key_set_age: gauge(
                "tsio_key_set_age_seconds",
                "How old the issuer's keys in force are; 0 without tokens.",
            )?,
            key_fetches_failed: kept(
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

    /// A call was denied.
    pub(in crate::grpc) fn deny(&self, reason: StatusReason) {
        self.denied.with_label_values(&[reason.code()]).inc();
    }

    /// The clock is so far behind what was recorded last, and so far from the database's.
    pub(in crate::grpc) fn clock_skew(&self, behind: Duration, apart: Duration) {
        self.clock_behind.set(behind.as_secs_f64());
        self.clock_apart.set(apart.as_secs_f64());
    }

    /// The key set in force was fetched at this moment.
    pub(in crate::grpc) fn key_set_fetched(&self, at: Instant) {
        *self.key_set_fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// The key set could not be fetched.
    pub(in crate::grpc) fn key_fetch_failed(&self) {
        self.key_fetches_failed.inc();
    }

    /// Shows what was asked. For a scrape, which holds the lock: of two at once, each writes out its own.
    pub(in crate::grpc) fn show(&self, ProcessSnapshot { waiting, watching, is_writable, pools }: &ProcessSnapshot) {
        self.waiting.set(whole(*waiting));
        self.watchers.set(whole(*watching));
        self.writable.set((*is_writable).into());
        let fetched = *self.key_set_fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let age = fetched.map_or(Duration::ZERO, |it| it.elapsed());
        self.key_set_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        for Pool { name, most, open, idle } in pools {
            self.most.with_label_values(&[*name]).set((*most).into());
            self.connections.with_label_values(&[*name, "idle"]).set((*idle).into());
            self.connections.with_label_values(&[*name, "used"]).set(open.saturating_sub(*idle).into());
        }
    }

    /// Takes over what the ledger's check found, at a second since 1970.
    pub(in crate::grpc) fn checked(&self, reports: &[VerifyReport], at: i64) {
        let _alone = self.lock.alone();
        for report in reports {
            let programme = [report.programme.as_str()];
            self.checked.with_label_values(&programme).set(at);
            self.sound.with_label_values(&programme).set(report.is_sound().into());
            self.allowed.with_label_values(&programme).set(whole(report.allowed_count));
        }
    }
}

impl WriterMetrics for InternalMetrics {
    fn waited(&self, long: Duration) {
        self.waited.observe(long.as_secs_f64());
    }

    fn answered(&self, commands: usize) {
        self.answered.observe(u32::try_from(commands).unwrap_or(u32::MAX).into());
    }

    fn committed(&self, took: Duration) {
        self.committed.observe(took.as_secs_f64());
    }
}

/// Registers a collector, and keeps it.
pub(in crate::grpc) fn kept<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// A number of things, as the value of a gauge.
pub(in crate::grpc) fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
