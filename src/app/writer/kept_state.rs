//! Keeps a part of the state of a programme between batches, together with the head of the record that it belongs to.
//!
//! Every change of a programme changes its head. So kept state is current if, and only if, the head in the database is still the
//! head that it was kept with. The statement that writes a batch checks exactly that: [`super::guarded_batch`].

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use quick_cache::unsync::Cache;
use tokio::time::{Duration, Instant};

use super::kept_offer::KeptOffer;
use super::required_state::RequiredState;
use crate::app::clock::APART;
use crate::domain::Date;
use crate::domain::award::Award;
use crate::domain::ids::{AccountId, Actor, AwardId, OfferId, RequestId, Uid};
use crate::domain::ledger::{Account, Owner};
use crate::domain::programme::{ProgrammeState, TrustAnswer};
use crate::domain::register_record::RegisterSeq;
use crate::domain::time::Micros;
use crate::store::account_days::AccountDay;
use crate::store::programmes::Head;

/// The most offers, caps and trusts that are kept for a programme, at some hundred bytes each; an offer with schools and contacts may
/// have some kilobytes. Those that were not used lately are
/// dropped first.
const KEPT_ENTITIES: usize = 50_000;
/// The most awards that are kept. Most awards are not used again soon after they were made.
const KEPT_AWARDS: usize = 20_000;
/// The most caps that are kept together, with the knowledge that there are no others; also the most daily changes of these caps.
const MAX_ALL_CAPS: usize = 50_000;
/// The most accounts to read at once: one more than are kept, so that it is known if there are more.
pub(super) const READ_ALL: usize = MAX_ALL_CAPS + 1;
/// After so many caps were missing, all caps are read together. Most awards are the first ones under their offers: only with all caps
/// is it known that an offer has none yet.
const MISSED_CAPS: usize = 64;
/// How long a statement may be late and still have an effect: the guard compares the clocks, which may differ by [`APART`] themselves.
const UNSETTLED_FOR: Duration = Duration::from_secs(2 * APART.as_secs());
/// After a write of another process, one batch takes the lock and keeps its state. So many more batches take the lock before one relies
/// on that state.
const LOCKED_AFTER_OVERTAKEN: u32 = 4;

/// The kept state of a programme, if there is any, and whether a batch may rely on it.
#[derive(Debug, Default)]
pub(super) struct StateKeeper {
    kept: Option<KeptState>,
    /// The number of batches that must still take the lock, because another process writes to the programme.
    locked_batches: u32,
    unsettled: Option<UnsettledBatch>,
}

/// A batch that was sent without the lock, and whose outcome is unknown. Its statement may not have reached the database yet. It has no
/// effect once the head has moved, or once the clocks differ too much from the time at which it was sent.
#[derive(Debug)]
struct UnsettledBatch {
    head: Head,
    sent_at: Instant,
    requests: HashSet<(Actor, RequestId)>,
}

impl StateKeeper {
    /// The kept state, if the next batch may be decided against it without the lock.
    pub(super) fn usable(&mut self) -> Option<&mut KeptState> {
        self.kept.as_mut().filter(|_| self.locked_batches == 0 && self.unsettled.is_none())
    }

    /// Notes that a batch with these requests was sent under this head, and that its outcome is unknown. Drops the state.
    pub(super) fn note_unknown_outcome(&mut self, head: Head, requests: HashSet<(Actor, RequestId)>) {
        self.kept = None;
        self.unsettled = Some(UnsettledBatch { head, sent_at: Instant::now(), requests });
    }

    /// Whether a refusal of this request is final. It is not as long as an earlier statement may still carry the request out.
    pub(super) fn is_final(&self, actor: &Actor, request: RequestId) -> bool {
        let requests = self.unsettled.as_ref().map(|it| &it.requests);
        requests.is_none_or(|it| !it.contains(&(actor.clone(), request)))
    }

    /// Forgets the batch whose outcome was unknown, once its statement can have no effect any more.
    fn settle(&mut self, head: &Head) {
        self.unsettled.take_if(|it| it.head != *head || it.sent_at.elapsed() > UNSETTLED_FOR);
    }

    /// Drops the state, after an attempt whose outcome is unknown.
    pub(super) fn drop_state(&mut self) {
        self.kept = None;
    }

    /// Drops the state, because another process has written to the programme. The next batches take the lock.
    pub(super) fn note_overtaken(&mut self) {
        self.kept = None;
        self.locked_batches = LOCKED_AFTER_OVERTAKEN;
    }

    /// Compares the kept state with the head that a batch has locked, and drops it if the head is another.
    pub(super) fn note_locked(&mut self, head: &Head) {
        self.settle(head);
        match &self.kept {
            Some(kept) if kept.head != *head => self.note_overtaken(),
            Some(_) => self.locked_batches = self.locked_batches.saturating_sub(1),
            None => {}
        }
    }

    /// Keeps the state after a batch.
    pub(super) fn keep(&mut self, batch: WrittenBatch) {
        self.settle(&batch.head);
        self.kept.get_or_insert_with(|| KeptState::new(batch.head)).update(batch);
    }
}

/// What is known after a batch was written.
#[derive(Debug)]
pub(super) struct WrittenBatch {
    /// The head after the batch.
    pub(super) head: Head,
    /// When the last event was recorded.
    pub(super) last_recorded_at: Option<Micros>,
    /// The state after the batch: everything that it loaded, changed or made.
    pub(super) state: ProgrammeState,
    /// The accounts in the state that are stored.
    pub(super) stored_accounts: HashSet<AccountId>,
    /// The accounts whose daily changes after a day are all in the state, with that day.
    pub(super) known_days: HashMap<AccountId, Date>,
    /// Whether the state has all stored funds of the programme.
    pub(super) has_all_funds: bool,
    /// Caps and trusts that were looked for. Those that are not in the state do not exist.
    pub(super) looked_for: (BTreeSet<AccountId>, BTreeSet<Uid>),
    /// The number of caps that were not kept, in a batch without the lock.
    pub(super) missed_caps: usize,
}

/// A part of the state of a programme.
#[derive(Debug)]
pub(super) struct KeptState {
    pub(super) head: Head,
    pub(super) last_recorded_at: Option<Micros>,
    /// The last event of the register's record when the kept trusts were read.
    pub(super) register_seq: Option<RegisterSeq>,
    /// All stored funds; `None` until a batch has read them.
    funds: Option<HashMap<AccountId, KeptAccount>>,
    all_caps: AllCaps,
    awards: Cache<AwardId, Award>,
    entities: Cache<EntityKey, KeptEntity>,
}

/// The stored caps of the programme, all together.
#[derive(Debug)]
enum AllCaps {
    /// They were not read. So many caps were missing in batches that were written; they were read one by one, and are among the
    /// entities.
    Unread { missed: usize },
    /// All of them.
    Known(HashMap<AccountId, KeptAccount>),
    /// There are more than [`MAX_ALL_CAPS`]. Those that were read are among the entities.
    TooMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum EntityKey {
    Offer(OfferId),
    Cap(AccountId),
    Trust(Uid),
}

#[derive(Debug, Clone)]
enum KeptEntity {
    Offer(Box<KeptOffer>),
    /// `None` for a cap that is not stored yet.
    Cap(Option<Box<KeptAccount>>),
    /// `None` for a trust that is not in the register.
    Trust(Option<TrustAnswer>),
}

/// A stored account.
#[derive(Debug, Clone)]
struct KeptAccount {
    account: Account,
    /// Its daily changes after a day; `None` if they were not read.
    days: Option<(Date, Vec<(Date, i64)>)>,
}

/// The state that a batch needs and that is not kept.
#[derive(Debug, Default)]
pub(super) struct MissingState {
    pub(super) offers: Vec<OfferId>,
    /// Those of `offers` that are needed with their schools and contacts.
    pub(super) in_full: Vec<OfferId>,
    pub(super) caps: Vec<AccountId>,
    pub(super) trusts: Vec<Uid>,
}

impl MissingState {
    pub(super) const fn is_empty(&self) -> bool {
        self.offers.is_empty() && self.caps.is_empty() && self.trusts.is_empty()
    }
}

/// The state of a batch that is filled from kept state.
#[derive(Debug)]
pub(super) struct FilledState {
    pub(super) state: ProgrammeState,
    pub(super) stored_accounts: HashSet<AccountId>,
    pub(super) known_days: HashMap<AccountId, Date>,
    /// Caps and trusts that the batch needs.
    pub(super) looked_for: (BTreeSet<AccountId>, BTreeSet<Uid>),
    pub(super) missing: MissingState,
    /// The number of caps that were missing.
    pub(super) missed_caps: usize,
}

impl FilledState {
    /// Adds a stored account with its daily changes, which are known after the day `after`.
    pub(super) fn put_account(&mut self, account: Account, days: Option<Date>) {
        self.stored_accounts.insert(account.id);
        self.known_days.extend(days.map(|after| (account.id, after)));
        self.state.ledger.put(account);
    }

    fn put_kept(&mut self, kept: &KeptAccount) {
        let id = kept.account.id;
        if let Some((_, changes)) = &kept.days {
            changes.iter().for_each(|(on, change)| self.state.account_days.put(id, *on, *change));
        }
        self.put_account(kept.account.clone(), kept.days.as_ref().map(|(after, _)| *after));
    }
}

impl KeptState {
    fn new(head: Head) -> Self {
        let (awards, entities) = (Cache::new(KEPT_AWARDS), Cache::new(KEPT_ENTITIES));
        let all_caps = AllCaps::Unread { missed: 0 };
        Self { head, last_recorded_at: None, register_seq: None, funds: None, all_caps, awards, entities }
    }

    /// Whether all caps are to be read, because many were missing.
    pub(super) const fn must_read_all_caps(&self) -> bool {
        matches!(self.all_caps, AllCaps::Unread { missed } if missed >= MISSED_CAPS)
    }

    /// Keeps all caps of the programme. `accounts` are the stored accounts of the programme, up to [`READ_ALL`] of them, and `days` the
    /// daily changes of caps.
    pub(super) fn keep_all_caps(&mut self, accounts: Vec<Account>, days: &[AccountDay]) {
        if accounts.len().max(days.len()) >= READ_ALL {
            return self.give_up_all_caps();
        }
        // From now on only `all_caps` is updated.
        self.drop_single_caps();
        let mut changes: HashMap<AccountId, Vec<(Date, i64)>> = HashMap::new();
        for AccountDay { account_id, on_day, change } in days {
            changes.entry(*account_id).or_default().push((*on_day, *change));
        }
        let caps = accounts.into_iter().filter(|it| matches!(it.owner, Owner::Cap { .. }));
        let caps = caps.map(|account| {
            let days = changes.remove(&account.id).unwrap_or_default();
            (account.id, KeptAccount { account, days: Some((Date::MIN, days)) })
        });
        self.all_caps = AllCaps::Known(caps.collect());
    }

    fn give_up_all_caps(&mut self) {
        self.all_caps = AllCaps::TooMany;
        self.drop_single_caps();
    }

    fn drop_single_caps(&mut self) {
        self.entities.retain(|key, _| !matches!(key, EntityKey::Cap(_)));
    }

    /// Fills the initial state of a programme with what the commands of a batch need. Lists what has to be read. Returns `None` if
    /// the commands need an award or the funds, and these are not kept: the batch then takes the lock.
    pub(super) fn fill(&self, required: &RequiredState, state: ProgrammeState) -> Option<FilledState> {
        let (mut bare_offers, mut caps) = (required.offers_without_schools.clone(), required.caps.clone());
        let looked_for = (BTreeSet::new(), required.trusts.clone());
        let (stored_accounts, known_days, missing) = (HashSet::new(), HashMap::new(), MissingState::default());
        let mut filled = FilledState { state, stored_accounts, known_days, looked_for, missing, missed_caps: 0 };
        for id in &required.awards {
            let award = self.awards.get(id)?;
            bare_offers.insert(award.offer);
            caps.extend(award.cap);
            filled.state.awards.put(award.clone());
        }
        if required.moves_money {
            self.funds.as_ref()?.values().for_each(|it| filled.put_kept(it));
        }
        for id in &required.offers {
            if let Some(offer) = self.offer(*id).and_then(KeptOffer::in_full) {
                filled.state.offers.insert(*id, offer);
            } else {
                filled.missing.offers.push(*id);
                filled.missing.in_full.push(*id);
            }
        }
        for id in bare_offers.difference(&required.offers) {
            match self.offer(*id) {
                Some(offer) => drop(filled.state.offers.insert(*id, offer.bare().clone())),
                None => filled.missing.offers.push(*id),
            }
        }
        for id in &caps {
            match self.cap(*id) {
                Some(Some(kept)) if kept.days.is_some() => filled.put_kept(kept),
                Some(None) => drop(filled.known_days.insert(*id, Date::MIN)),
                _ => filled.missing.caps.push(*id),
            }
        }
        for uid in &required.trusts {
            match self.entities.get(&EntityKey::Trust(*uid)) {
                Some(KeptEntity::Trust(answer)) => filled.state.trusts.extend(answer.map(|it| (*uid, it))),
                _ => filled.missing.trusts.push(*uid),
            }
        }
        filled.missed_caps = filled.missing.caps.len();
        filled.looked_for.0 = caps;
        Some(filled)
    }

    fn offer(&self, id: OfferId) -> Option<&KeptOffer> {
        let Some(KeptEntity::Offer(offer)) = self.entities.get(&EntityKey::Offer(id)) else { return None };
        Some(offer)
    }

    /// A cap: `Some(None)` if it is known that it is not stored, and `None` if nothing is known.
    fn cap(&self, id: AccountId) -> Option<Option<&KeptAccount>> {
        if let AllCaps::Known(caps) = &self.all_caps {
            return Some(caps.get(&id));
        }
        let Some(KeptEntity::Cap(cap)) = self.entities.get(&EntityKey::Cap(id)) else { return None };
        Some(cap.as_deref())
    }

    /// A kept account.
    fn account(&self, id: AccountId) -> Option<&KeptAccount> {
        self.funds.as_ref().and_then(|funds| funds.get(&id)).or_else(|| self.cap(id).flatten())
    }

    /// Keeps what a batch has loaded and changed.
    fn update(&mut self, batch: WrittenBatch) {
        let WrittenBatch { state, stored_accounts, known_days, looked_for: (caps, trusts), .. } = batch;
        self.keep_accounts(&state, &stored_accounts, &known_days, batch.has_all_funds);
        if !matches!(self.all_caps, AllCaps::Known(_)) {
            for id in caps.into_iter().filter(|id| !stored_accounts.contains(id)) {
                self.entities.insert(EntityKey::Cap(id), KeptEntity::Cap(None));
            }
        }
        // A command may name an award of another programme, which then is in the state without its offer.
        for (id, award) in state.awards.iter().filter(|(_, it)| state.offers.contains_key(&it.offer)) {
            self.awards.insert(*id, award.clone());
        }
        for (id, offer) in state.offers {
            let key = EntityKey::Offer(id);
            if let Some(mut kept) = self.entities.get_mut(&key)
                && let KeptEntity::Offer(kept) = &mut *kept
            {
                kept.replace(offer);
                continue;
            }
            self.entities.insert(key, KeptEntity::Offer(Box::new(KeptOffer::new(offer))));
        }
        if let Some(seq) = state.register_seq {
            if self.register_seq != Some(seq) {
                self.entities.retain(|key, _| !matches!(key, EntityKey::Trust(_)));
                self.register_seq = Some(seq);
            }
            for uid in trusts {
                let answer = state.trusts.get(&uid).copied();
                self.entities.insert(EntityKey::Trust(uid), KeptEntity::Trust(answer));
            }
        }
        match &mut self.all_caps {
            AllCaps::Known(caps) if caps.len() > MAX_ALL_CAPS => self.give_up_all_caps(),
            AllCaps::Unread { missed } => *missed = missed.saturating_add(batch.missed_caps),
            AllCaps::Known(_) | AllCaps::TooMany => {}
        }
        self.last_recorded_at = batch.last_recorded_at;
        self.head = batch.head;
    }

    fn keep_accounts(
        &mut self,
        state: &ProgrammeState,
        stored: &HashSet<AccountId>,
        known_days: &HashMap<AccountId, Date>,
        has_all_funds: bool,
    ) {
        if has_all_funds {
            self.funds.get_or_insert_default();
        }
        for account in stored.iter().filter_map(|id| state.ledger.get(*id)) {
            let changes = state.account_days.of_account(account.id);
            let days = match (known_days.get(&account.id), self.account(account.id)) {
                (Some(after), _) => Some((*after, changes.filter(|(on, _)| on > after).collect())),
                // The state has only the changes of the batch, which add to the kept ones.
                (None, Some(KeptAccount { days: Some((after, kept)), .. })) => {
                    let changes = changes.filter(|(on, _)| on > after);
                    Some((*after, sum_by_day(kept.iter().copied().chain(changes))))
                }
                (None, _) => None,
            };
            let kept = KeptAccount { account: account.clone(), days };
            match account.owner {
                // As long as not all funds are known, none is kept.
                Owner::Fund { .. } => drop(self.funds.as_mut().map(|funds| funds.insert(account.id, kept))),
                Owner::Cap { offer } if !state.offers.contains_key(&offer) => {}
                Owner::Cap { .. } => {
                    if let AllCaps::Known(caps) = &mut self.all_caps {
                        caps.insert(account.id, kept);
                    } else {
                        self.entities.insert(EntityKey::Cap(account.id), KeptEntity::Cap(Some(Box::new(kept))));
                    }
                }
            }
        }
    }
}

/// The sum of the changes of each day.
fn sum_by_day(changes: impl Iterator<Item = (Date, i64)>) -> Vec<(Date, i64)> {
    let mut sums: BTreeMap<Date, i64> = BTreeMap::new();
    for (on, change) in changes {
        let sum = sums.entry(on).or_default();
        *sum = sum.saturating_add(change);
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::event::Seq;
    use crate::domain::ids::Programme;
    use crate::domain::ledger::Unit;
    use crate::domain::terms::StrandId;

    fn offer_key(number: usize) -> EntityKey {
        EntityKey::Offer(OfferId(Uuid::from_u128(u128::try_from(number).unwrap())))
    }

    fn cap(number: u128) -> Account {
        let owner = Owner::Cap { offer: OfferId(Uuid::from_u128(number)) };
        Account::new(AccountId(Uuid::from_u128(number)), owner, StrandId::new("nlg"), Unit::Pence, true)
    }

    #[test]
    fn all_caps_are_kept_if_there_are_not_too_many() {
        let programme: Programme = "2021-22".parse().unwrap();
        let mut kept = KeptState::new(Head::new(&programme));
        let id = |number| AccountId(Uuid::from_u128(number));
        let days = [AccountDay { account_id: id(1), on_day: Date::MIN, change: -7 }];
        kept.keep_all_caps(vec![cap(1), cap(2)], &days);
        let stored = kept.cap(id(1)).unwrap().unwrap();
        assert_eq!(stored.days, Some((Date::MIN, vec![(Date::MIN, -7)])));
        assert!(kept.cap(id(3)).is_some_and(|it| it.is_none()), "a cap that is not stored is known not to be");
        // One more than are kept: then nothing is known of a cap that was not read by itself.
        kept.keep_all_caps((0..u128::try_from(READ_ALL).unwrap()).map(cap).collect(), &[]);
        assert!(kept.cap(id(3)).is_none());
        assert!(!kept.must_read_all_caps());
    }

    /// A cap that was read by itself changes while all caps are known. If they become too many, the old one must not come back.
    #[test]
    fn a_single_cap_is_forgotten_when_all_caps_are_read() {
        let mut kept = KeptState::new(Head::new(&"2021-22".parse().unwrap()));
        let single = KeptAccount { account: cap(1), days: Some((Date::MIN, Vec::new())) };
        kept.entities.insert(EntityKey::Cap(cap(1).id), KeptEntity::Cap(Some(Box::new(single))));
        assert!(kept.cap(cap(1).id).is_some());
        kept.keep_all_caps(vec![cap(1)], &[]);
        kept.give_up_all_caps();
        assert!(kept.cap(cap(1).id).is_none());
    }

    #[test]
    fn a_refusal_is_final_only_if_no_earlier_statement_can_still_carry_its_request_out() {
        let before = Head::new(&"2021-22".parse().unwrap());
        let (actor, sent, other) =
            ("ann".parse().unwrap(), RequestId(Uuid::from_u128(1)), RequestId(Uuid::from_u128(2)));
        let mut keeper = StateKeeper { kept: Some(KeptState::new(before)), ..StateKeeper::default() };
        assert!(keeper.usable().is_some() && keeper.is_final(&actor, sent));
        keeper.note_unknown_outcome(before, HashSet::from([(actor.clone(), sent)]));
        keeper.note_locked(&before);
        assert!(!keeper.is_final(&actor, sent) && keeper.is_final(&actor, other) && keeper.usable().is_none());
        keeper.note_locked(&Head { next: Seq(2), ..before });
        assert!(keeper.is_final(&actor, sent));
    }

    #[test]
    fn the_entities_used_most_recently_are_kept_up_to_the_bound() {
        let mut cache: Cache<EntityKey, KeptEntity> = Cache::new(KEPT_ENTITIES);
        for number in 0..KEPT_ENTITIES * 3 {
            cache.insert(offer_key(number), KeptEntity::Trust(None));
            assert!(cache.get(&offer_key(0)).is_some(), "an entity that is used all the time is kept");
        }
        assert!(cache.len() <= KEPT_ENTITIES, "{}", cache.len());
        assert!(cache.len() > KEPT_ENTITIES / 2, "{}", cache.len());
    }
}
