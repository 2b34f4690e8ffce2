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
use crate::app::writer::event_appender::{Decided, EventAppender, Who};
use crate::domain::approval::would_be_required;
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

/// Commands that may wait for one programme. A caller past it is told at once, and can retry; at some hundred commands a
/// commit it is a few seconds of work.
pub const QUEUE: usize = 4_096;
/// Commands in one group: past it the facts of a group no longer fit a few quick queries.
pub const BATCH_COMMANDS: usize = 512;
/// Rows a group may be expected to write: it keeps a commit well under the statement timeout.
pub const BATCH_ROWS: usize = 5_000;

/// Make the stored answers, byte for byte as they go over the wire.
#[derive(Debug, Clone, Copy)]
pub struct AnswerEncoders {
    /// Of the command.
    pub answer: fn(CommandOutcome) -> Result<Vec<u8>>,
    /// Of the call that had asked for what the command has carried out by giving an approval.
    pub carried_out: fn(CommandOutcome<CarriedOut>) -> Vec<u8>,
}

/// One command on its way to its programme.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The programme.
    pub programme: Programme,
    /// Who asks.
    pub actor: Actor,
    /// Whose token it is, to tell two people apart.
    pub subject: Option<TokenSubject>,
    /// Where they may; what they were answered before is answered again only within it.
    pub reach: Reach,
    /// What makes it the same call as one before: the same id with another call is refused.
    pub request: RequestIdentity,
    /// What is asked.
    pub command: Command,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// Make its answer.
    pub encoders: AnswerEncoders,
}

/// A submission and the caller that waits for it.
#[derive(Debug)]
struct PendingCommand {
    submission: Submission,
    /// Since when it waits.
    since: Instant,
    /// The call's, which lines about this command alone lie in.
    span: Span,
    /// Within it, what the command goes through at the moment: its wait, then its commit. For traces alone.
    stage: Span,
    reply: oneshot::Sender<Result<Vec<u8>>>,
}

impl WriterContext {
    /// Has those who follow a programme look, in this process and in others.
    fn notify_watchers(&self, programme: &Programme) {
        self.wakes.wake(programme);
        self.hints.send(programme);
    }
}

/// The writers of all programmes of this process.
#[derive(Debug)]
pub struct Writer {
    workers: Mutex<HashMap<Programme, mpsc::Sender<PendingCommand>>>,
    shared: Arc<WriterContext>,
}

/// Begins the record of a programme that was just made: with the rules it goes by. The caller commits.
pub(super) async fn begin_record(tx: &WriteTx, loaded: &Loaded, by: &AdoptedBy, now: Now) -> Result<()> {
    let programme = loaded.terms.programme();
    let (mut facts, mut appender) = (loaded.facts(true), EventAppender::new(programme, Head::new(programme)));
    appender.adopt_rules(&mut facts, by, (Some(loaded.sha256), now))?;
    Ok(appender.write(tx, &facts, &HashSet::new(), (&[], now.at)).await?)
}

#[derive(Debug)]
struct WriterContext {
    store: Store,
    clock: Clock,
    terms: Arc<TermsCache>,
    wakes: Arc<ChangeNotifier>,
    hints: HintSender,
    measuring: WriterMetricsSlot,
}

impl Writer {
    pub(super) fn new(store: Store, clock: Clock, terms: Arc<TermsCache>, wakes: Arc<ChangeNotifier>) -> Self {
        let (hints, measuring) = (HintSender::start(&store), WriterMetricsSlot::default());
        Self {
            workers: Mutex::default(),
            shared: Arc::new(WriterContext { store, clock, terms, wakes, hints, measuring }),
        }
    }

    /// Hands a command to its programme and waits for the commit. Answers the first success of the same request again.
    ///
    /// # Errors
    /// [`AppError::Overloaded`] when the queue is full; what the command is refused with; [`AppError::Unavailable`]
    /// when the database is away for longer than the retries last.
    pub async fn submit(&self, submission: Submission) -> Result<Vec<u8>> {
        let programme = submission.programme.clone();
        let (reply, answer) = oneshot::channel();
        let stage = tracing::debug_span!("wait");
        let job = PendingCommand { submission, since: Instant::now(), span: Span::current(), stage, reply };
        self.worker(programme).try_send(job).map_err(|_| AppError::Overloaded)?;
        // The worker answers every command it has taken; it drops one unanswered only if it panicked.
        answer.await.unwrap_or_else(|_| Err(AppError::Bug("the writer dropped a command".to_owned())))
    }

    /// Decides a command over one read snapshot, without the programme's lock, and writes nothing.
    ///
    /// # Errors
    /// What the command would be refused with.
    pub async fn check(
        &self,
        programme: &Programme,
        (caller, reach): (&Caller, &Reach),
        command: &Command,
    ) -> Result<CommandOutcome> {
        let shared = &self.shared;
        let snapshot = shared.store.snapshot().await?;
        let unknown = || AppError::not_found(EntityKind::Programme, programme);
        let head = store::programmes::head_of(&snapshot, programme).await?.ok_or_else(unknown)?;
        let request = RequestId(uuid::Uuid::nil());
        let commands = [(request, command)];
        let asked = (&commands[..], &[][..]);
        let known = load_state::load(&snapshot, &shared.terms, programme, &head, asked, (&[], &shared.clock)).await?;
        let (mut facts, now) = (known.facts, known.now);
        facts.rules = facts.rules.max(RulesVersion::CURRENT);
        let mut appender = EventAppender::new(programme, head);
        let who = Who { actor: &caller.actor, subject: caller.subject, reach, request };
        match appender.decide(&mut facts, command, who, now)? {
            Decided::Done(outcome) => Ok(outcome),
            Decided::ApprovalOpened(_) => Err(would_be_required().into()),
        }
    }

    /// Has a programme adopt this program's rules. Answers whether it was for this call to do.
    pub(super) async fn adopt_rules(&self, programme: &Programme) -> Result<bool> {
        let shared = &self.shared;
        let written = with_retry(|| async {
            let locked = batch::lock(shared, shared.store.write_permit().await?, programme).await?;
            if locked.has_older_rules() {
                batch::write(shared, locked, programme, &[]).await.map(Some)
            } else {
                locked.release().await?;
                Ok(None)
            }
        });
        // Nobody asked anything: what is answered is why it could not be done.
        match written.await? {
            None => Ok(false),
            Some(answers) => answers.into_iter().find_map(std::result::Result::err).map_or(Ok(true), Err),
        }
    }

    pub(super) fn measure(&self, measures: Arc<dyn WriterMetrics>) {
        self.shared.measuring.begin(measures);
    }

    /// Commands in the queues of all workers.
    pub(super) fn waiting(&self) -> usize {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.values().map(|worker| worker.max_capacity().saturating_sub(worker.capacity())).sum()
    }

    fn worker(&self, programme: Programme) -> mpsc::Sender<PendingCommand> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let start = |programme: &Programme| worker::start(Arc::clone(&self.shared), programme.clone());
        workers.entry(programme.clone()).or_insert_with(|| start(&programme)).clone()
    }
}
