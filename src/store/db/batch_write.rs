//! Writes the changes of a batch with statements of fixed text: the hot path of the writer.
//!
//! On PostgreSQL one statement writes all tables, and the rows of each table are arrays. On SQLite each table has its own
//! statements, of 64, 32, 16... rows, so that each text is prepared only once. A comparison with inserts of varying length is in
//! [ADR 0014](../../../docs/adr/0014-a-batch-is-written-in-fixed-statements.md).

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, Value};
use uuid::Uuid;

use super::answer_check;
use crate::domain::Date;
use crate::store::{Backend, Readable as _, Result, StoreError, WriteTx};

/// The most rows of a statement on SQLite.
const MAX_ROWS: usize = 64;

/// A column's type. A column of an optional type may contain NULL. SeaORM's arrays cannot, so on PostgreSQL a stand-in is sent for it,
/// which the statement turns back into NULL. A guarded write does not use SeaORM, and sends NULL itself.
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
    /// The name of the type on PostgreSQL.
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

    /// Whether values of this type are bytes on SQLite.
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
        let stand_in = match self {
            Self::OptionalUuid => "'00000000-0000-0000-0000-000000000000'::uuid",
            Self::OptionalBytes => "''::bytea",
            Self::OptionalText => "''",
            Self::OptionalInt => "(-9223372036854775808)",
            Self::OptionalDate => "'0001-01-01'::date",
            Self::Uuid | Self::Bytes | Self::Text | Self::Int | Self::Bool | Self::Date => {
                return push(sql, &["v.", column]);
            }
        };
        push(sql, &["NULLIF(v.", column, ", ", stand_in, ")"]);
    }

    /// The stand-in for NULL in an array: a value that a column of an optional type never has.
    fn null_stand_in(self) -> Value {
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
    /// The columns that have the same value in all rows of a batch. The value is sent once on PostgreSQL.
    pub(in crate::store) shared: &'static [(&'static str, ColumnType)],
    pub(in crate::store) columns: &'static [(&'static str, ColumnType)],
    pub(in crate::store) how: RowWrite,
}

/// How a row is written.
#[derive(Debug)]
pub(in crate::store) enum RowWrite {
    /// Inserts a new row.
    Insert,
    /// Inserts a new row. If a row with the same values in `key` exists, sets the columns `update` of that row to
    /// the new values.
    Upsert { key: &'static [&'static str], update: &'static [&'static str] },
    /// Inserts a new row. If a row with the same values in `key` exists, adds to the column `to` of that row. Each key may occur
    /// only once in a batch.
    Add { key: &'static [&'static str], to: &'static str },
    /// Updates the row that has the same value in the first column. The row must exist.
    Update,
}

/// The rows to write to one table.
#[derive(Debug)]
pub(super) struct TableRows {
    pub(super) table: &'static Table,
    pub(super) shared: Vec<Cell>,
    /// The cells of all rows, row by row: one cell per column of the table.
    pub(super) cells: Vec<Cell>,
}

impl TableRows {
    /// The number of rows.
    pub(super) fn count(&self) -> usize {
        self.cells.len().checked_div(self.table.columns.len()).unwrap_or_default()
    }
}

/// Rows to write to several tables.
#[derive(Debug, Default)]
pub(in crate::store) struct BatchWrite {
    pub(super) parts: Vec<TableRows>,
}

impl BatchWrite {
    /// Adds rows of a table. `shared` has a cell for each column with the same value in all rows. Each of `rows` has a cell
    /// for each column that is not shared, in the order of [`Table::columns`].
    pub(in crate::store) fn rows<const S: usize>(
        &mut self,
        table: &'static Table,
        shared: [Cell; S],
        rows: impl Iterator<Item = impl IntoIterator<Item = Cell>>,
    ) {
        let mut cells: Vec<Cell> = Vec::with_capacity(rows.size_hint().0.saturating_mul(table.columns.len()));
        for row in rows {
            let count_before = cells.len();
            cells.extend(row);
            debug_assert_eq!(cells.len().saturating_sub(count_before), table.columns.len(), "{}", table.name);
        }
        debug_assert_eq!(S, table.shared.len(), "{}", table.name);
        if !cells.is_empty() {
            self.parts.push(TableRows { table, shared: shared.into(), cells });
        }
    }

    /// Writes all rows.
    ///
    /// # Errors
    /// [`StoreError::UniqueConflict`](crate::store::StoreError::UniqueConflict) if another programme or an import has written the
    /// same request id or invoice since this batch looked for it; a retry finds it.
    /// [`StoreError::ConstraintViolation`](crate::store::StoreError::ConstraintViolation) if a row breaks another constraint.
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable).
    pub(in crate::store) async fn write(self, tx: &WriteTx) -> Result<()> {
        if self.parts.is_empty() {
            return Ok(());
        }
        match tx.backend() {
            Backend::Postgres => in_one_statement(tx, self.parts).await,
            Backend::Sqlite => table_by_table(tx, self.parts).await,
        }
    }
}

/// Writes the rows on PostgreSQL.
async fn in_one_statement(tx: &WriteTx, parts: Vec<TableRows>) -> Result<()> {
    let mut sql = String::with_capacity(4_096);
    let mut values: Vec<Value> = Vec::new();
    for (index, TableRows { table, shared, cells }) in parts.into_iter().enumerate() {
        sql.push_str(if index == 0 { "WITH " } else { ", " });
        push_table(&mut sql, (index, table), values.len(), "");
        values.extend(shared.into_iter().zip(table.shared).map(|(cell, (_, kind))| or_null(cell, *kind)));
        values.extend(arrays(table, cells));
    }
    sql.push_str(" SELECT 1");
    let result = tx.at().db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    // One row: that of `SELECT 1`. PostgreSQL does not count the written rows.
    if result.rows_affected() == 1 { Ok(()) } else { Err(answer_check::out_of_step()) }
}

/// Adds the part of the statement that writes one table. The part has a number, which names it. Its values come after `bound_before`
/// other values. `guard` is SQL text that ends the part's FROM clause. Pushes each piece to one text, because building this text is much
/// of the work when only one caller writes.
pub(super) fn push_table(sql: &mut String, (part, table): (usize, &Table), bound_before: usize, guard: &str) {
    push(sql, &["w", &part.to_string(), " AS ("]);
    let mut index = bound_before;
    let mut push_parameter = |sql: &mut String, kind: ColumnType, more: &str| {
        index = index.saturating_add(1);
        sql.push('$');
        sql.push_str(&index.to_string());
        sql.push_str("::");
        sql.push_str(kind.sql());
        sql.push_str(more);
    };
    match table.how {
        RowWrite::Update => {
            push(sql, &["UPDATE ", table.name, " t SET "]);
            for (position, (name, kind)) in table.columns.iter().skip(1).enumerate() {
                push(sql, &[if position == 0 { "" } else { ", " }, name, " = "]);
                kind.select(sql, name);
            }
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => {
            push(sql, &["INSERT INTO ", table.name, " (", &all_names(table), ") SELECT "]);
            for (_, kind) in table.shared {
                push_parameter(sql, *kind, ", ");
            }
            for (position, (name, kind)) in table.columns.iter().enumerate() {
                sql.push_str(if position == 0 { "" } else { ", " });
                kind.select(sql, name);
            }
        }
    }
    sql.push_str(" FROM unnest(");
    for (position, (_, kind)) in table.columns.iter().enumerate() {
        sql.push_str(if position == 0 { "" } else { ", " });
        push_parameter(sql, *kind, "[]");
    }
    sql.push_str(") AS v(");
    for (position, (name, _)) in table.columns.iter().enumerate() {
        push(sql, &[if position == 0 { "" } else { ", " }, name]);
    }
    push(sql, &[")", guard]);
    match table.how {
        RowWrite::Update => {
            let key = table.columns.first().map_or("", |(name, _)| *name);
            push(sql, &[" WHERE t.", key, " = v.", key]);
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => sql.push_str(&conflict_clause(table)),
    }
    sql.push(')');
}

pub(super) fn push(sql: &mut String, pieces: &[&str]) {
    pieces.iter().for_each(|it| sql.push_str(it));
}

fn all_names(table: &Table) -> String {
    names(table.shared.iter().chain(table.columns))
}

/// The names of columns, as listed in a statement.
pub(in crate::store) fn names<'a>(columns: impl IntoIterator<Item = &'a (&'static str, ColumnType)>) -> String {
    let names: Vec<&str> = columns.into_iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The clause that says what to do with a row whose key exists already; empty if such a row is an error, and for an update.
fn conflict_clause(table: &Table) -> String {
    let (key, set) = match table.how {
        RowWrite::Upsert { key, update } => {
            let update: Vec<String> = update.iter().map(|name| format!("{name} = excluded.{name}")).collect();
            (key, update.join(", "))
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
    for (cell, position) in cells.into_iter().zip((0..width).cycle()) {
        let kind = table.columns.get(position).map_or(ColumnType::Text, |(_, kind)| *kind);
        if let Some(column) = columns.get_mut(position) {
            column.push(cell.unwrap_or_else(|| kind.null_stand_in()));
        }
    }
    table.columns.iter().zip(columns).map(|((_, kind), values)| Value::Array(kind.array_type(), Some(Box::new(values))))
}

/// Writes the rows on SQLite.
async fn table_by_table(tx: &WriteTx, parts: Vec<TableRows>) -> Result<()> {
    let conn = tx.at();
    for part in parts {
        for (sql, values) in sqlite_statements(part) {
            conn.db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
        }
    }
    Ok(())
}

/// The statements of SQLite that write these rows, each with its values.
pub(super) fn sqlite_statements(part: TableRows) -> impl Iterator<Item = (String, Vec<Value>)> {
    let mut remaining = part.count();
    let TableRows { table, shared, cells } = part;
    let mut cells = cells.into_iter();
    std::iter::from_fn(move || {
        let rows = MAX_ROWS.min(1 << remaining.checked_ilog2()?);
        remaining = remaining.saturating_sub(rows);
        let kinds = || table.shared.iter().chain(table.columns).map(|(_, kind)| *kind);
        let mut values: Vec<Value> = Vec::with_capacity(rows.saturating_mul(kinds().count()));
        for _ in 0..rows {
            let row = shared.iter().cloned().chain(cells.by_ref().take(table.columns.len()));
            values.extend(row.zip(kinds()).map(|(cell, kind)| or_null(cell, kind)));
        }
        Some((rows_statement(table, rows), values))
    })
}

/// The value of a cell, or the NULL of its type.
pub(super) fn or_null(cell: Cell, kind: ColumnType) -> Value {
    cell.unwrap_or(match kind {
        ColumnType::Uuid | ColumnType::OptionalUuid => Value::Uuid(None),
        ColumnType::Bytes | ColumnType::OptionalBytes => Value::Bytes(None),
        ColumnType::Text | ColumnType::OptionalText => Value::String(None),
        ColumnType::Int | ColumnType::OptionalInt => Value::BigInt(None),
        ColumnType::Bool => Value::Bool(None),
        ColumnType::Date | ColumnType::OptionalDate => Value::ChronoDate(None),
    })
}

/// The error for a value of a type that no column has: a bug of this program. Nothing is written.
pub(super) fn wrong_type() -> StoreError {
    StoreError::Unusable("a value whose type no column has".to_owned())
}

/// The statement of SQLite that writes a number of rows. Its parameters have no numbers, because SQLite searches all parameters
/// whenever a value is bound to a numbered one.
fn rows_statement(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.shared.len().saturating_add(table.columns.len())].join(", "));
    let rows = vec![row; rows].join(", ");
    match table.how {
        RowWrite::Update => {
            let set = (2_usize..).zip(table.columns.iter().skip(1));
            let set: Vec<String> = set.map(|(number, (name, _))| format!("{name} = v.column{number}")).collect();
            let key = table.columns.first().map_or("", |(name, _)| *name);
            format!(
                "UPDATE {0} SET {1} FROM (VALUES {rows}) AS v WHERE {0}.{key} = v.column1",
                table.name,
                set.join(", ")
            )
        }
        RowWrite::Insert | RowWrite::Upsert { .. } | RowWrite::Add { .. } => {
            format!("INSERT INTO {} ({}) VALUES {rows}{}", table.name, all_names(table), conflict_clause(table))
        }
    }
}
