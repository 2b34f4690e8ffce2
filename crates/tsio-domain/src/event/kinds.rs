//! The kinds of events: their names in the record, what each is about, and whether it changes what an offer's etag covers.

use super::{Body, EventBody, Seq};
use crate::award::Support;
use crate::ids::{AwardId, ReferralId};

impl EventBody {
    /// Every kind there is, as [`Self::kind`] answers it.
    pub const KINDS: [&str; 39] = [
        "identified",
        "schools_added",
        "contacted",
        "contact_corrected",
        "accepted",
        "started",
        "date_corrected",
        "closed",
        "reopened",
        "assigned",
        "noted",
        "region_changed",
        "responsible_body_changed",
        "placed",
        "entry_decided",
        "approval_opened",
        "approval_given",
        "approval_denied",
        "approval_withdrawn",
        "fund_created",
        "fund_allocated",
        "fund_withdrawn",
        "funds_moved",
        "awarded",
        "days_booked",
        "booking_cancelled",
        "booking_delivered",
        "drawn",
        "released",
        "refunded",
        "undone",
        "referral_raised",
        "referral_discussed",
        "referral_approved",
        "referral_declined",
        "referral_withdrawn",
        "referral_confirmed",
        "text_erased",
        "rules_adopted",
    ];

    /// The kind, as it is written in the record.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Identified { .. } => "identified",
            Self::SchoolsAdded { .. } => "schools_added",
            Self::Contacted { .. } => "contacted",
            Self::ContactCorrected { .. } => "contact_corrected",
            Self::Accepted { .. } => "accepted",
            Self::Started {} => "started",
            Self::DateCorrected { .. } => "date_corrected",
            Self::Closed { .. } => "closed",
            Self::Reopened { .. } => "reopened",
            Self::Assigned { .. } => "assigned",
            Self::Noted {} => "noted",
            Self::RegionChanged { .. } => "region_changed",
            Self::ResponsibleBodyChanged { .. } => "responsible_body_changed",
            Self::Placed { .. } => "placed",
            Self::EntryDecided { .. } => "entry_decided",
            Self::ApprovalOpened { .. } => "approval_opened",
            Self::ApprovalGiven { .. } => "approval_given",
            Self::ApprovalDenied { .. } => "approval_denied",
            Self::ApprovalWithdrawn { .. } => "approval_withdrawn",
            Self::FundCreated { .. } => "fund_created",
            Self::FundAllocated { .. } => "fund_allocated",
            Self::FundWithdrawn { .. } => "fund_withdrawn",
            Self::FundsMoved { .. } => "funds_moved",
            Self::Awarded { .. } => "awarded",
            Self::DaysBooked { .. } => "days_booked",
            Self::BookingCancelled { .. } => "booking_cancelled",
            Self::BookingDelivered { .. } => "booking_delivered",
            Self::Drawn { .. } => "drawn",
            Self::Released { .. } => "released",
            Self::Refunded { .. } => "refunded",
            Self::Undone { .. } => "undone",
            Self::ReferralRaised { .. } => "referral_raised",
            Self::ReferralDiscussed { .. } => "referral_discussed",
            Self::ReferralApproved { .. } => "referral_approved",
            Self::ReferralDeclined { .. } => "referral_declined",
            Self::ReferralWithdrawn { .. } => "referral_withdrawn",
            Self::ReferralConfirmed { .. } => "referral_confirmed",
            Self::TextErased { .. } => "text_erased",
            Self::RulesAdopted { .. } => "rules_adopted",
        }
    }

    /// Whether it rests on what the register or the files say. An award does where it names a partner, who has to be a trust
    /// of the register.
    #[must_use]
    pub const fn rests_on_register(&self) -> bool {
        matches!(
            self,
            Self::Identified { .. }
                | Self::SchoolsAdded { .. }
                | Self::ResponsibleBodyChanged { .. }
                | Self::Placed { .. }
                | Self::EntryDecided { .. }
                | Self::Awarded { support: Support::Credit { .. }, .. }
                | Self::ReferralRaised { .. }
                | Self::ReferralApproved { .. }
                | Self::ReferralConfirmed { .. }
        )
    }

    /// The event of the register's record after which it was decided, where that was recorded.
    #[must_use]
    pub const fn register_seq(&self) -> Option<Seq> {
        match self {
            Self::Identified { register_seq, .. }
            | Self::SchoolsAdded { register_seq, .. }
            | Self::ResponsibleBodyChanged { register_seq, .. }
            | Self::Placed { register_seq, .. }
            | Self::EntryDecided { register_seq, .. }
            | Self::Awarded { register_seq, .. }
            | Self::ReferralRaised { register_seq, .. }
            | Self::ReferralApproved { register_seq, .. }
            | Self::ReferralConfirmed { register_seq, .. } => *register_seq,
            _ => None,
        }
    }

    /// Has it cite this event of the register's record, if it rests on what that covers.
    pub const fn cite(&mut self, at: Seq) {
        if !self.rests_on_register() {
            return;
        }
        match self {
            Self::Identified { register_seq, .. }
            | Self::SchoolsAdded { register_seq, .. }
            | Self::ResponsibleBodyChanged { register_seq, .. }
            | Self::Placed { register_seq, .. }
            | Self::EntryDecided { register_seq, .. }
            | Self::Awarded { register_seq, .. }
            | Self::ReferralRaised { register_seq, .. }
            | Self::ReferralApproved { register_seq, .. }
            | Self::ReferralConfirmed { register_seq, .. } => *register_seq = Some(at),
            _ => {}
        }
    }

    /// Whether it changes what an offer's etag covers: its state, schools, contacts and awards.
    #[must_use]
    pub const fn moves_etag(&self) -> bool {
        match self {
            Self::Identified { .. }
            | Self::SchoolsAdded { .. }
            | Self::Contacted { .. }
            | Self::ContactCorrected { .. }
            | Self::Accepted { .. }
            | Self::Started {}
            | Self::DateCorrected { .. }
            | Self::Closed { .. }
            | Self::Reopened { .. }
            | Self::Awarded { .. }
            | Self::DaysBooked { .. }
            | Self::BookingCancelled { .. }
            | Self::BookingDelivered { .. }
            | Self::Drawn { .. }
            | Self::Released { .. }
            | Self::Refunded { .. }
            | Self::Undone { .. } => true,
            Self::Assigned { .. }
            | Self::Noted {}
            | Self::RegionChanged { .. }
            | Self::ResponsibleBodyChanged { .. }
            | Self::Placed { .. }
            | Self::EntryDecided { .. }
            | Self::ApprovalOpened { .. }
            | Self::ApprovalGiven { .. }
            | Self::ApprovalDenied { .. }
            | Self::ApprovalWithdrawn { .. }
            | Self::FundCreated { .. }
            | Self::FundAllocated { .. }
            | Self::FundWithdrawn { .. }
            | Self::FundsMoved { .. }
            | Self::ReferralRaised { .. }
            | Self::ReferralDiscussed { .. }
            | Self::ReferralApproved { .. }
            | Self::ReferralDeclined { .. }
            | Self::ReferralWithdrawn { .. }
            | Self::ReferralConfirmed { .. }
            | Self::TextErased { .. }
            | Self::RulesAdopted { .. } => false,
        }
    }

    /// The award it is about, if it is about one only.
    #[must_use]
    pub const fn award(&self) -> Option<AwardId> {
        match self {
            Self::Awarded { award, .. }
            | Self::DaysBooked { award, .. }
            | Self::BookingCancelled { award, .. }
            | Self::BookingDelivered { award, .. }
            | Self::Drawn { award, .. }
            | Self::Released { award, .. }
            | Self::Refunded { award, .. }
            | Self::Undone { award, .. } => Some(*award),
            _ => None,
        }
    }

    /// Whose token moved money of a fund.
    #[must_use]
    pub const fn mover(&self) -> Option<crate::person::TokenSubject> {
        match self {
            Self::FundAllocated { token_subject, .. }
            | Self::FundWithdrawn { token_subject, .. }
            | Self::FundsMoved { token_subject, .. } => *token_subject,
            _ => None,
        }
    }

    /// Whose token it was, where it says so.
    #[must_use]
    pub const fn token_subject(&self) -> Option<crate::person::TokenSubject> {
        match self {
            Self::ApprovalOpened { token_subject, .. }
            | Self::ApprovalGiven { token_subject, .. }
            | Self::ApprovalDenied { token_subject, .. }
            | Self::ApprovalWithdrawn { token_subject, .. }
            | Self::FundAllocated { token_subject, .. }
            | Self::FundWithdrawn { token_subject, .. }
            | Self::FundsMoved { token_subject, .. }
            | Self::ReferralRaised { token_subject, .. }
            | Self::ReferralApproved { token_subject, .. }
            | Self::ReferralDeclined { token_subject, .. } => *token_subject,
            _ => None,
        }
    }

    /// The schools that it puts on an offer.
    #[must_use]
    pub fn listed(&self) -> &[crate::offer::ListedSchool] {
        match self {
            Self::Identified { schools, .. } | Self::SchoolsAdded { schools, .. } => schools,
            _ => &[],
        }
    }

    /// The event that it undoes.
    #[must_use]
    pub const fn undoes(&self) -> Option<super::Seq> {
        match self {
            Self::Undone { undoes, .. } => Some(*undoes),
            _ => None,
        }
    }

    /// The referral it is about, if it is about one.
    #[must_use]
    pub const fn referral(&self) -> Option<ReferralId> {
        match self {
            Self::ReferralRaised { referral, .. }
            | Self::ReferralDiscussed { referral, .. }
            | Self::ReferralApproved { referral, .. }
            | Self::ReferralDeclined { referral, .. }
            | Self::ReferralWithdrawn { referral }
            | Self::ReferralConfirmed { referral, .. } => Some(*referral),
            _ => None,
        }
    }
}

impl Body for EventBody {
    fn kind(&self) -> &'static str {
        self.kind()
    }
}
