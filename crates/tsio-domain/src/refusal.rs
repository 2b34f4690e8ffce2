//! A refusal is an answer: it names every limit that binds, and what would lift it.
//!
//! Nothing here is an error of the machine; a lost connection is never a refusal.

use super::ids::ApprovalId;

/// Why a command was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The offer's state does not allow the command.
    StateNotAllowed,
    /// A contact that must come first is not on record.
    ContactMissing,
    /// The contact named is not one that can be corrected.
    ContactNotCorrectable,
    /// Whoever accepts cannot accept this kind of offer.
    AcceptorNotAllowed,
    /// The school is not on this offer.
    SchoolNotOnOffer,
    /// Delivery needs an award that is not yet settled.
    AwardMissing,
    /// Something has been drawn already.
    AlreadyDrawn,
    /// The programme has not ended.
    ProgrammeNotEnded,
    /// The programme is closed.
    ProgrammeClosed,
    /// The date lies before the programme.
    OutsideProgramme,
    /// A school of this offer is on another open offer.
    SchoolOnAnotherOffer,
    /// A second person has to approve.
    ApprovalRequired,
    /// The approval has been given already.
    ApprovalNotOpen,
    /// The call was made before, and its approval was denied, withdrawn, or has expired.
    ApprovalClosed,
    /// Carried out now, it would do more than the approval states.
    ApprovalExceeded,
    /// Only whoever asked for an approval may withdraw it.
    ApprovalOfAnother,
    /// Whoever asked may not approve.
    SelfApproval,
    /// The register places the school; a hand placement is for schools it places nowhere.
    AlreadyPlaced,
    /// The entry position is not unknown: the files say it, another URN counts, or it is decided so already.
    EntryNotUnknown,
    /// The trust is closed, or of another kind than the placement says.
    TrustNotSuitable,
    /// Files of one date disagree on a URN.
    ImportDisagrees,
    /// The import is not one that counts.
    ImportNotLanded,
    /// Other terms are loaded for this programme.
    TermsInUse,
    /// The offer's cap for the strand cannot bear it.
    CapExceeded,
    /// The fund cannot bear it.
    FundsInsufficient,
    /// There is no fund for the strand and region.
    FundMissing,
    /// There is a fund for the strand and region already.
    FundExists,
    /// The fund is over-committed: nothing can be promised from it or moved out of it.
    FundOverCommitted,
    /// The terms do not offer this strand to this kind of recipient.
    StrandNotOffered,
    /// The partner is no open multi-academy trust, or is the school's own trust.
    PartnerNotSuitable,
    /// The provider is not on the list of the terms.
    ProviderNotAccredited,
    /// The date lies outside the window of the terms.
    OutsideWindow,
    /// The date lies before what has to come first, or after what rests on it.
    DateOrder,
    /// The award has less than that to draw, release, book or refund.
    AwardExceeded,
    /// The amount is of another unit than the award.
    UnitMismatch,
    /// The event named is no draw, release or refund that can be undone.
    MovementNotUndoable,
    /// The booking named is not one that is still to come.
    BookingNotOpen,
    /// Nothing says who comes for the booking.
    BookingLeaderMissing,
    /// The leader's fees are paid by another award of the programme.
    LeaderFunded,
    /// An NPQEL claim is paid against the provider's invoice, and a refund names which one.
    InvoiceMissing,
    /// The invoice is of another issuer than the award's provider, or the award has none.
    InvoiceNotExpected,
    /// The invoice has been paid already.
    InvoicePaid,
    /// The event was recorded without a text.
    NoText,
    /// The text has been erased already.
    TextErased,
    /// Nothing says who made the invoice out.
    ClaimIssuerMissing,
    /// Another total of the invoice was stated before.
    ClaimTotalDiffers,
    /// It is more than is left of the invoice's total.
    ClaimTotalExceeded,
    /// An account cannot count that much.
    AmountTooLarge,
    /// A virement names one fund twice.
    SameFund,
    /// The school or trust is referred already.
    ReferralOpen,
    /// The referral has been decided or withdrawn.
    ReferralNotOpen,
    /// No offer can come of it for this school or trust.
    CannotBeReferred,
    /// The ground is not in effect on that day.
    GroundNotInEffect,
    /// No discussion is on record that was held by the day of the decision.
    DiscussionMissing,
}

impl Reason {
    /// The reason on the wire, UPPER_SNAKE.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::StateNotAllowed => "STATE_NOT_ALLOWED",
            Self::ContactMissing => "CONTACT_MISSING",
            Self::ContactNotCorrectable => "CONTACT_NOT_CORRECTABLE",
            Self::AcceptorNotAllowed => "ACCEPTOR_NOT_ALLOWED",
            Self::SchoolNotOnOffer => "SCHOOL_NOT_ON_OFFER",
            Self::AwardMissing => "AWARD_MISSING",
            Self::AlreadyDrawn => "ALREADY_DRAWN",
            Self::ProgrammeNotEnded => "PROGRAMME_NOT_ENDED",
            Self::ProgrammeClosed => "PROGRAMME_CLOSED",
            Self::OutsideProgramme => "OUTSIDE_PROGRAMME",
            Self::SchoolOnAnotherOffer => "SCHOOL_ON_ANOTHER_OFFER",
            Self::ApprovalRequired => "APPROVAL_REQUIRED",
            Self::ApprovalNotOpen => "APPROVAL_NOT_OPEN",
            Self::ApprovalClosed => "APPROVAL_CLOSED",
            Self::ApprovalExceeded => "APPROVAL_EXCEEDED",
            Self::ApprovalOfAnother => "APPROVAL_OF_ANOTHER",
            Self::SelfApproval => "SELF_APPROVAL",
            Self::AlreadyPlaced => "ALREADY_PLACED",
            Self::EntryNotUnknown => "ENTRY_NOT_UNKNOWN",
            Self::TrustNotSuitable => "TRUST_NOT_SUITABLE",
            Self::ImportDisagrees => "IMPORT_DISAGREES",
            Self::ImportNotLanded => "IMPORT_NOT_LANDED",
            Self::TermsInUse => "TERMS_IN_USE",
            Self::CapExceeded => "CAP_EXCEEDED",
            Self::FundsInsufficient => "FUNDS_INSUFFICIENT",
            Self::FundMissing => "FUND_MISSING",
            Self::FundExists => "FUND_EXISTS",
            Self::FundOverCommitted => "FUND_OVER_COMMITTED",
            Self::StrandNotOffered => "STRAND_NOT_OFFERED",
            Self::PartnerNotSuitable => "PARTNER_NOT_SUITABLE",
            Self::ProviderNotAccredited => "PROVIDER_NOT_ACCREDITED",
            Self::OutsideWindow => "OUTSIDE_WINDOW",
            Self::DateOrder => "DATE_ORDER",
            Self::AwardExceeded => "AWARD_EXCEEDED",
            Self::UnitMismatch => "UNIT_MISMATCH",
            Self::MovementNotUndoable => "MOVEMENT_NOT_UNDOABLE",
            Self::BookingNotOpen => "BOOKING_NOT_OPEN",
            Self::BookingLeaderMissing => "BOOKING_LEADER_MISSING",
            Self::LeaderFunded => "LEADER_FUNDED",
            Self::InvoiceMissing => "INVOICE_MISSING",
            Self::InvoiceNotExpected => "INVOICE_NOT_EXPECTED",
            Self::InvoicePaid => "INVOICE_PAID",
            Self::NoText => "NO_TEXT",
            Self::TextErased => "TEXT_ERASED",
            Self::ClaimIssuerMissing => "CLAIM_ISSUER_MISSING",
            Self::ClaimTotalDiffers => "CLAIM_TOTAL_DIFFERS",
            Self::ClaimTotalExceeded => "CLAIM_TOTAL_EXCEEDED",
            Self::AmountTooLarge => "AMOUNT_TOO_LARGE",
            Self::SameFund => "SAME_FUND",
            Self::ReferralOpen => "REFERRAL_OPEN",
            Self::ReferralNotOpen => "REFERRAL_NOT_OPEN",
            Self::CannotBeReferred => "CANNOT_BE_REFERRED",
            Self::GroundNotInEffect => "GROUND_NOT_IN_EFFECT",
            Self::DiscussionMissing => "DISCUSSION_MISSING",
        }
    }
}

/// One limit that binds. The numbers are there where the limit is a number (pence or half-days).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limit {
    /// `state`, `contact`, `approval`, `period`, `cap`, `fund`, `as_of`, `award`, `recipient`, `referral`, `import`,
    /// `terms`.
    pub kind: &'static str,
    /// What it is a limit of.
    pub account: String,
    /// `pence`, `half_days`, or empty.
    pub unit: &'static str,
    /// The limit.
    pub limit: Option<i64>,
    /// Committed against it already.
    pub committed: Option<i64>,
    /// Spent against it already.
    pub spent: Option<i64>,
    /// What is left.
    pub available: Option<i64>,
    /// What was asked for.
    pub requested: Option<i64>,
    /// The largest amount this limit alone would have let pass.
    pub largest: Option<i64>,
    /// What would lift it, one sentence.
    pub remedy: String,
}

impl Limit {
    /// A limit that is no number.
    #[must_use]
    pub fn plain(kind: &'static str, account: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, account: account.into(), remedy: remedy.into(), ..Self::default() }
    }
}

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// One sentence for a person.
    pub message: String,
    /// Every limit that binds.
    pub limits: Vec<Limit>,
    /// The largest amount that would have passed all of them, where an amount is involved.
    pub largest: Option<i64>,
    /// The approval that was opened, for [`Reason::ApprovalRequired`].
    pub approval: Option<ApprovalId>,
}

impl Refusal {
    /// A refusal for one limit that is no number.
    #[must_use]
    pub fn of(reason: Reason, message: impl Into<String>, limit: Limit) -> Self {
        Self { reason, message: message.into(), limits: vec![limit], largest: None, approval: None }
    }

    /// Passes when there is none.
    ///
    /// # Errors
    /// All of them as one: the first one's reason, everybody's limits.
    pub fn none_of(refusals: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut all = refusals.into_iter();
        let Some(mut joined) = all.next() else { return Ok(()) };
        let mut more = 0_usize;
        for refusal in all {
            more = more.saturating_add(1);
            joined.limits.extend(refusal.limits);
        }
        if more > 0 {
            joined.message = format!("{} (and {more} more)", joined.message);
        }
        Err(joined)
    }
}

/// What would lift a limit, where there is more than one way: `award at most £6,000, or release first ...`.
pub(crate) fn one_of(ways: &[Option<String>]) -> String {
    let ways: Vec<&str> = ways.iter().flatten().map(String::as_str).collect();
    ways.join(", or ")
}
