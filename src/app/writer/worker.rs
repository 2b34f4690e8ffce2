//! Runs the worker of a programme. The worker takes waiting commands, writes them as a batch and answers their callers.
//! After a panic it is restarted.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::batch::{self, LockedProgramme, write};
use super::{AppError, BATCH_COMMANDS, BATCH_ROWS, PendingCommand, QUEUE, WriterContext};
use crate::app::retry::{one_try, with_retry};
use crate::app::write_error::WriteError;
use crate::app::writer::event_appender::CommandResult;
use crate::domain::ids::Programme;
use crate::domain::programme::Command;
use crate::store::StoreError;

/// Starts a worker, and a supervisor that restarts the worker after a panic. Returns the worker's queue.
pub(super) fn start(context: Arc<WriterContext>, programme: Programme) -> mpsc::Sender<PendingCommand> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    tokio::spawn(async move {
        loop {
            let worker = run(Arc::clone(&context), programme.clone(), Arc::clone(&receiver));
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

/// Takes and writes one batch after the other, until the queue is closed.
async fn run(context: Arc<WriterContext>, programme: Programme, receiver: Arc<Mutex<mpsc::Receiver<PendingCommand>>>) {
    let mut waiting = receiver.lock().await;
    // A command that was taken from the queue and did not fit into the last batch. It begins the next batch.
    let mut next: Option<PendingCommand> = None;
    loop {
        let first = match next.take() {
            Some(pending) => pending,
            None => match waiting.recv().await {
                Some(pending) => pending,
                None => return,
            },
        };
        // Get the write permit and the lock first. Then take the commands that have arrived while waiting for them: the
        // longer the wait, the larger the batch. If the programme cannot be locked now, `write_and_answer` tries again.
        let locked = match context.store.write_permit().await {
            Ok(permit) => (one_try(batch::lock(&context, permit, &programme)).await)
                .inspect_err(|error| tracing::warn!(%programme, %error, "a programme cannot be locked yet"))
                .ok(),
            Err(_) => None,
        };
        let mut batch = take_batch(first, &mut next, &mut waiting).await;
        drop_disconnected_and_expired(&mut batch);
        let span = open_batch_span(&context, &programme, &mut batch);
        write_and_answer(&context, &programme, batch, locked).instrument(span).await;
    }
}

/// Reports how long each command waited, and opens the span of the batch. That span is linked to the span of each request,
/// because a span can have only one parent.
fn open_batch_span(context: &WriterContext, programme: &Programme, batch: &mut [PendingCommand]) -> Span {
    let commands = batch.len();
    let span = tracing::info_span!("group", %programme, commands);
    for pending in batch {
        context.metrics.report(|it| it.waited(pending.queued_at.elapsed()));
        pending.stage = tracing::debug_span!(parent: &pending.span, "commit", commands);
        if !pending.stage.is_disabled() {
            span.follows_from(&pending.span);
            pending.stage.follows_from(&span);
        }
    }
    span
}

/// Drops commands whose caller has disconnected, and answers those whose deadline has passed.
fn drop_disconnected_and_expired(batch: &mut Vec<PendingCommand>) {
    let now = Instant::now();
    let has_expired =
        |pending: &mut PendingCommand| pending.submission.deadline.is_some_and(|deadline| deadline <= now);
    batch.retain(|pending| !pending.reply.is_closed());
    for pending in batch.extract_if(.., has_expired) {
        let _ = pending.reply.send(Err(AppError::DeadlinePassed));
    }
}

/// Takes the waiting commands, up to the limits of a batch. Callers that were answered together tend to send their next
/// requests together, so this function yields to the scheduler until no more commands arrive. It sets `next` to the command
/// that ends the batch: one that does not fit, or one that needs data which is loaded once for the batch and which an earlier
/// command of the batch may change.
async fn take_batch(
    first: PendingCommand,
    next: &mut Option<PendingCommand>,
    waiting: &mut mpsc::Receiver<PendingCommand>,
) -> Vec<PendingCommand> {
    let (mut rows, mut changes_batch_snapshot) =
        (estimated_rows(&first), first.submission.command.changes_batch_snapshot());
    let mut batch = vec![first];
    loop {
        let before = batch.len();
        while let Some(pending) = (batch.len() < BATCH_COMMANDS).then(|| waiting.try_recv().ok()).flatten() {
            rows = rows.saturating_add(estimated_rows(&pending));
            let command = &pending.submission.command;
            if rows > BATCH_ROWS || changes_batch_snapshot && command.reads_batch_snapshot() {
                *next = Some(pending);
                return batch;
            }
            changes_batch_snapshot |= command.changes_batch_snapshot();
            batch.push(pending);
        }
        if batch.len() == before || batch.len() >= BATCH_COMMANDS {
            return batch;
        }
        tokio::task::yield_now().await;
    }
}

/// The number of rows that a command is expected to write.
fn estimated_rows(pending: &PendingCommand) -> usize {
    match &pending.submission.command {
        Command::Contact { offers, .. } => offers.len().saturating_mul(4),
        // Identify may write hundreds of offers, so it gets a batch of its own.
        Command::Identify => BATCH_ROWS,
        // Event, text, award, two accounts, three entries and the answer.
        Command::Award { awards, .. } => awards.len().saturating_mul(9),
        // The same rows as for an award, but with two entries, and the bookings or invoices of the award.
        Command::Draw { .. } | Command::Release { .. } | Command::Refund { .. } => 12,
        // Two events, two entries, two accounts, the approval and the answer.
        Command::ChangeFund { .. } | Command::GiveApproval { .. } => 8,
        // The offer's schools and contacts, and each award that is settled.
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

/// Writes a batch and answers each command in it. A batch that fails because of one command is halved until that command
/// fails alone. If the database is unavailable, the whole batch is tried again.
async fn write_and_answer(
    context: &WriterContext,
    programme: &Programme,
    batch: Vec<PendingCommand>,
    locked: Option<LockedProgramme>,
) {
    let mut remaining = vec![batch];
    let mut progress = BatchProgress { locked, has_attempted: false };
    while let Some(mut batch) = remaining.pop() {
        if batch.is_empty() {
            continue;
        }
        match write_with_retry(context, programme, &mut batch, &mut progress).await {
            Ok(results) => {
                context.metrics.report(|it| it.answered(results.len()));
                for (pending, result) in batch.into_iter().zip(results) {
                    let _ = pending.reply.send(result);
                }
            }
            Err(error) if error.blames_one() && batch.len() > 1 => {
                tracing::warn!(%programme, %error, commands = batch.len(), "halving a batch");
                let second = batch.split_off(batch.len() / 2);
                // First in, first out: the first half is popped first.
                remaining.push(second);
                remaining.push(batch);
            }
            Err(error) if error.retryable() => {
                tracing::warn!(%programme, %error, commands = batch.len(), "giving up on a batch");
                let answer = AppError::from(error);
                for pending in batch {
                    let _ = pending.reply.send(Err(answer.clone()));
                }
            }
            Err(error @ (WriteError::Store(StoreError::Outdated(_)) | WriteError::ClockWrong(_))) => {
                tracing::warn!(%programme, %error, commands = batch.len(), "a batch is left to other servers");
                let answer = AppError::from(error);
                for pending in batch {
                    let _ = pending.reply.send(Err(answer.clone()));
                }
            }
            Err(error) => {
                for pending in batch {
                    pending.span.in_scope(|| tracing::error!(%programme, %error, "a command cannot be written"));
                    let _ = pending.reply.send(Err(AppError::Bug(error.to_string())));
                }
            }
        }
    }
}

/// How far the writing of a batch has come.
struct BatchProgress {
    /// The lock that was taken before the commands of the batch; `None` once an attempt has used it.
    locked: Option<LockedProgramme>,
    /// Whether an attempt has held the lock. After that no command is dropped, because it may have been carried out.
    has_attempted: bool,
}

/// Tries to write a batch a bounded number of times, and returns the results of its commands. The first attempt uses the lock
/// that was taken before the commands of the batch. After a lost connection it is unknown whether the commit happened. Each
/// attempt therefore reads the stored answers under the lock: if the commit happened, they are there.
async fn write_with_retry(
    context: &WriterContext,
    programme: &Programme,
    batch: &mut Vec<PendingCommand>,
    progress: &mut BatchProgress,
) -> Result<Vec<CommandResult>, WriteError> {
    // Attempts run one after the other, so this mutex is never contended.
    let shared = Mutex::new((batch, progress));
    with_retry(|| async {
        let mut shared = shared.lock().await;
        let (batch, progress) = &mut *shared;
        let locked = match progress.locked.take() {
            Some(locked) => locked,
            None => batch::lock(context, context.store.write_permit().await?, programme).await?,
        };
        if !progress.has_attempted {
            drop_disconnected_and_expired(batch);
            progress.has_attempted = true;
        }
        if batch.is_empty() {
            locked.release().await?;
            Ok(Vec::new())
        } else {
            write(context, locked, programme, batch).await
        }
    })
    .await
}
