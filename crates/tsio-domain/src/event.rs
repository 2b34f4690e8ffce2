//! Defines the events of a record, and the hash chain that covers them.
//!
//! An event is never changed or deleted. It has only the salted hash of its free text, so the text can be erased and
//! the chain stays valid.

mod about;
mod chain;
mod draft;
mod kinds;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::Date;
pub use super::hash::Hash;
use super::ids::{AccountId, Actor, ApprovalId, AwardId, OfferId, ReferralId, RequestId, Uid, Urn};
use super::ledger::fund_change::FundChange;
use super::ledger::{LedgerEntry, Unit};
use super::money::{HalfDays, Pence};
use super::person::TokenSubject;
use super::region::Region;
use super::rules::RulesVersion;
use super::school::HandPlacement;
use super::terms::StrandId;
use super::time::Micros;
use super::values::approval::ApprovalAction;
use super::values::award::{ClaimPart, LeaderKind, MovementKind, Support};
use super::values::offer::{Acceptor, ListedSchool, Milestone, Outcome, Party, Recipient, ResponsibleBody};
pub use super::values::record::{ReleasedAward, Seq};
use super::values::reference::Reference;
use super::values::referral::{DiscussionPartner, ReferralOrigin, ReferralSubject};
use super::values::statement::Statement;
pub use chain::{Encoder, chain, genesis, text_hash};
pub use draft::NewEvent;
pub use kinds::MadeEntity;

/// The body of an event: what happened. It is stored as JSON: fields are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventBody {
    /// An offer was made.
    Identified {
        /// The recipient.
        recipient: Recipient,
        /// The recipient's name.
        name: String,
        /// Its region.
        region: Region,
        /// The recipient, if it is a trust; the trust of the school, if the recipient is a school in a trust.
        trust: Option<Uid>,
        /// The body that has to be contacted first.
        responsible: ResponsibleBody,
        /// SHA-256 of the terms that apply to the offer.
        terms: Hash,
        /// Its schools.
        schools: Vec<ListedSchool>,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Newly eligible schools were added to a trust's offer.
    SchoolsAdded {
        /// The added schools.
        schools: Vec<ListedSchool>,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A contact was made.
    Contacted {
        /// The party that was contacted.
        party: Party,
        /// The school that was contacted; `None` for a contact with the responsible body.
        urn: Option<Urn>,
    },
    /// A contact was a mistake.
    ContactCorrected {
        /// The number of the event that recorded the contact.
        contact: Seq,
    },
    /// The offer was accepted.
    Accepted {
        /// The body that accepted.
        by: Acceptor,
    },
    /// Delivery started.
    Started {},
    /// The day of the acceptance or of the start was corrected.
    DateCorrected {
        /// The acceptance or the start.
        milestone: Milestone,
        /// The correct day.
        on: Date,
    },
    /// The offer was closed. A decline closes it with the outcome `declined` and a reason code.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// The commitments that were released because the offer was closed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        released: Vec<ReleasedAward>,
    },
    /// The offer was reopened.
    Reopened {
        /// The approval that allowed the action.
        approval: ApprovalId,
    },
    /// The offer was assigned.
    Assigned {
        /// The person; `None` if the assignment was removed.
        to: Option<Actor>,
    },
    /// A note was added. Its text is stored separately.
    Noted {},
    /// The offer moved to another region.
    RegionChanged {
        /// The old region.
        from: Region,
        /// The new region.
        to: Region,
    },
    /// The responsible body changed in the newest register, and no contact with the old body is on record.
    ResponsibleBodyChanged {
        /// The old body.
        from: ResponsibleBody,
        /// The new body.
        to: ResponsibleBody,
        /// The trust of the school now, if it has one.
        trust: Option<Uid>,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A school was placed by hand.
    Placed {
        /// The school.
        urn: Urn,
        /// The placement.
        placement: HandPlacement,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Two people decided the entry position of a school, because the files do not show it. The text with their
    /// evidence is stored separately.
    EntryDecided {
        /// The approval that allowed the action.
        approval: ApprovalId,
        /// The school.
        urn: Urn,
        /// Whether they decided that the entry position is met.
        met: bool,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A person requested an action that needs a second person.
    ApprovalOpened {
        /// The approval.
        approval: ApprovalId,
        /// The requested action.
        action: ApprovalAction,
        /// The requested movement of money; `None` if the action moves no money.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<FundChange>,
        /// The state of the offer, the funds or the school when the action was requested, and what the action will do. `None`
        /// before version 2 of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<Statement>,
        /// The time at which it expires, in microseconds since 1970; `None` before version 2 of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Micros>,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person gave the approval.
    ApprovalGiven {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person denied the approval.
    ApprovalDenied {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The requester withdrew the approval.
    ApprovalWithdrawn {
        /// The approval.
        approval: ApprovalId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// An empty fund was created.
    FundCreated {
        /// The fund.
        fund: AccountId,
        /// The strand for which it pays.
        strand: StrandId,
        /// Its region; `None` for a national fund.
        region: Option<Region>,
        /// Whether the fund limits awards. The terms say so for each strand.
        binds: bool,
    },
    /// Money was allocated to a fund.
    FundAllocated {
        /// The fund.
        fund: AccountId,
        /// The amount.
        amount: Pence,
        /// The token subject of the actor; `None` if it was not recorded. It shows which movements one person made; their sum
        /// decides whether a second person is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Money was withdrawn from a fund.
    FundWithdrawn {
        /// The fund.
        fund: AccountId,
        /// The amount.
        amount: Pence,
        /// Whether the withdrawal was allowed to leave less than is committed and spent.
        over_commit: bool,
        /// The token subject of the actor; `None` if it was not recorded. It shows which movements one person made; their sum
        /// decides whether a second person is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Money was moved from one fund to another: a virement.
    FundsMoved {
        /// The fund that the money left.
        from: AccountId,
        /// The fund to which the money went.
        to: AccountId,
        /// The amount.
        amount: Pence,
        /// The token subject of the actor; `None` if it was not recorded. It shows which movements one person made; their sum
        /// decides whether a second person is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Support was awarded.
    Awarded {
        /// The award.
        award: AwardId,
        /// The unit of its amount.
        unit: Unit,
        /// The amount.
        amount: i64,
        /// The fund to which the award is charged.
        fund: AccountId,
        /// The cap account of the offer for the strand; `None` if only the fund limits the award.
        cap: Option<AccountId>,
        /// For an award in half-days, the rate in pence per day; `None` for an award in pence.
        rate: Option<Pence>,
        /// The support, with the details that the strand requires.
        support: Support,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed, and for an award that names no partner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Days of an award were booked.
    DaysBooked {
        /// The award.
        award: AwardId,
        /// The number of half-days.
        half_days: HalfDays,
        /// The date for which the days are booked.
        on: Date,
        /// The leader who delivers them.
        leader: Actor,
        /// Whether the leader is a national leader or an equivalent; `None` if that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader_kind: Option<LeaderKind>,
    },
    /// A booking was cancelled.
    BookingCancelled {
        /// The award.
        award: AwardId,
        /// The booking's number.
        booking: Seq,
    },
    /// A booking of governance support was delivered. This moves no money.
    BookingDelivered {
        /// The award.
        award: AwardId,
        /// The booking's number.
        booking: Seq,
    },
    /// An award was drawn on: days were delivered, or a claim was paid.
    Drawn {
        /// The award.
        award: AwardId,
        /// The amount, in its unit.
        amount: i64,
        /// The booking that was delivered, if any.
        booking: Option<Seq>,
        /// The normalised reference of the invoice that was paid, if any.
        invoice: Option<Reference>,
        /// The issuer, printed reference and total of the invoice, and the number of the payment. `None` without an invoice, or
        /// before version 2 of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<ClaimPart>,
    },
    /// An unused commitment was released.
    Released {
        /// The award.
        award: AwardId,
        /// The amount, in its unit.
        amount: i64,
    },
    /// An amount that was drawn was refunded.
    Refunded {
        /// The award.
        award: AwardId,
        /// The amount, in its unit.
        amount: i64,
        /// The number of the event that paid the refunded invoice; `None` for an amount that was drawn without an invoice.
        invoice: Option<Seq>,
    },
    /// A draw, release or refund was a mistake and is undone.
    Undone {
        /// The award.
        award: AwardId,
        /// The event that is undone.
        undoes: Seq,
        /// The kind of the undone movement.
        movement: MovementKind,
        /// Its amount, in the award's unit.
        amount: i64,
        /// The number of the event that paid the invoice, if the undone movement paid an invoice or refunded one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invoice: Option<Seq>,
        /// The booking that the undone draw delivered. It is cancelled now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booking: Option<Seq>,
        /// If the refund of an invoice is undone, the new number of the payment that was refunded: see [`ClaimPart::part`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<i64>,
    },
    /// A school or trust was referred.
    ReferralRaised {
        /// The referral.
        referral: ReferralId,
        /// The referred school or trust.
        subject: ReferralSubject,
        /// The schools that the referral is for.
        urns: Vec<Urn>,
        /// The name of the school or trust.
        name: String,
        /// The region whose director decides it.
        region: Region,
        /// The origin of the referral.
        origin: ReferralOrigin,
        /// The rule by which it is decided.
        rule: String,
        /// The ground, by its id in the terms, which list it for that rule.
        ground: String,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// The number of the last event in the record of reference data (`register`) when the referral was raised. `None` before
        /// that record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A referral was discussed. The text of the discussion is stored separately.
    ReferralDiscussed {
        /// The referral.
        referral: ReferralId,
        /// The partner in the discussion; `None` before version 2 of the rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_with: Option<DiscussionPartner>,
    },
    /// A referral was approved.
    ReferralApproved {
        /// The referral.
        referral: ReferralId,
        /// The offer that the approval made or extended, or that already had all schools of the referral.
        offer: OfferId,
        /// The schools that are eligible only by this referral.
        exceptional: Vec<Urn>,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A referral was declined.
    ReferralDeclined {
        /// The referral.
        referral: ReferralId,
        /// The token subject of the actor, which shows whether two actors are one person; `None` without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// A referral was withdrawn before it was decided.
    ReferralWithdrawn {
        /// The referral.
        referral: ReferralId,
    },
    /// A referral was confirmed: the monthly files made its schools eligible.
    ReferralConfirmed {
        /// The referral.
        referral: ReferralId,
        /// The offer of its recipient.
        offer: OfferId,
        /// The number of the last event in the record of reference data (`register`) when this was decided. `None` before that
        /// record existed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// The text of an event was erased. The reason code says why.
    TextErased {
        /// The event.
        event: Seq,
    },
    /// The programme adopted a version of the rules, which apply from this event on.
    RulesAdopted {
        /// The version.
        version: RulesVersion,
        /// Events whose texts were erased earlier, by versions of this program that recorded no event of an erasure.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        absent_texts: Vec<Seq>,
        /// SHA-256 of the terms of the programme. Set only in the first event of the record. The actor of that event loaded the
        /// terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Hash>,
    },
}

/// A type of event body. The hash chain covers its kind and its JSON, exactly as stored.
pub trait Body {
    /// The name of the kind of event in the record.
    fn kind(&self) -> &'static str;
}

/// One event of a record. The record is that of a programme, unless `B` is another body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<B = EventBody> {
    /// Its number.
    pub seq: Seq,
    /// The offer that it is about; `None` if it is not about an offer.
    pub offer: Option<OfferId>,
    /// The person or service that sent the request.
    pub actor: Actor,
    /// The caller's id of the request.
    pub request: RequestId,
    /// The effective date: the day it happened.
    pub effective: Date,
    /// The time at which it was recorded.
    pub recorded: Micros,
    /// The reason code, if it has one.
    pub reason_code: Option<String>,
    /// The salted hash of its free text, if it has one.
    pub text_hash: Option<Hash>,
    /// The body: what happened.
    pub body: B,
    /// The ledger entries of the amounts it moved, in order.
    pub entries: Vec<LedgerEntry>,
}
