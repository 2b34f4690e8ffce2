//! Appends the entries of funds. Reads them by fund ([`page`]), for positions and for `verify`. Entries of caps are stored with their
//! event ([`super::cap_entries`]); older ones are rows too, which only `verify` reads.

mod page;

use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::events::Recorded;
use super::{Backend, Readable, Result, Store, StoreError};
use crate::domain::Date;
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::{AccountId, Actor, Programme};
use crate::domain::ledger::{EntryKind, EntrySeq, LedgerEntry};
use crate::domain::money::Pence;
use crate::domain::period::Period;
use crate::domain::person::Person;
use crate::domain::programme::UnapprovedMovement;
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{id_in, ids, rows, select_rows};
use crate::store::db::page_copy::{
    CopyCells, FetchedPage, PageFormat, PageSource, Span, bound_values, copied_rows, fetch_page, json_rows, last_seq,
};
use crate::store::db::row::{Row as _, column, row};
pub use page::{EntryField, EntryPageQuery, FundEntry, page};

row! {
    /// An entry.
    struct EntryRow {
        seq: EntrySeq,
        account_id: AccountId,
        verb: EntryKind,
        amount: i64,
        period: Period,
        event_seq: Seq,
    }
}

row! {
    /// An entry, and whether its account is a fund. Only older rows are of caps.
    struct MarkedEntry {
        ..entry: EntryRow,
        on_fund: bool,
    }
}

static ENTRIES: Table = Table {
    name: "entries",
    shared: &[("programme", ColumnType::Text)],
    columns: MarkedEntry::COLUMNS,
    how: RowWrite::Insert,
};

/// Adds the entries of funds of these events to a batch write. `is_fund` tells funds from caps.
pub(super) fn append(
    batch: &mut BatchWrite,
    programme: &Programme,
    events: &[Recorded],
    is_fund: impl Fn(AccountId) -> bool,
) {
    let entries = events.iter().flat_map(|it| it.event.entries.iter().map(|entry| (it.event.seq, entry)));
    let entries = entries.filter(|(_, entry)| is_fund(entry.account));
    let row = |(event_seq, it): (Seq, &LedgerEntry)| {
        let entry = EntryRow {
            seq: it.seq,
            account_id: it.account,
            verb: it.verb,
            amount: it.amount,
            period: it.period,
            event_seq,
        };
        MarkedEntry { entry, on_fund: true }.cells()
    };
    batch.rows(&ENTRIES, [cell(programme.as_str())], entries.map(row));
}

row! {
    /// An entry that moved money of a fund.
    struct FundAmountRow {
        account_id: AccountId,
        amount: Pence,
    }
}

row! {
    /// Who moved money of a fund, and when.
    struct MoverRow {
        actor: Actor,
        recorded_at: Micros,
        body: String,
    }
}

/// The amounts that were allocated to or withdrawn from these funds without an approval, recorded after the time `since`. Events
/// before the programme first adopted rules do not count, because the rules before that did not add such amounts up. An event has
/// an approval if the event before it gave one for the same request.
pub async fn moved_alone(
    from: &dyn Readable,
    programme: &Programme,
    funds: &[AccountId],
    since: Micros,
) -> Result<Vec<(AccountId, UnapprovedMovement)>> {
    let conn = from.at();
    let funds: Vec<Uuid> = funds.iter().map(|it| it.0).collect();
    let of_funds = id_in(&conn, "n.account_id", 1);
    let true_literal = if conn.backend == Backend::Sqlite { "1" } else { "TRUE" };
    let sql = format!(
        "SELECT {}, {} FROM entries n \
         JOIN events e ON e.programme = n.programme AND e.seq = n.event_seq \
         WHERE {of_funds} AND n.verb IN ('allocate', 'withdraw') AND n.on_fund = {true_literal} AND e.recorded_at > $2 \
         AND e.seq > (SELECT MIN(seq) FROM events WHERE programme = $3 AND kind = 'rules_adopted') \
         AND NOT EXISTS (SELECT 1 FROM events g WHERE g.programme = e.programme AND g.seq = e.seq - 1 \
         AND g.kind = 'approval_given' AND g.request_id = e.request_id AND g.actor = e.actor)",
        FundAmountRow::names_of("n"),
        MoverRow::names_of("e"),
    );
    let read = |(moved, mover): (FundAmountRow, MoverRow)| {
        let body: EventBody = serde_json::from_str(&mover.body).map_err(StoreError::unreadable)?;
        let by = Person { actor: mover.actor, subject: body.fund_mover_subject() };
        Ok((moved.account_id, UnapprovedMovement { by, at: mover.recorded_at, amount: moved.amount }))
    };
    select_rows(&conn, &sql, vec![ids(&conn, &funds), since.0.into(), programme.as_str().into()], read).await
}

/// The FROM and WHERE clauses that select the entries of fund $1 in programme $2, each with its event, by the index on entries
/// of funds. SQLite has no statistics and would start from the events. So the clause for SQLite names the index, and a CROSS
/// JOIN fixes the order.
const fn fund_entries_clause(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "FROM entries e INDEXED BY entries_of_fund CROSS JOIN events v ON v.programme = e.programme \
             AND v.seq = e.event_seq WHERE e.on_fund = 1 AND e.account_id = $1 AND +e.programme = $2"
        }
        Backend::Postgres => {
            "FROM entries e JOIN events v ON v.programme = e.programme AND v.seq = e.event_seq \
             WHERE e.on_fund = TRUE AND e.account_id = $1 AND e.programme = $2"
        }
    }
}

fn position_query(backend: Backend) -> String {
    format!(
        "SELECT SUBSTR(e.period, 3, 7) AS year, e.verb, CAST(SUM(e.amount) AS BIGINT) {} AND e.event_seq <= $3 \
         AND v.effective_on <= $4 AND v.recorded_at <= $5 GROUP BY 1, 2 ORDER BY 1",
        fund_entries_clause(backend)
    )
}

/// The number of a programme's last entry; 0 if there is none.
pub async fn last(from: &dyn Readable, programme: &Programme) -> Result<EntrySeq> {
    last_seq(from, &SOURCE, programme).await.map(EntrySeq)
}

/// A stored entry, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its number.
    pub seq: EntrySeq,
    /// The number of its event.
    pub event: Seq,
    /// Whether it is stored as an entry of a fund; false if that cannot be read.
    pub on_fund: bool,
    /// The entry, or why it cannot be read.
    pub entry: std::result::Result<LedgerEntry, String>,
}

/// A page of a programme's entries that is fetched but not decoded.
#[derive(Debug)]
pub struct FetchedEntries(FetchedPage);

/// Fetches a page of a programme's entries between two numbers, in order.
///
/// # Errors
/// [`StoreError::Unreadable`] if an entry cannot be fetched; [`each_for_verify`] shows which. [`StoreError::Unavailable`].
pub async fn for_verify(
    store: &Store,
    programme: &Programme,
    (first, last): (EntrySeq, EntrySeq),
    limit: u64,
) -> Result<FetchedEntries> {
    fetch_page(store, &SOURCE, programme, Span { first: first.0, last: last.0, limit }).await.map(FetchedEntries)
}

impl FetchedEntries {
    /// The number of the last entry; `None` if the page is empty.
    #[must_use]
    pub fn last(&self) -> Option<EntrySeq> {
        self.0.last.map(EntrySeq)
    }

    /// Decodes the entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if an entry on SQLite has a value of another type; [`each_for_verify`] shows which. Otherwise an
    /// unreadable entry is an error within its [`StoredEntry`].
    pub fn read(self) -> Result<Vec<StoredEntry>> {
        let rows: Vec<EntryCells> = match self.0.form {
            PageFormat::Copied(bytes) => copied_rows(&bytes, cells_of_copy)?,
            PageFormat::Json(text) => json_rows::<JsonEntry>(&text)?.into_iter().map(cells_of_json).collect(),
        };
        Ok(decode_cells(rows))
    }
}

/// The same entries as [`for_verify`], each decoded separately, so that an unreadable one does not hide the others.
pub async fn each_for_verify(
    from: &dyn Readable,
    programme: &Programme,
    (first, last): (EntrySeq, EntrySeq),
    limit: u64,
) -> Result<Vec<StoredEntry>> {
    let conn = from.at();
    let values = bound_values(programme, Span { first: first.0, last: last.0, limit });
    let found = rows(&conn, &SOURCE.page(["$1", "$2", "$3", "$4"]), values).await?;
    Ok(decode_cells(found.iter().map(|it| cells_of_row(it, conn.backend)).collect::<Result<_>>()?))
}

/// Decodes the cells of entries, in order.
fn decode_cells(rows: Vec<EntryCells>) -> Vec<StoredEntry> {
    let mut periods = PeriodCache::default();
    rows.into_iter().map(|it| periods.decode_entry(it)).collect()
}

const SOURCE: PageSource = PageSource { table: "entries", columns: MarkedEntry::COLUMNS };

/// The columns of a row in their order: number, account, verb, amount, period, event, and whether the account is a fund. `None` for
/// an account or a boolean that cannot be read.
type EntryCells = (i64, Option<Uuid>, String, i64, String, i64, Option<bool>);

/// Reads the cells of one row. SQLite may have stored bytes that are no id, a text that is not UTF-8, or a boolean other than 0 and
/// 1. Such an id or boolean becomes `None`, and such a text becomes empty.
fn cells_of_row(row: &QueryResult, backend: Backend) -> Result<EntryCells> {
    let on_fund = match backend {
        Backend::Sqlite => bool_of_number(column!(MarkedEntry, on_fund, row)?),
        Backend::Postgres => Some(column!(MarkedEntry, on_fund, row)?),
    };
    Ok((
        column!(MarkedEntry, seq, row)?,
        column!(MarkedEntry, account_id, row).ok(),
        column!(MarkedEntry, verb, row).unwrap_or_default(),
        column!(MarkedEntry, amount, row)?,
        column!(MarkedEntry, period, row).unwrap_or_default(),
        column!(MarkedEntry, event_seq, row)?,
        on_fund,
    ))
}

/// Reads the cells of a row of PostgreSQL, whose values always have the type of their column.
fn cells_of_copy(cells: &mut CopyCells<'_>) -> Result<EntryCells> {
    let (seq, account, verb) = (cells.int()?, cells.uuid()?, cells.text()?.to_owned());
    let (amount, period, event) = (cells.int()?, cells.text()?.to_owned(), cells.int()?);
    Ok((seq, Some(account), verb, amount, period, event, Some(cells.bool()?)))
}

/// A row as SQLite gives it in JSON: the columns in their order, with a number for the last one.
type JsonEntry = (i64, Uuid, String, i64, String, i64, i64);

fn cells_of_json((seq, account, verb, amount, period, event, on_fund): JsonEntry) -> EntryCells {
    (seq, Some(account), verb, amount, period, event, bool_of_number(on_fund))
}

/// The boolean that SQLite stores as this number; `None` for a number other than 0 and 1.
fn bool_of_number(number: i64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Keeps the last decoded period with its text, because consecutive entries are mostly of the same month.
#[derive(Debug, Default)]
struct PeriodCache(Option<(String, Period)>);

impl PeriodCache {
    fn decode_entry(&mut self, (seq, account, verb, amount, period, event, on_fund): EntryCells) -> StoredEntry {
        let seq = EntrySeq(seq);
        let decode = |period: Period| {
            let account = account.ok_or("its account is no id")?;
            on_fund.ok_or("it is neither a fund's nor a cap's")?;
            let verb = EntryKind::named(&verb).ok_or_else(|| format!("its verb is {verb:?}"))?;
            Ok(LedgerEntry { seq, account: AccountId(account), verb, amount, period })
        };
        let entry = self.period(period).and_then(decode);
        StoredEntry { seq, event: Seq(event), on_fund: on_fund.unwrap_or_default(), entry }
    }

    fn period(&mut self, text: String) -> std::result::Result<Period, String> {
        match &self.0 {
            Some((last_text, period)) if *last_text == text => Ok(*period),
            _ => {
                let period: Period = text.parse().map_err(|_| format!("its period is {text:?}"))?;
                self.0 = Some((text, period));
                Ok(period)
            }
        }
    }
}

/// Which entries count towards a position: those that meet all conditions that are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionQuery {
    /// Effective on this day or before.
    pub as_of: Option<Date>,
    /// Recorded at this time or earlier.
    pub recorded_by: Option<Micros>,
    /// Up to this event.
    pub at: Seq,
}

/// The sums of some entries, in pence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Allocated, less withdrawn.
    pub allocated: i64,
    /// Committed, less released and spent.
    pub committed: i64,
    /// Spent, less refunded.
    pub spent: i64,
}

/// The sums of those entries of a fund that count, for each financial year, in the order of the years.
pub async fn position(
    from: &dyn Readable,
    programme: &Programme,
    fund: AccountId,
    query: PositionQuery,
) -> Result<Vec<(String, Sums)>> {
    let conn = from.at();
    let sql = position_query(conn.backend);
    let as_of = query.as_of.or_else(|| Date::from_ymd_opt(9999, 12, 31));
    let recorded_by = query.recorded_by.map_or(i64::MAX, |it| it.0);
    let values: Vec<Value> =
        vec![fund.0.into(), programme.as_str().into(), query.at.0.into(), as_of.into(), recorded_by.into()];
    let mut years: Vec<(String, Sums)> = Vec::new();
    for (year, verb, amount) in select_rows(&conn, &sql, values, Ok::<(String, EntryKind, i64), _>).await? {
        if years.last().is_none_or(|(last, _)| *last != year) {
            years.push((year, Sums::default()));
        }
        if let Some((_, sums)) = years.last_mut() {
            sums.add(verb, amount);
        }
    }
    Ok(years)
}

impl Sums {
    fn add(&mut self, verb: EntryKind, amount: i64) {
        let (increased, decreased): (Option<&mut i64>, Option<&mut i64>) = match verb {
            EntryKind::Allocate => (Some(&mut self.allocated), None),
            EntryKind::Withdraw => (None, Some(&mut self.allocated)),
            EntryKind::Commit => (Some(&mut self.committed), None),
            EntryKind::Release => (None, Some(&mut self.committed)),
            EntryKind::Spend => (Some(&mut self.spent), Some(&mut self.committed)),
            EntryKind::Refund => (None, Some(&mut self.spent)),
        };
        if let Some(sum) = increased {
            *sum = sum.saturating_add(amount);
        }
        if let Some(sum) = decreased {
            *sum = sum.saturating_sub(amount);
        }
    }
}

fn ledger_entry(row: EntryRow) -> LedgerEntry {
    let EntryRow { seq, account_id: account, verb, amount, period, .. } = row;
    LedgerEntry { seq, account, verb, amount, period }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, Use};

    #[tokio::test]
    async fn queries_of_a_fund_use_the_index_on_entries_of_funds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let mut queries = page::tests::queries();
        queries.push((position_query(Backend::Sqlite), (0..5).map(|n: i64| n.into()).collect()));
        for (sql, values) in queries {
            let detail = |(.., detail): (i64, i64, i64, String)| Ok(detail);
            let plan = select_rows(&store.at(), &format!("EXPLAIN QUERY PLAN {sql}"), values, detail).await.unwrap();
            let first = plan.first().unwrap();
            assert!(first.starts_with("SEARCH e") && first.contains("entries_of_fund (account_id=?"), "{plan:?}");
            assert!(!plan.iter().any(|it| it.starts_with("SCAN")), "{plan:?}");
        }
    }
}
