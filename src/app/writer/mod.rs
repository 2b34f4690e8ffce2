//! Commits the changes of programmes. Every change of a programme goes through the programme's worker, in batches.
//!
//! | phase | what happens | where |
//! |---|---|---|
//! | queue | puts the command into its programme's queue, first in first out; refuses it if the queue is full | [`Writer::submit`] |
//! | take | takes the waiting commands; drops those whose caller has left or whose deadline has passed | [`worker`] |
//! | try | decides the batch against kept state, and writes it if nobody else has changed the programme | [`guarded_batch`] |
//! | lock | otherwise begins a transaction and locks the programme's row, which has the next number and the last hash | [`batch`] |
//! | load | loads stored answers and the state that all commands need, in a few queries under the lock | [`load_state`] |
//! | decide | decides the commands in order; each command sees the changes of the earlier ones | [`stored_answers`] |
//! | write | writes events, state, answers and the head in bulk statements, or nothing at all | [`event_appender`] |
//! | answer | answers the callers, only after the commit | [`worker`] |
//!
//! No command waits for a timer. An idle programme commits a single command immediately; a busy programme commits a batch
//! in each transaction. State that is kept from one batch to the next is used only under the head that it was kept with.

mod batch;
mod event_appender;
mod guarded_batch;
mod kept_offer;
mod kept_state;
mod load_register;
mod load_state;
mod notifier;
mod required_state;
mod stored_answers;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::Span;

use super::clock::Clock;
use super::retry::with_retry;
use super::rules::AdoptedBy;
use super::watch::ChangeNotifier;
use super::writer_metrics::{WriterMetrics, WriterMetricsSlot};
use super::{AppError, Result};
use crate::app::answers::{CarriedOut, CommandOutcome};
use crate::app::request::RequestIdentity;
use crate::app::terms_cache::{LoadedScheme, TermsCache};
use crate::app::writer::event_appender::{DecideOutcome, EventAppender, Requester};
use crate::domain::approval::approval_would_be_required;
use crate::domain::ids::{Actor, Programme, RequestId};
use crate::domain::person::TokenSubject;
use crate::domain::programme::Command;
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Caller, Reach};
use crate::domain::rules::RulesVersion;
use crate::domain::time::Now;
use crate::store::programmes::Head;
use crate::store::{self, Store, WriteTx};
use kept_state::StateKeeper;
use notifier::HintSender;

/// The most commands that may wait for one programme: a few seconds of work, at some hundred commands per commit. Further
/// commands are refused without waiting, and their callers can retry.
pub const QUEUE: usize = 4_096;
/// The most commands in one batch. The state of a larger batch would need slower queries.
pub const BATCH_COMMANDS: usize = 512;
/// With so many commands the fixed cost of a commit hardly counts. A batch then waits for no others, so that the database works while
/// this process answers the callers of the batch before.
const ENOUGH_COMMANDS: usize = 32;
/// The most rows that a batch is expected to write, which keeps a commit well under the statement timeout.
pub const BATCH_ROWS: usize = 5_000;

/// Functions that encode an answer as the bytes that are both sent and stored.
#[derive(Debug, Clone, Copy)]
pub struct AnswerEncoders {
    /// Encodes the answer of the command.
    pub answer: fn(CommandOutcome) -> Result<Vec<u8>>,
    /// For a command that gives an approval: encodes the answer of the request that opened the approval.
    pub carried_out: fn(CommandOutcome<CarriedOut>) -> Vec<u8>,
}

/// One command with its request, to be executed by the programme's worker.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The programme.
    pub programme: Programme,
    /// Who makes the request.
    pub actor: Actor,
    /// The subject of the caller's token, which tells two people apart; `None` if the caller has none.
    pub subject: Option<TokenSubject>,
    /// The caller's reach for the command. A stored answer is returned only within it.
    pub reach: Reach,
    /// The identity of the request, by which a repeat is recognised. The same id with different content is refused.
    pub request: RequestIdentity,
    /// The command.
    pub command: Command,
    /// When the caller stops waiting; `None` for no limit.
    pub deadline: Option<Instant>,
    /// The functions that encode the answer.
    pub encoders: AnswerEncoders,
}

/// A submission and the caller that waits for it.
#[derive(Debug)]
struct PendingCommand {
    submission: Submission,
    /// When the submission was queued.
    queued_at: Instant,
    /// Whether the metrics know how long the submission waited.
    has_reported_wait: bool,
    /// The span of the request. Log lines about this command alone are written in this span.
    span: Span,
    /// The span of the current stage of the command within the request: its wait, then its commit. Used in traces only.
    stage: Span,
    /// Sends the result to the caller.
    reply: oneshot::Sender<Result<Vec<u8>>>,
}

/// The writers of all programmes of this process.
#[derive(Debug)]
pub struct Writer {
    workers: Mutex<HashMap<Programme, mpsc::Sender<PendingCommand>>>,
    context: Arc<WriterContext>,
}

/// Writes the first event of a new programme's record: the programme adopts the current rules. The caller commits.
pub(super) async fn begin_record(tx: &WriteTx, loaded: &LoadedScheme, by: &AdoptedBy, now: Now) -> Result<()> {
    let programme = loaded.terms.programme();
    let (mut state, mut appender) = (loaded.initial_state(true), EventAppender::new(programme, Head::new(programme)));
    appender.adopt_rules(&mut state, by, (Some(loaded.sha256), now))?;
    Ok(appender.write(tx, &state, &HashSet::new(), (&[], now.at)).await?)
}

/// Everything that the workers of all programmes share.
#[derive(Debug)]
struct WriterContext {
    store: Store,
    clock: Clock,
    terms: Arc<TermsCache>,
    changes: Arc<ChangeNotifier>,
    hints: HintSender,
    metrics: WriterMetricsSlot,
    /// In how many of a hundred batches a worker loses its kept state: more than none only in tests.
    state_losses: AtomicU8,
}

impl WriterContext {
    /// Whether a worker has to lose its kept state before the next batch.
    fn loses_state(&self) -> bool {
        cfg!(debug_assertions) && fastrand::u8(..100) < self.state_losses.load(Ordering::Relaxed)
    }

    /// Wakes the watches of a programme, in this process and in others.
    fn notify_watchers(&self, programme: &Programme) {
        self.changes.wake(programme);
        self.hints.send(programme);
    }
}

impl Writer {
    pub(super) fn new(store: Store, clock: Clock, terms: Arc<TermsCache>, changes: Arc<ChangeNotifier>) -> Self {
        let (hints, metrics, state_losses) =
            (HintSender::start(&store), WriterMetricsSlot::default(), AtomicU8::default());
        Self {
            workers: Mutex::default(),
            context: Arc::new(WriterContext { store, clock, terms, changes, hints, metrics, state_losses }),
        }
    }

    #[cfg(debug_assertions)]
    pub(super) fn lose_state(&self, percent: u8) {
        self.context.state_losses.store(percent, Ordering::Relaxed);
    }

    /// Queues a command for its programme, waits for the commit and returns the encoded answer. A repeated request gets the
    /// stored answer of the first successful one.
    ///
    /// # Errors
    /// [`AppError::Overloaded`] if the queue is full. [`AppError::NotFound`] for an unknown programme or entity, and the
    /// refusal of the command. [`AppError::RequestIdReused`]; [`AppError::DeadlinePassed`]. [`AppError::Unavailable`] or
    /// [`AppError::StorageFull`] if that lasts longer than the retries. [`AppError::Outdated`]; [`AppError::ClockWrong`];
    /// [`AppError::Bug`].
    pub async fn submit(&self, submission: Submission) -> Result<Vec<u8>> {
        let programme = submission.programme.clone();
        let (reply, answer) = oneshot::channel();
        let stage = tracing::debug_span!("wait");
        let queued_at = Instant::now();
        let pending =
            PendingCommand { submission, queued_at, has_reported_wait: false, span: Span::current(), stage, reply };
        self.worker_queue(programme).try_send(pending).map_err(|_| AppError::Overloaded)?;
        // The worker answers every command that it takes, unless it panics.
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the writer dropped a command".to_owned())))
    }

    /// Decides a command against a read snapshot, without the programme's lock, and writes nothing. Returns the outcome
    /// that the command would have.
    ///
    /// # Errors
    /// The error with which the command would be refused. If the command would open an approval, the refusal says that an
    /// approval is required. Also [`AppError::NotFound`] for an unknown programme, and [`AppError::Unavailable`].
    pub async fn check(
        &self,
        programme: &Programme,
        (caller, reach): (&Caller, &Reach),
        command: &Command,
    ) -> Result<CommandOutcome> {
        let context = &self.context;
        let snapshot = context.store.snapshot().await?;
        let unknown = || AppError::not_found(EntityKind::Programme, programme);
        let head = store::programmes::head_of(&snapshot, programme).await?.ok_or_else(unknown)?;
        let request = RequestId(uuid::Uuid::nil());
        let commands = [(request, command)];
        let commands = (&commands[..], &[][..]);
        let loaded =
            load_state::load(&snapshot, &context.terms, programme, &head, commands, (&[], &context.clock)).await?;
        let (mut state, now) = (loaded.state, loaded.now);
        state.rules = state.rules.max(RulesVersion::CURRENT);
        let mut appender = EventAppender::new(programme, head);
        let requester = Requester { actor: &caller.actor, subject: caller.subject, reach, request };
        match appender.decide(&mut state, command, requester, now)? {
            DecideOutcome::Done(outcome) => Ok(outcome),
            DecideOutcome::ApprovalOpened(_) => Err(approval_would_be_required().into()),
        }
    }

    /// Makes a programme adopt the rules of this program. Returns `true` if it had older rules, and `false` if there was
    /// nothing to do.
    pub(super) async fn adopt_rules(&self, programme: &Programme) -> Result<bool> {
        let context = &self.context;
        let adoption = with_retry(|| async {
            let locked = batch::lock(context, context.store.batch_permit().await?, programme).await?;
            if locked.has_older_rules() {
                batch::write(context, locked, programme, &[], &mut StateKeeper::default()).await.map(Some)
            } else {
                locked.release().await?;
                Ok(None)
            }
        });
        // The batch has no commands, so a result can only be the error that prevented the adoption.
        match adoption.await? {
            None => Ok(false),
            Some(results) => results.into_iter().find_map(std::result::Result::err).map_or(Ok(true), Err),
        }
    }

    /// Sets the metrics to which the workers report. Only the first call has an effect.
    pub(super) fn measure(&self, metrics: Arc<dyn WriterMetrics>) {
        self.context.metrics.set(metrics);
    }

    /// The number of commands in the queues of all workers.
    pub(super) fn waiting(&self) -> usize {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.values().map(|worker| worker.max_capacity().saturating_sub(worker.capacity())).sum()
    }

    /// The queue of a programme's worker, which is started if it does not run yet.
    fn worker_queue(&self, programme: Programme) -> mpsc::Sender<PendingCommand> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = |programme: &Programme| worker::start(Arc::clone(&self.context), programme.clone());
        workers.entry(programme.clone()).or_insert_with(|| start(&programme)).clone()
    }
}
