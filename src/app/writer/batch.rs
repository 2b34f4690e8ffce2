//! Writes one batch in one transaction: locks the programme, loads its state, decides, writes and commits.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::kept_state::{StateKeeper, WrittenBatch};
use super::load_state::LoadedState;
use super::stored_answers::{StoredAnswers, execute_one};
use super::{PendingCommand, Submission, WriterContext, load_state};
use crate::app::retry::Transient as _;
use crate::app::rules::AdoptedBy;
use crate::app::write_error::WriteError;
use crate::app::writer::event_appender::{CommandResult, EventAppender};
use crate::app::{AppError, replay_stored_answer};
use crate::domain::ids::{Actor, Programme, RequestId};
use crate::domain::programme::Command;
use crate::domain::refusal::EntityKind;
use crate::domain::rules::RulesVersion;
use crate::store::programmes::Head;
use crate::store::{self, Failure as _, WritePermit, WriteTx, programmes};

/// A transaction that has locked its programme. Commands that arrive until then join the batch.
#[derive(Debug)]
pub(super) struct LockedProgramme {
    tx: WriteTx,
    /// `None` for an unknown programme.
    head: Option<Head>,
}

impl LockedProgramme {
    /// Whether the programme exists and uses an older rules version than the one of this program.
    pub(super) fn has_older_rules(&self) -> bool {
        self.head.is_some_and(|head| head.rules < RulesVersion::CURRENT)
    }

    /// Releases the lock without writing anything.
    pub(super) async fn release(self) -> store::Result<()> {
        self.tx.rollback().await
    }
}

/// Begins the transaction of a batch. Its first statement locks the programme's row. Then compares this server's clock with
/// the database's.
///
/// # Errors
/// [`WriteError::ClockWrong`] if the clocks differ too much; [`WriteError::Store`].
pub(super) async fn lock(
    context: &WriterContext,
    permit: WritePermit,
    programme: &Programme,
) -> Result<LockedProgramme, WriteError> {
    let tx = context.store.begin_batch(permit).await?;
    let before = context.clock.now().at;
    let locked = programmes::lock(&tx, programme).await;
    let (tx, locked) = tx.continue_if_ok(locked).await?;
    let database_time = locked.and_then(|(_, time)| time);
    let checked = context.clock.check(before, database_time).map_err(WriteError::from);
    let (tx, ()) = tx.continue_if_ok(checked).await?;
    Ok(LockedProgramme { tx, head: locked.map(|(head, _)| head) })
}

/// Writes a batch in one transaction. Returns the results in the order of the commands, or fails and writes nothing.
pub(super) async fn write(
    context: &WriterContext,
    LockedProgramme { tx, head }: LockedProgramme,
    programme: &Programme,
    batch: &[PendingCommand],
    keeper: &mut StateKeeper,
) -> Result<Vec<CommandResult>, WriteError> {
    let Some(head) = head else {
        tx.rollback().await?;
        let unknown = || Err(AppError::not_found(EntityKind::Programme, programme));
        return Ok(batch.iter().map(|_| unknown()).collect());
    };
    keeper.note_locked(&head);
    let loaded = match load(&tx, context, programme, &head, batch).await {
        Ok(loaded) => loaded,
        Err(error) => return replay_without_state(context, tx, batch, error).await,
    };
    let LoadedState { mut state, mut stored_accounts, answers, now, .. } = loaded;
    let mut answers = StoredAnswers::new(answers);
    let mut appender = EventAppender::new(programme, head);
    let adoption = AdoptedBy::program().and_then(|by| appender.adopt_rules(&mut state, &by, (None, now)));
    let (tx, ()) = tx.continue_if_ok(adoption.map_err(|error| WriteError::Bug(error.to_string()))).await?;
    let results: Vec<CommandResult> = batch
        .iter()
        .map(|pending| execute_one(&pending.submission, &mut answers, &mut state, &mut appender, now))
        .collect();
    // A violation is a bug: a decision broke a rule of an account, or an answer cannot be made. Nothing is written. The
    // worker halves the batch until it has found the command.
    if let Some(violation) = state.violations.first() {
        tx.rollback().await?;
        return Err(WriteError::Bug(violation.clone()));
    }
    if answers.new_answers().is_empty() && appender.events.is_empty() {
        // Stored answers and open approvals come from earlier commits, which may still wait for a standby database. Confirm
        // that those commits are durable before returning them. Other refusals need no confirmation.
        if answers.all.is_empty() && !results.iter().any(names_approval) {
            tx.rollback().await?;
        } else {
            tx.confirm().await?;
            // The attempt that committed the answers may have failed before it could notify the watchers.
            context.notify_watchers(programme);
        }
    } else {
        let completed = answers.write_completed(&tx).await;
        let (tx, ()) = tx.continue_if_ok(completed).await?;
        let written = appender.write(&tx, &state, &stored_accounts, (answers.new_answers(), now.at)).await;
        let (tx, ()) = tx.continue_if_ok(written).await?;
        let commit_started = Instant::now();
        if let Err(error) = tx.commit().await {
            keeper.drop_state();
            return Err(error.into());
        }
        context.metrics.report(|it| it.committed(commit_started.elapsed()));
        context.notify_watchers(programme);
        let last_recorded_at = if appender.events.is_empty() { loaded.last_recorded_at } else { Some(now.at) };
        stored_accounts.extend(appender.changed_accounts());
        keeper.keep(WrittenBatch {
            head: appender.head(),
            last_recorded_at,
            looked_for: (BTreeSet::new(), state.trusts.keys().copied().collect()),
            state,
            stored_accounts,
            known_days: loaded.known_days,
            has_all_funds: loaded.has_all_funds,
            missed_caps: 0,
        });
    }
    Ok(results)
}

/// Whether a result names an approval that is open.
fn names_approval(result: &CommandResult) -> bool {
    matches!(result, Err(AppError::Refused(refusal)) if refusal.approval.is_some())
}

/// Ends a batch whose state cannot be loaded. If the batch is a single repeated request, it still gets its stored answer,
/// provided that its caller's reach is everything: checking a narrower reach needs the state. Otherwise the batch fails with
/// the error. The exception is a batch of at most one command, if trying again cannot help: then the error is the only
/// result of the batch.
async fn replay_without_state(
    context: &WriterContext,
    tx: WriteTx,
    batch: &[PendingCommand],
    error: WriteError,
) -> Result<Vec<CommandResult>, WriteError> {
    // A statement may have failed, so this transaction can no longer read or confirm anything.
    let error = tx.give_up(error).await;
    if let [pending] = batch
        && pending.submission.reach.is_everything()
        && !error.may_be_connection_fault()
        && let Some(result) = find_stored_answer(context, &pending.submission).await?
    {
        return Ok(vec![result]);
    }
    match error {
        // The state of this one command cannot be loaded. In a larger batch, halving finds the command.
        WriteError::Load(error) if batch.len() <= 1 && !error.is_transient() => Ok(vec![Err(error)]),
        error => Err(error),
    }
}

/// Returns the stored answer of a repeated request, after confirming that it is durable. Returns `None` if nothing is stored,
/// or if the request waits for an approval: then its answer depends on the state.
async fn find_stored_answer(context: &WriterContext, submission: &Submission) -> store::Result<Option<CommandResult>> {
    let request = (&submission.actor, submission.request.id);
    let stored = store::command_batch::answered(&context.store, &[request]).await?;
    let Some(stored) = stored.first().filter(|it| it.waits_for().is_none()) else { return Ok(None) };
    context.store.confirm().await?;
    Ok(Some(replay_stored_answer(stored, &submission.request)))
}

/// Loads the state and the stored answers of a batch. Normally the answers are loaded with the state, in one round trip. If a
/// command reads the monthly files, the answers are loaded first, because a repeated identify needs no state.
async fn load(
    tx: &WriteTx,
    context: &WriterContext,
    programme: &Programme,
    head: &Head,
    batch: &[PendingCommand],
) -> Result<LoadedState, WriteError> {
    let submissions: Vec<&Submission> = batch.iter().map(|pending| &pending.submission).collect();
    let reads_files = |submissions: &[&Submission]| submissions.iter().any(|it| it.command.reads_files());
    let requests: Vec<(&Actor, RequestId)> = submissions.iter().map(|it| (&it.actor, it.request.id)).collect();
    if !reads_files(&submissions) {
        let commands = (&commands_with_ids(&submissions)[..], &[][..]);
        return load_state::load(tx, &context.terms, programme, head, commands, (&requests, &context.clock)).await;
    }
    let answers = store::command_batch::answered(tx, &requests).await?;
    let is_answered =
        |it: &Submission| answers.iter().any(|stored| (&stored.actor, stored.request) == (&it.actor, it.request.id));
    // Replaying an answer checks the caller's reach. Identify is allowed in every reach. The region of an entry position
    // comes from its school or its approval. Only a referral's region needs the full state, so a repeated referral counts
    // as undecided.
    let (answered, undecided): (Vec<&Submission>, Vec<&Submission>) = submissions
        .into_iter()
        .partition(|it| is_answered(it) && it.command.reads_files() && !matches!(it.command, Command::Refer(_)));
    if reads_files(&undecided) {
        tx.use_custom_plans().await?;
    }
    let commands = (&commands_with_ids(&undecided)[..], &commands_with_ids(&answered)[..]);
    let loaded = load_state::load(tx, &context.terms, programme, head, commands, (&[], &context.clock)).await?;
    tx.check_connection_in_sync().await?;
    Ok(LoadedState { answers, ..loaded })
}

/// The command of each submission, with its request id.
fn commands_with_ids<'a>(submissions: &[&'a Submission]) -> Vec<(RequestId, &'a Command)> {
    submissions.iter().map(|it| (it.request.id, &it.command)).collect()
}
