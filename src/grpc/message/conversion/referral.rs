//! Converts referrals to messages.

use super::number;
use crate::app::ReferralInFull;
use crate::domain::referral::{Discussion, DiscussionPartner, Referral, ReferralOrigin, ReferralSubject, State};
use crate::proto;

/// Converts a referral without its free texts, because a stored answer must have no free text.
pub(in crate::grpc) fn referral(it: &Referral) -> proto::Referral {
    let uid = if let ReferralSubject::Trust(uid) = it.subject { number(uid.get()) } else { 0 };
    let urns = |urns: &[crate::domain::ids::Urn]| urns.iter().map(|urn| number(urn.get())).collect();
    proto::Referral {
        referral: it.id.to_string(),
        programme: it.programme.to_string(),
        uid,
        urns: urns(&it.urns),
        name: it.name.clone(),
        region: it.region.to_string(),
        origin: match it.origin {
            ReferralOrigin::SelfIdentified => proto::ReferralOrigin::SelfIdentified,
            ReferralOrigin::Exceptional => proto::ReferralOrigin::Exceptional,
        }
        .into(),
        rule: it.rule.to_string(),
        ground: it.ground.clone(),
        state: match it.state {
            State::Open => proto::ReferralState::Open,
            State::Approved => proto::ReferralState::Approved,
            State::Declined => proto::ReferralState::Declined,
            State::Withdrawn => proto::ReferralState::Withdrawn,
            State::Confirmed => proto::ReferralState::Confirmed,
        }
        .into(),
        raised_by: it.raised_by.to_string(),
        raise_date: it.raised_on.to_string(),
        reason: String::new(),
        discussions: it.discussions.iter().map(discussion).collect(),
        decided_by: it.decision.as_ref().map(|it| it.by.to_string()).unwrap_or_default(),
        decide_date: it.decision.as_ref().map(|it| it.on.to_string()).unwrap_or_default(),
        outcome_reason: String::new(),
        offer: it.offer.map(|it| it.to_string()).unwrap_or_default(),
        exceptional_urns: urns(&it.exceptional),
        etag: it.etag(),
    }
}

fn discussion(it: &Discussion) -> proto::Discussion {
    proto::Discussion {
        sequence: it.seq.0,
        date: it.on.to_string(),
        recorded_by: it.by.to_string(),
        note: String::new(),
        held_with: it.with.map_or(proto::DiscussionPartner::Unspecified, discussion_partner).into(),
    }
}

const fn discussion_partner(it: DiscussionPartner) -> proto::DiscussionPartner {
    match it {
        DiscussionPartner::RegionalSchoolsCommissioner => proto::DiscussionPartner::RegionalSchoolsCommissioner,
        DiscussionPartner::School => proto::DiscussionPartner::School,
        DiscussionPartner::Trust => proto::DiscussionPartner::Trust,
        DiscussionPartner::ResponsibleBody => proto::DiscussionPartner::ResponsibleBody,
    }
}

/// Converts the partner of a discussion. Unspecified means the regional schools commissioner; an unknown number becomes
/// `None`.
pub(in crate::grpc) fn discussion_partner_from(number: i32) -> Option<DiscussionPartner> {
    Some(match proto::DiscussionPartner::try_from(number).ok()? {
        proto::DiscussionPartner::Unspecified | proto::DiscussionPartner::RegionalSchoolsCommissioner => {
            DiscussionPartner::RegionalSchoolsCommissioner
        }
        proto::DiscussionPartner::School => DiscussionPartner::School,
        proto::DiscussionPartner::Trust => DiscussionPartner::Trust,
        proto::DiscussionPartner::ResponsibleBody => DiscussionPartner::ResponsibleBody,
    })
}

/// Converts a referral with its free texts.
pub(in crate::grpc) fn referral_in_full(full: &ReferralInFull) -> proto::Referral {
    let it = &full.referral;
    let text = |seq| full.text(seq).unwrap_or_default().to_owned();
    let mut message = referral(it);
    message.reason = text(it.raised);
    // The text of the last event says why the referral was approved, declined or withdrawn. An open or confirmed
    // referral has no such reason.
    if !matches!(it.state, State::Open | State::Confirmed) {
        message.outcome_reason = text(it.version);
    }
    for (discussion, recorded) in message.discussions.iter_mut().zip(&it.discussions) {
        discussion.note = text(recorded.seq);
    }
    message
}

/// Converts the origin of a referral; `None` for unspecified or an unknown number.
pub(in crate::grpc) fn referral_origin_from(number: i32) -> Option<ReferralOrigin> {
    match proto::ReferralOrigin::try_from(number).ok()? {
        proto::ReferralOrigin::Unspecified => None,
        proto::ReferralOrigin::SelfIdentified => Some(ReferralOrigin::SelfIdentified),
        proto::ReferralOrigin::Exceptional => Some(ReferralOrigin::Exceptional),
    }
}

/// Converts the state of a referral; `None` for unspecified or an unknown number.
pub(in crate::grpc) fn referral_state_from(number: i32) -> Option<State> {
    match proto::ReferralState::try_from(number).ok()? {
        proto::ReferralState::Unspecified => None,
        proto::ReferralState::Open => Some(State::Open),
        proto::ReferralState::Approved => Some(State::Approved),
        proto::ReferralState::Declined => Some(State::Declined),
        proto::ReferralState::Withdrawn => Some(State::Withdrawn),
        proto::ReferralState::Confirmed => Some(State::Confirmed),
    }
}
