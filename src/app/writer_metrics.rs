//! The metrics of the writer, as a trait: the server implements it if its metrics are scraped.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Receives the measurements of a programme's writer. Its methods must not block: they update a few atomics.
pub trait WriterMetrics: Debug + Send + Sync {
    /// A command was taken into a batch after this wait.
    fn waited(&self, wait: Duration);

    /// This number of commands was answered from one transaction, whether or not it wrote anything.
    fn answered(&self, commands: usize);

    /// A batch was committed. The duration is that of COMMIT alone or, for a batch without the lock, of its one statement.
    fn committed(&self, duration: Duration);
}

/// A place for the metrics, which is empty until they are set.
#[derive(Debug, Default)]
pub(super) struct WriterMetricsSlot(OnceLock<Arc<dyn WriterMetrics>>);

impl WriterMetricsSlot {
    /// Sets the metrics. Only the first call has an effect.
    pub(super) fn set(&self, metrics: Arc<dyn WriterMetrics>) {
        let _ = self.0.set(metrics);
    }

    /// Calls `report` with the metrics, if they are set.
    pub(super) fn report(&self, report: impl FnOnce(&dyn WriterMetrics)) {
        if let Some(metrics) = self.0.get() {
            report(&**metrics);
        }
    }
}
