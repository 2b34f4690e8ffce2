//! Searches for schools and trusts by name or number. The names are in two small tables, which are updated after imports land or
//! are withdrawn.
//!
//! Only the search reads these tables. Names and placements that are shown always come from the files.

use sea_orm::sea_query::{CaseStatement, Cond, ExprTrait as _, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select};

use super::{group_type, newest_schools, newest_trusts};
use crate::domain::ids::{ImportId, Uid, Urn};
use crate::domain::school::TrustKind;
use crate::store::db::bulk_sql::{number_in, select_rows, upsert_all};
use crate::store::db::column_values::{uid, urn};
use crate::store::db::condition::{begins_with_text, contains_text};
use crate::store::db::entity::register::{school, trust};
use crate::store::db::row::row;
use crate::store::imports::FileKind;
use crate::store::{Readable, Result, WriteTx};

/// A page of schools whose name contains the text, in any case, or whose URN is the text. In the order of [`SearchRank`], name and
/// URN, each with its lower-cased name.
pub async fn find_schools(
    from: &dyn Readable,
    text: &str,
    after: Option<&(String, Urn)>,
    limit: u64,
) -> Result<Vec<(String, Urn)>> {
    use school::Column as C;
    let searched = SearchedText::new(text);
    let after = after.map(|(search, urn)| (search.as_str(), urn.get()));
    let find = searched.page(school::Entity::find(), (C::Search, C::Urn), after).limit(limit);
    find.all(&from.at().db).await?.into_iter().map(|row| Ok((row.search, urn(row.urn)?))).collect()
}

/// A page of trusts whose name contains the text, in any case, or whose UID is the text. In the order of [`SearchRank`], name and
/// UID, each with its lower-cased name.
pub async fn find_trusts(
    from: &dyn Readable,
    text: &str,
    after: Option<&(String, Uid)>,
    limit: u64,
) -> Result<Vec<(String, Uid)>> {
    use trust::Column as C;
    let searched = SearchedText::new(text);
    let after = after.map(|(search, uid)| (search.as_str(), uid.get()));
    let find = searched.page(trust::Entity::find(), (C::Search, C::Uid), after).limit(limit);
    find.all(&from.at().db).await?.into_iter().map(|row| Ok((row.search, uid(row.uid)?))).collect()
}

/// How well a name meets a search: better ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SearchRank {
    /// The number is the text, or the name begins with it.
    Begins = 0,
    /// A later word of the name begins with it.
    WordBegins = 1,
    /// The text is in the middle of a word.
    Contains = 2,
}

/// What may stand before a word in a name, besides its beginning.
const BEFORE_WORDS: [&str; 3] = [" ", "-", "("];

/// A text that is searched for, in lower case, and the number that it is, if it is one.
struct SearchedText {
    text: String,
    number: Option<u32>,
}

impl SearchedText {
    fn new(text: &str) -> Self {
        let text = text.trim().to_lowercase();
        Self { number: text.parse().ok(), text }
    }

    /// The rank of a lower-cased name that meets the search.
    fn rank(&self, name: &str, number: u32) -> SearchRank {
        if self.number == Some(number) || name.starts_with(&self.text) {
            SearchRank::Begins
        } else if BEFORE_WORDS.iter().any(|before| name.contains(&format!("{before}{}", self.text))) {
            SearchRank::WordBegins
        } else {
            SearchRank::Contains
        }
    }

    /// The same rank in a query.
    fn rank_expr<C: ColumnTrait>(&self, name: C, number: C) -> SimpleExpr {
        let is_number = self.number.map(|parsed| number.eq(i64::from(parsed)));
        let begins = Cond::any().add(begins_with_text(name, &self.text)).add_option(is_number);
        let word_begins = BEFORE_WORDS
            .iter()
            .fold(Cond::any(), |any, before| any.add(contains_text(name, &format!("{before}{}", self.text))));
        CaseStatement::new()
            .case(begins, SearchRank::Begins as i64)
            .case(word_begins, SearchRank::WordBegins as i64)
            .finally(SearchRank::Contains as i64)
            .into()
    }

    /// Limits a query to what meets the search and comes after the last row of the page before, and orders it.
    fn page<E: EntityTrait, C: ColumnTrait>(
        &self,
        find: Select<E>,
        (name, number): (C, C),
        after: Option<(&str, u32)>,
    ) -> Select<E> {
        let is_number = self.number.map(|parsed| number.eq(i64::from(parsed)));
        let mut find = find.filter(Cond::any().add(contains_text(name, &self.text)).add_option(is_number));
        if let Some((last, last_number)) = after {
            let rank = self.rank(last, last_number) as i64;
            let same_name = name.eq(last).and(number.gt(i64::from(last_number)));
            let same_rank = self.rank_expr(name, number).eq(rank).and(name.gt(last).or(same_name));
            find = find.filter(Cond::any().add(self.rank_expr(name, number).gt(rank)).add(same_rank));
        }
        find.order_by_asc(self.rank_expr(name, number)).order_by_asc(name).order_by_asc(number)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_word_counts_more_than_its_middle() {
        let rows = [
            ("oak", "oakfield school", SearchRank::Begins),
            ("oak", "royal oak primary", SearchRank::WordBegins),
            ("oak", "broad-oak school", SearchRank::WordBegins),
            ("oak", "school (oak site)", SearchRank::WordBegins),
            ("oak", "holyoake academy", SearchRank::Contains),
            ("100001", "an academy", SearchRank::Begins),
            (" Oak ", "oakfield school", SearchRank::Begins),
        ];
        for (text, name, rank) in rows {
            assert_eq!(SearchedText::new(text).rank(name, 100_001), rank, "{text:?} in {name:?}");
        }
    }
}
