//! Runs statements over many rows or keys. The text of such a statement does not depend on the number of keys, and few round
//! trips are needed on either database.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait as _, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel,
    Iterable as _, QueryResult, QueryTrait as _, Statement, Value,
};
use uuid::Uuid;

use super::row::FromRow;
use crate::store::{Backend, Conn, Readable as _, Result, WriteTx};

/// The most bind parameters of a statement: 32,766 on SQLite and 65,535 on PostgreSQL; the smaller is used for both.
const MAX_BINDS: usize = 32_766;

/// Inserts rows. If a row with the same key exists, updates the columns `update` of that row.
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
    run_statements(tx, inserts::<E, M>(tx.backend(), rows, &conflict)).await
}

/// The statements that insert those rows whose key does not exist yet, and leave the others unchanged.
#[must_use]
pub(in crate::store) fn missing_inserts<E, M>(backend: Backend, rows: Vec<M>, key: &[E::Column]) -> Vec<Statement>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    M: IntoActiveModel<E::ActiveModel>,
{
    inserts::<E, M>(backend, rows, &OnConflict::columns(key.iter().copied()).do_nothing().to_owned())
}

/// Runs these statements one after the other.
pub(in crate::store) async fn run_statements(tx: &WriteTx, statements: Vec<Statement>) -> Result<()> {
    for statement in statements {
        tx.at().db.execute_raw(statement).await?;
    }
    Ok(())
}

/// The statements that insert rows: each with as many rows as it may have parameters for.
fn inserts<E, M>(backend: Backend, rows: Vec<M>, conflict: &OnConflict) -> Vec<Statement>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
    M: IntoActiveModel<E::ActiveModel>,
{
    let columns = E::Column::iter().count().max(1);
    let chunk = MAX_BINDS.checked_div(columns).unwrap_or(1);
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    let mut statements = Vec::new();
    while rows.peek().is_some() {
        let insert = E::insert_many(rows.by_ref().take(chunk)).on_conflict(conflict.clone());
        statements.push(insert.build(db_backend(backend)));
    }
    statements
}

/// The condition that `column` is one of these ids. Its text does not depend on the number of ids.
pub(in crate::store) fn uuid_in<C: ColumnTrait>(conn: &Conn<'_>, column: C, ids: &[Uuid]) -> SimpleExpr {
    match conn.backend {
        Backend::Postgres => Expr::col(column.as_column_ref()).eq(PgFunc::any(ids.to_vec())),
        Backend::Sqlite => {
            let hex: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
            in_json(column, "unhex(value)", &hex)
        }
    }
}

/// The condition that `column` is one of these numbers. Its text does not depend on how many numbers there are.
pub(in crate::store) fn number_in<C: ColumnTrait>(conn: &Conn<'_>, column: C, numbers: &[i64]) -> SimpleExpr {
    match conn.backend {
        Backend::Postgres => Expr::col(column.as_column_ref()).eq(PgFunc::any(numbers.to_vec())),
        Backend::Sqlite => in_json(column, "value", numbers),
    }
}

/// The condition that `column` is one of the numbers or texts bound as parameter `index`, as SQL text. [`numbers`] and [`texts`]
/// make the bound value.
pub(in crate::store) fn value_in(conn: &Conn<'_>, column: &str, index: usize) -> String {
    match conn.backend {
        Backend::Postgres => format!("{column} = ANY(${index})"),
        Backend::Sqlite => format!("{column} IN (SELECT value FROM json_each(${index}))"),
    }
}

/// The condition that `column` is one of the ids bound as parameter `index`, as SQL text. [`ids`] makes the bound value.
pub(in crate::store) fn id_in(conn: &Conn<'_>, column: &str, index: usize) -> String {
    match conn.backend {
        Backend::Postgres => format!("{column} = ANY(${index})"),
        Backend::Sqlite => format!("{column} IN (SELECT unhex(value) FROM json_each(${index}))"),
    }
}

/// Ids as one bound value, for [`id_in`].
pub(in crate::store) fn ids(conn: &Conn<'_>, ids: &[Uuid]) -> Value {
    match conn.backend {
        Backend::Postgres => ids.to_vec().into(),
        Backend::Sqlite => {
            let hex: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
            serde_json::to_string(&hex).unwrap_or_default().into()
        }
    }
}

/// Numbers as one bound value, for [`value_in`].
pub(in crate::store) fn numbers(conn: &Conn<'_>, numbers: &[i64]) -> Value {
    match conn.backend {
        Backend::Postgres => numbers.to_vec().into(),
        Backend::Sqlite => serde_json::to_string(numbers).unwrap_or_default().into(),
    }
}

/// Texts as one bound value, for [`value_in`].
pub(in crate::store) fn texts(conn: &Conn<'_>, texts: &[&str]) -> Value {
    match conn.backend {
        Backend::Postgres => texts.iter().map(ToString::to_string).collect::<Vec<String>>().into(),
        Backend::Sqlite => serde_json::to_string(texts).unwrap_or_default().into(),
    }
}

/// Runs a query given as SQL text, and decodes each row by the names of its columns.
pub(in crate::store) async fn select<T: FromQueryResult>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>> {
    Ok(T::find_by_statement(statement(conn, sql, values)).all(&conn.db).await?)
}

/// Runs a query given as SQL text. Decodes each row as `R`, by the positions of its columns, and converts it with `read`. For many
/// rows this is twice as fast as decoding by name.
pub(in crate::store) async fn select_rows<R: FromRow, T>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
    read: impl Fn(R) -> Result<T>,
) -> Result<Vec<T>> {
    rows(conn, sql, values).await?.iter().map(|row| read(R::of(row)?)).collect()
}

/// Runs a query given as SQL text and returns its undecoded rows.
pub(in crate::store) async fn rows(conn: &Conn<'_>, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
    Ok(conn.db.query_all_raw(statement(conn, sql, values)).await?)
}

fn statement(conn: &Conn<'_>, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(db_backend(conn.backend), sql, values)
}

/// The backend, as SeaORM names it.
const fn db_backend(backend: Backend) -> DbBackend {
    match backend {
        Backend::Postgres => DbBackend::Postgres,
        Backend::Sqlite => DbBackend::Sqlite,
    }
}

/// The condition of SQLite that `column` is one of the values of a list, which is bound as JSON.
fn in_json<C: ColumnTrait, T: serde::Serialize>(column: C, value_sql: &str, list: &[T]) -> SimpleExpr {
    let json = serde_json::to_string(list).unwrap_or_default();
    let (entity, column) = column.as_column_ref();
    let text = format!("\"{entity}\".\"{column}\" IN (SELECT {value_sql} FROM json_each(?))");
    Expr::cust_with_values(text, [json])
}
