//! A book's lane: takes what is waiting, has it written, answers. It survives its own panics.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::group::{Verdict, write};
use super::{AppError, GROUP_COMMANDS, GROUP_ROWS, Job, QUEUE, Shared};
use crate::app::retry::retried;
use crate::domain::book::Command;
use crate::domain::ids::Programme;
use crate::store::{self, Turn};

/// Starts a lane and the supervisor that starts it anew after a panic.
pub(super) fn start(shared: Arc<Shared>, programme: Programme) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    tokio::spawn(async move {
        loop {
            let lane = run(Arc::clone(&shared), programme.clone(), Arc::clone(&receiver));
            match tokio::spawn(lane).await {
                Ok(()) => break,
                Err(error) => tracing::error!(%programme, %error, "the writer of a book panicked; starting it anew"),
            }
        }
    });
    sender
}

async fn run(shared: Arc<Shared>, programme: Programme, receiver: Arc<Mutex<mpsc::Receiver<Job>>>) {
    let mut waiting = receiver.lock().await;
    let mut next: Option<Job> = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match waiting.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        // Its turn first, then what has come meanwhile: the longer the wait, the larger the group.
        let turn = shared.store.turn().await;
        let mut group = vec![first];
        let mut rows = weight(group.iter());
        while group.len() < GROUP_COMMANDS {
            let Ok(job) = waiting.try_recv() else { break };
            rows = rows.saturating_add(weight([&job]));
            if rows > GROUP_ROWS {
                next = Some(job);
                break;
            }
            group.push(job);
        }
        let now = Instant::now();
        group.retain(|job| !job.reply.is_closed());
        let (late, group): (Vec<Job>, Vec<Job>) =
            group.into_iter().partition(|job| job.submission.deadline.is_some_and(|deadline| deadline <= now));
        for job in late {
            let _ = job.reply.send(Err(AppError::DeadlinePassed));
        }
        settle(&shared, &programme, group, turn.ok()).await;
    }
}

/// The rows a group is expected to write.
fn weight<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> usize {
    let rows = |job: &Job| match &job.submission.command {
        Command::Contact { offers, .. } => offers.len().saturating_mul(4),
        // Hundreds of offers at once: a group of its own, or the last of one.
        Command::Identify => GROUP_ROWS,
        _ => 4,
    };
    jobs.into_iter().map(rows).fold(0, usize::saturating_add)
}

/// Writes a group and answers everybody in it. A group that fails for the sake of one command is halved until that one
/// fails alone; when the database is away it is tried again, whole.
async fn settle(shared: &Shared, programme: &Programme, group: Vec<Job>, mut turn: Option<Turn>) {
    let mut todo = vec![group];
    while let Some(mut group) = todo.pop() {
        if group.is_empty() {
            continue;
        }
        match persist(shared, programme, &group, turn.take()).await {
            Ok(verdicts) => {
                for (job, verdict) in group.into_iter().zip(verdicts) {
                    let _ = job.reply.send(verdict);
                }
            }
            Err(error) if error.retryable() => {
                tracing::warn!(%programme, %error, commands = group.len(), "giving up on a group");
                for job in group {
                    let _ = job.reply.send(Err(AppError::Unavailable));
                }
            }
            Err(error) if group.len() == 1 => {
                tracing::error!(%programme, %error, "a command cannot be written");
                for job in group {
                    let _ = job.reply.send(Err(AppError::Bug(error.to_string())));
                }
            }
            Err(error) => {
                tracing::warn!(%programme, %error, commands = group.len(), "halving a group");
                let second = group.split_off(group.len() / 2);
                // First in, first out: the first half is popped first.
                todo.push(second);
                todo.push(group);
            }
        }
    }
}

/// Tries a group until the database answers, a bounded number of times; first in the turn it has. After a lost connection
/// nobody knows whether the commit happened: the next try reads the stored answers again under the lock, and finds it if
/// it did.
async fn persist(
    shared: &Shared,
    programme: &Programme,
    group: &[Job],
    mut turn: Option<Turn>,
) -> store::Result<Vec<Verdict>> {
    retried(|| {
        let turn = turn.take();
        async move {
            let turn = match turn {
                Some(turn) => turn,
                None => shared.store.turn().await?,
            };
            write(shared, turn, programme, group).await
        }
    })
    .await
}
