//! Defines the state of one programme. A batch of commands loads only the part that it needs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::account_days::AccountDays;
use super::candidates::{Candidates, OfferPlacement};
use super::entry_school::{EntryDecision, EntrySchool};
use super::holdings::{ApprovalSet, AwardSet};
use crate::Date;
use crate::award::claim::{ClaimKey, ClaimPayments, IssuerKey};
use crate::award::movement::Movements;
use crate::event::EventBody;
use crate::ids::{AccountId, Actor, AwardId, OfferId, Programme, ReferralId, RequestId, Uid, Urn};
use crate::ledger::Ledger;
use crate::money::Pence;
use crate::offer::Offer;
use crate::offer::decide::AwardTotals;
use crate::person::Person;
use crate::referral::Referral;
use crate::region::Region;
use crate::rules::RulesVersion;
use crate::school::{HandPlacement, SchoolEnding, TrustKind};
use crate::terms::Terms;
use crate::time::Micros;
use crate::values::offer::{Recipient, ResponsibleBody};
use crate::values::record::Seq;

/// A programme without its record: its name, its terms, and whether it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeHeader {
    /// The name of the programme, such as `2021-22`.
    pub programme: Programme,
    /// SHA-256 of the text of its terms.
    pub terms: [u8; 32],
    /// Its terms, parsed.
    pub scheme: Arc<Terms>,
    /// Whether the programme is open.
    pub open: bool,
}

/// All data that a batch of commands needs, loaded under the programme's lock.
///
/// Most lists and maps contain only the items that the commands of the batch need.
#[derive(Debug)]
pub struct ProgrammeState {
    /// The programme itself: its name, its terms, and whether it is open.
    pub programme: ProgrammeHeader,
    /// The offers that the commands name. For identify: all offers of the programme.
    pub offers: BTreeMap<OfferId, Offer>,
    /// The open offer that each school is on.
    pub open_offer_by_school: HashMap<Urn, OfferId>,
    /// The offer that each recipient has, open or closed.
    pub offer_by_recipient: HashMap<Recipient, OfferId>,
    /// The awards that the commands name, and all awards of offers that will be started, declined or closed.
    pub awards: AwardSet,
    /// The movements of awards, for offers with a refund, an undo or a close in this batch.
    pub movements: Movements,
    /// Changes by day of the accounts that a command changes as of a day in the past.
    pub account_days: AccountDays,
    /// The programme's funds, and the caps of the offers that the commands name.
    pub ledger: Ledger,
    /// The payments of each invoice, from all programmes.
    pub claims: HashMap<ClaimKey, ClaimPayments>,
    /// The issuer of the invoices of each award of leader time or governance support: the leader's organisation, by its key.
    pub organisations: HashMap<AwardId, IssuerKey>,
    /// All names of each trust that issues invoices. The name in the newest register is first.
    pub trust_names: HashMap<Uid, Vec<String>>,
    /// The partner trust of each award that paid an invoice under one of the names in `trust_names`.
    pub partners: HashMap<AwardId, Uid>,
    /// The awards of NPQEL fees of each leader, by the leader's key.
    pub leaders: HashMap<String, Vec<AwardId>>,
    /// The draws without an invoice (event, day, amount) of each award that a command draws on without an invoice.
    pub draws_without_invoice: HashMap<AwardId, Vec<(Seq, Date, i64)>>,
    /// The approvals that the commands name, and the open approvals of the offers that they name.
    pub approvals: ApprovalSet,
    /// The referrals that the commands name, and the open referrals of the same subjects.
    pub referrals: BTreeMap<ReferralId, Referral>,
    /// The offer placement of each referred school, from the register and the monthly files. A school that no file names is
    /// absent.
    pub offer_placements: HashMap<Urn, OfferPlacement>,
    /// What the register says about the closing of schools.
    pub endings: HashMap<Urn, SchoolEnding>,
    /// For contacts: the responsible body by the newest register, of each school whose offer still follows the register.
    pub responsible_bodies: HashMap<Urn, ResponsibleAnswer>,
    /// For identify: the eligible recipients.
    pub candidates: Option<Candidates>,
    /// For placing by hand: whether the register places each school, and how. A school that is not in the register is absent.
    pub register: HashMap<Urn, RegisterAnswer>,
    /// The trusts that a command names, to place a school in or as a partner. A trust that is not in the register is absent.
    pub trusts: HashMap<Uid, TrustAnswer>,
    /// Placements made by hand.
    pub placements: HashMap<Urn, HandPlacement>,
    /// Movements that one person made alone, which still count for the threshold, by fund.
    pub unapproved_movements: HashMap<AccountId, Vec<UnapprovedMovement>>,
    /// The actor and the request that gave the last approval. A movement of money in the same request is approved.
    pub(super) last_approval_given: Option<(Actor, RequestId)>,
    /// The region of each school whose entry position a command asks to decide, even if the command only repeats an earlier
    /// request. A school that no file names is absent.
    pub entry_regions: HashMap<Urn, Option<Region>>,
    /// What the files say about each school whose entry position is decided. A school that no file names is absent.
    pub entry_schools: HashMap<Urn, EntrySchool>,
    /// The number of the last event in the record of reference data (`register`) when the register or the files were read. None
    /// if nothing was read.
    pub register_seq: Option<Seq>,
    /// Entry positions that two people decided.
    pub entry_decisions: BTreeMap<Urn, EntryDecision>,
    /// The state of the texts that commands erase, by event.
    pub texts: BTreeMap<Seq, EventText>,
    /// Events whose text is missing, for a programme that will adopt newer rules.
    pub absent_texts: Vec<Seq>,
    /// The rules version that the programme has adopted. A rule that a later version added does not apply yet.
    pub rules: RulesVersion,
    /// Errors that `apply` found in events, such as an entry that its account cannot bear. Empty unless the record or a decision
    /// is wrong.
    pub violations: Vec<String>,
}

/// What the register says about a school that a command places by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// The register places the school, as this phrase says.
    Placed(String),
    /// The register does not place the school.
    Unplaced {
        /// The school's name.
        name: String,
    },
}

/// The responsible body of a school by the newest register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponsibleAnswer {
    /// The responsible body.
    pub body: ResponsibleBody,
    /// The trust that the school belongs to, if any.
    pub trust: Option<Uid>,
    /// Whether a file of establishments names the school. If not, it is unknown whether the school has a diocese.
    pub diocese_known: bool,
}

/// What the register says about a trust that a command names, to place a school in or as a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustAnswer {
    /// Its kind: a MAT or a SAT.
    pub kind: TrustKind,
    /// Whether it is open.
    pub open: bool,
}

/// The state of the text of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventText {
    /// The offer that the event is about, if any.
    pub offer: Option<OfferId>,
    /// Whether the event was recorded with a text.
    pub was_recorded: bool,
    /// Whether the record says that the text was erased.
    pub is_erased: bool,
}

/// A movement of money into a fund or out of a fund that one person made without a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnapprovedMovement {
    /// The person.
    pub by: Person,
    /// When it was recorded.
    pub at: Micros,
    /// The amount.
    pub amount: Pence,
}

impl ResponsibleAnswer {
    /// Whether the local authority is only assumed to be the responsible body, because it is unknown whether the school has a
    /// diocese.
    #[must_use]
    pub const fn is_assumed(&self) -> bool {
        !self.diocese_known && matches!(self.body, ResponsibleBody::LocalAuthority(_))
    }

    /// The event that changes the responsible body of an offer to this answer's `body`. None if the offer already has that
    /// responsible body.
    pub(super) fn change_of(&self, offer: &Offer) -> Option<EventBody> {
        (offer.responsible != self.body).then(|| EventBody::ResponsibleBodyChanged {
            from: offer.responsible.clone(),
            to: self.body.clone(),
            trust: self.trust,
            register_seq: None,
        })
    }
}

impl ProgrammeState {
    /// The state of a programme before any event.
    #[must_use]
    pub fn new(programme: ProgrammeHeader) -> Self {
        let ledger = Ledger::of_programme(&programme.scheme);
        Self {
            programme,
            offers: BTreeMap::new(),
            open_offer_by_school: HashMap::new(),
            offer_by_recipient: HashMap::new(),
            awards: AwardSet::default(),
            movements: Movements::default(),
            account_days: AccountDays::default(),
            ledger,
            claims: HashMap::new(),
            organisations: HashMap::new(),
            trust_names: HashMap::new(),
            partners: HashMap::new(),
            leaders: HashMap::new(),
            draws_without_invoice: HashMap::new(),
            approvals: ApprovalSet::default(),
            referrals: BTreeMap::new(),
            offer_placements: HashMap::new(),
            endings: HashMap::new(),
            responsible_bodies: HashMap::new(),
            candidates: None,
            register: HashMap::new(),
            trusts: HashMap::new(),
            placements: HashMap::new(),
            unapproved_movements: HashMap::new(),
            last_approval_given: None,
            entry_regions: HashMap::new(),
            entry_schools: HashMap::new(),
            register_seq: None,
            entry_decisions: BTreeMap::new(),
            texts: BTreeMap::new(),
            absent_texts: Vec::new(),
            rules: RulesVersion::V1,
            violations: Vec::new(),
        }
    }

    /// Whether two callers are the same person. Before rules 2 only their ids were compared, and upper and lower case differed.
    pub(super) fn is_same_person(&self, first: &Person, second: &Person) -> bool {
        if self.rules < RulesVersion::V2 { first.actor == second.actor } else { first.is(second) }
    }

    /// The number of unsettled awards of an offer, and whether anything was drawn on them. The state changes of the offer
    /// depend on both.
    pub(super) fn award_totals(&self, offer: OfferId) -> AwardTotals {
        let awards = || self.awards.of_offer(offer);
        AwardTotals {
            unsettled: awards().filter(|it| !it.is_settled()).count(),
            drawn: awards().any(|it| it.spent() > 0),
        }
    }
}
