//! Reads many rows of a programme together, for readers of a whole record: with COPY on PostgreSQL, and as one JSON text on
//! SQLite. Reading row by row costs more in the driver than in the decoding; the measurements are in
//! [ADR 0015](../../../docs/adr/0015-verify-reads-pages-whole.md).

use sea_orm::sqlx::Postgres;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::{DbErr, RuntimeErr, Value, sqlx};
use serde::de::DeserializeOwned;
use tokio_stream::StreamExt as _;
use uuid::Uuid;

use super::batch_write::{ColumnType, names};
use super::bulk_sql::select_rows;
use super::pg_date;
use crate::domain::Date;
use crate::domain::ids::Programme;
use crate::store::{Backend, Readable, Result, Store, StoreError};

/// A table whose key is the programme and `seq`, with the columns to read. The first of these columns is `seq`.
#[derive(Debug)]
pub(in crate::store) struct PageSource {
    pub(in crate::store) table: &'static str,
    pub(in crate::store) columns: &'static [(&'static str, ColumnType)],
}

/// Which rows to read: those from `first` to `last`, both included, but at most `limit`.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Span {
    pub(in crate::store) first: i64,
    pub(in crate::store) last: i64,
    pub(in crate::store) limit: u64,
}

impl PageSource {
    /// The columns, as an SQL statement lists them.
    pub(in crate::store) fn names(&self) -> String {
        names(self.columns)
    }

    /// The query for a page, in the order of `seq`. The arguments are SQL expressions for the programme and for the fields of a
    /// [`Span`].
    pub(in crate::store) fn page(&self, [programme, first, last, limit]: [&str; 4]) -> String {
        format!(
            "SELECT {} FROM {} WHERE programme = {programme} AND seq >= {first} AND seq <= {last} ORDER BY seq LIMIT {limit}",
            self.names(),
            self.table
        )
    }

    /// The query of SQLite for a page as one JSON text, with the number of the last row. Bytes are written as hex. The tables are
    /// STRICT, so a column of bytes has only bytes.
    fn json_query(&self) -> String {
        let column = |(name, kind): &(&str, ColumnType)| match kind.is_bytes() {
            true => format!("CASE WHEN {name} IS NOT NULL THEN hex({name}) END"),
            false => (*name).to_owned(),
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        let page = self.page(["$1", "$2", "$3", "$4"]);
        format!("SELECT MAX(seq), json_group_array(json_array({})) FROM ({page})", columns.join(", "))
    }
}

/// The bound values of a page's query, in order.
pub(in crate::store) fn bound_values(programme: &Programme, span: Span) -> Vec<Value> {
    let limit = i64::try_from(span.limit).unwrap_or(i64::MAX);
    vec![programme.as_str().into(), span.first.into(), span.last.into(), limit.into()]
}

/// Rows that are fetched but not decoded.
#[derive(Debug)]
pub(in crate::store) struct FetchedPage {
    /// The number of the last row; `None` if there are no rows.
    pub(in crate::store) last: Option<i64>,
    pub(in crate::store) form: PageFormat,
}

/// The form of fetched rows.
#[derive(Debug)]
pub(in crate::store) enum PageFormat {
    /// The binary format of COPY.
    Copied(Vec<u8>),
    /// A JSON array of arrays.
    Json(String),
}

/// Fetches a page outside any transaction, which is safe because these rows never change.
///
/// # Errors
/// [`StoreError::Unreadable`] for a value on SQLite that JSON cannot represent, or an invalid copy; [`StoreError::Unavailable`].
pub(in crate::store) async fn fetch_page(
    store: &Store,
    source: &PageSource,
    programme: &Programme,
    span: Span,
) -> Result<FetchedPage> {
    match store.backend {
        Backend::Postgres => {
            let literal = format!("'{}'", programme.as_str().replace('\'', "''"));
            let [first, last, limit] = [span.first.to_string(), span.last.to_string(), span.limit.to_string()];
            let page = source.page([&literal, &first, &last, &limit]);
            let bytes = copy_out(store, &format!("COPY ({page}) TO STDOUT (FORMAT binary)")).await?;
            let mut last = None;
            copied_rows(&bytes, |cells| {
                last = Some(cells.int()?);
                source.columns.iter().skip(1).try_for_each(|_| cells.bytes().map(drop))
            })?;
            Ok(FetchedPage { last, form: PageFormat::Copied(bytes) })
        }
        Backend::Sqlite => {
            let read = |(last, text)| Ok(FetchedPage { last, form: PageFormat::Json(text) });
            let found =
                select_rows(&store.at(), &source.json_query(), bound_values(programme, span), read).await?.pop();
            found.ok_or_else(|| invalid_copy("its only row"))
        }
    }
}

/// Runs a COPY statement and returns its bytes.
async fn copy_out(store: &Store, statement: &str) -> Result<Vec<u8>> {
    let failed = |error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(error.into()));
    let mut connection = CopyConnection {
        conn: store.reads.get_postgres_connection_pool().acquire().await.map_err(failed)?,
        has_ended: false,
    };
    let mut bytes = Vec::new();
    let mut stream = connection.conn.copy_out_raw(statement).await.map_err(failed)?;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(failed)?);
    }
    drop(stream);
    connection.has_ended = true;
    Ok(bytes)
}

/// A connection that returns to its pool only after its COPY has ended. After a failed or abandoned COPY the driver would
/// take the remaining data for the answer to the next query.
struct CopyConnection {
    conn: PoolConnection<Postgres>,
    has_ended: bool,
}

impl Drop for CopyConnection {
    fn drop(&mut self) {
        if !self.has_ended {
            self.conn.close_on_drop();
        }
    }
}

/// The number of the last row of a programme; 0 if there is none.
pub(in crate::store) async fn last_seq(from: &dyn Readable, source: &PageSource, programme: &Programme) -> Result<i64> {
    let sql = format!("SELECT COALESCE(MAX(seq), 0) FROM {} WHERE programme = $1", source.table);
    let found = select_rows(&from.at(), &sql, vec![programme.as_str().into()], Ok::<i64, _>).await?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Decodes the rows of a JSON text.
pub(in crate::store) fn json_rows<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(StoreError::unreadable)
}

/// The header of COPY's binary format: its signature, no flags and no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Decodes the rows of COPY's binary format. `read` must consume all cells of a row.
pub(in crate::store) fn copied_rows<T>(
    copy: &[u8],
    mut read: impl FnMut(&mut CopyCells<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut cells = CopyCells(copy.strip_prefix(HEADER).ok_or_else(|| invalid_copy("its header"))?);
    let mut rows = Vec::new();
    // A row begins with the number of its cells. After the last row comes -1.
    while i16::from_be_bytes(cells.fixed()?) >= 0 {
        rows.push(read(&mut cells)?);
    }
    Ok(rows)
}

/// The cells of a row in order. Each cell is the length of its bytes (-1 for NULL), followed by the bytes.
#[derive(Debug)]
pub(in crate::store) struct CopyCells<'a>(&'a [u8]);

impl<'a> CopyCells<'a> {
    /// The next bytes, outside a cell.
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(|| invalid_copy("its end"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// The bytes of the next cell; `None` for NULL.
    fn bytes(&mut self) -> Result<Option<&'a [u8]>> {
        let Ok(length) = usize::try_from(i32::from_be_bytes(self.fixed()?)) else { return Ok(None) };
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(|| invalid_copy("its end"))?;
        self.0 = rest;
        Ok(Some(bytes))
    }

    /// The bytes of the next cell, which must be as many as the array has; `None` for NULL.
    fn fixed_cell<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        self.bytes()?.map(|it| it.try_into().map_err(|_| invalid_copy("the length of a value"))).transpose()
    }

    /// 32 bytes, or NULL.
    pub(in crate::store) fn optional_hash(&mut self) -> Result<Option<[u8; 32]>> {
        self.fixed_cell()
    }

    /// 32 bytes.
    pub(in crate::store) fn hash(&mut self) -> Result<[u8; 32]> {
        self.fixed_cell()?.ok_or_else(unexpected_null)
    }

    /// An id, or NULL.
    pub(in crate::store) fn optional_uuid(&mut self) -> Result<Option<Uuid>> {
        Ok(self.fixed_cell()?.map(Uuid::from_bytes))
    }

    /// An id.
    pub(in crate::store) fn uuid(&mut self) -> Result<Uuid> {
        self.optional_uuid()?.ok_or_else(unexpected_null)
    }

    /// A number.
    pub(in crate::store) fn int(&mut self) -> Result<i64> {
        self.fixed_cell()?.map(i64::from_be_bytes).ok_or_else(unexpected_null)
    }

    /// True or false.
    pub(in crate::store) fn bool(&mut self) -> Result<bool> {
        self.fixed_cell()?.map(|[it]| it != 0).ok_or_else(unexpected_null)
    }

    /// A text, or NULL.
    pub(in crate::store) fn optional_text(&mut self) -> Result<Option<&'a str>> {
        self.bytes()?.map(|it| std::str::from_utf8(it).map_err(StoreError::unreadable)).transpose()
    }

    /// A text.
    pub(in crate::store) fn text(&mut self) -> Result<&'a str> {
        self.optional_text()?.ok_or_else(unexpected_null)
    }

    /// A day.
    pub(in crate::store) fn date(&mut self) -> Result<Date> {
        self.fixed_cell()?.map_or_else(|| Err(unexpected_null()), pg_date::from_day_count)
    }
}

fn unexpected_null() -> StoreError {
    StoreError::unreadable("NULL")
}

fn invalid_copy(what: &str) -> StoreError {
    StoreError::unreadable(format!("a copy of which {what} is not as it should be"))
}
