//! Tells other processes on the same PostgreSQL that a programme has new events, in a task of its own after the commit.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use crate::app::retry::one_try;
use crate::domain::ids::Programme;
use crate::store::{Backend, Store};

/// The most programmes that may wait in the queue. Hints beyond that are dropped, as a hint may be lost.
const WAITING: usize = 1_024;

/// Sends hints from a task of its own, which ends with the sender; sends none on SQLite, where no other process writes.
#[derive(Debug)]
pub(super) struct HintSender(Option<mpsc::Sender<Programme>>);

impl HintSender {
    pub(super) fn start(store: &Store) -> Self {
        if store.backend() == Backend::Sqlite {
            return Self(None);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        drop(tokio::spawn(send(store.clone(), receiver)));
        Self(Some(sender))
    }

    /// Queues a hint that a programme has new events. Never waits.
    pub(super) fn send(&self, programme: &Programme) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(programme.clone());
        }
    }
}

async fn send(store: Store, mut waiting: mpsc::Receiver<Programme>) {
    while let Some(first) = waiting.recv().await {
        let mut programmes = BTreeSet::from([first]);
        programmes.extend(std::iter::from_fn(|| waiting.try_recv().ok()));
        if let Err(error) = one_try(store.send_hints(&programmes)).await {
            tracing::debug!(%error, "hints to other processes are lost");
        }
    }
}
