//! Decides the entry position of a school if the files do not contain the judgements with which the school entered the year. Two
//! people decide, with the evidence that they have seen (`domain.md` sections 1 and 8).
//!
//! One person requests the decision, and another person who reaches the school's region gives the approval. The decision
//! applies only while the files do not contain the judgements: evidence in a file has priority. A later decision replaces an
//! earlier decision.

use std::collections::BTreeSet;

use super::approvals::open_approval;
use crate::approval::{Approval, ApprovalState, changed, phrase, subject_of};
use crate::event::{Event, EventBody, NewEvent};
use crate::ids::{ApprovalId, OfferId, Urn};
use crate::person::Person;
use crate::programme::ProgrammeState;
use crate::programme::context::Context;
use crate::programme::decision::{Approved, CommandAnswer, Decision};
use crate::programme::entry_school::{EntryDecision, EntryPosition, EntrySchool};
use crate::programme::error::CommandError;
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::role::Reach;
use crate::values::approval::ApprovalAction;
use crate::values::statement::Statement;

impl Approval {
    /// Whether a caller reaches this approval. An approval about a school is within reach of its requester, and of callers who
    /// reach the school's region. Any other approval is within reach of every caller.
    fn is_within_reach(&self, reach: &Reach, caller: &Person) -> bool {
        match &self.statement {
            Some(Statement::Entry { region, .. }) => reach.covers_school(*region) || self.requester().is(caller),
            Some(Statement::Funds { .. } | Statement::Import { .. } | Statement::Offer { .. }) | None => true,
        }
    }
}

/// Makes the refusal to decide an entry position. People decide only those that the files leave unknown.
fn undecidable_refusal(urn: Urn, message: String, remedy: impl Into<String>) -> Refusal {
    Refusal::of(Reason::EntryNotUnknown, message, Limit::plain(LimitKind::Recipient, urn, remedy))
}

impl EntryPosition {
    /// The message and the remedy of a refusal if people cannot decide this entry position. None if they can, because the files
    /// do not contain it.
    fn why_not_decidable(&self, urn: Urn) -> Option<(String, String)> {
        Some(match self {
            Self::Unknown => return None,
            Self::Known(explanation) => {
                let remedy = "nothing to do: the files say it; replace the file if it is wrong".to_owned();
                (format!("the entry position of school {urn} is not unknown: {explanation}"), remedy)
            }
            Self::Superseded(newer) => {
                let message = format!("school {urn} counts as URN {newer} now");
                (message, format!("ask for school {newer} if its entry position is unknown"))
            }
            Self::NotInMonths => {
                let remedy = "import a monthly file that shows the school, or raise a referral".to_owned();
                (format!("no monthly file shows school {urn}"), remedy)
            }
            Self::NotNeeded => {
                let message = "no rule of the programme asks with what judgements a school entered the year".to_owned();
                (message, "name a programme that has such a rule".to_owned())
            }
        })
    }
}

impl ProgrammeState {
    /// Opens an approval to decide a school's entry position. If the caller already has an open approval with the same
    /// statement, the refusal names it. An open approval of another person, or with another statement, does not matter.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a school that no file names; [`Reason::EntryNotUnknown`]; [`Reason::ApprovalRequired`] if the
    /// caller's own approval of the same statement is open; [`Reason::ProgrammeClosed`].
    pub(in crate::programme) fn ask_entry(
        &self,
        urn: Urn,
        met: bool,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let school = self.entry_schools.get(&urn).ok_or_else(|| CommandError::not_found(EntityKind::School, urn))?;
        let undecidable = school.position.why_not_decidable(urn);
        let undecidable = undecidable.map(|(message, remedy)| undecidable_refusal(urn, message, remedy));
        Refusal::join(
            undecidable.into_iter().chain(self.already_decided(urn, met, school)).chain(self.programme_closed()),
        )?;
        let statement = Some(self.entry_statement(urn, met, school));
        let same_statement = self.approvals.about(subject_of(urn)).filter(|it| it.statement == statement);
        if let Some(open) = self.approval_caller(context).find_own_open(same_statement) {
            return Err(open.required_refusal().into());
        }
        let approval = self.new_approval(ApprovalAction::DecideEntry, subject_of(urn), context);
        Ok(open_approval(Approval { statement, ..approval }, Some(reason.to_owned()), context))
    }

    /// Gives an approval that decides a school's entry position, as a second person.
    ///
    /// # Errors
    /// [`Reason::ApprovalNotOpen`] if something changed since the approval was opened: no file names the school any more, the
    /// files now contain the entry position, the school is in another region, its entry position was decided, or the
    /// offers that would lose their ground are not those that the approval lists; [`Reason::ProgrammeClosed`].
    pub(in crate::programme) fn give_entry(
        &self,
        requested: &Approval,
        (urn, met): (Urn, bool),
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let approval = requested.id;
        let refusal = match self.entry_schools.get(&urn) {
            None => {
                let difference = format!("no file names school {urn} any more");
                Some(changed(approval, &("the school has gone", difference)))
            }
            Some(school) => match school.position.why_not_decidable(urn) {
                Some((why, _)) => Some(changed(approval, &("the entry position is no longer unknown", why))),
                None => self.exceeds_approval_refusal(requested, &self.entry_statement(urn, met, school)),
            },
        };
        Refusal::join(refusal.into_iter().chain(self.programme_closed()))?;
        let today = context.now.today;
        let given =
            NewEvent::without_offer(today, EventBody::ApprovalGiven { approval, token_subject: context.subject });
        let decided =
            NewEvent::without_offer(today, EventBody::EntryDecided { approval, urn, met, register_seq: None });
        Ok(Decision::new(vec![given, decided], CommandAnswer::Approved(approval, Approved::Entry(urn))))
    }

    /// The statement of an approval. If the new decision changes an earlier decision from met to not met, the statement lists
    /// the open offers of the school and of the schools that it follows.
    fn entry_statement(&self, urn: Urn, met: bool, school: &EntrySchool) -> Statement {
        let before = self.decision_for(urn, school).map(|it| it.met);
        let offers = (before == Some(true) && !met).then(|| {
            let open_offers = std::iter::once(&urn)
                .chain(&school.predecessors)
                .filter_map(|it| self.open_offer_by_school.get(it).copied());
            open_offers.collect::<BTreeSet<OfferId>>().into_iter().collect()
        });
        Statement::Entry { urn, met, region: school.region, before, offers }
    }

    /// The decision that applies to a school: its own, or else the one about an older URN that it follows.
    fn decision_for<'a>(&'a self, urn: Urn, school: &'a EntrySchool) -> Option<&'a EntryDecision> {
        self.entry_decisions.get(&urn).or(school.inherited_decision.as_ref())
    }

    /// Refuses to decide an entry position again with the same result.
    fn already_decided(&self, urn: Urn, met: bool, school: &EntrySchool) -> Option<Refusal> {
        let before = self.decision_for(urn, school).filter(|it| it.met == met)?;
        let older_urn = if before.urn == urn {
            String::new()
        } else {
            format!(" for URN {}, a predecessor of this school", before.urn)
        };
        let (decision, event) = (phrase(met), before.seq.0);
        let message =
            format!("the entry position of school {urn} is decided already{older_urn}: {decision}, event {event}");
        Some(undecidable_refusal(urn, message, "nothing to do; ask for the contrary if that was a mistake"))
    }

    /// Reports a school outside the caller's reach as not found.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn school_within_reach(&self, urn: Urn, reach: &Reach) -> Result<(), CommandError> {
        match self.entry_regions.get(&urn) {
            Some(region) if !reach.covers_school(*region) => Err(CommandError::not_found(EntityKind::School, urn)),
            Some(_) | None => Ok(()),
        }
    }

    /// Reports an approval outside the caller's reach as not found.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn approval_within_reach(
        &self,
        approval: ApprovalId,
        reach: &Reach,
        caller: &Person,
    ) -> Result<(), CommandError> {
        match self.approvals.get(&approval) {
            Some(loaded) if !loaded.is_within_reach(reach, caller) => {
                Err(CommandError::not_found(EntityKind::Approval, approval))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Stores a decision. Its approval must state the same decision, and the actor of the event must have given the approval.
    /// Otherwise the event is reported in [`ProgrammeState::violations`] and not stored.
    pub(in crate::programme) fn store_entry_decision(
        &mut self,
        (approval, urn, met): (ApprovalId, Urn, bool),
        event: &Event,
    ) {
        let given = ApprovalState::CarriedOut(event.actor.clone());
        let allows_decision = |it: &&Approval| it.school() == Some((urn, met)) && it.state == given;
        let Some(asked_by) = self.approvals.get(&approval).filter(allows_decision).map(|it| it.requested_by.clone())
        else {
            let (seq, decision) = (event.seq.0, phrase(met));
            self.violations.push(format!(
                "event {seq} decides that the entry position of school {urn} is {decision}: there is no approval {approval} that states it and was given"
            ));
            return;
        };
        let (given_by, on, seq) = (event.actor.clone(), event.effective, event.seq);
        self.entry_decisions.insert(urn, EntryDecision { urn, met, approval, asked_by, given_by, on, seq });
    }
}
