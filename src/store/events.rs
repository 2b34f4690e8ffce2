//! The record: appended by the writer, read for histories and by `verify`.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult};

use super::batch::{Batch, How, Kind, Table, cell};
use super::books::{actor, hash};
use super::bulk::{number_in, select_by_place};
use super::entity::record::text;
use super::loose::{Rows, each};
use super::{Backend, Readable, Result, StoreError};
use crate::domain::event::{Event, Hash, Seq};
use crate::domain::ids::{OfferId, Programme, RequestId};
use crate::domain::time::Micros;

/// An event as it is stored: with the JSON of its body exactly as it was hashed, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// The JSON of its body, as stored.
    pub body: String,
    /// Its kind, as stored.
    pub kind: String,
    /// Its hash.
    pub hash: Hash,
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
    same: &[("programme", Kind::Text), ("recorded_at", Kind::Int)],
    columns: &[
        ("seq", Kind::Int),
        ("kind", Kind::Text),
        ("offer_id", Kind::OptionalUuid),
        ("actor", Kind::Text),
        ("request_id", Kind::Uuid),
        ("effective_on", Kind::Date),
        ("reason_code", Kind::OptionalText),
        ("text_hash", Kind::OptionalBytes),
        ("body", Kind::Text),
        ("hash", Kind::Bytes),
    ],
    how: How::Insert,
};

static TEXTS: Table = Table {
    name: "texts",
    same: &[("programme", Kind::Text)],
    columns: &[("seq", Kind::Int), ("salt", Kind::Bytes), ("text", Kind::Text)],
    how: How::Insert,
};

/// Adds events, all recorded at this moment, and their texts to what a group writes.
pub(super) fn append(batch: &mut Batch, programme: &Programme, at: Micros, events: &[Recorded], texts: &[Text]) {
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

const COLUMNS: &str = "seq, kind, offer_id, actor, request_id, effective_on, recorded_at, reason_code, text_hash, body, \
                       hash";

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

/// A page of a book's events from a number on, in order; without their entries, which `verify` reads beside them.
///
/// # Errors
/// As the database has it.
pub async fn of_book(from: &impl Readable, programme: &Programme, first: Seq, limit: u64) -> Result<Vec<StoredEvent>> {
    let conn = from.at();
    let backend = conn.backend;
    let sql = format!("SELECT {COLUMNS} FROM events WHERE programme = $1 AND seq >= $2 ORDER BY seq LIMIT $3");
    let values = vec![programme.as_str().into(), first.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_by_place(&conn, &sql, values, |row| stored(row, backend)).await
}

/// A page of a book's events after a sequence, in order; without their entries.
#[cfg(test)]
pub(crate) async fn page(from: &impl Readable, programme: &Programme, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE programme = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    let values = vec![programme.as_str().into(), after.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_by_place(&from.at(), &sql, values, whole).await
}

/// A page of one offer's events after a sequence, in order; without their entries.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page_of_offer(from: &impl Readable, offer: OfferId, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE offer_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
    let values = vec![offer.0.into(), after.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_by_place(&from.at(), &sql, values, whole).await
}

/// The texts of these events, as far as they have not been erased.
///
/// # Errors
/// As the database has it.
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
///
/// # Errors
/// As the database has it.
pub async fn texts_of_book(
    from: &impl Readable,
    programme: &Programme,
    (first, last): (Seq, Seq),
) -> Result<Rows<Seq, Text>> {
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
    let offer: Option<uuid::Uuid> = row.try_get_by_index(2)?;
    let text_hash: Option<Vec<u8>> = row.try_get_by_index(8)?;
    let body: String = row.try_get_by_index(9)?;
    let event = Event {
        seq: Seq(row.try_get_by_index(0)?),
        offer: offer.map(OfferId),
        actor: actor(&row.try_get_by_index::<String>(3)?)?,
        request: RequestId(row.try_get_by_index(4)?),
        effective: row.try_get_by_index(5)?,
        recorded: Micros(row.try_get_by_index(6)?),
        reason_code: row.try_get_by_index(7)?,
        text_hash: text_hash.as_deref().map(hash).transpose()?,
        body: serde_json::from_str(&body).map_err(StoreError::unreadable)?,
        entries: Vec::new(),
    };
    Ok(Recorded { event, body, kind: row.try_get_by_index(1)?, hash: chained(row)? })
}

fn chained(row: &QueryResult) -> Result<Hash> {
    hash(&row.try_get_by_index::<Vec<u8>>(10)?)
}
