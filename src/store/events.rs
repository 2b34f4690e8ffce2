//! The record: appended by the writer, read for histories and by `verify`.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set};

use super::books::{actor, hash};
use super::bulk::{insert_all, number_in};
use super::entity::record::{event, text};
use super::{Readable, Result, StoreError, WriteTx};
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

/// Appends events and their texts.
///
/// # Errors
/// As the database has it.
pub async fn append(tx: &WriteTx, programme: &Programme, events: &[Recorded], texts: &[Text]) -> Result<()> {
    let rows = events.iter().map(|it| event::ActiveModel {
        programme: Set(programme.to_string()),
        seq: Set(it.event.seq.0),
        kind: Set(it.kind.clone()),
        offer_id: Set(it.event.offer.map(|id| id.0)),
        actor: Set(it.event.actor.to_string()),
        request_id: Set(it.event.request.0),
        effective_on: Set(it.event.effective),
        recorded_at: Set(it.event.recorded.0),
        reason_code: Set(it.event.reason_code.clone()),
        text_hash: Set(it.event.text_hash.map(|hash| hash.0.to_vec())),
        body: Set(it.body.clone()),
        hash: Set(it.hash.0.to_vec()),
    });
    insert_all::<event::Entity, _>(tx, rows.collect()).await?;
    let rows = texts.iter().map(|it| text::ActiveModel {
        programme: Set(programme.to_string()),
        seq: Set(it.seq.0),
        salt: Set(it.salt.clone()),
        text: Set(it.text.clone()),
    });
    insert_all::<text::Entity, _>(tx, rows.collect()).await
}

/// A page of a book's events after a sequence, in order.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page(from: &impl Readable, programme: &Programme, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let rows = event::Entity::find()
        .filter(event::Column::Programme.eq(programme.as_str()))
        .filter(event::Column::Seq.gt(after.0))
        .order_by_asc(event::Column::Seq)
        .limit(limit)
        .all(&from.at().db)
        .await?;
    rows.into_iter().map(recorded).collect()
}

/// A page of one offer's events after a sequence, in order.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page_of_offer(from: &impl Readable, offer: OfferId, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let rows = event::Entity::find()
        .filter(event::Column::OfferId.eq(offer.0))
        .filter(event::Column::Seq.gt(after.0))
        .order_by_asc(event::Column::Seq)
        .limit(limit)
        .all(&from.at().db)
        .await?;
    rows.into_iter().map(recorded).collect()
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

fn recorded(row: event::Model) -> Result<Recorded> {
    let unreadable = |error: &dyn std::fmt::Display| StoreError::unreadable(format!("event {}: {error}", row.seq));
    let event = Event {
        seq: Seq(row.seq),
        offer: row.offer_id.map(OfferId),
        actor: actor(&row.actor)?,
        request: RequestId(row.request_id),
        effective: row.effective_on,
        recorded: Micros(row.recorded_at),
        reason_code: row.reason_code,
        text_hash: row.text_hash.as_deref().map(hash).transpose()?,
        body: serde_json::from_str(&row.body).map_err(|error| unreadable(&error))?,
    };
    Ok(Recorded { event, body: row.body, kind: row.kind, hash: hash(&row.hash)? })
}
