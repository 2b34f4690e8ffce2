//! Defines the refusals of commands about referrals. A function that may have nothing to refuse returns none in that case.

use crate::Date;
use crate::ids::Urn;
use crate::offer::Recipient;
use crate::referral::{Discussion, DiscussionPartner, Referral};
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};
use crate::rules::RulesVersion;
use crate::school::SchoolEnding;
use crate::terms::Ground;

/// The refusal to refer a school, a trust or a recipient. `reason` completes the sentence "cannot be referred: ...".
pub(in crate::programme) fn not_referable(subject: impl Into<LimitSubject>, reason: String, remedy: &str) -> Refusal {
    let subject = subject.into();
    let message = format!("{subject} cannot be referred: {reason}");
    Refusal::of(Reason::CannotBeReferred, message, Limit::plain(LimitKind::Recipient, subject, remedy))
}

/// The refusal to refer a school together with schools that have another recipient, because one offer cannot list them all.
pub(in crate::programme) fn not_together(urn: Urn, recipient: Recipient) -> Refusal {
    let reason = format!("its offer would be one to {recipient}, and not to the recipient of the others");
    let remedy = "refer each by itself; one that was raised for several of them is withdrawn first";
    not_referable(urn, reason, remedy)
}

/// The remedy in the refusal of a school that has closed.
pub(in crate::programme) fn remedy_of_closed(ending: Option<&SchoolEnding>) -> &'static str {
    if ending.is_some_and(|it| !it.successors.is_empty()) {
        "refer its successor"
    } else {
        "import a newer register if the school is open"
    }
}

/// Refuses a ground on a day on which it is not in effect.
pub(in crate::programme) fn not_in_effect(ground: &Ground, on: Date) -> Option<Refusal> {
    (!ground.in_effect.contains(on)).then(|| {
        let (from, to) = (ground.in_effect.from, ground.in_effect.to);
        let remedy = format!("raise it between {from} and {to}, or on another ground");
        let limit = Limit::plain(LimitKind::Period, LimitSubject::Ground(ground.id.clone()), remedy);
        let message = format!("the ground {} is in effect from {from} to {to}, not on {on}", ground.id);
        Refusal::of(Reason::GroundNotInEffect, message, limit)
    })
}

/// Refuses a day before the referral was raised.
pub(in crate::programme) fn before_raised(referral: &Referral, on: Date) -> Option<Refusal> {
    (on < referral.raised_on).then(|| {
        let remedy = format!("give a date on or after {}", referral.raised_on);
        let limit = Limit::plain(LimitKind::Period, referral.id, remedy);
        Refusal::of(Reason::OutsideWindow, format!("{on} lies before the referral was raised"), limit)
    })
}

/// Refuses a decision by the person who raised the referral ("never by the person who raised it").
pub(in crate::programme) fn own_referral(referral: &Referral, is_raiser: bool) -> Option<Refusal> {
    is_raiser.then(|| {
        let limit = Limit::plain(LimitKind::Approval, referral.id, "have another person decide");
        Refusal::of(Reason::SelfApproval, "the person who raised a referral may not decide it", limit)
    })
}

/// Refuses a decision without a discussion with the regional schools commissioner, held on or before the day of the decision
/// ("in discussion with your local regional schools commissioner"). Before rules 2 a discussion had no recorded partner, and
/// any counted.
pub(in crate::programme) fn discussion_missing(referral: &Referral, on: Date, rules: RulesVersion) -> Option<Refusal> {
    let with_commissioner = |it: &Discussion| it.with == Some(DiscussionPartner::RegionalSchoolsCommissioner);
    let counts = |it: &&Discussion| it.on <= on && (rules < RulesVersion::V2 || with_commissioner(it));
    if referral.discussions.iter().any(|it| counts(&it)) {
        return None;
    }
    let held_count = referral.discussions.iter().filter(|it| it.on <= on).count();
    let remedy = "put the discussion with the regional schools commissioner on record first";
    let limit = Limit::plain(LimitKind::Contact, referral.id, remedy);
    let message = if held_count == 0 {
        format!("no discussion held by {on} is on record")
    } else {
        format!(
            "of {held_count} discussion(s) held by {on} none is on record as held with the regional schools commissioner"
        )
    };
    Some(Refusal::of(Reason::DiscussionMissing, message, limit))
}
