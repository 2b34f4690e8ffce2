//! Reads and writes the record of reference data. The head of the record is in the row that [`lock()`] locks, and events are
//! appended only under that lock.

use sea_orm::sea_query::LockType;
use sea_orm::{EntityTrait as _, QueryResult, QuerySelect as _};

use crate::domain::Date;
use crate::domain::event::{Event, Hash, Seq, genesis};
use crate::domain::ids::{Actor, RecordName, RequestId};
use crate::domain::register_record::{RegisterBody, RegisterSeq};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table};
use crate::store::db::bulk_sql::rows;
use crate::store::db::column_values::{check_day_text, hash};
use crate::store::db::entity::register::lock;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{FromRow as _, Row as _, column, row};
use crate::store::events::Recorded;
use crate::store::verify_rows::{VerifyRows, read_each};
use crate::store::{Readable, Result, StoreError, WriteTx};

/// The head of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterHead {
    /// The next event's number.
    pub next: Seq,
    /// The last event's hash; before the first event, the hash that the record begins with.
    pub hash: Hash,
}

impl RegisterHead {
    /// The number of the last event; 0 if there is none.
    #[must_use]
    pub const fn last(&self) -> RegisterSeq {
        Seq(self.next.0.saturating_sub(1))
    }

    /// Whether the record has begun.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.next.0 > 1
    }
}

/// Locks the register until the transaction ends. Imports and withdrawals take this lock, and so do commands that depend
/// on the register or the files. A dry run reads one snapshot and takes no lock.
///
/// # Errors
/// [`StoreError::Contention`] if another process holds the lock for too long; [`StoreError::Unavailable`];
/// [`StoreError::Unreadable`] if the row is missing or its hash is invalid.
pub async fn lock(from: &dyn Readable) -> Result<RegisterHead> {
    let mut find = lock::Entity::find();
    if from.can_lock() {
        find = find.lock(LockType::Update);
    }
    decode_head(find.all(&from.at().db).await?.pop())
}

/// Reads the head without locking it.
pub async fn head(from: &dyn Readable) -> Result<RegisterHead> {
    decode_head(lock::Entity::find().all(&from.at().db).await?.pop())
}

/// Adds a query for the number of the next event, so that the number belongs to the same moment as the other results. Returns
/// the query's number.
pub(in crate::store) fn add_next_seq_query(queries: &mut MultiQuery) -> usize {
    queries.add(&[("next_seq", ColumnType::Int)], [], |_| "FROM register_lock".to_owned())
}

/// The number of the last event, from the result of [`add_next_seq_query`].
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn last_before(Seq(next): RegisterSeq) -> Result<RegisterSeq> {
    Ok(Seq(next.saturating_sub(1)))
}

fn decode_head(row: Option<lock::Model>) -> Result<RegisterHead> {
    let row = row.ok_or_else(|| StoreError::unreadable("register_lock has no row"))?;
    let last_hash = row.head.as_deref().map(hash).transpose()?;
    Ok(RegisterHead { next: Seq(row.next_seq), hash: last_hash.unwrap_or_else(|| genesis(&RecordName::Register)) })
}

row! {
    /// The salt of an event's text.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Salt {
        /// The event.
        pub seq: RegisterSeq,
        /// The salt.
        pub salt: Vec<u8>,
    }
}

row! {
    /// An event.
    struct RegisterEventRow {
        seq: RegisterSeq,
        kind: String,
        actor: Actor,
        request_id: RequestId,
        effective_on: Date,
        recorded_at: Micros,
        text_hash: Option<Hash>,
        body: String,
        hash: Hash,
    }
}

static EVENTS: Table =
    Table { name: "register_events", shared: &[], columns: RegisterEventRow::COLUMNS, how: RowWrite::Insert };

static SALTS: Table = Table { name: "register_salts", shared: &[], columns: Salt::COLUMNS, how: RowWrite::Insert };

static HEAD: Table = Table { name: "register_lock", shared: &[], columns: lock::Model::COLUMNS, how: RowWrite::Update };

/// Appends events with the salts of their texts, and updates the locked head.
pub async fn append(
    tx: &WriteTx,
    head: &RegisterHead,
    events: &[Recorded<RegisterBody>],
    salts: &[Salt],
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut batch = BatchWrite::default();
    batch.rows(&EVENTS, [], events.iter().map(|it| row_of(it).cells()));
    batch.rows(&SALTS, [], salts.iter().map(|it| it.clone().cells()));
    let head = lock::Model { id: 1, next_seq: head.next.0, head: Some(head.hash.0.to_vec()) };
    batch.rows(&HEAD, [], std::iter::once(head.cells()));
    batch.write(tx).await
}

fn row_of(it: &Recorded<RegisterBody>) -> RegisterEventRow {
    let event = &it.event;
    RegisterEventRow {
        seq: event.seq,
        kind: it.kind.clone(),
        actor: event.actor.clone(),
        request_id: event.request,
        effective_on: event.effective,
        recorded_at: event.recorded,
        text_hash: event.text_hash,
        body: it.body.clone(),
        hash: it.hash,
    }
}

/// A stored event, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRegisterEvent {
    /// Its number.
    pub seq: RegisterSeq,
    /// Its hash; `None` if the stored value is not a hash.
    pub hash: Option<Hash>,
    /// The event, or why it cannot be read.
    pub recorded: std::result::Result<Recorded<RegisterBody>, String>,
}

/// A page of events from a number on, in order, each decoded separately.
pub async fn page(from: &dyn Readable, first: RegisterSeq, limit: u64) -> Result<Vec<StoredRegisterEvent>> {
    let sql =
        format!("SELECT {} FROM register_events WHERE seq >= $1 ORDER BY seq LIMIT $2", RegisterEventRow::names());
    let values = vec![first.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    rows(&from.at(), &sql, values).await?.iter().map(decode_separately).collect()
}

/// Decodes an event. An event that cannot be read becomes an error within the [`StoredRegisterEvent`].
fn decode_separately(row: &QueryResult) -> Result<StoredRegisterEvent> {
    let recorded = RegisterEventRow::of(row).and_then(|it| {
        if row.try_as_sqlite_row().is_some() {
            let text: String = column!(RegisterEventRow, effective_on, row)?;
            check_day_text(it.effective_on, &text)?;
        }
        decode_event(it)
    });
    Ok(StoredRegisterEvent {
        seq: Seq::of(row)?,
        hash: column!(RegisterEventRow, hash, row).ok(),
        recorded: recorded.map_err(StoreError::said),
    })
}

fn decode_event(row: RegisterEventRow) -> Result<Recorded<RegisterBody>> {
    let event = Event {
        seq: row.seq,
        offer: None,
        actor: row.actor,
        request: row.request_id,
        effective: row.effective_on,
        recorded: row.recorded_at,
        reason_code: None,
        text_hash: row.text_hash,
        body: serde_json::from_str(&row.body).map_err(StoreError::unreadable)?,
        entries: Vec::new(),
    };
    Ok(Recorded { event, body: row.body, kind: row.kind, hash: row.hash })
}

/// The salts of all texts that have not been erased, for `verify`.
pub async fn salts(from: &dyn Readable) -> Result<VerifyRows<RegisterSeq, Vec<u8>>> {
    let sql = format!("SELECT {} FROM register_salts", Salt::names());
    read_each(&from.at(), &sql, vec![], Seq::of, |row| Ok(Salt::of(row)?.salt)).await
}

/// Whether there is an event with this number and this hash.
pub async fn has(from: &dyn Readable, seq: RegisterSeq, expected_hash: Hash) -> Result<bool> {
    Ok(page(from, seq, 1).await?.first().is_some_and(|it| it.seq == seq && it.hash == Some(expected_hash)))
}
