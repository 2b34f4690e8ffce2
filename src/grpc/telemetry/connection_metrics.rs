//! Counts and logs connections: the open ones, the closed ones with the reason, and those that could not be accepted.
//!
//! Log lines are sampled: one per reason in five seconds, with the number of lines that were left out since the last line.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};
use tokio::time::Instant;

use super::internal_metrics::{ScrapeLock, gauge_value, register};

/// The shortest time between two log lines of one reason.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// The reasons for closing connections. The limits named `*_limit` are those of
/// [`ConnectionLimits`](crate::grpc::transport::connections::ConnectionLimits). `refused`: all other connections were
/// busy; `descriptors`: the process may open no more files; `unknown`: no caller was authenticated in time; `proof_ended`:
/// the token or certificate expired; `idle`: no request came for long; `untaken`: the peer did not read a response.
const CLOSE_REASONS: [&str; 10] = [
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
/// The reasons in [`CLOSE_REASONS`] that are normal on a healthy server.
const ORDINARY_REASONS: [&str; 3] = ["unknown", "proof_ended", "idle"];
/// The kinds of error for which a connection is not accepted.
const ACCEPT_ERRORS: [&str; 2] = ["descriptors", "other"];
/// The reasons for closing a scrape before its response.
const SCRAPE_CLOSE_REASONS: [&str; 2] = ["evicted", "late"];

/// The metrics of connections.
#[derive(Debug)]
pub(in crate::grpc) struct ConnectionMetrics {
    lock: ScrapeLock,
    open: IntGaugeVec,
    limit: IntGauge,
    closed: IntCounterVec,
    accept_errors: IntCounterVec,
    health_streams: IntGauge,
    health_refused: IntCounter,
    scrapes: IntCounterVec,
    samples: Samples,
}

impl ConnectionMetrics {
    /// Registers the metrics, all at zero.
    pub(in crate::grpc) fn new(registry: &Registry, lock: ScrapeLock) -> Result<Self> {
        let counters = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            values.iter().for_each(|it| drop(counters.with_label_values(&[it])));
            register(registry, counters)
        };
        let open = Opts::new("tsio_connections", "Connections that are open, by whether their caller is known.");
        Ok(Self {
            lock,
            open: register(registry, IntGaugeVec::new(open, &["state"])?)?,
            limit: register(registry, IntGauge::new("tsio_connections_max", "Connections that may be open.")?)?,
            closed: counters(
                "tsio_connections_closed_total",
                "Connections that the server closed, by reason.",
                "reason",
                &CLOSE_REASONS,
            )?,
            accept_errors: counters(
                "tsio_accept_errors_total",
                "Connections that could not be accepted, by kind of error.",
                "kind",
                &ACCEPT_ERRORS,
            )?,
            health_streams: register(
                registry,
                IntGauge::new("tsio_health_streams", "Health watches without a credential that are open.")?,
            )?,
            health_refused: register(
                registry,
                IntCounter::new("tsio_health_refused_total", "Health calls without a credential that were refused.")?,
            )?,
            scrapes: counters(
                "tsio_scrapes_closed_total",
                "Connections for metrics that were closed before their answer, by reason.",
                "reason",
                &SCRAPE_CLOSE_REASONS,
            )?,
            samples: Samples::default(),
        })
    }

    /// Sets the numbers of open connections whose caller is unknown and known. Both gauges change together, so a scrape
    /// counts every connection once.
    pub(in crate::grpc) fn set_open(&self, unknown: usize, known: usize) {
        let _lock = self.lock.lock_for_recording();
        for (state, number) in [("unknown", unknown), ("known", known)] {
            self.open.with_label_values(&[state]).set(gauge_value(number));
        }
    }

    /// Sets the limit of open connections, and the numbers of open connections to 0.
    pub(in crate::grpc) fn set_limit(&self, limit: usize) {
        self.set_open(0, 0);
        self.limit.set(gauge_value(limit));
    }

    /// Counts and logs a connection that the server closed.
    pub(in crate::grpc) fn record_closed(&self, reason: &'static str, address: SocketAddr) {
        self.closed.with_label_values(&[reason]).inc();
        let Some(left_out) = self.samples.take_left_out(reason, Instant::now()) else { return };
        if ORDINARY_REASONS.contains(&reason) {
            tracing::info!(target: "tsio::connections", reason, peer = %address, left_out, "connection closed");
        } else {
            tracing::warn!(target: "tsio::connections", reason, peer = %address, left_out, "connection closed");
        }
    }

    /// Counts and logs a connection that could not be accepted.
    pub(in crate::grpc) fn record_accept_error(&self, error: &io::Error, out_of_descriptors: bool) {
        let kind = if out_of_descriptors { "descriptors" } else { "other" };
        self.accept_errors.with_label_values(&[kind]).inc();
        let sample_key = if out_of_descriptors { "accept: descriptors" } else { "accept: other" };
        if let Some(left_out) = self.samples.take_left_out(sample_key, Instant::now()) {
            tracing::warn!(target: "tsio::connections", kind, %error, left_out, "a connection was not accepted");
        }
    }

    /// Counts and logs a refused health request without a credential.
    pub(in crate::grpc) fn record_refused_health(&self) {
        self.health_refused.inc();
        if let Some(left_out) = self.samples.take_left_out("health", Instant::now()) {
            tracing::warn!(target: "tsio::connections", left_out, "a health call without a credential was refused");
        }
    }

    /// Counts an open health watch without a credential, until the returned value is dropped.
    pub(in crate::grpc) fn open_health_watch(&self) -> OpenGauge {
        self.health_streams.inc();
        OpenGauge(self.health_streams.clone())
    }

    /// Counts and logs a scrape that was closed before its response: `evicted` if a newer scrape took its slot, or
    /// `late`.
    pub(in crate::grpc) fn record_closed_scrape(&self, reason: &'static str) {
        self.scrapes.with_label_values(&[reason]).inc();
        if let Some(left_out) = self.samples.take_left_out(reason, Instant::now()) {
            tracing::warn!(target: "tsio::connections", reason, left_out, "a connection for metrics was closed");
        }
    }
}

/// Decrements a gauge when dropped.
#[derive(Debug)]
pub(in crate::grpc) struct OpenGauge(IntGauge);

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// For each reason: when it was last logged, and the number of lines that were left out since then.
#[derive(Debug, Default)]
struct Samples(Mutex<HashMap<&'static str, (Instant, u64)>>);

impl Samples {
    /// If a line with this reason may be logged now, returns the number of lines left out since the last line. Otherwise
    /// counts the line as left out, and returns `None`.
    fn take_left_out(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((last, left_out)) = samples.get_mut(reason) else {
            samples.insert(reason, (now, 0));
            return Some(0);
        };
        if now.saturating_duration_since(*last) < LOG_INTERVAL {
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

    /// The number of scrapes. Without the lock, a scrape could come between the changes of the two gauges.
    const SCRAPE_COUNT: usize = 2_000;

    /// Every scrape counts a connection once, also while the connection becomes known, or unknown again.
    #[test]
    fn a_scrape_has_every_connection_once() {
        let (registry, lock) = (Registry::new(), ScrapeLock::default());
        let metrics = ConnectionMetrics::new(&registry, lock.clone()).unwrap();
        metrics.set_open(1, 0);
        let stop = AtomicBool::new(false);
        let gather = || {
            let _lock = lock.lock_exclusively();
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
            let sums = (0..SCRAPE_COUNT).map(|_| gather()).collect();
            stop.store(true, Ordering::Relaxed);
            sums
        });
        assert_eq!(sums.iter().filter(|it| **it != 1.0).count(), 0);
    }

    #[test]
    fn a_reason_is_logged_at_intervals_with_the_number_left_out() {
        let (samples, start) = (Samples::default(), Instant::now());
        assert_eq!(samples.take_left_out("idle", start), Some(0));
        assert_eq!(samples.take_left_out("unknown", start), Some(0), "each reason has its own interval");
        assert_eq!((samples.take_left_out("idle", start), samples.take_left_out("idle", start)), (None, None));
        assert_eq!(samples.take_left_out("idle", start + LOG_INTERVAL), Some(2));
        assert_eq!(samples.take_left_out("idle", start + LOG_INTERVAL * 2), Some(0));
    }
}
