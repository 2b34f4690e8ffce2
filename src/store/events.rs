//! Appends the events of the record. Reads them for histories and for `verify`.

use sea_orm::{QueryResult, Value};
use serde::Deserialize;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result, Store, StoreError, cap_entries};
use crate::domain::Date;
use crate::domain::event::{Event, EventBody, Hash, Seq};
use crate::domain::ids::{AccountId, OfferId, Programme, RequestId};
use crate::domain::ledger::LedgerEntry;
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{id_in, ids, numbers, rows, select_rows, value_in};
use crate::store::db::column_values::{actor, check_day_text};
use crate::store::db::condition::Condition;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::page::Page;
use crate::store::db::page_copy::{
    CopyCells, FetchedPage, PageFormat, PageSource, Span, bound_values, copied_rows, fetch_page, json_rows, last_seq,
};
use crate::store::db::row::{FromRow as _, Row as _, column, row};

/// A stored event, with its hash and with the JSON of its body exactly as it was hashed.
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

/// Adds a query for the time at which an event was recorded. Returns the query's number.
pub(super) fn add_recorded_at_query(queries: &mut MultiQuery, programme: &Programme, seq: Seq) -> usize {
    queries.add(&[("recorded_at", ColumnType::Int)], [programme.as_str().into(), seq.0.into()], |first| {
        format!("FROM events WHERE programme = ${first} AND seq = ${}", first.saturating_add(1))
    })
}

row! {
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
}

row! {
    /// An event. On SQLite it is deserialised from an array with one value per column, because a page of events is a JSON array of
    /// such arrays.
    #[derive(Debug, Deserialize)]
    struct EventRow {
        seq: i64,
        kind: String,
        offer_id: Option<Uuid>,
        actor: String,
        request_id: Uuid,
        #[serde(deserialize_with = "canonical_day")]
        effective_on: Date,
        recorded_at: i64,
        reason_code: Option<String>,
        text_hash: Option<Hash>,
        body: String,
        hash: Hash,
        cap_entries: Option<String>,
    }
}

static EVENTS: Table = Table {
    name: "events",
    shared: &[("programme", ColumnType::Text)],
    columns: EventRow::COLUMNS,
    how: RowWrite::Insert,
};

static TEXTS: Table =
    Table { name: "texts", shared: &[("programme", ColumnType::Text)], columns: Text::COLUMNS, how: RowWrite::Insert };

/// Adds events, all recorded at the given time, and their texts to a batch write. `is_fund` tells the accounts of their entries: those
/// of caps are stored with the events.
pub(super) fn append(
    batch: &mut BatchWrite,
    (programme, at): (&Programme, Micros),
    (events, texts): (&[Recorded], &[Text]),
    is_fund: impl Fn(AccountId) -> bool,
) {
    let row = |it: &Recorded| {
        let event = &it.event;
        let row = EventRow {
            seq: event.seq.0,
            kind: it.kind.clone(),
            offer_id: event.offer.map(|id| id.0),
            actor: event.actor.to_string(),
            request_id: event.request.0,
            effective_on: event.effective,
            recorded_at: at.0,
            reason_code: event.reason_code.clone(),
            text_hash: event.text_hash,
            body: it.body.clone(),
            hash: it.hash,
            cap_entries: cap_entries::encode(&event.entries, &is_fund),
        };
        row.cells()
    };
    batch.rows(&EVENTS, [cell(programme.as_str())], events.iter().map(row));
    batch.rows(&TEXTS, [cell(programme.as_str())], texts.iter().map(|it| it.clone().cells()));
}

/// The table that events are read from.
const SOURCE: PageSource = PageSource { table: "events", columns: EventRow::COLUMNS };

/// A stored event, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub seq: Seq,
    /// Its hash; `None` if the stored value is no hash.
    pub hash: Option<Hash>,
    /// The event without its entries, or why it cannot be read.
    pub recorded: std::result::Result<Recorded, String>,
    /// The entries of caps that are stored with it, as far as they can be read.
    pub cap_entries: Vec<LedgerEntry>,
}

/// A page of a programme's events that is fetched but not decoded.
#[derive(Debug)]
pub struct Events(FetchedPage);

/// Fetches a page of a programme's events from number `first` to number `last`, in order.
///
/// # Errors
/// [`StoreError::Unreadable`] if an event cannot be fetched; [`each_for_verify`] shows which. [`StoreError::Unavailable`].
pub async fn for_verify(store: &Store, programme: &Programme, (first, last): (Seq, Seq), limit: u64) -> Result<Events> {
    let span = Span { first: first.0, last: last.0, limit };
    fetch_page(store, &SOURCE, programme, span).await.map(Events)
}

impl Events {
    /// The number of the last event; `None` if the page is empty.
    #[must_use]
    pub fn last(&self) -> Option<Seq> {
        self.0.last.map(Seq)
    }

    /// Decodes the events.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if an event on SQLite is unreadable; [`each_for_verify`] shows which. On PostgreSQL an unreadable
    /// event is an error within its [`StoredEvent`].
    pub fn read(self) -> Result<Vec<StoredEvent>> {
        match self.0.form {
            PageFormat::Copied(bytes) => copied_rows(&bytes, decode_copied),
            PageFormat::Json(text) => {
                json_rows::<EventRow>(&text)?.into_iter().map(|it| Recorded::try_from(it).map(Into::into)).collect()
            }
        }
    }
}

/// The same events as [`for_verify`], each decoded separately, so that an unreadable one does not hide the others.
pub async fn each_for_verify(
    from: &dyn Readable,
    programme: &Programme,
    (first, last): (Seq, Seq),
    limit: u64,
) -> Result<Vec<StoredEvent>> {
    let conn = from.at();
    let values = bound_values(programme, Span { first: first.0, last: last.0, limit });
    rows(&conn, &SOURCE.page(["$1", "$2", "$3", "$4"]), values).await?.iter().map(decode_separately).collect()
}

/// The events with these numbers, in any order, each decoded separately. `seqs` is made by [`numbers`].
pub(super) async fn each_numbered(conn: &Conn<'_>, programme: &Programme, seqs: Value) -> Result<Vec<StoredEvent>> {
    let (names, among) = (SOURCE.names(), value_in(conn, "seq", 2));
    let sql = format!("SELECT {names} FROM events WHERE programme = $1 AND {among}");
    rows(conn, &sql, vec![programme.as_str().into(), seqs]).await?.iter().map(decode_separately).collect()
}

/// The number of a programme's last event; 0 if there is none.
pub async fn last(from: &dyn Readable, programme: &Programme) -> Result<Seq> {
    last_seq(from, &SOURCE, programme).await.map(Seq)
}

/// A page of a programme's events after an event number, in order and without their entries of funds.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page(from: &dyn Readable, programme: &Programme, after: Seq, limit: u64) -> Result<Vec<Recorded>> {
    let sql = format!("SELECT {} FROM events WHERE programme = $1 AND seq > $2 ORDER BY seq LIMIT $3", SOURCE.names());
    let values = vec![programme.as_str().into(), after.0.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    select_events(&from.at(), &sql, values).await
}

/// A field of an event that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventField {
    /// Its number.
    Seq,
    /// What happened, by name.
    Kind,
    /// Who did it.
    Actor,
    /// The day on which it takes effect.
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

/// A page of one offer's events, without their entries of funds.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn page_of_offer(
    from: &dyn Readable,
    offer: OfferId,
    condition: Option<&Condition<EventField>>,
    page: Page<i64>,
) -> Result<Vec<Recorded>> {
    let mut values = vec![offer.0.into()];
    let mut conditions = vec!["offer_id = $1".to_owned()];
    conditions.extend(condition.map(|it| it.to_sql(&|field: EventField| field.column(), &mut values)));
    let sql = format!("SELECT {} FROM events {}", SOURCE.names(), page.into_sql("seq", conditions, &mut values));
    select_events(&from.at(), &sql, values).await
}

/// The events before an event number that made and changed these offers, in order and without their entries of funds. Notes are left out,
/// because they change nothing.
///
/// # Errors
/// [`StoreError::Unreadable`] for an event this program cannot read.
pub async fn of_offers_before(from: &dyn Readable, offers: &[OfferId], before: Seq) -> Result<Vec<Recorded>> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let (names, within) = (SOURCE.names(), id_in(&conn, "offer_id", 1));
    let sql = format!("SELECT {names} FROM events WHERE {within} AND seq < $2 AND kind <> 'noted' ORDER BY seq");
    select_events(&conn, &sql, vec![ids(&conn, &offers), before.0.into()]).await
}

/// The texts of these events that have not been erased.
pub async fn texts(from: &dyn Readable, programme: &Programme, seqs: &[Seq]) -> Result<Vec<Text>> {
    let conn = from.at();
    let seq_numbers: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let sql = format!("SELECT {} FROM texts WHERE programme = $1 AND {}", Text::names(), value_in(&conn, "seq", 2));
    select_rows(&conn, &sql, vec![programme.as_str().into(), numbers(&conn, &seq_numbers)], Ok).await
}

/// The texts of a programme between two event numbers, for `verify`. Includes texts whose event does not exist.
pub async fn texts_for_verify(
    from: &dyn Readable,
    programme: &Programme,
    (first, last): (Seq, Seq),
) -> Result<VerifyRows<Seq, Text>> {
    let sql = format!("SELECT {} FROM texts WHERE programme = $1 AND seq >= $2 AND seq <= $3", Text::names());
    let values = vec![programme.as_str().into(), first.0.into(), last.0.into()];
    read_each(&from.at(), &sql, values, Seq::of, Text::of).await
}

/// Reads events.
///
/// # Errors
/// [`StoreError::Unreadable`] for the first event that cannot be read.
async fn select_events(conn: &Conn<'_>, sql: &str, values: Vec<Value>) -> Result<Vec<Recorded>> {
    let decode = |row: &QueryResult| {
        let recorded = EventRow::of(row).and_then(Recorded::try_from);
        let seq: i64 = column!(EventRow, seq, row)?;
        recorded.map_err(|error| StoreError::unreadable(format!("event {seq}: {}", error.said())))
    };
    rows(conn, sql, values).await?.iter().map(decode).collect()
}

/// Decodes an event. An event that cannot be read becomes an error within the [`StoredEvent`].
fn decode_separately(row: &QueryResult) -> Result<StoredEvent> {
    let decode = || -> Result<Recorded> {
        let event = Recorded::try_from(EventRow::of(row)?)?;
        if row.try_as_sqlite_row().is_some() {
            let day: String = column!(EventRow, effective_on, row)?;
            check_day_text(event.event.effective, &day)?;
        }
        Ok(event)
    };
    match decode() {
        Ok(recorded) => Ok(recorded.into()),
        Err(error) => {
            let text: Option<String> = column!(EventRow, cap_entries, row).unwrap_or_default();
            let effective = column!(EventRow, effective_on, row).ok();
            Ok(StoredEvent {
                seq: Seq::of(row)?,
                hash: column!(EventRow, hash, row).ok(),
                recorded: Err(error.said()),
                cap_entries: readable_entries(text.as_deref(), effective),
            })
        }
    }
}

/// The entries of caps of an event that cannot be read; those of an unknown date are left out.
fn readable_entries(text: Option<&str>, effective: Option<Date>) -> Vec<LedgerEntry> {
    effective.and_then(|on| cap_entries::decode(text, on).ok()).unwrap_or_default()
}

/// Parses a day of SQLite. Only the canonical text is accepted, because SQLite compares days as texts.
fn canonical_day<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Date, D::Error> {
    let text = String::deserialize(from)?;
    let day = text.parse().ok().filter(|day: &Date| day.to_string() == text);
    day.ok_or_else(|| serde::de::Error::custom(format!("the day {text:?}")))
}

/// Decodes an event of PostgreSQL. All cells are consumed even if one is unreadable, so that the next row can be found.
fn decode_copied(cells: &mut CopyCells<'_>) -> Result<StoredEvent> {
    let seq = cells.int()?;
    let (kind, offer, actor, request) = (cells.text(), cells.optional_uuid(), cells.text(), cells.uuid());
    let (effective, recorded, reason_code) = (cells.date(), cells.int(), cells.optional_text());
    let (text_hash, body, hash) = (cells.optional_hash(), cells.text(), cells.hash().map(Hash));
    let cap_entries = cells.optional_text();
    let stored_hash = hash.as_ref().ok().copied();
    let (effective_on, text) = (effective.as_ref().ok().copied(), cap_entries.as_ref().ok().copied().flatten());
    let decode = || {
        let row = EventRow {
            seq,
            kind: kind?.to_owned(),
            offer_id: offer?,
            actor: actor?.to_owned(),
            request_id: request?,
            effective_on: effective?,
            recorded_at: recorded?,
            reason_code: reason_code?.map(ToOwned::to_owned),
            text_hash: text_hash?.map(Hash),
            body: body?.to_owned(),
            hash: hash?,
            cap_entries: cap_entries?.map(ToOwned::to_owned),
        };
        Recorded::try_from(row)
    };
    Ok(match decode() {
        Ok(recorded) => recorded.into(),
        Err(error) => StoredEvent {
            seq: Seq(seq),
            hash: stored_hash,
            recorded: Err(error.said()),
            cap_entries: readable_entries(text, effective_on),
        },
    })
}

impl TryFrom<EventRow> for Recorded {
    type Error = StoreError;
    fn try_from(it: EventRow) -> Result<Self> {
        let event = Event {
            seq: Seq(it.seq),
            offer: it.offer_id.map(OfferId),
            actor: actor(&it.actor)?,
            request: RequestId(it.request_id),
            effective: it.effective_on,
            recorded: Micros(it.recorded_at),
            reason_code: it.reason_code,
            text_hash: it.text_hash,
            body: serde_json::from_str(&it.body).map_err(StoreError::unreadable)?,
            entries: cap_entries::decode(it.cap_entries.as_deref(), it.effective_on)?,
        };
        Ok(Self { event, body: it.body, kind: it.kind, hash: it.hash })
    }
}

impl From<Recorded> for StoredEvent {
    fn from(mut it: Recorded) -> Self {
        let cap_entries = std::mem::take(&mut it.event.entries);
        Self { seq: it.event.seq, hash: Some(it.hash), recorded: Ok(it), cap_entries }
    }
}
