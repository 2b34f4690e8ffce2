//! Runs the worker of a programme. The worker takes waiting commands, writes them as a batch and answers their callers.
//! After a panic it is restarted.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::batch::{self, LockedProgramme, write};
use super::guarded_batch::{self, GuardedAttempt};
use super::kept_state::StateKeeper;
use super::{AppError, BATCH_COMMANDS, BATCH_ROWS, ENOUGH_COMMANDS, PendingCommand, QUEUE, Submission, WriterContext};
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
    let mut keeper = StateKeeper::default();
    loop {
        let first = match next.take() {
            Some(pending) => pending,
            None => match waiting.recv().await {
                Some(pending) => pending,
                None => return,
            },
        };
        let mut batch = TakenBatch { commands: vec![first], next: &mut next, waiting: &mut waiting };
        if context.loses_state() {
            keeper.drop_state();
        }
        let worker = Worker { context: &context, programme: &programme };
        worker.write_batch(&mut batch, &mut keeper).await;
    }
}

/// The worker of a programme.
#[derive(Clone, Copy)]
struct Worker<'a> {
    context: &'a WriterContext,
    programme: &'a Programme,
}

impl Worker<'_> {
    /// Writes one batch and answers its commands: without the lock if that is possible, or else with it.
    async fn write_batch(self, batch: &mut TakenBatch<'_, '_>, keeper: &mut StateKeeper) {
        let Self { context, programme } = self;
        // If there is no permit, or the programme cannot be locked now, `write_and_answer` tries again.
        let mut permit = context.store.batch_permit().await.ok();
        let mut has_attempted = false;
        // A batch whose first command needs the lock takes it first, as long as nothing else was taken from the queue.
        let fits = batch.commands.iter().all(|it| guarded_batch::fits(context, it));
        if let Some(head) = keeper.usable().filter(|_| fits).map(|kept| kept.head)
            && let Some(guarded_permit) = permit.take()
        {
            batch.take_waiting(context).await;
            let span = open_batch_span(programme, &mut batch.commands);
            let attempt = guarded_batch::write(context, guarded_permit, programme, &batch.commands, keeper);
            match one_try(attempt).instrument(span).await {
                Ok(GuardedAttempt::Done(results)) => {
                    return answer(context, std::mem::take(&mut batch.commands), results);
                }
                Ok(GuardedAttempt::NeedsLock(unused)) => permit = unused,
                Err(error) => {
                    tracing::warn!(%programme, %error, commands = batch.commands.len(), "trying again with the lock");
                    let submissions = batch.commands.iter().map(|it| &it.submission);
                    let requests = submissions.map(|it| (it.actor.clone(), it.request.id)).collect();
                    keeper.note_unknown_outcome(head, requests);
                    has_attempted = true;
                }
            }
        }
        let lock = async {
            let permit = match permit {
                Some(permit) => permit,
                None => context.store.batch_permit().await?,
            };
            batch::lock(context, permit, programme).await
        };
        let locked = one_try(lock).await;
        let locked = locked.inspect_err(|error| tracing::warn!(%programme, %error, "a programme cannot be locked yet"));
        // The commands that have arrived while waiting for the lock join the batch: the longer the wait, the larger the batch.
        if !has_attempted {
            batch.take_waiting(context).await;
        }
        let mut commands = std::mem::take(&mut batch.commands);
        let span = open_batch_span(programme, &mut commands);
        let progress = BatchProgress { locked: locked.ok(), has_attempted, keeper };
        write_and_answer(context, programme, commands, progress).instrument(span).await;
    }
}

/// Opens the span of the batch. That span is linked to the span of each request, because a span can have only one parent.
fn open_batch_span(programme: &Programme, batch: &mut [PendingCommand]) -> Span {
    let commands = batch.len();
    let span = tracing::info_span!("group", %programme, commands);
    for pending in batch {
        pending.stage = tracing::debug_span!(parent: &pending.span, "commit", commands);
        if !pending.stage.is_disabled() {
            span.follows_from(&pending.span);
            pending.stage.follows_from(&span);
        }
    }
    span
}

/// Answers the commands of a batch.
fn answer(context: &WriterContext, batch: Vec<PendingCommand>, results: Vec<CommandResult>) {
    if !batch.is_empty() {
        context.metrics.report(|it| it.answered(results.len()));
    }
    for (pending, result) in batch.into_iter().zip(results) {
        let _ = pending.reply.send(result);
    }
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

/// The commands of a batch, and the queue that they come from.
struct TakenBatch<'a, 'q> {
    commands: Vec<PendingCommand>,
    /// The command that was taken from the queue and begins the next batch.
    next: &'a mut Option<PendingCommand>,
    waiting: &'a mut MutexGuard<'q, mpsc::Receiver<PendingCommand>>,
}

impl TakenBatch<'_, '_> {
    /// Takes the waiting commands, up to the limits of a batch, and drops those that need no answer any more. Callers that were
    /// answered together tend to send their next requests together, so this function yields to the scheduler until no more commands
    /// arrive, or [`ENOUGH_COMMANDS`] have arrived. It sets `next` to the command that ends the batch: one that does not fit, or
    /// one that needs data which is loaded once for the batch and which an earlier command of the batch may change.
    async fn take_waiting(&mut self, context: &WriterContext) {
        loop {
            let before = self.commands.len();
            self.take_arrived();
            if self.commands.len() == before || self.commands.len() >= ENOUGH_COMMANDS || self.next.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop_disconnected_and_expired(&mut self.commands);
        for pending in &mut self.commands {
            if !std::mem::replace(&mut pending.has_reported_wait, true) {
                context.metrics.report(|it| it.waited(pending.queued_at.elapsed()));
            }
        }
    }

    /// Takes the commands that are in the queue now.
    fn take_arrived(&mut self) {
        let mut rows: usize = self.commands.iter().map(estimated_rows).sum();
        let mut changes_batch_snapshot = self.commands.iter().any(|it| it.submission.command.changes_batch_snapshot());
        while self.next.is_none() && self.commands.len() < BATCH_COMMANDS {
            let Ok(pending) = self.waiting.try_recv() else { return };
            rows = rows.saturating_add(estimated_rows(&pending));
            let command = &pending.submission.command;
            if rows > BATCH_ROWS || changes_batch_snapshot && command.reads_batch_snapshot() {
                *self.next = Some(pending);
                return;
            }
            changes_batch_snapshot |= command.changes_batch_snapshot();
            self.commands.push(pending);
        }
    }
}

/// The number of rows that a command is expected to write.
fn estimated_rows(pending: &PendingCommand) -> usize {
    match &pending.submission.command {
        Command::Contact { offers, .. } => offers.len().saturating_mul(4),
        // Identify may write hundreds of offers, so it gets a batch of its own.
        Command::Identify => BATCH_ROWS,
        // Event, text, award, cap, entry and answer; fund and day are shared.
        Command::Award { awards, .. } => awards.len().saturating_mul(6),
        // The same rows as for an award, and the bookings or invoices of the award.
        Command::Draw { .. } | Command::Release { .. } | Command::Refund { .. } => 9,
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
    mut progress: BatchProgress<'_>,
) {
    let mut remaining = vec![batch];
    while let Some(mut batch) = remaining.pop() {
        if batch.is_empty() && progress.locked.is_none() {
            continue;
        }
        match write_with_retry(context, programme, &mut batch, &mut progress).await {
            Ok(results) => answer(context, batch, results),
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

/// How far the writing of a batch with the lock has come.
struct BatchProgress<'a> {
    /// The lock that was taken before the commands of the batch; `None` once an attempt has used it.
    locked: Option<LockedProgramme>,
    /// Whether an attempt has begun to write. After that no command is dropped, because it may have been carried out.
    has_attempted: bool,
    keeper: &'a mut StateKeeper,
}

/// Replaces each refusal that is not final: the caller has to repeat the request. See [`StateKeeper::is_final`].
fn settle(keeper: &StateKeeper, batch: &[PendingCommand], results: Vec<CommandResult>) -> Vec<CommandResult> {
    let submissions = batch.iter().map(|it| &it.submission);
    let settle = |(it, result): (&Submission, CommandResult)| {
        result.map_err(|error| if keeper.is_final(&it.actor, it.request.id) { error } else { AppError::no_answer() })
    };
    submissions.zip(results).map(settle).collect()
}

/// Tries to write a batch a bounded number of times, and returns the results of its commands. The first attempt uses the lock
/// that was taken before the commands of the batch. After a lost connection it is unknown whether the commit happened. Each
/// attempt therefore reads the stored answers under the lock: if the commit happened, they are there.
async fn write_with_retry(
    context: &WriterContext,
    programme: &Programme,
    batch: &mut Vec<PendingCommand>,
    progress: &mut BatchProgress<'_>,
) -> Result<Vec<CommandResult>, WriteError> {
    // Attempts run one after the other, so this mutex is never contended.
    let shared = Mutex::new((batch, progress));
    with_retry(|| async {
        let mut shared = shared.lock().await;
        let (batch, progress) = &mut *shared;
        let locked = match progress.locked.take() {
            Some(locked) => locked,
            None => batch::lock(context, context.store.batch_permit().await?, programme).await?,
        };
        if !progress.has_attempted {
            drop_disconnected_and_expired(batch);
            progress.has_attempted = true;
        }
        if batch.is_empty() {
            locked.release().await?;
            Ok(Vec::new())
        } else {
            let results = write(context, locked, programme, batch, progress.keeper).await?;
            Ok(settle(progress.keeper, batch, results))
        }
    })
    .await
}
