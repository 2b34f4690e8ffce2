//! Accounts: funds and caps, with their current balances.

use sea_orm::QueryResult;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, each};
use super::{Conn, Readable, Result, StoreError};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, OfferId, Programme};
use crate::domain::ledger::{Account, Owner, Unit};
use crate::domain::terms::StrandId;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{ids, select_rows, within};
use crate::store::db::column_values::region;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{FromRow as _, Row as _, row};

row! {
    /// The columns of an account that change.
    struct BalanceRow {
        id: AccountId,
        over_committed: bool,
        outside: i64,
        available: i64,
        committed: i64,
        spent: i64,
        version: Seq,
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
    same: &[("programme", ColumnType::Text)],
    columns: AccountRow::COLUMNS,
    how: RowWrite::Insert,
};

static MOVED: Table = Table { name: "accounts", same: &[], columns: BalanceRow::COLUMNS, how: RowWrite::Update };

/// Adds accounts to a batch write: new ones, and stored ones that changed.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, new: &[&Account], moved: &[&Account]) {
    batch.rows(&NEW, [cell(programme.as_str())], new.iter().map(|it| row_of(it).cells()));
    batch.rows(&MOVED, [], moved.iter().map(|it| balance(it).cells()));
}

fn balance(it: &Account) -> BalanceRow {
    BalanceRow {
        id: it.id,
        over_committed: it.over_committed,
        outside: it.outside,
        available: it.available,
        committed: it.committed,
        spent: it.spent,
        version: it.version,
    }
}

fn row_of(it: &Account) -> AccountRow {
    let (owner, region, offer_id) = match &it.owner {
        Owner::Fund { region } => ("fund", region.map(|region| region.name().to_owned()), None),
        Owner::Cap { offer } => ("cap", None, Some(*offer)),
    };
    AccountRow {
        balance: balance(it),
        owner: owner.to_owned(),
        strand: it.strand.clone(),
        region,
        offer_id,
        unit: it.unit,
        binds: it.binds,
    }
}

/// The stored funds of a programme, or of all, by programme, strand and region, the national fund first. A fund that the
/// terms define is stored once it has an entry.
pub async fn funds(from: &impl Readable, programme: Option<&Programme>) -> Result<Vec<(Programme, Account)>> {
    let order = "ORDER BY programme, strand, COALESCE(region, '')";
    let (which, values) = match programme {
        Some(programme) => ("AND programme = $1", vec![programme.as_str().into()]),
        None => ("", vec![]),
    };
    let sql = format!("SELECT {} FROM accounts WHERE owner = 'fund' {which} {order}", ProgrammeAccount::names());
    select_rows(&from.at(), &sql, values, read).await
}

/// Those of these accounts that are stored.
pub async fn find(from: &impl Readable, requested: &[AccountId]) -> Result<Vec<(Programme, Account)>> {
    let conn = from.at();
    let requested: Vec<Uuid> = requested.iter().map(|id| id.0).collect();
    let sql = format!("SELECT {} FROM accounts WHERE {}", ProgrammeAccount::names(), within(&conn, "id", 1));
    select_rows(&conn, &sql, vec![ids(&conn, &requested)], read).await
}

/// Adds a query for the stored funds of a programme and for these caps, which a batch is decided against.
pub(super) fn ask(conn: &Conn<'_>, together: &mut MultiQuery, programme: &Programme, caps: &[AccountId]) -> usize {
    let caps: Vec<Uuid> = caps.iter().map(|id| id.0).collect();
    together.add(ProgrammeAccount::COLUMNS, [programme.as_str().into(), ids(conn, &caps)], |place| {
        let requested = within(conn, "id", place.saturating_add(1));
        format!(
            "FROM (SELECT * FROM accounts WHERE owner = 'fund' AND programme = ${place} UNION ALL \
             SELECT * FROM accounts WHERE {requested}) a"
        )
    })
}

/// The caps of these offers under which something was awarded.
pub async fn caps(from: &impl Readable, offers: &[OfferId]) -> Result<Vec<Account>> {
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let (names, within) = (ProgrammeAccount::names(), within(&conn, "offer_id", 1));
    let sql = format!("SELECT {names} FROM accounts WHERE owner = 'cap' AND {within}");
    let found = select_rows(&conn, &sql, vec![ids(&conn, &offers)], read).await?;
    Ok(found.into_iter().map(|(_, account)| account).collect())
}

/// Every stored account of a programme, for `verify`.
pub async fn of_book(from: &impl Readable, programme: &Programme) -> Result<VerifyRows<AccountId, Account>> {
    let sql = format!("SELECT {} FROM accounts WHERE programme = $1", ProgrammeAccount::names());
    let account = |row: &QueryResult| Ok(read(ProgrammeAccount::of(row)?)?.1);
    each(&from.at(), &sql, vec![programme.as_str().into()], AccountId::of, account).await
}

/// An account with its programme.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn read(ProgrammeAccount { account, programme }: ProgrammeAccount) -> Result<(Programme, Account)> {
    let AccountRow { balance, owner, region: of, .. } = account;
    let owner = match (owner.as_str(), account.offer_id, of) {
        ("cap", Some(offer), None) => Owner::Cap { offer },
        ("fund", None, of) => Owner::Fund { region: of.as_deref().map(region).transpose()? },
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
