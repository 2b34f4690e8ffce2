//! One programme's state, as far as a batch of commands needs it.

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

/// What the record says of the programme itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeHeader {
    /// The programme.
    pub programme: Programme,
    /// SHA-256 of its terms.
    pub terms: [u8; 32],
    /// The terms themselves.
    pub scheme: Arc<Terms>,
    /// Whether the programme is open.
    pub open: bool,
}

/// Everything a group of commands is decided against, read under the programme's lock.
#[derive(Debug)]
pub struct ProgrammeState {
    /// The programme.
    pub programme: ProgrammeHeader,
    /// The offers the commands speak of; all of the programme's for identify.
    pub offers: BTreeMap<OfferId, Offer>,
    /// The open offer each school is on, as far as the commands ask.
    pub listed: HashMap<Urn, OfferId>,
    /// The offer each recipient has, as far as the commands ask.
    pub recipients: HashMap<Recipient, OfferId>,
    /// The awards the commands speak of, and all awards of offers that are to start, be declined or close.
    pub awards: AwardSet,
    /// What moved amounts of awards, of offers whose awards are refunded, undone or closed.
    pub movements: Movements,
    /// What changed accounts by the day, of those that a command changes as of a day in the past.
    pub days: AccountDays,
    /// The programme's funds, and the caps of the offers the commands speak of.
    pub ledger: Ledger,
    /// What has been paid on invoices, as far as the commands ask: whichever programme paid it.
    pub claims: HashMap<ClaimKey, ClaimPayments>,
    /// Who issues the invoices of an award of leader time, as far as the commands ask: the leader's organisation.
    pub organisations: HashMap<AwardId, IssuerKey>,
    /// The names of trusts that issue invoices, as far as the commands ask: that in the newest register first.
    pub trust_names: HashMap<Uid, Vec<String>>,
    /// The partner trusts of awards that paid invoices under such names.
    pub partners: HashMap<AwardId, Uid>,
    /// The awards of fees of each leader, by the leader's key, as far as the commands ask.
    pub leaders: HashMap<String, Vec<AwardId>>,
    /// What was drawn without an invoice, by day and amount, of awards on which more is to be drawn so.
    pub draws: HashMap<AwardId, Vec<(Seq, Date, i64)>>,
    /// The approvals the commands speak of, and the open ones of the offers they speak of.
    pub approvals: ApprovalSet,
    /// The referrals the commands speak of, and the open ones of whom they refer.
    pub referrals: BTreeMap<ReferralId, Referral>,
    /// What the register and the monthly files say of schools that are referred; of those only that a file names.
    pub offer_placements: HashMap<Urn, OfferPlacement>,
    /// What the register says of the end of these schools.
    pub endings: HashMap<Urn, SchoolEnding>,
    /// Who answers for schools by the newest register, for contacts: of those whose offers follow it still.
    pub responsible: HashMap<Urn, ResponsibleAnswer>,
    /// Who is eligible, for identify.
    pub candidates: Option<Candidates>,
    /// For placing by hand: whether the register places these schools (and how), or does not know them.
    pub register: HashMap<Urn, RegisterAnswer>,
    /// Trusts that a command names (to place a school in, as a partner), as far as the register knows them.
    pub trusts: HashMap<Uid, TrustAnswer>,
    /// Placements made by hand.
    pub placements: HashMap<Urn, HandPlacement>,
    /// What was moved alone on the funds that commands change, as far as it counts.
    pub moved: HashMap<AccountId, Vec<MovedAlone>>,
    /// The call that gave the last approval.
    pub(super) given: Option<(Actor, RequestId)>,
    /// Where the schools lie whose entry position is asked for, answered before or not; of those only that a file names.
    pub entry_regions: HashMap<Urn, Option<Region>>,
    /// What the files say of schools whose entry position is decided; of those only that a file names.
    pub entry_schools: HashMap<Urn, EntrySchool>,
    /// The event of the register's record after which these facts read the register and the files, if they read either.
    pub register_seq: Option<Seq>,
    /// Entry positions that two people decided.
    pub entry_decisions: BTreeMap<Urn, EntryDecision>,
    /// What is known of the texts of events that are to be erased.
    pub texts: BTreeMap<Seq, EventText>,
    /// Events whose texts are not there, for a programme that is to adopt newer rules.
    pub absent_texts: Vec<Seq>,
    /// The version of the rules that the programme has adopted so far: rules that a version added ask for it.
    pub rules: RulesVersion,
    /// What was folded in and cannot be, such as an entry that its account cannot bear: none, unless the record or a
    /// decision is wrong.
    pub broken: Vec<String>,
}

/// What the register says of a school that is to be placed by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// It places it, as this phrase says.
    Placed(String),
    /// It places it nowhere.
    Unplaced {
        /// The school's name.
        name: String,
    },
}

/// Who answers for a school by the newest register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponsibleAnswer {
    /// The body.
    pub body: ResponsibleBody,
    /// The trust behind the school.
    pub trust: Option<Uid>,
    /// Whether a file of establishments names the school; without one nobody knows whether it has a diocese.
    pub diocese_known: bool,
}

/// What the register says of a trust that a school is to be placed in by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustAnswer {
    /// Whether it is a MAT or a SAT.
    pub kind: TrustKind,
    /// Whether it is open.
    pub open: bool,
}

/// What is known of the text of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventText {
    /// The offer that the event is about.
    pub offer: Option<OfferId>,
    /// Whether it was recorded with a text.
    pub was_recorded: bool,
    /// Whether the record says that it was erased.
    pub is_erased: bool,
}

/// Money that one person moved alone: into a fund, or out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedAlone {
    /// Who.
    pub by: Person,
    /// When it was recorded.
    pub at: Micros,
    /// How much.
    pub amount: Pence,
}

impl ResponsibleAnswer {
    /// Whether the local authority stands in for a diocese that nobody knows of.
    #[must_use]
    pub const fn is_assumed(&self) -> bool {
        !self.diocese_known && matches!(self.body, ResponsibleBody::LocalAuthority(_))
    }

    /// The event that has an offer follow the register, where that says something else than the offer does.
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
    /// The facts of an empty group.
    #[must_use]
    pub fn new(programme: ProgrammeHeader) -> Self {
        let ledger = Ledger::of_programme(&programme.scheme);
        Self {
            programme,
            offers: BTreeMap::new(),
            listed: HashMap::new(),
            recipients: HashMap::new(),
            awards: AwardSet::default(),
            movements: Movements::default(),
            days: AccountDays::default(),
            ledger,
            claims: HashMap::new(),
            organisations: HashMap::new(),
            trust_names: HashMap::new(),
            partners: HashMap::new(),
            leaders: HashMap::new(),
            draws: HashMap::new(),
            approvals: ApprovalSet::default(),
            referrals: BTreeMap::new(),
            offer_placements: HashMap::new(),
            endings: HashMap::new(),
            responsible: HashMap::new(),
            candidates: None,
            register: HashMap::new(),
            trusts: HashMap::new(),
            placements: HashMap::new(),
            moved: HashMap::new(),
            given: None,
            entry_regions: HashMap::new(),
            entry_schools: HashMap::new(),
            register_seq: None,
            entry_decisions: BTreeMap::new(),
            texts: BTreeMap::new(),
            absent_texts: Vec::new(),
            rules: RulesVersion::V1,
            broken: Vec::new(),
        }
    }

    /// Whether two are one person: before rules 2 ids were compared as they are.
    pub(super) fn is_one(&self, one: &Person, other: &Person) -> bool {
        if self.rules < RulesVersion::V2 { one.actor == other.actor } else { one.is(other) }
    }

    /// What an offer's awards say, as far as its life asks.
    pub(super) fn awards_of(&self, offer: OfferId) -> AwardTotals {
        let of_offer = || self.awards.of(offer);
        AwardTotals {
            unsettled: of_offer().filter(|it| !it.is_settled()).count(),
            drawn: of_offer().any(|it| it.spent() > 0),
        }
    }
}
