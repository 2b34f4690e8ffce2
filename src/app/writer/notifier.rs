//! Sends hints to other processes on the same PostgreSQL. A hint says that a programme has new events. Hints are sent by a
//! task of their own after the commit, so that no command waits for them.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use crate::app::retry::one_try;
use crate::domain::ids::Programme;
use crate::store::{Backend, Store};

/// The most hints that may wait in the queue. Hints beyond that are dropped: watches do not depend on them.
const MAX_WAITING_HINTS: usize = 1_024;

/// The queue to the task that sends hints. The task ends when this is dropped. `None` on SQLite, where no other process
/// writes, so that no hints are needed.
#[derive(Debug)]
pub(super) struct HintSender(Option<mpsc::Sender<Programme>>);

impl HintSender {
    pub(super) fn start(store: &Store) -> Self {
        if store.backend() == Backend::Sqlite {
            return Self(None);
        }
        let (sender, receiver) = mpsc::channel(MAX_WAITING_HINTS);
        drop(tokio::spawn(send_waiting(store.clone(), receiver)));
        Self(Some(sender))
    }

    /// Queues a hint that a programme has new events. Never waits: if the queue is full, the hint is dropped.
    pub(super) fn send(&self, programme: &Programme) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(programme.clone());
        }
    }
}

/// Sends the waiting hints, all of them together, until the queue is closed.
async fn send_waiting(store: Store, mut waiting: mpsc::Receiver<Programme>) {
    while let Some(first) = waiting.recv().await {
        let mut programmes = BTreeSet::from([first]);
        programmes.extend(std::iter::from_fn(|| waiting.try_recv().ok()));
        if let Err(error) = one_try(store.send_hints(&programmes)).await {
            tracing::debug!(%error, "hints to other processes are lost");
        }
    }
}
