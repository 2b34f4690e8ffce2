//! Declares the rows of queries. [`row!`] takes the names and types of the columns of a row. It generates the list of columns for
//! SELECT, the code that reads a row by column index, and the cells to write. So no other code counts columns.
//!
//! [ADR 0038](../../../docs/adr/0038-a-row-is-declared-once-and-read-by-place.md) says when to use this and when to use SeaORM's
//! entities.

use sea_orm::QueryResult;

use super::batch_write::{Cell, ColumnType, names};
use crate::store::Result;

/// The name and the type of a column.
pub(in crate::store) type Column = (&'static str, ColumnType);

/// A value that a column holds, NULL included where the type is an `Option`.
pub(in crate::store) trait ColumnValue: Sized {
    /// The type of the column.
    const TYPE: ColumnType;

    /// The value of the column with this index, counted from 0.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`] when something else is there.
    fn read(row: &QueryResult, place: usize) -> Result<Self>;

    /// The value as it is written.
    fn cell(self) -> Cell;
}

/// What is read from a row or from a part of it: a value, a row that [`row!`] declares, or several of them side by side.
pub(in crate::store) trait FromRow: Sized {
    /// Reads a value from the next cells, and consumes only those.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`].
    fn take(cells: &mut RowReader<'_>) -> Result<Self>;

    /// Reads it from the first cells of a row.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`].
    fn of(row: &QueryResult) -> Result<Self> {
        Self::take(&mut RowReader::starting_at(row, 0))
    }
}

/// A row that [`row!`] declares.
pub(in crate::store) trait Row: FromRow {
    /// Its columns in the order in which they are selected, read and written.
    const COLUMNS: &'static [Column];

    /// Its cells, one a column.
    fn cells(self) -> impl Iterator<Item = Cell>;

    /// Its columns as a statement lists them: `id, version`.
    fn names() -> String {
        names(Self::COLUMNS)
    }

    /// The same of a table that has this alias in the statement: `e.id, e.version`.
    fn names_of(alias: &str) -> String {
        let names: Vec<String> = Self::COLUMNS.iter().map(|(name, _)| format!("{alias}.{name}")).collect();
        names.join(", ")
    }
}

/// The cells of a row that are still to be read.
pub(in crate::store) struct RowReader<'r> {
    row: &'r QueryResult,
    next: usize,
}

impl<'r> RowReader<'r> {
    /// The cells from a place on, counted from 0.
    pub(in crate::store) const fn starting_at(row: &'r QueryResult, place: usize) -> Self {
        Self { row, next: place }
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
        let place = self.next;
        self.next = place.saturating_add(1);
        read(self.row, place)
    }
}

/// Implements the reading of tuples: each element reads its cells after those of the one before.
macro_rules! side_by_side {
    ($($name:ident),+) => {
        impl<$($name: FromRow),+> FromRow for ($($name,)+) {
            fn take(cells: &mut RowReader<'_>) -> Result<Self> {
                Ok(($($name::take(cells)?,)+))
            }
        }
    };
}
side_by_side!(A, B);
side_by_side!(A, B, C);
side_by_side!(A, B, C, D);

/// Declares a row: a struct with a field for each column, named as the column is. It may begin with other rows, whose columns
/// come first: `..award: AwardRow,`.
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
            use $crate::store::db::row::{Column, ColumnValue, FromRow, Row, RowReader, joined, width};

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
                    &joined::<{ width(PARTS) }>(PARTS)
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

/// Reads one column of a row alone, by its name: `column!(EventRow, hash, row)`. A name that the row does not have fails to
/// compile.
macro_rules! column {
    ($row_type:ty, $column:ident, $row:expr) => {{
        use $crate::store::db::row::{ColumnValue, Row, place};
        ColumnValue::read($row, const { place(<$row_type as Row>::COLUMNS, stringify!($column)) })
    }};
}
pub(in crate::store) use column;

/// The number of columns of all parts.
pub(in crate::store) const fn width(parts: &[&[Column]]) -> usize {
    let (mut part, mut width) = (0, 0);
    while part < parts.len() {
        width += parts[part].len();
        part += 1;
    }
    width
}

/// The columns of parts, one after the other.
pub(in crate::store) const fn joined<const N: usize>(parts: &[&[Column]]) -> [Column; N] {
    let mut all = [("", ColumnType::Text); N];
    let (mut part, mut place) = (0, 0);
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            all[place] = parts[part][at];
            place += 1;
            at += 1;
        }
        part += 1;
    }
    all
}

/// The place of the column with this name. Panics if there is none; in a constant that is a compile error.
pub(in crate::store) const fn place(columns: &[Column], name: &str) -> usize {
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

/// The same columns, but one of them is replaced by an empty text, as its value is not needed.
pub(in crate::store) const fn without_text<const N: usize>(columns: &[Column], name: &str) -> [Column; N] {
    let mut all = joined::<N>(&[columns]);
    all[place(columns, name)].0 = "''";
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
        struct Key {
            id: AwardId,
            seq: Seq,
        }
    }

    row! {
        #[derive(Debug, PartialEq)]
        struct Whole {
            ..key: Key,
            by: Actor,
            on_day: Option<Date>,
            rate: Option<Pence>,
            is_open: bool,
            salt: Vec<u8>,
        }
    }

    fn whole() -> Whole {
        let key = Key { id: AwardId(uuid::Uuid::from_u128(7)), seq: Seq(3) };
        let by = "officer-1".parse().unwrap();
        Whole { key, by, on_day: Date::from_ymd_opt(2022, 2, 28), rate: None, is_open: true, salt: vec![1, 2] }
    }

    #[test]
    fn the_columns_of_parts_come_first() {
        assert_eq!(Whole::names(), "id, seq, by, on_day, rate, is_open, salt");
        assert_eq!(Key::names_of("k"), "k.id, k.seq");
        let types = Whole::COLUMNS.iter().map(|(_, kind)| *kind);
        let expected = [
            ColumnType::Uuid,
            ColumnType::Int,
            ColumnType::Text,
            ColumnType::OptionalDate,
            ColumnType::OptionalInt,
            ColumnType::Bool,
            ColumnType::Bytes,
        ];
        assert!(types.eq(expected), "{:?}", Whole::COLUMNS);
        const BLANK: [Column; 7] = without_text(Whole::COLUMNS, "by");
        assert_eq!(names(&BLANK), "id, seq, '', on_day, rate, is_open, salt");
    }

    #[tokio::test]
    async fn written_values_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        let conn = store.at();
        let values = || whole().cells().map(|it| it.unwrap_or(sea_orm::Value::BigInt(None))).collect();
        let sql = "SELECT $1, $2, $3, $4, $5, $6, $7";
        let found = select_rows(&conn, sql, values(), |row: Whole| Ok(row)).await.unwrap();
        assert_eq!(found, [whole()]);
        let sql = "SELECT $1, $2, $6, $7, $3, $4, $5";
        let parts = |(key, is_open, salt): (Key, bool, Vec<u8>)| Ok((key, is_open, salt));
        let found = select_rows(&conn, sql, values(), parts).await.unwrap();
        assert_eq!(found, [(whole().key, true, vec![1, 2])]);
        let sql = "SELECT $1, $2, $3, $4, $5, 'seven', $7";
        let rows = crate::store::db::bulk_sql::rows(&conn, sql, values()).await.unwrap();
        let row = rows.first().unwrap();
        assert!(matches!(Whole::of(row), Err(StoreError::Unreadable(_))));
        assert_eq!(Key::of(row).unwrap(), whole().key);
        let by: Actor = column!(Whole, by, row).unwrap();
        assert_eq!(by, whole().by);
    }
}
