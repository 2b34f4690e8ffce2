//! Defines a pattern macro for all events about one kind of entity.

/// A pattern for every [`EventBody`](crate::event::EventBody) about one kind of entity, for a match that ignores these
/// events.
///
/// A match over events names each event that it handles, and ignores the others with this macro instead of `_`. When a
/// new event is added, the compiler then points to every match that has to handle it.
///
/// The kinds: `offer`, `school` (placed, or its entry position decided), `approval`, `fund`, `award`, `referral`, and
/// `record` (events that change how the record itself is read).
#[macro_export]
macro_rules! events_about {
    (offer) => {
        $crate::event::EventBody::Identified { .. }
            | $crate::event::EventBody::SchoolsAdded { .. }
            | $crate::event::EventBody::Contacted { .. }
            | $crate::event::EventBody::ContactCorrected { .. }
            | $crate::event::EventBody::Accepted { .. }
            | $crate::event::EventBody::Started { .. }
            | $crate::event::EventBody::DateCorrected { .. }
            | $crate::event::EventBody::Closed { .. }
            | $crate::event::EventBody::Reopened { .. }
            | $crate::event::EventBody::Assigned { .. }
            | $crate::event::EventBody::Noted { .. }
            | $crate::event::EventBody::RegionChanged { .. }
            | $crate::event::EventBody::ResponsibleBodyChanged { .. }
    };
    (school) => {
        $crate::event::EventBody::Placed { .. } | $crate::event::EventBody::EntryDecided { .. }
    };
    (approval) => {
        $crate::event::EventBody::ApprovalOpened { .. }
            | $crate::event::EventBody::ApprovalGiven { .. }
            | $crate::event::EventBody::ApprovalDenied { .. }
            | $crate::event::EventBody::ApprovalWithdrawn { .. }
    };
    (fund) => {
        $crate::event::EventBody::FundCreated { .. }
            | $crate::event::EventBody::FundAllocated { .. }
            | $crate::event::EventBody::FundWithdrawn { .. }
            | $crate::event::EventBody::FundsMoved { .. }
    };
    (award) => {
        $crate::event::EventBody::Awarded { .. }
            | $crate::event::EventBody::DaysBooked { .. }
            | $crate::event::EventBody::BookingCancelled { .. }
            | $crate::event::EventBody::BookingDelivered { .. }
            | $crate::event::EventBody::Drawn { .. }
            | $crate::event::EventBody::Released { .. }
            | $crate::event::EventBody::Refunded { .. }
            | $crate::event::EventBody::Undone { .. }
    };
    (referral) => {
        $crate::event::EventBody::ReferralRaised { .. }
            | $crate::event::EventBody::ReferralDiscussed { .. }
            | $crate::event::EventBody::ReferralApproved { .. }
            | $crate::event::EventBody::ReferralDeclined { .. }
            | $crate::event::EventBody::ReferralWithdrawn { .. }
            | $crate::event::EventBody::ReferralConfirmed { .. }
    };
    (record) => {
        $crate::event::EventBody::TextErased { .. } | $crate::event::EventBody::RulesAdopted { .. }
    };
    ($($entity_kind:ident),+) => {
        $($crate::events_about!($entity_kind))|+
    };
}
