//! Reads the state that a batch of commands is decided against, and writes its changes, each in one round trip.

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

/// The data that most batches need. Data that few batches need (offers in full, approvals, the register) has its own
/// statements.
#[derive(Debug)]
pub struct BatchQuery<'a> {
    /// Requests that may have been answered before.
    pub requests: &'a [(&'a Actor, RequestId)],
    /// Offers to read without their schools and contacts.
    pub offers: &'a [OfferId],
    /// The caps to read, besides the funds of this programme; `None` if no account can change.
    pub accounts: Option<(&'a Programme, &'a [AccountId])>,
    /// Trusts of the register.
    pub trusts: &'a [Uid],
    /// The last event of this programme, to read when it was recorded. This is read after the lock, because a subquery
    /// of the locking statement would see the data from before the wait.
    pub last: Option<(&'a Programme, Seq)>,
}

/// The data that was read.
#[derive(Debug)]
pub struct BatchFacts {
    /// Stored answers.
    pub answers: Vec<Stored>,
    /// Offers without their schools and contacts. They may be written by `offers::touch`, but not by `offers::put`.
    pub offers: BTreeMap<OfferId, Offer>,
    /// Funds and caps.
    pub accounts: Vec<Account>,
    /// Trusts.
    pub trusts: HashMap<Uid, Trust>,
    /// The last event of the register's record when the trusts were read; `None` if no trusts were requested.
    pub register: Option<RegisterSeq>,
    /// When the last event was recorded.
    pub recorded: Option<Micros>,
}

/// Reads the data in one round trip.
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

/// Reads stored answers only.
pub async fn answered(from: &impl Readable, requests: &[(&Actor, RequestId)]) -> Result<Vec<Stored>> {
    Ok(read(from, BatchQuery { requests, offers: &[], accounts: None, trusts: &[], last: None }).await?.answers)
}

fn some<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// The changes that batches often make: the record, money, answers. Rarer changes (offers in full, approvals,
/// placements) have their own statements.
#[derive(Debug)]
pub struct BatchChanges<'a> {
    /// The programme's head after the batch.
    pub head: &'a Head,
    /// New events.
    pub events: &'a [Recorded],
    /// Their texts.
    pub texts: &'a [Text],
    /// All accounts, to tell funds from caps.
    pub ledger: &'a Ledger,
    /// New accounts.
    pub opened: Vec<&'a Account>,
    /// Stored accounts that changed.
    pub moved: Vec<&'a Account>,
    /// Awards made or changed.
    pub awards: Vec<&'a Award>,
    /// The last event before the batch.
    pub before: Seq,
    /// Offers of which only the version changed.
    pub touched: Vec<&'a Offer>,
    /// New answers.
    pub answers: &'a [Stored],
    /// When.
    pub at: Micros,
}

/// The changes of accounts that these events make, by day.
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

/// Writes the changes.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] if another programme stored the same request id or invoice at the same time.
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
