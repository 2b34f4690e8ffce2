//! One group in one transaction: lock, know, decide, write, commit.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Job, Shared, Submission, Told, facts};
use crate::app::clock::new_id;
use crate::app::{AppError, Result, again};
use crate::domain::book::approval::Approval;
use crate::domain::book::{Answer, Command, Context, Decided, Facts};
use crate::domain::event::{Draft, Event, EventBody, Seq, chain, text_hash};
use crate::domain::ids::{Actor, ApprovalId, OfferId, Programme, RequestId};
use crate::domain::time::{Micros, Now};
use crate::store::approvals::StoredApproval;
use crate::store::books::Head;
use crate::store::events::{Recorded, Text};
use crate::store::requests::Stored;
use crate::store::{self, StoreError, Turn, WriteTx, approvals, books, events, offers, placements, requests};

/// What one caller is answered.
pub(super) type Verdict = Result<Vec<u8>>;

/// Writes a group in one transaction and answers it, or fails without a trace.
pub(super) async fn write(
    shared: &Shared,
    turn: Turn,
    programme: &Programme,
    group: &[Job],
) -> store::Result<Vec<Verdict>> {
    let tx = shared.store.write(turn).await?;
    let Some(head) = books::lock(&tx, programme).await? else {
        tx.rollback().await?;
        let unknown = || Err(AppError::NotFound(format!("programme {programme}")));
        return Ok(group.iter().map(|_| unknown()).collect());
    };
    let mut answers = Answers::load(&tx, group).await?;
    let new: Vec<&Command> =
        group.iter().filter(|job| answers.find(&job.submission).is_none()).map(|job| &job.submission.command).collect();
    let mut facts = match facts::load(&tx, &shared.terms, programme, head.open, &new).await {
        Ok(facts) => facts,
        Err(facts::Unloadable::Store(error)) => return Err(error),
        // One command's facts cannot be had: the halving finds out whose.
        Err(facts::Unloadable::App(error)) if group.len() > 1 => return Err(StoreError::Row(error.to_string())),
        Err(facts::Unloadable::App(error)) => return Ok(vec![Err(error)]),
    };
    let now = shared.clock.now();
    let mut pen = Pen::new(programme, head);
    let verdicts = group.iter().map(|job| judge(&job.submission, &mut answers, &mut facts, &mut pen, now)).collect();
    if answers.new.is_empty() && pen.events.is_empty() {
        tx.rollback().await?;
    } else {
        pen.write(&tx, programme, &facts).await?;
        requests::keep(&tx, &answers.new, now.at).await?;
        tx.commit().await?;
    }
    Ok(verdicts)
}

/// Idempotency first; then the command is decided, and its success kept under its request id.
fn judge(of: &Submission, answers: &mut Answers, facts: &mut Facts, pen: &mut Pen<'_>, now: Now) -> Verdict {
    if let Some(stored) = answers.find(of) {
        return again(stored, of.rpc, of.fingerprint);
    }
    let told = pen.decide(facts, &of.command, &of.actor, of.request, now)?;
    if let Answer::ApprovalOpened(refusal) = told.answer {
        return Err(refusal.into());
    }
    let answer = (of.encode)(&told);
    let (actor, request) = (of.actor.clone(), of.request);
    answers.keep(Stored {
        actor,
        request,
        rpc: of.rpc.to_owned(),
        fingerprint: of.fingerprint,
        answer: answer.clone(),
    });
    Ok(answer)
}

/// The answers given before to the requests of this group, and those given in it.
struct Answers {
    known: HashMap<(Actor, RequestId), Stored>,
    new: Vec<Stored>,
}

impl Answers {
    async fn load(tx: &WriteTx, group: &[Job]) -> store::Result<Self> {
        let wanted: Vec<_> = group.iter().map(|job| (job.submission.actor.clone(), job.submission.request)).collect();
        let known = requests::find(tx, &wanted).await?;
        let known = known.into_iter().map(|it| ((it.actor.clone(), it.request), it)).collect();
        Ok(Self { known, new: Vec::new() })
    }

    fn find(&self, of: &Submission) -> Option<&Stored> {
        self.known.get(&(of.actor.clone(), of.request))
    }

    fn keep(&mut self, stored: Stored) {
        self.known.insert((stored.actor.clone(), stored.request), stored.clone());
        self.new.push(stored);
    }
}

/// Writes the record on: gives events their numbers and hashes, and remembers what the database has to be told.
pub(super) struct Pen<'a> {
    programme: &'a Programme,
    head: Head,
    events: Vec<Recorded>,
    texts: Vec<Text>,
    offers: BTreeSet<OfferId>,
    approvals: BTreeSet<ApprovalId>,
    placements: Vec<(crate::domain::ids::Urn, Seq)>,
}

impl<'a> Pen<'a> {
    pub(super) const fn new(programme: &'a Programme, head: Head) -> Self {
        Self {
            programme,
            head,
            events: Vec::new(),
            texts: Vec::new(),
            offers: BTreeSet::new(),
            approvals: BTreeSet::new(),
            placements: Vec::new(),
        }
    }

    /// Decides one command and folds its events into the facts. A panic in the decision is this caller's bug alone.
    pub(super) fn decide(
        &mut self,
        facts: &mut Facts,
        command: &Command,
        actor: &Actor,
        request: RequestId,
        now: Now,
    ) -> Result<Told> {
        let judged_at = self.head.last();
        let decided = guarded(|| {
            let mut context = Context { actor, now, ids: &mut new_id };
            facts.decide(command, &mut context).map_err(AppError::from)
        })?;
        let Decided { drafts, answer, warnings } = decided;
        for draft in drafts {
            let event = self.record(draft, actor, request, now.at)?;
            facts.apply(&event);
        }
        let named = match &answer {
            Answer::Offers(ids) => ids.clone(),
            Answer::Approved(_, id) => vec![*id],
            Answer::Identified(_) | Answer::Placed { .. } | Answer::ApprovalOpened(_) => Vec::new(),
        };
        let offers = named.iter().filter_map(|id| facts.offers.get(id).cloned()).collect();
        let approval = match &answer {
            Answer::Approved(id, _) => facts.approvals.get(id).map(|it| stored(self.programme, it)),
            _ => None,
        };
        Ok(Told { answer, offers, approval, warnings, judged_at })
    }

    fn record(&mut self, draft: Draft, actor: &Actor, request: RequestId, at: Micros) -> Result<Event> {
        let seq = self.head.next;
        let mut hashed = None;
        if let Some(text) = draft.text {
            let salt = uuid::Uuid::new_v4().as_bytes().to_vec();
            hashed = Some(text_hash(&salt, &text));
            self.texts.push(Text { seq, salt, text });
        }
        let event = Event {
            seq,
            offer: draft.offer,
            actor: actor.clone(),
            request,
            effective: draft.effective,
            recorded: at,
            reason_code: draft.reason_code.map(ToOwned::to_owned),
            text_hash: hashed,
            body: draft.body,
        };
        let body = serde_json::to_string(&event.body).map_err(|error| AppError::Bug(error.to_string()))?;
        let hash = chain(self.head.hash, self.programme, &event, &body);
        self.remember(&event);
        self.events.push(Recorded { event: event.clone(), kind: event.body.kind().to_owned(), body, hash });
        self.head.hash = hash;
        self.head.next = Seq(seq.0.saturating_add(1));
        Ok(event)
    }

    fn remember(&mut self, event: &Event) {
        match &event.body {
            EventBody::ApprovalOpened { approval, .. } | EventBody::ApprovalGiven { approval } => {
                self.approvals.insert(*approval);
            }
            EventBody::Placed { urn, .. } => self.placements.push((*urn, event.seq)),
            EventBody::Noted {} => {}
            _ => self.offers.extend(event.offer),
        }
    }

    /// Writes everything in a few bulk statements.
    async fn write(&self, tx: &WriteTx, programme: &Programme, facts: &Facts) -> store::Result<()> {
        events::append(tx, programme, &self.events, &self.texts).await?;
        let changed: Vec<_> = self.offers.iter().filter_map(|id| facts.offers.get(id)).collect();
        offers::put(tx, &changed).await?;
        let changed: Vec<_> = self.approvals.iter().filter_map(|id| facts.approvals.get(id)).collect();
        approvals::put(tx, &changed.into_iter().map(|it| stored(programme, it)).collect::<Vec<_>>()).await?;
        let placed = self.placements.iter();
        let placed: Vec<_> = placed.filter_map(|(urn, seq)| Some((*urn, *facts.placements.get(urn)?, *seq))).collect();
        placements::put(tx, programme, &placed).await?;
        books::advance(tx, programme, &self.head).await
    }
}

fn stored(programme: &Programme, it: &Approval) -> StoredApproval {
    StoredApproval {
        id: it.id,
        programme: Some(programme.clone()),
        action: it.action.clone(),
        subject: it.offer.0,
        opened: Some(it.opened),
        reason: None,
        requested_by: it.requested_by.clone(),
        requested_at: it.requested_at,
        given_by: it.given_by.clone(),
    }
}

/// Runs a decision; a panic in it becomes that caller's bug, and nobody else's.
fn guarded<T>(decide: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(AppError::Bug(format!("a decision panicked: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_decision_is_that_callers_bug() {
        let panicked: Result<()> = guarded(|| panic!("boom"));
        assert_eq!(panicked, Err(AppError::Bug("a decision panicked: boom".to_owned())));
        assert_eq!(guarded(|| Ok(7)), Ok(7));
    }
}
