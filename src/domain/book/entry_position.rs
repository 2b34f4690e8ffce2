//! The entry position of a school of which the files cannot say with what judgements it entered the year: two people
//! decide it, with the evidence they have seen (`domain.md` sections 1 and 8).
//!
//! It is asked for by one person and decided by another who answers for the school's region. It counts while the files
//! cannot say: a file that speaks for the school goes before it. A later decision takes the place of an earlier one.

use uuid::Uuid;

use super::Facts;
use super::approval::{Approval, DECIDE_ENTRY, required};
use super::command::{Answer, Approved, Command, Context, Decided, Fault};
use super::statement::{self, Statement, phrase};
use crate::domain::Date;
use crate::domain::event::{Draft, Event, EventBody, Seq};
use crate::domain::ids::{Actor, ApprovalId, Urn};
use crate::domain::refusal::{Limit, Reason, Refusal};
use crate::domain::region::Region;
use crate::domain::role::Reach;

/// A school that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySchool {
    /// Its region, where its local authority lies in one.
    pub region: Option<Region>,
    /// Whether the files say with what judgements it entered the year.
    pub position: EntryPosition,
}

/// What the files say of the judgements that a school entered the year with, whatever people decided of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryPosition {
    /// They cannot say.
    Unknown,
    /// They do, as this sentence says.
    Known(String),
    /// The school counts under this newer URN.
    Superseded(Urn),
    /// No monthly file shows the school.
    NotInMonths,
    /// No rule of the programme asks for it.
    NotAsked,
}

/// What two people decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDecision {
    /// Of which school.
    pub urn: Urn,
    /// Whether the entry position is met.
    pub met: bool,
    /// The approval that carried it out.
    pub approval: ApprovalId,
    /// Who asked.
    pub asked_by: Actor,
    /// Who decided.
    pub given_by: Actor,
    /// The day.
    pub on: Date,
    /// The event.
    pub seq: Seq,
}

/// The id that a school has as the subject of approvals.
#[must_use]
pub fn subject_of(urn: Urn) -> Uuid {
    Uuid::from_u128(urn.get().into())
}

impl Approval {
    /// Whether it lies in somebody's reach: one about a school lies in its region, every other everywhere.
    #[must_use]
    pub fn lies_within(&self, reach: &Reach) -> bool {
        match &self.statement {
            Some(Statement::Entry { region, .. }) => reach.covers_school(*region),
            Some(Statement::Funds { .. } | Statement::Import { .. } | Statement::Offer { .. }) | None => true,
        }
    }
}

fn not_unknown(urn: Urn, message: String, remedy: impl Into<String>) -> Refusal {
    Refusal::of(Reason::EntryNotUnknown, message, Limit::plain("recipient", format!("school {urn}"), remedy))
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

impl Facts {
    /// Opens an approval to decide a school's entry position, or names the one that is open.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a school that no file names; [`Reason::EntryNotUnknown`]; [`Reason::ApprovalRequired`] where an
    /// approval about it is open; [`Reason::ProgrammeClosed`].
    pub(super) fn ask_entry(
        &self,
        urn: Urn,
        met: bool,
        reason: &str,
        context: &mut Context<'_>,
    ) -> Result<Decided, Fault> {
        let school = self.entry_schools.get(&urn).ok_or_else(|| Fault::NotFound(format!("school {urn}")))?;
        let known = school.position.because(urn).map(|(message, remedy)| not_unknown(urn, message, remedy));
        Refusal::none_of(known.into_iter().chain(self.decided_so(urn, met)).chain(self.book_closed()))?;
        let decides = |it: &&Approval| it.action == DECIDE_ENTRY;
        let open =
            self.approvals.about(subject_of(urn)).filter(decides).find(|it| it.state_at(context.now.at).is_open());
        if let Some(open) = open {
            return Err(required(open.id, &open.phrase()).into());
        }
        let approval = ApprovalId((context.ids)());
        let body = EventBody::ApprovalOpened {
            approval,
            action: DECIDE_ENTRY.to_owned(),
            change: None,
            statement: Some(self.entry_statement(urn, met, school)),
            expires_at: Some(self.expiry(context)),
            token_subject: context.subject,
        };
        let draft = Draft::of_book(context.now.today, body).with_text(Some(reason.to_owned()));
        let what = format!("deciding the entry position of school {urn}");
        Ok(Decided::new(vec![draft], Answer::ApprovalOpened(required(approval, &what))))
    }

    /// Gives an approval that decides a school's entry position, as a second person.
    ///
    /// # Errors
    /// [`Reason::ApprovalNotOpen`] where the files can say it by now, the school has moved to another region, or it was
    /// decided since; [`Reason::ProgrammeClosed`].
    pub(super) fn give_entry(
        &self,
        waiting: &Approval,
        (urn, met): (Urn, bool),
        context: &Context<'_>,
    ) -> Result<Decided, Fault> {
        let approval = waiting.id;
        let changed = match self.entry_schools.get(&urn) {
            None => {
                let difference = format!("no file names school {urn} any more");
                Some(statement::changed(approval, &("the school has gone", difference)))
            }
            Some(school) => match school.position.because(urn) {
                Some((why, _)) => Some(statement::changed(approval, &("the entry position is no longer unknown", why))),
                None => self.beyond(waiting, &self.entry_statement(urn, met, school)),
            },
        };
        Refusal::none_of(changed.into_iter().chain(self.book_closed()))?;
        let today = context.now.today;
        let given = Draft::of_book(today, EventBody::ApprovalGiven { approval, token_subject: context.subject });
        let decided = Draft::of_book(today, EventBody::EntryDecided { approval, urn, met });
        Ok(Decided::new(vec![given, decided], Answer::Approved(approval, Approved::Entry(urn))))
    }

    fn entry_statement(&self, urn: Urn, met: bool, school: &EntrySchool) -> Statement {
        Statement::Entry { urn, met, region: school.region, before: self.entry_decisions.get(&urn).map(|it| it.met) }
    }

    /// Refuses to decide again what is decided so.
    fn decided_so(&self, urn: Urn, met: bool) -> Option<Refusal> {
        let before = self.entry_decisions.get(&urn).filter(|it| it.met == met)?;
        let is = phrase(met);
        let message = format!("the entry position of school {urn} is decided already: {is}, event {}", before.seq.0);
        Some(not_unknown(urn, message, "nothing to do; ask for the contrary if that was a mistake"))
    }

    /// Refuses what is about a school, or an approval about a school, outside the caller's reach.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub(super) fn entry_within_reach(&self, command: &Command, reach: &Reach) -> Result<(), Fault> {
        match command {
            Command::DecideEntry { urn, .. } => match self.entry_schools.get(urn) {
                Some(school) if !reach.covers_school(school.region) => Err(Fault::NotFound(format!("school {urn}"))),
                _ => Ok(()),
            },
            Command::GiveApproval { approval, .. }
            | Command::DenyApproval { approval, .. }
            | Command::WithdrawApproval { approval, .. } => match self.approvals.get(approval) {
                Some(found) if !found.lies_within(reach) => Err(Fault::NotFound(format!("approval {approval}"))),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Keeps what two people decided.
    pub(super) fn note_entry(&mut self, (approval, urn, met): (ApprovalId, Urn, bool), event: &Event) {
        let Some(asked_by) = self.approvals.get(&approval).map(|it| it.requested_by.clone()) else {
            let seq = event.seq.0;
            self.broken.push(format!(
                "event {seq} decides the entry position of school {urn}: there is no approval {approval}"
            ));
            return;
        };
        let (given_by, on, seq) = (event.actor.clone(), event.effective, event.seq);
        self.entry_decisions.insert(urn, EntryDecision { urn, met, approval, asked_by, given_by, on, seq });
    }
}
