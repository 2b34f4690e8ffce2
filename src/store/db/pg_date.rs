//! Reads days from PostgreSQL. PostgreSQL can store days that this program cannot represent, such as `infinity`, and the driver
//! panics when it decodes one. This program never writes such a day, and this module reports one as unreadable. On SQLite it
//! leaves the decoding to the driver.

use sea_orm::sqlx::{Row as _, ValueRef as _};
use sea_orm::{ColIdx, QueryResult};

use crate::domain::Date;
use crate::store::{Result, StoreError};

/// The day in a column; `None` for NULL.
///
/// # Errors
/// [`StoreError::Unreadable`] if the value is no day, or a day that this program cannot represent.
pub(in crate::store) fn optional<I: ColIdx>(row: &QueryResult, column: I) -> Result<Option<Date>> {
    let Some(row) = row.try_as_pg_row() else { return Ok(row.try_get_by(column)?) };
    let value = row.try_get_raw(column.as_sqlx_postgres_index()).map_err(StoreError::unreadable)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = value.as_bytes().map_err(StoreError::unreadable)?;
    from_day_count(bytes.try_into().map_err(StoreError::unreadable)?).map(Some)
}

/// The day in a column that must have one.
///
/// # Errors
/// [`StoreError::Unreadable`] for NULL, and as [`optional`].
pub(in crate::store) fn required<I: ColIdx>(row: &QueryResult, column: I) -> Result<Date> {
    optional(row, column)?.ok_or_else(|| StoreError::unreadable("NULL for a day"))
}

/// Decodes a day from the number of days since 1 January 2000, in four bytes.
///
/// # Errors
/// [`StoreError::Unreadable`] for a day that this program cannot represent.
pub(in crate::store) fn from_day_count(days: [u8; 4]) -> Result<Date> {
    let days = chrono::TimeDelta::days(i32::from_be_bytes(days).into());
    let day = Date::from_ymd_opt(2000, 1, 1).and_then(|it| it.checked_add_signed(days));
    day.ok_or_else(|| StoreError::unreadable("a day that this program cannot represent"))
}
