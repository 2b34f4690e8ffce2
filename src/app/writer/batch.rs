//! One group in one transaction: lock, know, decide, write, commit.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::time::Instant;

use super::load_state::{LoadedState, Unloadable};
use super::stored_answers::{StoredAnswers, execute_one};
use super::{CommandOutcome, PendingCommand, Submission, WriterContext, load_state};
use crate::app::clock::new_id;
use crate::app::rules::AdoptedBy;
use crate::app::{AppError, Result, replay_stored_answer};
use crate::domain::Date;
use crate::domain::approval::Approval;
use crate::domain::event::{Event, EventBody, Hash, NewEvent, ReleasedAward, Seq, chain, text_hash};
use crate::domain::ids::{AccountId, Actor, ApprovalId, AwardId, OfferId, Programme, ReferralId, RequestId, Urn};
use crate::domain::ledger::{EntrySeq, LedgerEntry, Posting};
use crate::domain::period::Period;
use crate::domain::person::TokenSubject;
use crate::domain::programme::command::{Approved, Warning};
use crate::domain::programme::{Command, CommandAnswer, Context, Decision, ProgrammeState};
use crate::domain::role::Reach;
use crate::domain::rules::RulesVersion;
use crate::domain::time::{Micros, Now};
use crate::store::approvals::StoredApproval;
use crate::store::command_batch::BatchChanges;
use crate::store::events::{Recorded, Text};
use crate::store::programmes::Head;
use crate::store::requests::Stored;
use crate::store::{
    self, Failure as _, StoreError, WritePermit, WriteTx, approvals, entry_decisions, offers, placements, programmes,
    referrals, texts,
};

/// What one caller is answered.
pub(super) type CommandResult = Result<Vec<u8>>;

/// A book that is locked: from here on its group may be taken.
#[derive(Debug)]
pub(super) struct Locked {
    tx: WriteTx,
    /// Nothing for a programme that has no book.
    head: Option<Head>,
}

impl Locked {
    /// Whether it is there, and goes by older rules than this program's.
    pub(super) fn has_older_rules(&self) -> bool {
        self.head.is_some_and(|head| head.rules < RulesVersion::CURRENT)
    }

    /// Lets the book go, as there is nothing to be written.
    pub(super) async fn release(self) -> store::Result<()> {
        self.tx.rollback().await
    }
}

/// Begins, and locks the book's row: the first statement of every group.
pub(super) async fn lock(shared: &WriterContext, turn: WritePermit, programme: &Programme) -> store::Result<Locked> {
    let tx = shared.store.write_group(turn).await?;
    let before = shared.clock.now().at;
    let locked = programmes::lock(&tx, programme).await;
    let (tx, locked) = tx.proceed(locked).await?;
    let checked = shared.clock.check(before, locked.and_then(|(_, database)| database));
    let (tx, ()) = tx.proceed(checked).await?;
    Ok(Locked { tx, head: locked.map(|(head, _)| head) })
}

/// Writes a group in one transaction and answers it, or fails without a trace.
pub(super) async fn write(
    shared: &WriterContext,
    Locked { tx, head }: Locked,
    programme: &Programme,
    group: &[PendingCommand],
) -> store::Result<Vec<CommandResult>> {
    let Some(head) = head else {
        tx.rollback().await?;
        let unknown = || Err(AppError::NotFound(format!("programme {programme}")));
        return Ok(group.iter().map(|_| unknown()).collect());
    };
    let LoadedState { mut facts, stored, answers, now, .. } = match load(&tx, shared, programme, &head, group).await {
        Ok(known) => known,
        Err(error) => return without_facts(shared, tx, group, error).await,
    };
    let mut answers = StoredAnswers::new(answers);
    let mut pen = EventAppender::new(programme, head);
    let adopted = AdoptedBy::program().and_then(|by| pen.adopt_rules(&mut facts, &by, (None, now)));
    let (tx, ()) = tx.proceed(adopted.map_err(|error| StoreError::ConstraintViolation(error.to_string()))).await?;
    let verdicts: Vec<CommandResult> =
        group.iter().map(|job| execute_one(&job.submission, &mut answers, &mut facts, &mut pen, now)).collect();
    // A decision that breaks an account is a bug: the halving finds whose, and nothing of it is written.
    if let Some(broken) = facts.broken.first() {
        tx.rollback().await?;
        return Err(StoreError::ConstraintViolation(broken.clone()));
    }
    if answers.given_now().is_empty() && pen.events.is_empty() {
        // Answers given before, and approvals opened before, are promises of commits that may still wait for a standby.
        // Other refusals promise nothing.
        if answers.all.is_empty() && !verdicts.iter().any(names_approval) {
            tx.rollback().await?;
        } else {
            tx.confirm().await?;
            // The try that carried it out may not have come to telling of it.
            shared.tell_of_change(programme);
        }
    } else {
        let completed = answers.write_completed(&tx).await;
        let (tx, ()) = tx.proceed(completed).await?;
        let written = pen.write(&tx, &facts, &stored, (answers.given_now(), now.at)).await;
        let (tx, ()) = tx.proceed(written).await?;
        let begun = Instant::now();
        tx.commit().await?;
        shared.measuring.tell(|it| it.committed(begun.elapsed()));
        shared.tell_of_change(programme);
    }
    Ok(verdicts)
}

/// Whether a caller is told of an approval that waits.
fn names_approval(verdict: &CommandResult) -> bool {
    matches!(verdict, Err(AppError::Refused(refusal)) if refusal.approval.is_some())
}

/// Ends a group whose facts cannot be loaded. Whoever repeats a call alone is still answered, whatever has become of what it
/// was about, if no facts are needed to tell that it lies within the caller's reach.
async fn without_facts(
    shared: &WriterContext,
    tx: WriteTx,
    group: &[PendingCommand],
    error: Unloadable,
) -> store::Result<Vec<CommandResult>> {
    // A statement may have failed: this transaction reads and confirms nothing any more.
    let error = tx.give_up(error).await;
    if let [job] = group
        && job.submission.reach.is_everything()
        && !error.may_be_the_connection()
        && let Some(verdict) = answered_before(shared, &job.submission).await?
    {
        return Ok(vec![verdict]);
    }
    match error {
        Unloadable::Store(error) => Err(error),
        // One command's facts cannot be had: the halving finds out whose.
        Unloadable::App(error) if group.len() > 1 => Err(StoreError::ConstraintViolation(error.to_string())),
        Unloadable::App(error) => Ok(vec![Err(error)]),
    }
}

/// What this call was answered before, once that is as durable as any commit.
async fn answered_before(shared: &WriterContext, of: &Submission) -> store::Result<Option<CommandResult>> {
    let stored = store::command_batch::answered(&shared.store, &[(&of.actor, of.request)]).await?;
    // Whose approval waits is answered by what has become of it, which takes facts.
    let Some(stored) = stored.first().filter(|it| it.waits_for().is_none()) else { return Ok(None) };
    shared.store.confirm().await?;
    Ok(Some(replay_stored_answer(stored, of.rpc, of.fingerprint)))
}

/// What a group is decided against, and what was answered before, in one round trip. Where
/// files are to be read, what was answered is looked for first: an identify that was takes no facts.
async fn load(
    tx: &WriteTx,
    shared: &WriterContext,
    programme: &Programme,
    head: &Head,
    group: &[PendingCommand],
) -> std::result::Result<LoadedState, Unloadable> {
    let of: Vec<&Submission> = group.iter().map(|job| &job.submission).collect();
    let reads_files = |of: &[&Submission]| of.iter().any(|it| it.command.reads_files());
    let requests: Vec<(&Actor, RequestId)> = of.iter().map(|it| (&it.actor, it.request)).collect();
    if !reads_files(&of) {
        return load_state::load(tx, &shared.terms, programme, head, (&commands(&of), &[]), (&requests, &shared.clock))
            .await;
    }
    let answers = store::command_batch::answered(tx, &requests).await?;
    let answered = |it: &Submission| answers.iter().any(|old| (&old.actor, old.request) == (&it.actor, it.request));
    // Whether a referral lies within the caller's reach cannot be told without the facts; identify is for each reach, and an
    // entry position lies where its school or its approval does.
    let (before, left): (Vec<&Submission>, Vec<&Submission>) = of
        .into_iter()
        .partition(|it| answered(it) && it.command.reads_files() && !matches!(it.command, Command::Refer(_)));
    if reads_files(&left) {
        tx.plan_anew().await?;
    }
    let (left, before) = (commands(&left), commands(&before));
    let known = load_state::load(tx, &shared.terms, programme, head, (&left, &before), (&[], &shared.clock)).await?;
    tx.check_in_step().await?;
    Ok(LoadedState { answers, ..known })
}

fn commands<'a>(of: &[&'a Submission]) -> Vec<(RequestId, &'a Command)> {
    of.iter().map(|it| (it.request, &it.command)).collect()
}

/// Who asks, where they may, and under which id.
pub(super) struct Who<'a> {
    pub(super) actor: &'a Actor,
    pub(super) subject: Option<TokenSubject>,
    pub(super) reach: &'a Reach,
    pub(super) request: RequestId,
}

/// Writes the record on: gives events their numbers and hashes, and remembers what the database has to be told.
pub(super) struct EventAppender<'a> {
    programme: &'a Programme,
    /// The last event before the group.
    before: Seq,
    head: Head,
    events: Vec<Recorded>,
    texts: Vec<Text>,
    /// Offers to be written in full, and those of which only the version moved.
    offers: BTreeSet<OfferId>,
    touched: BTreeSet<OfferId>,
    accounts: BTreeSet<AccountId>,
    awards: BTreeSet<AwardId>,
    approvals: BTreeSet<ApprovalId>,
    placements: BTreeMap<Urn, Seq>,
    entries: BTreeSet<Urn>,
    referrals: BTreeSet<ReferralId>,
    /// Events whose texts are erased.
    erased: Vec<Seq>,
}

impl<'a> EventAppender<'a> {
    pub(super) const fn new(programme: &'a Programme, head: Head) -> Self {
        Self {
            programme,
            before: head.last(),
            head,
            events: Vec::new(),
            texts: Vec::new(),
            offers: BTreeSet::new(),
            touched: BTreeSet::new(),
            accounts: BTreeSet::new(),
            awards: BTreeSet::new(),
            approvals: BTreeSet::new(),
            placements: BTreeMap::new(),
            entries: BTreeSet::new(),
            referrals: BTreeSet::new(),
            erased: Vec::new(),
        }
    }

    /// Decides one command and folds its events into the facts. A panic in the decision is this caller's bug alone.
    pub(super) fn decide(
        &mut self,
        facts: &mut ProgrammeState,
        command: &Command,
        Who { actor, subject, reach, request }: Who<'_>,
        now: Now,
    ) -> Result<CommandOutcome> {
        let judged_at = self.head.last();
        let decided = guarded(|| {
            let mut context = Context { actor, subject, reach, request, now, ids: &mut new_id };
            facts.decide(command, &mut context).map_err(AppError::from)
        })?;
        let Decision { drafts, answer, warnings } = decided;
        for draft in drafts {
            facts.apply(self.record(draft, actor, request, now.at)?);
        }
        Ok(self.tell(facts, answer, warnings, judged_at))
    }

    /// Has the programme adopt this program's rules, where it has not yet. The terms are given where the record begins so.
    pub(super) fn adopt_rules(
        &mut self,
        facts: &mut ProgrammeState,
        by: &AdoptedBy,
        (terms, now): (Option<Hash>, Now),
    ) -> Result<()> {
        if facts.rules < RulesVersion::CURRENT {
            let draft = NewEvent::of_book(
                now.today,
                EventBody::RulesAdopted {
                    version: RulesVersion::CURRENT,
                    absent_texts: std::mem::take(&mut facts.absent_texts),
                    terms,
                },
            );
            facts.apply(self.record(draft, &by.actor, by.request, now.at)?);
            let open = facts.approvals.values().filter(|it| it.state.is_open());
            self.approvals.extend(open.map(|it| it.id));
        }
        Ok(())
    }

    /// What the caller is told: what the answer names, as it is now.
    fn tell(
        &self,
        facts: &ProgrammeState,
        answer: CommandAnswer,
        warnings: Vec<Warning>,
        judged_at: Seq,
    ) -> CommandOutcome {
        let offers = |ids: &[OfferId]| ids.iter().filter_map(|id| facts.offers.get(id).cloned()).collect();
        let awards = |ids: &[AwardId]| ids.iter().filter_map(|id| facts.awards.get(id).cloned()).collect();
        let funds = |ids: &[AccountId]| ids.iter().filter_map(|id| facts.ledger.get(*id).cloned()).collect();
        let mut told =
            CommandOutcome::new(self.programme.clone(), CommandAnswer::Offers(Vec::new()), warnings, judged_at);
        match &answer {
            CommandAnswer::Offers(ids) => told.offers = offers(ids),
            CommandAnswer::Closed(id, released) => {
                told.offers = offers(&[*id]);
                let award = |it: &ReleasedAward| Some((facts.awards.get(&it.award)?.clone(), it.amount));
                told.released = released.iter().filter_map(award).collect();
            }
            CommandAnswer::Awards(ids) => told.awards = awards(ids),
            CommandAnswer::Funds(ids) => told.funds = funds(ids),
            CommandAnswer::Approved(approval, changed) => {
                told.approval = facts.approvals.get(approval).map(|it| stored(self.programme, it));
                match changed {
                    Approved::Offer(id) => told.offers = offers(&[*id]),
                    Approved::Funds(ids) => told.funds = funds(ids),
                    Approved::Entry(urn) => told.entry = facts.entry_decisions.get(urn).cloned(),
                    Approved::Nothing => {}
                }
            }
            CommandAnswer::Referral(referral, offer) => {
                told.referral = facts.referrals.get(referral).cloned();
                told.offers = offers(offer.as_slice());
            }
            CommandAnswer::Identified(_)
            | CommandAnswer::Placed { .. }
            | CommandAnswer::Erased(_)
            | CommandAnswer::ApprovalOpened(_) => {}
        }
        CommandOutcome { answer, ..told }
    }

    fn record(&mut self, draft: NewEvent, actor: &Actor, request: RequestId, at: Micros) -> Result<&Event> {
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
            entries: self.number(draft.effective, &draft.postings),
            body: draft.body,
        };
        let body = serde_json::to_string(&event.body).map_err(|error| AppError::Bug(error.to_string()))?;
        let hash = chain(self.head.hash, self.programme, &event, &body);
        self.remember(&event);
        self.head.hash = hash;
        self.head.next = Seq(seq.0.saturating_add(1));
        let recorded = self.events.push_mut(Recorded { kind: event.body.kind().to_owned(), event, body, hash });
        Ok(&recorded.event)
    }

    fn number(&mut self, on: Date, postings: &[Posting]) -> Vec<LedgerEntry> {
        let mut entries = Vec::with_capacity(postings.len());
        for Posting { account, verb, amount } in postings.iter().copied() {
            let seq = self.head.next_entry;
            self.head.next_entry = EntrySeq(seq.0.saturating_add(1));
            entries.push(LedgerEntry { seq, account, verb, amount, period: Period::of(on) });
        }
        entries
    }

    fn remember(&mut self, event: &Event) {
        self.accounts.extend(event.entries.iter().map(|it| it.account));
        self.awards.extend(event.body.award());
        match &event.body {
            EventBody::ApprovalOpened { approval, .. }
            | EventBody::ApprovalGiven { approval, .. }
            | EventBody::ApprovalDenied { approval, .. }
            | EventBody::ApprovalWithdrawn { approval, .. } => {
                self.approvals.insert(*approval);
            }
            EventBody::Placed { urn, .. } => {
                self.placements.insert(*urn, event.seq);
            }
            EventBody::EntryDecided { urn, .. } => {
                self.entries.insert(*urn);
            }
            EventBody::FundCreated { fund, .. } => {
                self.accounts.insert(*fund);
            }
            EventBody::Closed { released, .. } => {
                self.awards.extend(released.iter().map(|it| it.award));
                self.offers.extend(event.offer);
            }
            EventBody::RulesAdopted { version, .. } => self.head.rules = *version,
            EventBody::TextErased { event } => self.erased.push(*event),
            EventBody::Noted {} => {}
            body if body.referral().is_some() => self.referrals.extend(body.referral()),
            body if body.award().is_some() => self.touched.extend(event.offer),
            _ => self.offers.extend(event.offer),
        }
    }

    /// Writes everything in a few bulk statements.
    pub(super) async fn write(
        self,
        tx: &WriteTx,
        facts: &ProgrammeState,
        known: &HashSet<AccountId>,
        (answers, at): (&[Stored], Micros),
    ) -> store::Result<()> {
        let changed: Vec<_> = self.offers.iter().filter_map(|id| facts.offers.get(id)).collect();
        offers::put(tx, &changed).await?;
        let changed: Vec<_> = self.approvals.iter().filter_map(|id| facts.approvals.get(id)).collect();
        let changed: Vec<_> = changed.into_iter().map(|it| stored(self.programme, it)).collect();
        approvals::put(tx, &changed).await?;
        let placed = self.placements.iter();
        let placed: Vec<_> = placed.filter_map(|(urn, seq)| Some((*urn, *facts.placements.get(urn)?, *seq))).collect();
        placements::put(tx, self.programme, &placed).await?;
        let decided: Vec<_> = self.entries.iter().filter_map(|urn| facts.entry_decisions.get(urn)).collect();
        entry_decisions::put(tx, self.programme, &decided).await?;
        let changed: Vec<_> = self.referrals.iter().filter_map(|id| facts.referrals.get(id)).collect();
        referrals::put(tx, &changed).await?;
        texts::erase(tx, self.programme, &self.erased).await?;
        let touched = self.touched.difference(&self.offers);
        let accounts = self.accounts.iter().filter_map(|id| facts.ledger.get(*id));
        let (moved, opened) = accounts.partition(|it| known.contains(&it.id));
        let written = BatchChanges {
            head: &self.head,
            events: &self.events,
            texts: &self.texts,
            ledger: &facts.ledger,
            opened,
            moved,
            before: self.before,
            awards: self.awards.iter().filter_map(|id| facts.awards.get(id)).collect(),
            touched: touched.filter_map(|id| facts.offers.get(id)).collect(),
            answers,
            at,
        };
        store::command_batch::write(tx, self.programme, written).await
    }
}

fn stored(programme: &Programme, it: &Approval) -> StoredApproval {
    StoredApproval {
        id: it.id,
        programme: Some(programme.clone()),
        action: it.action.clone(),
        subject: it.subject,
        change: it.change.clone(),
        statement: it.statement.clone(),
        expires: it.expires,
        opened: Some(it.opened),
        reason: None,
        requested_by: it.requested_by.clone(),
        requested_subject: it.requested_subject,
        request: it.request,
        requested_at: it.requested_at,
        state: it.state.clone(),
        answered_subject: it.answered_subject,
        denied: it.denied,
        denied_reason: None,
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
