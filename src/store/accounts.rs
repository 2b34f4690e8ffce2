//! Accounts: funds and caps, with their balances as the entries left them.

use sea_orm::QueryResult;
use uuid::Uuid;

use super::verify_rows::{VerifyRows, each};
use super::{Conn, Readable, Result, StoreError};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, OfferId, Programme};
use crate::domain::ledger::{Account, Owner, Unit};
use crate::domain::terms::StrandId;
use crate::store::db::batch_write::{BatchWrite, Cell, ColumnType, RowWrite, Table, cell, names};
use crate::store::db::bulk_sql::{ids, select_by_place, within};
use crate::store::db::column_values::{named, region};
use crate::store::db::multi_query::{MultiQuery, QueryColumns, QueryRow};

static NEW: Table = Table {
    name: "accounts",
    same: &[("programme", ColumnType::Text)],
    columns: &[
        ("id", ColumnType::Uuid),
        ("owner", ColumnType::Text),
        ("strand", ColumnType::Text),
        ("region", ColumnType::OptionalText),
        ("offer_id", ColumnType::OptionalUuid),
        ("unit", ColumnType::Text),
        ("binds", ColumnType::Bool),
        ("over_committed", ColumnType::Bool),
        ("outside", ColumnType::Int),
        ("available", ColumnType::Int),
        ("committed", ColumnType::Int),
        ("spent", ColumnType::Int),
        ("version", ColumnType::Int),
    ],
    how: RowWrite::Insert,
};

static MOVED: Table = Table {
    name: "accounts",
    same: &[],
    columns: &[
        ("id", ColumnType::Uuid),
        ("over_committed", ColumnType::Bool),
        ("outside", ColumnType::Int),
        ("available", ColumnType::Int),
        ("committed", ColumnType::Int),
        ("spent", ColumnType::Int),
        ("version", ColumnType::Int),
    ],
    how: RowWrite::Update,
};

/// What is read of an account.
const COLUMNS: QueryColumns = &[
    ("id", ColumnType::Uuid),
    ("programme", ColumnType::Text),
    ("owner", ColumnType::Text),
    ("strand", ColumnType::Text),
    ("region", ColumnType::OptionalText),
    ("offer_id", ColumnType::OptionalUuid),
    ("unit", ColumnType::Text),
    ("binds", ColumnType::Bool),
    ("over_committed", ColumnType::Bool),
    ("outside", ColumnType::Int),
    ("available", ColumnType::Int),
    ("committed", ColumnType::Int),
    ("spent", ColumnType::Int),
    ("version", ColumnType::Int),
];

/// Adds accounts, as they are now, to what a group writes: new ones, and those that are stored already.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, new: &[&Account], moved: &[&Account]) {
    batch.rows(&NEW, [cell(programme.as_str())], new.iter().map(|it| row_of(it)));
    batch.rows(
        &MOVED,
        [],
        moved.iter().map(|it| {
            [
                cell(it.id.0),
                cell(it.over_committed),
                cell(it.outside),
                cell(it.available),
                cell(it.committed),
                cell(it.spent),
                cell(it.version.0),
            ]
        }),
    );
}

fn row_of(it: &Account) -> [Cell; 13] {
    let (owner, region, offer) = match &it.owner {
        Owner::Fund { region } => ("fund", region.map(|region| region.name().to_owned().into()), None),
        Owner::Cap { offer } => ("cap", None, cell(offer.0)),
    };
    [
        cell(it.id.0),
        cell(owner),
        cell(it.strand.as_str()),
        region,
        offer,
        cell(it.unit.name()),
        cell(it.binds),
        cell(it.over_committed),
        cell(it.outside),
        cell(it.available),
        cell(it.committed),
        cell(it.spent),
        cell(it.version.0),
    ]
}

/// The funds of a programme, or of all, as far as they are stored: by programme, strand and region, the national one
/// first. One that the terms bring with them is stored once something is in it.
pub async fn funds(from: &impl Readable, programme: Option<&Programme>) -> Result<Vec<(Programme, Account)>> {
    let order = "ORDER BY programme, strand, COALESCE(region, '')";
    let (which, values) = match programme {
        Some(programme) => ("AND programme = $1", vec![programme.as_str().into()]),
        None => ("", vec![]),
    };
    let sql = format!("SELECT {} FROM accounts WHERE owner = 'fund' {which} {order}", names(COLUMNS));
    select_by_place(&from.at(), &sql, values, read).await
}

/// These accounts, as far as they are stored.
pub async fn find(from: &impl Readable, wanted: &[AccountId]) -> Result<Vec<(Programme, Account)>> {
    let conn = from.at();
    let wanted: Vec<Uuid> = wanted.iter().map(|id| id.0).collect();
    let sql = format!("SELECT {} FROM accounts WHERE {}", names(COLUMNS), within(&conn, "id", 1));
    select_by_place(&conn, &sql, vec![ids(&conn, &wanted)], read).await
}

/// Asks for the funds of a programme, and for these accounts, as far as they are stored: what a group is decided against.
pub(super) fn ask(conn: &Conn<'_>, together: &mut MultiQuery, programme: &Programme, caps: &[AccountId]) -> usize {
    let caps: Vec<Uuid> = caps.iter().map(|id| id.0).collect();
    together.add(COLUMNS, [programme.as_str().into(), ids(conn, &caps)], |place| {
        let wanted = within(conn, "id", place.saturating_add(1));
        format!(
            "FROM (SELECT * FROM accounts WHERE owner = 'fund' AND programme = ${place} UNION ALL \
             SELECT * FROM accounts WHERE {wanted}) a"
        )
    })
}

/// The caps of these offers, as far as something was awarded under them.
pub async fn caps(from: &impl Readable, offers: &[OfferId]) -> Result<Vec<Account>> {
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let sql =
        format!("SELECT {} FROM accounts WHERE owner = 'cap' AND {}", names(COLUMNS), within(&conn, "offer_id", 1));
    let found = select_by_place(&conn, &sql, vec![ids(&conn, &offers)], read).await?;
    Ok(found.into_iter().map(|(_, account)| account).collect())
}

/// Every account of a programme that is stored, to be held against the record.
pub async fn of_book(from: &impl Readable, programme: &Programme) -> Result<VerifyRows<AccountId, Account>> {
    let sql = format!("SELECT {} FROM accounts WHERE programme = $1", names(COLUMNS));
    let id = |row: &QueryResult| Ok(AccountId(row.try_get_by_index(0)?));
    let account = |row: &QueryResult| Ok(read(row)?.1);
    each(&from.at(), &sql, vec![programme.as_str().into()], id, account).await
}

fn read(row: &QueryResult) -> Result<(Programme, Account)> {
    read_at(row.into())
}

/// One of them, with its programme.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn read_at(row: QueryRow<'_>) -> Result<(Programme, Account)> {
    let programme: String = row.get(1)?;
    let owner: String = row.get(2)?;
    let of: Option<String> = row.get(4)?;
    let offer: Option<Uuid> = row.get(5)?;
    let owner = match (owner.as_str(), offer, of) {
        ("cap", Some(offer), None) => Owner::Cap { offer: OfferId(offer) },
        ("fund", None, of) => Owner::Fund { region: of.as_deref().map(region).transpose()? },
        _ => {
            return Err(StoreError::unreadable(format!("the owner {owner:?}, which its offer or region does not fit")));
        }
    };
    let account = Account {
        id: AccountId(row.get(0)?),
        owner,
        strand: StrandId::new(row.get::<String>(3)?),
        unit: named(Unit::named, &row.get::<String>(6)?)?,
        binds: row.get(7)?,
        over_committed: row.get(8)?,
        outside: row.get(9)?,
        available: row.get(10)?,
        committed: row.get(11)?,
        spent: row.get(12)?,
        version: Seq(row.get(13)?),
    };
    Ok((programme.parse().map_err(StoreError::unreadable)?, account))
}
