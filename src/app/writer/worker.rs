//! The worker of a programme: takes waiting commands, writes them as a batch, answers. It survives its own panics.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::batch::{self, Locked, write};
use super::{AppError, BATCH_COMMANDS, BATCH_ROWS, PendingCommand, QUEUE, WriterContext};
use crate::app::retry::{one_try, with_retry};
use crate::app::write_error::WriteError;
use crate::app::writer::event_appender::CommandResult;
use crate::domain::ids::Programme;
use crate::domain::programme::Command;
use crate::store::StoreError;

/// Starts a worker and the supervisor that restarts it after a panic.
pub(super) fn start(shared: Arc<WriterContext>, programme: Programme) -> mpsc::Sender<PendingCommand> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    tokio::spawn(async move {
        loop {
            let worker = run(Arc::clone(&shared), programme.clone(), Arc::clone(&receiver));
            match tokio::spawn(worker).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%programme, %error, "the writer of a programme panicked and is restarted")
                }
            }
        }
    });
    sender
}

async fn run(shared: Arc<WriterContext>, programme: Programme, receiver: Arc<Mutex<mpsc::Receiver<PendingCommand>>>) {
    let mut waiting = receiver.lock().await;
    let mut next: Option<PendingCommand> = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match waiting.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        // Its turn and its lock first, then what has come meanwhile: the longer the wait, the larger the group. A programme
        // that cannot be locked now is tried again with the group that waits for it.
        let locked = match shared.store.write_permit().await {
            Ok(turn) => (one_try(batch::lock(&shared, turn, &programme)).await)
                .inspect_err(|error| tracing::warn!(%programme, %error, "a programme cannot be locked yet"))
                .ok(),
            Err(_) => None,
        };
        let mut group = take(first, &mut next, &mut waiting).await;
        drop_disconnected_and_expired(&mut group);
        let span = begin(&shared, &programme, &mut group);
        settle(&shared, &programme, group, locked).instrument(span).await;
    }
}

/// Counts what is taken, and opens the group's span, which is linked to that of each call in it, as a span has one parent.
fn begin(shared: &WriterContext, programme: &Programme, group: &mut [PendingCommand]) -> Span {
    let commands = group.len();
    let span = tracing::info_span!("group", %programme, commands);
    for job in group {
        shared.measuring.tell(|it| it.waited(job.since.elapsed()));
        job.stage = tracing::debug_span!(parent: &job.span, "commit", commands);
        if !job.stage.is_disabled() {
            span.follows_from(&job.span);
            job.stage.follows_from(&span);
        }
    }
    span
}

/// Drops callers that have hung up, and answers those that waited for too long.
fn drop_disconnected_and_expired(group: &mut Vec<PendingCommand>) {
    let now = Instant::now();
    let late = |job: &mut PendingCommand| job.submission.deadline.is_some_and(|deadline| deadline <= now);
    group.retain(|job| !job.reply.is_closed());
    for job in group.extract_if(.., late) {
        let _ = job.reply.send(Err(AppError::DeadlinePassed));
    }
}

/// Takes what is waiting, within the bounds of a group. Callers that were answered together come back together, one
/// shortly after the other: as long as another pass of the scheduler brings more of them, they are waited for, and no
/// longer. What does not fit, or reads what the group may change and looks up only once, is the first of the next group.
async fn take(
    first: PendingCommand,
    next: &mut Option<PendingCommand>,
    waiting: &mut mpsc::Receiver<PendingCommand>,
) -> Vec<PendingCommand> {
    let (mut rows, mut changes) = (weight(&first), first.submission.command.changes_looked_up());
    let mut group = vec![first];
    loop {
        let before = group.len();
        while let Some(job) = (group.len() < BATCH_COMMANDS).then(|| waiting.try_recv().ok()).flatten() {
            rows = rows.saturating_add(weight(&job));
            let command = &job.submission.command;
            if rows > BATCH_ROWS || changes && command.reads_looked_up() {
                *next = Some(job);
                return group;
            }
            changes |= command.changes_looked_up();
            group.push(job);
        }
        if group.len() == before || group.len() >= BATCH_COMMANDS {
            return group;
        }
        tokio::task::yield_now().await;
    }
}

/// The rows a command is expected to write.
fn weight(job: &PendingCommand) -> usize {
    match &job.submission.command {
        Command::Contact { offers, .. } => offers.len().saturating_mul(4),
        // Hundreds of offers at once: a group of its own.
        Command::Identify => BATCH_ROWS,
        // Event, text, award, two accounts, three entries and the answer.
        Command::Award { awards, .. } => awards.len().saturating_mul(9),
        // The same with two entries, and the bookings or invoices of the award.
        Command::Draw { .. } | Command::Release { .. } | Command::Refund { .. } => 12,
        // Two events, two entries, two accounts, the approval and the answer.
        Command::ChangeFund { .. } | Command::GiveApproval { .. } => 8,
        // Its schools and contacts, and each award it settles.
        Command::Close { .. } | Command::Decline { .. } => 30,
        // An event, its offer, perhaps a text and the answer.
        Command::Correct { .. }
        | Command::Accept { .. }
        | Command::CorrectDate { .. }
        | Command::Start { .. }
        | Command::Reopen { .. }
        | Command::DenyApproval { .. }
        | Command::WithdrawApproval { .. }
        | Command::Assign { .. }
        | Command::Note { .. }
        | Command::ChangeRegion { .. }
        | Command::Place { .. }
        | Command::DecideEntry { .. }
        | Command::EraseText { .. }
        | Command::CreateFund { .. }
        | Command::BookDays { .. }
        | Command::CancelBooking { .. }
        | Command::Undo { .. }
        | Command::Refer(_) => 4,
    }
}

/// Writes a group and answers everybody in it. A group that fails because of one command is halved until that one
/// fails alone; when the database is away it is tried again, whole.
async fn settle(shared: &WriterContext, programme: &Programme, group: Vec<PendingCommand>, locked: Option<Locked>) {
    let mut todo = vec![group];
    let mut state = BatchProgress { locked, begun: false };
    while let Some(mut group) = todo.pop() {
        if group.is_empty() {
            continue;
        }
        match persist(shared, programme, &mut group, &mut state).await {
            Ok(results) => {
                shared.measuring.tell(|it| it.answered(results.len()));
                for (job, result) in group.into_iter().zip(results) {
                    let _ = job.reply.send(result);
                }
            }
            Err(error) if error.blames_one() && group.len() > 1 => {
                tracing::warn!(%programme, %error, commands = group.len(), "halving a batch");
                let second = group.split_off(group.len() / 2);
                // First in, first out: the first half is popped first.
                todo.push(second);
                todo.push(group);
            }
            Err(error) if error.retryable() => {
                tracing::warn!(%programme, %error, commands = group.len(), "giving up on a batch");
                let answer = AppError::from(error);
                for job in group {
                    let _ = job.reply.send(Err(answer.clone()));
                }
            }
            Err(error @ (WriteError::Store(StoreError::Outdated(_)) | WriteError::ClockWrong(_))) => {
                tracing::warn!(%programme, %error, commands = group.len(), "a batch is left to other servers");
                let answer = AppError::from(error);
                for job in group {
                    let _ = job.reply.send(Err(answer.clone()));
                }
            }
            Err(error) => {
                for job in group {
                    job.span.in_scope(|| tracing::error!(%programme, %error, "a command cannot be written"));
                    let _ = job.reply.send(Err(AppError::Bug(error.to_string())));
                }
            }
        }
    }
}

/// Where the writing of a group stands.
struct BatchProgress {
    /// The lock it came with, until it is used.
    locked: Option<Locked>,
    /// Whether a try has had the lock: from then on nobody is dropped any more, as it may have been carried out.
    begun: bool,
}

/// Tries a group until the database answers, a bounded number of times; first under the lock it has. After a lost
/// connection nobody knows whether the commit happened: the next try reads the stored answers again under the lock, and
/// finds it if it did.
async fn persist(
    shared: &WriterContext,
    programme: &Programme,
    group: &mut Vec<PendingCommand>,
    state: &mut BatchProgress,
) -> Result<Vec<CommandResult>, WriteError> {
    // One try at a time: nobody ever waits for this.
    let at_hand = Mutex::new((group, state));
    with_retry(|| async {
        let mut at_hand = at_hand.lock().await;
        let (group, state) = &mut *at_hand;
        let locked = match state.locked.take() {
            Some(locked) => locked,
            None => batch::lock(shared, shared.store.write_permit().await?, programme).await?,
        };
        if !state.begun {
            drop_disconnected_and_expired(group);
            state.begun = true;
        }
        if group.is_empty() {
            locked.release().await?;
            Ok(Vec::new())
        } else {
            write(shared, locked, programme, group).await
        }
    })
    .await
}
