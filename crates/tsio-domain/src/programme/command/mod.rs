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

/// The offer that a command changes, with the caller's etag if it sent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferTarget {
    /// The offer.
    pub offer: OfferId,
    /// The caller's etag.
    pub etag: Option<String>,
}

/// The award that a command changes, with the caller's etag if it sent one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardTarget {
    /// The award.
    pub award: AwardId,
    /// The caller's etag.
    pub etag: Option<String>,
}

/// The issuer of the invoice that is refunded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundIssuer {
    /// By name.
    Named(String),
    /// By the key with which issuers are compared.
    Key(IssuerKey),
}

/// An award that a command makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAward {
    /// The strand, and the details that it needs.
    pub support: Support,
    /// The amount, greater than zero.
    pub amount: Amount,
    /// Its text, not empty: an organisation or a reason, depending on the strand.
    pub text: String,
}

/// A requested change of a programme. Each field is valid by itself. [`ProgrammeState::decide`](super::ProgrammeState::decide)
/// decides whether the change is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make offers to eligible recipients that have no offer, and add schools that became eligible to open offers.
    Identify,
    /// Record a contact on each of these offers, or on none of them.
    Contact {
        /// The offers. If the offer is to a trust and one of its schools was contacted, also the URN of that school.
        offers: Vec<(OfferTarget, Option<Urn>)>,
        /// The party that was contacted.
        party: Party,
        /// The day on which it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Take back a mistaken contact.
    Correct {
        /// The offer.
        offer: OfferTarget,
        /// The number of the event that recorded the contact.
        contact: Seq,
        /// Free text.
        text: Option<String>,
    },
    /// Accept an offer.
    Accept {
        /// The offer.
        offer: OfferTarget,
        /// Who accepts.
        by: Acceptor,
        /// The day on which it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Correct the date of the acceptance or of the start of delivery.
    CorrectDate {
        /// The offer.
        offer: OfferTarget,
        /// The date to correct.
        milestone: Milestone,
        /// The correct date.
        on: Date,
        /// The reason.
        reason: String,
    },
    /// Decline an offer.
    Decline {
        /// The offer.
        offer: OfferTarget,
        /// The reason.
        reason: DeclineReason,
        /// The day on which it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Start delivery.
    Start {
        /// The offer.
        offer: OfferTarget,
        /// The day on which it happened.
        on: Date,
    },
    /// Close an offer.
    Close {
        /// The offer.
        offer: OfferTarget,
        /// The outcome.
        outcome: Outcome,
        /// The day on which it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Ask to reopen an offer. This opens an approval.
    Reopen {
        /// The offer.
        offer: OfferTarget,
        /// The reason.
        reason: String,
    },
    /// Give an approval as the second person. This carries out the requested change.
    GiveApproval {
        /// The approval.
        approval: ApprovalId,
        /// The permission that is needed to give this approval. It depends on what the approval is for.
        permission: Action,
    },
    /// Deny an approval as the second person. The requested change is not carried out.
    DenyApproval {
        /// The approval.
        approval: ApprovalId,
        /// The permission that is needed to deny this approval: the same as to give it.
        permission: Action,
        /// The reason.
        reason: String,
    },
    /// Withdraw an approval, as its requester.
    WithdrawApproval {
        /// The approval.
        approval: ApprovalId,
        /// The permission that was needed to request this approval. Its requester still needs it.
        permission: Action,
    },
    /// Assign an offer to a person, or remove its assignee.
    Assign {
        /// The offer.
        offer: OfferTarget,
        /// The new assignee. None removes the assignee.
        to: Option<Actor>,
    },
    /// Add a note to an offer.
    Note {
        /// The offer.
        offer: OfferTarget,
        /// The note.
        text: String,
    },
    /// Move an offer to another region.
    ChangeRegion {
        /// The offer.
        offer: OfferTarget,
        /// The new region.
        to: Region,
    },
    /// Place a school by hand.
    Place {
        /// The school.
        urn: Urn,
        /// The placement.
        placement: HandPlacement,
        /// The reason.
        reason: String,
    },
    /// Ask to decide the entry position of a school. This opens an approval.
    DecideEntry {
        /// The school.
        urn: Urn,
        /// Whether the entry position is met.
        met: bool,
        /// A text that says on what evidence the caller bases the answer.
        reason: String,
    },
    /// Erase the free text of an event.
    EraseText {
        /// The event.
        event: Seq,
        /// The reason.
        reason: ErasureReason,
    },
    /// Create an empty fund.
    CreateFund {
        /// The strand.
        strand: StrandId,
        /// The region. None for a national fund.
        region: Option<Region>,
    },
    /// Allocate money to a fund, withdraw it, or move it from one fund to another.
    ChangeFund {
        /// The movement.
        change: FundChange,
        /// The caller's etag of the fund that changes; for a virement, of the fund that the money leaves.
        etag: Option<String>,
        /// Free text.
        text: Option<String>,
    },
    /// Make all of these awards under an offer, or none of them.
    Award {
        /// The offer.
        offer: OfferTarget,
        /// The awards, at least one.
        awards: Vec<NewAward>,
        /// The date, by default today. After the award window the default is the day on which the offer was accepted, or the nearest
        /// day within the window.
        on: Option<Date>,
    },
    /// Book days of an award.
    BookDays {
        /// The award.
        award: AwardTarget,
        /// The number of half-days, greater than zero.
        half_days: HalfDays,
        /// The day of the visit.
        on: Date,
        /// The leader; by default the leader of the award.
        leader: Option<Actor>,
        /// The kind of the leader. By default, for the award's own leader the kind in the award; for another leader none is
        /// recorded. A leader of governance has no kind.
        leader_kind: Option<LeaderKind>,
    },
    /// Cancel a booking.
    CancelBooking {
        /// The award.
        award: AwardTarget,
        /// The number of the event that recorded the booking.
        booking: Seq,
    },
    /// Draw on an award.
    Draw {
        /// The award.
        award: AwardTarget,
        /// The amount, greater than zero. If a booking was delivered, the default is the days of the booking; otherwise an amount is
        /// needed. A delivered booking of governance support has no amount.
        amount: Option<Amount>,
        /// The day on which it happened.
        on: Date,
        /// The number of the event that recorded the booking, if a booking was delivered.
        booking: Option<Seq>,
        /// The invoice that the draw pays, if any.
        invoice: Option<NewClaim>,
        /// Free text.
        text: Option<String>,
    },
    /// Release a committed amount.
    Release {
        /// The award.
        award: AwardTarget,
        /// The amount, greater than zero; by default all that is committed and not booked.
        amount: Option<Amount>,
        /// The day on which it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Take back an amount that was drawn.
    Refund {
        /// The award.
        award: AwardTarget,
        /// The amount, greater than zero.
        amount: Amount,
        /// The day on which it happened.
        on: Date,
        /// The invoice that is refunded, if any.
        invoice: Option<Reference>,
        /// The issuer of the invoice. Needed if the award paid invoices of several issuers with this reference. Payments that are
        /// fully refunded do not count.
        issuer: Option<RefundIssuer>,
        /// The reason.
        reason: String,
    },
    /// Undo a mistaken draw, release or refund.
    Undo {
        /// The award.
        award: AwardTarget,
        /// The number of the event that recorded the mistaken movement.
        movement: Seq,
        /// The reason.
        reason: String,
    },
    /// Raise, discuss, decide or withdraw a referral.
    Refer(ReferralCommand),
}

impl Command {
    /// The permission that this command needs.
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
            Self::GiveApproval { permission, .. }
            | Self::DenyApproval { permission, .. }
            | Self::WithdrawApproval { permission, .. } => *permission,
            Self::ChangeRegion { .. } => Action::ChangeRegion,
            Self::Place { .. } => Action::Place,
            // This command only asks for the decision. The second person needs `Action::DecideEntry`.
            Self::DecideEntry { .. } => Action::AskEntry,
            Self::EraseText { .. } => Action::EraseText,
            Self::CreateFund { .. } | Self::ChangeFund { .. } => Action::KeepFunds,
            Self::Award { .. } | Self::Release { .. } => Action::Award,
            Self::BookDays { .. } | Self::CancelBooking { .. } => Action::Deliver,
            // Paying an invoice is the task of finance, even if the amount is in days.
            Self::Draw { amount: Some(Amount::Pence(_)), .. }
            | Self::Draw { invoice: Some(_), .. }
            | Self::Refund { .. }
            | Self::Undo { .. } => Action::PayClaims,
            Self::Draw { .. } => Action::Deliver,
            Self::Refer(command) => command.action(),
        }
    }

    /// The date of the past action that this command records. None if the action happens now or is planned, or if an award has no
    /// date.
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

    /// The offers that this command names.
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

    /// Whether deciding this command needs the register and the monthly files.
    #[must_use]
    pub const fn reads_files(&self) -> bool {
        match self {
            Self::Identify | Self::DecideEntry { .. } | Self::GiveApproval { permission: Action::DecideEntry, .. } => {
                true
            }
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

    /// The award that this command names, if any. The command then concerns the award's offer too.
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
