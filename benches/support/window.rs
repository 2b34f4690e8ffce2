//! Measures how many operations callers complete in a window of time. Each caller runs one operation after the other.

use std::time::{Duration, Instant};

/// How long the callers run in each window before operations count: connections open, caches fill, and batches form.
const WARM_UP: Duration = Duration::from_millis(300);

/// The result of one window.
pub(crate) struct Window {
    /// Operations per second.
    pub(crate) rate: f64,
    /// The time of each operation that counts, unsorted.
    pub(crate) took: Vec<Duration>,
}

/// The times between which an operation must end to count.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    from: Instant,
    until: Instant,
}

impl Bounds {
    /// Returns the bounds of a window that begins now. `length` does not include the warm-up.
    pub(crate) fn starting_now(length: Duration) -> Self {
        let from = Instant::now() + WARM_UP;
        Self { from, until: from + length }
    }

    /// Returns true if the window is over at this time.
    pub(crate) fn is_over(self, at: Instant) -> bool {
        at >= self.until
    }

    /// Returns true if an operation that ends at this time counts.
    pub(crate) fn counts(self, at: Instant) -> bool {
        at >= self.from && at < self.until
    }

    /// Returns the operations per second, for this number of operations that count.
    pub(crate) fn rate(self, count: usize) -> f64 {
        f64::from(u32::try_from(count).expect("the count fits in 32 bits")) / (self.until - self.from).as_secs_f64()
    }
}

/// Has every caller repeat its operation until the window is over. `make_operation(index)` makes the operation that the caller
/// with this index repeats. Returns the rate, and the time of each operation that counts.
pub(crate) async fn window<F, R>(callers: usize, length: Duration, make_operation: impl Fn(usize) -> F) -> Window
where
    F: FnMut() -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let bounds = Bounds::starting_now(length);
    let tasks: Vec<_> = (0..callers).map(|index| tokio::spawn(repeat(bounds, make_operation(index)))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("every operation succeeds"));
    }
    Window { rate: bounds.rate(took.len()), took }
}

/// Repeats an operation until the window is over. Returns the times of the operations that count.
async fn repeat<R: Future<Output = ()>>(bounds: Bounds, mut operation: impl FnMut() -> R) -> Vec<Duration> {
    let mut took = Vec::new();
    loop {
        let begin = Instant::now();
        if bounds.is_over(begin) {
            return took;
        }
        operation().await;
        let end = Instant::now();
        if bounds.counts(end) {
            took.push(end - begin);
        }
    }
}

/// Returns a percentile of the sorted times, in milliseconds: this percentage of the operations took no longer.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1000.0
}
