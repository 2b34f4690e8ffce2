//! The record: appended by the writer, read for histories and by `verify`.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult, Value};
use serde::Deserialize;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, each};
use super::{Backend, Conn, Readable, Result, Store, StoreError};
use crate::domain::Date;
use crate::domain::event::{Event, EventBody, Hash, Seq};
use crate::domain::ids::{OfferId, Programme, RequestId};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{among, ids, number_in, select_by_place, within};
use crate::store::db::column_values::{actor, hash};
use crate::store::db::condition::Condition;
use crate::store::db::entity::record::text;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::page::Page;
use crate::store::db::page_copy::{
    Form, Packed, PackedCells, PageSource, Span, bound, copied_rows, greatest, packed, told,
};
use crate::store::db::pg_date;

/// An event as it is stored: with the JSON of its body exactly as it was hashed, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<B = EventBody> {
    /// The event.
    pub event: Event<B>,
    /// The JSON of its body, as stored.
    pub body: String,
    /// Its kind, as stored.
    pub kind: String,
    /// Its hash.
    pub hash: Hash,
}

/// Asks when an event was recorded.
pub(super) fn ask_recorded(together: &mut MultiQuery, programme: &Programme, seq: Seq) -> usize {
    together.add(&[("recorded_at", ColumnType::Int)], [programme.as_str().into(), seq.0.into()], |first| {
        format!("FROM events WHERE programme = ${first} AND seq = ${}", first.saturating_add(1))
    })
}

/// Free text of an event, with the salt of its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The event.
    pub seq: Seq,
    /// The salt.
    pub salt: Vec<u8>,
    /// The text.
    pub text: String,
}

static EVENTS: Table = Table {
    name: "events",
    same: &[("programme", ColumnType::Text), ("recorded_at", ColumnType::Int)],
    columns: &[
        ("seq", ColumnType::Int),
        ("kind", ColumnType::Text),
        ("offer_id", ColumnType::OptionalUuid),
        ("actor", ColumnType::Text),
        ("request_id", ColumnType::Uuid),
        ("effective_on", ColumnType::Date),
        ("reason_code", ColumnType::OptionalText),
        ("text_hash", ColumnType::OptionalBytes),
        ("body", ColumnType::Text),
        ("hash", ColumnType::Bytes),
    ],
    how: RowWrite::Insert,
};

static TEXTS: Table = Table {
    name: "texts",
    same: &[("programme", ColumnType::Text)],
    columns: &[("seq", ColumnType::Int), ("salt", ColumnType::Bytes), ("text", ColumnType::Text)],
    how: RowWrite::Insert,
};

/// Adds events, all recorded at this moment, and their texts to what a group writes.
pub(super) fn append(batch: &mut BatchWrite, programme: &Programme, at: Micros, events: &[Recorded], texts: &[Text]) {
    batch.rows(
        &EVENTS,
        [cell(programme.as_str()), cell(at.0)],
        events.iter().map(|it| {
            let event = &it.event;
            [
                cell(event.seq.0),
                cell(it.kind.as_str()),
                event.offer.map(|id| id.0.into()),
                cell(event.actor.as_str()),
                cell(event.request.0),
                cell(event.effective),
                event.reason_code.as_deref().map(Into::into),
                event.text_hash.map(|hash| hash.0.to_vec().into()),
                cell(it.body.as_str()),
                cell(it.hash.0.to_vec()),
            ]
        }),
    );
    batch.rows(
        &TEXTS,
        [cell(programme.as_str())],
        texts.iter().map(|it| [cell(it.seq.0), cell(it.salt.clone()), cell(it.text.as_str())]),
    );
}

/// Where events are read from.
const SOURCE: PageSource = PageSource {
    table: "events",
    columns: &[
        ("seq", ColumnType::Int),
        ("kind", ColumnType::Text),
        ("offer_id", ColumnType::OptionalUuid),
        ("actor", ColumnType::Text),
        ("request_id", ColumnType::Uuid),
        ("effective_on", ColumnType::Date),
        ("recorded_at", ColumnType::Int),
        ("reason_code", ColumnType::OptionalText),
        ("text_hash", ColumnType::OptionalBytes),
        ("body", ColumnType::Text),
        ("hash", ColumnType::Bytes),
    ],
};

/// An event as it is stored, to be held against the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: Seq,
    /// Its hash, if it is one.
    pub hash: Option<Hash>,
    /// What it says, or what of it cannot be read.
    pub recorded: std::result::Result<Recorded, String>,
}

/// Events of a book in order that are still to be read.
#[derive(Debug)]
pub struct Events(Packed);

/// A page of a book's events from one number to another, in order; without their entries, which `verify` reads beside them.
///
/// # Errors
/// As the database has it; also when one of them cannot be read at all: [`each_of_book`] names it.
pub async fn of_book(store: &Store, programme: &Programme, (first, last): (Seq, Seq), limit: u64) -> Result<Events> {
    let span = Span { first: first.0, last: last.0, limit };
    packed(store, &SOURCE, programme, span).await.map(Events)
}

impl Events {
    /// The number of the last one; none when there are none.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        self.0.last.map(Seq)
    }

    /// The events.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when SQLite keeps one that is: [`each_of_book`] names it.
    pub fn read(self) -> Result<Vec<StoredEvent>> {
        match self.0.form {
            Form::Copied(bytes) => copied_rows(&bytes, copied),
            Form::Told(text) => {
                told::<EventColumns>(&text)?.into_iter().map(|it| Recorded::try_from(it).map(Into::into)).collect()
            }
        }
    }
}

/// The same events as [`of_book`], each read by itself, so that one which cannot be read hides no other.
pub async fn each_of_book(
    from: &impl Readable,
    programme: &Programme,
    (first, last): (Seq, Seq),
    limit: u64,
) -> Result<Vec<StoredEvent>> {
    let conn = from.at();
    let backend = conn.backend;
    let values = bound(programme, Span { first: first.0, last: last.0, limit });
    select_by_place(&conn, &SOURCE.page(["$1", "$2", "$3", "$4"]), values, |row| stored(row, backend)).await
}

/// The events with these numbers, in no order, each read by itself.
pub(super) async fn each_numbered(conn: &Conn<'_>, programme: &Programme, seqs: Value) -> Result<Vec<StoredEvent>> {
    let (names, among) = (SOURCE.names(), among(conn, "seq", 2));
    let sql = format!("SELECT {names} FROM events WHERE programme = $1 AND {among}");
    let backend = conn.backend;
    select_by_place(conn, &sql, vec![programme.as_str().into(), seqs], |row| stored(row, backend)).await
}

/// The number of a book's last event, 0 when there is none.
pub async fn last(from: &impl Readable, programme: &Programme) -> Result<Seq> {
    greatest(from, &SOURCE, programme).await.map(Seq)
}

/// A page of a book's events after a sequence, in order; without their entries.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page(from: &impl Readable, programme: &Programme, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let sql = format!("SELECT {} FROM events WHERE programme = $1 AND seq > $2 ORDER BY seq LIMIT $3", SOURCE.names());
    let values = vec![programme.as_str().into(), after.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_by_place(&from.at(), &sql, values, whole).await
}

/// What of an event a condition may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventField {
    /// Its number.
    Seq,
    /// What happened, by name.
    Kind,
    /// Who did it.
    Actor,
    /// The day it happened.
    Effective,
    /// When it was recorded, in microseconds.
    Recorded,
    /// Its reason code, if any.
    Reason,
}

impl EventField {
    const fn column(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Kind => "kind",
            Self::Actor => "actor",
            Self::Effective => "effective_on",
            Self::Recorded => "recorded_at",
            Self::Reason => "reason_code",
        }
    }
}

/// A page of one offer's events; without their entries.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page_of_offer(
    from: &impl Readable,
    offer: OfferId,
    condition: Option<&Condition<EventField>>,
    page: Page<i64>,
) -> Result<Vec<Recorded>> {
    let mut values = vec![offer.0.into()];
    let mut conditions = vec!["offer_id = $1".to_owned()];
    conditions.extend(condition.map(|it| it.written(&|field: EventField| field.column(), &mut values)));
    let sql = format!("SELECT {} FROM events {}", SOURCE.names(), page.written("seq", conditions, &mut values));
    select_by_place(&from.at(), &sql, values, whole).await
}

/// What made these offers and changed them before a sequence, in order; without their entries. Notes change nothing and are
/// left out.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn of_offers_before(from: &impl Readable, offers: &[OfferId], before: Seq) -> Result<Vec<Recorded>> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let (names, within) = (SOURCE.names(), within(&conn, "offer_id", 1));
    let sql = format!("SELECT {names} FROM events WHERE {within} AND seq < $2 AND kind <> 'noted' ORDER BY seq");
    select_by_place(&conn, &sql, vec![ids(&conn, &offers), before.0.into()], whole).await
}

/// The texts of these events, as far as they have not been erased.
pub async fn texts(from: &impl Readable, programme: &Programme, of: &[Seq]) -> Result<Vec<Text>> {
    let conn = from.at();
    let seqs: Vec<i64> = of.iter().map(|seq| seq.0).collect();
    let rows = text::Entity::find()
        .filter(text::Column::Programme.eq(programme.as_str()))
        .filter(number_in(&conn, text::Column::Seq, &seqs))
        .all(&conn.db)
        .await?;
    Ok(rows.into_iter().map(|row| Text { seq: Seq(row.seq), salt: row.salt, text: row.text }).collect())
}

/// The texts of a book from one number to another, whether there are such events or not, to be held against the record.
pub async fn texts_of_book(
    from: &impl Readable,
    programme: &Programme,
    (first, last): (Seq, Seq),
) -> Result<VerifyRows<Seq, Text>> {
    let sql = "SELECT seq, salt, text FROM texts WHERE programme = $1 AND seq >= $2 AND seq <= $3";
    let values = vec![programme.as_str().into(), first.0.into(), last.0.into()];
    let seq = |row: &QueryResult| Ok(Seq(row.try_get_by_index(0)?));
    let text = |row: &QueryResult| {
        let seq = Seq(row.try_get_by_index(0)?);
        Ok(Text { seq, salt: row.try_get_by_index(1)?, text: row.try_get_by_index(2)? })
    };
    each(&from.at(), sql, values, seq, text).await
}

/// An event, for those who cannot go on without it.
fn whole(row: &QueryResult) -> Result<Recorded> {
    let seq: i64 = row.try_get_by_index(0)?;
    recorded(row).map_err(|error| StoreError::unreadable(format!("event {seq}: {}", error.said())))
}

fn stored(row: &QueryResult, backend: Backend) -> Result<StoredEvent> {
    let read = || {
        let read = recorded(row)?;
        // SQLite keeps a day as text. Another text is read as the same day, and compared as another one.
        if backend == Backend::Sqlite {
            let day: String = row.try_get_by_index(5)?;
            if day != read.event.effective.to_string() {
                return Err(StoreError::unreadable(format!("the day {day:?}")));
            }
        }
        Ok(read)
    };
    let recorded = read().map_err(StoreError::said);
    let hash = match &recorded {
        Ok(read) => Some(read.hash),
        Err(_) => chained(row).ok(),
    };
    Ok(StoredEvent { seq: Seq(row.try_get_by_index(0)?), hash, recorded })
}

fn recorded(row: &QueryResult) -> Result<Recorded> {
    let text_hash: Option<Vec<u8>> = row.try_get_by_index(8)?;
    let columns = EventColumns {
        seq: row.try_get_by_index(0)?,
        kind: row.try_get_by_index(1)?,
        offer: row.try_get_by_index(2)?,
        actor: row.try_get_by_index(3)?,
        request: row.try_get_by_index(4)?,
        effective: pg_date::of(row, 5)?,
        recorded: row.try_get_by_index(6)?,
        reason_code: row.try_get_by_index(7)?,
        text_hash: text_hash.as_deref().map(hash).transpose()?,
        body: row.try_get_by_index(9)?,
        hash: chained(row)?,
    };
    columns.try_into()
}

/// An event's columns, in their order.
#[derive(Debug, Deserialize)]
struct EventColumns {
    seq: i64,
    kind: String,
    offer: Option<Uuid>,
    actor: String,
    request: Uuid,
    #[serde(deserialize_with = "spelt")]
    effective: Date,
    recorded: i64,
    reason_code: Option<String>,
    text_hash: Option<Hash>,
    body: String,
    hash: Hash,
}

/// A day as SQLite keeps it: another text of the same day is another one to whatever compares it.
fn spelt<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Date, D::Error> {
    let text = String::deserialize(from)?;
    let day = text.parse().ok().filter(|day: &Date| day.to_string() == text);
    day.ok_or_else(|| serde::de::Error::custom(format!("the day {text:?}")))
}

/// An event of PostgreSQL. Each cell is taken, whatever can be read of it, so that the next row is found.
fn copied(cells: &mut PackedCells<'_>) -> Result<StoredEvent> {
    let seq = cells.int()?;
    let (kind, offer, actor, request) = (cells.text(), cells.optional_uuid(), cells.text(), cells.uuid());
    let (effective, recorded, reason_code) = (cells.date(), cells.int(), cells.optional_text());
    let (text_hash, body, hash) = (cells.optional_hash(), cells.text(), cells.hash().map(Hash));
    let chained = hash.as_ref().ok().copied();
    let read = || {
        let columns = EventColumns {
            seq,
            kind: kind?.to_owned(),
            offer: offer?,
            actor: actor?.to_owned(),
            request: request?,
            effective: effective?,
            recorded: recorded?,
            reason_code: reason_code?.map(ToOwned::to_owned),
            text_hash: text_hash?.map(Hash),
            body: body?.to_owned(),
            hash: hash?,
        };
        columns.try_into()
    };
    Ok(StoredEvent { seq: Seq(seq), hash: chained, recorded: read().map_err(StoreError::said) })
}

impl TryFrom<EventColumns> for Recorded {
    type Error = StoreError;
    fn try_from(it: EventColumns) -> Result<Self> {
        let event = Event {
            seq: Seq(it.seq),
            offer: it.offer.map(OfferId),
            actor: actor(&it.actor)?,
            request: RequestId(it.request),
            effective: it.effective,
            recorded: Micros(it.recorded),
            reason_code: it.reason_code,
            text_hash: it.text_hash,
            body: serde_json::from_str(&it.body).map_err(StoreError::unreadable)?,
            entries: Vec::new(),
        };
        Ok(Self { event, body: it.body, kind: it.kind, hash: it.hash })
    }
}

impl From<Recorded> for StoredEvent {
    fn from(it: Recorded) -> Self {
        Self { seq: it.event.seq, hash: Some(it.hash), recorded: Ok(it) }
    }
}

fn chained(row: &QueryResult) -> Result<Hash> {
    hash(&row.try_get_by_index::<Vec<u8>>(10)?)
}
