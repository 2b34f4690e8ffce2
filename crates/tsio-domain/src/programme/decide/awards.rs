//! Makes a bundle of awards under one offer: all of them or none. Each award is checked against its cap and its fund.
//!
//! The awards of a bundle are checked in order, against the accounts as the earlier awards left them. The first award under a
//! cap also allocates to the cap account the amount that the terms allow. [`super::spending`] decides commands about existing
//! awards.
//!
//! An award without a date is made today. After the award window it is made on the day on which the offer was accepted, or on the
//! nearest day within the window, and the decision has a warning.

use std::collections::{HashMap, HashSet};

use super::dates;
use super::limits::{self, LimitCollector};
use crate::Date;
use crate::award::{Award, Support};
use crate::event::{EventBody, NewEvent};
use crate::ids::{AccountId, Actor, AwardId, OfferId, Uid};
use crate::ledger::{Account, EntryKind, Posting, Unit};
use crate::money::Pence;
use crate::offer::lifecycle::{self, check};
use crate::offer::{Offer, Recipient};
use crate::programme::ProgrammeState;
use crate::programme::command::{NewAward, OfferTarget};
use crate::programme::context::Context;
use crate::programme::decision::{CommandAnswer, Decision, Warning};
use crate::programme::error::CommandError;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};
use crate::role::Reach;
use crate::rules::RulesVersion;
use crate::school::TrustKind;
use crate::terms::{self, AwardCondition, Cap, Strand};
use crate::time::Now;

impl ProgrammeState {
    /// Makes a bundle of awards under an offer, all or none.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Stale`]; every limit of every award: [`Reason::ProgrammeClosed`],
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::OutsideProgramme`], [`Reason::StrandNotOffered`],
    /// [`Reason::UnitMismatch`], [`Reason::PartnerNotSuitable`], [`Reason::ProviderNotAccredited`], [`Reason::CapExceeded`],
    /// [`Reason::LeaderFunded`], [`Reason::FundMissing`], [`Reason::FundOverCommitted`], [`Reason::FundsInsufficient`],
    /// [`Reason::AmountTooLarge`], [`Reason::DateOrder`].
    pub(in crate::programme) fn award(
        &self,
        target: &OfferTarget,
        awards: &[NewAward],
        on: Option<Date>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let offer = self.target_offer(target)?;
        if awards.is_empty() || awards.iter().any(|it| it.amount.get() <= 0) {
            return Err(CommandError::Bug("an award of nothing"));
        }
        let (on, warning) = self.award_date(on, offer, context.now);
        let mut limits = LimitCollector::new();
        limits.add_blocker(self.programme_closed());
        limits.add_blocker(check(lifecycle::OfferAction::Award, offer.state, offer.id).err());
        limits.add_blocker(self.outside_window(self.programme.scheme.award_window(), "award window", on));
        limits.add_blocker(self.before_milestones(offer, on, dates::accepted(offer)));
        let mut bundle = AwardBundle {
            state: self,
            offer,
            reach: context.reach,
            on,
            changed_accounts: HashMap::new(),
            leaders: HashSet::new(),
        };
        let checked =
            awards.iter().map(|new| bundle.check_award(new)).collect::<Result<Vec<CheckedAward>, CommandError>>()?;
        let refused: Vec<&CheckedAward> = checked.iter().filter(|it| !it.limits.is_empty()).collect();
        // A smaller amount helps only if one award is refused and no limit refuses the bundle as a whole.
        let largest = match refused.as_slice() {
            [only] if limits.is_empty() => bundle.largest_amount(only),
            _ => 0,
        };
        let (mut drafts, mut ids, mut refusals) = (Vec::new(), Vec::new(), limits.into_refusals());
        for (checked, new) in checked.into_iter().zip(awards) {
            refusals.extend(checked.limits.into_refusals());
            let Some(terms) = checked.terms else { continue };
            let award = AwardId((context.ids)());
            let body = EventBody::Awarded {
                award,
                unit: terms.unit,
                amount: new.amount.get(),
                fund: terms.fund,
                cap: terms.cap,
                rate: terms.rate,
                support: terms.support,
                register_seq: None,
            };
            ids.push(award);
            let draft = NewEvent::of(offer.id, on, body).with_text(Some(new.text.clone()));
            drafts.push(draft.posting(checked.postings));
        }
        Refusal::join(refusals).map_err(|it| Refusal { largest: Some(largest), ..it })?;
        let decision = Decision::new(drafts, CommandAnswer::Awards(ids));
        Ok(Decision { warnings: warning.into_iter().collect(), ..decision })
    }

    /// The day of an award, and a warning if the day was assumed or is far in the past.
    fn award_date(&self, on: Option<Date>, offer: &Offer, now: Now) -> (Date, Option<Warning>) {
        let day = self.award_day(on, offer, now.today);
        let is_assumed = on.is_none() && day != now.today;
        (day, if is_assumed { Some(Warning::DateAssumed(day)) } else { Warning::if_past(day, now) })
    }

    /// The day of an award. The module documentation says which day an award without a date gets. No delivery under the award may
    /// be before that day.
    pub(in crate::programme) fn award_day(&self, on: Option<Date>, offer: &Offer, today: Date) -> Date {
        let window = self.programme.scheme.award_window();
        match on {
            Some(on) => on,
            None if today > window.to => offer.accepted.map_or(window.to, |it| it.on).max(window.from).min(window.to),
            None => today,
        }
    }

    /// The refusals of a trust as the partner of an offer's recipient. Empty if the trust can be the partner.
    fn unsuitable_partner(&self, uid: Uid, offer: &Offer) -> Vec<Refusal> {
        let is_own_trust = offer.trust == Some(uid) || offer.recipient == Recipient::Mat(uid);
        let mut faults = Vec::new();
        match self.trusts.get(&uid) {
            None => faults.push(("is not in the register", "name a trust of the register, or import a newer one")),
            Some(trust) => {
                if trust.kind != TrustKind::Mat {
                    faults.push(("is not a multi-academy trust", "name a multi-academy trust"));
                }
                if !trust.open {
                    faults.push(("is not open", "name an open trust, or import a newer register"));
                }
            }
        }
        if is_own_trust {
            faults.push(("is the recipient's own trust", "name another trust"));
        }
        let refuse = |(fault, remedy): (&str, &str)| {
            let limit = Limit::plain(LimitKind::Recipient, uid, remedy);
            Refusal::of(Reason::PartnerNotSuitable, format!("trust {uid} {fault}"), limit)
        };
        faults.into_iter().map(refuse).collect()
    }
}

/// The details that the event of an award records, except the id and the amount of the award.
struct AwardTerms {
    unit: Unit,
    rate: Option<Pence>,
    fund: AccountId,
    cap: Option<AccountId>,
    support: Support,
}

/// One award of a bundle after its limits were checked.
struct CheckedAward {
    limits: LimitCollector,
    charges: Vec<Charge>,
    postings: Vec<Posting>,
    /// None if a limit refuses the award.
    terms: Option<AwardTerms>,
}

/// An account that an award is charged to, and how many units of the account one unit of the award costs.
#[derive(Clone, Copy)]
struct Charge {
    account: AccountId,
    unit_cost: i64,
}

/// A bundle of awards under one offer, while they are checked one after the other.
struct AwardBundle<'a> {
    state: &'a ProgrammeState,
    offer: &'a Offer,
    reach: &'a Reach,
    on: Date,
    /// The accounts as the awards checked so far leave them.
    changed_accounts: HashMap<AccountId, Account>,
    /// Keys of the leaders whose fees the awards checked so far pay.
    leaders: HashSet<String>,
}

impl AwardBundle<'_> {
    /// Checks one award and, if nothing refuses it, commits its amount in its accounts.
    fn check_award(&mut self, new: &NewAward) -> Result<CheckedAward, CommandError> {
        let scheme = &self.state.programme.scheme;
        let id = new.support.strand();
        let mut limits = LimitCollector::new();
        let kind = self.offer.recipient.row();
        let offered_cap = scheme.cap(kind, &id);
        limits.add_blocker(offered_cap.is_none().then(|| {
            let message = format!("{id} is not offered to a {} recipient", kind.as_str());
            let remedy = "award a strand that the terms offer to this recipient";
            Refusal::of(
                Reason::StrandNotOffered,
                message,
                Limit::plain(LimitKind::Recipient, self.subject(&id), remedy),
            )
        }));
        let mut checked = CheckedAward { limits, charges: Vec::new(), postings: Vec::new(), terms: None };
        let Some(strand) = scheme.strand(&id) else { return Ok(checked) };
        let support = self.check_conditions(strand, &new.support, &mut checked.limits);
        checked.limits.add_blocker(self.check_leader(&support));
        let (unit, rate) = match strand.unit {
            terms::StrandUnit::Pence => (Unit::Pence, None),
            terms::StrandUnit::HalfDays { day_rate } => (Unit::HalfDays, Some(day_rate)),
        };
        let mismatch = limits::unit(|| LimitSubject::Strand(id.clone()), unit, new.amount.unit());
        if mismatch.is_some() {
            checked.limits.add_blocker(mismatch);
            return Ok(checked);
        }
        let cap = self.add_cap_charge(strand, offered_cap, &mut checked);
        let fund = self.add_fund_charge(strand, rate, &mut checked);
        self.commit(&mut checked, new.amount.get())?;
        let is_allowed = checked.limits.is_empty();
        checked.terms = fund.filter(|_| is_allowed).map(|fund| AwardTerms { unit, rate, fund, cap, support });
        Ok(checked)
    }

    /// Checks the conditions of a strand. Returns the support with the provider's name as the terms spell it.
    fn check_conditions(&self, strand: &Strand, support: &Support, limits: &mut LimitCollector) -> Support {
        let mut support = support.clone();
        for need in &strand.needs {
            match (need, &mut support) {
                (AwardCondition::PartnerMat, Support::Credit { partner }) => {
                    self.state
                        .unsuitable_partner(*partner, self.offer)
                        .into_iter()
                        .for_each(|it| limits.add_blocker(Some(it)));
                }
                (AwardCondition::PartnerMat, _) => {
                    let message = format!("{} needs a partner trust, and names none", strand.id);
                    let limit = Limit::plain(LimitKind::Recipient, self.subject(&strand.id), "name a partner trust");
                    limits.add_blocker(Some(Refusal::of(Reason::PartnerNotSuitable, message, limit)));
                }
                (AwardCondition::AccreditedProvider, Support::Npqel { provider, .. }) => {
                    match self.state.programme.scheme.provider(provider) {
                        Some(spelt) => spelt.clone_into(provider),
                        None => limits.add_blocker(Some(self.not_accredited(strand, provider))),
                    }
                }
                (AwardCondition::AccreditedProvider, _) => {
                    limits.add_blocker(Some(self.not_accredited(strand, "nobody")))
                }
                // The reason is the award's text, which every new award has.
                (AwardCondition::BeneficialReason, _) => {}
            }
        }
        support
    }

    /// Refuses to fund a leader twice ("An NPQEL leader is funded once in a programme"), unless all of the earlier award was
    /// released, refunded or undone. Also remembers the leader for the later awards of the bundle.
    fn check_leader(&mut self, support: &Support) -> Option<Refusal> {
        let Support::Npqel { leader, .. } = support else { return None };
        if self.state.rules < RulesVersion::V2 {
            return None;
        }
        let key = support.fees_key()?;
        let funded_by = self.state.funded_by(&key, self.offer.id, self.reach);
        let is_first = self.leaders.insert(key);
        let funded_by = funded_by.or_else(|| (!is_first).then(|| "an award before it in this call".to_owned()))?;
        Some(leader_is_funded(leader, &funded_by, "release and refund all of that award first, or name another leader"))
    }

    fn not_accredited(&self, strand: &Strand, provider: &str) -> Refusal {
        let names = self.state.programme.scheme.providers().join("; ");
        let limit = Limit::plain(LimitKind::Terms, self.subject(&strand.id), format!("name one of: {names}"));
        let message = format!("{provider} is not an accredited provider of these terms");
        Refusal::of(Reason::ProviderNotAccredited, message, limit)
    }

    /// Adds the charge to the cap account of an award, and returns the account. None if the strand has no cap. The first award
    /// under a cap also allocates the amount that the terms allow.
    fn add_cap_charge(
        &mut self,
        strand: &Strand,
        offered_cap: Option<Cap>,
        checked: &mut CheckedAward,
    ) -> Option<AccountId> {
        let cap = Account::cap(self.offer.id, &strand.id, offered_cap?)?;
        let id = cap.id;
        if self.account(id).is_none() {
            checked.postings.push(Posting { account: id, verb: EntryKind::Allocate, amount: cap.allocated() });
            self.changed_accounts.insert(id, cap);
        }
        checked.charges.push(Charge { account: id, unit_cost: 1 });
        Some(id)
    }

    /// Adds the charge to the fund of the offer's region, or else to the national fund. Returns the fund. If there is neither fund,
    /// adds a refusal and returns none.
    fn add_fund_charge(&self, strand: &Strand, rate: Option<Pence>, checked: &mut CheckedAward) -> Option<AccountId> {
        let region = self.offer.region;
        let Some(fund) = self.state.ledger.fund_for(&strand.id, region) else {
            let remedy = format!("create a {} fund, national or for {region}, and allocate money to it", strand.id);
            let limit =
                Limit::plain(LimitKind::Fund, LimitSubject::MissingFund { strand: strand.id.clone(), region }, remedy);
            let message = format!("there is no {} fund, neither for {region} nor national", strand.id);
            checked.limits.add_blocker(Some(Refusal::of(Reason::FundMissing, message, limit)));
            return None;
        };
        // The rate is the cost of a day, and the unit of the award is a half-day.
        let unit_cost = rate.map_or(1, |rate| rate.get().saturating_div(2));
        checked.charges.push(Charge { account: fund.id, unit_cost });
        Some(fund.id)
    }

    /// Commits an award's amount in each of its accounts, if all of them bear it and no other limit refuses the award.
    /// Otherwise adds the limits that refuse it.
    fn commit(&mut self, checked: &mut CheckedAward, amount: i64) -> Result<(), CommandError> {
        const NOT_LOADED: CommandError = CommandError::Bug("an account to charge is not loaded");
        for charge in checked.charges.clone() {
            let account = self.account(charge.account).ok_or(NOT_LOADED)?;
            let cost = amount.checked_mul(charge.unit_cost);
            let refusal = limits::commitment(account, cost);
            let unavailable = if refusal.is_none() {
                self.state.unavailable_as_of(account, self.on, cost, super::as_of::AWARD_VERB)
            } else {
                None
            };
            checked.limits.add_numeric_limit(
                headroom_for_award(account, self.state.least_available_from(account, self.on), charge),
                refusal.or(unavailable),
            );
        }
        if !checked.limits.is_empty() {
            return Ok(());
        }
        for Charge { account: id, unit_cost } in checked.charges.clone() {
            let amount = amount.saturating_mul(unit_cost);
            let mut account = self.account(id).cloned().ok_or(NOT_LOADED)?;
            let posted = account.post(EntryKind::Commit, amount, false);
            posted.map_err(|_| CommandError::Bug("an account refuses what its limit passed"))?;
            self.changed_accounts.insert(id, account);
            checked.postings.push(Posting { account: id, verb: EntryKind::Commit, amount });
        }
        Ok(())
    }

    /// The largest amount with which this award would pass, if the other awards of the bundle keep their amounts.
    fn largest_amount(&self, checked: &CheckedAward) -> i64 {
        let headrooms = checked.charges.iter().filter_map(|it| {
            let account = self.account(it.account)?;
            Some(headroom_for_award(account, self.state.least_available_from(account, self.on), *it))
        });
        checked.limits.largest().min(headrooms.min().unwrap_or(0))
    }

    /// The account as the awards checked so far leave it.
    fn account(&self, id: AccountId) -> Option<&Account> {
        self.changed_accounts.get(&id).or_else(|| self.state.ledger.get(id))
    }

    /// The offer and a strand as the subject of a limit.
    fn subject(&self, strand: &terms::StrandId) -> LimitSubject {
        LimitSubject::Offer { offer: self.offer.id, strand: Some(strand.clone()) }
    }
}

impl ProgrammeState {
    /// Refuses to make an award of fees fund its leader again, if another award funds that leader now.
    pub(in crate::programme) fn leader_funded_elsewhere(&self, award: &Award, reach: &Reach) -> Option<Refusal> {
        let Support::Npqel { leader, .. } = &award.support else { return None };
        let by = self.funded_by(&award.fees_key()?, award.offer, reach).filter(|_| !award.funds())?;
        Some(leader_is_funded(leader, &by, "release and refund all of that award first"))
    }

    /// A phrase for the award that funds a leader. None if no award funds the leader. The phrase names the award if the caller
    /// may see it.
    fn funded_by(&self, key: &str, offer: OfferId, reach: &Reach) -> Option<String> {
        let mut awards_of_leader = self.leaders.get(key).into_iter().flatten();
        let funding = awards_of_leader.find(|id| self.awards.get(id).is_some_and(Award::funds))?;
        let unnamed = || "another award of the programme".to_owned();
        Some(if self.may_be_named(*funding, offer, reach) { format!("award {funding}") } else { unnamed() })
    }
}

fn leader_is_funded(leader: &Actor, by: &str, remedy: &str) -> Refusal {
    let message = format!("leader {leader} is funded by {by}");
    Refusal::of(
        Reason::LeaderFunded,
        message,
        Limit::plain(LimitKind::Recipient, LimitSubject::Leader(leader.clone()), remedy),
    )
}

/// The largest amount that an account can commit, in the award's unit. `least` is the least available amount of the account as
/// of the day of the award and each later day. If one unit costs more than 1, the award is in half-days, whose number must
/// fit an `i32`.
fn headroom_for_award(account: &Account, least: i64, charge: Charge) -> i64 {
    let headroom = account.headroom(EntryKind::Commit).min(least).max(0).checked_div(charge.unit_cost).unwrap_or(0);
    if charge.unit_cost == 1 { headroom } else { headroom.min(i64::from(i32::MAX)) }
}
