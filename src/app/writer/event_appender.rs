//! Collects what a batch writes: its events, each chained to the one before by a hash, and the rows that they change.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::app::answers::{
    AnyAnswer, ApprovalEnded, ApprovalGiven, CarriedOut, CommandOutcome, EntryDecided, FundChanged, FundsMoved,
    OfferChanged, OfferEnded, ReferralDecided, SchoolPlaced, TextErased,
};
use crate::app::clock::new_id;
use crate::app::rules::AdoptedBy;
use crate::app::{AppError, Result};
use crate::domain::Date;
use crate::domain::event::{Event, EventBody, NewEvent, chain, text_hash};
use crate::domain::events_about;
use crate::domain::hash::Hash;
use crate::domain::ids::{AccountId, Actor, ApprovalId, AwardId, OfferId, Programme, ReferralId, RequestId, Urn};
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::ledger::{Account, EntrySeq, LedgerEntry, Posting};
use crate::domain::period::Period;
use crate::domain::person::TokenSubject;
use crate::domain::programme::decision::{Approved, CommandAnswer, Decision};
use crate::domain::programme::{Command, Context, ProgrammeState};
use crate::domain::refusal::Refusal;
use crate::domain::role::Reach;
use crate::domain::rules::RulesVersion;
use crate::domain::time::{Micros, Now};
use crate::domain::values::record::Seq;
use crate::store::command_batch::BatchChanges;
use crate::store::events::{Recorded, Text};
use crate::store::programmes::Head;
use crate::store::requests::Stored;
use crate::store::{self, WriteTx, approvals, entry_decisions, placements, referrals, texts};

/// The result of one command: its encoded answer, or its error.
pub(in crate::app::writer) type CommandResult = Result<Vec<u8>>;

/// The outcome of a decided command.
pub(in crate::app::writer) enum DecideOutcome {
    /// The command is carried out.
    Done(CommandOutcome),
    /// A second person has to approve. The caller gets this refusal.
    ApprovalOpened(Refusal),
}

/// The answer of a decision, in which the current entities have replaced their ids.
enum DecisionAnswer {
    /// The command is carried out.
    Complete(AnyAnswer),
    /// A second person has to approve.
    ApprovalOpened(Refusal),
}

/// Who makes a request, the reach that they have for its command, and the id of the request.
pub(in crate::app::writer) struct Requester<'a> {
    pub(in crate::app::writer) actor: &'a Actor,
    pub(in crate::app::writer) subject: Option<TokenSubject>,
    pub(in crate::app::writer) reach: &'a Reach,
    pub(in crate::app::writer) request: RequestId,
}

/// Appends events to the record: gives them numbers and hashes, and notes which rows have to be written.
pub(in crate::app::writer) struct EventAppender<'a> {
    programme: &'a Programme,
    /// The last event before the batch.
    last_before: Seq,
    /// The last event so far, and the next numbers of events and entries.
    head: Head,
    pub(in crate::app::writer) events: Vec<Recorded>,
    texts: Vec<Text>,
    /// Offers to write in full.
    offers: BTreeSet<OfferId>,
    accounts: BTreeSet<AccountId>,
    awards: BTreeSet<AwardId>,
    approvals: BTreeSet<ApprovalId>,
    /// Schools that were placed by hand, with the event of the placement.
    placements: BTreeMap<Urn, Seq>,
    /// Schools whose entry position was decided.
    entry_schools: BTreeSet<Urn>,
    referrals: BTreeSet<ReferralId>,
    /// Events whose texts to erase.
    erased: Vec<Seq>,
}

impl<'a> EventAppender<'a> {
    pub(in crate::app::writer) const fn new(programme: &'a Programme, head: Head) -> Self {
        Self {
            programme,
            last_before: head.last(),
            head,
            events: Vec::new(),
            texts: Vec::new(),
            offers: BTreeSet::new(),
            accounts: BTreeSet::new(),
            awards: BTreeSet::new(),
            approvals: BTreeSet::new(),
            placements: BTreeMap::new(),
            entry_schools: BTreeSet::new(),
            referrals: BTreeSet::new(),
            erased: Vec::new(),
        }
    }

    /// Decides one command, applies its events to the state and returns the outcome. If the answer cannot be made, adds a
    /// violation to the state, so that nothing of the batch is written.
    ///
    /// # Errors
    /// The error with which the command is refused. [`AppError::Bug`] if the decision panics, which fails this command only,
    /// or if an event or the answer cannot be made.
    pub(in crate::app::writer) fn decide(
        &mut self,
        state: &mut ProgrammeState,
        command: &Command,
        Requester { actor, subject, reach, request }: Requester<'_>,
        now: Now,
    ) -> Result<DecideOutcome> {
        let decided_after = self.head.last();
        let decision = catch_panic(|| {
            let mut context = Context { actor, subject, reach, request, now, ids: &mut new_id };
            state.decide(command, &mut context).map_err(AppError::from)
        })?;
        let Decision { events: new_events, answer, warnings } = decision;
        for new_event in new_events {
            state.apply(self.append_event(new_event, actor, request, now.at)?);
        }
        let programme = self.programme.clone();
        match self.complete_answer(state, answer) {
            Ok(DecisionAnswer::Complete(answer)) => {
                Ok(DecideOutcome::Done(CommandOutcome { programme, answer, warnings, decided_after }))
            }
            Ok(DecisionAnswer::ApprovalOpened(refusal)) => Ok(DecideOutcome::ApprovalOpened(refusal)),
            Err(error) => {
                state.violations.push(error.to_string());
                Err(error)
            }
        }
    }

    /// Appends the event that the programme adopts the rules of this program, unless it uses them already. `terms` is the
    /// hash of the terms; it is set only for the first event of a record.
    pub(in crate::app::writer) fn adopt_rules(
        &mut self,
        state: &mut ProgrammeState,
        by: &AdoptedBy,
        (terms, now): (Option<Hash>, Now),
    ) -> Result<()> {
        if state.rules < RulesVersion::CURRENT {
            let new_event = NewEvent::without_offer(
                now.today,
                EventBody::RulesAdopted {
                    version: RulesVersion::CURRENT,
                    absent_texts: std::mem::take(&mut state.absent_texts),
                    terms,
                },
            );
            state.apply(self.append_event(new_event, &by.actor, by.request, now.at)?);
            // Adoption changes all open approvals.
            let open_approvals = state.approvals.values().filter(|it| it.state.is_open());
            self.approvals.extend(open_approvals.map(|it| it.id));
        }
        Ok(())
    }

    /// Replaces the ids in an answer by the current entities.
    ///
    /// # Errors
    /// [`AppError::Bug`] if an entity is not loaded, or if an approval carried out a change of funds that does not match it.
    fn complete_answer(&self, state: &ProgrammeState, answer: CommandAnswer) -> Result<DecisionAnswer> {
        let offer = |id: OfferId| clone_loaded(state.offers.get(&id));
        let award = |id: AwardId| clone_loaded(state.awards.get(&id));
        Ok(DecisionAnswer::Complete(match answer {
            CommandAnswer::Offers(ids) => AnyAnswer::Offers(ids.into_iter().map(offer).collect::<Result<_>>()?),
            CommandAnswer::Identified(report) => AnyAnswer::Identified(Box::new(report)),
            CommandAnswer::Placed { urn, name, placement } => AnyAnswer::Placed(SchoolPlaced { urn, name, placement }),
            CommandAnswer::Closed(id, released) => {
                let released =
                    released.into_iter().map(|it| Ok((award(it.award)?, it.amount))).collect::<Result<_>>()?;
                AnyAnswer::OfferEnded(Box::new(OfferEnded { offer: offer(id)?, released }))
            }
            CommandAnswer::Approved(approval, changed) => self.approval_answer(state, approval, changed)?,
            CommandAnswer::Awards(ids) => AnyAnswer::Awards(ids.into_iter().map(award).collect::<Result<_>>()?),
            CommandAnswer::Funds(ids) => AnyAnswer::Funds(funds(state, &ids)?),
            CommandAnswer::Referral(id, offer_id) => {
                let referral = clone_loaded(state.referrals.get(&id))?;
                AnyAnswer::Referral(Box::new(ReferralDecided { referral, offer: offer_id.map(offer).transpose()? }))
            }
            CommandAnswer::Erased(event) => AnyAnswer::Erased(TextErased { event }),
            CommandAnswer::ApprovalOpened(refusal) => return Ok(DecisionAnswer::ApprovalOpened(refusal)),
        }))
    }

    /// The answer to a command that gives, denies or withdraws an approval, with the change that was carried out, if any.
    fn approval_answer(&self, state: &ProgrammeState, id: ApprovalId, changed: Approved) -> Result<AnyAnswer> {
        let approval = clone_loaded(state.approvals.get(&id))?;
        let carried_out = match changed {
            Approved::Nothing => return Ok(AnyAnswer::ApprovalEnded(Box::new(ApprovalEnded { approval }))),
            Approved::Offer(offer_id) => {
                CarriedOut::Reopened(Box::new(OfferChanged { offer: clone_loaded(state.offers.get(&offer_id))? }))
            }
            Approved::Entry(urn) => {
                CarriedOut::EntryDecided(EntryDecided { decision: clone_loaded(state.entry_decisions.get(&urn))? })
            }
            Approved::Funds(ids) => match (&approval.change, funds(state, &ids)?.as_slice()) {
                (Some(FundChange::Allocate { .. }), [fund]) => {
                    CarriedOut::Allocated(Box::new(FundChanged { fund: fund.clone() }))
                }
                (Some(FundChange::Withdraw { .. }), [fund]) => {
                    CarriedOut::Withdrawn(Box::new(FundChanged { fund: fund.clone() }))
                }
                (Some(FundChange::Move { .. }), [from, to]) => {
                    CarriedOut::Moved(Box::new(FundsMoved { from: from.clone(), to: to.clone() }))
                }
                (change, _) => return Err(AppError::Bug(format!("approval {id} carried out {change:?}"))),
            },
        };
        Ok(AnyAnswer::ApprovalGiven(Box::new(ApprovalGiven { approval, carried_out })))
    }

    /// Gives a new event its number and its hash, adds it to the events that the batch writes, and returns it.
    fn append_event(
        &mut self,
        new_event: NewEvent,
        actor: &Actor,
        request: RequestId,
        recorded_at: Micros,
    ) -> Result<&Event> {
        let seq = self.head.next;
        let mut hash_of_text = None;
        if let Some(text) = new_event.text {
            let salt = uuid::Uuid::new_v4().as_bytes().to_vec();
            hash_of_text = Some(text_hash(&salt, &text));
            self.texts.push(Text { seq, salt, text });
        }
        let event = Event {
            seq,
            offer: new_event.offer,
            actor: actor.clone(),
            request,
            effective: new_event.effective,
            recorded: recorded_at,
            reason_code: new_event.reason_code.map(ToOwned::to_owned),
            text_hash: hash_of_text,
            entries: self.number_entries(new_event.effective, &new_event.postings),
            body: new_event.body,
        };
        let body = serde_json::to_string(&event.body).map_err(|error| AppError::Bug(error.to_string()))?;
        let hash = chain(self.head.hash, self.programme, &event, &body);
        self.note_changes(&event);
        self.head.hash = hash;
        self.head.next = Seq(seq.0.saturating_add(1));
        let recorded = self.events.push_mut(Recorded { kind: event.body.kind().to_owned(), event, body, hash });
        Ok(&recorded.event)
    }

    /// Makes a ledger entry of each posting, with the next number and the period of this date.
    fn number_entries(&mut self, on: Date, postings: &[Posting]) -> Vec<LedgerEntry> {
        let mut entries = Vec::with_capacity(postings.len());
        for Posting { account, verb, amount } in postings.iter().copied() {
            let seq = self.head.next_entry;
            self.head.next_entry = EntrySeq(seq.0.saturating_add(1));
            entries.push(LedgerEntry { seq, account, verb, amount, period: Period::of(on) });
        }
        entries
    }

    /// Notes which rows an event changes, so that [`Self::write`] writes them.
    fn note_changes(&mut self, event: &Event) {
        self.accounts.extend(event.entries.iter().map(|it| it.account));
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
                self.entry_schools.insert(*urn);
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
            EventBody::Noted {}
            | EventBody::FundAllocated { .. }
            | EventBody::FundWithdrawn { .. }
            | EventBody::FundsMoved { .. } => {}
            events_about!(referral) => self.referrals.extend(event.body.referral()),
            events_about!(award) => self.awards.extend(event.body.award()),
            EventBody::Identified { .. }
            | EventBody::SchoolsAdded { .. }
            | EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Reopened { .. }
            | EventBody::Assigned { .. }
            | EventBody::RegionChanged { .. }
            | EventBody::ResponsibleBodyChanged { .. } => self.offers.extend(event.offer),
        }
    }

    /// Writes everything in a few bulk statements. `stored_accounts` are the accounts that the database has already.
    /// `answers` are the new answers; `at` is the time at which they are recorded.
    pub(in crate::app::writer) async fn write(
        &self,
        tx: &WriteTx,
        state: &ProgrammeState,
        stored_accounts: &HashSet<AccountId>,
        (answers, at): (&[Stored], Micros),
    ) -> store::Result<()> {
        let changed_approvals: Vec<_> = self.approvals.iter().filter_map(|id| state.approvals.get(id)).collect();
        approvals::put(tx, &changed_approvals).await?;
        let placements = self.placements.iter();
        let changed_placements: Vec<_> =
            placements.filter_map(|(urn, seq)| Some((*urn, *state.placements.get(urn)?, *seq))).collect();
        placements::put(tx, self.programme, &changed_placements).await?;
        let changed_decisions: Vec<_> =
            self.entry_schools.iter().filter_map(|urn| state.entry_decisions.get(urn)).collect();
        entry_decisions::put(tx, self.programme, &changed_decisions).await?;
        let changed_referrals: Vec<_> = self.referrals.iter().filter_map(|id| state.referrals.get(id)).collect();
        referrals::put(tx, &changed_referrals).await?;
        texts::erase(tx, self.programme, &self.erased).await?;
        let changes = self.changes(state, stored_accounts, (answers, at));
        store::command_batch::write(tx, self.programme, changes).await
    }

    /// Whether the batch changes only the rows of [`Self::changes`].
    pub(in crate::app::writer) fn changes_usual_rows(&self) -> bool {
        let others = [self.approvals.len(), self.placements.len(), self.entry_schools.len(), self.referrals.len()];
        others == [0; 4] && self.erased.is_empty()
    }

    /// The head after the events so far.
    pub(in crate::app::writer) const fn head(&self) -> Head {
        self.head
    }

    /// The accounts that the events so far create or change.
    pub(in crate::app::writer) fn changed_accounts(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.iter().copied()
    }

    /// The rows that batches often change. The arguments are those of [`Self::write`].
    pub(in crate::app::writer) fn changes<'b>(
        &'b self,
        state: &'b ProgrammeState,
        stored_accounts: &HashSet<AccountId>,
        (answers, at): (&'b [Stored], Micros),
    ) -> BatchChanges<'b> {
        let accounts = self.accounts.iter().filter_map(|id| state.ledger.get(*id));
        let (moved, opened) = accounts.partition(|it| stored_accounts.contains(&it.id));
        BatchChanges {
            head: &self.head,
            events: &self.events,
            texts: &self.texts,
            offers: self.offers.iter().filter_map(|id| state.offers.get(id)).collect(),
            ledger: &state.ledger,
            opened,
            moved,
            days: &state.account_days,
            before: self.last_before,
            awards: self.awards.iter().filter_map(|id| state.awards.get(id)).collect(),
            answers,
            at,
        }
    }
}

/// Returns a copy of an entity that an answer names.
///
/// # Errors
/// [`AppError::Bug`] if the entity is not loaded.
fn clone_loaded<T: Clone>(entity: Option<&T>) -> Result<T> {
    entity.cloned().ok_or_else(|| AppError::Bug("an answer names something that is not loaded".to_owned()))
}

fn funds(state: &ProgrammeState, ids: &[AccountId]) -> Result<Vec<Account>> {
    ids.iter().map(|id| clone_loaded(state.ledger.get(*id))).collect()
}

/// Runs a decision and turns a panic in it into an error of this command, so that the rest of the batch is not affected.
fn catch_panic<T>(decide: impl FnOnce() -> Result<T>) -> Result<T> {
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
    fn a_panic_in_a_decision_becomes_an_error_of_its_command() {
        let panicked: Result<()> = catch_panic(|| panic!("boom"));
        assert_eq!(panicked, Err(AppError::Bug("a decision panicked: boom".to_owned())));
        assert_eq!(catch_panic(|| Ok(7)), Ok(7));
    }
}
