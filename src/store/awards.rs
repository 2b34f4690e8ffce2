//! Awards as their events left them, with their bookings and invoices.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::claims::{self, INVOICE, invoice};
use super::offers;
use super::verify_rows::{VerifyRows, each};
use super::{Conn, Readable, Result, StoreError, WriteTx};
use crate::domain::award::{Award, Booking, BookingState, LeaderKind};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, AwardId, OfferId, Programme};
use crate::domain::ledger::Unit;
use crate::domain::money::{HalfDays, Pence};
use crate::domain::role::Reach;
use crate::store::db::batch_write::{BatchWrite, Cell, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{self, ids, select_by_place, texts, within};
use crate::store::db::column_values::{actor, named};
use crate::store::db::condition::Condition;
use crate::store::db::page::Page;
use crate::store::db::pg_date;

static NEW: Table = Table {
    name: "awards",
    same: &[("programme", ColumnType::Text)],
    columns: &[
        ("id", ColumnType::Uuid),
        ("offer_id", ColumnType::Uuid),
        ("strand", ColumnType::Text),
        ("unit", ColumnType::Text),
        ("support", ColumnType::Text),
        ("fund_id", ColumnType::Uuid),
        ("cap_id", ColumnType::OptionalUuid),
        ("day_rate", ColumnType::OptionalInt),
        ("awarded", ColumnType::Int),
        ("drawn", ColumnType::Int),
        ("released", ColumnType::Int),
        ("refunded", ColumnType::Int),
        ("awarded_on", ColumnType::Date),
        ("awarded_by", ColumnType::Text),
        ("made_seq", ColumnType::Int),
        ("version", ColumnType::Int),
        ("leader_key", ColumnType::OptionalText),
    ],
    how: RowWrite::Insert,
};

static CHANGED: Table = Table {
    name: "awards",
    same: &[],
    columns: &[
        ("id", ColumnType::Uuid),
        ("drawn", ColumnType::Int),
        ("released", ColumnType::Int),
        ("refunded", ColumnType::Int),
        ("version", ColumnType::Int),
    ],
    how: RowWrite::Update,
};

static BOOKINGS: Table = Table {
    name: "bookings",
    same: &[("programme", ColumnType::Text)],
    columns: &[
        ("seq", ColumnType::Int),
        ("award_id", ColumnType::Uuid),
        ("half_days", ColumnType::Int),
        ("booked_for", ColumnType::Date),
        ("leader", ColumnType::Text),
        ("state", ColumnType::Text),
        ("leader_kind", ColumnType::OptionalText),
    ],
    how: RowWrite::Upsert { key: &["programme", "seq"], take: &["state"] },
};

/// Adds awards, as they are now, to what a group writes: those made by events after `before`, and older ones.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, awards: &[&Award], before: Seq) {
    let (new, changed): (Vec<&Award>, Vec<&Award>) = awards.iter().partition(|it| it.made > before);
    let same = || [cell(programme.as_str())];
    batch.rows(&NEW, same(), new.iter().map(|it| row_of(it)));
    batch.rows(&CHANGED, [], changed.iter().map(|it| changed_row(it)));
    let bookings = awards.iter().flat_map(|award| award.bookings.iter().map(|it| (award.id, it)));
    batch.rows(
        &BOOKINGS,
        same(),
        bookings.map(|(award, it)| {
            [
                cell(it.seq.0),
                cell(award.0),
                cell(i64::from(it.half_days.get())),
                cell(it.on),
                cell(it.leader.as_str()),
                cell(it.state.name()),
                it.leader_kind.map(|kind| kind.name().into()),
            ]
        }),
    );
    claims::put(batch, programme, awards);
}

/// Writes the awards of fees of which all was given back, where the same group funds the leader by another. The unique
/// index must be free before that comes, and nothing says which of a batch's rows comes first.
pub(super) async fn free(tx: &WriteTx, awards: &[&Award], before: Seq) -> Result<()> {
    let funded: HashSet<String> = awards.iter().filter(|it| it.funds()).filter_map(|it| it.fees_key()).collect();
    let freed = awards.iter().filter(|it| it.made <= before && !it.funds());
    let freed = freed.filter(|it| it.fees_key().is_some_and(|key| funded.contains(&key)));
    let mut batch = BatchWrite::default();
    batch.rows(&CHANGED, [], freed.map(|it| changed_row(it)));
    batch.write(tx).await
}

fn changed_row(it: &Award) -> [Cell; 5] {
    [cell(it.id.0), cell(it.drawn), cell(it.released), cell(it.refunded), cell(it.version.0)]
}

fn row_of(it: &Award) -> [Cell; 17] {
    [
        cell(it.id.0),
        cell(it.offer.0),
        cell(it.support.strand_name()),
        cell(it.unit.name()),
        cell(serde_json::to_string(&it.support).unwrap_or_default()),
        cell(it.fund.0),
        it.cap.map(|id| id.0.into()),
        it.rate.map(|rate| rate.get().into()),
        cell(it.awarded),
        cell(it.drawn),
        cell(it.released),
        cell(it.refunded),
        cell(it.on),
        cell(it.by.as_str()),
        cell(it.made.0),
        cell(it.version.0),
        it.fees_key().map(Into::into),
    ]
}

/// Which awards a page shows. All conditions given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwardFilter {
    /// Under this offer.
    pub offer: Option<OfferId>,
    /// Of this programme.
    pub programme: Option<Programme>,
    /// Of this strand.
    pub strand: Option<String>,
    /// Whether something of it is still committed.
    pub open: Option<bool>,
    /// What the caller put together.
    pub condition: Option<Condition<AwardField>>,
}

/// What of an award a condition may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwardField {
    /// The offer it is under.
    Offer,
    /// Its strand.
    Strand,
    /// `open` while something of it is committed, then `settled`.
    State,
    /// What was awarded, as its unit counts; so the amounts after it.
    Awarded,
    /// What was drawn of it.
    Drawn,
    /// What was released of it.
    Released,
    /// What was refunded of what was drawn.
    Refunded,
    /// What is still committed.
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

/// These awards, as far as they exist, by id.
pub async fn find(from: &impl Readable, wanted: &[AwardId]) -> Result<BTreeMap<AwardId, Award>> {
    let wanted: Vec<Uuid> = wanted.iter().map(|id| id.0).collect();
    among(&from.at(), "id", &wanted).await
}

/// Every award of these offers, by id.
pub async fn of_offers(from: &impl Readable, offers: &[OfferId]) -> Result<BTreeMap<AwardId, Award>> {
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    among(&from.at(), "offer_id", &offers).await
}

async fn among(conn: &Conn<'_>, column: &str, wanted: &[Uuid]) -> Result<BTreeMap<AwardId, Award>> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM awards WHERE {}", within(conn, column, 1));
    let rows = select_by_place(conn, &sql, vec![ids(conn, wanted)], read).await?;
    whole(conn, rows.into_iter().map(|(_, award)| award).collect()).await
}

/// Every award of a programme with its bookings and invoices, to be held against the record.
pub async fn of_book(from: &impl Readable, programme: &Programme) -> Result<VerifyRows<AwardId, Award>> {
    let conn = from.at();
    let value = || vec![programme.as_str().into()];
    let id = |row: &QueryResult| Ok(AwardId(row.try_get_by_index(0)?));
    let award = |row: &QueryResult| {
        let ((_, award), strand) = (read(row)?, row.try_get_by_index::<String>(16)?);
        let key: Option<String> = row.try_get_by_index(17)?;
        // From rules 2 on each award of fees has one: the index that funds a leader once rests on it.
        let is_missing = key.is_none() && row.try_get_by_index::<i64>(18)? == 1 && award.fees_key().is_some();
        if is_missing || (key.is_some() && key != award.fees_key()) {
            return Err(StoreError::unreadable(format!("the leader's key {key:?}, which is another's")));
        }
        if strand != award.support.strand_name() {
            return Err(StoreError::unreadable(format!("the strand {strand:?}, which is not that of its support")));
        }
        Ok(award)
    };
    let since = "SELECT MIN(seq) FROM events WHERE programme = $1 AND kind = 'rules_adopted'";
    let sql = format!(
        "SELECT {COLUMNS}, strand, leader_key, CAST(CASE WHEN made_seq > ({since}) THEN 1 ELSE 0 END AS BIGINT) \
         FROM awards WHERE programme = $1"
    );
    let mut awards = each(&conn, &sql, value(), id, award).await?;
    let under = |row: &QueryResult| Ok((AwardId(row.try_get_by_index(0)?), Seq(row.try_get_by_index(1)?)));
    let sql = format!("SELECT {BOOKING} FROM bookings WHERE programme = $1");
    let bookings = each(&conn, &sql, value(), under, |row| Ok(booking(row)?.1)).await?;
    awards.take("booking", bookings, |award, it| award.bookings.push(it));
    let sql = format!("SELECT {INVOICE} FROM invoices WHERE programme = $1");
    let invoices = each(&conn, &sql, value(), under, |row| Ok(invoice(row)?.1)).await?;
    awards.take("invoice", invoices, |award, it| award.invoices.push(it));
    Ok(awards)
}

/// The programme of each of these awards, as far as they exist.
pub async fn programme_of(from: &impl Readable, wanted: &[AwardId]) -> Result<Vec<(AwardId, Programme)>> {
    let conn = from.at();
    let wanted: Vec<Uuid> = wanted.iter().map(|id| id.0).collect();
    let sql = format!("SELECT id, programme FROM awards WHERE {}", within(&conn, "id", 1));
    let read = |row: &QueryResult| {
        let programme: String = row.try_get_by_index(1)?;
        Ok((AwardId(row.try_get_by_index(0)?), programme.parse().map_err(StoreError::unreadable)?))
    };
    select_by_place(&conn, &sql, vec![ids(&conn, &wanted)], read).await
}

/// A page of awards under offers within reach.
pub async fn page(
    from: &impl Readable,
    reach: &Reach,
    filter: &AwardFilter,
    page: Page,
) -> Result<Vec<(Programme, Award)>> {
    let conn = from.at();
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let equal: [(&str, Option<Value>); 3] = [
        ("offer_id", filter.offer.map(|id| id.0.into())),
        ("programme", filter.programme.as_ref().map(|it| it.as_str().into())),
        ("strand", filter.strand.as_ref().map(|it| it.as_str().into())),
    ];
    for (column, value) in equal {
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
    conditions.extend(filter.condition.as_ref().map(|it| it.written(&|field: AwardField| field.column(), &mut values)));
    let sql = format!("SELECT {COLUMNS} FROM awards {}", page.written("id", conditions, &mut values));
    let rows = select_by_place(&conn, &sql, values, read).await?;
    let (order, awards): (Vec<_>, Vec<_>) = rows.into_iter().map(|(programme, it)| ((programme, it.id), it)).unzip();
    let mut awards = whole(&conn, awards).await?;
    Ok(order.into_iter().filter_map(|(programme, id)| Some((programme, awards.remove(&id)?))).collect())
}

/// The awards of fees in a programme whose leader has one of these keys: those that were made before there were keys are
/// compared here.
pub async fn of_leaders(
    from: &impl Readable,
    programme: &Programme,
    keys: &BTreeSet<String>,
) -> Result<BTreeMap<AwardId, Award>> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let conn = from.at();
    let wanted: Vec<&str> = keys.iter().map(String::as_str).collect();
    let sql = format!(
        "SELECT {COLUMNS} FROM awards WHERE programme = $1 AND strand = 'npqel' AND ({} OR leader_key IS NULL)",
        bulk_sql::among(&conn, "leader_key", 2)
    );
    let values = vec![programme.as_str().into(), texts(&conn, &wanted)];
    let rows = select_by_place(&conn, &sql, values, read).await?;
    let of_them = rows.into_iter().map(|(_, it)| it);
    whole(&conn, of_them.filter(|it| it.fees_key().is_some_and(|key| keys.contains(&key))).collect()).await
}

/// Adds bookings and invoices: two more queries, however many awards; none where there can be none.
async fn whole(conn: &Conn<'_>, awards: Vec<Award>) -> Result<BTreeMap<AwardId, Award>> {
    let ids_of =
        |has: fn(&Award) -> bool| -> Vec<Uuid> { awards.iter().filter(|it| has(it)).map(|it| it.id.0).collect() };
    let booked = ids_of(|it| it.support.has_bookings());
    // What was drawn may have been undone since.
    let paid = ids_of(|it| it.version != it.made);
    let mut awards: BTreeMap<AwardId, Award> = awards.into_iter().map(|it| (it.id, it)).collect();
    if !booked.is_empty() {
        let sql = format!("SELECT {BOOKING} FROM bookings WHERE {} ORDER BY seq", within(conn, "award_id", 1));
        for (id, booking) in select_by_place(conn, &sql, vec![ids(conn, &booked)], booking).await? {
            awards.entry(id).and_modify(|award| award.bookings.push(booking));
        }
    }
    if !paid.is_empty() {
        let sql = format!("SELECT {INVOICE} FROM invoices WHERE {} ORDER BY seq", within(conn, "award_id", 1));
        for (id, invoice) in select_by_place(conn, &sql, vec![ids(conn, &paid)], invoice).await? {
            awards.entry(id).and_modify(|award| award.invoices.push(invoice));
        }
    }
    Ok(awards)
}

const COLUMNS: &str = "id, programme, offer_id, unit, support, fund_id, cap_id, day_rate, awarded, drawn, released, \
                       refunded, awarded_on, awarded_by, made_seq, version";

fn read(row: &QueryResult) -> Result<(Programme, Award)> {
    let programme: String = row.try_get_by_index(1)?;
    let unit: String = row.try_get_by_index(3)?;
    let support: String = row.try_get_by_index(4)?;
    let cap: Option<Uuid> = row.try_get_by_index(6)?;
    let rate: Option<i64> = row.try_get_by_index(7)?;
    let award = Award {
        id: AwardId(row.try_get_by_index(0)?),
        offer: OfferId(row.try_get_by_index(2)?),
        unit: named(Unit::named, &unit)?,
        support: serde_json::from_str(&support).map_err(StoreError::unreadable)?,
        fund: AccountId(row.try_get_by_index(5)?),
        cap: cap.map(AccountId),
        rate: rate.map(Pence),
        awarded: row.try_get_by_index(8)?,
        drawn: row.try_get_by_index(9)?,
        released: row.try_get_by_index(10)?,
        refunded: row.try_get_by_index(11)?,
        on: pg_date::of(row, 12)?,
        by: actor(&row.try_get_by_index::<String>(13)?)?,
        made: Seq(row.try_get_by_index(14)?),
        version: Seq(row.try_get_by_index(15)?),
        bookings: Vec::new(),
        invoices: Vec::new(),
    };
    Ok((programme.parse().map_err(StoreError::unreadable)?, award))
}

const BOOKING: &str = "award_id, seq, half_days, booked_for, leader, state, leader_kind";

fn booking(row: &QueryResult) -> Result<(AwardId, Booking)> {
    let half_days: i64 = row.try_get_by_index(2)?;
    let kind: Option<String> = row.try_get_by_index(6)?;
    let booking = Booking {
        seq: Seq(row.try_get_by_index(1)?),
        half_days: HalfDays(i32::try_from(half_days).map_err(StoreError::unreadable)?),
        on: pg_date::of(row, 3)?,
        leader: actor(&row.try_get_by_index::<String>(4)?)?,
        state: named(BookingState::named, &row.try_get_by_index::<String>(5)?)?,
        leader_kind: kind.map(|it| named(LeaderKind::named, &it)).transpose()?,
    };
    Ok((AwardId(row.try_get_by_index(0)?), booking))
}
