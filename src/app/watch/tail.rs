//! Reads the new events of a programme and broadcasts them to its watchers. The task that does so is the programme's tail.
//! It is woken by the writer of this process after a commit, and by hints from other processes. Because both may be lost,
//! it also reads once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::steps::{OfferFold, PAGE, RecordPosition, WatchStep};
use super::{AppError, Watches};
use crate::domain::ids::Programme;
use crate::store;

/// How often a tail reads without being woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Wakes the tails of programmes.
#[derive(Debug, Default)]
pub(in crate::app) struct ChangeNotifier(Mutex<HashMap<Programme, Arc<Notify>>>);

impl ChangeNotifier {
    /// Wakes the tail of a programme, if there is one.
    pub(in crate::app) fn wake(&self, programme: &Programme) {
        let wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = wakes.get(programme) {
            wake.notify_one();
        }
    }

    /// The notifier that wakes the tail of a programme.
    fn get_or_add(&self, programme: &Programme) -> Arc<Notify> {
        let mut wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(programme.clone()).or_default())
    }
}

/// Reads the events of a programme after a position and broadcasts each step, until no watcher is left.
pub(super) async fn follow<T: Clone + Send + Sync + 'static>(
    watches: Watches<T>,
    programme: Programme,
    mut position: RecordPosition,
    tail: broadcast::Sender<Arc<WatchStep<T>>>,
) {
    let it = &*watches.0;
    let wake = it.app.inner.changes.get_or_add(&programme);
    let mut fold = OfferFold::default();
    loop {
        match fold.read(it.app.store(), &programme, position, it.encode).await {
            Ok(steps) => {
                let has_more = steps.len() == PAGE;
                for step in steps {
                    position = step.position;
                    // Fails if no watcher is left, which is checked below.
                    let _ = tail.send(Arc::new(step));
                }
                if has_more {
                    continue;
                }
            }
            Err(error @ AppError::Diverged(_)) => {
                // This closes the channel. Each watcher then reads the record and gets the same error.
                tracing::error!(%programme, %error, "the record went back under a running server");
                return;
            }
            Err(error) => {
                tracing::warn!(%programme, error = error.for_log(), "the tail of a programme cannot be read yet");
            }
        }
        if watches.remove_unused(&programme, &tail) {
            return;
        }
        // Read again when woken, or after the interval.
        let _ = timeout(POLL_INTERVAL, wake.notified()).await;
    }
}

/// Receives hints from other processes until the server stops, and wakes the tails of their programmes. Returns immediately
/// on SQLite, where no other process writes.
pub(super) async fn listen<T: Clone + Send + Sync + 'static>(watches: Watches<T>) {
    let it = &*watches.0;
    let mut stopping = it.stopping.subscribe();
    tokio::select! {
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = async {
            let mut attempts = interval(POLL_INTERVAL);
            attempts.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                attempts.tick().await;
                match receive_hints(&watches).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "no hints from other processes; listening again"),
                }
            }
        } => {}
    }
}

/// Receives hints until the connection is lost. Returns `Ok` immediately if the database has no hints.
async fn receive_hints<T>(watches: &Watches<T>) -> store::Result<()> {
    let app = &watches.0.app;
    let Some(mut hints) = app.store().hints().await? else { return Ok(()) };
    loop {
        if let Some(programme) = hints.next().await? {
            app.inner.changes.wake(&programme);
        }
    }
}
