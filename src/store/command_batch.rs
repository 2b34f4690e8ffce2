//! Reads the state that the decisions of a batch need, and writes the changes of the batch, each in one round trip.

use std::collections::{BTreeMap, HashMap};

use super::account_days::AccountDay;
use super::events::{Recorded, Text};
use super::programmes::{Expected, Head};
use super::register::Trust;
use super::requests::Stored;
use super::{
    Readable, Result, Store, WritePermit, WriteTx, account_days, accounts, awards, claims, entries, events, offers,
    programmes, register, requests,
};
use crate::domain::Date;
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, OfferId, Programme, RequestId, Uid};
use crate::domain::ledger::{Account, Ledger, Owner};
use crate::domain::offer::Offer;
use crate::domain::programme::AccountDays;
use crate::domain::register_record::RegisterSeq;
use crate::domain::time::Micros;
use crate::store::db::batch_write::BatchWrite;
use crate::store::db::guarded_write::GuardedWrite;
use crate::store::db::multi_query::MultiQuery;

/// The data that most batches need. Data that few batches need (approvals, referrals, the register) has its own statements.
#[derive(Debug)]
pub struct BatchQuery<'a> {
    /// Requests that may have a stored answer.
    pub requests: &'a [(&'a Actor, RequestId)],
    /// Offers to read without their schools and contacts.
    pub offers: &'a [OfferId],
    /// Those of `offers` to read with their schools and contacts.
    pub in_full: &'a [OfferId],
    /// The programme whose funds to read, and the caps to read with them; `None` if no account can change.
    pub accounts: Option<(&'a Programme, &'a [AccountId])>,
    /// The programme and the strands of the funds whose daily changes to read, and the day after which they are read; `None` if
    /// none are needed.
    pub days_of_funds: Option<(&'a Programme, &'a [&'a str], Date)>,
    /// Trusts of the register.
    pub trusts: &'a [Uid],
    /// The programme whose accounts to read, at most so many of them; `None` if they are not needed. Not together with `accounts`.
    pub all_accounts: Option<(&'a Programme, usize)>,
    /// A programme, and what is expected of it and of the register; `None` if nothing is expected.
    pub expected: Option<(&'a Programme, &'a Expected)>,
    /// A programme and the number of its last event, to read when that event was recorded. The statement that locks the programme
    /// cannot read this time: a subquery of it would see the data from before the wait for the lock.
    pub last: Option<(&'a Programme, Seq)>,
}

impl BatchQuery<'_> {
    /// A query that reads nothing.
    pub const NOTHING: Self = Self {
        requests: &[],
        offers: &[],
        in_full: &[],
        accounts: None,
        days_of_funds: None,
        trusts: &[],
        all_accounts: None,
        expected: None,
        last: None,
    };
}

/// The data that a [`BatchQuery`] reads.
#[derive(Debug)]
pub struct BatchState {
    /// Stored answers.
    pub answers: Vec<Stored>,
    /// Offers. Those that were not read in full have no schools and contacts, and must not be written.
    pub offers: BTreeMap<OfferId, Offer>,
    /// Funds and caps.
    pub accounts: Vec<Account>,
    /// Trusts.
    pub trusts: HashMap<Uid, Trust>,
    /// The last event of the register's record when the trusts were read; `None` if no trusts were requested.
    pub register: Option<RegisterSeq>,
    /// All daily changes of these caps, and those of funds that were requested.
    pub days: Vec<AccountDay>,
    /// Whether everything was as expected when the data was read. `false` if nothing was expected.
    pub is_as_expected: bool,
    /// When the last event was recorded; `None` if that was not requested.
    pub recorded: Option<Micros>,
}

/// Reads the requested data in one round trip.
pub async fn read(from: &dyn Readable, query: BatchQuery<'_>) -> Result<BatchState> {
    let conn = from.at();
    let mut queries = MultiQuery::default();
    let requests = non_empty(query.requests).map(|it| requests::add_query(&conn, &mut queries, it));
    let offers = non_empty(query.offers).map(|it| offers::add_bare_query(&conn, &mut queries, it));
    let parts = non_empty(query.in_full).map(|it| offers::add_parts_queries(&conn, &mut queries, it));
    let accounts = match (query.accounts, query.all_accounts) {
        (Some((programme, caps)), _) => Some(accounts::add_query(&conn, &mut queries, programme, caps)),
        (None, Some((programme, most))) => Some(accounts::add_all_query(&mut queries, programme, most)),
        (None, None) => None,
    };
    let days_of_funds = query
        .days_of_funds
        .map(|(programme, strands, day)| account_days::add_query(&conn, &mut queries, programme, (strands, day)));
    let trusts = non_empty(query.trusts).map(|it| register::add_trusts_query(&conn, &mut queries, it));
    let register = non_empty(query.trusts).map(|_| register::record::add_next_seq_query(&mut queries));
    let expected = query
        .expected
        .map(|(programme, expected)| programmes::add_expected_query(&conn, &mut queries, programme, expected));
    let last = query.last.map(|(programme, seq)| events::add_recorded_at_query(&mut queries, programme, seq));
    let results = queries.run(&conn).await?;
    let offers = results.read(offers, offers::decode_bare)?;
    let mut offers = offers.into_iter().map(|it| (it.id, it)).collect();
    offers::add_parts(&mut offers, &results, parts)?;
    let trusts = results.read(trusts, register::read_trust)?;
    let (mut accounts_read, mut days) = (Vec::new(), results.read(days_of_funds, Ok::<AccountDay, _>)?);
    for (account, changes) in results.read(accounts, accounts::read_with_days)? {
        let day = |(on_day, change)| AccountDay { account_id: account.id, on_day, change };
        days.extend(changes.into_iter().map(day));
        accounts_read.push(account);
    }
    Ok(BatchState {
        answers: results.read(requests, |row: requests::RequestRow| Ok(row.into()))?,
        offers,
        accounts: accounts_read,
        trusts: trusts.into_iter().map(|it| (it.uid, it)).collect(),
        register: results.read(register, register::record::last_before)?.pop(),
        days,
        is_as_expected: !results.read(expected, Ok::<i64, _>)?.is_empty(),
        recorded: results.read(last, Ok::<Micros, _>)?.pop(),
    })
}

/// Reads the requested data in one round trip, without the lock of a programme. The caller has a permit to write, so on SQLite nobody
/// writes between the queries.
///
/// # Errors
/// The errors of [`read`]. After a fault of the connection, writes are in doubt.
pub async fn read_without_lock(store: &Store, permit: &WritePermit, query: BatchQuery<'_>) -> Result<BatchState> {
    let reader = store.batch_reader(permit);
    let result = read(&reader, query).await;
    reader.end(result)
}

/// Reads the stored answers of these requests; a request without one is left out.
pub async fn answered(from: &dyn Readable, requests: &[(&Actor, RequestId)]) -> Result<Vec<Stored>> {
    Ok(read(from, BatchQuery { requests, ..BatchQuery::NOTHING }).await?.answers)
}

/// The list, or `None` if it is empty: an empty list needs no query.
fn non_empty<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// The changes that batches often make: the record, offers, money, answers. Rarer changes (approvals, placements, referrals) have
/// their own statements.
#[derive(Debug)]
pub struct BatchChanges<'a> {
    /// The programme's [`Head`] after the batch.
    pub head: &'a Head,
    /// New events.
    pub events: &'a [Recorded],
    /// The texts of the new events.
    pub texts: &'a [Text],
    /// Offers that changed or were made, with their schools and contacts.
    pub offers: Vec<&'a Offer>,
    /// The accounts of the entries. They say which account is a fund and which is a cap.
    pub ledger: &'a Ledger,
    /// New accounts.
    pub opened: Vec<&'a Account>,
    /// Stored accounts that changed.
    pub moved: Vec<&'a Account>,
    /// All daily changes of those accounts that are caps, after the batch.
    pub days: &'a AccountDays,
    /// Awards made or changed.
    pub awards: Vec<&'a Award>,
    /// The last event before the batch.
    pub before: Seq,
    /// New answers.
    pub answers: &'a [Stored],
    /// When the batch is recorded.
    pub at: Micros,
}

/// The changes of funds that these events make, by day.
fn changes_of_funds(events: &[Recorded], ledger: &Ledger) -> AccountDays {
    let mut days = AccountDays::default();
    for event in events.iter().map(|it| &it.event) {
        for entry in &event.entries {
            let account = ledger.get(entry.account).filter(|it| matches!(it.owner, Owner::Fund { .. }));
            account.into_iter().for_each(|it| days.post(it, event.effective, entry.verb, entry.amount));
        }
    }
    days
}

/// Writes the changes of a batch.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] if another programme or an import stored the same request id, or another programme
/// paid the same invoice, at the same time; [`super::StoreError::ConstraintViolation`]; [`super::StoreError::Unavailable`].
pub async fn write(tx: &WriteTx, programme: &Programme, changes: BatchChanges<'_>) -> Result<()> {
    awards::free_unique_keys(tx, &changes.awards, changes.before).await?;
    claims::free_unique_keys(tx, programme, &changes.awards, changes.before).await?;
    let mut batch = rows_of(programme, &changes);
    programmes::advance(&mut batch, programme, changes.head);
    batch.write(tx).await
}

/// Writes and commits the changes of a batch that was decided without the lock, if the database is as expected. No award of the
/// batch may give a unique key to another one: see [`awards::free_unique_keys`].
///
/// # Errors
/// The outcome is unknown after an error: [`super::StoreError::Unavailable`], [`super::StoreError::Full`]. Nothing was written
/// after [`super::StoreError::Contention`].
pub async fn write_guarded(
    (store, permit): (&Store, WritePermit),
    programme: &Programme,
    expected: &Expected,
    changes: BatchChanges<'_>,
) -> Result<GuardedWrite> {
    let guard = programmes::guard(store.backend(), programme, expected, changes.head);
    store.write_guarded(permit, guard, rows_of(programme, &changes)).await
}

/// The rows of a batch, without the head of the programme.
fn rows_of(programme: &Programme, changes: &BatchChanges<'_>) -> BatchWrite {
    let mut batch = BatchWrite::default();
    let is_fund =
        |id: AccountId| changes.ledger.get(id).is_some_and(|account| matches!(account.owner, Owner::Fund { .. }));
    offers::put(&mut batch, &changes.offers);
    events::append(&mut batch, (programme, changes.at), (changes.events, changes.texts), is_fund);
    entries::append(&mut batch, programme, changes.events, is_fund);
    accounts::put(&mut batch, programme, (&changes.opened, &changes.moved), changes.days);
    account_days::add(&mut batch, programme, &changes_of_funds(changes.events, changes.ledger));
    awards::put(&mut batch, programme, &changes.awards, changes.before);
    requests::append(&mut batch, changes.answers, changes.at);
    batch
}
