//! Defines the decision of a command: its events, its answer and its warnings.

use chrono::Days;

use super::candidates::IdentifyReport;
use crate::Date;
use crate::event::{NewEvent, ReleasedAward, Seq};
use crate::ids::{AccountId, ApprovalId, AwardId, OfferId, ReferralId, Urn};
use crate::refusal::Refusal;
use crate::school::HandPlacement;
use crate::time::Now;

/// The decision of a command: the events to record, the answer and the warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The events to record, in order.
    pub events: Vec<NewEvent>,
    /// The answer.
    pub answer: CommandAnswer,
    /// Warnings for the caller. They do not prevent the command.
    pub warnings: Vec<Warning>,
}

impl Decision {
    pub(super) const fn new(drafts: Vec<NewEvent>, answer: CommandAnswer) -> Self {
        Self { events: drafts, answer, warnings: Vec::new() }
    }

    /// Stores `register_seq` in each event that depends on the register or the files. This is the number of the last event in the
    /// record of reference data (`register`) when the register or the files were read.
    pub(super) fn citing(mut self, register_seq: Option<Seq>) -> Self {
        if let Some(seq) = register_seq {
            self.events.iter_mut().for_each(|draft| draft.body.set_register_seq(seq));
        }
        self
    }

    /// Adds a warning with the number of schools whose diocese is unknown, unless that number is 0.
    pub(super) fn warn_of_dioceses(mut self, schools: usize) -> Self {
        if schools > 0 {
            self.warnings.push(Warning::DioceseUnknown(schools));
        }
        self
    }

    /// Adds a warning if `on` is more than [`LATE_DAYS`] days ago.
    pub(super) fn warn_if_past(mut self, on: Date, now: Now) -> Self {
        self.warnings.extend(Warning::if_past(on, now));
        self
    }
}

/// What a command changed, for the answer to the caller. The answer shows offers as they are after the events are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandAnswer {
    /// The offers that changed.
    Offers(Vec<OfferId>),
    /// The result of identify.
    Identified(IdentifyReport),
    /// The school was placed by hand.
    Placed {
        /// The school.
        urn: Urn,
        /// Its name.
        name: String,
        /// The placement.
        placement: HandPlacement,
    },
    /// The offer was closed, and these commitments were released with it.
    Closed(OfferId, Vec<ReleasedAward>),
    /// The approval that was given, denied or withdrawn, and what that changed.
    Approved(ApprovalId, Approved),
    /// The awards that changed.
    Awards(Vec<AwardId>),
    /// The funds that changed. For a virement, the fund that the money left is first.
    Funds(Vec<AccountId>),
    /// The referral that changed, and its offer if the command approved it.
    Referral(ReferralId, Option<OfferId>),
    /// The event whose text was erased.
    Erased(Seq),
    /// A second person has to approve. The open approval is recorded, and the caller gets this refusal, which names it.
    ApprovalOpened(Refusal),
}

/// What changed when an approval was given, denied or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// The offer was reopened.
    Offer(OfferId),
    /// Money was moved in these funds. For a virement, the fund that the money left is first.
    Funds(Vec<AccountId>),
    /// The entry position of the school was decided.
    Entry(Urn),
    /// Nothing changed: the approval was denied or withdrawn.
    Nothing,
}

/// A warning for the caller. It does not prevent the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The effective date is more than 60 days before today.
    DateInThePast(Date),
    /// The command had no date and the award window has passed, so this date was used.
    DateAssumed(Date),
    /// The same amount was already drawn on the same award and day, and neither draw names an invoice to tell them apart.
    DrawRepeated(Date),
    /// No file of establishments names this many schools, so it is unknown whether they have a diocese. The local authority was
    /// used as their responsible body.
    DioceseUnknown(usize),
}

/// A date that is more than this number of days ago causes a warning (`domain.md` section 4). It is still allowed.
const LATE_DAYS: u64 = 60;

impl Warning {
    /// Returns a warning if `on` is more than [`LATE_DAYS`] days ago.
    pub(in crate::programme) fn if_past(on: Date, now: Now) -> Option<Self> {
        let oldest = now.today.checked_sub_days(Days::new(LATE_DAYS))?;
        (on < oldest).then_some(Self::DateInThePast(on))
    }
}
