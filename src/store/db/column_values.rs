//! Values of columns as values of the domain.

use sea_orm::{QueryResult, TryGetable, Value};
use uuid::Uuid;

use super::batch_write::{Cell, ColumnType, cell};
use super::pg_date;
use super::row::{ColumnValue, FromRow, RowReader};
use crate::domain::Date;
use crate::domain::award::{BookingState, LeaderKind};
use crate::domain::event::Seq;
use crate::domain::hash::Hash;
use crate::domain::ids::{AccountId, Actor, ApprovalId, AwardId, ImportId, OfferId, Programme, RequestId, Uid, Urn};
use crate::domain::ledger::{EntryKind, EntrySeq, Unit};
use crate::domain::money::{HalfDays, Pence};
use crate::domain::period::Period;
use crate::domain::person;
use crate::domain::region::Region;
use crate::domain::rules::RulesVersion;
use crate::domain::terms::StrandId;
use crate::domain::time::Micros;
use crate::store::{Result, StoreError};

/// Declares how a type is read at a place of a row, and how it is written.
macro_rules! column_value {
    ($type:ty, $kind:expr, $read:expr, $cell:expr) => {
        impl ColumnValue for $type {
            const TYPE: ColumnType = $kind;

            fn read(row: &QueryResult, place: usize) -> Result<Self> {
                let read: fn(&QueryResult, usize) -> Result<Self> = $read;
                read(row, place)
            }

            fn cell(self) -> Cell {
                let cell: fn(Self) -> Cell = $cell;
                cell(self)
            }
        }

        impl FromRow for $type {
            fn take(cells: &mut RowReader<'_>) -> Result<Self> {
                cells.value()
            }
        }
    };
}

column_value!(Uuid, ColumnType::Uuid, driver, cell);
column_value!(Option<Uuid>, ColumnType::OptionalUuid, driver, optional_cell);
column_value!(Vec<u8>, ColumnType::Bytes, driver, cell);
column_value!(Option<Vec<u8>>, ColumnType::OptionalBytes, driver, optional_cell);
column_value!(String, ColumnType::Text, driver, cell);
column_value!(Option<String>, ColumnType::OptionalText, driver, optional_cell);
column_value!(i64, ColumnType::Int, driver, cell);
column_value!(Option<i64>, ColumnType::OptionalInt, driver, optional_cell);
column_value!(bool, ColumnType::Bool, driver, cell);
column_value!(Date, ColumnType::Date, pg_date::of, cell);
column_value!(Option<Date>, ColumnType::OptionalDate, pg_date::optional, optional_cell);

/// A value as the driver reads it.
fn driver<T: TryGetable>(row: &QueryResult, place: usize) -> Result<T> {
    Ok(row.try_get_by_index(place)?)
}

fn optional_cell<T: Into<Value>>(value: Option<T>) -> Cell {
    value.map(Into::into)
}

/// Declares types of the domain, each by the type that it is stored as and the ways from it and to it.
macro_rules! of_domain {
    ($($type:ty as $stored:ty: $from:expr, $to:expr;)+) => {$(
        column_value!(
            $type,
            <$stored as ColumnValue>::TYPE,
            |row, place| <$stored>::read(row, place).and_then($from),
            |it| <$stored>::cell($to(it))
        );
        column_value!(
            Option<$type>,
            <Option<$stored> as ColumnValue>::TYPE,
            |row, place| Option::<$stored>::read(row, place)?.map($from).transpose(),
            |it| Option::<$stored>::cell(it.map($to))
        );
    )+};
}

of_domain! {
    AccountId as Uuid: |id| Ok(AccountId(id)), |it: AccountId| it.0;
    ApprovalId as Uuid: |id| Ok(ApprovalId(id)), |it: ApprovalId| it.0;
    AwardId as Uuid: |id| Ok(AwardId(id)), |it: AwardId| it.0;
    ImportId as Uuid: |id| Ok(ImportId(id)), |it: ImportId| it.0;
    OfferId as Uuid: |id| Ok(OfferId(id)), |it: OfferId| it.0;
    RequestId as Uuid: |id| Ok(RequestId(id)), |it: RequestId| it.0;
    Seq as i64: |number| Ok(Seq(number)), |it: Seq| it.0;
    EntrySeq as i64: |number| Ok(EntrySeq(number)), |it: EntrySeq| it.0;
    Micros as i64: |number| Ok(Micros(number)), |it: Micros| it.0;
    RulesVersion as i64: |number| Ok(RulesVersion(number)), |it: RulesVersion| it.0;
    Pence as i64: |number| Ok(Pence(number)), |it: Pence| it.get();
    HalfDays as i64: half_days, |it: HalfDays| i64::from(it.get());
    Urn as i64: urn, |it: Urn| i64::from(it.get());
    Uid as i64: uid, |it: Uid| i64::from(it.get());
    Hash as Vec<u8>: |bytes: Vec<u8>| hash(&bytes), |it: Hash| it.0.to_vec();
    Programme as String: |text: String| text.parse().map_err(StoreError::unreadable), |it: Programme| it.to_string();
    Actor as String: |text: String| actor(&text), |it: Actor| it.to_string();
    StrandId as String: |text: String| Ok(StrandId::new(text)), |it: StrandId| it.to_string();
    Period as String: |text: String| text.parse().map_err(StoreError::unreadable), |it: Period| it.to_string();
    Unit as String: |name: String| named(Unit::named, &name), |it: Unit| it.name().to_owned();
    EntryKind as String: |name: String| named(EntryKind::named, &name), |it: EntryKind| it.name().to_owned();
    BookingState as String: |name: String| named(BookingState::named, &name), |it: BookingState| it.name().to_owned();
    LeaderKind as String: |name: String| named(LeaderKind::named, &name), |it: LeaderKind| it.name().to_owned();
}

pub(in crate::store) fn named<T>(find: impl Fn(&str) -> Option<T>, name: &str) -> Result<T> {
    find(name).ok_or_else(|| StoreError::unreadable(format!("the name {name:?}")))
}

/// A region by its name as it is stored: another spelling would be another region in queries by name.
pub(in crate::store) fn region(name: &str) -> Result<Region> {
    named(|name| Region::ALL.into_iter().find(|it| it.name() == name), name)
}

pub(in crate::store) fn urn(number: i64) -> Result<Urn> {
    u32::try_from(number).ok().and_then(Urn::new).ok_or_else(|| StoreError::unreadable(format!("URN {number}")))
}

pub(in crate::store) fn uid(number: i64) -> Result<Uid> {
    u32::try_from(number).ok().and_then(Uid::new).ok_or_else(|| StoreError::unreadable(format!("UID {number}")))
}

fn half_days(number: i64) -> Result<HalfDays> {
    i32::try_from(number).map(HalfDays).map_err(StoreError::unreadable)
}

pub(in crate::store) fn hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::unreadable("a hash that is not 32 bytes"))
}

pub(in crate::store) fn actor(text: &str) -> Result<Actor> {
    text.parse().map_err(StoreError::unreadable)
}

/// Refuses a day whose stored text is not the one that this program writes: SQLite stores days as texts, and a comparison of
/// texts takes such a day for another one.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn spelled(day: Date, text: &str) -> Result<()> {
    if text == day.to_string() { Ok(()) } else { Err(StoreError::unreadable(format!("the day {text:?}"))) }
}

/// Whether the event of a row is one since the programme adopted rules, as SQL that says 1 or 0: since then keys are written
/// beside ids. The programme is bound first.
pub(in crate::store) fn since_rules(event: &str) -> String {
    format!(
        "CASE WHEN {event} >= (SELECT MIN(seq) FROM events WHERE programme = $1 AND kind = 'rules_adopted') THEN 1 ELSE 0 END"
    )
}

/// An id that was written since then has its key; what the key is, [`keyed`] looks at.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn has_key(row: &QueryResult, since: &str, by: Option<&str>, key: Option<&str>) -> Result<()> {
    let is_expected = row.try_get::<i32>("", since)? == 1 && by.is_some();
    if is_expected && key.is_none() { Err(StoreError::unreadable("an id without its key")) } else { Ok(()) }
}

/// Refuses a key that is not that of the id beside it. Ids written before there were keys have none.
pub(in crate::store) fn keyed(id: Option<&str>, key: Option<&str>) -> Result<()> {
    match (id, key) {
        (_, None) => Ok(()),
        (Some(id), Some(key)) if person::key(id) == key => Ok(()),
        (id, Some(key)) => Err(StoreError::unreadable(format!("the key {key:?} is not that of the id {id:?}"))),
    }
}
