//! The answers of a group: given before, given in it, and those that calls get whose approval is carried out in it.

use std::collections::HashMap;

use super::Submission;
use crate::app::answers::{AnyAnswer, CommandOutcome};
use crate::app::writer::event_appender::{CommandResult, Decided, EventAppender, Who};
use crate::app::{AppError, replay_stored_answer};
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::domain::person::Person;
use crate::domain::programme::ProgrammeState;
use crate::domain::time::Now;
use crate::store::requests::Stored;
use crate::store::{self, WriteTx, requests};

/// Idempotency first; then the command is decided, and its success kept under its request id. That an approval was opened
/// is a success too: it keeps the id, without an answer until it is carried out.
pub(super) fn execute_one(
    of: &Submission,
    answers: &mut StoredAnswers,
    facts: &mut ProgrammeState,
    appender: &mut EventAppender<'_>,
    now: Now,
) -> CommandResult {
    if let Some(stored) = answers.find(of) {
        let person = Person { actor: of.actor.clone(), subject: of.subject };
        facts.within_reach(&of.command, &of.reach, &person)?;
        let answer = replay_stored_answer(stored, &of.request)?;
        return stored.waits_for().map_or(Ok(answer), |approval| Err(waits(facts, approval, now)));
    }
    let who = Who { actor: &of.actor, subject: of.subject, reach: &of.reach, request: of.request.id };
    let decided = appender.decide(facts, &of.command, who, now)?;
    let keep = |answer, approval| of.request.stored(&of.actor, answer, approval);
    let outcome = match decided {
        Decided::Done(outcome) => outcome,
        Decided::ApprovalOpened(refusal) => {
            answers.keep(keep(Vec::new(), refusal.approval));
            return Err(refusal.into());
        }
    };
    if let Some((asked, answer)) = carried_out(of, &outcome) {
        answers.complete(asked, answer);
    }
    let answer = (of.encoders.answer)(outcome).inspect_err(|error| facts.broken.push(error.to_string()))?;
    answers.keep(keep(answer.clone(), None));
    Ok(answer)
}

/// What a call is told, made again, whose approval has not been carried out.
fn waits(facts: &ProgrammeState, approval: ApprovalId, now: Now) -> AppError {
    match facts.approvals.get(&approval) {
        Some(it) => it.asked_before(now.at).into(),
        None => AppError::Bug(format!("approval {approval} of a repeated call is not loaded")),
    }
}

/// The call that had asked for what was carried out just now, and its answer.
fn carried_out(of: &Submission, outcome: &CommandOutcome) -> Option<((Actor, RequestId), Vec<u8>)> {
    let AnyAnswer::ApprovalGiven(given) = &outcome.answer else { return None };
    let asked = (given.approval.requested_by.clone(), given.approval.request?);
    let answer = (of.encoders.carried_out)(outcome.clone().with(given.carried_out.clone()));
    Some((asked, answer))
}

/// The answers given before to the requests of this group, and after them those given in it.
pub(super) struct StoredAnswers {
    pub(super) all: Vec<Stored>,
    /// How many of them were given before.
    before: usize,
    places: HashMap<(Actor, RequestId), usize>,
    /// Those of calls whose approval is carried out in this group, and that were kept before it.
    completed: Vec<Completed>,
}

impl StoredAnswers {
    pub(super) fn new(all: Vec<Stored>) -> Self {
        let places = all.iter().enumerate().map(|(at, it)| ((it.actor.clone(), it.request), at)).collect();
        Self { before: all.len(), all, places, completed: Vec::new() }
    }

    fn find(&self, of: &Submission) -> Option<&Stored> {
        self.places.get(&(of.actor.clone(), of.request.id)).and_then(|at| self.all.get(*at))
    }

    fn keep(&mut self, stored: Stored) {
        self.places.insert((stored.actor.clone(), stored.request), self.all.len());
        self.all.push(stored);
    }

    /// Puts the answer of a call whose approval was opened before, or in this group.
    fn complete(&mut self, asked: (Actor, RequestId), answer: Vec<u8>) {
        let at = self.places.get(&asked).copied();
        if let Some(here) = at.and_then(|at| self.all.get_mut(at)) {
            here.answer.clone_from(&answer);
        }
        if at.is_none_or(|at| at < self.before) {
            let (actor, request) = asked;
            self.completed.push(Completed { actor, request, answer });
        }
    }

    pub(super) fn given_now(&self) -> &[Stored] {
        self.all.get(self.before..).unwrap_or_default()
    }

    /// Writes the answers of calls that were kept without one.
    pub(super) async fn write_completed(&self, tx: &WriteTx) -> store::Result<()> {
        for it in &self.completed {
            requests::answer(tx, (&it.actor, it.request), &it.answer).await?;
        }
        Ok(())
    }
}

/// The answer of a call that was kept without one.
struct Completed {
    actor: Actor,
    request: RequestId,
    answer: Vec<u8>,
}
