//! Awards made: a bundle of lines under one offer, all or none, each against its cap and its fund.
//!
//! The lines are judged in order, against the accounts as the lines before left them. An offer's cap account is financed
//! once, by the terms, with the first award that counts in it. What happens to an award afterwards is in
//! [`super::spending`].
//!
//! An award not dated is made today; once the award window has passed, on the day its offer was accepted, which the
//! answer says.

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
    /// Everything that binds on any line: [`Reason::ProgrammeClosed`], [`Reason::StateNotAllowed`],
    /// [`Reason::OutsideWindow`], [`Reason::StrandNotOffered`], [`Reason::UnitMismatch`],
    /// [`Reason::PartnerNotSuitable`], [`Reason::ProviderNotAccredited`], [`Reason::CapExceeded`],
    /// [`Reason::LeaderFunded`], [`Reason::FundMissing`], [`Reason::FundOverCommitted`],
    /// [`Reason::FundsInsufficient`], [`Reason::AmountTooLarge`], [`Reason::DateOrder`].
    pub(in crate::programme) fn award(
        &self,
        target: &OfferTarget,
        awards: &[NewAward],
        on: Option<Date>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let offer = self.target(target)?;
        if awards.is_empty() || awards.iter().any(|it| it.amount.get() <= 0) {
            return Err(CommandError::Bug("an award of nothing"));
        }
        let (on, warning) = self.award_date(on, offer, context.now);
        let mut limits = LimitCollector::new();
        limits.add_blocker(self.programme_closed());
        limits.add_blocker(check(lifecycle::OfferAction::Award, offer.state, offer.id).err());
        limits.add_blocker(self.outside(self.programme.scheme.award_window(), "award window", on));
        limits.add_blocker(self.in_order(offer, on, dates::accepted(offer)));
        let mut bundle = AwardBundle {
            state: self,
            offer,
            reach: context.reach,
            on,
            touched: HashMap::new(),
            leaders: HashSet::new(),
        };
        let lines = awards.iter().map(|new| bundle.line(new)).collect::<Result<Vec<JudgedAward>, CommandError>>()?;
        let refused: Vec<&JudgedAward> = lines.iter().filter(|it| !it.limits.is_empty()).collect();
        let largest = match refused.as_slice() {
            [only] if limits.is_empty() => bundle.largest(only),
            _ => 0,
        };
        let (mut drafts, mut made, mut refusals) = (Vec::new(), Vec::new(), limits.into_refusals());
        for (line, new) in lines.into_iter().zip(awards) {
            refusals.extend(line.limits.into_refusals());
            let Some(terms) = line.terms else { continue };
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
            made.push(award);
            drafts.push(NewEvent::of(offer.id, on, body).with_text(Some(new.text.clone())).posting(line.postings));
        }
        Refusal::none_of(refusals).map_err(|it| Refusal { largest: Some(largest), ..it })?;
        let decided = Decision::new(drafts, CommandAnswer::Awards(made));
        Ok(Decision { warnings: warning.into_iter().collect(), ..decided })
    }

    /// The day of an award, and what is worth saying of it.
    fn award_date(&self, on: Option<Date>, offer: &Offer, now: Now) -> (Date, Option<Warning>) {
        let day = self.award_day(on, offer, now.today);
        let assumed = on.is_none() && day != now.today;
        (day, if assumed { Some(Warning::DateAssumed(day)) } else { Warning::if_past(day, now) })
    }

    /// The day of an award. Recorded late and without a date, it is taken to be made when its offer was accepted, within
    /// the window: what was delivered under it came later.
    pub(in crate::programme) fn award_day(&self, on: Option<Date>, offer: &Offer, today: Date) -> Date {
        let window = self.programme.scheme.award_window();
        match on {
            Some(on) => on,
            None if today > window.to => offer.accepted.map_or(window.to, |it| it.on).max(window.from).min(window.to),
            None => today,
        }
    }

    /// Why a trust cannot be the partner of an offer's recipient.
    fn partner(&self, uid: Uid, offer: &Offer) -> Vec<Refusal> {
        let own = offer.trust == Some(uid) || offer.recipient == Recipient::Mat(uid);
        let mut why = Vec::new();
        match self.trusts.get(&uid) {
            None => why.push(("is not in the register", "name a trust of the register, or import a newer one")),
            Some(trust) => {
                if trust.kind != TrustKind::Mat {
                    why.push(("is not a multi-academy trust", "name a multi-academy trust"));
                }
                if !trust.open {
                    why.push(("is not open", "name an open trust, or import a newer register"));
                }
            }
        }
        if own {
            why.push(("is the recipient's own trust", "name another trust"));
        }
        let refusal = |(is, remedy): (&str, &str)| {
            let limit = Limit::plain(LimitKind::Recipient, uid, remedy);
            Refusal::of(Reason::PartnerNotSuitable, format!("trust {uid} {is}"), limit)
        };
        why.into_iter().map(refusal).collect()
    }
}

/// What the terms make of a line: everything of the award but its amount and its id.
struct OnTerms {
    unit: Unit,
    rate: Option<Pence>,
    fund: AccountId,
    cap: Option<AccountId>,
    support: Support,
}

/// One line as it was judged.
struct JudgedAward {
    limits: LimitCollector,
    charges: Vec<Charge>,
    postings: Vec<Posting>,
    /// Nothing where a limit binds.
    terms: Option<OnTerms>,
}

/// An account that a line counts in: `per` of its own unit for one of the award's.
#[derive(Clone, Copy)]
struct Charge {
    account: AccountId,
    per: i64,
}

/// Lines under one offer, and the accounts as they leave them.
struct AwardBundle<'a> {
    state: &'a ProgrammeState,
    offer: &'a Offer,
    reach: &'a Reach,
    on: Date,
    touched: HashMap<AccountId, Account>,
    /// Leaders whose fees the lines before pay.
    leaders: HashSet<String>,
}

impl AwardBundle<'_> {
    fn line(&mut self, new: &NewAward) -> Result<JudgedAward, CommandError> {
        let scheme = &self.state.programme.scheme;
        let id = new.support.strand();
        let mut limits = LimitCollector::new();
        let kind = self.offer.recipient.row();
        let offered = scheme.cap(kind, &id);
        limits.add_blocker(offered.is_none().then(|| {
            let message = format!("{id} is not offered to a {} recipient", kind.as_str());
            let remedy = "award a strand that the terms offer to this recipient";
            Refusal::of(
                Reason::StrandNotOffered,
                message,
                Limit::plain(LimitKind::Recipient, self.subject(&id), remedy),
            )
        }));
        let mut line = JudgedAward { limits, charges: Vec::new(), postings: Vec::new(), terms: None };
        let Some(strand) = scheme.strand(&id) else { return Ok(line) };
        let support = self.conditions(strand, &new.support, &mut line.limits);
        line.limits.add_blocker(self.leader_funded(&support));
        let (unit, rate) = match strand.unit {
            terms::StrandUnit::Pence => (Unit::Pence, None),
            terms::StrandUnit::HalfDays { day_rate } => (Unit::HalfDays, Some(day_rate)),
        };
        let mismatch = limits::unit(|| LimitSubject::Strand(id.clone()), unit, new.amount.unit());
        if mismatch.is_some() {
            line.limits.add_blocker(mismatch);
            return Ok(line);
        }
        let cap = self.cap(strand, offered, &mut line);
        let fund = self.fund(strand, rate, &mut line);
        self.charge(&mut line, new.amount.get())?;
        let whole = line.limits.is_empty();
        line.terms = fund.filter(|_| whole).map(|fund| OnTerms { unit, rate, fund, cap, support });
        Ok(line)
    }

    /// What a strand needs on record; answers the support with the provider as the terms spell it.
    fn conditions(&self, strand: &Strand, support: &Support, limits: &mut LimitCollector) -> Support {
        let mut support = support.clone();
        for need in &strand.needs {
            match (need, &mut support) {
                (AwardCondition::PartnerMat, Support::Credit { partner }) => {
                    self.state.partner(*partner, self.offer).into_iter().for_each(|it| limits.add_blocker(Some(it)));
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
                // Its text is there: every new award has one.
                (AwardCondition::BeneficialReason, _) => {}
            }
        }
        support
    }

    /// "An NPQEL leader is funded once in a programme", unless all of the earlier award was given back.
    fn leader_funded(&mut self, support: &Support) -> Option<Refusal> {
        let Support::Npqel { leader, .. } = support else { return None };
        if self.state.rules < RulesVersion::V2 {
            return None;
        }
        let key = support.fees_key()?;
        let by = self.state.funded_by(&key, self.offer.id, self.reach);
        let is_first = self.leaders.insert(key);
        let by = by.or_else(|| (!is_first).then(|| "an award before it in this call".to_owned()))?;
        Some(leader_is_funded(leader, &by, "release and refund all of that award first, or name another leader"))
    }

    fn not_accredited(&self, strand: &Strand, provider: &str) -> Refusal {
        let names = self.state.programme.scheme.providers().join("; ");
        let limit = Limit::plain(LimitKind::Terms, self.subject(&strand.id), format!("name one of: {names}"));
        let message = format!("{provider} is not an accredited provider of these terms");
        Refusal::of(Reason::ProviderNotAccredited, message, limit)
    }

    /// The cap the line counts in, financed by the terms if this is its first award.
    fn cap(&mut self, strand: &Strand, offered: Option<Cap>, line: &mut JudgedAward) -> Option<AccountId> {
        let cap = Account::cap(self.offer.id, &strand.id, offered?)?;
        let id = cap.id;
        if self.account(id).is_none() {
            line.postings.push(Posting { account: id, verb: EntryKind::Allocate, amount: cap.allocated() });
            self.touched.insert(id, cap);
        }
        line.charges.push(Charge { account: id, per: 1 });
        Some(id)
    }

    /// The fund the line is charged to: the offer's regional one, else the national, never both.
    fn fund(&self, strand: &Strand, rate: Option<Pence>, line: &mut JudgedAward) -> Option<AccountId> {
        let region = self.offer.region;
        let Some(fund) = self.state.ledger.fund_for(&strand.id, region) else {
            let remedy = format!("create a {} fund, national or for {region}, and allocate money to it", strand.id);
            let limit =
                Limit::plain(LimitKind::Fund, LimitSubject::MissingFund { strand: strand.id.clone(), region }, remedy);
            let message = format!("there is no {} fund, neither for {region} nor national", strand.id);
            line.limits.add_blocker(Some(Refusal::of(Reason::FundMissing, message, limit)));
            return None;
        };
        let per = rate.map_or(1, |rate| rate.get().saturating_div(2));
        line.charges.push(Charge { account: fund.id, per });
        Some(fund.id)
    }

    /// Commits the line's amount in each of its accounts, if all of them bear it and nothing else binds.
    fn charge(&mut self, line: &mut JudgedAward, amount: i64) -> Result<(), CommandError> {
        const MISSING: CommandError = CommandError::Bug("an account to charge is not loaded");
        for charge in line.charges.clone() {
            let account = self.account(charge.account).ok_or(MISSING)?;
            let cost = amount.checked_mul(charge.per);
            let refusal = limits::commitment(account, cost);
            let as_of =
                if refusal.is_none() { self.state.as_of(account, self.on, cost, super::as_of::AWARD) } else { None };
            line.limits.add_numeric_limit(
                headroom(account, self.state.least_from(account, self.on), charge),
                refusal.or(as_of),
            );
        }
        if !line.limits.is_empty() {
            return Ok(());
        }
        for Charge { account: id, per } in line.charges.clone() {
            let amount = amount.saturating_mul(per);
            let mut account = self.account(id).cloned().ok_or(MISSING)?;
            let posted = account.post(EntryKind::Commit, amount, false);
            posted.map_err(|_| CommandError::Bug("an account refuses what its limit passed"))?;
            self.touched.insert(id, account);
            line.postings.push(Posting { account: id, verb: EntryKind::Commit, amount });
        }
        Ok(())
    }

    /// What would pass in place of this line, the other lines held as they are.
    fn largest(&self, line: &JudgedAward) -> i64 {
        let headrooms = line.charges.iter().filter_map(|it| {
            let account = self.account(it.account)?;
            Some(headroom(account, self.state.least_from(account, self.on), *it))
        });
        line.limits.largest().min(headrooms.min().unwrap_or(0))
    }

    fn account(&self, id: AccountId) -> Option<&Account> {
        self.touched.get(&id).or_else(|| self.state.ledger.get(id))
    }

    fn subject(&self, strand: &terms::StrandId) -> LimitSubject {
        LimitSubject::Offer { offer: self.offer.id, strand: Some(strand.clone()) }
    }
}

impl ProgrammeState {
    /// Refuses to fund a leader of fees again whom another award has come to fund.
    pub(in crate::programme) fn funded_elsewhere(&self, award: &Award, reach: &Reach) -> Option<Refusal> {
        let Support::Npqel { leader, .. } = &award.support else { return None };
        let by = self.funded_by(&award.fees_key()?, award.offer, reach).filter(|_| !award.funds())?;
        Some(leader_is_funded(leader, &by, "release and refund all of that award first"))
    }

    /// The award that funds a leader, as far as it may be named to somebody who asks about an offer.
    fn funded_by(&self, key: &str, offer: OfferId, reach: &Reach) -> Option<String> {
        let mut of_leader = self.leaders.get(key).into_iter().flatten();
        let by = of_leader.find(|id| self.awards.get(id).is_some_and(Award::funds))?;
        let unnamed = || "another award of the programme".to_owned();
        Some(if self.is_named(*by, offer, reach) { format!("award {by}") } else { unnamed() })
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

/// What an account leaves, and as of each day left, in the award's unit.
fn headroom(account: &Account, least: i64, charge: Charge) -> i64 {
    let headroom = account.headroom(EntryKind::Commit).min(least).max(0).checked_div(charge.per).unwrap_or(0);
    if charge.per == 1 { headroom } else { headroom.min(i64::from(i32::MAX)) }
}
