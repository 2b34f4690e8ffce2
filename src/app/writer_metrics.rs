//! Who counts what goes on inside: told by the writer, and nobody where nothing is scraped. It knows no metrics.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What the writer of a programme tells of itself. Called on its way: a few atomics, never a wait.
pub trait WriterMetrics: Debug + Send + Sync {
    /// A command was taken into a group, after it had waited so long.
    fn waited(&self, long: Duration);

    /// So many commands were answered out of one transaction, whether or not it wrote anything.
    fn answered(&self, commands: usize);

    /// A group was committed: what COMMIT alone took.
    fn committed(&self, took: Duration);
}

/// The counter, once there is one.
#[derive(Debug, Default)]
pub(super) struct WriterMetricsSlot(OnceLock<Arc<dyn WriterMetrics>>);

impl WriterMetricsSlot {
    /// The first one stays.
    pub(super) fn begin(&self, measures: Arc<dyn WriterMetrics>) {
        let _ = self.0.set(measures);
    }

    pub(super) fn tell(&self, what: impl FnOnce(&dyn WriterMetrics)) {
        if let Some(measures) = self.0.get() {
            what(&**measures);
        }
    }
}
