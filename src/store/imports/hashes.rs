//! Hashes the rows of an import: those that are stored, which are read in pages so that memory stays bounded, and those of a file
//! that are about to be stored.
//!
//! `docs/reference/record.md` ("Rows of an import") describes the encoding, for checks without this program.

use sea_orm::{EntityTrait, IdenStatic as _, Iterable as _, ModelTrait, QueryResult, Value};

use super::FileKind;
use crate::domain::event::{Encoder, Hash};
use crate::domain::ids::ImportId;
use crate::domain::register_record::{RowsHash, RowsHasher};
use crate::store::db::bulk_sql::{rows, select_rows};
use crate::store::db::pg_date;
use crate::store::db::row::{ColumnValue as _, RowReader};
use crate::store::{Backend, Conn, Readable, Result, StoreError};

/// The most rows of a page. A page is larger if more rows have the same first key.
const PAGE: usize = 2_000;

/// The type of a column; optional ones may be NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HashedType {
    Number,
    Text,
    OptionalNumber,
    OptionalText,
    OptionalDate,
}
use HashedType::{Number, OptionalDate, OptionalNumber, OptionalText, Text};

impl HashedType {
    const fn is_optional(self) -> bool {
        matches!(self, OptionalNumber | OptionalText | OptionalDate)
    }
}

/// A cell of a row. A day is text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HashedCell {
    Number(i64),
    Text(String),
}

impl HashedCell {
    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Number(number) => encoder.number(*number),
            Self::Text(text) => encoder.text(text),
        }
    }

    /// The cell of a value that is to be stored; `None` for NULL.
    fn of(value: Value) -> Result<Option<Self>> {
        Ok(match value {
            Value::BigInt(number) => number.map(Self::Number),
            Value::String(text) => text.map(Self::Text),
            Value::ChronoDate(day) => day.map(|it| Self::Text(it.to_string())),
            other => return Err(StoreError::Unusable(format!("no row of a file has a value like {other:?}"))),
        })
    }
}

/// A table of rows: its columns in order, without the import's id, and the keys that order its rows.
struct RowTable {
    name: &'static str,
    /// A column of numbers.
    first_key: &'static str,
    /// Further columns of numbers and texts, which order the rows with the same first key.
    more_keys: &'static [(&'static str, HashedType)],
    columns: &'static [(&'static str, HashedType)],
}

static GROUPS: RowTable = RowTable {
    name: "group_rows",
    first_key: "uid",
    more_keys: &[],
    columns: &[
        ("uid", Number),
        ("group_id", OptionalText),
        ("name", Text),
        ("companies_house", OptionalText),
        ("kind", Number),
        ("kind_name", Text),
        ("status", Text),
        ("opened_on", OptionalDate),
        ("closed_on", OptionalDate),
    ],
};

static MEMBERSHIP: RowTable = RowTable {
    name: "membership_rows",
    first_key: "urn",
    more_keys: &[("uid", Number)],
    columns: &[
        ("urn", Number),
        ("uid", Number),
        ("group_name", Text),
        ("kind", Number),
        ("kind_name", Text),
        ("status", Text),
        ("joined_on", OptionalDate),
        ("school_name", Text),
        ("school_type", Text),
        ("phase", Text),
        ("la_code", Number),
    ],
};

static LINKS: RowTable = RowTable {
    name: "link_rows",
    first_key: "urn",
    more_keys: &[("link_urn", Number), ("link_type", Text)],
    columns: &[
        ("urn", Number),
        ("link_urn", Number),
        ("link_name", Text),
        ("link_type", Text),
        ("linked_on", OptionalDate),
    ],
};

static ESTABLISHMENTS: RowTable = RowTable {
    name: "establishment_rows",
    first_key: "urn",
    more_keys: &[],
    columns: &[
        ("urn", Number),
        ("la_code", Number),
        ("laestab", OptionalNumber),
        ("name", Text),
        ("school_type", Text),
        ("type_group", Text),
        ("status", Text),
        ("opened_on", OptionalDate),
        ("closed_on", OptionalDate),
        ("phase", Text),
        ("diocese", OptionalText),
    ],
};

static OFSTED: RowTable = RowTable {
    name: "ofsted_rows",
    first_key: "urn",
    more_keys: &[],
    columns: &[
        ("urn", Number),
        ("name", Text),
        ("laestab", Number),
        ("school_type", Text),
        ("phase", Text),
        ("opened_on", OptionalDate),
        ("trust_uid", OptionalNumber),
        ("cur_number", OptionalText),
        ("cur_urn", OptionalNumber),
        ("cur_started", OptionalDate),
        ("cur_ended", OptionalDate),
        ("cur_published", OptionalDate),
        ("cur_grade", OptionalNumber),
        ("prev_number", OptionalText),
        ("prev_urn", OptionalNumber),
        ("prev_started", OptionalDate),
        ("prev_ended", OptionalDate),
        ("prev_published", OptionalDate),
        ("prev_grade", OptionalNumber),
    ],
};

static FINDINGS: RowTable = RowTable {
    name: "import_problems",
    first_key: "ordinal",
    more_keys: &[],
    columns: &[("ordinal", Number), ("line", Number), ("column_name", Text), ("reason", Text)],
};

const fn table_of(kind: FileKind) -> &'static RowTable {
    match kind {
        FileKind::Groups => &GROUPS,
        FileKind::Membership => &MEMBERSHIP,
        FileKind::Links => &LINKS,
        FileKind::Establishments => &ESTABLISHMENTS,
        FileKind::Ofsted => &OFSTED,
    }
}

/// Returns the hash of an import's rows. `kind` is the kind of the imported file.
///
/// # Errors
/// [`crate::store::StoreError::Unreadable`] for a row with a value that this program never writes.
pub async fn rows_hash(from: &dyn Readable, kind: FileKind, import: ImportId) -> Result<RowsHash> {
    table_of(kind).hash(&from.at(), import).await
}

/// Returns the hash that these rows of a file will have once they are stored. No two of them may have the same key.
///
/// # Errors
/// [`StoreError::Unusable`] if the rows are not those of the table, and [`StoreError::Unreadable`] for a NULL that the table does not
/// allow: bugs of this program.
pub(super) fn hash_of_rows<M: ModelTrait>(kind: FileKind, rows: &[M]) -> Result<RowsHash> {
    table_of(kind).hash_unstored(rows)
}

/// Returns the number of stored rows of an import. `kind` is the kind of the imported file.
pub async fn count_rows(from: &dyn Readable, kind: FileKind, import: ImportId) -> Result<i64> {
    let sql = format!("SELECT COUNT(*) FROM {} WHERE import_id = $1", table_of(kind).name);
    Ok(select_rows(&from.at(), &sql, vec![import.0.into()], Ok::<i64, _>).await?.pop().unwrap_or_default())
}

/// Returns the hash of an import's problems and notes.
///
/// # Errors
/// As [`rows_hash`].
pub async fn findings_hash(from: &dyn Readable, import: ImportId) -> Result<RowsHash> {
    FINDINGS.hash(&from.at(), import).await
}

impl RowTable {
    /// The query for a page: the first $3 rows of import $1 whose first key is at least $2. Text keys are ordered by their bytes,
    /// not by the database's collation.
    fn page(&self, backend: Backend) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let (columns, first) = (columns.join(", "), self.first_key);
        let mut order = first.to_owned();
        for (key, kind) in self.more_keys {
            order.push_str(", ");
            order.push_str(key);
            if *kind == Text && backend == Backend::Postgres {
                order.push_str(" COLLATE \"C\"");
            }
        }
        let name = self.name;
        format!(
            "SELECT {first}, {columns} FROM {name} WHERE import_id = $1 AND {first} >= $2 ORDER BY {order} LIMIT $3"
        )
    }

    async fn hash(&self, conn: &Conn<'_>, import: ImportId) -> Result<RowsHash> {
        let sql = self.page(conn.backend);
        let (mut hasher, mut first, mut limit) = (RowsHasher::default(), i64::MIN, PAGE);
        loop {
            let row_limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = vec![import.0.into(), first.into(), row_limit.into()];
            let read = |row: &QueryResult| {
                let mut cells = RowReader::starting_at(row, 0);
                Ok((cells.value()?, self.row(|kind| stored_cell(&mut cells, kind))?))
            };
            let page: Vec<(i64, Hash)> = rows(conn, &sql, values).await?.iter().map(read).collect::<Result<_>>()?;
            let is_last = page.len() < limit;
            // Rows with the same first key are hashed together. Those with the last key may continue on the next page.
            let last_key = page.last().map(|(key, _)| *key).filter(|_| !is_last);
            let complete = page.iter().filter(|(key, _)| Some(*key) != last_key);
            let count_before = hasher.count();
            complete.for_each(|(_, row)| hasher.add(*row));
            match last_key {
                None => return Ok(hasher.finish()),
                // All rows of the page have the same first key.
                Some(_) if hasher.count() == count_before => limit = limit.saturating_mul(2),
                Some(key) => (first, limit) = (key, PAGE),
            }
        }
    }

    /// The hash of rows that are not stored yet.
    fn hash_unstored<M: ModelTrait>(&self, rows: &[M]) -> Result<RowsHash> {
        let column = |name: &str| {
            let found = <M::Entity as EntityTrait>::Column::iter().find(|it| it.as_str() == name);
            found.ok_or_else(|| StoreError::Unusable(format!("no column {name} of {} is written", self.name)))
        };
        let columns: Vec<_> = self.columns.iter().map(|(name, _)| column(name)).collect::<Result<_>>()?;
        let keys = std::iter::once(self.first_key).chain(self.more_keys.iter().map(|(name, _)| *name));
        let keys: Vec<_> = keys.map(column).collect::<Result<_>>()?;
        let mut ordered = Vec::with_capacity(rows.len());
        for row in rows {
            let mut cells = columns.iter().map(|it| HashedCell::of(row.get(*it)));
            let hash = self.row(|_| cells.next().transpose().map(Option::flatten))?;
            let key: Vec<_> = keys.iter().map(|it| HashedCell::of(row.get(*it))).collect::<Result<_>>()?;
            ordered.push((key, hash));
        }
        ordered.sort_unstable();
        let mut hasher = RowsHasher::default();
        ordered.into_iter().for_each(|(_, row)| hasher.add(row));
        Ok(hasher.finish())
    }

    /// The hash of one row. `next_cell` returns the cells in the order of the columns, which have these types.
    fn row(&self, mut next_cell: impl FnMut(HashedType) -> Result<Option<HashedCell>>) -> Result<Hash> {
        let mut encoder = Encoder::new(b"tsio row v1\n");
        for (name, kind) in self.columns {
            match next_cell(*kind)? {
                cell if kind.is_optional() => encoder.optional(cell.as_ref(), |encoder, it| it.encode(encoder)),
                Some(cell) => cell.encode(&mut encoder),
                None => return Err(StoreError::unreadable(format!("{}.{name} is NULL", self.name))),
            }
        }
        Ok(encoder.finish())
    }
}

/// Reads a stored cell of this type.
fn stored_cell(cells: &mut RowReader<'_>, kind: HashedType) -> Result<Option<HashedCell>> {
    Ok(match kind {
        Number => Some(HashedCell::Number(cells.value()?)),
        Text => Some(HashedCell::Text(cells.value()?)),
        OptionalNumber => cells.value::<Option<i64>>()?.map(HashedCell::Number),
        OptionalText => cells.value::<Option<String>>()?.map(HashedCell::Text),
        OptionalDate => cells.read(day_text)?.map(HashedCell::Text),
    })
}

/// The day of a column as text, if there is one. On SQLite this is exactly the stored text.
fn day_text(row: &QueryResult, index: usize) -> Result<Option<String>> {
    match row.try_as_sqlite_row() {
        Some(_) => Option::<String>::read(row, index),
        None => Ok(pg_date::optional(row, index)?.map(|it| it.to_string())),
    }
}
