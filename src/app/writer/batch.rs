//! One group in one transaction: lock, know, decide, write, commit.

use tokio::time::Instant;

use super::load_state::LoadedState;
use super::stored_answers::{StoredAnswers, execute_one};
use super::{PendingCommand, Submission, WriterContext, load_state};
use crate::app::retry::Passing as _;
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

/// A programme that is locked: from here on its group may be taken.
#[derive(Debug)]
pub(super) struct Locked {
    tx: WriteTx,
    /// `None` for an unknown programme.
    head: Option<Head>,
}

impl Locked {
    /// Whether it is there, and uses older rules than this program's.
    pub(super) fn has_older_rules(&self) -> bool {
        self.head.is_some_and(|head| head.rules < RulesVersion::CURRENT)
    }

    /// Lets the programme go, as there is nothing to be written.
    pub(super) async fn release(self) -> store::Result<()> {
        self.tx.rollback().await
    }
}

/// Begins, and locks the programme's row: the first statement of every group.
pub(super) async fn lock(
    shared: &WriterContext,
    turn: WritePermit,
    programme: &Programme,
) -> Result<Locked, WriteError> {
    let tx = shared.store.begin_batch(turn).await?;
    let before = shared.clock.now().at;
    let locked = programmes::lock(&tx, programme).await;
    let (tx, locked) = tx.proceed(locked).await?;
    let checked = shared.clock.check(before, locked.and_then(|(_, database)| database)).map_err(WriteError::from);
    let (tx, ()) = tx.proceed(checked).await?;
    Ok(Locked { tx, head: locked.map(|(head, _)| head) })
}

/// Writes a group in one transaction and answers it, or fails without a trace.
pub(super) async fn write(
    shared: &WriterContext,
    Locked { tx, head }: Locked,
    programme: &Programme,
    group: &[PendingCommand],
) -> Result<Vec<CommandResult>, WriteError> {
    let Some(head) = head else {
        tx.rollback().await?;
        let unknown = || Err(AppError::not_found(EntityKind::Programme, programme));
        return Ok(group.iter().map(|_| unknown()).collect());
    };
    let LoadedState { mut facts, stored, answers, now, .. } = match load(&tx, shared, programme, &head, group).await {
        Ok(known) => known,
        Err(error) => return replay_without_state(shared, tx, group, error).await,
    };
    let mut answers = StoredAnswers::new(answers);
    let mut appender = EventAppender::new(programme, head);
    let adopted = AdoptedBy::program().and_then(|by| appender.adopt_rules(&mut facts, &by, (None, now)));
    let (tx, ()) = tx.proceed(adopted.map_err(|error| WriteError::Bug(error.to_string()))).await?;
    let results: Vec<CommandResult> =
        group.iter().map(|job| execute_one(&job.submission, &mut answers, &mut facts, &mut appender, now)).collect();
    // A decision that breaks an account is a bug: the halving finds whose, and nothing of it is written.
    if let Some(broken) = facts.broken.first() {
        tx.rollback().await?;
        return Err(WriteError::Bug(broken.clone()));
    }
    if answers.given_now().is_empty() && appender.events.is_empty() {
        // Answers given before, and approvals opened before, are promises of commits that may still wait for a standby.
        // Other refusals promise nothing.
        if answers.all.is_empty() && !results.iter().any(names_approval) {
            tx.rollback().await?;
        } else {
            tx.confirm().await?;
            // The try that carried it out may not have come to telling of it.
            shared.notify_watchers(programme);
        }
    } else {
        let completed = answers.write_completed(&tx).await;
        let (tx, ()) = tx.proceed(completed).await?;
        let written = appender.write(&tx, &facts, &stored, (answers.given_now(), now.at)).await;
        let (tx, ()) = tx.proceed(written).await?;
        let begun = Instant::now();
        tx.commit().await?;
        shared.measuring.tell(|it| it.committed(begun.elapsed()));
        shared.notify_watchers(programme);
    }
    Ok(results)
}

/// Whether a caller is told of an approval that waits.
fn names_approval(result: &CommandResult) -> bool {
    matches!(result, Err(AppError::Refused(refusal)) if refusal.approval.is_some())
}

/// Ends a group whose facts cannot be loaded. A repeated call alone still gets its stored answer, even if its state
/// cannot be loaded any more, if no facts are needed to tell that it lies within the caller's reach.
async fn replay_without_state(
    shared: &WriterContext,
    tx: WriteTx,
    group: &[PendingCommand],
    error: WriteError,
) -> Result<Vec<CommandResult>, WriteError> {
    // A statement may have failed: this transaction reads and confirms nothing any more.
    let error = tx.give_up(error).await;
    if let [job] = group
        && job.submission.reach.is_everything()
        && !error.may_be_connection_fault()
        && let Some(result) = answered_before(shared, &job.submission).await?
    {
        return Ok(vec![result]);
    }
    match error {
        // This command's own state. In a larger batch, halving finds out whose.
        WriteError::Load(error) if group.len() <= 1 && !error.may_pass() => Ok(vec![Err(error)]),
        error => Err(error),
    }
}

/// What this call was answered before, once that is as durable as any commit.
async fn answered_before(shared: &WriterContext, of: &Submission) -> store::Result<Option<CommandResult>> {
    let stored = store::command_batch::answered(&shared.store, &[(&of.actor, of.request.id)]).await?;
    // Whose approval waits is answered by what has become of it, which takes facts.
    let Some(stored) = stored.first().filter(|it| it.waits_for().is_none()) else { return Ok(None) };
    shared.store.confirm().await?;
    Ok(Some(replay_stored_answer(stored, &of.request)))
}

/// What a group is decided against, and what was answered before, in one round trip. Where
/// files are to be read, what was answered is looked for first: an identify that was takes no facts.
async fn load(
    tx: &WriteTx,
    shared: &WriterContext,
    programme: &Programme,
    head: &Head,
    group: &[PendingCommand],
) -> Result<LoadedState, WriteError> {
    let of: Vec<&Submission> = group.iter().map(|job| &job.submission).collect();
    let reads_files = |of: &[&Submission]| of.iter().any(|it| it.command.reads_files());
    let requests: Vec<(&Actor, RequestId)> = of.iter().map(|it| (&it.actor, it.request.id)).collect();
    if !reads_files(&of) {
        return load_state::load(tx, &shared.terms, programme, head, (&commands(&of), &[]), (&requests, &shared.clock))
            .await;
    }
    let answers = store::command_batch::answered(tx, &requests).await?;
    let answered = |it: &Submission| answers.iter().any(|old| (&old.actor, old.request) == (&it.actor, it.request.id));
    // Whether a referral lies within the caller's reach cannot be told without the facts; identify is for each reach, and an
    // entry position lies where its school or its approval does.
    let (before, left): (Vec<&Submission>, Vec<&Submission>) = of
        .into_iter()
        .partition(|it| answered(it) && it.command.reads_files() && !matches!(it.command, Command::Refer(_)));
    if reads_files(&left) {
        tx.use_custom_plans().await?;
    }
    let (left, before) = (commands(&left), commands(&before));
    let known = load_state::load(tx, &shared.terms, programme, head, (&left, &before), (&[], &shared.clock)).await?;
    tx.check_connection_in_sync().await?;
    Ok(LoadedState { answers, ..known })
}

fn commands<'a>(of: &[&'a Submission]) -> Vec<(RequestId, &'a Command)> {
    of.iter().map(|it| (it.request.id, &it.command)).collect()
}
