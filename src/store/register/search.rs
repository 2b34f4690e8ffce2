//! Searches for schools and trusts by name or number. The names are in two small tables, which are updated after imports land or
//! are withdrawn.
//!
//! Only the search reads these tables. Names and placements that are shown always come from the files.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, ExprTrait as _};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::{schools, trusts, uid_numbers, urn_numbers};
use crate::domain::ids::{ImportId, Uid, Urn};
use crate::domain::school::TrustKind;
use crate::store::db::bulk_sql::{number_in, select, upsert_all};
use crate::store::db::column_values::{uid, urn};
use crate::store::db::condition::contains_text;
use crate::store::db::entity::register::{school, trust};
use crate::store::imports::FileKind;
use crate::store::{Readable, Result, WriteTx};

/// A page of schools whose name contains the text, in any case, or whose URN is the text. In the order of name and URN, each with
/// its lower-cased name.
pub async fn find_schools(
    from: &dyn Readable,
    text: &str,
    after: Option<&(String, Urn)>,
    limit: u64,
) -> Result<Vec<(String, Urn)>> {
    use school::Column as C;
    let mut find = school::Entity::find().filter(matches_text(C::Search, C::Urn, text)).limit(limit);
    if let Some((search, urn)) = after {
        find = find.filter(comes_after(C::Search, C::Urn, search, urn.get()));
    }
    let rows = find.order_by_asc(C::Search).order_by_asc(C::Urn).all(&from.at().db).await?;
    rows.into_iter().map(|row| Ok((row.search, urn(row.urn)?))).collect()
}

/// A page of trusts whose name contains the text, in any case, or whose UID is the text. In the order of name and UID, each with
/// its lower-cased name.
pub async fn find_trusts(
    from: &dyn Readable,
    text: &str,
    after: Option<&(String, Uid)>,
    limit: u64,
) -> Result<Vec<(String, Uid)>> {
    use trust::Column as C;
    let mut find = trust::Entity::find().filter(matches_text(C::Search, C::Uid, text)).limit(limit);
    if let Some((search, uid)) = after {
        find = find.filter(comes_after(C::Search, C::Uid, search, uid.get()));
    }
    let rows = find.order_by_asc(C::Search).order_by_asc(C::Uid).all(&from.at().db).await?;
    rows.into_iter().map(|row| Ok((row.search, uid(row.uid)?))).collect()
}

fn matches_text<C: ColumnTrait>(search: C, number: C, text: &str) -> Cond {
    let lower = text.trim().to_lowercase();
    let has_number = lower.parse::<u32>().ok().map(|parsed| number.eq(i64::from(parsed)));
    Cond::any().add(contains_text(search, &lower)).add_option(has_number)
}

/// The condition that a row comes after the last row of the page before.
fn comes_after<C: ColumnTrait>(search: C, number: C, last: &str, last_number: u32) -> Cond {
    let same_name = search.eq(last).and(number.gt(i64::from(last_number)));
    Cond::any().add(search.gt(last)).add(same_name)
}

/// Up to `limit` numbers (URNs, or UIDs of trusts) that an import's rows name, above `after`, in order.
async fn numbers_in_import(
    from: &dyn Readable,
    table: &str,
    column: &str,
    id: ImportId,
    after: i64,
    limit: u64,
) -> Result<Vec<i64>> {
    #[derive(FromQueryResult)]
    struct Row {
        number: i64,
    }
    let sql = format!(
        "SELECT DISTINCT {column} AS number FROM {table} WHERE import_id = $1 AND {column} > $2
         ORDER BY {column} LIMIT {limit}"
    );
    let rows: Vec<Row> = select(&from.at(), &sql, vec![id.0.into(), after.into()]).await?;
    Ok(rows.into_iter().map(|row| row.number).collect())
}

/// Updates the search for those schools that an import names: for the first `limit` of them with a URN above `after`. Returns the
/// last URN. Returns `None` if no schools are left, or if files of this kind do not name schools. The caller holds the register's
/// lock.
pub async fn index_schools(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let table = match kind {
        FileKind::Membership => "membership_rows",
        FileKind::Establishments => "establishment_rows",
        FileKind::Ofsted => "ofsted_rows",
        FileKind::Groups | FileKind::Links => return Ok(None),
    };
    let numbers = numbers_in_import(tx, table, "urn", id, after, limit).await?;
    let urns = numbers.iter().map(|number| urn(*number)).collect::<Result<Vec<_>>>()?;
    let names = schools(tx, &urns).await?;
    let conn = tx.at();
    let condition = number_in(&conn, school::Column::Urn, &urn_numbers(&urns));
    let indexed = school::Entity::find().filter(condition).all(&conn.db).await?;
    let indexed: HashMap<i64, String> = indexed.into_iter().map(|row| (row.urn, row.search)).collect();
    let search_text = |it: &Urn| names.get(it).map(|school| school.name.to_lowercase());
    let changes = differences(urns.iter().map(|it| (i64::from(it.get()), search_text(it))), &indexed);
    let model = |(urn, search)| school::ActiveModel { urn: sea_orm::Set(urn), search: sea_orm::Set(search) };
    let put = changes.put.into_iter().map(model).collect();
    upsert_all::<school::Entity, _>(tx, put, &[school::Column::Urn], &[school::Column::Search]).await?;
    delete_numbers::<school::Entity>(tx, school::Column::Urn, &changes.deleted).await?;
    Ok(numbers.last().copied())
}

/// Updates the search for trusts, in the same way as [`index_schools`] for schools, by UID. A group that is no trust gets no row in
/// the search table.
pub async fn index_trusts(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let table = match kind {
        FileKind::Groups => "group_rows",
        FileKind::Membership => "membership_rows",
        FileKind::Establishments | FileKind::Ofsted | FileKind::Links => return Ok(None),
    };
    let numbers = numbers_in_import(tx, table, "uid", id, after, limit).await?;
    let uids = numbers.iter().map(|number| uid(*number)).collect::<Result<Vec<_>>>()?;
    let names = trusts(tx, &uids).await?;
    let conn = tx.at();
    let condition = number_in(&conn, trust::Column::Uid, &uid_numbers(&uids));
    let indexed = trust::Entity::find().filter(condition).all(&conn.db).await?;
    let indexed: HashMap<i64, String> = indexed.into_iter().map(|row| (row.uid, row.search)).collect();
    let trust_of = |it: &Uid| names.get(it).filter(|trust| TrustKind::from_gias(trust.kind).is_some());
    let search_text = |it: &Uid| trust_of(it).map(|trust| trust.name.to_lowercase());
    let changes = differences(uids.iter().map(|it| (i64::from(it.get()), search_text(it))), &indexed);
    let model = |(uid, search)| trust::ActiveModel { uid: sea_orm::Set(uid), search: sea_orm::Set(search) };
    let put = changes.put.into_iter().map(model).collect();
    upsert_all::<trust::Entity, _>(tx, put, &[trust::Column::Uid], &[trust::Column::Search]).await?;
    delete_numbers::<trust::Entity>(tx, trust::Column::Uid, &changes.deleted).await?;
    Ok(numbers.last().copied())
}

/// The changes that a search table needs. They are few, because an import of another month changes few names.
struct SearchChanges {
    put: Vec<(i64, String)>,
    deleted: Vec<i64>,
}

/// Compares the search table, as read into `indexed`, with the names that it should have. `names` has each number with its name, or
/// `None` if the table must have no row for the number.
fn differences(names: impl Iterator<Item = (i64, Option<String>)>, indexed: &HashMap<i64, String>) -> SearchChanges {
    let mut found = SearchChanges { put: Vec::new(), deleted: Vec::new() };
    for (number, name) in names {
        match name {
            Some(name) if indexed.get(&number) != Some(&name) => found.put.push((number, name)),
            None if indexed.contains_key(&number) => found.deleted.push(number),
            Some(_) | None => {}
        }
    }
    found
}

async fn delete_numbers<E: EntityTrait>(tx: &WriteTx, column: E::Column, numbers: &[i64]) -> Result<()> {
    if !numbers.is_empty() {
        let conn = tx.at();
        E::delete_many().filter(number_in(&conn, column, numbers)).exec(&conn.db).await?;
    }
    Ok(())
}
