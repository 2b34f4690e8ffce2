//! Reads and writes the daily changes of funds: by how much the available amount changed, by effective date. The app layer
//! computes from them the amount that was available on a past day, without reading the ledger. Those of a cap are in its row
//! ([`super::accounts`]).

use sea_orm::QueryResult;

use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result};
use crate::domain::Date;
use crate::domain::ids::{AccountId, Programme};
use crate::domain::programme::AccountDays;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{texts, value_in};
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{FromRow, Row as _, row};

row! {
    /// The change of the available amount of an account on a day.
    #[derive(Debug, Clone, Copy)]
    pub struct AccountDay {
        /// The account.
        pub account_id: AccountId,
        /// The day.
        pub on_day: Date,
        /// The sum of its changes.
        pub change: i64,
    }
}

static CHANGES: Table = Table {
    name: "account_days",
    shared: &[("programme", ColumnType::Text)],
    columns: AccountDay::COLUMNS,
    how: RowWrite::Add { key: &["account_id", "on_day"], to: "change" },
};

/// Adds the daily changes of a batch's entries of funds to its batch write.
pub(super) fn add(batch: &mut BatchWrite, programme: &Programme, days: &AccountDays) {
    let changes = days.changes().filter(|(_, _, change)| *change != 0);
    let rows = changes.map(|(account_id, on_day, change)| AccountDay { account_id, on_day, change }.cells());
    batch.rows(&CHANGES, [cell(programme.as_str())], rows);
}

/// Adds a query for the changes of all funds of these strands on the days after `day`. Returns the query's number.
pub(super) fn add_query(
    conn: &Conn<'_>,
    queries: &mut MultiQuery,
    programme: &Programme,
    (strands, day): (&[&str], Date),
) -> usize {
    let values = [programme.as_str().into(), texts(conn, strands), day.into()];
    queries.add(AccountDay::COLUMNS, values, |first| {
        let (of_strands, day) = (value_in(conn, "strand", first.saturating_add(1)), first.saturating_add(2));
        let funds = format!("SELECT id FROM accounts WHERE owner = 'fund' AND programme = ${first} AND {of_strands}");
        format!("FROM account_days WHERE account_id IN ({funds}) AND on_day > ${day}")
    })
}

/// Every daily change of a programme's funds, by fund and stored day, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<(AccountId, String), i64>> {
    let sql = "SELECT account_id, CAST(on_day AS TEXT), change FROM account_days WHERE programme = $1";
    let change = |row: &QueryResult| <(AccountId, String, i64)>::of(row).map(|(.., change)| change);
    read_each(&from.at(), sql, vec![programme.as_str().into()], FromRow::of, change).await
}
