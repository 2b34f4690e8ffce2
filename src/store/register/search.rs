//! The search for schools and trusts by name, in two small tables that are updated after imports land or are withdrawn.
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
use crate::store::db::condition::holds;
use crate::store::db::entity::register::{school, trust};
use crate::store::imports::FileKind;
use crate::store::{Readable, Result, WriteTx};

/// A page of schools whose lower-cased name contains the text, or whose URN it is; by name, then URN.
pub async fn find_schools(
    from: &impl Readable,
    text: &str,
    after: Option<&(String, Urn)>,
    limit: u64,
) -> Result<Vec<(String, Urn)>> {
    use school::Column as C;
    let mut find = school::Entity::find().filter(matches(C::Search, C::Urn, text)).limit(limit);
    if let Some((search, urn)) = after {
        find = find.filter(past(C::Search, C::Urn, search, urn.get()));
    }
    let rows = find.order_by_asc(C::Search).order_by_asc(C::Urn).all(&from.at().db).await?;
    rows.into_iter().map(|row| Ok((row.search, urn(row.urn)?))).collect()
}

/// A page of trusts whose lower-cased name contains the text, or whose UID it is; by name, then UID.
pub async fn find_trusts(
    from: &impl Readable,
    text: &str,
    after: Option<&(String, Uid)>,
    limit: u64,
) -> Result<Vec<(String, Uid)>> {
    use trust::Column as C;
    let mut find = trust::Entity::find().filter(matches(C::Search, C::Uid, text)).limit(limit);
    if let Some((search, uid)) = after {
        find = find.filter(past(C::Search, C::Uid, search, uid.get()));
    }
    let rows = find.order_by_asc(C::Search).order_by_asc(C::Uid).all(&from.at().db).await?;
    rows.into_iter().map(|row| Ok((row.search, uid(row.uid)?))).collect()
}

fn matches<C: ColumnTrait>(search: C, number: C, text: &str) -> Cond {
    let part = text.trim().to_lowercase();
    let own_number = part.parse::<u32>().ok().map(|own| number.eq(i64::from(own)));
    Cond::any().add(holds(search, &part)).add_option(own_number)
}

fn past<C: ColumnTrait>(search: C, number: C, last: &str, last_number: u32) -> Cond {
    let same_name = search.eq(last).and(number.gt(i64::from(last_number)));
    Cond::any().add(search.gt(last)).add(same_name)
}

/// Up to `limit` numbers (URNs, or UIDs of trusts) that an import's rows name, above `after`, in order.
async fn named(
    from: &impl Readable,
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

/// Updates the search for the next `limit` schools after `after` that an import names. Returns the last of them, or
/// `None` if there are no more. The caller holds the register's lock.
pub async fn index_schools(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let table = match kind {
        FileKind::Membership => "membership_rows",
        FileKind::Establishments => "establishment_rows",
        FileKind::Ofsted => "ofsted_rows",
        FileKind::Groups | FileKind::Links => return Ok(None),
    };
    let found = named(tx, table, "urn", id, after, limit).await?;
    let urns = found.iter().map(|number| urn(*number)).collect::<Result<Vec<_>>>()?;
    let names = schools(tx, &urns).await?;
    let conn = tx.at();
    let among = number_in(&conn, school::Column::Urn, &urn_numbers(&urns));
    let held = school::Entity::find().filter(among).all(&conn.db).await?;
    let held: HashMap<i64, String> = held.into_iter().map(|row| (row.urn, row.search)).collect();
    let requested = |it: &Urn| names.get(it).map(|school| school.name.to_lowercase());
    let rows = changed(urns.iter().map(|it| (i64::from(it.get()), requested(it))), &held);
    let model = |(urn, search)| school::ActiveModel { urn: sea_orm::Set(urn), search: sea_orm::Set(search) };
    let put = rows.put.into_iter().map(model).collect();
    upsert_all::<school::Entity, _>(tx, put, &[school::Column::Urn], &[school::Column::Search]).await?;
    forget::<school::Entity>(tx, school::Column::Urn, &rows.gone).await?;
    Ok(found.last().copied())
}

/// Updates the search for trusts, as [`index_schools`] does for schools.
pub async fn index_trusts(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let table = match kind {
        FileKind::Groups => "group_rows",
        FileKind::Membership => "membership_rows",
        FileKind::Establishments | FileKind::Ofsted | FileKind::Links => return Ok(None),
    };
    let found = named(tx, table, "uid", id, after, limit).await?;
    let uids = found.iter().map(|number| uid(*number)).collect::<Result<Vec<_>>>()?;
    let names = trusts(tx, &uids).await?;
    let conn = tx.at();
    let among = number_in(&conn, trust::Column::Uid, &uid_numbers(&uids));
    let held = trust::Entity::find().filter(among).all(&conn.db).await?;
    let held: HashMap<i64, String> = held.into_iter().map(|row| (row.uid, row.search)).collect();
    let trust_of = |it: &Uid| names.get(it).filter(|trust| TrustKind::from_gias(trust.kind).is_some());
    let requested = |it: &Uid| trust_of(it).map(|trust| trust.name.to_lowercase());
    let rows = changed(uids.iter().map(|it| (i64::from(it.get()), requested(it))), &held);
    let model = |(uid, search)| trust::ActiveModel { uid: sea_orm::Set(uid), search: sea_orm::Set(search) };
    let put = rows.put.into_iter().map(model).collect();
    upsert_all::<trust::Entity, _>(tx, put, &[trust::Column::Uid], &[trust::Column::Search]).await?;
    forget::<trust::Entity>(tx, trust::Column::Uid, &rows.gone).await?;
    Ok(found.last().copied())
}

/// The differences to the search tables: few, as an import of another month changes few names.
struct Changed {
    put: Vec<(i64, String)>,
    gone: Vec<i64>,
}

fn changed(requested: impl Iterator<Item = (i64, Option<String>)>, held: &HashMap<i64, String>) -> Changed {
    let mut found = Changed { put: Vec::new(), gone: Vec::new() };
    for (number, name) in requested {
        match name {
            Some(name) if held.get(&number) != Some(&name) => found.put.push((number, name)),
            None if held.contains_key(&number) => found.gone.push(number),
            Some(_) | None => {}
        }
    }
    found
}

async fn forget<E: EntityTrait>(tx: &WriteTx, column: E::Column, gone: &[i64]) -> Result<()> {
    if !gone.is_empty() {
        let conn = tx.at();
        E::delete_many().filter(number_in(&conn, column, gone)).exec(&conn.db).await?;
    }
    Ok(())
}
