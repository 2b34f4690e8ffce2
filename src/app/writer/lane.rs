//! A book's lane: takes what is waiting, has it written, answers. It survives its own panics.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use super::group::{Verdict, again, write};
use super::{AppError, GROUP_COMMANDS, GROUP_ROWS, Job, QUEUE, Shared, Submission};
use crate::domain::book::Command;
use crate::domain::ids::Programme;
use crate::store::{self, StoreError};

/// Tries of one group when the database is away or busy. With the waits between them, some seconds.
const TRIES: u32 = 4;
/// The wait before the second try; it doubles, and half of it is chance, so that replicas do not march in step.
const FIRST_WAIT: Duration = Duration::from_millis(50);

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
        drop(turn);
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
        settle(&shared, &programme, group).await;
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
async fn settle(shared: &Shared, programme: &Programme, group: Vec<Job>) {
    let mut todo = vec![group];
    while let Some(mut group) = todo.pop() {
        if group.is_empty() {
            continue;
        }
        match persist(shared, programme, &group).await {
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
                for job in group {
                    let verdict = alone(shared, &job.submission, &error).await;
                    let _ = job.reply.send(verdict);
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

/// What a command is answered that failed alone. A request id is the caller's, not the book's: where two books kept one
/// at once, the loser's row is refused, and it is answered from what the winner stored.
async fn alone(shared: &Shared, of: &Submission, error: &StoreError) -> Verdict {
    if matches!(error, StoreError::Row(_))
        && let Some(stored) = store::requests::one(&shared.store, &of.actor, of.request).await?
    {
        return again(of, &stored);
    }
    tracing::error!(programme = %of.programme, %error, "a command cannot be written");
    Err(AppError::Bug(error.to_string()))
}

/// Tries a group until the database answers, a bounded number of times. After a lost connection nobody knows whether
/// the commit happened: the next try reads the stored answers again under the lock, and finds it if it did.
async fn persist(shared: &Shared, programme: &Programme, group: &[Job]) -> store::Result<Vec<Verdict>> {
    let mut wait = FIRST_WAIT;
    let mut tries = 1;
    loop {
        match write(shared, programme, group).await {
            Err(error) if error.retryable() && tries < TRIES => {
                tracing::info!(%programme, %error, tries, "trying a group again");
                #[expect(clippy::disallowed_methods, reason = "a bounded wait for a database that is away")]
                tokio::time::sleep(jittered(wait)).await;
                wait = wait.saturating_mul(2);
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Between half of it and all of it.
fn jittered(wait: Duration) -> Duration {
    let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(fastrand::u64(micros / 2..=micros))
}
