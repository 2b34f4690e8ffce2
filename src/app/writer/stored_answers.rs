//! The stored answers of a batch: those of earlier batches, new ones, and those of requests whose approval the batch carries
//! out.

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

/// Executes one command of a batch. A repeated request gets its stored answer. Otherwise the command is decided, and its answer
/// is stored under the request id. If it opens an approval, the id is stored without an answer until the approval is given.
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
        return stored.waits_for().map_or(Ok(answer), |approval| Err(still_waits(state, approval, now)));
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
    if let Some((approved_request, answer)) = carried_out(submission, &outcome) {
        answers.complete(approved_request, answer);
    }
    let answer = (submission.encoders.answer)(outcome).inspect_err(|error| state.violations.push(error.to_string()))?;
    answers.add(to_store(answer.clone(), None));
    Ok(answer)
}

/// The answer of a repeated request whose approval has not been carried out.
fn still_waits(state: &ProgrammeState, approval: ApprovalId, now: Now) -> AppError {
    match state.approvals.get(&approval) {
        Some(it) => it.repeated_request_refusal(now.at).into(),
        None => AppError::Bug(format!("approval {approval} of a repeated call is not loaded")),
    }
}

/// If the outcome gives an approval: the request that opened the approval, and the answer that it now gets.
fn carried_out(submission: &Submission, outcome: &CommandOutcome) -> Option<((Actor, RequestId), Vec<u8>)> {
    let AnyAnswer::ApprovalGiven(given) = &outcome.answer else { return None };
    let request = (given.approval.requested_by.clone(), given.approval.request?);
    let answer = (submission.encoders.carried_out)(outcome.clone().with(given.carried_out.clone()));
    Some((request, answer))
}

/// The answers that earlier batches stored for the requests of this batch, followed by its new answers.
pub(super) struct StoredAnswers {
    pub(super) all: Vec<Stored>,
    /// The number of answers that earlier batches stored.
    loaded: usize,
    /// The index of each answer by its request.
    index: HashMap<(Actor, RequestId), usize>,
    /// Answers of requests that earlier batches stored without one, and whose approval this batch carries out.
    completed: Vec<CompletedAnswer>,
}

impl StoredAnswers {
    pub(super) fn new(all: Vec<Stored>) -> Self {
        let index = all.iter().enumerate().map(|(at, it)| ((it.actor.clone(), it.request), at)).collect();
        Self { loaded: all.len(), all, index, completed: Vec::new() }
    }

    fn find(&self, submission: &Submission) -> Option<&Stored> {
        self.index.get(&(submission.actor.clone(), submission.request.id)).and_then(|at| self.all.get(*at))
    }

    fn add(&mut self, stored: Stored) {
        self.index.insert((stored.actor.clone(), stored.request), self.all.len());
        self.all.push(stored);
    }

    /// Sets the answer of a request that was stored without one, by an earlier batch or by this one.
    fn complete(&mut self, key: (Actor, RequestId), answer: Vec<u8>) {
        let at = self.index.get(&key).copied();
        if let Some(stored) = at.and_then(|at| self.all.get_mut(at)) {
            stored.answer.clone_from(&answer);
        }
        if at.is_none_or(|at| at < self.loaded) {
            let (actor, request) = key;
            self.completed.push(CompletedAnswer { actor, request, answer });
        }
    }

    /// The answers that this batch adds.
    pub(super) fn new_answers(&self) -> &[Stored] {
        self.all.get(self.loaded..).unwrap_or_default()
    }

    /// Writes the answers of requests that an earlier batch stored without one.
    pub(super) async fn write_completed(&self, tx: &WriteTx) -> store::Result<()> {
        for it in &self.completed {
            requests::answer(tx, (&it.actor, it.request), &it.answer).await?;
        }
        Ok(())
    }
}

/// The answer of a request that an earlier batch stored without one.
struct CompletedAnswer {
    actor: Actor,
    request: RequestId,
    answer: Vec<u8>,
}
