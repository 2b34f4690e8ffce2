//! Executes the commands of a batch and keeps their answers. These are answers that earlier batches stored, new answers, and
//! the answers of earlier requests whose approval the batch carries out.

use std::collections::HashMap;

use super::Submission;
use crate::app::answers::{AnyAnswer, CommandOutcome};
use crate::app::writer::event_appender::{CommandResult, DecideOutcome, EventAppender, Requester};
use crate::app::{AppError, replay_stored_answer};
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::domain::person::Person;
use crate::domain::programme::ProgrammeState;
use crate::domain::time::Now;
use crate::store::requests::Stored;
use crate::store::{self, WriteTx, requests};

/// Executes one command of a batch and returns its result. A repeated request gets its stored answer. Otherwise the command
/// is decided, and its answer is stored under the request id. If the command opens an approval, the request id is stored
/// without an answer until the approval is given.
pub(super) fn execute_one(
    submission: &Submission,
    answers: &mut StoredAnswers,
    state: &mut ProgrammeState,
    appender: &mut EventAppender<'_>,
    now: Now,
) -> CommandResult {
    if let Some(stored) = answers.find(submission) {
        let person = Person { actor: submission.actor.clone(), subject: submission.subject };
        state.within_reach(&submission.command, &submission.reach, &person)?;
        let answer = replay_stored_answer(stored, &submission.request)?;
        return stored.waits_for().map_or(Ok(answer), |approval| Err(still_waits_error(state, approval, now)));
    }
    let requester = Requester {
        actor: &submission.actor,
        subject: submission.subject,
        reach: &submission.reach,
        request: submission.request.id,
    };
    let decided = appender.decide(state, &submission.command, requester, now)?;
    let to_store = |answer, approval| submission.request.stored(&submission.actor, answer, approval);
    let outcome = match decided {
        DecideOutcome::Done(outcome) => outcome,
        DecideOutcome::ApprovalOpened(refusal) => {
            answers.add(to_store(Vec::new(), refusal.approval));
            return Err(refusal.into());
        }
    };
    if let Some((approved_request, answer)) = answer_of_approved_request(submission, &outcome) {
        answers.complete(approved_request, answer);
    }
    let answer = (submission.encoders.answer)(outcome).inspect_err(|error| state.violations.push(error.to_string()))?;
    answers.add(to_store(answer.clone(), None));
    Ok(answer)
}

/// The error for a repeated request whose approval has not been carried out.
fn still_waits_error(state: &ProgrammeState, approval: ApprovalId, now: Now) -> AppError {
    match state.approvals.get(&approval) {
        Some(it) => it.repeated_request_refusal(now.at).into(),
        None => AppError::Bug(format!("approval {approval} of a repeated call is not loaded")),
    }
}

/// If the command gave an approval, returns the request that opened the approval, and the answer that this request now gets.
/// Returns `None` for other commands, and for an approval that does not name its request.
fn answer_of_approved_request(
    submission: &Submission,
    outcome: &CommandOutcome,
) -> Option<((Actor, RequestId), Vec<u8>)> {
    let AnyAnswer::ApprovalGiven(given) = &outcome.answer else { return None };
    let request = (given.approval.requested_by.clone(), given.approval.request?);
    let answer = (submission.encoders.carried_out)(outcome.clone().with(given.carried_out.clone()));
    Some((request, answer))
}

/// The answers that earlier batches stored for the requests of this batch, followed by its new answers.
pub(super) struct StoredAnswers {
    pub(super) all: Vec<Stored>,
    /// The number of answers that earlier batches stored. They are at the start of `all`.
    loaded_count: usize,
    /// The index in `all` of each request's answer.
    index_by_request: HashMap<(Actor, RequestId), usize>,
    /// The answers of requests that earlier batches stored without an answer, and whose approval this batch carries out.
    completed: Vec<CompletedAnswer>,
}

impl StoredAnswers {
    pub(super) fn new(all: Vec<Stored>) -> Self {
        let index_by_request =
            all.iter().enumerate().map(|(index, it)| ((it.actor.clone(), it.request), index)).collect();
        Self { loaded_count: all.len(), all, index_by_request, completed: Vec::new() }
    }

    fn find(&self, submission: &Submission) -> Option<&Stored> {
        let key = (submission.actor.clone(), submission.request.id);
        self.index_by_request.get(&key).and_then(|index| self.all.get(*index))
    }

    fn add(&mut self, stored: Stored) {
        self.index_by_request.insert((stored.actor.clone(), stored.request), self.all.len());
        self.all.push(stored);
    }

    /// Sets the answer of a request that was stored without one, by an earlier batch or by this one.
    fn complete(&mut self, key: (Actor, RequestId), answer: Vec<u8>) {
        let index = self.index_by_request.get(&key).copied();
        if let Some(stored) = index.and_then(|index| self.all.get_mut(index)) {
            stored.answer.clone_from(&answer);
        }
        if index.is_none_or(|index| index < self.loaded_count) {
            let (actor, request) = key;
            self.completed.push(CompletedAnswer { actor, request, answer });
        }
    }

    /// The answers that this batch adds.
    pub(super) fn new_answers(&self) -> &[Stored] {
        self.all.get(self.loaded_count..).unwrap_or_default()
    }

    /// Writes the answers of requests that an earlier batch stored without an answer.
    pub(super) async fn write_completed(&self, tx: &WriteTx) -> store::Result<()> {
        for it in &self.completed {
            requests::answer(tx, (&it.actor, it.request), &it.answer).await?;
        }
        Ok(())
    }
}

/// The answer of a request that an earlier batch stored without an answer.
struct CompletedAnswer {
    actor: Actor,
    request: RequestId,
    answer: Vec<u8>,
}
