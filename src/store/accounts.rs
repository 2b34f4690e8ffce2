//! Reads and writes accounts: funds and caps, with their current balances. The daily changes of a cap are in its row.

use sea_orm::QueryResult;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, OfferId, Programme};
use crate::domain::ledger::{Account, Owner, Unit};
use crate::domain::programme::AccountDays;
use crate::domain::terms::StrandId;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{id_in, ids, select_rows};
use crate::store::db::column_values::region;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{FromRow as _, Row as _, row};

row! {
    /// The columns of an account that change; the first one is the key.
    struct BalanceRow {
        id: AccountId,
        over_committed: bool,
        outside: i64,
        available: i64,
        committed: i64,
        spent: i64,
        version: Seq,
        days: Option<String>,
    }
}

row! {
    /// An account.
    struct AccountRow {
        ..balance: BalanceRow,
        owner: String,
        strand: StrandId,
        region: Option<String>,
        offer_id: Option<OfferId>,
        unit: Unit,
        binds: bool,
    }
}

row! {
    /// An account with its programme, as it is read.
    pub(super) struct ProgrammeAccount {
        ..account: AccountRow,
        programme: Programme,
    }
}

static NEW: Table = Table {
    name: "accounts",
    shared: &[("programme", ColumnType::Text)],
    columns: AccountRow::COLUMNS,
    how: RowWrite::Insert,
};

static CHANGED: Table = Table { name: "accounts", shared: &[], columns: BalanceRow::COLUMNS, how: RowWrite::Update };

/// Adds accounts to a batch write: new ones, and stored ones that changed. `days` has all daily changes of those that are caps.
pub(super) fn put(
    batch: &mut BatchWrite,
    programme: &Programme,
    (new, changed): (&[&Account], &[&Account]),
    days: &AccountDays,
) {
    batch.rows(&NEW, [cell(programme.as_str())], new.iter().map(|it| row_of(it, days).cells()));
    batch.rows(&CHANGED, [], changed.iter().map(|it| balance(it, days).cells()));
}

fn balance(it: &Account, days: &AccountDays) -> BalanceRow {
    BalanceRow {
        id: it.id,
        over_committed: it.over_committed,
        outside: it.outside,
        available: it.available,
        committed: it.committed,
        spent: it.spent,
        version: it.version,
        days: matches!(it.owner, Owner::Cap { .. }).then(|| encode_days(it.id, days)).flatten(),
    }
}

/// The daily changes of a cap as JSON: a list of days, each with the sum of its changes. `None` if there are none.
fn encode_days(cap: AccountId, days: &AccountDays) -> Option<String> {
    encode_changes(&days.of_account(cap).filter(|(_, change)| *change != 0).collect::<Vec<_>>())
}

fn encode_changes(changes: &[(Date, i64)]) -> Option<String> {
    (!changes.is_empty()).then(|| serde_json::to_string(changes).unwrap_or_default())
}

/// Decodes the daily changes of a cap, in the order of the days.
///
/// # Errors
/// [`StoreError::Unreadable`], also for another text than the one that this program writes for these changes.
fn decode_days(text: Option<&str>) -> Result<Vec<(Date, i64)>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let unreadable = |error: String| StoreError::unreadable(format!("its daily changes: {error}"));
    let changes: Vec<(Date, i64)> = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let is_in_order = changes.is_sorted_by(|(day, _), (next, _)| day < next);
    if is_in_order
        && !changes.iter().any(|(_, change)| *change == 0)
        && encode_changes(&changes).as_deref() == Some(text)
    {
        Ok(changes)
    } else {
        Err(unreadable(format!("the text {text}")))
    }
}

fn row_of(it: &Account, days: &AccountDays) -> AccountRow {
    let (owner, region, offer_id) = match &it.owner {
        Owner::Fund { region } => ("fund", region.map(|region| region.name().to_owned()), None),
        Owner::Cap { offer } => ("cap", None, Some(*offer)),
    };
    AccountRow {
        balance: balance(it, days),
        owner: owner.to_owned(),
        strand: it.strand.clone(),
        region,
        offer_id,
        unit: it.unit,
        binds: it.binds,
    }
}

/// The stored funds of a programme, or of all programmes, in the order of programme, strand and region. The national fund of a
/// strand comes first. A fund is stored only after its first entry.
pub async fn funds(from: &dyn Readable, programme: Option<&Programme>) -> Result<Vec<(Programme, Account)>> {
    let order = "ORDER BY programme, strand, COALESCE(region, '')";
    let (condition, values) = match programme {
        Some(programme) => ("AND programme = $1", vec![programme.as_str().into()]),
        None => ("", vec![]),
    };
    let sql = format!("SELECT {} FROM accounts WHERE owner = 'fund' {condition} {order}", ProgrammeAccount::names());
    select_rows(&from.at(), &sql, values, read).await
}

/// Those of these accounts that are stored, in any order.
pub async fn find(from: &dyn Readable, accounts: &[AccountId]) -> Result<Vec<(Programme, Account)>> {
    let conn = from.at();
    let accounts: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    let sql = format!("SELECT {} FROM accounts WHERE {}", ProgrammeAccount::names(), id_in(&conn, "id", 1));
    select_rows(&conn, &sql, vec![ids(&conn, &accounts)], read).await
}

/// Adds a query for the stored funds of a programme and for these caps, which the decisions of a batch need. Returns the
/// query's number.
pub(super) fn add_query(conn: &Conn<'_>, queries: &mut MultiQuery, programme: &Programme, caps: &[AccountId]) -> usize {
    let caps: Vec<Uuid> = caps.iter().map(|id| id.0).collect();
    queries.add(ProgrammeAccount::COLUMNS, [programme.as_str().into(), ids(conn, &caps)], |first| {
        let is_cap = id_in(conn, "id", first.saturating_add(1));
        format!(
            "FROM (SELECT * FROM accounts WHERE owner = 'fund' AND programme = ${first} UNION ALL \
             SELECT * FROM accounts WHERE {is_cap}) a"
        )
    })
}

/// Adds a query for the stored accounts of a programme, at most so many of them. Returns the query's number.
pub(super) fn add_all_query(queries: &mut MultiQuery, programme: &Programme, most: usize) -> usize {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    queries.add(ProgrammeAccount::COLUMNS, [programme.as_str().into(), most.into()], |first| {
        let most = first.saturating_add(1);
        format!("FROM (SELECT * FROM accounts WHERE programme = ${first} LIMIT ${most}) a")
    })
}

/// The stored caps of these offers. A cap is stored once something was awarded under it.
pub async fn caps(from: &dyn Readable, offers: &[OfferId]) -> Result<Vec<Account>> {
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let (names, of_offers) = (ProgrammeAccount::names(), id_in(&conn, "offer_id", 1));
    let sql = format!("SELECT {names} FROM accounts WHERE owner = 'cap' AND {of_offers}");
    let found = select_rows(&conn, &sql, vec![ids(&conn, &offers)], read).await?;
    Ok(found.into_iter().map(|(_, account)| account).collect())
}

/// An account with the daily changes that are in its row: those of a cap, in the order of the days.
pub type AccountWithDays = (Account, Vec<(Date, i64)>);

/// Every stored account of a programme, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<AccountId, AccountWithDays>> {
    let sql = format!("SELECT {} FROM accounts WHERE programme = $1", ProgrammeAccount::names());
    let account = |row: &QueryResult| read_with_days(ProgrammeAccount::of(row)?);
    read_each(&from.at(), &sql, vec![programme.as_str().into()], AccountId::of, account).await
}

/// Decodes an account with the daily changes that are in its row.
///
/// # Errors
/// [`StoreError::Unreadable`], also for a fund with such changes: they are in `account_days`.
pub(super) fn read_with_days(row: ProgrammeAccount) -> Result<AccountWithDays> {
    let (days, has_days) = (decode_days(row.account.balance.days.as_deref())?, row.account.balance.days.is_some());
    let (_, account) = read(row)?;
    if matches!(account.owner, Owner::Fund { .. }) && has_days {
        return Err(StoreError::unreadable("its daily changes, which a fund does not have"));
    }
    Ok((account, days))
}

/// Decodes an account with its programme.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn read(ProgrammeAccount { account, programme }: ProgrammeAccount) -> Result<(Programme, Account)> {
    let AccountRow { balance, owner, region: region_name, .. } = account;
    let owner = match (owner.as_str(), account.offer_id, region_name) {
        ("cap", Some(offer), None) => Owner::Cap { offer },
        ("fund", None, region_name) => Owner::Fund { region: region_name.as_deref().map(region).transpose()? },
        _ => {
            return Err(StoreError::unreadable(format!("the owner {owner:?}, which its offer or region does not fit")));
        }
    };
    let account = Account {
        id: balance.id,
        owner,
        strand: account.strand,
        unit: account.unit,
        binds: account.binds,
        over_committed: balance.over_committed,
        outside: balance.outside,
        available: balance.available,
        committed: balance.committed,
        spent: balance.spent,
        version: balance.version,
    };
    Ok((programme, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_cap_are_decoded_as_they_were() {
        let (cap, other) = (AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
        let [first, second, third] = [3, 14, 30].map(|day| Date::from_ymd_opt(2021, 9, day).unwrap());
        let mut days = AccountDays::default();
        days.put(cap, second, -250_000);
        days.put(cap, third, 0);
        days.put(cap, first, 7);
        days.put(other, first, 9);
        let text = encode_days(cap, &days);
        assert_eq!(text.as_deref(), Some(r#"[["2021-09-03",7],["2021-09-14",-250000]]"#));
        assert_eq!(decode_days(text.as_deref()).unwrap(), [(first, 7), (second, -250_000)]);
        assert_eq!(encode_days(AccountId(Uuid::from_u128(3)), &days), None);
        assert_eq!(decode_days(None).unwrap(), []);
        let twice = r#"[["2021-09-03",7],["2021-09-03",7]]"#;
        let (zero, spaces, short) = (r#"[["2021-09-03",0]]"#, r#"[["2021-09-03", 7]]"#, r#"[["2021-9-3",7]]"#);
        for text in ["", "null", "[]", r#"[["2021-09-03"]]"#, r#"[["3 September",7]]"#, twice, zero, spaces, short] {
            assert!(matches!(decode_days(Some(text)), Err(StoreError::Unreadable(_))), "{text:?}");
        }
    }
}
