//! Defines the properties of each kind of event: its name in the record, the entities that it is about, and whether it
//! changes the etag of an offer.

use uuid::Uuid;

use super::{Body, Event, EventBody, Seq};
use crate::award::Support;
use crate::events_about;
use crate::ids::{AccountId, ApprovalId, AwardId, OfferId, ReferralId};
use crate::offer::ListedSchool;
use crate::person::TokenSubject;

/// A pattern for every event that does not depend on the register or the imported files.
macro_rules! independent_of_register {
    () => {
        EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started { .. }
            | EventBody::DateCorrected { .. }
            | EventBody::Closed { .. }
            | EventBody::Reopened { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted { .. }
            | EventBody::RegionChanged { .. }
            | EventBody::DaysBooked { .. }
            | EventBody::BookingCancelled { .. }
            | EventBody::BookingDelivered { .. }
            | EventBody::Drawn { .. }
            | EventBody::Released { .. }
            | EventBody::Refunded { .. }
            | EventBody::Undone { .. }
            | EventBody::ReferralDiscussed { .. }
            | EventBody::ReferralDeclined { .. }
            | EventBody::ReferralWithdrawn { .. }
            | events_about!(approval, fund, record)
    };
}

impl EventBody {
    /// The names of all kinds, as [`Self::kind`] returns them.
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

    /// The names of the kinds that change the etag of their offer: see [`Self::changes_etag`].
    pub const KINDS_THAT_CHANGE_ETAG: [&str; 17] = [
        "identified",
        "schools_added",
        "contacted",
        "contact_corrected",
        "accepted",
        "started",
        "date_corrected",
        "closed",
        "reopened",
        "awarded",
        "days_booked",
        "booking_cancelled",
        "booking_delivered",
        "drawn",
        "released",
        "refunded",
        "undone",
    ];

    /// The name of its kind in the record.
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

    /// Whether the event depends on the register or the imported files. An award depends on the register if it names a
    /// partner, because the partner has to be a trust of the register.
    #[must_use]
    pub const fn depends_on_register(&self) -> bool {
        match self {
            Self::Awarded { support, .. } => matches!(support, Support::Credit { .. }),
            Self::Identified { .. }
            | Self::SchoolsAdded { .. }
            | Self::ResponsibleBodyChanged { .. }
            | Self::Placed { .. }
            | Self::EntryDecided { .. }
            | Self::ReferralRaised { .. }
            | Self::ReferralApproved { .. }
            | Self::ReferralConfirmed { .. } => true,
            independent_of_register!() => false,
        }
    }

    /// The number of the last event in the record of reference data when this event was decided. `None` if this event does not depend
    /// on the register or the files, or was recorded without that number.
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
            independent_of_register!() => None,
        }
    }

    /// Notes that the record of reference data ended with the event `at` when this event was decided. Changes nothing if this event
    /// does not depend on the register or the files.
    pub const fn set_register_seq(&mut self, at: Seq) {
        if !self.depends_on_register() {
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
            independent_of_register!() => {}
        }
    }

    /// Whether the event changes the etag of its offer. The etag covers the state, dates, schools, contacts and awards.
    #[must_use]
    pub const fn changes_etag(&self) -> bool {
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

    /// The award that the event is about; `None` if it is not about exactly one award.
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
            events_about!(offer, school, approval, fund, referral, record) => None,
        }
    }

    /// The token subject of the person who moved money of a fund: of an allocation, a withdrawal or a virement. `None` for every other
    /// event, or if the token subject was not recorded.
    #[must_use]
    pub const fn fund_mover_subject(&self) -> Option<TokenSubject> {
        match self {
            Self::FundAllocated { token_subject, .. }
            | Self::FundWithdrawn { token_subject, .. }
            | Self::FundsMoved { token_subject, .. } => *token_subject,
            Self::FundCreated { .. } | events_about!(offer, school, approval, award, referral, record) => None,
        }
    }

    /// The token subject of the actor; `None` if the body does not have it.
    #[must_use]
    pub const fn token_subject(&self) -> Option<TokenSubject> {
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
            Self::FundCreated { .. }
            | Self::ReferralDiscussed { .. }
            | Self::ReferralWithdrawn { .. }
            | Self::ReferralConfirmed { .. }
            | events_about!(offer, school, award, record) => None,
        }
    }

    /// The schools that the event adds to an offer; empty for another event.
    #[must_use]
    pub fn listed(&self) -> &[ListedSchool] {
        match self {
            Self::Identified { schools, .. } | Self::SchoolsAdded { schools, .. } => schools,
            Self::Contacted { .. }
            | Self::ContactCorrected { .. }
            | Self::Accepted { .. }
            | Self::Started {}
            | Self::DateCorrected { .. }
            | Self::Closed { .. }
            | Self::Reopened { .. }
            | Self::Assigned { .. }
            | Self::Noted {}
            | Self::RegionChanged { .. }
            | Self::ResponsibleBodyChanged { .. }
            | events_about!(school, approval, fund, award, referral, record) => &[],
        }
    }

    /// The event that this event undoes; `None` for another event.
    #[must_use]
    pub const fn undoes(&self) -> Option<Seq> {
        if let Self::Undone { undoes, .. } = self { Some(*undoes) } else { None }
    }

    /// The events whose texts this event reports as erased.
    #[must_use]
    pub fn erased_texts(&self) -> &[Seq] {
        match self {
            Self::TextErased { event } => std::slice::from_ref(event),
            Self::RulesAdopted { absent_texts, .. } => absent_texts,
            events_about!(offer, school, approval, fund, award, referral) => &[],
        }
    }

    /// The referral that the event is about; `None` if it is not about a referral.
    #[must_use]
    pub const fn referral(&self) -> Option<ReferralId> {
        match self {
            Self::ReferralRaised { referral, .. }
            | Self::ReferralDiscussed { referral, .. }
            | Self::ReferralApproved { referral, .. }
            | Self::ReferralDeclined { referral, .. }
            | Self::ReferralWithdrawn { referral }
            | Self::ReferralConfirmed { referral, .. } => Some(*referral),
            events_about!(offer, school, approval, fund, award, record) => None,
        }
    }
}

/// An entity that an event makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeEntity {
    /// An offer.
    Offer(OfferId),
    /// An award.
    Award(AwardId),
    /// An approval.
    Approval(ApprovalId),
    /// A fund.
    Fund(AccountId),
    /// A referral.
    Referral(ReferralId),
}

impl MadeEntity {
    /// Its id.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::Offer(id) => id.0,
            Self::Award(id) => id.0,
            Self::Approval(id) => id.0,
            Self::Fund(id) => id.0,
            Self::Referral(id) => id.0,
        }
    }
}

impl Event {
    /// The entity that the event makes; `None` if it makes none.
    #[must_use]
    pub fn made(&self) -> Option<MadeEntity> {
        match &self.body {
            EventBody::Identified { .. } => self.offer.map(MadeEntity::Offer),
            EventBody::Awarded { award, .. } => Some(MadeEntity::Award(*award)),
            EventBody::ApprovalOpened { approval, .. } => Some(MadeEntity::Approval(*approval)),
            EventBody::FundCreated { fund, .. } => Some(MadeEntity::Fund(*fund)),
            EventBody::ReferralRaised { referral, .. } => Some(MadeEntity::Referral(*referral)),
            EventBody::SchoolsAdded { .. }
            | EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Closed { .. }
            | EventBody::Reopened { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted {}
            | EventBody::RegionChanged { .. }
            | EventBody::ResponsibleBodyChanged { .. }
            | EventBody::ApprovalGiven { .. }
            | EventBody::ApprovalDenied { .. }
            | EventBody::ApprovalWithdrawn { .. }
            | EventBody::FundAllocated { .. }
            | EventBody::FundWithdrawn { .. }
            | EventBody::FundsMoved { .. }
            | EventBody::DaysBooked { .. }
            | EventBody::BookingCancelled { .. }
            | EventBody::BookingDelivered { .. }
            | EventBody::Drawn { .. }
            | EventBody::Released { .. }
            | EventBody::Refunded { .. }
            | EventBody::Undone { .. }
            | EventBody::ReferralDiscussed { .. }
            | EventBody::ReferralApproved { .. }
            | EventBody::ReferralDeclined { .. }
            | EventBody::ReferralWithdrawn { .. }
            | EventBody::ReferralConfirmed { .. }
            | events_about!(school, record) => None,
        }
    }
}

impl Body for EventBody {
    fn kind(&self) -> &'static str {
        self.kind()
    }
}
