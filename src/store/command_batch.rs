//! What one group of commands is decided against, read together, and everything it changes, written together.

use std::collections::{BTreeMap, HashMap};

use super::events::{Recorded, Text};
use super::programmes::Head;
use super::register::Trust;
use super::requests::Stored;
use super::{
    Readable, Result, WriteTx, account_days, accounts, awards, claims, entries, events, offers, programmes, register,
    requests,
};
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, OfferId, Programme, RequestId, Uid};
use crate::domain::ledger::{Account, Ledger, Owner};
use crate::domain::offer::Offer;
use crate::domain::programme::AccountDays;
use crate::domain::register_record::RegisterSeq;
use crate::domain::time::Micros;
use crate::store::db::batch_write::BatchWrite;
use crate::store::db::multi_query::MultiQuery;

/// What most groups ask. What they ask seldom (offers in full, approvals, the register) has statements of its own.
#[derive(Debug)]
pub struct BatchQuery<'a> {
    /// Requests that may have been answered before.
    pub requests: &'a [(&'a Actor, RequestId)],
    /// Offers of which only what money depends on is asked.
    pub offers: &'a [OfferId],
    /// Caps to be had beside the funds of this programme; nothing when no account may be moved.
    pub accounts: Option<(&'a Programme, &'a [AccountId])>,
    /// Trusts of the register.
    pub trusts: &'a [Uid],
    /// The last event of this programme, of which the recorded time is asked. Read after the lock: a subquery of the
    /// statement that locks would see what was there before the wait.
    pub last: Option<(&'a Programme, Seq)>,
}

/// The answers, as far as there are such things.
#[derive(Debug)]
pub struct BatchFacts {
    /// Answers given before.
    pub answers: Vec<Stored>,
    /// Offers without their schools and contacts: to be touched, never put.
    pub offers: BTreeMap<OfferId, Offer>,
    /// Funds and caps.
    pub accounts: Vec<Account>,
    /// Trusts.
    pub trusts: HashMap<Uid, Trust>,
    /// The event of the register's record after which they were read, where they were asked for.
    pub register: Option<RegisterSeq>,
    /// When the last event was recorded.
    pub recorded: Option<Micros>,
}

/// Reads it in one round trip.
pub async fn read(from: &impl Readable, asked: BatchQuery<'_>) -> Result<BatchFacts> {
    let conn = from.at();
    let mut all = MultiQuery::default();
    let requests = some(asked.requests).map(|it| requests::ask(&conn, &mut all, it));
    let offers = some(asked.offers).map(|it| offers::ask_bare(&conn, &mut all, it));
    let accounts = asked.accounts.map(|(programme, caps)| accounts::ask(&conn, &mut all, programme, caps));
    let trusts = some(asked.trusts).map(|it| register::ask_trusts(&conn, &mut all, it));
    let register = some(asked.trusts).map(|_| register::record::ask_head(&mut all));
    let last = asked.last.map(|(programme, seq)| events::ask_recorded(&mut all, programme, seq));
    let all = all.ask(&conn).await?;
    let offers = all.read(offers, offers::bare)?;
    let trusts = all.read(trusts, register::read_trust)?;
    Ok(BatchFacts {
        answers: all.read(requests, |row: requests::RequestRow| Ok(row.into()))?,
        offers: offers.into_iter().map(|it| (it.id, it)).collect(),
        accounts: all.read(accounts, |row| Ok(accounts::read(row)?.1))?,
        trusts: trusts.into_iter().map(|it| (it.uid, it)).collect(),
        register: all.read(register, register::record::last_before)?.pop(),
        recorded: all.read(last, Ok::<Micros, _>)?.pop(),
    })
}

/// Reads the answers given before alone.
pub async fn answered(from: &impl Readable, requests: &[(&Actor, RequestId)]) -> Result<Vec<Stored>> {
    Ok(read(from, BatchQuery { requests, offers: &[], accounts: None, trusts: &[], last: None }).await?.answers)
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// What a group changes often: the record, money, answers. What it changes seldom (offers in full, approvals,
/// placements) has statements of its own.
#[derive(Debug)]
pub struct BatchChanges<'a> {
    /// The programme's head, moved on.
    pub head: &'a Head,
    /// New events.
    pub events: &'a [Recorded],
    /// Their texts.
    pub texts: &'a [Text],
    /// The accounts, for telling funds from caps.
    pub ledger: &'a Ledger,
    /// Accounts that are new.
    pub opened: Vec<&'a Account>,
    /// Accounts that were stored, and moved.
    pub moved: Vec<&'a Account>,
    /// Awards made or changed.
    pub awards: Vec<&'a Award>,
    /// The last event before the group.
    pub before: Seq,
    /// Offers of which only the version moved.
    pub touched: Vec<&'a Offer>,
    /// New answers.
    pub answers: &'a [Stored],
    /// When.
    pub at: Micros,
}

/// How these events changed accounts by the day.
fn changes(events: &[Recorded], ledger: &Ledger) -> AccountDays {
    let mut days = AccountDays::default();
    for event in events.iter().map(|it| &it.event) {
        for entry in &event.entries {
            let account = ledger.get(entry.account);
            account.into_iter().for_each(|it| days.post(it, event.effective, entry.verb, entry.amount));
        }
    }
    days
}

/// Writes it.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] when a request id or an invoice was kept by another programme at this moment.
pub async fn write(tx: &WriteTx, programme: &Programme, it: BatchChanges<'_>) -> Result<()> {
    awards::free(tx, &it.awards, it.before).await?;
    claims::free(tx, programme, &it.awards, it.before).await?;
    let mut batch = BatchWrite::default();
    events::append(&mut batch, programme, it.at, it.events, it.texts);
    let is_fund = |id: AccountId| it.ledger.get(id).is_some_and(|found| matches!(found.owner, Owner::Fund { .. }));
    entries::append(&mut batch, programme, it.events, is_fund);
    accounts::put(&mut batch, programme, &it.opened, &it.moved);
    account_days::add(&mut batch, programme, &changes(it.events, it.ledger));
    awards::put(&mut batch, programme, &it.awards, it.before);
    offers::touch(&mut batch, &it.touched);
    requests::append(&mut batch, it.answers, it.at);
    programmes::advance(&mut batch, programme, it.head);
    batch.write(tx).await
}
