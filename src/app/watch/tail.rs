//! The tail of a programme, and what wakes it: the writer of this process after a commit, a hint from another process, and,
//! since either may be lost, a look once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::steps::{OfferFold, PAGE, RecordPosition, WatchStep};
use super::{AppError, Watches};
use crate::domain::ids::Programme;
use crate::store;

/// How often a tail looks without being woken.
const LOOK: Duration = Duration::from_secs(1);

/// What wakes the tails, by programme.
#[derive(Debug, Default)]
pub(in crate::app) struct ChangeNotifier(Mutex<HashMap<Programme, Arc<Notify>>>);

impl ChangeNotifier {
    /// Has the tail of a programme look, if there is one.
    pub(in crate::app) fn wake(&self, programme: &Programme) {
        let wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = wakes.get(programme) {
            wake.notify_one();
        }
    }

    fn of(&self, programme: &Programme) -> Arc<Notify> {
        let mut wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(programme.clone()).or_default())
    }
}

/// Reads a programme on from here and hands each step round, until nobody is left.
pub(super) async fn follow<T: Send + Sync + 'static>(
    watches: Watches<T>,
    programme: Programme,
    mut position: RecordPosition,
    tail: broadcast::Sender<Arc<WatchStep<T>>>,
) {
    let it = &*watches.0;
    let wake = it.app.inner.wakes.of(&programme);
    let mut fold = OfferFold::default();
    loop {
        match fold.read(it.app.store(), &programme, position, it.show).await {
            Ok(steps) => {
                let more = steps.len() == PAGE;
                for step in steps {
                    position = step.position;
                    // That nobody is left is seen below.
                    let _ = tail.send(Arc::new(step));
                }
                if more {
                    continue;
                }
            }
            Err(error @ AppError::Diverged(_)) => {
                // Its watchers come to see it for themselves.
                tracing::error!(%programme, %error, "the record went back under a running server");
                return;
            }
            Err(error) => {
                tracing::warn!(%programme, error = error.for_log(), "the tail of a programme cannot be read yet");
            }
        }
        if watches.left(&programme, &tail) {
            return;
        }
        // Woken or not, it looks.
        let _ = timeout(LOOK, wake.notified()).await;
    }
}

/// Takes hints from other processes, where there can be any, until the server stops.
pub(super) async fn listen<T: Send + Sync + 'static>(watches: Watches<T>) {
    let it = &*watches.0;
    let mut stopping = it.stopping.subscribe();
    tokio::select! {
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = async {
            let mut every = interval(LOOK);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                match take_hints(&watches).await {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(%error, "no hints from other processes; listening again"),
                }
            }
        } => {}
    }
}

/// Takes hints until the connection is lost; ends well where there are none to take.
async fn take_hints<T>(watches: &Watches<T>) -> store::Result<()> {
    let app = &watches.0.app;
    let Some(mut hints) = app.store().hints().await? else { return Ok(()) };
    loop {
        if let Some(programme) = hints.next().await? {
            app.inner.wakes.wake(&programme);
        }
    }
}
