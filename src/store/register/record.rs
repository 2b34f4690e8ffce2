//! The record of reference data: its head lies in the row that is locked, its events are appended under that lock.

use sea_orm::sea_query::LockType;
use sea_orm::{EntityTrait as _, QueryResult, QuerySelect as _};

use crate::domain::Date;
use crate::domain::event::{Event, Hash, Seq, genesis};
use crate::domain::ids::{RecordName, RequestId};
use crate::domain::register_record::{RegisterBody, RegisterSeq};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::select_by_place;
use crate::store::db::column_values::{actor, hash};
use crate::store::db::entity::register::lock;
use crate::store::db::multi_query::{MultiQuery, QueryRow};
use crate::store::db::pg_date;
use crate::store::events::Recorded;
use crate::store::verify_rows::{VerifyRows, each};
use crate::store::{Backend, Readable, Result, StoreError, WriteTx};

/// The head of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterHead {
    /// The next event's number.
    pub next: Seq,
    /// The last event's hash; the record's own beginning when there is none.
    pub hash: Hash,
}

impl RegisterHead {
    /// The number of the last event, 0 when there is none.
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

/// Locks the register until the transaction ends: whoever lands or withdraws an import, and whoever decides by what the
/// register and the files say. A dry run, which reads one snapshot, needs no lock and takes none.
///
/// # Errors
/// [`StoreError::Contention`] when another process holds it for too long.
pub async fn lock(from: &impl Readable) -> Result<RegisterHead> {
    let mut find = lock::Entity::find();
    if from.can_lock() {
        find = find.lock(LockType::Update);
    }
    head_of(find.all(&from.at().db).await?.pop())
}

/// Reads the head without locking it.
pub async fn head(from: &impl Readable) -> Result<RegisterHead> {
    head_of(lock::Entity::find().all(&from.at().db).await?.pop())
}

/// Asks for the number of the next event, together with other queries: of one moment with them.
pub(in crate::store) fn ask_head(together: &mut MultiQuery) -> usize {
    together.add(&[("next_seq", ColumnType::Int)], [], |_| "FROM register_lock".to_owned())
}

/// The last event, of what [`ask_head`] asks.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn read_last(row: QueryRow<'_>) -> Result<RegisterSeq> {
    Ok(Seq(row.get::<i64>(0)?.saturating_sub(1)))
}

fn head_of(row: Option<lock::Model>) -> Result<RegisterHead> {
    let row = row.ok_or_else(|| StoreError::unreadable("register_lock has no row"))?;
    let last = row.head.as_deref().map(hash).transpose()?;
    Ok(RegisterHead { next: Seq(row.next_seq), hash: last.unwrap_or_else(|| genesis(&RecordName::Register)) })
}

/// The salt of an event's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salt {
    /// The event.
    pub seq: RegisterSeq,
    /// The salt.
    pub salt: Vec<u8>,
}

static EVENTS: Table = Table {
    name: "register_events",
    same: &[],
    columns: &[
        ("seq", ColumnType::Int),
        ("kind", ColumnType::Text),
        ("actor", ColumnType::Text),
        ("request_id", ColumnType::Uuid),
        ("effective_on", ColumnType::Date),
        ("recorded_at", ColumnType::Int),
        ("text_hash", ColumnType::OptionalBytes),
        ("body", ColumnType::Text),
        ("hash", ColumnType::Bytes),
    ],
    how: RowWrite::Insert,
};

static SALTS: Table = Table {
    name: "register_salts",
    same: &[],
    columns: &[("seq", ColumnType::Int), ("salt", ColumnType::Bytes)],
    how: RowWrite::Insert,
};

static HEAD: Table = Table {
    name: "register_lock",
    same: &[],
    columns: &[("id", ColumnType::Int), ("next_seq", ColumnType::Int), ("head", ColumnType::Bytes)],
    how: RowWrite::Update,
};

/// Appends events with the salts of their texts, and moves the locked head on.
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
    batch.rows(
        &EVENTS,
        [],
        events.iter().map(|it| {
            let event = &it.event;
            [
                cell(event.seq.0),
                cell(it.kind.as_str()),
                cell(event.actor.as_str()),
                cell(event.request.0),
                cell(event.effective),
                cell(event.recorded.0),
                event.text_hash.map(|hash| hash.0.to_vec().into()),
                cell(it.body.as_str()),
                cell(it.hash.0.to_vec()),
            ]
        }),
    );
    batch.rows(&SALTS, [], salts.iter().map(|it| [cell(it.seq.0), cell(it.salt.clone())]));
    batch.rows(&HEAD, [], std::iter::once([cell(1_i64), cell(head.next.0), cell(head.hash.0.to_vec())]));
    batch.write(tx).await
}

/// An event as it is stored, to be held against the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRegisterEvent {
    /// Its number.
    pub seq: RegisterSeq,
    /// Its hash, if it is one.
    pub hash: Option<Hash>,
    /// What it says, or what of it cannot be read.
    pub recorded: std::result::Result<Recorded<RegisterBody>, String>,
}

const COLUMNS: &str = "seq, kind, actor, request_id, effective_on, recorded_at, text_hash, body, hash";

/// A page of events from a number on, in order, each read by itself.
pub async fn page(from: &impl Readable, first: RegisterSeq, limit: u64) -> Result<Vec<StoredRegisterEvent>> {
    let conn = from.at();
    let backend = conn.backend;
    let sql = format!("SELECT {COLUMNS} FROM register_events WHERE seq >= $1 ORDER BY seq LIMIT $2");
    let values = vec![first.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_by_place(&conn, &sql, values, |row| {
        let read = recorded(row, backend);
        let stored = row.try_get_by_index::<Vec<u8>>(8).ok().and_then(|it| hash(&it).ok());
        Ok(StoredRegisterEvent {
            seq: Seq(row.try_get_by_index(0)?),
            hash: stored,
            recorded: read.map_err(StoreError::said),
        })
    })
    .await
}

fn recorded(row: &QueryResult, backend: Backend) -> Result<Recorded<RegisterBody>> {
    let body: String = row.try_get_by_index(7)?;
    let text_hash: Option<Vec<u8>> = row.try_get_by_index(6)?;
    let event = Event {
        seq: Seq(row.try_get_by_index(0)?),
        offer: None,
        actor: actor(&row.try_get_by_index::<String>(2)?)?,
        request: RequestId(row.try_get_by_index(3)?),
        effective: spelt(row, 4, backend)?,
        recorded: Micros(row.try_get_by_index(5)?),
        reason_code: None,
        text_hash: text_hash.as_deref().map(hash).transpose()?,
        body: serde_json::from_str(&body).map_err(StoreError::unreadable)?,
        entries: Vec::new(),
    };
    Ok(Recorded { event, body, kind: row.try_get_by_index(1)?, hash: hash(&row.try_get_by_index::<Vec<u8>>(8)?)? })
}

/// A day. SQLite keeps it as text, and another text of the same day is another one.
fn spelt(row: &QueryResult, column: usize, backend: Backend) -> Result<Date> {
    let read = pg_date::of(row, column)?;
    if backend == Backend::Sqlite {
        let text: String = row.try_get_by_index(column)?;
        if text != read.to_string() {
            return Err(StoreError::unreadable(format!("the day {text:?}")));
        }
    }
    Ok(read)
}

/// The salts of all events' texts that have not been erased, to be held against the record.
pub async fn salts(from: &impl Readable) -> Result<VerifyRows<RegisterSeq, Vec<u8>>> {
    let seq = |row: &QueryResult| Ok(Seq(row.try_get_by_index(0)?));
    let salt = |row: &QueryResult| Ok(row.try_get_by_index::<Vec<u8>>(1)?);
    each(&from.at(), "SELECT seq, salt FROM register_salts", vec![], seq, salt).await
}

/// Whether there is an event of this number and hash.
pub async fn has(from: &impl Readable, seq: RegisterSeq, wanted: Hash) -> Result<bool> {
    Ok(page(from, seq, 1).await?.first().is_some_and(|it| it.seq == seq && it.hash == Some(wanted)))
}
