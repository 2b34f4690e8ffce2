//! Reads and writes the current state of awards, with their bookings and invoices.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::claims::{self, InvoiceRow, decode_invoice};
use super::offers;
use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result, StoreError, WriteTx};
use crate::domain::Date;
use crate::domain::award::{Award, Booking, BookingState, LeaderKind};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, AwardId, OfferId, Programme};
use crate::domain::ledger::Unit;
use crate::domain::money::{HalfDays, Pence};
use crate::domain::role::Reach;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{self, id_in, ids, select_rows, texts};
use crate::store::db::condition::Condition;
use crate::store::db::page::Page;
use crate::store::db::row::{FromRow, Row as _, row};

row! {
    /// The columns of an award that change; the first one is the key.
    struct AwardTotals {
        id: AwardId,
        drawn: i64,
        released: i64,
        refunded: i64,
        version: Seq,
    }
}

row! {
    /// An award.
    struct AwardRow {
        ..totals: AwardTotals,
        offer_id: OfferId,
        unit: Unit,
        support: String,
        fund_id: AccountId,
        cap_id: Option<AccountId>,
        day_rate: Option<Pence>,
        awarded: i64,
        awarded_on: Date,
        awarded_by: Actor,
        made_seq: Seq,
    }
}

row! {
    /// An award with its programme, as it is read.
    struct ProgrammeAward {
        ..award: AwardRow,
        programme: Programme,
    }
}

row! {
    /// An award with the columns that only indexes use, as it is written.
    struct IndexedAward {
        ..award: AwardRow,
        strand: String,
        leader_key: Option<String>,
    }
}

row! {
    /// A booking.
    struct BookingRow {
        award_id: AwardId,
        seq: Seq,
        half_days: HalfDays,
        booked_for: Date,
        leader: Actor,
        state: BookingState,
        leader_kind: Option<LeaderKind>,
    }
}

static NEW: Table = Table {
    name: "awards",
    shared: &[("programme", ColumnType::Text)],
    columns: IndexedAward::COLUMNS,
    how: RowWrite::Insert,
};

static CHANGED: Table = Table { name: "awards", shared: &[], columns: AwardTotals::COLUMNS, how: RowWrite::Update };

static BOOKINGS: Table = Table {
    name: "bookings",
    shared: &[("programme", ColumnType::Text)],
    columns: BookingRow::COLUMNS,
    how: RowWrite::Upsert { key: &["programme", "seq"], update: &["state"] },
};

/// Adds awards to a batch write, with their bookings and invoices. Awards made by events after `before` are new.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, awards: &[&Award], before: Seq) {
    let (new, changed): (Vec<&Award>, Vec<&Award>) = awards.iter().partition(|it| it.made > before);
    let shared_cells = || [cell(programme.as_str())];
    batch.rows(&NEW, shared_cells(), new.iter().map(|it| row_of(it).cells()));
    batch.rows(&CHANGED, [], changed.iter().map(|it| totals(it).cells()));
    let bookings = awards.iter().flat_map(|award| award.bookings.iter().map(|it| (award.id, it)));
    batch.rows(&BOOKINGS, shared_cells(), bookings.map(|(award, it)| booking_row(award, it).cells()));
    claims::put(batch, programme, awards);
}

/// If a batch gives back the fees of an award in full and funds the same leader by another award, writes the older award ahead of
/// the batch write. A unique index allows one award per leader that is not given back in full. The older award leaves this index
/// when its new totals are written, so it must be written first, and a batch write has no order of rows. `before` is the last event before the batch.
pub(super) async fn free_unique_keys(tx: &WriteTx, awards: &[&Award], before: Seq) -> Result<()> {
    let funded_keys: HashSet<String> = awards.iter().filter(|it| it.funds()).filter_map(|it| it.fees_key()).collect();
    let freed = awards.iter().filter(|it| it.made <= before && !it.funds());
    let freed = freed.filter(|it| it.fees_key().is_some_and(|key| funded_keys.contains(&key)));
    let mut batch = BatchWrite::default();
    batch.rows(&CHANGED, [], freed.map(|it| totals(it).cells()));
    batch.write(tx).await
}

fn totals(it: &Award) -> AwardTotals {
    AwardTotals { id: it.id, drawn: it.drawn, released: it.released, refunded: it.refunded, version: it.version }
}

fn row_of(it: &Award) -> IndexedAward {
    let award = AwardRow {
        totals: totals(it),
        offer_id: it.offer,
        unit: it.unit,
        support: serde_json::to_string(&it.support).unwrap_or_default(),
        fund_id: it.fund,
        cap_id: it.cap,
        day_rate: it.rate,
        awarded: it.awarded,
        awarded_on: it.on,
        awarded_by: it.by.clone(),
        made_seq: it.made,
    };
    IndexedAward { award, strand: it.support.strand_name().to_owned(), leader_key: it.fees_key() }
}

fn booking_row(award: AwardId, it: &Booking) -> BookingRow {
    BookingRow {
        award_id: award,
        seq: it.seq,
        half_days: it.half_days,
        booked_for: it.on,
        leader: it.leader.clone(),
        state: it.state,
        leader_kind: it.leader_kind,
    }
}

/// Which awards a page shows: those that meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwardFilter {
    /// The award is under this offer.
    pub offer: Option<OfferId>,
    /// The award is of this programme.
    pub programme: Option<Programme>,
    /// The award is of this strand.
    pub strand: Option<String>,
    /// Whether a part of the award is still committed.
    pub open: Option<bool>,
    /// The caller's filter.
    pub condition: Option<Condition<AwardField>>,
}

/// A field of an award that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwardField {
    /// The offer it is under.
    Offer,
    /// Its strand.
    Strand,
    /// `open` while a part of it is committed, then `settled`.
    State,
    /// The awarded amount. This and the following amounts are in the unit of the award.
    Awarded,
    /// The amount drawn.
    Drawn,
    /// The amount released.
    Released,
    /// The amount refunded.
    Refunded,
    /// The amount still committed.
    Committed,
    /// The fund it is charged to.
    Fund,
    /// The day it was made.
    On,
    /// Who made it.
    By,
}

impl AwardField {
    const fn column(self) -> &'static str {
        match self {
            Self::Offer => "offer_id",
            Self::Strand => "strand",
            Self::State => "CASE WHEN awarded > drawn + released THEN 'open' ELSE 'settled' END",
            Self::Awarded => "awarded",
            Self::Drawn => "drawn",
            Self::Released => "released",
            Self::Refunded => "refunded",
            Self::Committed => "(awarded - drawn - released)",
            Self::Fund => "fund_id",
            Self::On => "awarded_on",
            Self::By => "awarded_by",
        }
    }
}

/// Those of these awards that exist, by id.
pub async fn find(from: &dyn Readable, awards: &[AwardId]) -> Result<BTreeMap<AwardId, Award>> {
    let awards: Vec<Uuid> = awards.iter().map(|id| id.0).collect();
    find_by(&from.at(), "id", &awards).await
}

/// Every award of these offers, by id.
pub async fn of_offers(from: &dyn Readable, offers: &[OfferId]) -> Result<BTreeMap<AwardId, Award>> {
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    find_by(&from.at(), "offer_id", &offers).await
}

/// The awards that have one of these ids in this column, `id` or `offer_id`, by the id of the award.
async fn find_by(conn: &Conn<'_>, column: &str, requested: &[Uuid]) -> Result<BTreeMap<AwardId, Award>> {
    if requested.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("SELECT {} FROM awards WHERE {}", AwardRow::names(), id_in(conn, column, 1));
    with_bookings_and_invoices(conn, select_rows(conn, &sql, vec![ids(conn, requested)], decode_award).await?).await
}

/// Every award of a programme with its bookings and invoices, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<AwardId, Award>> {
    let conn = from.at();
    let value = || vec![programme.as_str().into()];
    let read = |row: &QueryResult| {
        let (row, must_have_key): (IndexedAward, i64) = FromRow::of(row)?;
        let (award, strand, leader_key) = (decode_award(row.award)?, row.strand, row.leader_key);
        // Since rules version 2 each award of fees has a key. The index that prevents funding a leader twice needs it.
        let is_missing = leader_key.is_none() && must_have_key == 1 && award.fees_key().is_some();
        if is_missing || (leader_key.is_some() && leader_key != award.fees_key()) {
            return Err(StoreError::unreadable(format!(
                "the leader's key {leader_key:?}, which is not that of its award"
            )));
        }
        if strand != award.support.strand_name() {
            return Err(StoreError::unreadable(format!("the strand {strand:?}, which is not that of its support")));
        }
        Ok(award)
    };
    let adopted_rules = "SELECT MIN(seq) FROM events WHERE programme = $1 AND kind = 'rules_adopted'";
    let sql = format!(
        "SELECT {}, CAST(CASE WHEN made_seq > ({adopted_rules}) THEN 1 ELSE 0 END AS BIGINT) \
         FROM awards WHERE programme = $1",
        IndexedAward::names()
    );
    let mut awards = read_each(&conn, &sql, value(), AwardId::of, read).await?;
    let part_key = <(AwardId, Seq)>::of;
    let sql = format!("SELECT {} FROM bookings WHERE programme = $1", BookingRow::names());
    let bookings = read_each(&conn, &sql, value(), part_key, |row| Ok(decode_booking(BookingRow::of(row)?).1)).await?;
    awards.attach("booking", bookings, |award, it| award.bookings.push(it));
    let sql = format!("SELECT {} FROM invoices WHERE programme = $1", InvoiceRow::names());
    let invoices = read_each(&conn, &sql, value(), part_key, |row| Ok(decode_invoice(InvoiceRow::of(row)?)?.1)).await?;
    awards.attach("invoice", invoices, |award, it| award.invoices.push(it));
    Ok(awards)
}

/// The programme of each of these awards; an award that does not exist is left out.
pub async fn programme_of(from: &dyn Readable, awards: &[AwardId]) -> Result<Vec<(AwardId, Programme)>> {
    let conn = from.at();
    let awards: Vec<Uuid> = awards.iter().map(|id| id.0).collect();
    let sql = format!("SELECT id, programme FROM awards WHERE {}", id_in(&conn, "id", 1));
    select_rows(&conn, &sql, vec![ids(&conn, &awards)], Ok).await
}

/// A page of awards under offers within reach.
pub async fn page(
    from: &dyn Readable,
    reach: &Reach,
    filter: &AwardFilter,
    page: Page,
) -> Result<Vec<(Programme, Award)>> {
    let conn = from.at();
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let required: [(&str, Option<Value>); 3] = [
        ("offer_id", filter.offer.map(|id| id.0.into())),
        ("programme", filter.programme.as_ref().map(|it| it.as_str().into())),
        ("strand", filter.strand.as_ref().map(|it| it.as_str().into())),
    ];
    for (column, value) in required {
        let Some(value) = value else { continue };
        values.push(value);
        conditions.push(format!("{column} = ${}", values.len()));
    }
    if let Some(offers) = offers::ids_within(reach, &mut values) {
        conditions.push(format!("offer_id IN ({offers})"));
    }
    if let Some(open) = filter.open {
        conditions.push(format!("awarded {} drawn + released", if open { ">" } else { "=" }));
    }
    conditions.extend(filter.condition.as_ref().map(|it| it.to_sql(&|field: AwardField| field.column(), &mut values)));
    let names = ProgrammeAward::names();
    let sql = format!("SELECT {names} FROM awards {}", page.into_sql("id", conditions, &mut values));
    let rows =
        select_rows(&conn, &sql, values, |it: ProgrammeAward| Ok((it.programme, decode_award(it.award)?))).await?;
    let (order, awards): (Vec<_>, Vec<_>) = rows.into_iter().map(|(programme, it)| ((programme, it.id), it)).unzip();
    let mut awards = with_bookings_and_invoices(&conn, awards).await?;
    Ok(order.into_iter().filter_map(|(programme, id)| Some((programme, awards.remove(&id)?))).collect())
}

/// The awards of fees in a programme whose leader has one of these keys. Awards that an earlier version of the program stored
/// without a key are compared in memory.
pub async fn of_leaders(
    from: &dyn Readable,
    programme: &Programme,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<AwardId, Award>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let conn = from.at();
    let key_texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    let sql = format!(
        "SELECT {} FROM awards WHERE programme = $1 AND strand = 'npqel' AND ({} OR leader_key IS NULL)",
        AwardRow::names(),
        bulk_sql::value_in(&conn, "leader_key", 2)
    );
    let values = vec![programme.as_str().into(), texts(&conn, &key_texts)];
    let candidates = select_rows(&conn, &sql, values, decode_award).await?.into_iter();
    with_bookings_and_invoices(
        &conn,
        candidates.filter(|it| it.fees_key().is_some_and(|key| keys.contains(&key))).collect(),
    )
    .await
}

/// Adds the bookings and invoices of awards, with two queries for all awards together. A query is left out if no award can have
/// such rows.
async fn with_bookings_and_invoices(conn: &Conn<'_>, awards: Vec<Award>) -> Result<BTreeMap<AwardId, Award>> {
    let ids_of =
        |has: fn(&Award) -> bool| -> Vec<Uuid> { awards.iter().filter(|it| has(it)).map(|it| it.id.0).collect() };
    let with_bookings = ids_of(|it| it.support.has_bookings());
    // Every award that changed may have invoices. One whose draws were undone has invoices although nothing is drawn.
    let with_invoices = ids_of(|it| it.version != it.made);
    let mut awards: BTreeMap<AwardId, Award> = awards.into_iter().map(|it| (it.id, it)).collect();
    if !with_bookings.is_empty() {
        let (names, of_awards) = (BookingRow::names(), id_in(conn, "award_id", 1));
        let sql = format!("SELECT {names} FROM bookings WHERE {of_awards} ORDER BY seq");
        for (id, booking) in
            select_rows(conn, &sql, vec![ids(conn, &with_bookings)], |row| Ok(decode_booking(row))).await?
        {
            awards.entry(id).and_modify(|award| award.bookings.push(booking));
        }
    }
    if !with_invoices.is_empty() {
        let (names, of_awards) = (InvoiceRow::names(), id_in(conn, "award_id", 1));
        let sql = format!("SELECT {names} FROM invoices WHERE {of_awards} ORDER BY seq");
        for (id, invoice) in select_rows(conn, &sql, vec![ids(conn, &with_invoices)], decode_invoice).await? {
            awards.entry(id).and_modify(|award| award.invoices.push(invoice));
        }
    }
    Ok(awards)
}

fn decode_award(row: AwardRow) -> Result<Award> {
    let AwardTotals { id, drawn, released, refunded, version } = row.totals;
    Ok(Award {
        id,
        offer: row.offer_id,
        unit: row.unit,
        support: serde_json::from_str(&row.support).map_err(StoreError::unreadable)?,
        fund: row.fund_id,
        cap: row.cap_id,
        rate: row.day_rate,
        awarded: row.awarded,
        drawn,
        released,
        refunded,
        on: row.awarded_on,
        by: row.awarded_by,
        made: row.made_seq,
        version,
        bookings: Vec::new(),
        invoices: Vec::new(),
    })
}

fn decode_booking(row: BookingRow) -> (AwardId, Booking) {
    let booking = Booking {
        seq: row.seq,
        half_days: row.half_days,
        on: row.booked_for,
        leader: row.leader,
        state: row.state,
        leader_kind: row.leader_kind,
    };
    (row.award_id, booking)
}
