//! Days as PostgreSQL keeps them. It has some that no calendar here has, `infinity` among them, at which the driver
//! panics. This program never writes them, and reports one as unreadable if it finds it.

use sea_orm::sqlx::{Row as _, ValueRef as _};
use sea_orm::{ColIdx, QueryResult};

use crate::domain::Date;
use crate::store::{Result, StoreError};

/// The day of a row, if there is one.
///
/// # Errors
/// [`StoreError::Unreadable`] for what is no day.
pub(in crate::store) fn optional<I: ColIdx>(row: &QueryResult, column: I) -> Result<Option<Date>> {
    let Some(row) = row.try_as_pg_row() else { return Ok(row.try_get_by(column)?) };
    let value = row.try_get_raw(column.as_sqlx_postgres_index()).map_err(StoreError::unreadable)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = value.as_bytes().map_err(StoreError::unreadable)?;
    counted(bytes.try_into().map_err(StoreError::unreadable)?).map(Some)
}

/// The day of a row.
///
/// # Errors
/// As [`optional`], and for NULL.
pub(in crate::store) fn of<I: ColIdx>(row: &QueryResult, column: I) -> Result<Date> {
    optional(row, column)?.ok_or_else(|| StoreError::unreadable("NULL for a day"))
}

/// Decodes a day from the number of days since 1 January 2000, in four bytes.
///
/// # Errors
/// [`StoreError::Unreadable`] for one that no calendar has.
pub(in crate::store) fn counted(days: [u8; 4]) -> Result<Date> {
    let days = chrono::TimeDelta::days(i32::from_be_bytes(days).into());
    let day = Date::from_ymd_opt(2000, 1, 1).and_then(|it| it.checked_add_signed(days));
    day.ok_or_else(|| StoreError::unreadable("a day that no calendar has"))
}
