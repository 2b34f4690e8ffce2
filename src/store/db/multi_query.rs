//! Runs several queries in one round trip: as one statement on PostgreSQL, and as one text of several statements on SQLite.

use sea_orm::{QueryResult, Value};

use super::answer_check;
use super::bulk_sql::rows;
use super::row::{Column, FromRow, RowReader};
use crate::store::{Backend, Conn, Result};

/// One of the queries. On PostgreSQL each row of the answer has the columns of all queries, and belongs to one query. The columns
/// of the other queries are NULL in it.
struct QueryPart {
    columns: &'static [Column],
    /// The part of the query after the list of its columns.
    after_columns: String,
}

/// Queries that are sent together.
#[derive(Default)]
pub(in crate::store) struct MultiQuery {
    parts: Vec<QueryPart>,
    values: Vec<Value>,
}

impl MultiQuery {
    /// Adds a query. `after_columns` makes the part after the list of columns; its argument is the parameter number of the first
    /// of `values`. Returns the number of the query, for [`QueryResults::read`].
    pub(in crate::store) fn add<const N: usize>(
        &mut self,
        columns: &'static [Column],
        values: [Value; N],
        after_columns: impl FnOnce(usize) -> String,
    ) -> usize {
        let first_parameter = self.values.len().saturating_add(1);
        self.values.extend(values);
        self.parts.push(QueryPart { columns, after_columns: after_columns(first_parameter) });
        self.parts.len().saturating_sub(1)
    }

    /// Sends all queries and returns their results.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unavailable`], also if the answer of PostgreSQL does not belong to this statement.
    pub(in crate::store) async fn run(self, conn: &Conn<'_>) -> Result<QueryResults> {
        let mut sql = String::with_capacity(4_096);
        for number in 0..self.parts.len() {
            sql.push_str(match conn.backend {
                _ if number == 0 => "",
                Backend::Postgres => " UNION ALL ",
                Backend::Sqlite => "; ",
            });
            self.select(conn.backend, number, &mut sql);
        }
        let mut next = 1_usize;
        let first_columns = self.parts.iter().map(|part| {
            let first = next;
            if conn.backend == Backend::Postgres {
                next = next.saturating_add(part.columns.len());
            }
            first
        });
        let first_columns = first_columns.collect();
        if self.parts.is_empty() {
            return Ok(QueryResults { first_columns, rows: Vec::new() });
        }
        if conn.backend == Backend::Sqlite {
            return Ok(QueryResults { first_columns, rows: rows(conn, &sql, self.values).await? });
        }
        let marker = answer_check::new_marker();
        let mut values = self.values;
        values.push(marker.into());
        sql.push_str(&format!(" UNION ALL SELECT ${}::bigint", values.len()));
        for (_, kind) in self.parts.iter().flat_map(|part| part.columns) {
            sql.push_str(", NULL::");
            sql.push_str(kind.sql());
        }
        let rows = rows(conn, &sql, values).await?;
        let mut numbers = rows.iter().filter_map(|row| row.try_get_by_index::<i64>(0).ok());
        if numbers.any(|number| number == marker) {
            Ok(QueryResults { first_columns, rows })
        } else {
            Err(answer_check::out_of_step())
        }
    }

    /// Adds the text of the query with this number.
    fn select(&self, backend: Backend, number: usize, sql: &mut String) {
        sql.push_str("SELECT CAST(");
        sql.push_str(&number.to_string());
        sql.push_str(" AS BIGINT)");
        for (part_number, part) in self.parts.iter().enumerate() {
            for (name, kind) in part.columns {
                if part_number == number {
                    sql.push_str(", ");
                    sql.push_str(name);
                } else if backend == Backend::Postgres {
                    sql.push_str(", NULL::");
                    sql.push_str(kind.sql());
                }
            }
        }
        let after_columns = self.parts.get(number).map_or("", |part| part.after_columns.as_str());
        sql.push(' ');
        sql.push_str(after_columns);
    }
}

/// The results of all queries.
pub(in crate::store) struct QueryResults {
    /// The index of each query's first column in a row. Column 0 is the number of the query.
    first_columns: Vec<usize>,
    rows: Vec<QueryResult>,
}

impl QueryResults {
    /// Decodes the rows of the query with this number. `None` means that the query was not added; then there are no rows.
    ///
    /// # Errors
    /// [`crate::store::StoreError::Unreadable`]; the errors of `read`.
    pub(in crate::store) fn read<R: FromRow, T>(
        &self,
        number: Option<usize>,
        read: impl Fn(R) -> Result<T>,
    ) -> Result<Vec<T>> {
        let Some(number) = number else { return Ok(Vec::new()) };
        let first_column = self.first_columns.get(number).copied().unwrap_or_default();
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut decoded = Vec::new();
        for row in &self.rows {
            if row.try_get_by_index::<i64>(0)? == number {
                decoded.push(read(R::take(&mut RowReader::starting_at(row, first_column))?)?);
            }
        }
        Ok(decoded)
    }
}
