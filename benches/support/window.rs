//! Windows: how much callers get done, one operation after the other, in a stretch of time.

use std::time::{Duration, Instant};

/// Runs before counting starts, in every window: connections wake, caches fill, groups form.
const SETTLE: Duration = Duration::from_millis(300);

/// What one window saw.
pub(crate) struct Window {
    /// Operations a second.
    pub(crate) rate: f64,
    /// How long each took, unsorted.
    pub(crate) took: Vec<Duration>,
}

/// When an operation counts: when it ends after things have settled and before the end.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    from: Instant,
    until: Instant,
}

impl Bounds {
    /// Of a window that begins now.
    pub(crate) fn now(length: Duration) -> Self {
        let from = Instant::now() + SETTLE;
        Self { from, until: from + length }
    }

    pub(crate) fn is_over(self, at: Instant) -> bool {
        at >= self.until
    }

    pub(crate) fn counts(self, at: Instant) -> bool {
        at >= self.from && at < self.until
    }

    /// Operations a second, of this many that count.
    pub(crate) fn rate(self, count: usize) -> f64 {
        f64::from(u32::try_from(count).expect("fewer than four thousand million"))
            / (self.until - self.from).as_secs_f64()
    }
}

/// Has every caller repeat its operation until the window is over. `caller` makes the operation of one of them.
pub(crate) async fn window<F, R>(callers: usize, length: Duration, caller: impl Fn(usize) -> F) -> Window
where
    F: FnMut() -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let bounds = Bounds::now(length);
    let tasks: Vec<_> = (0..callers).map(|index| tokio::spawn(repeat(bounds, caller(index)))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("every operation succeeds"));
    }
    Window { rate: bounds.rate(took.len()), took }
}

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

/// The time that so many percent of the operations stayed within, in milliseconds.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1000.0
}
