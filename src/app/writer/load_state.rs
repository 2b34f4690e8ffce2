//! Everything a group is decided against, in a few queries, however many commands.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::load_register::{load_entries, load_referrals, load_responsible, read_after};
use super::required_state::RequiredState;
use crate::app::clock::Clock;
use crate::app::eligibility;
use crate::app::terms_cache::TermsCache;
use crate::app::write_error::WriteError;
use crate::domain::Date;
use crate::domain::approval::Approval;
use crate::domain::award::claim::ClaimPayments;
use crate::domain::award::{Award, Support};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, AwardId, OfferId, Programme, RequestId, Uid, Urn};
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::offer::Recipient;
use crate::domain::programme::candidates::OfferPlacement;
use crate::domain::programme::decide::claims as claim_rules;
use crate::domain::programme::{Command, ProgrammeState};
use crate::domain::role::Reach;
use crate::domain::rules::RulesVersion;
use crate::domain::time::{Micros, Now};
use crate::domain::values::statement::COUNTS_DAYS;
use crate::store::programmes::Head;
use crate::store::requests::Stored;
use crate::store::{
    Readable, StoreError, account_days, approvals, awards, claims, command_batch, entries, events, offers, register,
    texts,
};

/// What a group is decided against.
#[derive(Debug)]
pub(super) struct LoadedState {
    /// The facts.
    pub(super) facts: ProgrammeState,
    /// Accounts among them that are stored; the others come to be with what is decided.
    pub(super) stored: HashSet<AccountId>,
    /// Answers given before, to the requests asked about.
    pub(super) answers: Vec<Stored>,
    /// When the programme's last event was recorded: nothing is recorded before it.
    pub(super) recorded: Option<Micros>,
    /// The moment of the decision. The facts were loaded for its day.
    pub(super) now: Now,
}

/// A command, and the id of the request that it came in.
type RequestedCommand<'a> = (RequestId, &'a Command);

/// Loads the facts these commands are decided against, and what these requests were answered before; of commands that were
/// `answered`, only what handing the answer out takes. Inside a write transaction the programme is locked already; a command that depends on
/// the register or the files also takes the register's lock, so that it never sees half of an import.
///
/// Which facts are needed, and what they say, follows the day. Where midnight has passed meanwhile, or the clock is behind
/// what was recorded last, on the day after, they are loaded again for the day of the decision.
pub(super) async fn load(
    from: &impl Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    commands: (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, clock): (&[(&Actor, RequestId)], &Clock),
) -> Result<LoadedState, WriteError> {
    let by_clock = clock.now();
    let known = load_as_of(from, terms, programme, head, commands, (requests, by_clock)).await?;
    let now = clock.now_after(known.recorded);
    if now.today == by_clock.today {
        return Ok(LoadedState { now, ..known });
    }
    load_as_of(from, terms, programme, head, commands, (requests, now)).await
}

/// The same for a moment.
async fn load_as_of(
    from: &impl Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    (commands, answered): (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, now): (&[(&Actor, RequestId)], Now),
) -> Result<LoadedState, WriteError> {
    let today = now.today;
    let loaded = terms.of(from, programme).await.map_err(WriteError::Load)?;
    let mut facts = loaded.facts(head.open);
    facts.rules = head.rules;
    let mut asked = RequiredState::of(commands, today);
    answered.iter().for_each(|(request, command)| asked.add_answered(*request, command));
    if asked.reads_register() {
        facts.register_seq = Some(eligibility::lock_register(from).await?);
    }
    load_approvals(from, &asked, &mut facts).await?;
    load_referrals(from, &asked, (&loaded.terms, today), &mut facts).await?;
    load_awards(from, &asked, &mut facts).await?;
    load_claims(from, &asked, &mut facts).await?;
    let bare = load_offers(from, &asked, &mut facts).await?;
    let most = load_most(from, &asked, (&bare, requests, head.last()), &mut facts).await?;
    load_days(from, commands, today, &mut facts).await?;
    load_moved(from, commands, now.at, &mut facts).await?;
    if asked.identifies {
        let listed = facts.listed.keys().copied();
        facts.candidates =
            Some(eligibility::candidates(from, &loaded.terms, listed, today).await.map_err(WriteError::Load)?);
    }
    for urn in &asked.placed {
        let answer = eligibility::register_answer(from, *urn, today).await.map_err(WriteError::Load)?;
        facts.register.extend(answer.map(|answer| (*urn, answer)));
    }
    load_texts(from, &asked, &mut facts).await?;
    load_responsible(from, &asked, today, &mut facts).await?;
    load_entries(from, &asked, (&loaded.terms, today), &mut facts).await?;
    let Most { stored, answers, recorded } = most;
    Ok(LoadedState { facts, stored, answers, recorded, now })
}

/// The approvals that are given, the open ones about what is asked again, and those opened by the same call before.
/// Where the programme is to adopt newer rules, all its open ones: those change with it.
async fn load_approvals(
    from: &impl Readable,
    asked: &RequiredState,
    facts: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let programme = facts.programme.programme.clone();
    let mut found = Vec::new();
    if facts.rules < RulesVersion::CURRENT {
        found = approvals::open(from, &programme).await?;
    }
    if !asked.given.is_empty() || !asked.subjects.is_empty() || !asked.asking.is_empty() {
        found.extend(approvals::find(from, &asked.given, &asked.subjects, &asked.asking).await?);
    }
    let of_this_book = found.into_iter().filter(|it| it.programme.as_ref() == Some(&programme));
    facts.approvals.extend(of_this_book.map(|it| (it.id, it)));
    Ok(())
}

/// What is known of texts that are to be erased; and where the programme is to adopt newer rules, the texts that are absent.
async fn load_texts(from: &impl Readable, asked: &RequiredState, facts: &mut ProgrammeState) -> Result<(), StoreError> {
    let programme = facts.programme.programme.clone();
    if facts.rules < RulesVersion::CURRENT {
        facts.absent_texts = texts::absent(from, &programme).await?;
    }
    let asked: Vec<Seq> = asked.erased.iter().copied().collect();
    facts.texts = texts::known(from, &programme, &asked).await?;
    Ok(())
}

/// The awards named, and all awards of offers that start or end.
async fn load_awards(
    from: &impl Readable,
    asked: &RequiredState,
    facts: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let named: Vec<AwardId> = asked.awards.iter().copied().collect();
    let ending: Vec<OfferId> = asked.ending.iter().copied().collect();
    facts.awards.extend(awards::find(from, &named).await?);
    facts.awards.extend(awards::of_offers(from, &ending).await?);
    let again = asked.undone.iter().filter_map(|id| facts.awards.get(id)).filter_map(Award::fees_key);
    let leaders: BTreeSet<String> = again.chain(asked.leaders.iter().cloned()).collect();
    let of_leaders = awards::of_leaders(from, &facts.programme.programme, &leaders).await?;
    for award in of_leaders.values() {
        facts.leaders.entry(award.fees_key().unwrap_or_default()).or_default().push(award.id);
    }
    facts.awards.extend(of_leaders);
    let of_moved = asked.moved.iter().filter_map(|id| facts.awards.get(id)).map(|it| it.offer);
    let offers: BTreeSet<OfferId> = of_moved.chain(asked.ending.iter().copied()).collect();
    let offers: Vec<OfferId> = offers.into_iter().collect();
    for recorded in events::of_offers_before(from, &offers, Seq(i64::MAX)).await? {
        facts.movements.apply(&recorded.event);
    }
    Ok(())
}

/// What has been paid on the invoices named, who issues those of leaders' organisations, and what was drawn without one.
async fn load_claims(
    from: &impl Readable,
    asked: &RequiredState,
    facts: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let paid = asked.undone.iter().filter_map(|id| facts.awards.get(id)).flat_map(|it| &it.invoices);
    let again = paid.map(|it| it.reference.clone());
    let references: Vec<_> = asked.claims.iter().map(|(_, claim)| claim.reference.clone()).chain(again).collect();
    facts.claims = claims::payments(from, &references).await?;
    let trusts: Vec<Uid> = issuing_trusts(asked, facts).collect();
    if !trusts.is_empty() {
        facts.trust_names = register::trust_names(from, &trusts).await?;
        let paying: Vec<AwardId> = facts.claims.values().flat_map(ClaimPayments::awards).collect();
        let partner = |it: &Award| match it.support {
            Support::Credit { partner } => Some((it.id, partner)),
            Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
        };
        facts.partners = awards::find(from, &paying).await?.values().filter_map(partner).collect();
    }
    let unnamed = asked.claims.iter().filter(|(_, claim)| claim.issuer.is_none());
    let unnamed: Vec<&Award> = unnamed.filter_map(|(award, _)| facts.awards.get(award)).collect();
    let mut organisations = Vec::new();
    for award in &unnamed {
        if let Support::Nlg { organisation: Some(name), .. } = &award.support {
            organisations.push((award.id, name.clone()));
        }
    }
    let apart = unnamed.iter().filter(|it| matches!(it.support, Support::Nle { .. }));
    let apart: HashMap<Seq, AwardId> = apart.map(|it| (it.made, it.id)).collect();
    if !apart.is_empty() {
        let made: Vec<Seq> = apart.keys().copied().collect();
        let found = events::texts(from, &facts.programme.programme, &made).await?;
        organisations.extend(found.into_iter().filter_map(|it| Some((*apart.get(&it.seq)?, it.text))));
    }
    let scheme = &facts.programme.scheme;
    let key = |(award, name): (AwardId, String)| Some((award, claim_rules::organisation(&name, scheme)?));
    facts.organisations = organisations.into_iter().filter_map(key).collect();
    let drawn = asked.drawn.iter().filter_map(|id| facts.awards.get(id));
    let again: Vec<&Award> = drawn.filter(|it| it.drawn > 0).collect();
    let offers: BTreeSet<OfferId> = again.iter().map(|it| it.offer).collect();
    let before = claims::draws_without_invoice(from, &offers.into_iter().collect::<Vec<_>>()).await?;
    facts.draws = asked.drawn.iter().map(|id| (*id, Vec::new())).collect();
    for (award, drawn) in before {
        facts.draws.entry(award).and_modify(|it| it.push(drawn));
    }
    Ok(())
}

/// The trusts whose names issue invoices.
fn issuing_trusts<'a>(asked: &'a RequiredState, facts: &'a ProgrammeState) -> impl Iterator<Item = Uid> + 'a {
    asked.claims.iter().filter_map(|(award, _)| match &facts.awards.get(award)?.support {
        Support::Credit { partner } => Some(*partner),
        Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
    })
}

/// The offers asked for in full, and where their schools are listed; for identify, all of them. Answers the others, those
/// of the awards named among them.
async fn load_offers(
    from: &impl Readable,
    asked: &RequiredState,
    facts: &mut ProgrammeState,
) -> Result<Vec<OfferId>, StoreError> {
    let programme = facts.programme.programme.clone();
    if asked.identifies {
        facts.offers = offers::of_programme(from, &programme).await?;
        facts.recipients = facts.offers.values().map(|offer| (offer.recipient, offer.id)).collect();
        let open = facts.offers.values().filter(|offer| offer.is_open());
        facts.listed = open.flat_map(|offer| offer.schools.keys().map(|urn| (*urn, offer.id))).collect();
        return Ok(Vec::new());
    }
    let about_offers = facts.approvals.values().filter_map(Approval::offer);
    let mut whole = asked.offers.clone();
    whole.extend(about_offers);
    whole.extend(facts.referrals.values().filter_map(|it| it.offer));
    let whole: Vec<OfferId> = whole.into_iter().collect();
    if !whole.is_empty() {
        facts.offers = offers::find(from, &whole).await?;
    }
    facts.offers.retain(|_, offer| offer.programme == programme);
    let offer_placements = || {
        facts.offer_placements.values().filter_map(|it| if let OfferPlacement::With(it) = it { Some(it) } else { None })
    };
    let recipients: BTreeSet<Recipient> = offer_placements().map(|it| it.recipient).collect();
    let to_them = offers::to_recipients(from, &programme, &recipients.into_iter().collect::<Vec<_>>()).await?;
    facts.recipients = to_them.values().map(|offer| (offer.recipient, offer.id)).collect();
    let lineages = offer_placements().flat_map(|it| &it.schools).flat_map(|it| it.predecessors.iter().chain([&it.urn]));
    let mut urns: Vec<Urn> = lineages.copied().collect();
    if asked.relisted {
        urns.extend(facts.offers.values().flat_map(|offer| offer.schools.keys().copied()));
    }
    facts.offers.extend(to_them);
    // What is asked for in full is not read once more without its schools.
    let of_awards = facts.awards.values().map(|it| it.offer);
    let bare = asked.bare.iter().copied().chain(of_awards).filter(|id| !facts.offers.contains_key(id));
    let bare: BTreeSet<OfferId> = bare.collect();
    if !urns.is_empty() {
        facts.listed = offers::listing(from, &programme, &Reach::everything(), &urns).await?;
    }
    Ok(bare.into_iter().collect())
}

/// How accounts changed after the days in the past of which something is taken out of them.
async fn load_days(
    from: &impl Readable,
    commands: &[(RequestId, &Command)],
    today: Date,
    facts: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let taken = commands.iter().flat_map(|(_, command)| facts.taken_from(command, today));
    let taken: Vec<(AccountId, Date)> = taken.filter(|(_, on)| *on < today).collect();
    let Some(first) = taken.iter().map(|(_, on)| *on).min() else { return Ok(()) };
    let accounts: BTreeSet<AccountId> = taken.into_iter().map(|(account, _)| account).collect();
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    for (account, on, change) in account_days::after(from, &accounts, first).await? {
        facts.days.put(account, on, change);
    }
    Ok(())
}

/// What was moved alone on the funds that commands change.
async fn load_moved(
    from: &impl Readable,
    commands: &[(RequestId, &Command)],
    now: Micros,
    facts: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let changed = commands.iter().filter_map(|(_, command)| match command {
        Command::ChangeFund { change, .. } => Some(change),
        _ => None,
    });
    let funds: BTreeSet<AccountId> = changed.flat_map(FundChange::funds).collect();
    if funds.is_empty() {
        return Ok(());
    }
    let funds: Vec<AccountId> = funds.into_iter().collect();
    let since = now.minus_days(COUNTS_DAYS);
    for (fund, moved) in entries::moved_alone(from, &facts.programme.programme, &funds, since).await? {
        facts.moved.entry(fund).or_default().push(moved);
    }
    Ok(())
}

/// What [`load_most`] answers: [`LoadedState`] but for its facts.
struct Most {
    stored: HashSet<AccountId>,
    answers: Vec<Stored>,
    recorded: Option<Micros>,
}

/// What most groups ask, in one round trip: these offers, the programme's funds, the caps and trusts concerned. Answers
/// which accounts are stored, what these requests were answered before, and when the last event was recorded.
async fn load_most(
    from: &impl Readable,
    asked: &RequiredState,
    (bare, requests, last): (&[OfferId], &[(&Actor, RequestId)], Seq),
    facts: &mut ProgrammeState,
) -> Result<Most, WriteError> {
    let programme = facts.programme.programme.clone();
    let money = asked.money || facts.approvals.values().any(|it| it.change.is_some());
    let of_awards = facts.awards.values().filter_map(|it| it.cap);
    let caps: BTreeSet<AccountId> = asked.caps.iter().copied().chain(of_awards).collect();
    let caps: Vec<AccountId> = caps.into_iter().collect();
    let trusts: BTreeSet<Uid> = asked.trusts.iter().copied().chain(issuing_trusts(asked, facts)).collect();
    let trusts: Vec<Uid> = trusts.into_iter().collect();
    let accounts = money.then_some((&programme, caps.as_slice()));
    let last = Some((&programme, last));
    let found = command_batch::read(
        from,
        command_batch::BatchQuery { requests, offers: bare, accounts, trusts: &trusts, last },
    )
    .await?;
    facts.offers.extend(found.offers.into_iter().filter(|(_, offer)| offer.programme == programme));
    if !trusts.is_empty() {
        read_after(facts, found.register)?;
    }
    facts.trusts = eligibility::trust_answers(found.trusts);
    let stored = found.accounts.iter().map(|it| it.id).collect();
    found.accounts.into_iter().for_each(|it| facts.ledger.put(it));
    Ok(Most { stored, answers: found.answers, recorded: found.recorded })
}
