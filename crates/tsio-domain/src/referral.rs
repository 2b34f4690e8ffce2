//! Defines a referral: a request to support a school or trust that the monthly files do not make eligible.
//!
//! "A school or trust may self-identify at any point; that opens a referral, which E1/E2 may then confirm, or which is
//! decided as E3", "in discussion with the regional schools commissioner" (`domain.md` section 1). One person raises a
//! referral, it is discussed, and another person, a director of its region, decides it.

use serde::{Deserialize, Serialize};

use super::Date;
use super::event::{Event, EventBody, Seq};
use super::ids::{Actor, OfferId, Programme, ReferralId, Urn};
use super::person::{Person, TokenSubject};
use super::region::Region;
use super::terms::RuleId;
use super::values::named_enum;
pub use super::values::referral::{DiscussionPartner, ReferralOrigin, ReferralSubject};
use crate::events_about;

named_enum! {
    /// The state of a referral.
    State {
        /// Raised, and not decided yet.
        Open = "open",
        /// Approved. It has an offer.
        Approved = "approved",
        /// Declined.
        Declined = "declined",
        /// Withdrawn before it was decided.
        Withdrawn = "withdrawn",
        /// The monthly files made its schools eligible, so no decision is needed. It has an offer.
        Confirmed = "confirmed",
    }
}

/// A discussion on record. Its text is stored separately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discussion {
    /// The number of the event that recorded the discussion. It identifies the discussion.
    pub seq: Seq,
    /// The day it was held.
    pub on: Date,
    /// The person who recorded it.
    pub by: Actor,
    /// The partner in the discussion; `None` if it was recorded before version 2 of the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<DiscussionPartner>,
}

/// The decision of a referral. Its reason is stored separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralDecision {
    /// The number of its event.
    pub seq: Seq,
    /// The day of the decision.
    pub on: Date,
    /// The person who decided, who is never the person who raised it.
    pub by: Actor,
    /// The token subject of that person; `None` without a token.
    pub subject: Option<TokenSubject>,
}

/// The current state of one referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// Its id.
    pub id: ReferralId,
    /// The programme it belongs to.
    pub programme: Programme,
    /// The referred school or trust.
    pub subject: ReferralSubject,
    /// The schools that it is for, at least one: the school itself, or schools of the trust.
    pub urns: Vec<Urn>,
    /// The name of the school or trust when it was raised.
    pub name: String,
    /// The region whose director decides it: the region of the recipient's offer, or the region with most of its
    /// schools.
    pub region: Region,
    /// Its origin.
    pub origin: ReferralOrigin,
    /// The rule by which it is decided.
    pub rule: RuleId,
    /// The ground of that rule.
    pub ground: String,
    /// Its state.
    pub state: State,
    /// The person who raised it.
    pub raised_by: Actor,
    /// The token subject of that person; `None` without a token.
    pub raised_subject: Option<TokenSubject>,
    /// The day it was raised.
    pub raised_on: Date,
    /// The event that raised it.
    pub raised: Seq,
    /// Its discussions, in the order they were recorded.
    pub discussions: Vec<Discussion>,
    /// Its decision, once it is approved or declined.
    pub decision: Option<ReferralDecision>,
    /// Its offer, once it is approved or confirmed.
    pub offer: Option<OfferId>,
    /// Once it is approved, the schools that are eligible only by this referral and not by a monthly file.
    pub exceptional: Vec<Urn>,
    /// The last event of the referral. The etag is made from it.
    pub version: Seq,
}

impl Referral {
    /// Returns the referral that a `referral_raised` event makes; `None` for any other event.
    #[must_use]
    pub fn from_event(programme: &Programme, event: &Event) -> Option<Self> {
        let EventBody::ReferralRaised {
            referral,
            subject,
            urns,
            name,
            region,
            origin,
            rule,
            ground,
            token_subject,
            ..
        } = &event.body
        else {
            return None;
        };
        Some(Self {
            id: *referral,
            programme: programme.clone(),
            subject: *subject,
            urns: urns.clone(),
            name: name.clone(),
            region: *region,
            origin: *origin,
            rule: RuleId::new(rule),
            ground: ground.clone(),
            state: State::Open,
            raised_by: event.actor.clone(),
            raised_subject: *token_subject,
            raised_on: event.effective,
            raised: event.seq,
            discussions: Vec::new(),
            decision: None,
            offer: None,
            exceptional: Vec::new(),
            version: event.seq,
        })
    }

    /// Applies one more event of this referral. Its `referral_raised` event and events about other entities
    /// change nothing.
    pub fn apply(&mut self, event: &Event) {
        let (seq, on, by) = (event.seq, event.effective, event.actor.clone());
        match &event.body {
            EventBody::ReferralDiscussed { held_with, .. } => {
                self.discussions.push(Discussion { seq, on, by, with: *held_with });
            }
            EventBody::ReferralApproved { offer, exceptional, token_subject, .. } => {
                (self.state, self.offer) = (State::Approved, Some(*offer));
                self.exceptional.clone_from(exceptional);
                self.decision = Some(ReferralDecision { seq, on, by, subject: *token_subject });
            }
            EventBody::ReferralDeclined { token_subject, .. } => {
                self.state = State::Declined;
                self.decision = Some(ReferralDecision { seq, on, by, subject: *token_subject });
            }
            EventBody::ReferralWithdrawn { .. } => self.state = State::Withdrawn,
            EventBody::ReferralConfirmed { offer, .. } => {
                (self.state, self.offer) = (State::Confirmed, Some(*offer));
            }
            EventBody::ReferralRaised { .. } | events_about!(offer, school, approval, fund, award, record) => return,
        }
        self.version = event.seq;
    }

    /// The person who raised the referral, with the two values by which people are compared.
    #[must_use]
    pub fn raiser(&self) -> Person {
        Person { actor: self.raised_by.clone(), subject: self.raised_subject }
    }

    /// The etag of the referral. It changes with every event of the referral.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
