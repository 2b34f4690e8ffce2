//! Searches for schools and trusts by name or number. The names are in two small tables, which are updated after imports land or
//! are withdrawn.
//!
//! Only the search reads these tables. Names and placements that are shown always come from the files.

use sea_orm::sea_query::{Cond, ExprTrait as _};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::{group_type, newest_schools, newest_trusts};
use crate::domain::ids::{ImportId, Uid, Urn};
use crate::domain::school::TrustKind;
use crate::store::db::bulk_sql::{number_in, select_rows, upsert_all};
use crate::store::db::column_values::{uid, urn};
use crate::store::db::condition::contains_text;
use crate::store::db::entity::register::{school, trust};
use crate::store::db::row::row;
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

row! {
    /// A school or trust that an import names.
    struct NameRow {
        /// Its URN or UID.
        number: i64,
        /// Its newest name in the files; `None` if no file counts that names it.
        name: Option<String>,
        /// Its kind of group; `None` for a school.
        kind: Option<i64>,
        /// Its text in the search.
        search: Option<String>,
    }
}

/// What is searched for: schools, or trusts.
struct SearchTable {
    name: &'static str,
    /// The column of the URN or UID, in this table and in the rows of files.
    number: &'static str,
    /// A query for the newest names (`name`, and `kind` of groups), for a condition on the rows.
    newest: fn(&str) -> String,
    kind: &'static str,
}

static SCHOOLS: SearchTable =
    SearchTable { name: "schools", number: "urn", newest: newest_schools, kind: "CAST(NULL AS BIGINT)" };
static TRUSTS: SearchTable = SearchTable {
    name: "trusts",
    number: "uid",
    newest: |condition| format!("SELECT uid, name, kind {}", newest_trusts(condition)),
    kind: "newest.kind",
};

impl SearchTable {
    /// The first `limit` schools or trusts that the rows of an import name, with a number above `after`, in order.
    async fn names(
        &self,
        from: &dyn Readable,
        (rows, id): (&str, ImportId),
        after: i64,
        limit: u64,
    ) -> Result<Vec<NameRow>> {
        let Self { name, number, kind, .. } = self;
        let newest = (self.newest)(&format!("r.{number} IN (SELECT number FROM page)"));
        let sql = format!(
            "WITH page AS (SELECT DISTINCT {number} AS number FROM {rows}
               WHERE import_id = $1 AND {number} > $2 ORDER BY number LIMIT {limit})
             SELECT page.number, newest.name, {kind}, s.search FROM page
             LEFT JOIN ({newest}) newest ON newest.{number} = page.number
             LEFT JOIN {name} s ON s.{number} = page.number ORDER BY page.number"
        );
        select_rows(&from.at(), &sql, vec![id.0.into(), after.into()], Ok).await
    }
}

/// Updates the search for those schools that an import names: for the first `limit` of them with a URN above `after`. Returns the
/// last URN. Returns `None` if no schools are left, or if files of this kind do not name schools. The caller holds the register's
/// lock.
pub async fn index_schools(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let rows = match kind {
        FileKind::Membership => "membership_rows",
        FileKind::Establishments => "establishment_rows",
        FileKind::Ofsted => "ofsted_rows",
        FileKind::Groups | FileKind::Links => return Ok(None),
    };
    let names = SCHOOLS.names(tx, (rows, id), after, limit).await?;
    let last = names.last().map(|it| it.number);
    let changes = SearchChanges::of(names, |_| Ok(true))?;
    let model = |(urn, search)| school::ActiveModel { urn: sea_orm::Set(urn), search: sea_orm::Set(search) };
    let put = changes.put.into_iter().map(model).collect();
    upsert_all::<school::Entity, _>(tx, put, &[school::Column::Urn], &[school::Column::Search]).await?;
    delete_numbers::<school::Entity>(tx, school::Column::Urn, &changes.deleted).await?;
    Ok(last)
}

/// Updates the search for trusts, in the same way as [`index_schools`] for schools, by UID. A group that is no trust gets no row in
/// the search table.
pub async fn index_trusts(tx: &WriteTx, kind: FileKind, id: ImportId, after: i64, limit: u64) -> Result<Option<i64>> {
    let rows = match kind {
        FileKind::Groups => "group_rows",
        FileKind::Membership => "membership_rows",
        FileKind::Establishments | FileKind::Ofsted | FileKind::Links => return Ok(None),
    };
    let names = TRUSTS.names(tx, (rows, id), after, limit).await?;
    let last = names.last().map(|it| it.number);
    let is_trust = |kind: Option<i64>| {
        let kind = kind.map(group_type).transpose()?;
        Ok(kind.is_some_and(|it| TrustKind::from_gias(it).is_some()))
    };
    let changes = SearchChanges::of(names, is_trust)?;
    let model = |(uid, search)| trust::ActiveModel { uid: sea_orm::Set(uid), search: sea_orm::Set(search) };
    let put = changes.put.into_iter().map(model).collect();
    upsert_all::<trust::Entity, _>(tx, put, &[trust::Column::Uid], &[trust::Column::Search]).await?;
    delete_numbers::<trust::Entity>(tx, trust::Column::Uid, &changes.deleted).await?;
    Ok(last)
}

/// The changes that a search table needs. They are few, because an import of another month changes few names.
#[derive(Default)]
struct SearchChanges {
    put: Vec<(i64, String)>,
    deleted: Vec<i64>,
}

impl SearchChanges {
    /// Compares the texts of the search with the names. `is_searched` says whether a group of this kind is searched for.
    fn of(names: Vec<NameRow>, is_searched: impl Fn(Option<i64>) -> Result<bool>) -> Result<Self> {
        let mut changes = Self::default();
        for NameRow { number, name, kind, search } in names {
            let expected = if is_searched(kind)? { name.map(|it| it.to_lowercase()) } else { None };
            match expected {
                Some(text) if search.as_ref() != Some(&text) => changes.put.push((number, text)),
                None if search.is_some() => changes.deleted.push(number),
                Some(_) | None => {}
            }
        }
        Ok(changes)
    }
}

async fn delete_numbers<E: EntityTrait>(tx: &WriteTx, column: E::Column, numbers: &[i64]) -> Result<()> {
    if !numbers.is_empty() {
        let conn = tx.at();
        E::delete_many().filter(number_in(&conn, column, numbers)).exec(&conn.db).await?;
    }
    Ok(())
}
