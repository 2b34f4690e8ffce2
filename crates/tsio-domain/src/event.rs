//! The record: events, and the hash chain that covers them.
//!
//! An event never changes and is never removed. Free text is not in it, only its salted hash, so that the text can be
//! erased without breaking the chain.

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

/// What happened. Its JSON is the event's body in the record: fields are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventBody {
    /// An offer was made.
    Identified {
        /// To whom.
        recipient: Recipient,
        /// The recipient's name.
        name: String,
        /// Its region.
        region: Region,
        /// The trust behind it.
        trust: Option<Uid>,
        /// Who has to be told first.
        responsible: ResponsibleBody,
        /// SHA-256 of the terms it is pinned to.
        terms: Hash,
        /// Its schools.
        schools: Vec<ListedSchool>,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Newly eligible schools were added to a trust's offer.
    SchoolsAdded {
        /// Those.
        schools: Vec<ListedSchool>,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A contact was made.
    Contacted {
        /// With whom.
        party: Party,
        /// The school, for a contact with a school.
        urn: Option<Urn>,
    },
    /// A contact turned out to be a mistake.
    ContactCorrected {
        /// Which.
        contact: Seq,
    },
    /// The offer was accepted.
    Accepted {
        /// By whom.
        by: Acceptor,
    },
    /// Delivery started.
    Started {},
    /// The day of the acceptance or of the start turned out to be another.
    DateCorrected {
        /// Which.
        milestone: Milestone,
        /// The day it was.
        on: Date,
    },
    /// The offer was closed; a decline is a close with that outcome and a reason code.
    Closed {
        /// How it ended.
        outcome: Outcome,
        /// The commitments that were given back with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        released: Vec<ReleasedAward>,
    },
    /// The offer was reopened.
    Reopened {
        /// The approval that carried it out.
        approval: ApprovalId,
    },
    /// The offer was assigned.
    Assigned {
        /// To whom; nobody when empty.
        to: Option<Actor>,
    },
    /// A note was added; its text lies apart.
    Noted {},
    /// The offer moved to another region.
    RegionChanged {
        /// From where.
        from: Region,
        /// To where.
        to: Region,
    },
    /// The newest register says that another body answers for the school; no contact with the body was on record.
    ResponsibleBodyChanged {
        /// Who it was.
        from: ResponsibleBody,
        /// Who it is.
        to: ResponsibleBody,
        /// The trust behind the school now.
        trust: Option<Uid>,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A school was placed by hand.
    Placed {
        /// Which.
        urn: Urn,
        /// How.
        placement: HandPlacement,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Two people decided the entry position of a school of which the files cannot say it; the evidence seen lies apart.
    EntryDecided {
        /// The approval that carried it out.
        approval: ApprovalId,
        /// The school.
        urn: Urn,
        /// Whether it is met.
        met: bool,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// A call that needs a second person was made.
    ApprovalOpened {
        /// The approval.
        approval: ApprovalId,
        /// What was asked.
        action: ApprovalAction,
        /// The movement asked for, where it is about money.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<FundChange>,
        /// What it was judged against and what it will do; nothing before rules 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<Statement>,
        /// When it expires, in microseconds since 1970; nothing before rules 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Micros>,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person approved.
    ApprovalGiven {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The second person denied it.
    ApprovalDenied {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// The requester withdrew it.
    ApprovalWithdrawn {
        /// The approval.
        approval: ApprovalId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// A fund was made, with nothing in it.
    FundCreated {
        /// The fund.
        fund: AccountId,
        /// The strand it pays for.
        strand: StrandId,
        /// Its region; national when there is none.
        region: Option<Region>,
        /// Whether it limits what can be awarded, as the terms say.
        binds: bool,
    },
    /// Money arrived in a fund.
    FundAllocated {
        /// The fund.
        fund: AccountId,
        /// How much.
        amount: Pence,
        /// Whose token it was, where that is known: what one person moves alone counts together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Money left a fund.
    FundWithdrawn {
        /// The fund.
        fund: AccountId,
        /// How much.
        amount: Pence,
        /// Whether it deliberately cut below what was committed and spent.
        over_commit: bool,
        /// Whose token it was, where that is known: what one person moves alone counts together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Money moved between two funds: a virement.
    FundsMoved {
        /// Out of this one.
        from: AccountId,
        /// Into this one.
        to: AccountId,
        /// How much.
        amount: Pence,
        /// Whose token it was, where that is known: what one person moves alone counts together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// Support was awarded.
    Awarded {
        /// The award.
        award: AwardId,
        /// What its amount counts.
        unit: Unit,
        /// How much.
        amount: i64,
        /// The fund it is charged to.
        fund: AccountId,
        /// The cap it counts against; none where only the fund limits it.
        cap: Option<AccountId>,
        /// Pence a day, for half-days.
        rate: Option<Pence>,
        /// What the strand asks for.
        support: Support,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// Days of an award were booked.
    DaysBooked {
        /// The award.
        award: AwardId,
        /// How much.
        half_days: HalfDays,
        /// For when.
        on: Date,
        /// Who comes.
        leader: Actor,
        /// Whether that is a national leader or an equivalent; nothing where that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader_kind: Option<LeaderKind>,
    },
    /// A booking fell through.
    BookingCancelled {
        /// The award.
        award: AwardId,
        /// The booking's number.
        booking: Seq,
    },
    /// A booking of governance support was delivered, which moves no money.
    BookingDelivered {
        /// The award.
        award: AwardId,
        /// The booking's number.
        booking: Seq,
    },
    /// An award was drawn on: days delivered, a claim paid.
    Drawn {
        /// The award.
        award: AwardId,
        /// How much, in its unit.
        amount: i64,
        /// The booking that was delivered.
        booking: Option<Seq>,
        /// The reference of the invoice that was paid, normalised.
        invoice: Option<Reference>,
        /// What else is recorded of that invoice; nothing before rules 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<ClaimPart>,
    },
    /// An unused commitment was given back.
    Released {
        /// The award.
        award: AwardId,
        /// How much, in its unit.
        amount: i64,
    },
    /// What was drawn was taken back.
    Refunded {
        /// The award.
        award: AwardId,
        /// How much, in its unit.
        amount: i64,
        /// The payment of the invoice it takes back.
        invoice: Option<Seq>,
    },
    /// A draw, release or refund turned out to be a mistake.
    Undone {
        /// The award.
        award: AwardId,
        /// The event that is undone.
        undoes: Seq,
        /// What that was.
        movement: MovementKind,
        /// How much, in the award's unit.
        amount: i64,
        /// The payment of an invoice that it made or took back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invoice: Option<Seq>,
        /// The booking it delivered, which is cancelled with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booking: Option<Seq>,
        /// Which payment of its invoice the payment is that stands again: see [`ClaimPart`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<i64>,
    },
    /// A school or trust was referred.
    ReferralRaised {
        /// The referral.
        referral: ReferralId,
        /// Who.
        subject: ReferralSubject,
        /// The schools it speaks of.
        urns: Vec<Urn>,
        /// The name of the school or trust.
        name: String,
        /// The region whose director decides it.
        region: Region,
        /// How it came about.
        origin: ReferralOrigin,
        /// The rule it is decided by.
        rule: String,
        /// The ground of that rule.
        ground: String,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// It was discussed; what was said lies apart.
    ReferralDiscussed {
        /// The referral.
        referral: ReferralId,
        /// With whom; nothing before rules 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_with: Option<DiscussionPartner>,
    },
    /// It was approved.
    ReferralApproved {
        /// The referral.
        referral: ReferralId,
        /// The offer that this made, added to or confirmed.
        offer: OfferId,
        /// The schools that are eligible by it alone.
        exceptional: Vec<Urn>,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// It was declined.
    ReferralDeclined {
        /// The referral.
        referral: ReferralId,
        /// Whose token it was, to tell two people apart; nothing without a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_subject: Option<TokenSubject>,
    },
    /// It was taken back undecided.
    ReferralWithdrawn {
        /// The referral.
        referral: ReferralId,
    },
    /// The monthly files made the schools of a referral eligible, which confirmed it.
    ReferralConfirmed {
        /// The referral.
        referral: ReferralId,
        /// The offer of its recipient.
        offer: OfferId,
        /// The event of the register's record that it was decided after; nothing before there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register_seq: Option<Seq>,
    },
    /// The text of an event was erased; the reason code says why.
    TextErased {
        /// The event.
        event: Seq,
    },
    /// The programme adopted a version of the rules: what it adds holds from this event on.
    RulesAdopted {
        /// Which.
        version: RulesVersion,
        /// Events whose texts were not there by then: before, erasing one left no event.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        absent_texts: Vec<Seq>,
        /// SHA-256 of the terms that the programme was made under, by the caller who loaded them; only where the record begins
        /// with this event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Hash>,
    },
}

/// What an event says happened: its JSON is hashed as it is stored.
pub trait Body {
    /// Its kind, as it is written in the record.
    fn kind(&self) -> &'static str;
}

/// One event of a record: of a programme's, unless its body says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<B = EventBody> {
    /// Its number.
    pub seq: Seq,
    /// The offer it is about, if any.
    pub offer: Option<OfferId>,
    /// Who did it.
    pub actor: Actor,
    /// The caller's id of the mutation.
    pub request: RequestId,
    /// The day it happened.
    pub effective: Date,
    /// When it was recorded.
    pub recorded: Micros,
    /// A reason code, where the command has one.
    pub reason_code: Option<String>,
    /// Salted hash of its free text, where there was some.
    pub text_hash: Option<Hash>,
    /// What happened.
    pub body: B,
    /// The amounts it moved, in order.
    pub entries: Vec<LedgerEntry>,
}
