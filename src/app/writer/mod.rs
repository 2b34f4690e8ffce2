//! The one commit path: every change of a programme goes through its worker, in batches.
//!
//! | phase | what happens | where |
//! |---|---|---|
//! | queue | a bounded queue for each programme, first in first out; full answers at once | [`Writer::submit`] |
//! | lock | begin, lock the programme's row; its head is the next number and the last hash | [`batch`] |
//! | take | what is waiting; callers who have left, or whose deadline has passed, are dropped | [`worker`] |
//! | load | stored answers and the state that all commands need, in a few queries under the lock | [`load_state`] |
//! | decide | one after the other: idempotency, etag, guards, limits; each sees what the one before did | [`stored_answers`] |
//! | write | events, state, answers and the head, in bulk statements, or nothing at all | [`event_appender`] |
//! | answer | only after the commit | [`worker`] |
//!
//! Nothing waits on a timer: an idle programme commits one command at once, a busy one a batch in each commit. Nothing is
//! read from a cache that another process could have changed.

mod batch;
mod event_appender;
mod load_register;
mod load_state;
mod notifier;
mod required_state;
mod stored_answers;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{HashMap, HashSet};
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
use crate::app::terms_cache::{Loaded, TermsCache};
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
use notifier::HintSender;

/// The most commands that may wait for one programme: a few seconds of work, at some hundred commands a commit. Further
/// commands are refused at once, and their callers can retry.
pub const QUEUE: usize = 4_096;
/// The most commands in one batch. The state of a larger batch would need slower queries.
pub const BATCH_COMMANDS: usize = 512;
/// The most rows that a batch is expected to write, which keeps a commit well under the statement timeout.
pub const BATCH_ROWS: usize = 5_000;

/// Functions that encode the stored answers, byte for byte as they are sent.
#[derive(Debug, Clone, Copy)]
pub struct AnswerEncoders {
    /// Encodes the answer of the command.
    pub answer: fn(CommandOutcome) -> Result<Vec<u8>>,
    /// For a command that gives an approval: encodes the answer of the request that opened the approval.
    pub carried_out: fn(CommandOutcome<CarriedOut>) -> Vec<u8>,
}

/// One command, to be executed by its programme's worker.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The programme.
    pub programme: Programme,
    /// Who makes the request.
    pub actor: Actor,
    /// The subject of the caller's token, to tell two people apart.
    pub subject: Option<TokenSubject>,
    /// The regions in which the caller may act. A stored answer is returned only within them.
    pub reach: Reach,
    /// Identifies a repeated request. The same id with different content is refused.
    pub request: RequestIdentity,
    /// The command.
    pub command: Command,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Encode its answer.
    pub encoders: AnswerEncoders,
}

/// A submission and the caller that waits for it.
#[derive(Debug)]
struct PendingCommand {
    submission: Submission,
    /// When it was queued.
    queued_at: Instant,
    /// The span of the request. Log lines about this command alone belong to it.
    span: Span,
    /// The span of the current stage of the command within the request: its wait, then its commit. Used in traces only.
    stage: Span,
    reply: oneshot::Sender<Result<Vec<u8>>>,
}

impl WriterContext {
    /// Wakes the watches of a programme, in this process and in others.
    fn notify_watchers(&self, programme: &Programme) {
        self.changes.wake(programme);
        self.hints.send(programme);
    }
}

/// The writers of all programmes of this process.
#[derive(Debug)]
pub struct Writer {
    workers: Mutex<HashMap<Programme, mpsc::Sender<PendingCommand>>>,
    context: Arc<WriterContext>,
}

/// Begins the record of a new programme with the event that it adopts the current rules. The caller commits.
pub(super) async fn begin_record(tx: &WriteTx, loaded: &Loaded, by: &AdoptedBy, now: Now) -> Result<()> {
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
}

impl Writer {
    pub(super) fn new(store: Store, clock: Clock, terms: Arc<TermsCache>, changes: Arc<ChangeNotifier>) -> Self {
        let (hints, metrics) = (HintSender::start(&store), WriterMetricsSlot::default());
        Self {
            workers: Mutex::default(),
            context: Arc::new(WriterContext { store, clock, terms, changes, hints, metrics }),
        }
    }

    /// Queues a command for its programme and waits for the commit. A repeated request gets the stored answer of its first
    /// success.
    ///
    /// # Errors
    /// [`AppError::Overloaded`] if the queue is full; the refusal of the command; [`AppError::Unavailable`] if the database
    /// is unavailable for longer than the retries last.
    pub async fn submit(&self, submission: Submission) -> Result<Vec<u8>> {
        let programme = submission.programme.clone();
        let (reply, answer) = oneshot::channel();
        let stage = tracing::debug_span!("wait");
        let pending = PendingCommand { submission, queued_at: Instant::now(), span: Span::current(), stage, reply };
        self.worker(programme).try_send(pending).map_err(|_| AppError::Overloaded)?;
        // The worker answers every command that it takes, unless it panics.
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the writer dropped a command".to_owned())))
    }

    /// Decides a command against a read snapshot, without the programme's lock, and writes nothing.
    ///
    /// # Errors
    /// The error with which the command would be refused.
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

    /// Has a programme adopt the rules of this program. Returns whether this call did it; `false` if it was done before.
    pub(super) async fn adopt_rules(&self, programme: &Programme) -> Result<bool> {
        let context = &self.context;
        let adoption = with_retry(|| async {
            let locked = batch::lock(context, context.store.write_permit().await?, programme).await?;
            if locked.has_older_rules() {
                batch::write(context, locked, programme, &[]).await.map(Some)
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

    /// Reports what the workers do to these metrics from now on.
    pub(super) fn measure(&self, metrics: Arc<dyn WriterMetrics>) {
        self.context.metrics.set(metrics);
    }

    /// The number of commands in the queues of all workers.
    pub(super) fn waiting(&self) -> usize {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.values().map(|worker| worker.max_capacity().saturating_sub(worker.capacity())).sum()
    }

    fn worker(&self, programme: Programme) -> mpsc::Sender<PendingCommand> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = |programme: &Programme| worker::start(Arc::clone(&self.context), programme.clone());
        workers.entry(programme.clone()).or_insert_with(|| start(&programme)).clone()
    }
}
