//! A referral: a school or trust that comes forward, or is put forward, outside the rules the monthly files decide.
//!
//! "A school or trust may self-identify at any point; that opens a referral, which E1/E2 may then confirm, or which is
//! decided as E3", "in discussion with the regional schools commissioner" (`domain.md` section 1). Raised by one person,
//! discussed, and decided by another, who answers for its region.

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
    /// Where a referral is.
    State {
        /// Raised: to be discussed and decided.
        Open = "open",
        /// Approved: there is an offer.
        Approved = "approved",
        /// Declined.
        Declined = "declined",
        /// Taken back undecided.
        Withdrawn = "withdrawn",
        /// The monthly files made its schools eligible: nobody has to decide it any more.
        Confirmed = "confirmed",
    }
}

/// A discussion on record; what was said lies apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discussion {
    /// The sequence of its event, which is its number.
    pub seq: Seq,
    /// The day it was held.
    pub on: Date,
    /// Who recorded it.
    pub by: Actor,
    /// With whom; nothing before rules 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<DiscussionPartner>,
}

/// How it was decided; why lies apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralDecision {
    /// The sequence of its event.
    pub seq: Seq,
    /// The day.
    pub on: Date,
    /// Who decided: never the person who raised it.
    pub by: Actor,
    /// Whose token that was.
    pub subject: Option<TokenSubject>,
}

/// One referral, as its events left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// Its id.
    pub id: ReferralId,
    /// The programme it belongs to.
    pub programme: Programme,
    /// Who is referred.
    pub subject: ReferralSubject,
    /// The schools it speaks of, at least one: the school itself, or those of the trust.
    pub urns: Vec<Urn>,
    /// The name of the school or trust when it was raised.
    pub name: String,
    /// The region whose director decides it: its recipient's offer's, or that where most of its schools are.
    pub region: Region,
    /// How it came about.
    pub origin: ReferralOrigin,
    /// The rule it is decided by.
    pub rule: RuleId,
    /// The ground of that rule.
    pub ground: String,
    /// Where it is.
    pub state: State,
    /// Who raised it.
    pub raised_by: Actor,
    /// Whose token that was.
    pub raised_subject: Option<TokenSubject>,
    /// The day it was raised.
    pub raised_on: Date,
    /// The event that raised it.
    pub raised: Seq,
    /// Discussions, in the order they were recorded.
    pub discussions: Vec<Discussion>,
    /// How it was decided, once it is.
    pub decision: Option<ReferralDecision>,
    /// The offer, once approved or confirmed.
    pub offer: Option<OfferId>,
    /// The schools that are eligible by this referral alone, once approved: no monthly file made them so.
    pub exceptional: Vec<Urn>,
    /// The event that changed it last.
    pub version: Seq,
}

impl Referral {
    /// The referral a `referral_raised` event makes; nothing from another event.
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

    /// Folds one more event of this referral into it.
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

    /// Who raised it, as far as two people are told apart.
    #[must_use]
    pub fn raiser(&self) -> Person {
        Person { actor: self.raised_by.clone(), subject: self.raised_subject }
    }

    /// Its etag: another one after every change.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("v{}", self.version.0)
    }
}
