//! Writes a batch without the programme's lock. The batch is decided against kept state, and is written only if the programme's
//! head is still the one that the state was kept with.
//!
//! | step | what happens |
//! |---|---|
//! | fill | takes the state from [`KeptState`](super::kept_state::KeptState), and reads in one round trip what is missing |
//! | decide | decides the commands in order, as with the lock |
//! | confirm | if a command is refused: checks in one round trip that everything is as expected, and that it repeats no request |
//! | write | writes and commits in one round trip, if everything is as expected: the head, the register, the schema, the clocks |
//!
//! A batch that does not fit takes the way with the lock ([`super::batch`]), and nothing was written before it does: a batch that needs
//! more than the state that is kept, that changes other rows than the usual ones, that repeats a request, or that was overtaken
//! by another process.

use tokio::time::Instant;

use super::event_appender::{CommandResult, EventAppender};
use super::kept_state::{FilledState, KeptState, READ_ALL, StateKeeper, WrittenBatch};
use super::required_state::RequiredState;
use super::stored_answers::{StoredAnswers, execute_one};
use super::{PendingCommand, WriterContext};
use crate::app::AppError;
use crate::app::clock::APART;
use crate::app::eligibility;
use crate::domain::Date;
use crate::domain::ids::{AccountId, Actor, Programme, RequestId};
use crate::domain::offer::Party;
use crate::domain::programme::Command;
use crate::domain::register_record::RegisterSeq;
use crate::domain::rules::RulesVersion;
use crate::domain::time::{Micros, Now};
use crate::store::command_batch::{self, BatchQuery, BatchState};
use crate::store::programmes::Expected;
use crate::store::{Failure as _, GuardedWrite, StoreError, WritePermit};

/// What became of an attempt to write a batch without the lock.
#[derive(Debug)]
pub(super) enum GuardedAttempt {
    /// The batch is written: the results, in the order of the commands.
    Done(Vec<CommandResult>),
    /// The batch needs the lock. Nothing was written. The permit is there unless a statement has used it.
    NeedsLock(Option<WritePermit>),
}

/// Why a batch cannot be decided without the lock.
enum Obstacle {
    /// It needs other state than the kept one, changes other rows, repeats a request, or breaks a rule of an account.
    NeedsLock,
    /// The programme's head, the register, the schema or the clocks are not as expected.
    Overtaken,
    /// A read failed.
    Failed(StoreError),
}

impl From<StoreError> for Obstacle {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Whether kept state can be enough to decide this command.
pub(super) fn fits(context: &WriterContext, pending: &PendingCommand) -> bool {
    let command = &pending.submission.command;
    // The first contact with the responsible body of a school's offer looks into the register. Others of this kind are rare.
    !matches!(command, Command::Contact { party: Party::ResponsibleBody, .. })
        && RequiredState::for_commands(&[(pending.submission.request.id, command)], context.clock.now().today)
            .fits_kept_state()
}

/// Tries to write a batch without the lock.
///
/// # Errors
/// [`StoreError::Unavailable`] or [`StoreError::Full`]: it is unknown whether the batch was written, or still will be.
pub(super) async fn write(
    context: &WriterContext,
    permit: WritePermit,
    programme: &Programme,
    batch: &[PendingCommand],
    keeper: &mut StateKeeper,
) -> Result<GuardedAttempt, StoreError> {
    let attempt = GuardedBatch { context, programme, batch };
    let Some(kept) = keeper.usable() else { return Ok(GuardedAttempt::NeedsLock(Some(permit))) };
    match attempt.decide(kept, &permit).await {
        Ok(decided) => return attempt.write(decided, permit, keeper).await,
        Err(Obstacle::NeedsLock) => {}
        Err(Obstacle::Overtaken) => keeper.note_overtaken(),
        Err(Obstacle::Failed(error)) => {
            tracing::warn!(%programme, %error, "a batch is tried again with the lock");
            keeper.drop_state();
        }
    }
    Ok(GuardedAttempt::NeedsLock(Some(permit)))
}

/// A batch that is to be written without the lock.
struct GuardedBatch<'a> {
    context: &'a WriterContext,
    programme: &'a Programme,
    batch: &'a [PendingCommand],
}

/// A batch that was decided against kept state.
struct DecidedBatch<'a> {
    filled: FilledState,
    answers: StoredAnswers,
    appender: EventAppender<'a>,
    results: Vec<CommandResult>,
    expected: Expected,
    /// When the last event before the batch was recorded.
    last_recorded_at: Option<Micros>,
    now: Now,
}

impl<'a> GuardedBatch<'a> {
    /// Decides the commands against kept state. Reads what is missing.
    async fn decide(&self, kept: &mut KeptState, permit: &WritePermit) -> Result<DecidedBatch<'a>, Obstacle> {
        let context = self.context;
        let now = context.clock.now_after(kept.last_recorded_at);
        let commands: Vec<(RequestId, &Command)> =
            self.batch.iter().map(|it| (it.submission.request.id, &it.submission.command)).collect();
        let mut filled = self.fill(kept, permit, (&commands, now)).await?;
        // The time is read again, so that an event is not recorded before the state that its decision has seen.
        let (started_on, now) = (now.today, context.clock.now_after(kept.last_recorded_at));
        if now.today != started_on || !has_days(&filled, &commands, now.today) {
            return Err(Obstacle::NeedsLock);
        }
        let mut answers = StoredAnswers::new(Vec::new());
        let mut appender = EventAppender::new(self.programme, kept.head);
        let execute =
            |it: &PendingCommand| execute_one(&it.submission, &mut answers, &mut filled.state, &mut appender, now);
        let results: Vec<CommandResult> = self.batch.iter().map(execute).collect();
        let fits = filled.state.violations.is_empty() && appender.changes_usual_rows();
        if !fits || results.iter().any(needs_lock) {
            return Err(Obstacle::NeedsLock);
        }
        let expected = self.expected(kept, filled.state.register_seq);
        self.confirm_refusals(&expected, permit, &results).await?;
        let last_recorded_at = kept.last_recorded_at;
        Ok(DecidedBatch { filled, answers, appender, results, expected, last_recorded_at, now })
    }

    /// What must still be true in the database, for a batch that was decided against this kept state and this state of the register.
    fn expected(&self, kept: &KeptState, register: Option<RegisterSeq>) -> Expected {
        Expected { head: kept.head, register, clock: self.context.clock.now().at, apart: APART }
    }

    /// The state that the commands need, from kept state and from the database.
    async fn fill(
        &self,
        kept: &mut KeptState,
        permit: &WritePermit,
        (commands, now): (&[(RequestId, &Command)], Now),
    ) -> Result<FilledState, Obstacle> {
        let required = RequiredState::for_commands(commands, now.today);
        let terms = self.context.terms.cached(self.programme).filter(|_| !self.context.store.is_write_in_doubt());
        let terms = terms.filter(|_| kept.head.rules == RulesVersion::CURRENT && required.fits_kept_state());
        let terms = terms.ok_or(Obstacle::NeedsLock)?;
        let fill = |kept: &KeptState| {
            let mut state = terms.initial_state(kept.head.open);
            state.rules = kept.head.rules;
            kept.fill(&required, state).ok_or(Obstacle::NeedsLock)
        };
        let mut filled = fill(kept)?;
        if !filled.missing.caps.is_empty() && kept.must_read_all_caps() {
            self.read_all_caps(kept, permit).await?;
            filled = fill(kept)?;
        }
        if !required.trusts.is_empty() {
            filled.state.register_seq = kept.register_seq;
        }
        if !filled.missing.is_empty() {
            self.read_missing(kept, permit, &mut filled).await?;
        }
        let mut contacted = required.contacted_offers.iter().filter_map(|id| filled.state.offers.get(id));
        if contacted.any(|it| it.school_of_responsible_body().is_some()) {
            return Err(Obstacle::NeedsLock);
        }
        Ok(filled)
    }

    /// Reads something, and checks that everything is as expected at that moment.
    async fn read(
        &self,
        permit: &WritePermit,
        expected: &Expected,
        query: BatchQuery<'_>,
    ) -> Result<BatchState, Obstacle> {
        let query = BatchQuery { expected: Some((self.programme, expected)), ..query };
        let read = command_batch::read_without_lock(&self.context.store, permit, query).await?;
        if read.is_as_expected { Ok(read) } else { Err(Obstacle::Overtaken) }
    }

    /// Reads all caps of the programme.
    async fn read_all_caps(&self, kept: &mut KeptState, permit: &WritePermit) -> Result<(), Obstacle> {
        let query = BatchQuery { all_accounts: Some((self.programme, READ_ALL)), ..BatchQuery::NOTHING };
        let read = self.read(permit, &self.expected(kept, None), query).await?;
        kept.keep_all_caps(read.accounts, &read.days);
        Ok(())
    }

    /// Reads the state that is not kept, in one round trip.
    async fn read_missing(
        &self,
        kept: &KeptState,
        permit: &WritePermit,
        filled: &mut FilledState,
    ) -> Result<(), Obstacle> {
        let missing = std::mem::take(&mut filled.missing);
        let accounts = (!missing.caps.is_empty()).then_some((self.programme, missing.caps.as_slice()));
        let (offers, in_full) = (&missing.offers, &missing.in_full);
        let query = BatchQuery { offers, in_full, accounts, trusts: &missing.trusts, ..BatchQuery::NOTHING };
        let read = self.read(permit, &self.expected(kept, filled.state.register_seq), query).await?;
        filled.state.register_seq = filled.state.register_seq.or(read.register);
        filled.state.offers.extend(read.offers.into_iter().filter(|(_, it)| it.programme == *self.programme));
        filled.state.trusts.extend(eligibility::trust_answers(read.trusts));
        // The query reads the funds with the caps. The funds are there already, with their daily changes.
        let caps = read.accounts.into_iter().filter(|it| missing.caps.binary_search(&it.id).is_ok());
        caps.for_each(|it| filled.put_account(it, None));
        read.days.iter().for_each(|it| filled.state.account_days.put(it.account_id, it.on_day, it.change));
        filled.known_days.extend(missing.caps.iter().map(|id| (*id, Date::MIN)));
        Ok(())
    }

    /// Checks that the refused commands repeat no stored request, and that everything is as it was when they were refused. A batch of
    /// refusals writes nothing, so no guard would check it.
    async fn confirm_refusals(
        &self,
        expected: &Expected,
        permit: &WritePermit,
        results: &[CommandResult],
    ) -> Result<(), Obstacle> {
        let refused = self.batch.iter().zip(results).filter(|(_, result)| result.is_err());
        let requests: Vec<(&Actor, RequestId)> =
            refused.map(|(it, _)| (&it.submission.actor, it.submission.request.id)).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let read = self.read(permit, expected, BatchQuery { requests: &requests, ..BatchQuery::NOTHING }).await?;
        if read.answers.is_empty() { Ok(()) } else { Err(Obstacle::NeedsLock) }
    }

    /// Writes a decided batch, and keeps its state.
    async fn write(
        &self,
        decided: DecidedBatch<'a>,
        permit: WritePermit,
        keeper: &mut StateKeeper,
    ) -> Result<GuardedAttempt, StoreError> {
        let DecidedBatch { filled, answers, appender, results, expected, last_recorded_at, now } = decided;
        let has_events = !appender.events.is_empty();
        if !has_events && answers.new_answers().is_empty() {
            return Ok(GuardedAttempt::Done(results));
        }
        let store = &self.context.store;
        let changes = appender.changes(&filled.state, &filled.stored_accounts, (answers.new_answers(), now.at));
        let write_started = Instant::now();
        match command_batch::write_guarded((store, permit), self.programme, &expected, changes).await {
            Ok(GuardedWrite::Committed) => {}
            Ok(GuardedWrite::Overtaken) => {
                keeper.note_overtaken();
                return Ok(GuardedAttempt::NeedsLock(None));
            }
            Ok(GuardedWrite::Conflict) => return Ok(GuardedAttempt::NeedsLock(None)),
            Err(error) => {
                keeper.drop_state();
                if error.may_be_connection_fault() {
                    return Err(error);
                }
                tracing::warn!(programme = %self.programme, %error, "a batch is tried again with the lock");
                return Ok(GuardedAttempt::NeedsLock(None));
            }
        }
        self.context.metrics.report(|it| it.committed(write_started.elapsed()));
        self.context.notify_watchers(self.programme);
        let last_recorded_at = if has_events { Some(now.at) } else { last_recorded_at };
        let mut stored_accounts = filled.stored_accounts;
        stored_accounts.extend(appender.changed_accounts());
        keeper.keep(WrittenBatch {
            head: appender.head(),
            last_recorded_at,
            state: filled.state,
            stored_accounts,
            known_days: filled.known_days,
            has_all_funds: false,
            looked_for: filled.looked_for,
            missed_caps: filled.missed_caps,
        });
        Ok(GuardedAttempt::Done(results))
    }
}

/// Whether the state has the daily changes of each account that a command reduces as of a past day. An account that does not bind
/// needs none.
fn has_days(filled: &FilledState, commands: &[(RequestId, &Command)], today: Date) -> bool {
    let reductions = commands.iter().flat_map(|(_, command)| filled.state.accounts_taken_from(command, today));
    let binds = |id: &AccountId| filled.state.ledger.get(*id).is_none_or(|it| it.binds);
    let mut past_reductions = reductions.filter(|(account, day)| *day < today && binds(account));
    past_reductions.all(|(account, day)| filled.known_days.get(&account).is_some_and(|after| *after <= day))
}

/// Whether a result can be given only with the lock: a bug, whose command has to be found.
const fn needs_lock(result: &CommandResult) -> bool {
    matches!(result, Err(AppError::Bug(_)))
}
