//! The entry position of a school of which the files cannot say with what judgements it entered the year: two people
//! decide it, with the evidence they have seen (`domain.md` sections 1 and 8).
//!
//! It is asked for by one person and decided by another who answers for the school's region. It counts while the files
//! cannot say: a file that speaks for the school goes before it. A later decision takes the place of an earlier one.

use std::collections::BTreeSet;

use super::approvals::opening;
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
    /// Whether it lies in somebody's reach: one about a school lies in its region, and for the requester everywhere; every other
    /// everywhere.
    fn lies_within(&self, reach: &Reach, who: &Person) -> bool {
        match &self.statement {
            Some(Statement::Entry { region, .. }) => reach.covers_school(*region) || self.asked_by().is(who),
            Some(Statement::Funds { .. } | Statement::Import { .. } | Statement::Offer { .. }) | None => true,
        }
    }
}

fn not_unknown(urn: Urn, message: String, remedy: impl Into<String>) -> Refusal {
    Refusal::of(Reason::EntryNotUnknown, message, Limit::plain(LimitKind::Recipient, urn, remedy))
}

impl EntryPosition {
    /// Why nobody can decide it: what is so, and what to do. Nothing where the files cannot say it.
    fn because(&self, urn: Urn) -> Option<(String, String)> {
        Some(match self {
            Self::Unknown => return None,
            Self::Known(what) => {
                let remedy = "nothing to do: the files say it; replace the file if it is wrong".to_owned();
                (format!("the entry position of school {urn} is not unknown: {what}"), remedy)
            }
            Self::Superseded(newer) => {
                let message = format!("school {urn} counts as URN {newer} now");
                (message, format!("ask for school {newer} if its entry position is unknown"))
            }
            Self::NotInMonths => {
                let remedy = "import a monthly file that shows the school, or raise a referral".to_owned();
                (format!("no monthly file shows school {urn}"), remedy)
            }
            Self::NotAsked => {
                let message = "no rule of the programme asks with what judgements a school entered the year".to_owned();
                (message, "name a programme that has such a rule".to_owned())
            }
        })
    }
}

impl ProgrammeState {
    /// Opens an approval to decide a school's entry position, or names the one that its caller opened already.
    ///
    /// Another person's open approval about the school, or one that states something else, is no obstacle.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a school that no file names; [`Reason::EntryNotUnknown`]; [`Reason::ApprovalRequired`] where the
    /// caller's own approval of the same statement is open; [`Reason::ProgrammeClosed`].
    pub(in crate::programme) fn ask_entry(
        &self,
        urn: Urn,
        met: bool,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let school = self.entry_schools.get(&urn).ok_or_else(|| CommandError::not_found(EntityKind::School, urn))?;
        let known = school.position.because(urn).map(|(message, remedy)| not_unknown(urn, message, remedy));
        Refusal::none_of(known.into_iter().chain(self.decided_so(urn, met, school)).chain(self.programme_closed()))?;
        let statement = Some(self.entry_statement(urn, met, school));
        let same = self.approvals.about(subject_of(urn)).filter(|it| it.statement == statement);
        if let Some(open) = self.approval_caller(context).own_open(same) {
            return Err(open.required().into());
        }
        let asked = self.asking(ApprovalAction::DecideEntry, subject_of(urn), context);
        Ok(opening(Approval { statement, ..asked }, Some(reason.to_owned()), context))
    }

    /// Gives an approval that decides a school's entry position, as a second person.
    ///
    /// # Errors
    /// [`Reason::ApprovalNotOpen`] where the files can say it by now, the school has moved to another region, it was
    /// decided since, or the open offers that would lose their ground are others; [`Reason::ProgrammeClosed`].
    pub(in crate::programme) fn give_entry(
        &self,
        waiting: &Approval,
        (urn, met): (Urn, bool),
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let approval = waiting.id;
        let why_not = match self.entry_schools.get(&urn) {
            None => {
                let difference = format!("no file names school {urn} any more");
                Some(changed(approval, &("the school has gone", difference)))
            }
            Some(school) => match school.position.because(urn) {
                Some((why, _)) => Some(changed(approval, &("the entry position is no longer unknown", why))),
                None => self.beyond(waiting, &self.entry_statement(urn, met, school)),
            },
        };
        Refusal::none_of(why_not.into_iter().chain(self.programme_closed()))?;
        let today = context.now.today;
        let given = NewEvent::of_book(today, EventBody::ApprovalGiven { approval, token_subject: context.subject });
        let decided = NewEvent::of_book(today, EventBody::EntryDecided { approval, urn, met, register_seq: None });
        Ok(Decision::new(vec![given, decided], CommandAnswer::Approved(approval, Approved::Entry(urn))))
    }

    /// What an approval states. Where what was decided as met is to be not met, that is the open offers too which the school, or
    /// one that it follows, is on.
    fn entry_statement(&self, urn: Urn, met: bool, school: &EntrySchool) -> Statement {
        let before = self.counts_of(urn, school).map(|it| it.met);
        let offers = (before == Some(true) && !met).then(|| {
            let on = std::iter::once(&urn).chain(&school.follows).filter_map(|it| self.listed.get(it).copied());
            on.collect::<BTreeSet<OfferId>>().into_iter().collect()
        });
        Statement::Entry { urn, met, region: school.region, before, offers }
    }

    /// What two people decided that counts of a school whose entry position the files cannot say: of itself, or else of an older
    /// URN that it follows.
    fn counts_of<'a>(&'a self, urn: Urn, school: &'a EntrySchool) -> Option<&'a EntryDecision> {
        self.entry_decisions.get(&urn).or(school.taken_over.as_ref())
    }

    /// Refuses to decide again what is decided so.
    fn decided_so(&self, urn: Urn, met: bool, school: &EntrySchool) -> Option<Refusal> {
        let before = self.counts_of(urn, school).filter(|it| it.met == met)?;
        let of = if before.urn == urn { String::new() } else { format!(" of URN {}, which it follows", before.urn) };
        let (is, event) = (phrase(met), before.seq.0);
        let message = format!("the entry position of school {urn} is decided already{of}: {is}, event {event}");
        Some(not_unknown(urn, message, "nothing to do; ask for the contrary if that was a mistake"))
    }

    /// Refuses what is about a school outside the caller's reach.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn school_within_reach(&self, urn: Urn, reach: &Reach) -> Result<(), CommandError> {
        match self.entry_regions.get(&urn) {
            Some(region) if !reach.covers_school(*region) => Err(CommandError::not_found(EntityKind::School, urn)),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses what is about an approval outside the caller's reach.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn approval_within_reach(
        &self,
        approval: ApprovalId,
        reach: &Reach,
        who: &Person,
    ) -> Result<(), CommandError> {
        match self.approvals.get(&approval) {
            Some(found) if !found.lies_within(reach, who) => {
                Err(CommandError::not_found(EntityKind::Approval, approval))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Keeps what two people decided: what an approval states that the actor of the event gave.
    pub(in crate::programme) fn note_entry(&mut self, (approval, urn, met): (ApprovalId, Urn, bool), event: &Event) {
        let given = ApprovalState::CarriedOut(event.actor.clone());
        let states_it = |it: &&Approval| it.school() == Some((urn, met)) && it.state == given;
        let Some(asked_by) = self.approvals.get(&approval).filter(states_it).map(|it| it.requested_by.clone()) else {
            let (seq, is) = (event.seq.0, phrase(met));
            self.broken.push(format!(
                "event {seq} decides that the entry position of school {urn} is {is}: there is no approval {approval} that states it and was given"
            ));
            return;
        };
        let (given_by, on, seq) = (event.actor.clone(), event.effective, event.seq);
        self.entry_decisions.insert(urn, EntryDecision { urn, met, approval, asked_by, given_by, on, seq });
    }
}
