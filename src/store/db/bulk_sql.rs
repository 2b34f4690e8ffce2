//! Statements over many rows or keys, with a fixed text and few round trips on either database.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait as _, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    Iterable as _, QueryResult, Statement, Value,
};
use uuid::Uuid;

use super::row::FromRow;
use crate::store::{Backend, Conn, Readable as _, Result, WriteTx};

/// The most bind parameters of a statement: 32,766 on SQLite and 65,535 on PostgreSQL; the smaller is used for both.
const MAX_BINDS: usize = 32_766;

/// Inserts rows; if a key exists already, updates these columns.
pub(in crate::store) async fn upsert_all<E, M>(
    tx: &WriteTx,
    rows: Vec<M>,
    key: &[E::Column],
    update: &[E::Column],
) -> Result<()>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    M: IntoActiveModel<E::ActiveModel>,
{
    let conflict = OnConflict::columns(key.iter().copied()).update_columns(update.iter().copied()).to_owned();
    put::<E, M>(tx, rows, Some(conflict)).await
}

/// Inserts those rows whose key does not exist yet.
pub(in crate::store) async fn insert_missing<E, M>(tx: &WriteTx, rows: Vec<M>, key: &[E::Column]) -> Result<()>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    M: IntoActiveModel<E::ActiveModel>,
{
    put::<E, M>(tx, rows, Some(OnConflict::columns(key.iter().copied()).do_nothing().to_owned())).await
}

async fn put<E, M>(tx: &WriteTx, rows: Vec<M>, conflict: Option<OnConflict>) -> Result<()>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    M: IntoActiveModel<E::ActiveModel>,
{
    let columns = E::Column::iter().count().max(1);
    let chunk = MAX_BINDS.checked_div(columns).unwrap_or(1);
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        let mut insert = E::insert_many(rows.by_ref().take(chunk));
        if let Some(conflict) = &conflict {
            insert = insert.on_conflict(conflict.clone());
        }
        insert.exec_without_returning(&tx.at().db).await?;
    }
    Ok(())
}

/// `column` is one of these ids, in a text that does not change with their number.
pub(in crate::store) fn uuid_in<C: ColumnTrait>(conn: &Conn<'_>, column: C, ids: &[Uuid]) -> SimpleExpr {
    match conn.backend {
        Backend::Postgres => Expr::col(column.as_column_ref()).eq(PgFunc::any(ids.to_vec())),
        Backend::Sqlite => {
            let hex: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
            in_json(column, "unhex(value)", &hex)
        }
    }
}

/// `column` is one of these numbers, in a text that does not change with their number.
pub(in crate::store) fn number_in<C: ColumnTrait>(conn: &Conn<'_>, column: C, numbers: &[i64]) -> SimpleExpr {
    match conn.backend {
        Backend::Postgres => Expr::col(column.as_column_ref()).eq(PgFunc::any(numbers.to_vec())),
        Backend::Sqlite => in_json(column, "value", numbers),
    }
}

/// `column` is one of the numbers or texts bound at `place`, for SQL written out; see [`numbers`] and [`texts`].
pub(in crate::store) fn among(conn: &Conn<'_>, column: &str, place: usize) -> String {
    match conn.backend {
        Backend::Postgres => format!("{column} = ANY(${place})"),
        Backend::Sqlite => format!("{column} IN (SELECT value FROM json_each(${place}))"),
    }
}

/// `column` is one of the ids bound at `place`, for SQL written out; see [`ids`].
pub(in crate::store) fn within(conn: &Conn<'_>, column: &str, place: usize) -> String {
    match conn.backend {
        Backend::Postgres => format!("{column} = ANY(${place})"),
        Backend::Sqlite => format!("{column} IN (SELECT unhex(value) FROM json_each(${place}))"),
    }
}

/// Ids as one bound value.
pub(in crate::store) fn ids(conn: &Conn<'_>, ids: &[Uuid]) -> Value {
    match conn.backend {
        Backend::Postgres => ids.to_vec().into(),
        Backend::Sqlite => {
            let hex: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
            serde_json::to_string(&hex).unwrap_or_default().into()
        }
    }
}

/// Numbers as one bound value.
pub(in crate::store) fn numbers(conn: &Conn<'_>, numbers: &[i64]) -> Value {
    match conn.backend {
        Backend::Postgres => numbers.to_vec().into(),
        Backend::Sqlite => serde_json::to_string(numbers).unwrap_or_default().into(),
    }
}

/// Texts as one bound value; see [`among`].
pub(in crate::store) fn texts(conn: &Conn<'_>, texts: &[&str]) -> Value {
    match conn.backend {
        Backend::Postgres => texts.iter().map(ToString::to_string).collect::<Vec<String>>().into(),
        Backend::Sqlite => serde_json::to_string(texts).unwrap_or_default().into(),
    }
}

/// The rows of a query given as SQL text, which is the same for both databases.
pub(in crate::store) async fn select<T: FromQueryResult>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>> {
    Ok(T::find_by_statement(statement(conn, sql, values)).all(&conn.db).await?)
}

/// The rows of a query given as SQL text. Each row is decoded by the positions of its columns, which `R` declares: for many
/// rows this is twice as fast as by name.
pub(in crate::store) async fn select_rows<R: FromRow, T>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
    read: impl Fn(R) -> Result<T>,
) -> Result<Vec<T>> {
    rows(conn, sql, values).await?.iter().map(|row| read(R::of(row)?)).collect()
}

/// The undecoded rows of a query.
pub(in crate::store) async fn rows(conn: &Conn<'_>, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    Ok(conn.db.query_all_raw(statement(conn, sql, values)).await?)
}

fn statement(conn: &Conn<'_>, sql: &str, values: Vec<Value>) -> Statement {
    let backend = match conn.backend {
        Backend::Postgres => DbBackend::Postgres,
        Backend::Sqlite => DbBackend::Sqlite,
    };
    Statement::from_sql_and_values(backend, sql, values)
}

fn in_json<C: ColumnTrait, T: serde::Serialize>(column: C, value: &str, list: &[T]) -> SimpleExpr {
    let json = serde_json::to_string(list).unwrap_or_default();
    let (entity, column) = column.as_column_ref();
    let text = format!("\"{entity}\".\"{column}\" IN (SELECT {value} FROM json_each(?))");
    Expr::cust_with_values(text, [json])
}
