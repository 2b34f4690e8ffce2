//! Reads and writes terms and programmes. Takes the lock that every change of a programme needs.

use std::time::Duration;

use sea_orm::{EntityTrait as _, FromQueryResult as _, QueryOrder as _, QueryResult, Set, Value};

use super::verify_rows::{VerifyRows, read_each};
use super::{Backend, Conn, Readable, Result, StoreError, WriteTx};
use crate::domain::event::{Hash, Seq, genesis};
use crate::domain::ids::Programme;
use crate::domain::ledger::EntrySeq;
use crate::domain::register_record::RegisterSeq;
use crate::domain::rules::RulesVersion;
use crate::domain::time::Micros;
use crate::store::db::answer_check;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table};
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::column_values::hash;
use crate::store::db::entity::record::terms;
use crate::store::db::guarded_write::Guard;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{Column, Row as _, row};
use crate::store::db::schema::{self, APPLIED};

/// The terms of a programme, as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedTerms {
    /// The programme.
    pub programme: Programme,
    /// The text of the terms file.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: Hash,
    /// Who loaded it.
    pub loaded_by: String,
    /// When it was loaded.
    pub loaded_at: Micros,
}

/// The head of a programme: the number its next event gets, and the hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The next event's number.
    pub next: Seq,
    /// The next ledger entry's number.
    pub next_entry: EntrySeq,
    /// The last event's hash; before the first event, the hash that the programme's record begins with.
    pub hash: Hash,
    /// Whether the programme is open.
    pub open: bool,
    /// The version of the rules that the programme has adopted.
    pub rules: RulesVersion,
}

impl Head {
    /// The head of a programme that has no event yet.
    #[must_use]
    pub fn new(programme: &Programme) -> Self {
        Self { next: Seq(1), next_entry: EntrySeq(1), hash: genesis(programme), open: true, rules: RulesVersion::V1 }
    }

    /// The number of the last event; 0 if there is none.
    #[must_use]
    pub const fn last(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }
}

/// The database's time, in microseconds since 1970: an expression of PostgreSQL.
const CLOCK: &str = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT";

/// The times that this server's clock is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTimes {
    /// When the last event of any programme was recorded; `None` before the first one.
    pub recorded: Option<Micros>,
    /// The database's clock; `None` on SQLite, which uses the server's.
    pub database: Option<Micros>,
}

/// Reads the times that this server's clock is compared with.
pub async fn times(from: &dyn Readable) -> Result<ClockTimes> {
    let conn = from.at();
    let clock = if conn.backend == Backend::Postgres { CLOCK } else { "NULL" };
    let sql = format!(
        "SELECT (SELECT MAX(e.recorded_at) FROM books b \
         JOIN events e ON e.programme = b.programme AND e.seq = b.next_seq - 1), {clock}"
    );
    let read = |(recorded, database)| Ok(ClockTimes { recorded, database });
    let times = select_rows(&conn, &sql, Vec::new(), read).await?.pop();
    times.ok_or_else(answer_check::out_of_step)
}

/// Every programme's terms, by programme.
pub async fn all_terms(from: &dyn Readable) -> Result<Vec<LoadedTerms>> {
    let rows = terms::Entity::find().order_by_asc(terms::Column::Programme).all(&from.at().db).await?;
    rows.into_iter().map(decode_terms).collect()
}

/// Every programme's terms by its stored name, for `verify`.
pub async fn terms_for_verify(from: &dyn Readable) -> Result<VerifyRows<String, LoadedTerms>> {
    let name = |row: &QueryResult| Ok(row.try_get::<String>("", "programme")?);
    let read = |row: &QueryResult| decode_terms(terms::Model::from_query_result(row, "")?);
    read_each(&from.at(), "SELECT * FROM terms", vec![], name, read).await
}

/// One programme's terms; `None` if there is no such programme.
pub async fn terms_of(from: &dyn Readable, programme: &Programme) -> Result<Option<LoadedTerms>> {
    terms::Entity::find_by_id(programme.as_str()).one(&from.at().db).await?.map(decode_terms).transpose()
}

/// Stores new terms and opens their programme.
///
/// # Errors
/// [`StoreError::ConstraintViolation`] if the programme has terms already.
pub async fn open_book(tx: &WriteTx, new: &LoadedTerms) -> Result<()> {
    let row = terms::ActiveModel {
        programme: Set(new.programme.to_string()),
        text: Set(new.text.clone()),
        sha256: Set(new.sha256.0.to_vec()),
        loaded_by: Set(new.loaded_by.clone()),
        loaded_at: Set(new.loaded_at.0),
    };
    terms::Entity::insert(row).exec_without_returning(&tx.at().db).await?;
    let head = Head::new(&new.programme);
    let mut batch = BatchWrite::default();
    let row = HeadRow { book: book_row(&new.programme, &head), open: head.open };
    batch.rows(&NEW_PROGRAMMES, [], std::iter::once(row.cells()));
    batch.write(tx).await
}

/// Locks a programme's row until the transaction ends, and reads its head: the first statement of every batch. It also checks
/// that this program knows the schema and the programme's rules, and keeps migrations from running until the transaction ends.
///
/// Returns `None` if there is no such programme. The time is the database's on PostgreSQL, read before or after the wait for
/// the lock, and `None` on SQLite.
///
/// # Errors
/// [`StoreError::Contention`] if another process holds the lock for too long; [`StoreError::Outdated`] if a newer program
/// migrated the schema or adopted newer rules; [`StoreError::Unavailable`]; [`StoreError::Unreadable`].
pub async fn lock(tx: &WriteTx, programme: &Programme) -> Result<Option<(Head, Option<Micros>)>> {
    let conn = tx.at();
    // A write transaction of SQLite has locked the whole file already.
    let found = match conn.backend {
        Backend::Postgres => {
            let head = read_head(&conn, programme, (&format!("{APPLIED}, {CLOCK}"), " FOR UPDATE")).await?;
            if head.is_none() {
                answer_check::check(&conn).await?;
            }
            head
        }
        Backend::Sqlite => read_head(&conn, programme, ("NULL, NULL", "")).await?,
    };
    match found {
        Some((Head { rules, .. }, _)) if rules > RulesVersion::CURRENT => {
            let newest = RulesVersion::CURRENT;
            Err(StoreError::Outdated(format!(
                "programme {programme} has adopted rules {rules}, known are those up to {newest}"
            )))
        }
        found => Ok(found),
    }
}

/// The programmes that have not adopted this version of the rules yet.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn with_rules_before(from: &dyn Readable, version: RulesVersion) -> Result<Vec<Programme>> {
    let conn = from.at();
    let sql = "SELECT programme FROM books WHERE rules < $1 ORDER BY programme";
    select_rows(&conn, sql, vec![version.0.into()], Ok).await
}

/// Reads a programme's head without locking its row; `None` if there is no such programme.
pub async fn head_of(from: &dyn Readable, programme: &Programme) -> Result<Option<Head>> {
    Ok(read_head(&from.at(), programme, ("NULL, NULL", "")).await?.map(|(head, _)| head))
}

/// Reads the head, and the database's clock. `extra_columns` are two SQL expressions: the newest migration and the database's
/// clock, or `NULL` for each.
async fn read_head(
    conn: &Conn<'_>,
    programme: &Programme,
    (extra_columns, lock_clause): (&str, &str),
) -> Result<Option<(Head, Option<Micros>)>> {
    let sql = format!("SELECT {}, {extra_columns} FROM books WHERE programme = $1{lock_clause}", HeadRow::names());
    let read = |(row, applied, clock): (HeadRow, Option<String>, Option<Micros>)| {
        applied.map_or(Ok(()), |it| schema::check_known(&it))?;
        let BookRow { next_seq: next, next_entry, head: hash, rules, .. } = row.book;
        Ok((Head { next, next_entry, hash, open: row.open, rules }, clock))
    };
    Ok(select_rows(conn, &sql, vec![programme.as_str().into()], read).await?.pop())
}

/// Adds a query that finds one row if everything is as expected at the moment of the other results. Returns the query's number.
pub(super) fn add_expected_query(
    conn: &Conn<'_>,
    queries: &mut MultiQuery,
    programme: &Programme,
    expected: &Expected,
) -> usize {
    const COLUMNS: &[Column] = &[("next_seq", ColumnType::Int)];
    queries.add(COLUMNS, expected.values(programme), |first| {
        format!("FROM books WHERE {}", conditions(conn.backend, first))
    })
}

row! {
    /// The columns of a programme that a batch updates; the first one is the key.
    struct BookRow {
        programme: Programme,
        next_seq: Seq,
        next_entry: EntrySeq,
        head: Hash,
        rules: RulesVersion,
    }
}

row! {
    /// All columns of a programme.
    struct HeadRow {
        ..book: BookRow,
        open: bool,
    }
}

static NEW_PROGRAMMES: Table = Table { name: "books", shared: &[], columns: HeadRow::COLUMNS, how: RowWrite::Insert };

static CHANGED_PROGRAMMES: Table =
    Table { name: "books", shared: &[], columns: BookRow::COLUMNS, how: RowWrite::Update };

fn book_row(programme: &Programme, head: &Head) -> BookRow {
    BookRow {
        programme: programme.clone(),
        next_seq: head.next,
        next_entry: head.next_entry,
        head: head.hash,
        rules: head.rules,
    }
}

/// What must be true in the database for a batch that was decided without the lock. On PostgreSQL this program must also know the
/// schema.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The head before the batch.
    pub head: Head,
    /// The last event of the register's record, if the batch depends on the register.
    pub register: Option<RegisterSeq>,
    /// The time of this server, which must not differ by more than `apart` from the database's.
    pub clock: Micros,
    /// The most that the clocks may differ.
    pub apart: Duration,
}

impl Expected {
    /// The next number of the register's record; -1 if the batch does not depend on the register.
    fn next_in_register(&self) -> i64 {
        self.register.map_or(-1, |it| it.0.saturating_add(1))
    }

    /// The values of [`conditions`], for this programme.
    fn values(&self, programme: &Programme) -> [Value; 9] {
        let Head { next, hash, rules, open, .. } = self.head;
        let head: [Value; 4] = [next.0.into(), hash.0.to_vec().into(), rules.0.into(), open.into()];
        let [next, hash, rules, open] = head;
        let (newest, clock, apart) = (schema::newest().into(), self.clock.0.into(), micros(self.apart).into());
        [programme.as_str().into(), next, hash, rules, open, self.next_in_register().into(), newest, clock, apart]
    }
}

/// The conditions under which the row of a programme is found only if everything is as expected. The first parameter has this number.
fn conditions(backend: Backend, first: usize) -> String {
    let [programme, next_seq, head, rules, open, register, newest, clock, apart] =
        std::array::from_fn(|index| first.saturating_add(index));
    let mut conditions = format!(
        "programme = ${programme} AND next_seq = ${next_seq} AND head = ${head} AND rules = ${rules} AND open = ${open} \
         AND (${register} < 0 OR ${register} = (SELECT next_seq FROM register_lock))"
    );
    if backend == Backend::Postgres {
        // A SQLite file has one server, and no clock of its own.
        conditions.push_str(&format!(" AND {APPLIED} <= ${newest} AND ABS({CLOCK} - ${clock}) <= ${apart}"));
    }
    conditions
}

/// The update of a programme's head with which a guarded write begins. It finds the programme only if everything is as expected.
pub(super) fn guard(backend: Backend, programme: &Programme, expected: &Expected, new: &Head) -> Guard {
    let BookRow { next_seq, next_entry, head, rules, .. } = book_row(programme, new);
    let new_values: [Value; 4] = [next_seq.0.into(), next_entry.0.into(), head.0.to_vec().into(), rules.0.into()];
    let conditions = conditions(backend, new_values.len().saturating_add(1));
    let set = "next_seq = $1, next_entry = $2, head = $3, rules = $4";
    let mut values: Vec<Value> = new_values.into_iter().chain(expected.values(programme)).collect();
    let returning = match backend {
        Backend::Postgres => " RETURNING 1",
        // The last three values are for conditions of PostgreSQL only.
        Backend::Sqlite => {
            values.truncate(values.len().saturating_sub(3));
            ""
        }
    };
    Guard { sql: format!("UPDATE books SET {set} WHERE {conditions}{returning}"), values }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Adds the new head of a programme to a batch write. The caller has locked the programme.
pub(super) fn advance(batch: &mut BatchWrite, programme: &Programme, head: &Head) {
    batch.rows(&CHANGED_PROGRAMMES, [], std::iter::once(book_row(programme, head).cells()));
}

fn decode_terms(row: terms::Model) -> Result<LoadedTerms> {
    Ok(LoadedTerms {
        programme: row.programme.parse().map_err(StoreError::unreadable)?,
        text: row.text,
        sha256: hash(&row.sha256)?,
        loaded_by: row.loaded_by,
        loaded_at: Micros(row.loaded_at),
    })
}
