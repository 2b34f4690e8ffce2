//! Reads and writes the daily changes of funds: by how much the available amount changed, by effective date. The app layer
//! computes from them the amount that was available on a past day, without reading the ledger. Those of a cap are in its row
//! ([`super::accounts`]).

use sea_orm::QueryResult;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Readable, Result};
use crate::domain::Date;
use crate::domain::ids::{AccountId, Programme};
use crate::domain::programme::AccountDays;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{id_in, ids, select_rows};
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

/// The changes of these funds on the days after `day`: the account, the day and the change.
pub async fn after(from: &dyn Readable, accounts: &[AccountId], day: Date) -> Result<Vec<(AccountId, Date, i64)>> {
    let conn = from.at();
    let accounts: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    let of_accounts = id_in(&conn, "account_id", 1);
    let sql = format!("SELECT {} FROM account_days WHERE {of_accounts} AND on_day > $2", AccountDay::names());
    let read = |AccountDay { account_id, on_day, change }| Ok((account_id, on_day, change));
    select_rows(&conn, &sql, vec![ids(&conn, &accounts), day.into()], read).await
}

/// Every daily change of a programme's funds, by fund and stored day, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<(AccountId, String), i64>> {
    let sql = "SELECT account_id, CAST(on_day AS TEXT), change FROM account_days WHERE programme = $1";
    let change = |row: &QueryResult| <(AccountId, String, i64)>::of(row).map(|(.., change)| change);
    read_each(&from.at(), sql, vec![programme.as_str().into()], FromRow::of, change).await
}
