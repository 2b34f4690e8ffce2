//! Converts values of columns to values of the domain, and back.

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

/// Declares how a type is read from a column, and how it is written.
macro_rules! column_value {
    ($type:ty, $kind:expr, $read:expr, $cell:expr) => {
        impl ColumnValue for $type {
            const TYPE: ColumnType = $kind;

            fn read(row: &QueryResult, index: usize) -> Result<Self> {
                let read: fn(&QueryResult, usize) -> Result<Self> = $read;
                read(row, index)
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

column_value!(Uuid, ColumnType::Uuid, read_by_driver, cell);
column_value!(Option<Uuid>, ColumnType::OptionalUuid, read_by_driver, optional_cell);
column_value!(Vec<u8>, ColumnType::Bytes, read_by_driver, cell);
column_value!(Option<Vec<u8>>, ColumnType::OptionalBytes, read_by_driver, optional_cell);
column_value!(String, ColumnType::Text, read_by_driver, cell);
column_value!(Option<String>, ColumnType::OptionalText, read_by_driver, optional_cell);
column_value!(i64, ColumnType::Int, read_by_driver, cell);
column_value!(Option<i64>, ColumnType::OptionalInt, read_by_driver, optional_cell);
column_value!(bool, ColumnType::Bool, read_by_driver, cell);
column_value!(Date, ColumnType::Date, pg_date::required, cell);
column_value!(Option<Date>, ColumnType::OptionalDate, pg_date::optional, optional_cell);

/// Reads a value with the driver.
fn read_by_driver<T: TryGetable>(row: &QueryResult, index: usize) -> Result<T> {
    Ok(row.try_get_by_index(index)?)
}

fn optional_cell<T: Into<Value>>(value: Option<T>) -> Cell {
    value.map(Into::into)
}

/// Declares types of the domain: the type that is stored for each, and the conversions from and to the stored type.
macro_rules! domain_values {
    ($($type:ty as $stored:ty: $from:expr, $to:expr;)+) => {$(
        column_value!(
            $type,
            <$stored as ColumnValue>::TYPE,
            |row, index| <$stored>::read(row, index).and_then($from),
            |it| <$stored>::cell($to(it))
        );
        column_value!(
            Option<$type>,
            <Option<$stored> as ColumnValue>::TYPE,
            |row, index| Option::<$stored>::read(row, index)?.map($from).transpose(),
            |it| Option::<$stored>::cell(it.map($to))
        );
    )+};
}

domain_values! {
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
    Unit as String: |name: String| by_name(Unit::named, &name), |it: Unit| it.name().to_owned();
    EntryKind as String: |name: String| by_name(EntryKind::named, &name), |it: EntryKind| it.name().to_owned();
    BookingState as String: |name: String| by_name(BookingState::named, &name), |it: BookingState| it.name().to_owned();
    LeaderKind as String: |name: String| by_name(LeaderKind::named, &name), |it: LeaderKind| it.name().to_owned();
}

/// The value with a stored name.
///
/// # Errors
/// [`StoreError::Unreadable`] if there is no such value.
pub(in crate::store) fn by_name<T>(find: impl Fn(&str) -> Option<T>, name: &str) -> Result<T> {
    find(name).ok_or_else(|| StoreError::unreadable(format!("the name {name:?}")))
}

/// The region with a stored name. Only the spelling that this program writes is accepted, because queries compare names as texts.
pub(in crate::store) fn region(name: &str) -> Result<Region> {
    by_name(|name| Region::ALL.into_iter().find(|it| it.name() == name), name)
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

/// Refuses a day whose stored text differs from the text that this program writes. SQLite stores days as texts, and a comparison
/// of texts would order such a day wrongly.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn check_day_text(day: Date, text: &str) -> Result<()> {
    if text == day.to_string() { Ok(()) } else { Err(StoreError::unreadable(format!("the day {text:?}"))) }
}

/// An SQL expression that is 1 if the event of a row is not earlier than the first adoption of rules, else 0. From that event on,
/// this program writes a key with the id of each person. `event` is the column with the event's number; $1 is the programme.
pub(in crate::store) fn since_rules_sql(event: &str) -> String {
    format!(
        "CASE WHEN {event} >= (SELECT MIN(seq) FROM events WHERE programme = $1 AND kind = 'rules_adopted') THEN 1 ELSE 0 END"
    )
}

/// Checks that a person's id has a key if the expression of [`since_rules_sql`] is 1 in a row. `since_column` is the name of that
/// expression's column. [`check_key`] checks the key itself.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn check_has_key(
    row: &QueryResult,
    since_column: &str,
    id: Option<&str>,
    key: Option<&str>,
) -> Result<()> {
    let is_expected = row.try_get::<i32>("", since_column)? == 1 && id.is_some();
    if is_expected && key.is_none() { Err(StoreError::unreadable("an id without its key")) } else { Ok(()) }
}

/// Refuses a key that does not belong to the id. Ids that were written before keys existed have none.
pub(in crate::store) fn check_key(id: Option<&str>, key: Option<&str>) -> Result<()> {
    match (id, key) {
        (_, None) => Ok(()),
        (Some(id), Some(key)) if person::key(id) == key => Ok(()),
        (id, Some(key)) => Err(StoreError::unreadable(format!("the key {key:?} is not that of the id {id:?}"))),
    }
}
