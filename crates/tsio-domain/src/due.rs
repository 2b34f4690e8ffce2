//! What needs attention in a programme: the kinds of items, and when a stage of an offer falls due.

use serde::{Deserialize, Serialize};

use super::Date;
use super::terms::Stage;
use super::values::named_enum;

named_enum! {
    /// Why an item needs attention. Items of one day are listed in this order.
    DueKind {
        /// The responsible body has not been contacted.
        FirstContact = "first_contact",
        /// The responsible body of a standalone school has been contacted, but not the school.
        SchoolContact = "school_contact",
        /// The offer was neither accepted nor closed.
        Acceptance = "acceptance",
        /// Delivery has not started.
        FirstDay = "first_day",
        /// A booked day has passed, and is neither delivered nor cancelled.
        Claim = "claim",
        /// Money of an award is still committed after the period in which awards are made.
        Unclaimed = "unclaimed",
        /// Nothing is committed any more, but the offer is open.
        Close = "close",
        /// A referral waits for a discussion with the regional schools commissioner.
        ReferralDiscussion = "referral_discussion",
        /// A referral was discussed, and waits for a decision.
        ReferralDecision = "referral_decision",
        /// An approval waits for the caller.
        Approval = "approval",
        /// Little is left of a fund.
        LowFund = "low_fund",
        /// An eligible school belongs to no kind of recipient.
        Unplaced = "unplaced",
        /// It is unknown whether a school is eligible.
        Unknown = "unknown",
        /// A predecessor of an eligible school is on another open offer.
        Blocked = "blocked",
        /// A school on an open offer belongs to another recipient by the newest register.
        RecipientChanged = "recipient_changed",
        /// A school on an open offer has closed.
        SchoolClosed = "school_closed",
        /// A school on an open offer is not eligible any more.
        NotEligible = "not_eligible",
    }
}

/// What an offer, an award or a booking waits for. The terms say how long each may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DueStage {
    /// An offer waits for the first contact.
    FirstContact,
    /// A standalone offer waits for the contact with the school.
    SchoolContact,
    /// An offer waits for its acceptance.
    Acceptance,
    /// An offer waits for its start.
    FirstDay,
    /// A booked day waits for its delivery.
    Claim,
    /// Money of an award waits for a claim.
    Unclaimed,
    /// An offer waits for its close.
    Close,
}

impl DueStage {
    /// All stages, in the order of their kinds.
    pub const ALL: [Self; 7] = [
        Self::FirstContact,
        Self::SchoolContact,
        Self::Acceptance,
        Self::FirstDay,
        Self::Claim,
        Self::Unclaimed,
        Self::Close,
    ];

    /// The kind of its items.
    #[must_use]
    pub const fn kind(self) -> DueKind {
        match self {
            Self::FirstContact => DueKind::FirstContact,
            Self::SchoolContact => DueKind::SchoolContact,
            Self::Acceptance => DueKind::Acceptance,
            Self::FirstDay => DueKind::FirstDay,
            Self::Claim => DueKind::Claim,
            Self::Unclaimed => DueKind::Unclaimed,
            Self::Close => DueKind::Close,
        }
    }

    /// The stage of the terms that limits it.
    #[must_use]
    pub const fn limit(self) -> Stage {
        match self {
            Self::FirstContact => Stage::FirstContact,
            Self::SchoolContact => Stage::SchoolContact,
            Self::Acceptance => Stage::Acceptance,
            Self::FirstDay => Stage::FirstDay,
            Self::Claim | Self::Unclaimed => Stage::Claim,
            Self::Close => Stage::Close,
        }
    }
}

/// The last day on which a stage that began on `since` is in time, if it may take this many days.
#[must_use]
pub fn due_date(since: Date, days: u32) -> Date {
    since.checked_add_days(chrono::Days::new(days.into())).unwrap_or(Date::MAX)
}

/// The first day on which a stage that is due on `due` began, if it may take this many days: the reverse of [`due_date`].
#[must_use]
pub fn since_date(due: Date, days: u32) -> Date {
    due.checked_sub_days(chrono::Days::new(days.into())).unwrap_or(Date::MIN)
}

/// Whether what is left of a fund is below this share of its allocation, in percent. A fund without an allocation is not low,
/// because nobody has given it money yet.
#[must_use]
pub fn is_low(available: i64, allocated: i64, percent: u32) -> bool {
    allocated > 0 && i128::from(available) * 100 < i128::from(allocated) * i128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_due_on_its_last_day() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let rows = [
            ("2021-10-05", 10, "2021-10-15"),
            ("2021-12-31", 1, "2022-01-01"),
            ("2022-02-28", 1, "2022-03-01"),
            ("2024-02-28", 1, "2024-02-29"),
            // The clocks go back on 31 October 2021: a day is a day of the calendar.
            ("2021-10-30", 2, "2021-11-01"),
        ];
        for (since, days, due) in rows {
            assert_eq!(due_date(day(since), days), day(due), "{since} and {days} days");
            assert_eq!(since_date(day(due), days), day(since), "{due} less {days} days");
        }
        assert_eq!(due_date(Date::MAX, 1), Date::MAX);
    }

    #[test]
    fn a_fund_is_low_below_the_share_and_not_at_it() {
        // available, allocated, percent, whether it is low
        let rows = [
            (999, 10_000, 10, true),
            (1_000, 10_000, 10, false),
            (0, 10_000, 10, true),
            (-1, 10_000, 10, true),
            (0, 0, 10, false),
            (-5, 0, 10, false),
            (i64::MAX, i64::MAX, 100, false),
            (i64::MAX - 1, i64::MAX, 100, true),
        ];
        for (available, allocated, percent, expected) in rows {
            assert_eq!(is_low(available, allocated, percent), expected, "{available} of {allocated}, {percent} %");
        }
    }
}
