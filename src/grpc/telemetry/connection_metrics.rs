//! What is counted and logged of connections: how many are open, which were closed and why, and what was not accepted.
//!
//! Log lines are sampled: one per reason in some seconds, with how many were left out since the last.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};
use tokio::time::Instant;

use super::internal_metrics::{ScrapeLock, kept, whole};

/// From one line of a reason to the next.
const BETWEEN: Duration = Duration::from_secs(5);
/// Why connections are closed. `refused`: all others were busy; `descriptors`: the process may open no more files.
const REASONS: [&str; 10] = [
    "address_limit",
    "unknown_limit",
    "all_limit",
    "refused",
    "caller_limit",
    "descriptors",
    "unknown",
    "proof_ended",
    "idle",
    "untaken",
];
/// Those that a healthy server has every day.
const ORDINARY: [&str; 3] = ["unknown", "proof_ended", "idle"];
/// Why a connection is not accepted.
const ACCEPT_ERRORS: [&str; 2] = ["descriptors", "other"];
/// Why a scrape is not answered.
const SCRAPES: [&str; 2] = ["evicted", "late"];

/// What is counted of connections.
#[derive(Debug)]
pub(in crate::grpc) struct ConnectionMetrics {
    lock: ScrapeLock,
    open: IntGaugeVec,
    most: IntGauge,
    closed: IntCounterVec,
    accept_errors: IntCounterVec,
    health_streams: IntGauge,
    health_refused: IntCounter,
    scrapes: IntCounterVec,
    samples: Samples,
}

impl ConnectionMetrics {
    /// Everything at zero.
    pub(in crate::grpc) fn new(registry: &Registry, lock: ScrapeLock) -> Result<Self> {
        let counters = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            values.iter().for_each(|it| drop(counters.with_label_values(&[it])));
            kept(registry, counters)
        };
        let open = Opts::new("tsio_connections", "Connections that are open, by whether their caller is known.");
        Ok(Self {
            lock,
            open: kept(registry, IntGaugeVec::new(open, &["state"])?)?,
            most: kept(registry, IntGauge::new("tsio_connections_max", "Connections that may be open.")?)?,
            closed: counters(
                "tsio_connections_closed_total",
                "Connections that the server closed, by reason.",
                "reason",
                &REASONS,
            )?,
            accept_errors: counters(
                "tsio_accept_errors_total",
                "Connections that could not be accepted, by kind of error.",
                "kind",
                &ACCEPT_ERRORS,
            )?,
            health_streams: kept(
                registry,
                IntGauge::new("tsio_health_streams", "Health watches without a credential that are open.")?,
            )?,
            health_refused: kept(
                registry,
                IntCounter::new("tsio_health_refused_total", "Health calls without a credential that were refused.")?,
            )?,
            scrapes: counters(
                "tsio_scrapes_closed_total",
                "Connections for metrics that were closed before their answer, by reason.",
                "reason",
                &SCRAPES,
            )?,
            samples: Samples::default(),
        })
    }

    /// How many are open now. A connection that becomes known is never scraped as both or neither.
    pub(in crate::grpc) fn set_open(&self, unknown: usize, known: usize) {
        let _recording = self.lock.recording();
        for (state, number) in [("unknown", unknown), ("known", known)] {
            self.open.with_label_values(&[state]).set(whole(number));
        }
    }

    pub(in crate::grpc) fn set_most(&self, most: usize) {
        self.set_open(0, 0);
        self.most.set(whole(most));
    }

    /// The server closed a connection.
    pub(in crate::grpc) fn closed(&self, reason: &'static str, address: SocketAddr) {
        self.closed.with_label_values(&[reason]).inc();
        let Some(left_out) = self.samples.take(reason, Instant::now()) else { return };
        if ORDINARY.contains(&reason) {
            tracing::info!(target: "tsio::connections", reason, peer = %address, left_out, "connection closed");
        } else {
            tracing::warn!(target: "tsio::connections", reason, peer = %address, left_out, "connection closed");
        }
    }

    /// A connection could not be accepted.
    pub(in crate::grpc) fn accept_failed(&self, error: &io::Error, without_descriptors: bool) {
        let kind = if without_descriptors { "descriptors" } else { "other" };
        self.accept_errors.with_label_values(&[kind]).inc();
        let sample = if without_descriptors { "accept: descriptors" } else { "accept: other" };
        if let Some(left_out) = self.samples.take(sample, Instant::now()) {
            tracing::warn!(target: "tsio::connections", kind, %error, left_out, "a connection was not accepted");
        }
    }

    /// A health call without a credential was refused.
    pub(in crate::grpc) fn refuse_health(&self) {
        self.health_refused.inc();
        if let Some(left_out) = self.samples.take("health", Instant::now()) {
            tracing::warn!(target: "tsio::connections", left_out, "a health call without a credential was refused");
        }
    }

    /// A health watch without a credential, open until this is dropped.
    pub(in crate::grpc) fn health_stream(&self) -> OpenGauge {
        self.health_streams.inc();
        OpenGauge(self.health_streams.clone())
    }

    /// A connection for metrics was closed before its answer: `evicted` for a newer one, or `late`.
    pub(in crate::grpc) fn close_scrape(&self, reason: &'static str) {
        self.scrapes.with_label_values(&[reason]).inc();
        if let Some(left_out) = self.samples.take(reason, Instant::now()) {
            tracing::warn!(target: "tsio::connections", reason, left_out, "a connection for metrics was closed");
        }
    }
}

/// Something open that is counted.
#[derive(Debug)]
pub(in crate::grpc) struct OpenGauge(IntGauge);

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// When each reason was last logged, and how many were left out since.
#[derive(Debug, Default)]
struct Samples(Mutex<HashMap<&'static str, (Instant, u64)>>);

impl Samples {
    /// How many were left out, where one is to be logged now.
    fn take(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((last, left_out)) = samples.get_mut(reason) else {
            samples.insert(reason, (now, 0));
            return Some(0);
        };
        if now.saturating_duration_since(*last) < BETWEEN {
            *left_out = left_out.saturating_add(1);
            return None;
        }
        *last = now;
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// Scrapes, each of which might lie between two gauges.
    const GATHERED: usize = 2_000;

    /// A connection that becomes known, or unknown again, is in every scrape once.
    #[test]
    fn a_scrape_has_every_connection_once() {
        let (registry, lock) = (Registry::new(), ScrapeLock::default());
        let metrics = ConnectionMetrics::new(&registry, lock.clone()).unwrap();
        metrics.set_open(1, 0);
        let stop = AtomicBool::new(false);
        let gather = || {
            let _alone = lock.alone();
            let families = registry.gather();
            let open = families.iter().find(|it| it.name() == "tsio_connections").unwrap();
            open.get_metric().iter().map(|it| it.get_gauge().get_value()).sum::<f64>()
        };
        let sums: Vec<f64> = thread::scope(|scope| {
            scope.spawn(|| {
                for unknown in [1, 0].into_iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                    metrics.set_open(unknown, 1 - unknown);
                }
            });
            let sums = (0..GATHERED).map(|_| gather()).collect();
            stop.store(true, Ordering::Relaxed);
            sums
        });
        assert_eq!(sums.iter().filter(|it| **it != 1.0).count(), 0);
    }

    #[test]
    fn a_reason_is_logged_now_and_then_with_how_many_were_left_out() {
        let (samples, begun) = (Samples::default(), Instant::now());
        assert_eq!(samples.take("idle", begun), Some(0));
        assert_eq!(samples.take("unknown", begun), Some(0), "each reason by itself");
        assert_eq!((samples.take("idle", begun), samples.take("idle", begun)), (None, None));
        assert_eq!(samples.take("idle", begun + BETWEEN), Some(2));
        assert_eq!(samples.take("idle", begun + BETWEEN * 2), Some(0));
    }
}
