//! Writes the changes of a batch with statements of fixed text: the hot path of the writer.
//!
//! PostgreSQL takes all of it in one statement, each table's rows as arrays. SQLite takes it table by table, in
//! statements of 64, 32, 16... rows, so that each text is prepared once. Measured beside inserts of varying length in
//! [ADR 0014](../../../docs/adr/0014-a-batch-is-written-in-fixed-statements.md).

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value};
use uuid::Uuid;

use super::answer_check;
use crate::domain::Date;
use crate::store::{Backend, Readable as _, Result, WriteTx};

/// The number of rows in the longest statement on SQLite.
const LONGEST: usize = 64;

/// A column's type. For optional types PostgreSQL gets a stand-in for NULL, since the arrays contain no NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum ColumnType {
    Uuid,
    Bytes,
    Text,
    Int,
    Bool,
    Date,
    OptionalUuid,
    OptionalBytes,
    OptionalText,
    OptionalInt,
    OptionalDate,
}

impl ColumnType {
    /// Its name on PostgreSQL.
    pub(in crate::store) const fn sql(self) -> &'static str {
        match self {
            Self::Uuid | Self::OptionalUuid => "uuid",
            Self::Bytes | Self::OptionalBytes => "bytea",
            Self::Text | Self::OptionalText => "text",
            Self::Int | Self::OptionalInt => "bigint",
            Self::Bool => "boolean",
            Self::Date | Self::OptionalDate => "date",
        }
    }

    /// Whether its values are bytes on SQLite.
    pub(in crate::store) const fn is_bytes(self) -> bool {
        matches!(self, Self::Uuid | Self::Bytes | Self::OptionalUuid | Self::OptionalBytes)
    }

    fn array_type(self) -> ArrayType {
        match self {
            Self::Uuid | Self::OptionalUuid => ArrayType::Uuid,
            Self::Bytes | Self::OptionalBytes => ArrayType::Bytes,
            Self::Text | Self::OptionalText => ArrayType::String,
            Self::Int | Self::OptionalInt => ArrayType::BigInt,
            Self::Bool => ArrayType::Bool,
            Self::Date | Self::OptionalDate => ArrayType::ChronoDate,
        }
    }

    /// Adds the expression that selects the column from the arrays and turns the stand-in back into NULL.
    fn select(self, sql: &mut String, column: &str) {
        let absent = match self {
            Self::OptionalUuid => "'00000000-0000-0000-0000-000000000000'::uuid",
            Self::OptionalBytes => "''::bytea",
            Self::OptionalText => "''",
            Self::OptionalInt => "(-9223372036854775808)",
            Self::OptionalDate => "'0001-01-01'::date",
            Self::Uuid | Self::Bytes | Self::Text | Self::Int | Self::Bool | Self::Date => {
                return push(sql, &["v.", column]);
            }
        };
        push(sql, &["NULLIF(v.", column, ", ", absent, ")"]);
    }

    /// The stand-in for NULL in an array: a value that the column never has.
    fn absent(self) -> Value {
        match self {
            Self::Uuid | Self::OptionalUuid => Uuid::nil().into(),
            Self::Bytes | Self::OptionalBytes => Vec::<u8>::new().into(),
            Self::Text | Self::OptionalText => String::new().into(),
            Self::Int | Self::OptionalInt => i64::MIN.into(),
            Self::Bool => false.into(),
            Self::Date => Date::MIN.into(),
            Self::OptionalDate => Date::from_ymd_opt(1, 1, 1).into(),
        }
    }
}

/// A value of a row; `None` is NULL.
pub(in crate::store) type Cell = Option<Value>;

/// A value as a cell.
pub(in crate::store) fn cell(value: impl Into<Value>) -> Cell {
    Some(value.into())
}

/// A table, and how its rows are written.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) name: &'static str,
    /// Columns with the same value in all rows of a batch, which are sent once.
    pub(in crate::store) same: &'static [(&'static str, ColumnType)],
    pub(in crate::store) columns: &'static [(&'static str, ColumnType)],
    pub(in crate::store) how: RowWrite,
}

/// How a row is written.
#[derive(Debug)]
pub(in crate::store) enum RowWrite {
    /// Inserts a new row.
    Insert,
    /// Inserts a new row, or updates these columns of the row with this key.
    Upsert { key: &'static [&'static str], take: &'static [&'static str] },
    /// Inserts a new row, or adds to this column of the row with this key. Each key may occur only once.
    Add { key: &'static [&'static str], to: &'static str },
    /// Updates the row with the value of the first column; it must exist.
    Update,
}

/// Rows to write to a table.
#[derive(Debug)]
struct TableRows {
    table: &'static Table,
    same: Vec<Cell>,
    /// The cells of all rows, row by row, one for each column.
    cells: Vec<Cell>,
}

/// Rows to write to several tables.
#[derive(Debug, Default)]
pub(in crate::store) struct BatchWrite {
    parts: Vec<TableRows>,
}

impl BatchWrite {
    /// Adds rows to a table: what is the same in all of them, then a cell a column for each, in the order of its columns.
    pub(in crate::store) fn rows<const S: usize>(
        &mut self,
        table: &'static Table,
        same: [Cell; S],
        rows: impl Iterator<Item = impl IntoIterator<Item = Cell>>,
    ) {
        let mut cells: Vec<Cell> = Vec::with_capacity(rows.size_hint().0.saturating_mul(table.columns.len()));
        for row in rows {
            let before = cells.len();
            cells.extend(row);
            debug_assert_eq!(cells.len().saturating_sub(before), table.columns.len(), "{}", table.name);
        }
        debug_assert_eq!(S, table.same.len(), "{}", table.name);
        if !cells.is_empty() {
            self.parts.push(TableRows { table, same: same.into(), cells });
        }
    }

    /// Writes everything.
    ///
    /// # Errors
    /// [`StoreError::UniqueConflict`](crate::store::StoreError::UniqueConflict) when another programme, or an import, has
    /// written the same request id or invoice since it was looked for; trying again finds it.
    pub(in crate::store) async fn write(self, tx: &WriteTx) -> Result<()> {
        if self.parts.is_empty() {
            return Ok(());
        }
        match tx.backend() {
            Backend::Postgres => at_once(tx, self.parts).await,
            Backend::Sqlite => table_by_table(tx, self.parts).await,
        }
    }
}

async fn at_once(tx: &WriteTx, parts: Vec<TableRows>) -> Result<()> {
    let mut sql = String::with_capacity(4_096);
    let mut values: Vec<Value> = Vec::new();
    for (index, TableRows { table, same, cells }) in parts.into_iter().enumerate() {
        sql.push_str(if index == 0 { "WITH " } else { ", " });
        sql.push_str(&format!("w{index} AS ("));
        of_arrays(&mut sql, table, values.len());
        sql.push(')');
        values.extend(same.into_iter().zip(table.same).map(|(cell, (_, kind))| or_null(cell, *kind)));
        values.extend(arrays(table, cells));
    }
    sql.push_str(" SELECT 1");
    let written = tx.at().db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    if written.rows_affected() == 1 { Ok(()) } else { Err(answer_check::out_of_step()) }
}

/// One part of the statement: its values come after `bound` others. Written piece by piece into the one text: for a lone
/// caller it is a good part of the work.
fn of_arrays(sql: &mut String, table: &Table, bound: usize) {
    let mut place = bound;
    let mut placed = |sql: &mut String, kind: ColumnType, more: &str| {
        place = place.saturating_add(1);
        sql.push('$');
        sql.push_str(&place.to_string());
        sql.push_str("::");
        sql.push_str(kind.sql());
        sql.push_str(more);
    };
    match table.how {
        RowWrite::Update => {
            push(sql, &["UPDATE ", table.name, " t SET "]);
            for (at, (name, kind)) in table.columns.iter().skip(1).enumerate() {
                push(sql, &[if at == 0 { "" } else { ", " }, name, " = "]);
                kind.select(sql, name);
            }
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => {
            push(sql, &["INSERT INTO ", table.name, " (", &all_names(table), ") SELECT "]);
            for (_, kind) in table.same {
                placed(sql, *kind, ", ");
            }
            for (at, (name, kind)) in table.columns.iter().enumerate() {
                sql.push_str(if at == 0 { "" } else { ", " });
                kind.select(sql, name);
            }
        }
    }
    sql.push_str(" FROM unnest(");
    for (at, (_, kind)) in table.columns.iter().enumerate() {
        sql.push_str(if at == 0 { "" } else { ", " });
        placed(sql, *kind, "[]");
    }
    sql.push_str(") AS v(");
    for (at, (name, _)) in table.columns.iter().enumerate() {
        push(sql, &[if at == 0 { "" } else { ", " }, name]);
    }
    sql.push(')');
    match table.how {
        RowWrite::Update => {
            let key = table.columns.first().map_or("", |(name, _)| *name);
            push(sql, &[" WHERE t.", key, " = v.", key]);
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => sql.push_str(&conflict(table)),
    }
}

fn push(sql: &mut String, pieces: &[&str]) {
    pieces.iter().for_each(|it| sql.push_str(it));
}

fn all_names(table: &Table) -> String {
    names(table.same.iter().chain(table.columns))
}

/// The names of columns, as listed in a statement.
pub(in crate::store) fn names<'a>(columns: impl IntoIterator<Item = &'a (&'static str, ColumnType)>) -> String {
    let names: Vec<&str> = columns.into_iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn conflict(table: &Table) -> String {
    let (key, set) = match table.how {
        RowWrite::Upsert { key, take } => {
            let take: Vec<String> = take.iter().map(|name| format!("{name} = excluded.{name}")).collect();
            (key, take.join(", "))
        }
        RowWrite::Add { key, to } => (key, format!("{to} = {}.{to} + excluded.{to}", table.name)),
        RowWrite::Insert | RowWrite::Update => return String::new(),
    };
    format!(" ON CONFLICT ({}) DO UPDATE SET {set}", key.join(", "))
}

/// Turns the rows into one array for each column.
fn arrays(table: &Table, cells: Vec<Cell>) -> impl Iterator<Item = Value> {
    let width = table.columns.len();
    let rows = cells.len().checked_div(width).unwrap_or_default();
    let mut columns: Vec<Vec<Value>> = table.columns.iter().map(|_| Vec::with_capacity(rows)).collect();
    for (cell, at) in cells.into_iter().zip((0..width).cycle()) {
        let kind = table.columns.get(at).map_or(ColumnType::Text, |(_, kind)| *kind);
        if let Some(column) = columns.get_mut(at) {
            column.push(cell.unwrap_or_else(|| kind.absent()));
        }
    }
    table.columns.iter().zip(columns).map(|((_, kind), values)| Value::Array(kind.array_type(), Some(Box::new(values))))
}

async fn table_by_table(tx: &WriteTx, parts: Vec<TableRows>) -> Result<()> {
    let conn = tx.at();
    for TableRows { table, same, cells } in parts {
        let mut left = cells.len().checked_div(table.columns.len()).unwrap_or_default();
        let kinds = || table.same.iter().chain(table.columns).map(|(_, kind)| *kind);
        let mut cells = cells.into_iter();
        while left > 0 {
            let rows = LONGEST.min(1 << left.ilog2());
            let mut values: Vec<Value> = Vec::with_capacity(rows.saturating_mul(kinds().count()));
            for _ in 0..rows {
                let row = same.iter().cloned().chain(cells.by_ref().take(table.columns.len()));
                values.extend(row.zip(kinds()).map(|(cell, kind)| or_null(cell, kind)));
            }
            let statement = Statement::from_sql_and_values(DbBackend::Sqlite, of_rows(table, rows), values);
            conn.db.execute_raw(statement).await?;
            left = left.saturating_sub(rows);
        }
    }
    Ok(())
}

fn or_null(cell: Cell, kind: ColumnType) -> Value {
    cell.unwrap_or(match kind {
        ColumnType::Uuid | ColumnType::OptionalUuid => Value::Uuid(None),
        ColumnType::Bytes | ColumnType::OptionalBytes => Value::Bytes(None),
        ColumnType::Text | ColumnType::OptionalText => Value::String(None),
        ColumnType::Int | ColumnType::OptionalInt => Value::BigInt(None),
        ColumnType::Bool => Value::Bool(None),
        ColumnType::Date | ColumnType::OptionalDate => Value::ChronoDate(None),
    })
}

/// The statement for a number of rows. Its parameters are not numbered, because SQLite searches all parameters for a numbered one
/// each time it is bound.
fn of_rows(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.same.len().saturating_add(table.columns.len())].join(", "));
    let rows = vec![row; rows].join(", ");
    match table.how {
        RowWrite::Update => {
            let set = (2_usize..).zip(table.columns.iter().skip(1));
            let set: Vec<String> = set.map(|(at, (name, _))| format!("{name} = v.column{at}")).collect();
            let key = table.columns.first().map_or("", |(name, _)| *name);
            format!(
                "UPDATE {0} SET {1} FROM (VALUES {rows}) AS v WHERE {0}.{key} = v.column1",
                table.name,
                set.join(", ")
            )
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => {
            format!("INSERT INTO {} ({}) VALUES {rows}{}", table.name, all_names(table), conflict(table))
        }
    }
}
