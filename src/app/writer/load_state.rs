//! Loads the state that a batch is decided against. The number of queries does not grow with the number of commands.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::load_register::{load_entries, load_referrals, load_responsible, note_register_seq};
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
use crate::domain::values::statement::MOVED_ALONE_DAYS;
use crate::store::programmes::Head;
use crate::store::requests::Stored;
use crate::store::{
    Readable, StoreError, account_days, approvals, awards, claims, command_batch, entries, events, offers, register,
    texts,
};

/// The state that a batch is decided against, with what is needed to write it.
#[derive(Debug)]
pub(super) struct LoadedState {
    /// The state of the programme.
    pub(super) state: ProgrammeState,
    /// Accounts that are stored already. The batch may create others.
    pub(super) stored: HashSet<AccountId>,
    /// Stored answers of requests that are repeated.
    pub(super) answers: Vec<Stored>,
    /// When the programme's last event was recorded. Later events must not have an earlier time.
    pub(super) recorded: Option<Micros>,
    /// The time of the decision. The state was loaded for its day.
    pub(super) now: Now,
}

/// A command, and the id of the request that it came in.
type RequestedCommand<'a> = (RequestId, &'a Command);

/// Loads the state that the first list of commands is decided against, and the stored answers of `requests`. The second list
/// has commands that are answered already: only the state to replay their answers is loaded. In a write transaction the
/// programme is locked already. If a command depends on the register or the files, this also locks the register, so that it
/// does not see half of an import.
///
/// The state depends on the day. It is loaded again if midnight passes meanwhile, or if the clock is behind the last event
/// and that event was recorded on a later day.
pub(super) async fn load(
    from: &impl Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    commands: (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, clock): (&[(&Actor, RequestId)], &Clock),
) -> Result<LoadedState, WriteError> {
    let by_clock = clock.now();
    let loaded = load_as_of(from, terms, programme, head, commands, (requests, by_clock)).await?;
    let now = clock.now_after(loaded.recorded);
    if now.today == by_clock.today {
        return Ok(LoadedState { now, ..loaded });
    }
    load_as_of(from, terms, programme, head, commands, (requests, now)).await
}

/// Loads the state as [`load`] does, for one time.
async fn load_as_of(
    from: &impl Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    (commands, answered): (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, now): (&[(&Actor, RequestId)], Now),
) -> Result<LoadedState, WriteError> {
    let today = now.today;
    let terms = terms.of(from, programme).await.map_err(WriteError::Load)?;
    let mut state = terms.initial_state(head.open);
    state.rules = head.rules;
    let mut required = RequiredState::of(commands, today);
    answered.iter().for_each(|(request, command)| required.add_answered(*request, command));
    if required.reads_register() {
        state.register_seq = Some(eligibility::lock_register(from).await?);
    }
    load_approvals(from, &required, &mut state).await?;
    load_referrals(from, &required, (&terms.terms, today), &mut state).await?;
    load_awards(from, &required, &mut state).await?;
    load_claims(from, &required, &mut state).await?;
    let offers_without_schools = load_offers(from, &required, &mut state).await?;
    let common = load_common(from, &required, (&offers_without_schools, requests, head.last()), &mut state).await?;
    load_account_days(from, commands, today, &mut state).await?;
    load_unapproved_movements(from, commands, now.at, &mut state).await?;
    if required.identifies {
        let schools_on_offers = state.open_offer_by_school.keys().copied();
        let candidates = eligibility::candidates(from, &terms.terms, schools_on_offers, today).await;
        state.candidates = Some(candidates.map_err(WriteError::Load)?);
    }
    for urn in &required.schools_to_place {
        let answer = eligibility::register_answer(from, *urn, today).await.map_err(WriteError::Load)?;
        state.register.extend(answer.map(|answer| (*urn, answer)));
    }
    load_texts(from, &required, &mut state).await?;
    load_responsible(from, &required, today, &mut state).await?;
    load_entries(from, &required, (&terms.terms, today), &mut state).await?;
    let Common { stored, answers, recorded } = common;
    Ok(LoadedState { state, stored, answers, recorded, now })
}

/// Loads the approvals that commands name, the open ones with the same subject, and those that the same requests opened
/// before. If the programme has to adopt newer rules, loads all open approvals, because adoption changes them.
async fn load_approvals(
    from: &impl Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let programme = state.programme.programme.clone();
    let mut loaded = Vec::new();
    if state.rules < RulesVersion::CURRENT {
        loaded = approvals::open(from, &programme).await?;
    }
    if !required.approvals.is_empty() || !required.subjects.is_empty() || !required.requests.is_empty() {
        loaded.extend(approvals::find(from, &required.approvals, &required.subjects, &required.requests).await?);
    }
    let of_programme = loaded.into_iter().filter(|it| it.programme.as_ref() == Some(&programme));
    state.approvals.extend(of_programme.map(|it| (it.id, it)));
    Ok(())
}

/// Loads the texts that are erased. If the programme has to adopt newer rules, also loads which texts are absent.
async fn load_texts(
    from: &impl Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let programme = state.programme.programme.clone();
    if state.rules < RulesVersion::CURRENT {
        state.absent_texts = texts::absent(from, &programme).await?;
    }
    let erased: Vec<Seq> = required.erased.iter().copied().collect();
    state.texts = texts::known(from, &programme, &erased).await?;
    Ok(())
}

/// Loads the awards that commands name, all awards of offers that start or end, those of the same leaders, and their movements.
async fn load_awards(
    from: &impl Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let named: Vec<AwardId> = required.awards.iter().copied().collect();
    let offers_with_awards: Vec<OfferId> = required.offers_with_awards.iter().copied().collect();
    state.awards.extend(awards::find(from, &named).await?);
    state.awards.extend(awards::of_offers(from, &offers_with_awards).await?);
    let undone_leaders =
        required.undone_awards.iter().filter_map(|id| state.awards.get(id)).filter_map(Award::fees_key);
    let leaders: BTreeSet<String> = undone_leaders.chain(required.leaders.iter().cloned()).collect();
    let of_leaders = awards::of_leaders(from, &state.programme.programme, &leaders).await?;
    for award in of_leaders.values() {
        state.leaders.entry(award.fees_key().unwrap_or_default()).or_default().push(award.id);
    }
    state.awards.extend(of_leaders);
    let of_moved = required.awards_with_movements.iter().filter_map(|id| state.awards.get(id)).map(|it| it.offer);
    let offers: BTreeSet<OfferId> = of_moved.chain(required.offers_with_awards.iter().copied()).collect();
    let offers: Vec<OfferId> = offers.into_iter().collect();
    for recorded in events::of_offers_before(from, &offers, Seq(i64::MAX)).await? {
        state.movements.apply(&recorded.event);
    }
    Ok(())
}

/// Loads what has been paid on the invoices of commands, the issuers of invoices that name none, and earlier draws without
/// an invoice.
async fn load_claims(
    from: &impl Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let paid = required.undone_awards.iter().filter_map(|id| state.awards.get(id)).flat_map(|it| &it.invoices);
    let undone_references = paid.map(|it| it.reference.clone());
    let references: Vec<_> =
        required.claims.iter().map(|(_, claim)| claim.reference.clone()).chain(undone_references).collect();
    state.claims = claims::payments(from, &references).await?;
    let trusts: Vec<Uid> = issuing_trusts(required, state).collect();
    if !trusts.is_empty() {
        state.trust_names = register::trust_names(from, &trusts).await?;
        let paying: Vec<AwardId> = state.claims.values().flat_map(ClaimPayments::awards).collect();
        let partner = |it: &Award| match it.support {
            Support::Credit { partner } => Some((it.id, partner)),
            Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
        };
        state.partners = awards::find(from, &paying).await?.values().filter_map(partner).collect();
    }
    let claims_without_issuer = required.claims.iter().filter(|(_, claim)| claim.issuer.is_none());
    let without_issuer: Vec<&Award> = claims_without_issuer.filter_map(|(award, _)| state.awards.get(award)).collect();
    let mut organisations = Vec::new();
    for award in &without_issuer {
        if let Support::Nlg { organisation: Some(name), .. } = &award.support {
            organisations.push((award.id, name.clone()));
        }
    }
    // The text of an award of an NLE names the leader's organisation.
    let nle_awards = without_issuer.iter().filter(|it| matches!(it.support, Support::Nle { .. }));
    let nle_awards: HashMap<Seq, AwardId> = nle_awards.map(|it| (it.made, it.id)).collect();
    if !nle_awards.is_empty() {
        let events_with_text: Vec<Seq> = nle_awards.keys().copied().collect();
        let texts = events::texts(from, &state.programme.programme, &events_with_text).await?;
        organisations.extend(texts.into_iter().filter_map(|it| Some((*nle_awards.get(&it.seq)?, it.text))));
    }
    let scheme = &state.programme.scheme;
    let key = |(award, name): (AwardId, String)| Some((award, claim_rules::organisation(&name, scheme)?));
    state.organisations = organisations.into_iter().filter_map(key).collect();
    let drawn_again =
        required.draws_without_invoice.iter().filter_map(|id| state.awards.get(id)).filter(|it| it.drawn > 0);
    let offers: BTreeSet<OfferId> = drawn_again.map(|it| it.offer).collect();
    let earlier_draws = claims::draws_without_invoice(from, &offers.into_iter().collect::<Vec<_>>()).await?;
    state.draws_without_invoice = required.draws_without_invoice.iter().map(|id| (*id, Vec::new())).collect();
    for (award, draw) in earlier_draws {
        state.draws_without_invoice.entry(award).and_modify(|it| it.push(draw));
    }
    Ok(())
}

/// The partner trusts of awards that invoices are paid under: they issue the invoices.
fn issuing_trusts<'a>(required: &'a RequiredState, state: &'a ProgrammeState) -> impl Iterator<Item = Uid> + 'a {
    required.claims.iter().filter_map(|(award, _)| match &state.awards.get(award)?.support {
        Support::Credit { partner } => Some(*partner),
        Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
    })
}

/// Loads the offers that are needed in full, and the open offers of their schools; for identify, all offers of the
/// programme. Returns the offers that [`load_common`] has to load without their schools, which include those of the
/// loaded awards.
async fn load_offers(
    from: &impl Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<Vec<OfferId>, StoreError> {
    let programme = state.programme.programme.clone();
    if required.identifies {
        state.offers = offers::of_programme(from, &programme).await?;
        state.offer_by_recipient = state.offers.values().map(|offer| (offer.recipient, offer.id)).collect();
        let open = state.offers.values().filter(|offer| offer.is_open());
        state.open_offer_by_school = open.flat_map(|offer| offer.schools.keys().map(|urn| (*urn, offer.id))).collect();
        return Ok(Vec::new());
    }
    let about_offers = state.approvals.values().filter_map(Approval::offer);
    let mut in_full = required.offers.clone();
    in_full.extend(about_offers);
    in_full.extend(state.referrals.values().filter_map(|it| it.offer));
    let in_full: Vec<OfferId> = in_full.into_iter().collect();
    if !in_full.is_empty() {
        state.offers = offers::find(from, &in_full).await?;
    }
    state.offers.retain(|_, offer| offer.programme == programme);
    let offer_placements = || {
        state.offer_placements.values().filter_map(|it| if let OfferPlacement::With(it) = it { Some(it) } else { None })
    };
    let recipients: BTreeSet<Recipient> = offer_placements().map(|it| it.recipient).collect();
    let of_recipients = offers::to_recipients(from, &programme, &recipients.into_iter().collect::<Vec<_>>()).await?;
    state.offer_by_recipient = of_recipients.values().map(|offer| (offer.recipient, offer.id)).collect();
    let lineages = offer_placements().flat_map(|it| &it.schools).flat_map(|it| it.predecessors.iter().chain([&it.urn]));
    let mut urns: Vec<Urn> = lineages.copied().collect();
    if required.open_offers_of_schools {
        urns.extend(state.offers.values().flat_map(|offer| offer.schools.keys().copied()));
    }
    state.offers.extend(of_recipients);
    // Offers that are loaded in full are not loaded again without their schools.
    let of_awards = state.awards.values().map(|it| it.offer);
    let offers_without_schools =
        required.offers_without_schools.iter().copied().chain(of_awards).filter(|id| !state.offers.contains_key(id));
    let offers_without_schools: BTreeSet<OfferId> = offers_without_schools.collect();
    if !urns.is_empty() {
        state.open_offer_by_school = offers::listing(from, &programme, &Reach::everything(), &urns).await?;
    }
    Ok(offers_without_schools.into_iter().collect())
}

/// Loads the daily changes of accounts that a command takes something out of as of a past day, from that day on.
async fn load_account_days(
    from: &impl Readable,
    commands: &[(RequestId, &Command)],
    today: Date,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let reductions = commands.iter().flat_map(|(_, command)| state.accounts_taken_from(command, today));
    let past_reductions: Vec<(AccountId, Date)> = reductions.filter(|(_, day)| *day < today).collect();
    let Some(first_day) = past_reductions.iter().map(|(_, day)| *day).min() else { return Ok(()) };
    let accounts: BTreeSet<AccountId> = past_reductions.into_iter().map(|(account, _)| account).collect();
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    for (account, day, change) in account_days::after(from, &accounts, first_day).await? {
        state.account_days.put(account, day, change);
    }
    Ok(())
}

/// Loads the recent changes of funds that one person made without an approval, for the funds that commands change.
async fn load_unapproved_movements(
    from: &impl Readable,
    commands: &[(RequestId, &Command)],
    now: Micros,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let fund_changes = commands.iter().filter_map(|(_, command)| match command {
        Command::ChangeFund { change, .. } => Some(change),
        _ => None,
    });
    let funds: BTreeSet<AccountId> = fund_changes.flat_map(FundChange::funds).collect();
    if funds.is_empty() {
        return Ok(());
    }
    let funds: Vec<AccountId> = funds.into_iter().collect();
    let since = now.minus_days(MOVED_ALONE_DAYS);
    for (fund, movement) in entries::moved_alone(from, &state.programme.programme, &funds, since).await? {
        state.unapproved_movements.entry(fund).or_default().push(movement);
    }
    Ok(())
}

/// The part of [`LoadedState`] that [`load_common`] returns.
struct Common {
    stored: HashSet<AccountId>,
    answers: Vec<Stored>,
    recorded: Option<Micros>,
}

/// Loads in one round trip what most batches need: offers without their schools, the programme's funds, caps and trusts.
/// Returns the stored accounts, the stored answers of `requests` and the time of the last event.
async fn load_common(
    from: &impl Readable,
    required: &RequiredState,
    (offers_without_schools, requests, last): (&[OfferId], &[(&Actor, RequestId)], Seq),
    state: &mut ProgrammeState,
) -> Result<Common, WriteError> {
    let programme = state.programme.programme.clone();
    let moves_money = required.moves_money || state.approvals.values().any(|it| it.change.is_some());
    let caps_of_awards = state.awards.values().filter_map(|it| it.cap);
    let caps: BTreeSet<AccountId> = required.caps.iter().copied().chain(caps_of_awards).collect();
    let caps: Vec<AccountId> = caps.into_iter().collect();
    let trusts: BTreeSet<Uid> = required.trusts.iter().copied().chain(issuing_trusts(required, state)).collect();
    let trusts: Vec<Uid> = trusts.into_iter().collect();
    let accounts = moves_money.then_some((&programme, caps.as_slice()));
    let last = Some((&programme, last));
    let loaded = command_batch::read(
        from,
        command_batch::BatchQuery { requests, offers: offers_without_schools, accounts, trusts: &trusts, last },
    )
    .await?;
    state.offers.extend(loaded.offers.into_iter().filter(|(_, offer)| offer.programme == programme));
    if !trusts.is_empty() {
        note_register_seq(state, loaded.register)?;
    }
    state.trusts = eligibility::trust_answers(loaded.trusts);
    let stored = loaded.accounts.iter().map(|it| it.id).collect();
    loaded.accounts.into_iter().for_each(|it| state.ledger.put(it));
    Ok(Common { stored, answers: loaded.answers, recorded: loaded.recorded })
}
