//! Reads pages of offers, with filter and order. A page begins after a key, so that the last page costs as much as the first.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, Order as Direction, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use super::{with_parts, with_version, within_reach, without_parts};
use crate::domain::ids::{OfferId, Programme, Urn};
use crate::domain::offer::Offer;
use crate::domain::offer::lifecycle::State;
use crate::domain::region::Region;
use crate::domain::role::Reach;
use crate::store::db::bulk_sql::number_in;
use crate::store::db::condition::{Comparison, Condition, Operand, compare, contains_text};
use crate::store::db::entity::record::{offer, offer_school};
use crate::store::{Conn, Readable, Result};

/// Which offers a page shows: those that meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferFilter {
    /// In this state.
    pub state: Option<State>,
    /// In this region.
    pub region: Option<Region>,
    /// Assigned to this actor; `Some(None)` for offers without an assignee.
    pub assignee: Option<Option<String>>,
    /// Part of the recipient's or a school's name (any case), or a whole URN or UID.
    pub search: Option<String>,
    /// That list one of these schools.
    pub schools: Option<Vec<Urn>>,
    /// The caller's filter.
    pub condition: Option<Condition<OfferField>>,
}

/// A field of an offer that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferField {
    /// Its state, by name.
    State,
    /// How it ended, by name; no value while it is open.
    Outcome,
    /// `standalone` or `mat`.
    RecipientKind,
    /// URN or UID.
    Recipient,
    /// The recipient's name.
    Name,
    /// The region, by name.
    Region,
    /// The actor to whom it is assigned.
    Assignee,
    /// The UID of its trust, if any.
    Trust,
    /// A school on it, by URN.
    School,
    /// When it was made.
    Made,
}

/// The order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OfferOrder {
    /// In the order in which they were made.
    #[default]
    Made,
    /// The newest offer first.
    MadeLast,
    /// By name, as the database orders texts. Offers of the same name are in the order in which they were made.
    Name,
    /// The reverse of [`OfferOrder::Name`].
    NameLast,
}

/// The start of a page: the page begins after this offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferPageStart {
    /// The offer.
    pub offer: OfferId,
    /// The name of the offer when the page before was read.
    pub name: String,
}

/// The query of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferPageQuery<'a> {
    /// The programme.
    pub programme: &'a Programme,
    /// Which offers the page shows.
    pub filter: &'a OfferFilter,
    /// The order of the offers.
    pub order: OfferOrder,
    /// Where the page begins; by default at the first offer.
    pub after: Option<&'a OfferPageStart>,
    /// The most offers to return.
    pub limit: u64,
    /// Whether to read their schools and contacts.
    pub parts: bool,
}

/// A page of offers within reach.
pub async fn page(from: &dyn Readable, reach: &Reach, query: &OfferPageQuery<'_>) -> Result<Vec<Offer>> {
    let conn = from.at();
    let mut find = select_page(reach, query);
    if let Some(urns) = &query.filter.schools {
        find = find.filter(lists_one_of(&conn, urns));
    }
    let rows = with_version(find).all(&conn.db).await?;
    let order: Vec<OfferId> = rows.iter().map(|row| OfferId(row.offer.id)).collect();
    let offers = if query.parts { with_parts(&conn, rows).await? } else { without_parts(rows)? };
    let mut offers: HashMap<OfferId, Offer> = offers.into_iter().collect();
    Ok(order.iter().filter_map(|id| offers.remove(id)).collect())
}

/// The query for the rows of a page, in the order of the page.
fn select_page(reach: &Reach, query: &OfferPageQuery<'_>) -> Select<offer::Entity> {
    use offer::Column as C;
    let mut find = offer::Entity::find()
        .filter(C::Programme.eq(query.programme.as_str()))
        .filter(within_reach(reach))
        .filter(meets_filter(query.filter))
        .limit(query.limit);
    let direction = if matches!(query.order, OfferOrder::MadeLast | OfferOrder::NameLast) {
        Direction::Desc
    } else {
        Direction::Asc
    };
    let by_name = matches!(query.order, OfferOrder::Name | OfferOrder::NameLast);
    if by_name {
        find = find.order_by(C::Name, direction.clone());
    }
    find = find.order_by(C::Id, direction);
    if let Some(after) = query.after {
        find = find.filter(after_start(query.order, after));
    }
    find
}

/// The condition that an offer comes after the start of the page.
fn after_start(order: OfferOrder, start: &OfferPageStart) -> SimpleExpr {
    use offer::Column as C;
    let id = start.offer.0;
    let pair = || Expr::tuple([Expr::col(C::Name), Expr::col(C::Id)]);
    let start_pair = || Expr::tuple([Expr::value(start.name.as_str()), Expr::value(id)]);
    match order {
        OfferOrder::Made => C::Id.gt(id),
        OfferOrder::MadeLast => C::Id.lt(id),
        OfferOrder::Name => pair().gt(start_pair()),
        OfferOrder::NameLast => pair().lt(start_pair()),
    }
}

/// The condition that an offer meets a filter.
fn meets_filter(filter: &OfferFilter) -> Cond {
    use offer::Column as C;
    let assignee = filter.assignee.as_ref().map(|it| match it {
        Some(actor) => C::Assignee.eq(actor.as_str()),
        None => C::Assignee.is_null(),
    });
    let mut condition = Cond::all()
        .add_option(filter.state.map(|it| C::State.eq(it.name())))
        .add_option(filter.region.map(|it| C::Region.eq(it.name())))
        .add_option(assignee);
    if let Some(search) = &filter.search {
        condition = condition.add(matches_search(search));
    }
    if let Some(requested) = &filter.condition {
        condition = condition.add(requested.to_condition(&field_comparison));
    }
    condition
}

/// The condition that a field of an offer meets a comparison.
fn field_comparison(field: OfferField, comparison: Comparison, operand: &Operand) -> SimpleExpr {
    use offer::Column as C;
    let column = match field {
        OfferField::State => C::State,
        OfferField::Outcome => C::Outcome,
        OfferField::RecipientKind => C::RecipientKind,
        OfferField::Recipient => C::Recipient,
        OfferField::Name if matches!(comparison, Comparison::Has | Comparison::HasNot) => C::Search,
        OfferField::Name => C::Name,
        OfferField::Region => C::Region,
        OfferField::Assignee => C::Assignee,
        OfferField::Trust => C::TrustUid,
        OfferField::School => return school_comparison(comparison, operand),
        OfferField::Made => C::MadeAt,
    };
    compare(column, comparison, operand)
}

/// The condition that an offer lists a school, or does not for a negative comparison.
fn school_comparison(comparison: Comparison, operand: &Operand) -> SimpleExpr {
    let number = if let Operand::Number(number) = operand { *number } else { 0 };
    let is_listed = lists_school(number);
    if matches!(comparison, Comparison::NotEqual | Comparison::HasNot) { is_listed.not() } else { is_listed }
}

fn lists_school(number: i64) -> SimpleExpr {
    offer::Column::Id.in_subquery(
        Query::select()
            .column(offer_school::Column::OfferId)
            .from(offer_school::Entity)
            .and_where(offer_school::Column::Urn.eq(number))
            .to_owned(),
    )
}

/// The condition that an offer lists one of these schools.
fn lists_one_of(conn: &Conn<'_>, urns: &[Urn]) -> SimpleExpr {
    let urns: Vec<i64> = urns.iter().map(|urn| i64::from(urn.get())).collect();
    let listing = Query::select()
        .column(offer_school::Column::OfferId)
        .from(offer_school::Entity)
        .and_where(number_in(conn, offer_school::Column::Urn, &urns))
        .to_owned();
    offer::Column::Id.in_subquery(listing)
}

/// The condition that the search text of an offer contains a text, or that the text is the number of its recipient or of one of
/// its schools.
fn matches_search(search: &str) -> Cond {
    let part = search.trim().to_lowercase();
    let mut condition = Cond::any().add(contains_text(offer::Column::Search, &part));
    if let Ok(number) = part.parse::<i64>() {
        condition = condition.add(offer::Column::Recipient.eq(number)).add(lists_school(number));
    }
    condition
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sea_orm::{DbBackend, QueryTrait as _};

    use super::*;
    use crate::domain::role::Regions;
    use crate::store::db::bulk_sql::select_rows;
    use crate::store::{Store, Use};

    /// The steps of SQLite's query plan for a page, in a database without statistics.
    async fn plan(store: &Store, reach: &Reach, query: &OfferPageQuery<'_>) -> Vec<String> {
        let statement = select_page(reach, query).build(DbBackend::Sqlite);
        let values = statement.values.map(|it| it.0).unwrap_or_default();
        let detail = |(.., detail): (i64, i64, i64, String)| Ok(detail);
        let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        select_rows(&store.at(), &sql, values, detail).await.unwrap()
    }

    #[tokio::test]
    async fn the_index_of_every_page_gives_the_order_of_the_page() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let programme: Programme = "2021-22".parse().unwrap();
        let [here, there] = ["West Midlands", "North of England"].map(|it| it.parse::<Region>().unwrap());
        let (region, state) = (Some(here), Some(State::Identified));
        let everywhere = Reach::everything();
        let two_regions = Reach { regions: Regions::These([here, there].into_iter().collect()), assigned_to: None };
        let assigned_only =
            Reach { regions: Regions::These(BTreeSet::new()), assigned_to: Some("ann".parse().unwrap()) };
        let not_closed = Condition::Is(OfferField::State, Comparison::NotEqual, Operand::Text("closed".to_owned()));
        let unassigned = OfferFilter { assignee: Some(None), ..Default::default() };
        let cases = [
            (
                OfferFilter { region, state, ..Default::default() },
                &everywhere,
                "offers_by_region_and_state (programme=? AND region=? AND state=? AND id",
            ),
            (
                OfferFilter { region, ..Default::default() },
                &everywhere,
                "offers_by_region (programme=? AND region=? AND id",
            ),
            (OfferFilter { state, ..Default::default() }, &everywhere, "offers_by_id (programme=? AND id"),
            (OfferFilter::default(), &everywhere, "offers_by_id (programme=? AND id"),
            (OfferFilter::default(), &two_regions, "offers_by_id (programme=? AND id"),
            (OfferFilter::default(), &assigned_only, "offers_by_assignee (programme=? AND assignee=? AND id"),
            (unassigned, &everywhere, "offers_by_assignee (programme=? AND assignee=? AND id"),
            (
                OfferFilter { condition: Some(not_closed), ..Default::default() },
                &everywhere,
                "offers_by_id (programme=? AND id",
            ),
        ];
        let start = OfferPageStart { offer: OfferId(uuid::Uuid::nil()), name: "St Wilfreda's".to_owned() };
        for (filter, reach, index_by_id) in cases {
            for order in [OfferOrder::Made, OfferOrder::MadeLast, OfferOrder::Name, OfferOrder::NameLast] {
                let by_name = matches!(order, OfferOrder::Name | OfferOrder::NameLast);
                let index = if by_name { "offers_by_name (programme=? AND (name,id)" } else { index_by_id };
                for after in [None, Some(&start)] {
                    let query = OfferPageQuery {
                        programme: &programme,
                        filter: &filter,
                        order,
                        after,
                        limit: 100,
                        parts: true,
                    };
                    let plan = plan(&store, reach, &query).await;
                    let [step] = plan.as_slice() else { panic!("{filter:?} by {order:?}: {plan:?}") };
                    // The first page has no condition on the column of the order, which is the last part of the text.
                    let index = if after.is_some() { index } else { index.rsplit_once(" AND ").unwrap().0 };
                    assert!(step.contains(index), "{filter:?} by {order:?} is found by {index}: {plan:?}");
                }
            }
        }
    }
}
