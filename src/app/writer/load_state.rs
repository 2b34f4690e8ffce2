//! Loads the state that a batch is decided against. The number of queries does not grow with the number of commands.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::load_register::{load_entry_schools, load_referrals, load_responsible_bodies, note_register_seq};
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
use crate::domain::ledger::Owner;
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::offer::Recipient;
use crate::domain::programme::candidates::OfferPlacement;
use crate::domain::programme::decide::claims as claim_rules;
use crate::domain::programme::{Command, ProgrammeState};
use crate::domain::role::Reach;
use crate::domain::rules::RulesVersion;
use crate::domain::terms::StrandId;
use crate::domain::time::{Micros, Now};
use crate::domain::values::statement::MOVED_ALONE_DAYS;
use crate::store::command_batch::BatchQuery;
use crate::store::programmes::Head;
use crate::store::requests::Stored;
use crate::store::{
    Readable, StoreError, approvals, awards, claims, command_batch, entries, events, offers, register, texts,
};

/// The state that a batch is decided against, with what is needed to write it.
#[derive(Debug)]
pub(super) struct LoadedState {
    /// The state of the programme.
    pub(super) state: ProgrammeState,
    /// Accounts that are stored already. The batch may create others.
    pub(super) stored_accounts: HashSet<AccountId>,
    /// Accounts whose daily changes after a day are all in the state, with that day.
    pub(super) known_days: HashMap<AccountId, Date>,
    /// Whether the state has all stored funds of the programme.
    pub(super) has_all_funds: bool,
    /// The stored answers of repeated requests.
    pub(super) answers: Vec<Stored>,
    /// When the programme's last event was recorded; `None` if there is no event. New events must not have an earlier time.
    pub(super) last_recorded_at: Option<Micros>,
    /// The time of the decision. The state was loaded for its day.
    pub(super) now: Now,
}

/// A command, and the id of the request that it came in.
type RequestedCommand<'a> = (RequestId, &'a Command);

/// Loads the state that the first list of commands is decided against, and the stored answers of `requests`. The second
/// list has commands that are answered already: only the state to replay their answers is loaded. In a write transaction
/// the caller has locked the programme. If a command needs the register or the files, this function also locks the
/// register, so that the batch does not see half of an import.
///
/// The state depends on the day. It is loaded again if midnight passes while it is loaded, or if the last event was recorded
/// on a later day than the clock shows, because the clock is behind.
pub(super) async fn load(
    from: &dyn Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    commands: (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, clock): (&[(&Actor, RequestId)], &Clock),
) -> Result<LoadedState, WriteError> {
    let started_at = clock.now();
    let loaded = load_as_of(from, terms, programme, head, commands, (requests, started_at)).await?;
    let now = clock.now_after(loaded.last_recorded_at);
    if now.today == started_at.today {
        return Ok(LoadedState { now, ..loaded });
    }
    load_as_of(from, terms, programme, head, commands, (requests, now)).await
}

/// Loads the state for the day of `now`, once. See [`load`].
async fn load_as_of(
    from: &dyn Readable,
    terms: &TermsCache,
    programme: &Programme,
    head: &Head,
    (commands, answered): (&[RequestedCommand<'_>], &[RequestedCommand<'_>]),
    (requests, now): (&[(&Actor, RequestId)], Now),
) -> Result<LoadedState, WriteError> {
    let today = now.today;
    let terms = terms.get_or_load(from, programme).await.map_err(WriteError::Load)?;
    let mut state = terms.initial_state(head.open);
    state.rules = head.rules;
    let mut required = RequiredState::for_commands(commands, today);
    answered.iter().for_each(|(request, command)| required.add_answered(*request, command));
    if required.reads_register() {
        state.register_seq = Some(eligibility::lock_register(from).await?);
    }
    load_approvals(from, &required, &mut state).await?;
    load_referrals(from, &required, (&terms.terms, today), &mut state).await?;
    load_awards(from, &required, &mut state).await?;
    load_claims(from, &required, &mut state).await?;
    let offers_without_schools = load_offers(from, &required, &mut state).await?;
    let reduced_funds = funds_reduced_before(today, commands, &state);
    let (lists, of_record) = ((offers_without_schools.as_slice(), reduced_funds), (requests, head.last()));
    let common = load_common(from, &required, lists, of_record, &mut state).await?;
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
    load_responsible_bodies(from, &required, today, &mut state).await?;
    load_entry_schools(from, &required, (&terms.terms, today), &mut state).await?;
    let CommonState { stored_accounts, known_days, has_all_funds, answers, last_recorded_at } = common;
    Ok(LoadedState { state, stored_accounts, known_days, has_all_funds, answers, last_recorded_at, now })
}

/// Loads the approvals that commands name, the open approvals about the same offers, schools and funds, and the approvals
/// that the same requests opened before. If the programme has to adopt newer rules, also loads all open approvals, because
/// adoption changes them.
async fn load_approvals(
    from: &dyn Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let programme = state.programme.programme.clone();
    let mut loaded = Vec::new();
    if state.rules < RulesVersion::CURRENT {
        loaded = approvals::open(from, &programme).await?;
    }
    let (subjects, requests) = (&required.approval_subjects, &required.approval_requests);
    if !required.approvals.is_empty() || !subjects.is_empty() || !requests.is_empty() {
        loaded.extend(approvals::find(from, &required.approvals, subjects, requests).await?);
    }
    let of_programme = loaded.into_iter().filter(|it| it.programme.as_ref() == Some(&programme));
    state.approvals.extend(of_programme.map(|it| (it.id, it)));
    Ok(())
}

/// Loads the texts that commands erase. If the programme has to adopt newer rules, also loads which texts are absent.
async fn load_texts(
    from: &dyn Readable,
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

/// Loads the awards that commands name, all awards of offers that start, end or get another date, and all awards of fees for
/// the leaders of new and undone awards. Then loads the movements of the awards that need them, by their offers.
async fn load_awards(
    from: &dyn Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let named: Vec<AwardId> = required.awards.iter().copied().collect();
    let offers_with_awards: Vec<OfferId> = required.offers_with_awards.iter().copied().collect();
    state.awards.extend(awards::find(from, &named).await?);
    state.awards.extend(awards::of_offers(from, &offers_with_awards).await?);
    let leaders_of_undone_awards =
        required.undone_awards.iter().filter_map(|id| state.awards.get(id)).filter_map(Award::fees_key);
    let leaders: BTreeSet<String> = leaders_of_undone_awards.chain(required.leaders.iter().cloned()).collect();
    let of_leaders = awards::of_leaders(from, &state.programme.programme, &leaders).await?;
    for award in of_leaders.values() {
        state.leaders.entry(award.fees_key().unwrap_or_default()).or_default().push(award.id);
    }
    state.awards.extend(of_leaders);
    let awards_with_movements = required.awards_with_movements.iter().filter_map(|id| state.awards.get(id));
    let offers = awards_with_movements.map(|it| it.offer);
    let offers: BTreeSet<OfferId> = offers.chain(required.offers_with_awards.iter().copied()).collect();
    let offers: Vec<OfferId> = offers.into_iter().collect();
    for recorded in events::of_offers_before(from, &offers, Seq(i64::MAX)).await? {
        state.movements.apply(&recorded.event);
    }
    Ok(())
}

/// Loads what has been paid on the invoices that commands pay, and on all invoices of awards with a movement to undo. Loads
/// the issuer of each invoice for which a command names no issuer, and earlier draws without an invoice.
async fn load_claims(
    from: &dyn Readable,
    required: &RequiredState,
    state: &mut ProgrammeState,
) -> Result<(), StoreError> {
    let undone_awards = required.undone_awards.iter().filter_map(|id| state.awards.get(id));
    let undone_references = undone_awards.flat_map(|it| &it.invoices).map(|it| it.reference.clone());
    let references: Vec<_> =
        required.claims.iter().map(|(_, claim)| claim.reference.clone()).chain(undone_references).collect();
    state.claims = claims::payments(from, &references).await?;
    let trusts: Vec<Uid> = issuing_trusts(required, state).collect();
    if !trusts.is_empty() {
        state.trust_names = register::trust_names(from, &trusts).await?;
        let paying_awards: Vec<AwardId> = state.claims.values().flat_map(ClaimPayments::awards).collect();
        let partner = |it: &Award| match it.support {
            Support::Credit { partner } => Some((it.id, partner)),
            Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
        };
        state.partners = awards::find(from, &paying_awards).await?.values().filter_map(partner).collect();
    }
    let claims_without_issuer = required.claims.iter().filter(|(_, claim)| claim.issuer.is_none());
    let without_issuer: Vec<&Award> = claims_without_issuer.filter_map(|(award, _)| state.awards.get(award)).collect();
    let mut organisations = Vec::new();
    for award in &without_issuer {
        if let Support::Nlg { organisation: Some(name), .. } = &award.support {
            organisations.push((award.id, name.clone()));
        }
    }
    // For an award of an NLE, the text of the event that made the award names the leader's organisation.
    let nle_awards = without_issuer.iter().filter(|it| matches!(it.support, Support::Nle { .. }));
    let nle_awards: HashMap<Seq, AwardId> = nle_awards.map(|it| (it.made, it.id)).collect();
    if !nle_awards.is_empty() {
        let events_with_text: Vec<Seq> = nle_awards.keys().copied().collect();
        let texts = events::texts(from, &state.programme.programme, &events_with_text).await?;
        organisations.extend(texts.into_iter().filter_map(|it| Some((*nle_awards.get(&it.seq)?, it.text))));
    }
    let scheme = &state.programme.scheme;
    let key = |(award, name): (AwardId, String)| Some((award, claim_rules::issuer_key_of_organisation(&name, scheme)?));
    state.organisations = organisations.into_iter().filter_map(key).collect();
    let awards_drawn_before =
        required.draws_without_invoice.iter().filter_map(|id| state.awards.get(id)).filter(|it| it.drawn > 0);
    let offers: BTreeSet<OfferId> = awards_drawn_before.map(|it| it.offer).collect();
    let earlier_draws = claims::draws_without_invoice(from, &offers.into_iter().collect::<Vec<_>>()).await?;
    state.draws_without_invoice = required.draws_without_invoice.iter().map(|id| (*id, Vec::new())).collect();
    for (award, draw) in earlier_draws {
        state.draws_without_invoice.entry(award).and_modify(|it| it.push(draw));
    }
    Ok(())
}

/// The partner trusts of the credit awards under which commands pay invoices. A partner trust issues the invoices of its
/// award.
fn issuing_trusts<'a>(required: &'a RequiredState, state: &'a ProgrammeState) -> impl Iterator<Item = Uid> + 'a {
    required.claims.iter().filter_map(|(award, _)| match &state.awards.get(award)?.support {
        Support::Credit { partner } => Some(*partner),
        Support::Nle { .. } | Support::Nlg { .. } | Support::Npqel { .. } => None,
    })
}

/// Loads the offers that are needed in full, and the open offers of their schools. For identify, loads all offers of the
/// programme. Returns the offers that [`load_common`] has to load without their schools; these include the offers of the
/// loaded awards.
async fn load_offers(
    from: &dyn Readable,
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

/// Funds that commands reduce as of a past day: their strands, and the earliest such day.
type ReducedFunds = (BTreeSet<StrandId>, Date);

/// The funds that commands reduce as of a past day.
fn funds_reduced_before(
    today: Date,
    commands: &[RequestedCommand<'_>],
    state: &ProgrammeState,
) -> Option<ReducedFunds> {
    let reductions = commands.iter().filter_map(|(_, command)| state.strands_taken_from(command, today));
    let past_reductions = reductions.filter(|(day, _)| *day < today);
    past_reductions.fold(None, |found, (day, strands)| {
        let (mut all_strands, first_day) = found.unwrap_or((BTreeSet::new(), day));
        all_strands.extend(strands);
        Some((all_strands, first_day.min(day)))
    })
}

/// Loads the changes of the last days that one person made without an approval, for each fund that a command changes.
async fn load_unapproved_movements(
    from: &dyn Readable,
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

/// The fields of [`LoadedState`] that [`load_common`] returns.
struct CommonState {
    stored_accounts: HashSet<AccountId>,
    known_days: HashMap<AccountId, Date>,
    has_all_funds: bool,
    answers: Vec<Stored>,
    last_recorded_at: Option<Micros>,
}

/// Loads in one round trip what most batches need: offers without their schools, the programme's funds, caps and trusts, the daily
/// changes of `reduced_funds` after the given day. Adds them to the state. Returns what [`LoadedState`] has besides the state.
async fn load_common(
    from: &dyn Readable,
    required: &RequiredState,
    (offers_without_schools, reduced_funds): (&[OfferId], Option<ReducedFunds>),
    (requests, last): (&[(&Actor, RequestId)], Seq),
    state: &mut ProgrammeState,
) -> Result<CommonState, WriteError> {
    let programme = state.programme.programme.clone();
    let moves_money = required.moves_money || state.approvals.values().any(|it| it.change.is_some());
    let caps_of_awards = state.awards.values().filter_map(|it| it.cap);
    let caps: BTreeSet<AccountId> = required.caps.iter().copied().chain(caps_of_awards).collect();
    let caps: Vec<AccountId> = caps.into_iter().collect();
    let trusts: BTreeSet<Uid> = required.trusts.iter().copied().chain(issuing_trusts(required, state)).collect();
    let trusts: Vec<Uid> = trusts.into_iter().collect();
    let accounts = moves_money.then_some((&programme, caps.as_slice()));
    let last = Some((&programme, last));
    let strands: Vec<&str> = reduced_funds.iter().flat_map(|(strands, _)| strands).map(StrandId::as_str).collect();
    let days_of_funds = reduced_funds.as_ref().map(|(_, day)| (&programme, strands.as_slice(), *day));
    let offers = offers_without_schools;
    let query = BatchQuery { requests, offers, accounts, days_of_funds, trusts: &trusts, last, ..BatchQuery::NOTHING };
    let loaded = command_batch::read(from, query).await?;
    state.offers.extend(loaded.offers.into_iter().filter(|(_, offer)| offer.programme == programme));
    if !trusts.is_empty() {
        note_register_seq(state, loaded.register)?;
    }
    state.trusts = eligibility::trust_answers(loaded.trusts);
    let mut known_days = HashMap::new();
    if accounts.is_some() {
        known_days.extend(caps.iter().map(|cap| (*cap, Date::MIN)));
    }
    if let Some((strands, day)) = &reduced_funds {
        let funds = loaded.accounts.iter().filter(|it| matches!(it.owner, Owner::Fund { .. }));
        known_days.extend(funds.filter(|it| strands.contains(&it.strand)).map(|it| (it.id, *day)));
    }
    let stored_accounts = loaded.accounts.iter().map(|it| it.id).collect();
    loaded.accounts.into_iter().for_each(|it| state.ledger.put(it));
    loaded.days.iter().for_each(|it| state.account_days.put(it.account_id, it.on_day, it.change));
    let has_all_funds = accounts.is_some();
    let (answers, last_recorded_at) = (loaded.answers, loaded.recorded);
    Ok(CommonState { stored_accounts, known_days, has_all_funds, answers, last_recorded_at })
}
