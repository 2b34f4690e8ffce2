//! Several queries in one round trip: one statement of PostgreSQL, one text of SQLite.

use sea_orm::{QueryResult, Value};

use super::answer_check;
use super::bulk_sql::rows;
use super::row::{Column, FromRow, RowReader};
use crate::store::{Backend, Conn, Result};

/// One of the queries. On PostgreSQL each has its own columns in the common row, and those of the others are NULL.
struct QueryPart {
    columns: &'static [Column],
    /// The part of the query after its columns.
    rest: String,
}

/// Queries that are sent together.
#[derive(Default)]
pub(in crate::store) struct MultiQuery {
    parts: Vec<QueryPart>,
    values: Vec<Value>,
}

impl MultiQuery {
    /// Adds a query of these columns. `rest` makes the part after them, from the number of its first bound value.
    /// Returns the number of the query, for [`QueryResults::read`].
    pub(in crate::store) fn add<const N: usize>(
        &mut self,
        columns: &'static [Column],
        values: [Value; N],
        rest: impl FnOnce(usize) -> String,
    ) -> usize {
        let place = self.values.len().saturating_add(1);
        self.values.extend(values);
        self.parts.push(QueryPart { columns, rest: rest(place) });
        self.parts.len().saturating_sub(1)
    }

    /// Sends all queries.
    pub(in crate::store) async fn ask(self, conn: &Conn<'_>) -> Result<QueryResults> {
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
        let from = self.parts.iter().map(|part| {
            let begins = next;
            if conn.backend == Backend::Postgres {
                next = next.saturating_add(part.columns.len());
            }
            begins
        });
        let from = from.collect();
        if self.parts.is_empty() {
            return Ok(QueryResults { from, rows: Vec::new() });
        }
        if conn.backend == Backend::Sqlite {
            return Ok(QueryResults { from, rows: rows(conn, &sql, self.values).await? });
        }
        let question = answer_check::question();
        let mut values = self.values;
        values.push(question.into());
        sql.push_str(&format!(" UNION ALL SELECT ${}::bigint", values.len()));
        for (_, kind) in self.parts.iter().flat_map(|part| part.columns) {
            sql.push_str(", NULL::");
            sql.push_str(kind.sql());
        }
        let rows = rows(conn, &sql, values).await?;
        let mut numbers = rows.iter().filter_map(|row| row.try_get_by_index::<i64>(0).ok());
        if numbers.any(|number| number == question) {
            Ok(QueryResults { from, rows })
        } else {
            Err(answer_check::out_of_step())
        }
    }

    fn select(&self, backend: Backend, number: usize, sql: &mut String) {
        sql.push_str("SELECT CAST(");
        sql.push_str(&number.to_string());
        sql.push_str(" AS BIGINT)");
        for (at, part) in self.parts.iter().enumerate() {
            for (name, kind) in part.columns {
                if at == number {
                    sql.push_str(", ");
                    sql.push_str(name);
                } else if backend == Backend::Postgres {
                    sql.push_str(", NULL::");
                    sql.push_str(kind.sql());
                }
            }
        }
        let own = self.parts.get(number).map_or("", |part| part.rest.as_str());
        sql.push(' ');
        sql.push_str(own);
    }
}

/// The results of all queries.
pub(in crate::store) struct QueryResults {
    /// The first column of each query.
    from: Vec<usize>,
    rows: Vec<QueryResult>,
}

impl QueryResults {
    /// Decodes the rows of the query with this number; empty if there was no such query.
    ///
    /// # Errors
    /// The errors of `read`.
    pub(in crate::store) fn read<R: FromRow, T>(
        &self,
        number: Option<usize>,
        read: impl Fn(R) -> Result<T>,
    ) -> Result<Vec<T>> {
        let Some(number) = number else { return Ok(Vec::new()) };
        let from = self.from.get(number).copied().unwrap_or_default();
        let requested = i64::try_from(number).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        for row in &self.rows {
            if row.try_get_by_index::<i64>(0)? == requested {
                found.push(read(R::take(&mut RowReader::starting_at(row, from))?)?);
            }
        }
        Ok(found)
    }
}
