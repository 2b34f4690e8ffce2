//! A decision of a command: its events, its answer, and what is worth knowing.

use chrono::Days;

use super::candidates::Identified;
use crate::Date;
use crate::event::{NewEvent, ReleasedAward, Seq};
use crate::ids::{AccountId, ApprovalId, AwardId, OfferId, ReferralId, Urn};
use crate::refusal::Refusal;
use crate::school::HandPlacement;
use crate::time::Now;

/// A decision: what to record and what to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The events to record, in order.
    pub drafts: Vec<NewEvent>,
    /// The answer.
    pub answer: CommandAnswer,
    /// Worth knowing.
    pub warnings: Vec<Warning>,
}

impl Decision {
    pub(super) const fn new(drafts: Vec<NewEvent>, answer: CommandAnswer) -> Self {
        Self { drafts, answer, warnings: Vec::new() }
    }

    /// Has the events that depend on the register or the files cite the event of its record that they were read after.
    pub(super) fn citing(mut self, register: Option<Seq>) -> Self {
        if let Some(at) = register {
            self.drafts.iter_mut().for_each(|draft| draft.body.cite(at));
        }
        self
    }

    pub(super) fn warn_of_dioceses(mut self, schools: usize) -> Self {
        if schools > 0 {
            self.warnings.push(Warning::DioceseUnknown(schools));
        }
        self
    }

    pub(super) fn warn_if_past(mut self, on: Date, now: Now) -> Self {
        self.warnings.extend(Warning::if_past(on, now));
        self
    }
}

/// What a command changed, as the caller is told. Offers are shown as they are once its events are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandAnswer {
    /// These offers.
    Offers(Vec<OfferId>),
    /// What identifying did.
    Identified(Identified),
    /// This school was placed.
    Placed {
        /// Which.
        urn: Urn,
        /// Its name.
        name: String,
        /// How.
        placement: HandPlacement,
    },
    /// This offer was closed, and these commitments given back with it.
    Closed(OfferId, Vec<ReleasedAward>),
    /// This approval was answered, and this changed by it.
    Approved(ApprovalId, Approved),
    /// These awards.
    Awards(Vec<AwardId>),
    /// These funds; of a virement the one it left first.
    Funds(Vec<AccountId>),
    /// This referral, and the offer that came of it.
    Referral(ReferralId, Option<OfferId>),
    /// The text of this event was erased.
    Erased(Seq),
    /// A second person has to approve: the caller is told by the refusal, after the approval has been recorded.
    ApprovalOpened(Refusal),
}

/// What an approval changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// An offer, reopened.
    Offer(OfferId),
    /// Funds; of a virement the one it left first.
    Funds(Vec<AccountId>),
    /// The entry position of this school.
    Entry(Urn),
    /// Nothing: it was denied.
    Nothing,
}

/// Worth knowing, and no reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The effective date lies more than 60 days before today.
    DateInThePast(Date),
    /// No date was given, and today would be outside: this one was taken.
    DateAssumed(Date),
    /// This much was drawn on this award on the same day already, without an invoice that would tell the two apart.
    DrawRepeated(Date),
    /// No file of establishments names so many schools: nobody knows whether they have a diocese, and the local authority was
    /// taken as their responsible body.
    DioceseUnknown(usize),
}

/// What is recorded late is fine; older than this many days, it is worth a warning (`domain.md` section 4).
const LATE_DAYS: u64 = 60;

impl Warning {
    /// Warns of a day that lies further back than what is merely recorded late.
    pub(in crate::programme) fn if_past(on: Date, now: Now) -> Option<Self> {
        let oldest = now.today.checked_sub_days(Days::new(LATE_DAYS))?;
        (on < oldest).then_some(Self::DateInThePast(on))
    }
}
