//! The commands of a programme.

pub mod referral;

use crate::Date;
use crate::award::claim::{IssuerKey, NewClaim};
use crate::award::{LeaderKind, Reference, Support};
use crate::event::Seq;
use crate::ids::{Actor, ApprovalId, AwardId, OfferId, Urn};
use crate::ledger::Amount;
use crate::ledger::fund_change::FundChange;
use crate::money::HalfDays;
use crate::offer::{Acceptor, DeclineReason, Milestone, Outcome, Party};
use crate::region::Region;
use crate::role::Action;
use crate::school::HandPlacement;
use crate::terms::StrandId;
use crate::values::record::ErasureReason;
pub use referral::ReferralCommand;

/// The offer a command is about, and the version the caller saw, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferTarget {
    /// The offer.
    pub offer: OfferId,
    /// The etag the caller saw.
    pub etag: Option<String>,
}

/// The award a command is about, and the version the caller saw, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardTarget {
    /// The award.
    pub award: AwardId,
    /// The etag the caller saw.
    pub etag: Option<String>,
}

/// Who made out the invoice that a refund takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundIssuer {
    /// By name.
    Named(String),
    /// As the record compares it.
    Key(IssuerKey),
}

/// One award to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAward {
    /// What the strand asks for.
    pub support: Support,
    /// How much, more than nothing.
    pub amount: Amount,
    /// The text that goes with it: an organisation, a reason. Not empty.
    pub text: String,
}

/// A change asked of a programme. Its fields are valid by themselves; whether it is allowed is decided against the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make offers to eligible recipients that have none.
    Identify,
    /// Record a contact on each of these offers, all or none.
    Contact {
        /// Which, with the school where the contact is with a school of a trust's offer.
        offers: Vec<(OfferTarget, Option<Urn>)>,
        /// With whom.
        party: Party,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Take a mistaken contact back.
    Correct {
        /// Which offer.
        offer: OfferTarget,
        /// The contact's number.
        contact: Seq,
        /// Free text.
        text: Option<String>,
    },
    /// Accept.
    Accept {
        /// Which offer.
        offer: OfferTarget,
        /// Who accepts.
        by: Acceptor,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Correct the day of the acceptance or of the start.
    CorrectDate {
        /// Which offer.
        offer: OfferTarget,
        /// Which of the two.
        milestone: Milestone,
        /// The day it was.
        on: Date,
        /// Why.
        reason: String,
    },
    /// Decline.
    Decline {
        /// Which offer.
        offer: OfferTarget,
        /// Why.
        reason: DeclineReason,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Start delivery.
    Start {
        /// Which offer.
        offer: OfferTarget,
        /// The day it happened.
        on: Date,
    },
    /// Close.
    Close {
        /// Which offer.
        offer: OfferTarget,
        /// How it ends.
        outcome: Outcome,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Ask to reopen: opens an approval.
    Reopen {
        /// Which offer.
        offer: OfferTarget,
        /// Why.
        reason: String,
    },
    /// Approve as the second person, which carries the call out.
    GiveApproval {
        /// Which approval.
        approval: ApprovalId,
        /// What giving it takes: it says so itself, from when it was opened.
        action: Action,
    },
    /// Deny as the second person: nothing is carried out.
    DenyApproval {
        /// Which approval.
        approval: ApprovalId,
        /// What denying it takes: the same as giving it.
        action: Action,
        /// Why.
        reason: String,
    },
    /// Withdraw an approval, as its requester.
    WithdrawApproval {
        /// Which.
        approval: ApprovalId,
        /// The permission that asking for it takes.
        action: Action,
    },
    /// Assign to somebody, or to nobody.
    Assign {
        /// Which offer.
        offer: OfferTarget,
        /// To whom.
        to: Option<Actor>,
    },
    /// Add a note.
    Note {
        /// Which offer.
        offer: OfferTarget,
        /// The note.
        text: String,
    },
    /// Move to another region.
    ChangeRegion {
        /// Which offer.
        offer: OfferTarget,
        /// To where.
        to: Region,
    },
    /// Place a school by hand.
    Place {
        /// Which school.
        urn: Urn,
        /// How.
        placement: HandPlacement,
        /// Why.
        reason: String,
    },
    /// Ask for the entry position of a school to be decided: opens an approval.
    DecideEntry {
        /// Which school.
        urn: Urn,
        /// Whether it is met.
        met: bool,
        /// The evidence seen.
        reason: String,
    },
    /// Erase the free text of an event.
    EraseText {
        /// The event.
        event: Seq,
        /// Why.
        reason: ErasureReason,
    },
    /// Make a fund, with nothing in it.
    CreateFund {
        /// The strand.
        strand: StrandId,
        /// The region; national when there is none.
        region: Option<Region>,
    },
    /// Move money in, out of, or between funds.
    ChangeFund {
        /// How.
        change: FundChange,
        /// The etag the caller saw, of the first fund of the change.
        etag: Option<String>,
        /// Free text.
        text: Option<String>,
    },
    /// Make awards under an offer, all or none.
    Award {
        /// Which offer.
        offer: OfferTarget,
        /// The awards, at least one.
        awards: Vec<NewAward>,
        /// The day; see [`crate::programme::decide::awards`] for what stands in for one not given.
        on: Option<Date>,
    },
    /// Book days of an award.
    BookDays {
        /// Which award.
        award: AwardTarget,
        /// How much, more than nothing.
        half_days: HalfDays,
        /// For when.
        on: Date,
        /// Who comes; the award's leader when not said.
        leader: Option<Actor>,
        /// Whether that is a national leader or an equivalent; as the award says of its own leader when not said.
        leader_kind: Option<LeaderKind>,
    },
    /// Cancel a booking.
    CancelBooking {
        /// Which award.
        award: AwardTarget,
        /// The booking's number.
        booking: Seq,
    },
    /// Draw on an award.
    Draw {
        /// Which award.
        award: AwardTarget,
        /// How much, more than nothing; all of the booking when not said.
        amount: Option<Amount>,
        /// The day.
        on: Date,
        /// The booking delivered.
        booking: Option<Seq>,
        /// The invoice it pays.
        invoice: Option<NewClaim>,
        /// Free text.
        text: Option<String>,
    },
    /// Give back what is committed.
    Release {
        /// Which award.
        award: AwardTarget,
        /// How much, more than nothing; all that is committed when not said.
        amount: Option<Amount>,
        /// The day.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Take back what was drawn.
    Refund {
        /// Which award.
        award: AwardTarget,
        /// How much, more than nothing.
        amount: Amount,
        /// The day.
        on: Date,
        /// The invoice refunded.
        invoice: Option<Reference>,
        /// Who made it out, where the award paid several of that reference.
        issuer: Option<RefundIssuer>,
        /// Why.
        reason: String,
    },
    /// Undo a mistaken draw, release or refund.
    Undo {
        /// Which award.
        award: AwardTarget,
        /// The event of the mistake.
        movement: Seq,
        /// Why.
        reason: String,
    },
    /// Raise a referral, discuss, decide or withdraw it.
    Refer(ReferralCommand),
}

impl Command {
    /// The permission it needs.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Identify
            | Self::Contact { .. }
            | Self::Correct { .. }
            | Self::Accept { .. }
            | Self::CorrectDate { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Assign { .. }
            | Self::Note { .. } => Action::WorkOffers,
            Self::Reopen { .. } => Action::Reopen,
            Self::GiveApproval { action, .. }
            | Self::DenyApproval { action, .. }
            | Self::WithdrawApproval { action, .. } => *action,
            Self::ChangeRegion { .. } => Action::ChangeRegion,
            Self::Place { .. } => Action::Place,
            Self::DecideEntry { .. } => Action::AskEntry,
            Self::EraseText { .. } => Action::EraseText,
            Self::CreateFund { .. } | Self::ChangeFund { .. } => Action::KeepFunds,
            Self::Award { .. } | Self::Release { .. } => Action::Award,
            Self::BookDays { .. } | Self::CancelBooking { .. } => Action::Deliver,
            // What an invoice claims is finance's to pay, in days too.
            Self::Draw { amount: Some(Amount::Pence(_)), .. }
            | Self::Draw { invoice: Some(_), .. }
            | Self::Refund { .. }
            | Self::Undo { .. } => Action::PayClaims,
            Self::Draw { .. } => Action::Deliver,
            Self::Refer(command) => command.action(),
        }
    }

    /// The day on which something happened that it records; `None` if it records what happens now, or plans something.
    #[must_use]
    pub const fn happened_on(&self) -> Option<Date> {
        match self {
            Self::Contact { on, .. }
            | Self::Accept { on, .. }
            | Self::CorrectDate { on, .. }
            | Self::Decline { on, .. }
            | Self::Start { on, .. }
            | Self::Close { on, .. }
            | Self::Draw { on, .. }
            | Self::Release { on, .. }
            | Self::Refund { on, .. } => Some(*on),
            Self::ChangeFund { change, .. } => Some(change.on()),
            Self::Award { on, .. } => *on,
            Self::Refer(command) => command.happened_on(),
            Self::Identify
            | Self::Correct { .. }
            | Self::Reopen { .. }
            | Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Assign { .. }
            | Self::Note { .. }
            | Self::ChangeRegion { .. }
            | Self::Place { .. }
            | Self::DecideEntry { .. }
            | Self::EraseText { .. }
            | Self::CreateFund { .. }
            | Self::BookDays { .. }
            | Self::CancelBooking { .. }
            | Self::Undo { .. } => None,
        }
    }

    /// The offers it names.
    #[must_use]
    pub fn offers(&self) -> Vec<OfferId> {
        match self {
            Self::Contact { offers, .. } => offers.iter().map(|(target, _)| target.offer).collect(),
            Self::Correct { offer, .. }
            | Self::Accept { offer, .. }
            | Self::CorrectDate { offer, .. }
            | Self::Decline { offer, .. }
            | Self::Start { offer, .. }
            | Self::Close { offer, .. }
            | Self::Reopen { offer, .. }
            | Self::Assign { offer, .. }
            | Self::Note { offer, .. }
            | Self::ChangeRegion { offer, .. }
            | Self::Award { offer, .. } => vec![offer.offer],
            Self::Identify
            | Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Place { .. }
            | Self::DecideEntry { .. }
            | Self::EraseText { .. }
            | Self::CreateFund { .. }
            | Self::ChangeFund { .. }
            | Self::BookDays { .. }
            | Self::CancelBooking { .. }
            | Self::Draw { .. }
            | Self::Release { .. }
            | Self::Refund { .. }
            | Self::Undo { .. }
            | Self::Refer(_) => Vec::new(),
        }
    }

    /// Whether it looks at the register and the monthly files.
    #[must_use]
    pub const fn reads_files(&self) -> bool {
        match self {
            Self::Identify | Self::DecideEntry { .. } | Self::GiveApproval { action: Action::DecideEntry, .. } => true,
            Self::Refer(command) => command.reads_files(),
            Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Contact { .. }
            | Self::Correct { .. }
            | Self::Accept { .. }
            | Self::CorrectDate { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::Assign { .. }
            | Self::Note { .. }
            | Self::ChangeRegion { .. }
            | Self::Place { .. }
            | Self::EraseText { .. }
            | Self::CreateFund { .. }
            | Self::ChangeFund { .. }
            | Self::Award { .. }
            | Self::BookDays { .. }
            | Self::CancelBooking { .. }
            | Self::Draw { .. }
            | Self::Release { .. }
            | Self::Refund { .. }
            | Self::Undo { .. } => false,
        }
    }

    /// The award it names, whose offer it concerns too.
    #[must_use]
    pub const fn award(&self) -> Option<AwardId> {
        match self {
            Self::BookDays { award, .. }
            | Self::CancelBooking { award, .. }
            | Self::Draw { award, .. }
            | Self::Release { award, .. }
            | Self::Refund { award, .. }
            | Self::Undo { award, .. } => Some(award.award),
            Self::Identify
            | Self::Contact { .. }
            | Self::Correct { .. }
            | Self::Accept { .. }
            | Self::CorrectDate { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Assign { .. }
            | Self::Note { .. }
            | Self::ChangeRegion { .. }
            | Self::Place { .. }
            | Self::DecideEntry { .. }
            | Self::EraseText { .. }
            | Self::CreateFund { .. }
            | Self::ChangeFund { .. }
            | Self::Award { .. }
            | Self::Refer(_) => None,
        }
    }
}
