//! The entries of the ledger: appended by the writer, and read by fund ([`page`]), for positions and by `verify`.

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
use crate::store::db::bulk_sql::{ids, rows, select_rows, within};
use crate::store::db::page_copy::{
    Form, Packed, PackedCells, PageSource, Span, bound, copied_rows, greatest, json_rows, packed,
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
    /// An entry, and whether it is one of a fund.
    struct MarkedEntry {
        ..entry: EntryRow,
        on_fund: bool,
    }
}

static ENTRIES: Table = Table {
    name: "entries",
    same: &[("programme", ColumnType::Text)],
    columns: MarkedEntry::COLUMNS,
    how: RowWrite::Insert,
};

/// Adds the entries of these events to a batch write. `is_fund` tells funds from caps.
pub(super) fn append(
    batch: &mut BatchWrite,
    programme: &Programme,
    events: &[Recorded],
    is_fund: impl Fn(AccountId) -> bool,
) {
    let entries = events.iter().flat_map(|it| it.event.entries.iter().map(|entry| (it.event.seq, entry)));
    let row = |(event_seq, it): (Seq, &LedgerEntry)| {
        let entry = EntryRow {
            seq: it.seq,
            account_id: it.account,
            verb: it.verb,
            amount: it.amount,
            period: it.period,
            event_seq,
        };
        MarkedEntry { entry, on_fund: is_fund(it.account) }.cells()
    };
    batch.rows(&ENTRIES, [cell(programme.as_str())], entries.map(row));
}

row! {
    /// A movement of a fund.
    struct MovedRow {
        account_id: AccountId,
        amount: Pence,
    }
}

row! {
    /// Who made a movement, and when.
    struct MoverRow {
        actor: Actor,
        recorded_at: Micros,
        body: String,
    }
}

/// Movements of these funds since a time that were made without an approval, under rules that count such movements
/// together. A movement has an approval if the event before it gave one.
pub async fn moved_alone(
    from: &impl Readable,
    programme: &Programme,
    funds: &[AccountId],
    since: Micros,
) -> Result<Vec<(AccountId, UnapprovedMovement)>> {
    let conn = from.at();
    let funds: Vec<Uuid> = funds.iter().map(|it| it.0).collect();
    let within = within(&conn, "n.account_id", 1);
    let yes = if conn.backend == Backend::Sqlite { "1" } else { "TRUE" };
    let sql = format!(
        "SELECT {}, {} FROM entries n \
         JOIN events e ON e.programme = n.programme AND e.seq = n.event_seq \
         WHERE {within} AND n.verb IN ('allocate', 'withdraw') AND n.on_fund = {yes} AND e.recorded_at > $2 \
         AND e.seq > (SELECT MIN(seq) FROM events WHERE programme = $3 AND kind = 'rules_adopted') \
         AND NOT EXISTS (SELECT 1 FROM events g WHERE g.programme = e.programme AND g.seq = e.seq - 1 \
         AND g.kind = 'approval_given' AND g.request_id = e.request_id AND g.actor = e.actor)",
        MovedRow::names_of("n"),
        MoverRow::names_of("e"),
    );
    let read = |(moved, mover): (MovedRow, MoverRow)| {
        let body: EventBody = serde_json::from_str(&mover.body).map_err(StoreError::unreadable)?;
        let by = Person { actor: mover.actor, subject: body.mover() };
        Ok((moved.account_id, UnapprovedMovement { by, at: mover.recorded_at, amount: moved.amount }))
    };
    select_rows(&conn, &sql, vec![ids(&conn, &funds), since.0.into(), programme.as_str().into()], read).await
}

/// The entries of fund $1 in programme $2, each with its event, found by the index on entries of funds. SQLite has no
/// statistics and would start from the events, so the query names the index there and fixes the order by a CROSS JOIN.
const fn of_fund(backend: Backend) -> &'static str {
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

fn position_of_fund(backend: Backend) -> String {
    format!(
        "SELECT SUBSTR(e.period, 3, 7) AS year, e.verb, CAST(SUM(e.amount) AS BIGINT) {} AND e.event_seq <= $3 \
         AND v.effective_on <= $4 AND v.recorded_at <= $5 GROUP BY 1, 2 ORDER BY 1",
        of_fund(backend)
    )
}

/// The number of a programme's last entry; 0 if there is none.
pub async fn last(from: &impl Readable, programme: &Programme) -> Result<EntrySeq> {
    greatest(from, &SOURCE, programme).await.map(EntrySeq)
}

/// A stored entry, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its number.
    pub seq: EntrySeq,
    /// The event it belongs to.
    pub event: Seq,
    /// Whether it is stored as one of a fund.
    pub on_fund: bool,
    /// The entry, or why it cannot be read.
    pub entry: std::result::Result<LedgerEntry, String>,
}

/// A page of a programme's entries that is fetched but not decoded.
#[derive(Debug)]
pub struct RemainingEntries(Packed);

/// Fetches a page of a programme's entries between two numbers, in order.
///
/// # Errors
/// [`StoreError::Unreadable`] if one of them cannot be read at all: [`each_of_book`] tells which.
pub async fn of_book(
    store: &Store,
    programme: &Programme,
    (first, last): (EntrySeq, EntrySeq),
    limit: u64,
) -> Result<RemainingEntries> {
    packed(store, &SOURCE, programme, Span { first: first.0, last: last.0, limit }).await.map(RemainingEntries)
}

impl RemainingEntries {
    /// The number of the last entry; `None` if the page is empty.
    #[must_use]
    pub fn last(&self) -> Option<EntrySeq> {
        self.0.last.map(EntrySeq)
    }

    /// Decodes the entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if an entry on SQLite is unreadable: [`each_of_book`] tells which.
    pub fn read(self) -> Result<Vec<StoredEntry>> {
        let rows: Vec<EntryCells> = match self.0.form {
            Form::Copied(bytes) => copied_rows(&bytes, copied)?,
            Form::Json(text) => json_rows::<RecordedMovement>(&text)?.into_iter().map(of_json).collect(),
        };
        Ok(stored(rows))
    }
}

/// The same entries as [`of_book`], each decoded separately, so that an unreadable one does not hide the others.
pub async fn each_of_book(
    from: &impl Readable,
    programme: &Programme,
    (first, last): (EntrySeq, EntrySeq),
    limit: u64,
) -> Result<Vec<StoredEntry>> {
    let conn = from.at();
    let values = bound(programme, Span { first: first.0, last: last.0, limit });
    let found = rows(&conn, &SOURCE.page(["$1", "$2", "$3", "$4"]), values).await?;
    Ok(stored(found.iter().map(|it| by_itself(it, conn.backend)).collect::<Result<_>>()?))
}

fn stored(rows: Vec<EntryCells>) -> Vec<StoredEntry> {
    let mut month = Month::default();
    rows.into_iter().map(|it| month.stored(it)).collect()
}

const SOURCE: PageSource = PageSource { table: "entries", columns: MarkedEntry::COLUMNS };

/// The columns of a row in their order: number, account, verb, amount, period, event, whether it is of a fund.
type EntryCells = (i64, Option<Uuid>, String, i64, String, i64, Option<bool>);

/// Decodes one row. SQLite may store bytes that are no id, values that are no text, and any number as a boolean: only 1
/// counts as true, as in the SQL of other queries. A value that is no text is no verb and no period.
fn by_itself(row: &QueryResult, backend: Backend) -> Result<EntryCells> {
    let on_fund = match backend {
        Backend::Sqlite => one_or_none(column!(MarkedEntry, on_fund, row)?),
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

/// Decodes a row of PostgreSQL, whose values always have the type of their column.
fn copied(cells: &mut PackedCells<'_>) -> Result<EntryCells> {
    let (seq, account, verb) = (cells.int()?, cells.uuid()?, cells.text()?.to_owned());
    let (amount, period, event) = (cells.int()?, cells.text()?.to_owned(), cells.int()?);
    Ok((seq, Some(account), verb, amount, period, event, Some(cells.bool()?)))
}

type RecordedMovement = (i64, Uuid, String, i64, String, i64, i64);

fn of_json((seq, account, verb, amount, period, event, on_fund): RecordedMovement) -> EntryCells {
    (seq, Some(account), verb, amount, period, event, one_or_none(on_fund))
}

fn one_or_none(number: i64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The last decoded period, kept because consecutive entries are mostly of the same month.
#[derive(Debug, Default)]
struct Month(Option<(String, Period)>);

impl Month {
    fn stored(&mut self, (seq, account, verb, amount, period, event, on_fund): EntryCells) -> StoredEntry {
        let seq = EntrySeq(seq);
        let read = |period: Period| {
            let account = account.ok_or("its account is no id")?;
            on_fund.ok_or("it is neither a fund's nor a cap's")?;
            let verb = EntryKind::named(&verb).ok_or_else(|| format!("its verb is {verb:?}"))?;
            Ok(LedgerEntry { seq, account: AccountId(account), verb, amount, period })
        };
        let entry = self.period(period).and_then(read);
        StoredEntry { seq, event: Seq(event), on_fund: on_fund.unwrap_or_default(), entry }
    }

    fn period(&mut self, text: String) -> std::result::Result<Period, String> {
        match &self.0 {
            Some((known, period)) if *known == text => Ok(*period),
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
    /// Recorded at this time or before.
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

/// The sums of the entries of a fund that count, by financial year, in order.
pub async fn position(
    from: &impl Readable,
    programme: &Programme,
    fund: AccountId,
    asked: PositionQuery,
) -> Result<Vec<(String, Sums)>> {
    let conn = from.at();
    let sql = position_of_fund(conn.backend);
    let as_of = asked.as_of.or_else(|| Date::from_ymd_opt(9999, 12, 31));
    let recorded_by = asked.recorded_by.map_or(i64::MAX, |it| it.0);
    let values: Vec<Value> =
        vec![fund.0.into(), programme.as_str().into(), asked.at.0.into(), as_of.into(), recorded_by.into()];
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
        let (more, less): (Option<&mut i64>, Option<&mut i64>) = match verb {
            EntryKind::Allocate => (Some(&mut self.allocated), None),
            EntryKind::Withdraw => (None, Some(&mut self.allocated)),
            EntryKind::Commit => (Some(&mut self.committed), None),
            EntryKind::Release => (None, Some(&mut self.committed)),
            EntryKind::Spend => (Some(&mut self.spent), Some(&mut self.committed)),
            EntryKind::Refund => (None, Some(&mut self.spent)),
        };
        if let Some(more) = more {
            *more = more.saturating_add(amount);
        }
        if let Some(less) = less {
            *less = less.saturating_sub(amount);
        }
    }
}

fn entry(row: EntryRow) -> LedgerEntry {
    let EntryRow { seq, account_id: account, verb, amount, period, .. } = row;
    LedgerEntry { seq, account, verb, amount, period }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, Use};

    #[tokio::test]
    async fn a_fund_is_read_by_the_index_of_what_is_on_funds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let mut queries = page::tests::queries();
        queries.push((position_of_fund(Backend::Sqlite), (0..5).map(|n: i64| n.into()).collect()));
        for (sql, values) in queries {
            let detail = |(.., detail): (i64, i64, i64, String)| Ok(detail);
            let plan = select_rows(&store.at(), &format!("EXPLAIN QUERY PLAN {sql}"), values, detail).await.unwrap();
            let first = plan.first().unwrap();
            assert!(first.starts_with("SEARCH e") && first.contains("entries_of_fund (account_id=?"), "{plan:?}");
            assert!(!plan.iter().any(|it| it.starts_with("SCAN")), "{plan:?}");
        }
    }
}
