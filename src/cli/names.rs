//! The names of enum values, and the format of instants, in arguments and in JSON.
//!
//! Arguments are kebab-case (`responsible-body`), JSON is snake_case (`responsible_body`). Arguments accept both, so that a value
//! can be copied from JSON.

use chrono::{DateTime, SecondsFormat};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use prost_types::Timestamp;

use crate::proto::{
    Acceptor, AwardState, DeclineReason, DiscussionPartner, DueKind, EntryPosition, ErasureReason, LeaderKind,
    Milestone, OfferState, Outcome, Party, Placement, ReferralOrigin, ReferralState, SummaryDimension,
};

/// Returns the JSON name of an enum value: `closed` for `OFFER_STATE_CLOSED` with the prefix `OFFER_STATE_`. `None` for the
/// unspecified value.
pub(super) fn name(proto_name: &str, prefix: &str) -> Option<String> {
    let short = proto_name.strip_prefix(prefix).unwrap_or(proto_name);
    (short != "UNSPECIFIED").then(|| short.to_ascii_lowercase())
}

/// Returns the JSON name of an enum value for a table; empty for the unspecified value.
pub(super) fn word(proto_name: &str, prefix: &str) -> String {
    name(proto_name, prefix).unwrap_or_default()
}

/// Formats an instant in UTC as RFC 3339, with 0, 3, 6 or 9 decimals of a second. `None` if the instant is not set or is out of
/// range.
pub(super) fn instant(time: Option<Timestamp>) -> Option<String> {
    let time = time?;
    let utc = DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)?;
    Some(utc.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Returns the value of a text field, or `None` if it is empty.
pub(super) fn optional_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// An enum of the contract that may be an argument.
pub(super) trait Choice: Copy + Send + Sync + 'static {
    /// Each value with its kebab-case name and its other names. One of its names is the JSON name.
    const ALL: &'static [(Self, &'static str, &'static [&'static str])];

    /// Returns the value with this name; `None` if there is none.
    fn named(typed: &str) -> Option<Self> {
        let choice = Self::ALL.iter().find(|(_, name, others)| *name == typed || others.contains(&typed));
        choice.map(|(value, ..)| *value)
    }
}

/// Returns a parser of arguments that are values of an enum.
pub(super) fn choice<E: Choice>() -> impl TypedValueParser<Value = E> {
    let values = E::ALL.iter().map(|(_, name, others)| PossibleValue::new(*name).aliases(others.iter().copied()));
    PossibleValuesParser::new(values).try_map(|typed| E::named(&typed).ok_or("there is no such value"))
}

/// Implements [`Choice`] for enums of the contract: each value with its kebab-case name and its aliases.
macro_rules! choices {
    ($($enum:ty { $($variant:ident = $name:literal $(| $alias:literal)*,)+ })+) => {$(
        impl Choice for $enum {
            const ALL: &'static [(Self, &'static str, &'static [&'static str])] =
                &[$((Self::$variant, $name, &[$($alias),*])),+];
        }
    )+};
}

choices! {
    OfferState {
        Identified = "identified",
        Contacted = "contacted",
        Accepted = "accepted",
        Delivering = "delivering",
        Closed = "closed",
    }
    AwardState {
        Open = "open",
        Settled = "settled",
    }
    LeaderKind {
        NationalLeader = "national-leader" | "national_leader",
        Equivalent = "equivalent",
    }
    Party {
        ResponsibleBody = "responsible-body" | "responsible_body",
        School = "school",
    }
    Acceptor {
        School = "school",
        Trust = "trust",
    }
    Milestone {
        Accepted = "accepted",
        Started = "started",
    }
    DeclineReason {
        SupportInPlace = "support-in-place" | "support_in_place",
        NoCapacity = "no-capacity" | "no_capacity",
        NotWanted = "not-wanted" | "not_wanted",
        ChangingTrust = "changing-trust" | "changing_trust",
        Other = "other",
    }
    Outcome {
        Completed = "completed",
        Declined = "declined",
        Withdrawn = "withdrawn",
        Lapsed = "lapsed",
        Ineligible = "ineligible",
        Superseded = "superseded",
    }
    ErasureReason {
        PersonalData = "personal-data" | "personal_data",
        Mistake = "mistake",
        RetentionEnded = "retention-ended" | "retention_ended",
    }
    SummaryDimension {
        Region = "region",
        State = "state",
        Assignee = "assignee",
        LocalAuthority = "local-authority" | "local_authority",
        RecipientKind = "recipient-kind" | "recipient_kind",
        Month = "month",
    }
    DueKind {
        FirstContact = "first-contact" | "first_contact",
        SchoolContact = "school-contact" | "school_contact",
        Acceptance = "acceptance",
        FirstDay = "first-day" | "first_day",
        Claim = "claim",
        Unclaimed = "unclaimed",
        Close = "close",
        ReferralDiscussion = "referral-discussion" | "referral_discussion",
        ReferralDecision = "referral-decision" | "referral_decision",
        Approval = "approval",
        LowFund = "low-fund" | "low_fund",
        Unplaced = "unplaced",
        Unknown = "unknown",
        Blocked = "blocked",
        RecipientChanged = "recipient-changed" | "recipient_changed",
        SchoolClosed = "school-closed" | "school_closed",
        NotEligible = "not-eligible" | "not_eligible",
    }
    ReferralOrigin {
        SelfIdentified = "self-identified" | "self_identified",
        Exceptional = "exceptional",
    }
    ReferralState {
        Open = "open",
        Approved = "approved",
        Declined = "declined",
        Withdrawn = "withdrawn",
        Confirmed = "confirmed",
    }
    DiscussionPartner {
        RegionalSchoolsCommissioner = "regional-schools-commissioner" | "regional_schools_commissioner" | "rsc",
        School = "school",
        Trust = "trust",
        ResponsibleBody = "responsible-body" | "responsible_body",
    }
    EntryPosition {
        Met = "met",
        NotMet = "not-met" | "not_met",
    }
    Placement {
        Maintained = "maintained",
        SingleAcademyTrust = "single-academy-trust" | "single_academy_trust",
        SingleSchoolMat = "single-school-mat" | "single_school_mat",
        Mat = "mat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ImportKind, RecipientKind};

    #[test]
    fn json_names_have_no_prefix_and_the_unspecified_value_has_no_name() {
        let cases = [
            (OfferState::Identified.as_str_name(), "OFFER_STATE_", Some("identified")),
            (RecipientKind::Standalone.as_str_name(), "RECIPIENT_KIND_", Some("standalone")),
            (Party::ResponsibleBody.as_str_name(), "PARTY_", Some("responsible_body")),
            (Placement::SingleSchoolMat.as_str_name(), "PLACEMENT_", Some("single_school_mat")),
            (ImportKind::Ofsted.as_str_name(), "IMPORT_KIND_", Some("ofsted")),
            (Outcome::Unspecified.as_str_name(), "OUTCOME_", None),
        ];
        for (proto_name, prefix, expected) in cases {
            assert_eq!(name(proto_name, prefix).as_deref(), expected, "{proto_name}");
        }
    }

    #[test]
    fn a_json_name_can_be_an_argument() {
        fn check<E: Choice + PartialEq + std::fmt::Debug>(proto_name: fn(&E) -> &'static str, prefix: &str) {
            for (value, ..) in E::ALL {
                let printed = name(proto_name(value), prefix).unwrap_or_default();
                assert_eq!(E::named(&printed).as_ref(), Some(value));
                assert_eq!(E::named(&printed.replace('_', "-")).as_ref(), Some(value));
            }
        }
        check::<OfferState>(OfferState::as_str_name, "OFFER_STATE_");
        check::<AwardState>(AwardState::as_str_name, "AWARD_STATE_");
        check::<LeaderKind>(LeaderKind::as_str_name, "LEADER_KIND_");
        check::<Party>(Party::as_str_name, "PARTY_");
        check::<Acceptor>(Acceptor::as_str_name, "ACCEPTOR_");
        check::<Milestone>(Milestone::as_str_name, "MILESTONE_");
        check::<DeclineReason>(DeclineReason::as_str_name, "DECLINE_REASON_");
        check::<Outcome>(Outcome::as_str_name, "OUTCOME_");
        check::<ErasureReason>(ErasureReason::as_str_name, "ERASURE_REASON_");
        check::<Placement>(Placement::as_str_name, "PLACEMENT_");
        check::<EntryPosition>(EntryPosition::as_str_name, "ENTRY_POSITION_");
        check::<DiscussionPartner>(DiscussionPartner::as_str_name, "DISCUSSION_PARTNER_");
        check::<ReferralState>(ReferralState::as_str_name, "REFERRAL_STATE_");
        check::<ReferralOrigin>(ReferralOrigin::as_str_name, "REFERRAL_ORIGIN_");
    }

    #[test]
    fn instants_are_utc() {
        // 2021-11-30T00:00:00Z is 1,638,230,400 seconds after the epoch.
        let time = Timestamp { seconds: 1_638_230_400, nanos: 5_000_000 };
        assert_eq!(instant(Some(time)).as_deref(), Some("2021-11-30T00:00:00.005Z"));
        assert_eq!(instant(None), None);
    }
}
