//! A book: one programme's record, and what each command does to it.
//!
//! [`ProgrammeState`] is everything a group of commands is decided against; [`ProgrammeState::decide`] decides one command and
//! [`ProgrammeState::apply`] folds its events in, so that the next command of the group sees them.

mod account_days;
mod apply;
pub mod command;
mod context;
pub mod decide;
mod decision;
mod holdings;
mod looked_up;
pub mod replay;
#[cfg(test)]
pub(in crate::domain) mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Date;
use super::event::{EventBody, NewEvent, Seq};
use super::ids::{AccountId, Actor, AwardId, OfferId, Programme, ReferralId, RequestId, Uid, Urn};
use super::ledger::Ledger;
use super::offer::{Offer, Party, Recipient, ResponsibleBody};
use super::person::Person;
use super::referral::Referral;
use super::refusal::{Limit, Reason, Refusal};
use super::region::Region;
use super::role::Reach;
use super::rules::RulesVersion;
use super::school::{HandPlacement, SchoolEnding, TrustKind};
use super::terms::Terms;
use super::time::Now;
use crate::domain::award::claim::{ClaimKey, ClaimPayments, IssuerKey};
use crate::domain::award::movement::Movements;
use crate::domain::offer::decide::AwardTotals;
pub use account_days::AccountDays;
pub use command::{Command, CommandAnswer, CommandError, Context, Decision};
use decide::entry_position::{EntryDecision, EntrySchool};
use decide::erasure::EventText;
use decide::identify::Candidates;
use decide::referrals::OfferPlacement;
use decide::threshold::MovedAlone;
pub use replay::reconstruct::telling;

/// What the book says of its programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammeHeader {
    /// The programme.
    pub programme: Programme,
    /// SHA-256 of its terms.
    pub terms: [u8; 32],
    /// The terms themselves.
    pub scheme: Arc<Terms>,
    /// Whether the book is open.
    pub open: bool,
}

/// Everything a group of commands is decided against, read under the book's lock.
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
    pub awards: holdings::AwardSet,
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
    pub approvals: holdings::ApprovalSet,
    /// The referrals the commands speak of, and the open ones of whom they refer.
    pub referrals: BTreeMap<ReferralId, Referral>,
    /// What the register and the monthly files say of schools that are referred; of those only that a file names.
    pub seats: HashMap<Urn, OfferPlacement>,
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
    given: Option<(Actor, RequestId)>,
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

impl ResponsibleAnswer {
    /// Whether the local authority stands in for a diocese that nobody knows of.
    #[must_use]
    pub const fn is_assumed(&self) -> bool {
        !self.diocese_known && matches!(self.body, ResponsibleBody::LocalAuthority(_))
    }

    /// The event that has an offer follow the register, where that says something else than the offer does.
    fn change_of(&self, offer: &Offer) -> Option<EventBody> {
        (offer.responsible != self.body).then(|| EventBody::ResponsibleBodyChanged {
            from: offer.responsible.clone(),
            to: self.body.clone(),
            trust: self.trust,
            register_seq: None,
        })
    }
}

/// What the register says of a trust that a school is to be placed in by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustAnswer {
    /// Whether it is a MAT or a SAT.
    pub kind: TrustKind,
    /// Whether it is open.
    pub open: bool,
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
            awards: holdings::AwardSet::default(),
            movements: Movements::default(),
            days: AccountDays::default(),
            ledger,
            claims: HashMap::new(),
            organisations: HashMap::new(),
            trust_names: HashMap::new(),
            partners: HashMap::new(),
            leaders: HashMap::new(),
            draws: HashMap::new(),
            approvals: holdings::ApprovalSet::default(),
            referrals: BTreeMap::new(),
            seats: HashMap::new(),
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

    /// Decides one command. The guards in order: what it names exists and lies within the caller's reach, etag, state, limits.
    ///
    /// # Errors
    /// A [`CommandError`]; the facts are as they were.
    pub fn decide(&self, command: &Command, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        Ok(self.decide_uncited(command, context)?.citing(self.register_seq))
    }

    fn decide_uncited(&self, command: &Command, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        self.within_reach(command, context.reach, &context.person())?;
        let today = context.now.today;
        match command {
            Command::Identify => {
                let candidates = self.candidates.as_ref().ok_or(CommandError::Bug("identify without candidates"))?;
                Ok(self.identify(candidates, context))
            }
            Command::Contact { offers, party, on, text } => {
                self.contact(offers, *party, *on, text.as_ref(), context.now)
            }
            Command::Correct { offer, contact, text } => {
                let drafted = |it: &Offer| it.correct(*contact, today).map(|draft| draft.with_text(text.clone()));
                self.on_offer(offer, drafted)
            }
            Command::Accept { offer, by, on, text } => {
                self.dated(offer, *on, text.as_ref(), context.now, |it| it.accept(*by, *on))
            }
            Command::CorrectDate { offer, milestone, on, reason } => {
                self.correct_date(offer, *milestone, *on, reason, context.now)
            }
            Command::Decline { offer, reason, on, text } => {
                self.decline(offer, *reason, (*on, text.as_ref()), context.now)
            }
            Command::Start { offer, on } => self.start(offer, *on, context.now),
            Command::Close { offer, outcome, on, text } => {
                self.close(offer, *outcome, (*on, text.as_ref()), context.now)
            }
            Command::Reopen { offer, reason } => self.ask_to_reopen(offer, reason, context),
            Command::GiveApproval { approval, .. } => self.give_approval(*approval, context),
            Command::DenyApproval { approval, reason, .. } => self.deny_approval(*approval, reason, context),
            Command::WithdrawApproval { approval, .. } => self.withdraw_approval(*approval, context),
            Command::Assign { offer, to } => {
                let body = EventBody::Assigned { to: to.clone() };
                self.on_offer(offer, |it| Ok(NewEvent::of(it.id, today, body.clone())))
            }
            Command::Note { offer, text } => {
                let drafted =
                    |it: &Offer| NewEvent::of(it.id, today, EventBody::Noted {}).with_text(Some(text.clone()));
                self.on_offer(offer, |it| Ok(drafted(it)))
            }
            Command::ChangeRegion { offer, to } => self.on_offer(offer, |it| {
                let body = EventBody::RegionChanged { from: it.region, to: *to };
                Ok(NewEvent::of(it.id, today, body))
            }),
            Command::Place { urn, placement, reason } => self.place(*urn, *placement, reason, today),
            Command::DecideEntry { urn, met, reason } => self.ask_entry(*urn, *met, reason, context),
            Command::EraseText { event, reason } => self.erase_text(*event, *reason, today),
            Command::CreateFund { strand, region } => self.create_fund(strand, *region, context),
            Command::ChangeFund { change, etag, text } => {
                self.change_fund(change, etag.as_ref(), text.as_ref(), context)
            }
            Command::Award { offer, awards, on } => self.award(offer, awards, *on, context),
            Command::BookDays { award, half_days, on, leader, leader_kind } => {
                self.book(award, (*half_days, *on), (leader.as_ref(), *leader_kind), context.now)
            }
            Command::CancelBooking { award, booking } => self.cancel_booking(award, *booking, context.now),
            Command::Draw { .. } => self.draw(command, context.reach, context.now),
            Command::Release { award, amount, on, text } => {
                self.release(award, *amount, *on, text.as_ref(), context.now)
            }
            Command::Refund { .. } => self.refund(command, context.now),
            Command::Undo { award, movement, reason } => {
                self.undo((award, context.reach), *movement, reason, context.now)
            }
            Command::Refer(command) => self.refer(command, context),
        }
    }

    /// Whether two are one person: before rules 2 ids were compared as they are.
    pub(super) fn is_one(&self, one: &Person, other: &Person) -> bool {
        if self.rules < RulesVersion::V2 { one.actor == other.actor } else { one.is(other) }
    }

    /// What an offer's awards say, as far as its life asks.
    fn awards_of(&self, offer: OfferId) -> AwardTotals {
        let of_offer = || self.awards.of(offer);
        AwardTotals {
            unsettled: of_offer().filter(|it| !it.is_settled()).count(),
            drawn: of_offer().any(|it| it.spent() > 0),
        }
    }

    /// Refuses a command on what lies outside the caller's reach in the words of what does not exist, naming all of it.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub fn within_reach(&self, command: &Command, reach: &Reach, who: &Person) -> Result<(), CommandError> {
        if let Command::Refer(command) = command {
            return self.referral_within_reach(command, reach);
        }
        self.entry_within_reach(command, reach, who)?;
        let hidden = |id: &OfferId| {
            self.offers.get(id).is_some_and(|offer| !reach.covers(offer.region, offer.assignee.as_ref()))
        };
        if let Some(award) = command.award()
            && self.awards.get(&award).is_some_and(|it| hidden(&it.offer))
        {
            return Err(CommandError::NotFound(format!("award {award}")));
        }
        let unseen: Vec<String> = command.offers().iter().filter(|id| hidden(id)).map(ToString::to_string).collect();
        if unseen.is_empty() { Ok(()) } else { Err(CommandError::NotFound(format!("offer {}", unseen.join(", ")))) }
    }

    fn existing(&self, id: OfferId) -> Result<&Offer, CommandError> {
        self.offers.get(&id).ok_or_else(|| CommandError::NotFound(format!("offer {id}")))
    }

    /// The offer a command names, its etag checked.
    fn target(&self, target: &command::OfferTarget) -> Result<&Offer, CommandError> {
        let offer = self.existing(target.offer)?;
        match &target.etag {
            Some(etag) if *etag != offer.etag() => Err(CommandError::Stale {
                subject: format!("offer {}", offer.id),
                given: etag.clone(),
                current: offer.etag(),
            }),
            _ => Ok(offer),
        }
    }

    fn on_offer(
        &self,
        target: &command::OfferTarget,
        decide: impl Fn(&Offer) -> Result<NewEvent, Refusal>,
    ) -> Result<Decision, CommandError> {
        let offer = self.target(target)?;
        let draft = decide(offer)?;
        Ok(Decision::new(vec![draft], CommandAnswer::Offers(vec![offer.id])))
    }

    fn contact(
        &self,
        targets: &[(command::OfferTarget, Option<Urn>)],
        party: Party,
        on: Date,
        text: Option<&String>,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let mut drafts = Vec::with_capacity(targets.len());
        let (mut refusals, mut assumed) = (Vec::new(), 0_usize);
        targets.iter().try_for_each(|(target, _)| self.existing(target.offer).map(drop))?;
        for (target, urn) in targets {
            let offer = self.target(target)?;
            let now_responsible = offer.follows_register().and_then(|urn| self.responsible.get(&urn));
            let mut followed = offer.clone();
            followed.responsible = now_responsible.map_or_else(|| offer.responsible.clone(), |it| it.body.clone());
            match followed.contact(party, *urn, on) {
                Ok(draft) => {
                    if party == Party::ResponsibleBody {
                        let change = now_responsible.and_then(|it| it.change_of(offer));
                        drafts.extend(change.map(|body| NewEvent::of(offer.id, on, body)));
                        assumed =
                            assumed.saturating_add(usize::from(now_responsible.is_some_and(|it| it.is_assumed())));
                    }
                    drafts.push(draft.with_text(text.cloned()));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let late = self.contact_too_late(on);
        Refusal::none_of(refusals.into_iter().chain(self.before_programme(on)).chain(late))?;
        let offers = targets.iter().map(|(target, _)| target.offer).collect();
        Ok(Decision::new(drafts, CommandAnswer::Offers(offers)).warn_if_past(on, now).warn_of_dioceses(assumed))
    }

    /// A command on one offer that happened on a day: not before the programme; in the past, it is a warning.
    fn dated(
        &self,
        target: &command::OfferTarget,
        on: Date,
        text: Option<&String>,
        now: Now,
        decide: impl Fn(&Offer) -> Result<NewEvent, Refusal>,
    ) -> Result<Decision, CommandError> {
        let decided = self.on_offer(target, |it| {
            let decision = decide(it);
            let refused = decision.as_ref().err().cloned();
            Refusal::none_of(refused.into_iter().chain(self.before_programme(on)))?;
            decision.map(|draft| draft.with_text(text.cloned()))
        });
        decided.map(|it| it.warn_if_past(on, now))
    }

    fn before_programme(&self, on: Date) -> Option<Refusal> {
        let (programme, starts) = (&self.programme.programme, self.programme.scheme.year().from);
        let remedy = format!("give a date on or after {starts}");
        let limit = Limit::plain("period", format!("programme {programme}"), remedy);
        let message = format!("{on} lies before programme {programme} starts");
        (on < starts).then(|| Refusal::of(Reason::OutsideProgramme, message, limit))
    }

    /// Why no school can be placed in a trust: "only an open MAT or SAT" places one, by hand too.
    fn unsuitable(&self, uid: Uid, wanted: TrustKind) -> Result<Vec<Refusal>, CommandError> {
        let trust = self.trusts.get(&uid).ok_or_else(|| CommandError::NotFound(format!("trust {uid}")))?;
        let mut found = Vec::new();
        let mut refuse = |message: String, remedy: String| {
            let limit = Limit::plain("recipient", format!("trust {uid}"), remedy);
            found.push(Refusal::of(Reason::TrustNotSuitable, message, limit));
        };
        if trust.kind != wanted {
            let (is, wanted) = (trust.kind.phrase(), wanted.phrase());
            refuse(format!("trust {uid} is a {is}"), format!("name a {wanted}, or place the school in a {is}"));
        }
        if !trust.open {
            refuse(format!("trust {uid} is not open"), "name an open trust, or import a newer register".to_owned());
        }
        Ok(found)
    }

    fn place(&self, urn: Urn, placement: HandPlacement, reason: &str, today: Date) -> Result<Decision, CommandError> {
        let school = self.register.get(&urn).ok_or_else(|| CommandError::NotFound(format!("school {urn}")))?;
        let unsuitable = placement.trust().map(|(uid, wanted)| self.unsuitable(uid, wanted)).transpose()?;
        match school {
            RegisterAnswer::Placed(how) => {
                let limit = Limit::plain("recipient", format!("school {urn}"), "nothing to do: the register places it");
                let message = format!("school {urn} is placed by the register: {how}");
                Err(Refusal::of(Reason::AlreadyPlaced, message, limit).into())
            }
            RegisterAnswer::Unplaced { name } => {
                Refusal::none_of(unsuitable.into_iter().flatten())?;
                let body = EventBody::Placed { urn, placement, register_seq: None };
                let draft = NewEvent::of_book(today, body);
                Ok(Decision::new(
                    vec![draft.with_text(Some(reason.to_owned()))],
                    CommandAnswer::Placed { urn, name: name.clone(), placement },
                ))
            }
        }
    }
}
