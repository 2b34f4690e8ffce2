//! Declares the rows of queries. [`row!`] takes the names and types of the columns of a row. It generates the list of columns for
//! SELECT, the code that reads a row by column index, and the cells to write. So no other code needs column indexes.
//!
//! [ADR 0038](../../../docs/adr/0038-a-row-is-declared-once-and-read-by-place.md) says when to use this and when to use SeaORM's
//! entities.

use sea_orm::QueryResult;

use super::batch_write::{Cell, ColumnType, names};
use crate::store::Result;

/// The name and the type of a column.
pub(in crate::store) type Column = (&'static str, ColumnType);

/// A value of a column. NULL is a value of `Option` types only.
pub(in crate::store) trait ColumnValue: Sized {
    /// The type of the column.
    const TYPE: ColumnType;

    /// The value of the column with this index, counted from 0.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`] if the stored value is not of this type.
    fn read(row: &QueryResult, index: usize) -> Result<Self>;

    /// The cell to write for this value.
    fn cell(self) -> Cell;
}

/// A type that is decoded from some consecutive cells of a row: a value, a row that [`row!`] declares, or a tuple of such types.
pub(in crate::store) trait FromRow: Sized {
    /// Reads a value from the next cells, and consumes only those.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`].
    fn take(cells: &mut RowReader<'_>) -> Result<Self>;

    /// Reads a value from the first cells of a row.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`].
    fn of(row: &QueryResult) -> Result<Self> {
        Self::take(&mut RowReader::starting_at(row, 0))
    }
}

/// A row that [`row!`] declares.
pub(in crate::store) trait Row: FromRow {
    /// The columns, in the order in which they are selected, read and written.
    const COLUMNS: &'static [Column];

    /// The cells to write, one per column.
    fn cells(self) -> impl Iterator<Item = Cell>;

    /// The columns as an SQL statement lists them: `id, version`.
    fn names() -> String {
        names(Self::COLUMNS)
    }

    /// The columns of a table that has an alias in the statement: `e.id, e.version`.
    fn names_of(alias: &str) -> String {
        let names: Vec<String> = Self::COLUMNS.iter().map(|(name, _)| format!("{alias}.{name}")).collect();
        names.join(", ")
    }
}

/// Reads the cells of a row, one after the other.
pub(in crate::store) struct RowReader<'r> {
    row: &'r QueryResult,
    next: usize,
}

impl<'r> RowReader<'r> {
    /// Starts at the cell with this index, counted from 0.
    pub(in crate::store) const fn starting_at(row: &'r QueryResult, index: usize) -> Self {
        Self { row, next: index }
    }

    /// The value of the next cell.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`]; the cell counts as read.
    pub(in crate::store) fn value<T: ColumnValue>(&mut self) -> Result<T> {
        self.read(T::read)
    }

    /// Reads the next cell with a function.
    ///
    /// # Errors
    /// The error of the function; the cell counts as read.
    pub(in crate::store) fn read<T>(&mut self, read: impl FnOnce(&QueryResult, usize) -> Result<T>) -> Result<T> {
        let index = self.next;
        self.next = index.saturating_add(1);
        read(self.row, index)
    }
}

/// Implements [`FromRow`] for a tuple: each element reads the cells after those of the element before.
macro_rules! impl_for_tuple {
    ($($name:ident),+) => {
        impl<$($name: FromRow),+> FromRow for ($($name,)+) {
            fn take(cells: &mut RowReader<'_>) -> Result<Self> {
                Ok(($($name::take(cells)?,)+))
            }
        }
    };
}
impl_for_tuple!(A, B);
impl_for_tuple!(A, B, C);
impl_for_tuple!(A, B, C, D);

/// Declares a row: a struct with a field for each column, which has the name of the column. The struct may begin with other rows,
/// as in `..award: AwardRow,`. Their columns come first.
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $(..$part:ident: $part_type:ty,)*
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$meta])*
        $vis struct $name {
            $($part: $part_type,)*
            $($(#[$field_meta])* $field_vis $field: $type),*
        }

        const _: () = {
            use $crate::store::db::row::{Column, ColumnValue, FromRow, Row, RowReader, column_count, concatenated};

            impl FromRow for $name {
                fn take(cells: &mut RowReader<'_>) -> $crate::store::Result<Self> {
                    Ok(Self { $($part: FromRow::take(cells)?,)* $($field: cells.value()?),* })
                }
            }

            impl Row for $name {
                const COLUMNS: &'static [Column] = {
                    const PARTS: &[&[Column]] = &[
                        $(<$part_type as Row>::COLUMNS,)*
                        &[$((stringify!($field), <$type as ColumnValue>::TYPE)),*],
                    ];
                    &concatenated::<{ column_count(PARTS) }>(PARTS)
                };

                fn cells(self) -> impl Iterator<Item = $crate::store::db::batch_write::Cell> {
                    std::iter::empty()
                        $(.chain(self.$part.cells()))*
                        .chain([$(self.$field.cell()),*])
                }
            }
        };
    };
}
pub(in crate::store) use row;

/// Reads only one column of a row, by its name: `column!(EventRow, hash, row)`. A name that the row does not have fails to
/// compile.
macro_rules! column {
    ($row_type:ty, $column:ident, $row:expr) => {{
        use $crate::store::db::row::{ColumnValue, Row, index_of};
        ColumnValue::read($row, const { index_of(<$row_type as Row>::COLUMNS, stringify!($column)) })
    }};
}
pub(in crate::store) use column;

/// The number of columns of all parts.
pub(in crate::store) const fn column_count(parts: &[&[Column]]) -> usize {
    let (mut part, mut count) = (0, 0);
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// The columns of parts, one after the other.
pub(in crate::store) const fn concatenated<const N: usize>(parts: &[&[Column]]) -> [Column; N] {
    let mut all = [("", ColumnType::Text); N];
    let (mut part, mut index) = (0, 0);
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            all[index] = parts[part][at];
            index += 1;
            at += 1;
        }
        part += 1;
    }
    all
}

/// The index of the column with this name. Panics if there is none; in a constant that is a compile error.
pub(in crate::store) const fn index_of(columns: &[Column], name: &str) -> usize {
    let mut at = 0;
    while !is_same(columns[at].0.as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// These columns, with an empty text in place of the column with this name, whose value is not needed.
pub(in crate::store) const fn with_blank<const N: usize>(columns: &[Column], name: &str) -> [Column; N] {
    let mut all = concatenated::<N>(&[columns]);
    all[index_of(columns, name)].0 = "''";
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Date;
    use crate::domain::event::Seq;
    use crate::domain::ids::{Actor, AwardId};
    use crate::domain::money::Pence;
    use crate::store::db::bulk_sql::select_rows;
    use crate::store::{Readable as _, Store, StoreError, Use};

    row! {
        #[derive(Debug, PartialEq)]
        struct KeyRow {
            id: AwardId,
            seq: Seq,
        }
    }

    row! {
        #[derive(Debug, PartialEq)]
        struct ParentRow {
            ..key: KeyRow,
            by: Actor,
            on_day: Option<Date>,
            rate: Option<Pence>,
            is_open: bool,
            salt: Vec<u8>,
        }
    }

    fn sample_row() -> ParentRow {
        let key = KeyRow { id: AwardId(uuid::Uuid::from_u128(7)), seq: Seq(3) };
        let by = "officer-1".parse().unwrap();
        ParentRow { key, by, on_day: Date::from_ymd_opt(2022, 2, 28), rate: None, is_open: true, salt: vec![1, 2] }
    }

    #[test]
    fn the_columns_of_parts_come_first() {
        assert_eq!(ParentRow::names(), "id, seq, by, on_day, rate, is_open, salt");
        assert_eq!(KeyRow::names_of("k"), "k.id, k.seq");
        let types = ParentRow::COLUMNS.iter().map(|(_, kind)| *kind);
        let expected = [
            ColumnType::Uuid,
            ColumnType::Int,
            ColumnType::Text,
            ColumnType::OptionalDate,
            ColumnType::OptionalInt,
            ColumnType::Bool,
            ColumnType::Bytes,
        ];
        assert!(types.eq(expected), "{:?}", ParentRow::COLUMNS);
        const WITHOUT_ACTOR: [Column; 7] = with_blank(ParentRow::COLUMNS, "by");
        assert_eq!(names(&WITHOUT_ACTOR), "id, seq, '', on_day, rate, is_open, salt");
    }

    #[tokio::test]
    async fn written_values_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        let conn = store.at();
        let values = || sample_row().cells().map(|it| it.unwrap_or(sea_orm::Value::BigInt(None))).collect();
        let sql = "SELECT $1, $2, $3, $4, $5, $6, $7";
        let found = select_rows(&conn, sql, values(), |row: ParentRow| Ok(row)).await.unwrap();
        assert_eq!(found, [sample_row()]);
        let sql = "SELECT $1, $2, $6, $7, $3, $4, $5";
        let parts = |(key, is_open, salt): (KeyRow, bool, Vec<u8>)| Ok((key, is_open, salt));
        let found = select_rows(&conn, sql, values(), parts).await.unwrap();
        assert_eq!(found, [(sample_row().key, true, vec![1, 2])]);
        let sql = "SELECT $1, $2, $3, $4, $5, 'seven', $7";
        let rows = crate::store::db::bulk_sql::rows(&conn, sql, values()).await.unwrap();
        let row = rows.first().unwrap();
        assert!(matches!(ParentRow::of(row), Err(StoreError::Unreadable(_))));
        assert_eq!(KeyRow::of(row).unwrap(), sample_row().key);
        let by: Actor = column!(ParentRow, by, row).unwrap();
        assert_eq!(by, sample_row().by);
    }
}
