//! Reads and writes the current state of offers. Finds them by id, by recipient or by page.

mod pages;
mod search;

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Cond, Expr, Query};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _, Select, SelectModel, Selector, Value,
};
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Conn, Readable, Result, StoreError};
use crate::domain::event::Seq;
use crate::domain::ids::{OfferId, Programme, Urn};
use crate::domain::offer::lifecycle::State;
use crate::domain::offer::{Acceptance, Acceptor, Contact, ListedSchool, Offer, Outcome, Party, Recipient};
use crate::domain::placement::RecipientKind;
use crate::domain::role::{Reach, Regions};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table};
use crate::store::db::bulk_sql::{id_in, ids, number_in, uuid_in};
use crate::store::db::column_values::{actor, by_name, hash, region, uid, urn};
use crate::store::db::entity::record::{contact, offer, offer_school};
use crate::store::db::multi_query::{MultiQuery, QueryResults};
use crate::store::db::pg_date;
use crate::store::db::row::{Column, Row, column_count, concatenated, with_blank};
pub use pages::{OfferField, OfferFilter, OfferOrder, OfferPageQuery, OfferPageStart, page};
pub use search::OfferSearch;
pub(in crate::store) use search::Values;

/// Those of these offers that exist, by id, with their schools and contacts.
pub async fn find(from: &dyn Readable, ids: &[OfferId]) -> Result<BTreeMap<OfferId, Offer>> {
    let conn = from.at();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = with_version(offer::Entity::find().filter(uuid_in(&conn, offer::Column::Id, &ids)));
    with_parts(&conn, rows.all(&conn.db).await?).await
}

/// The version of an offer, as an expression of a query of `offers`: the number of its last event of a kind in
/// [`EventBody::KINDS_THAT_CHANGE_ETAG`]. It has no column, so that an award need not write to the row of its offer.
const VERSION: &str = "COALESCE((SELECT e.seq FROM events e WHERE e.offer_id = offers.id AND e.kind IN ('identified', \
    'schools_added', 'contacted', 'contact_corrected', 'accepted', 'started', 'date_corrected', 'closed', 'reopened', 'awarded', \
    'days_booked', 'booking_cancelled', 'booking_delivered', 'drawn', 'released', 'refunded', 'undone') \
    ORDER BY e.seq DESC LIMIT 1), 0)";

/// A row of an offer, with the version of the offer.
#[derive(Debug, FromQueryResult)]
struct VersionedRow {
    #[sea_orm(nested)]
    offer: offer::Model,
    version: i64,
}

/// Adds the versions of the offers to a query.
fn with_version(find: Select<offer::Entity>) -> Selector<SelectModel<VersionedRow>> {
    find.expr_as(Expr::cust(VERSION), "version").into_model()
}

/// Adds a query for these offers without their schools and contacts, which decisions about money do not need. Such an offer
/// must not be written by [`put`]. Returns the query's number.
pub(super) fn add_bare_query(conn: &Conn<'_>, queries: &mut MultiQuery, offers: &[OfferId]) -> usize {
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    queries.add(BARE_COLUMNS, [ids(conn, &offers)], |index| format!("FROM offers WHERE {}", id_in(conn, "id", index)))
}

/// Adds queries for the schools and the contacts of these offers. Returns the numbers of the two queries.
pub(super) fn add_parts_queries(conn: &Conn<'_>, queries: &mut MultiQuery, offers: &[OfferId]) -> OfferParts<usize> {
    let offers: Vec<Uuid> = offers.iter().map(|id| id.0).collect();
    let of_offers = |index| id_in(conn, "offer_id", index);
    let schools = |index| format!("FROM offer_schools WHERE {}", of_offers(index));
    let contacts = |index| format!("FROM contacts WHERE {}", of_offers(index));
    OfferParts {
        schools: queries.add(offer_school::Model::COLUMNS, [ids(conn, &offers)], schools),
        contacts: queries.add(contact::Model::COLUMNS, [ids(conn, &offers)], contacts),
    }
}

/// Something for each of the two parts of an offer that have their own tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfferParts<T> {
    schools: T,
    contacts: T,
}

/// Adds the schools and contacts that [`add_parts_queries`] has read to the offers.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn add_parts(
    offers: &mut BTreeMap<OfferId, Offer>,
    results: &QueryResults,
    queries: Option<OfferParts<usize>>,
) -> Result<()> {
    let schools = results.read(queries.map(|it| it.schools), |row: offer_school::Model| {
        Ok((OfferId(row.offer_id), decode_school(row)?))
    })?;
    let mut contacts = results.read(queries.map(|it| it.contacts), |row: contact::Model| {
        Ok((OfferId(row.offer_id), decode_contact(&row)?))
    })?;
    contacts.sort_unstable_by_key(|(_, contact)| contact.seq);
    for (id, school) in schools {
        if let Some(offer) = offers.get_mut(&id) {
            offer.schools.insert(school.urn, school);
        }
    }
    for (id, contact) in contacts {
        if let Some(offer) = offers.get_mut(&id) {
            offer.contacts.push(contact);
        }
    }
    Ok(())
}

/// All columns of an offer except the search text, which is long, and the version.
const BARE_COLUMNS: &[Column] = {
    const WITHOUT_SEARCH: &[Column] = &with_blank::<{ offer::Model::COLUMNS.len() }>(offer::Model::COLUMNS, "search");
    const PARTS: &[&[Column]] = &[WITHOUT_SEARCH, &[(VERSION, ColumnType::Int)]];
    &concatenated::<{ column_count(PARTS) }>(PARTS)
};

/// Every offer of a programme, by id.
pub async fn of_programme(from: &dyn Readable, programme: &Programme) -> Result<BTreeMap<OfferId, Offer>> {
    let conn = from.at();
    let find = offer::Entity::find().filter(offer::Column::Programme.eq(programme.as_str()));
    with_parts(&conn, with_version(find).all(&conn.db).await?).await
}

/// The offers of a programme to these recipients.
pub async fn to_recipients(
    from: &dyn Readable,
    programme: &Programme,
    recipients: &[Recipient],
) -> Result<BTreeMap<OfferId, Offer>> {
    if recipients.is_empty() {
        return Ok(BTreeMap::new());
    }
    let conn = from.at();
    let of_kind = |kind: RecipientKind| {
        let recipients = recipients.iter().filter(|it| it.row() == kind);
        let numbers: Vec<i64> = recipients.map(|it| i64::from(it.number())).collect();
        let kind = offer::Column::RecipientKind.eq(kind.as_str());
        Cond::all().add(kind).add(number_in(&conn, offer::Column::Recipient, &numbers))
    };
    let to_recipient = Cond::any().add(of_kind(RecipientKind::Standalone)).add(of_kind(RecipientKind::Mat));
    let find = offer::Entity::find().filter(offer::Column::Programme.eq(programme.as_str())).filter(to_recipient);
    with_parts(&conn, with_version(find).all(&conn.db).await?).await
}

/// Every offer of a programme with its schools and contacts, for `verify`.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<OfferId, Offer>> {
    let conn = from.at();
    let value = || vec![programme.as_str().into()];
    let id = |row: &QueryResult| Ok(OfferId(row.try_get("", "id")?));
    let read = |row: &QueryResult| {
        pg_date::optional(row, "accepted_on")?;
        pg_date::optional(row, "started_on")?;
        decode_bare((offer::Model::from_query_result(row, "")?, row.try_get("", "version")?))
    };
    let sql = format!("SELECT *, {VERSION} AS version FROM offers WHERE programme = $1");
    let mut offers = read_each(&conn, &sql, value(), id, read).await?;
    let school_key = |row: &QueryResult| Ok((OfferId(row.try_get("", "offer_id")?), row.try_get::<i64>("", "urn")?));
    let read = |row: &QueryResult| decode_school(offer_school::Model::from_query_result(row, "")?);
    let schools =
        read_each(&conn, "SELECT * FROM offer_schools WHERE programme = $1", value(), school_key, read).await?;
    offers.attach("school", schools, |offer, it| offer.schools.extend([(it.urn, it)]));
    let contact_key = |row: &QueryResult| Ok((OfferId(row.try_get("", "offer_id")?), Seq(row.try_get("", "seq")?)));
    let read = |row: &QueryResult| {
        pg_date::required(row, "happened_on")?;
        decode_contact(&contact::Model::from_query_result(row, "")?)
    };
    let contacts = read_each(&conn, "SELECT * FROM contacts WHERE programme = $1", value(), contact_key, read).await?;
    offers.attach("contact", contacts, |offer, it| offer.contacts.push(it));
    let id = |row: &QueryResult| Ok(OfferId(row.try_get("", "id")?));
    let text = |row: &QueryResult| Ok(row.try_get::<String>("", "search")?);
    let search_texts =
        read_each(&conn, "SELECT id, search FROM offers WHERE programme = $1", value(), id, text).await?;
    for (id, row) in &mut offers.rows {
        if let (Ok(offer), Some(Ok(stored))) = (&row, search_texts.rows.get(id))
            && *stored != search_text(offer)
        {
            *row = Err(format!("its search text is {stored:?}, which is not its names"));
        }
    }
    Ok(offers)
}

/// The open offers within reach that list these schools: the id of each offer, by school.
pub async fn listing(
    from: &dyn Readable,
    programme: &Programme,
    reach: &Reach,
    urns: &[Urn],
) -> Result<HashMap<Urn, OfferId>> {
    let conn = from.at();
    let urns: Vec<i64> = urns.iter().map(|urn| i64::from(urn.get())).collect();
    let rows = offer_school::Entity::find()
        .filter(offer_school::Column::Programme.eq(programme.as_str()))
        .filter(offer_school::Column::Open.eq(true))
        .filter(school_within_reach(reach))
        .filter(number_in(&conn, offer_school::Column::Urn, &urns))
        .all(&conn.db)
        .await?;
    rows.into_iter().map(|row| Ok((urn(row.urn)?, OfferId(row.offer_id)))).collect()
}

/// The programme of each of these offers; an offer that does not exist is left out.
pub async fn programmes(from: &dyn Readable, ids: &[OfferId]) -> Result<Vec<(OfferId, Programme)>> {
    let conn = from.at();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String)> = offer::Entity::find()
        .select_only()
        .columns([offer::Column::Id, offer::Column::Programme])
        .filter(uuid_in(&conn, offer::Column::Id, &ids))
        .into_tuple()
        .all(&conn.db)
        .await?;
    let read = |(id, programme): (Uuid, String)| Ok((OfferId(id), programme.parse().map_err(StoreError::unreadable)?));
    rows.into_iter().map(read).collect()
}

/// The number of schools on a programme's open offers.
pub async fn count_listed(from: &dyn Readable, programme: &Programme) -> Result<u64> {
    let find = offer_school::Entity::find()
        .filter(offer_school::Column::Programme.eq(programme.as_str()))
        .filter(offer_school::Column::Open.eq(true));
    Ok(find.count(&from.at().db).await?)
}

/// The condition that an offer is within a reach: in one of its regions, or assigned to its actor. For a reach without regions it
/// compares only the assignee, so that the database can use an index.
fn within_reach(reach: &Reach) -> Cond {
    let Regions::These(regions) = &reach.regions else { return Cond::all() };
    let in_regions = offer::Column::Region.is_in(regions.iter().map(|it| it.name()));
    let assigned = reach.assigned_to.as_ref().map(|actor| offer::Column::Assignee.eq(actor.as_str()));
    match assigned {
        Some(assigned) if regions.is_empty() => Cond::all().add(assigned),
        assigned => Cond::any().add(in_regions).add_option(assigned),
    }
}

/// A query for the ids of all offers within reach. The values of the query are added to `values`. `None` if the reach has no
/// limit.
pub(super) fn ids_within(reach: &Reach, values: &mut Vec<Value>) -> Option<String> {
    let condition = reach_condition(reach, &mut |value| {
        values.push(value.into());
        format!("${}", values.len())
    });
    Some(format!("SELECT id FROM offers WHERE {}", condition?))
}

/// The condition that a row has the `region` or the `assignee` of an offer within reach. `bind` adds a value to the statement and
/// returns its parameter. `None` if the reach has no limit.
fn reach_condition(reach: &Reach, bind: &mut impl FnMut(&str) -> String) -> Option<String> {
    let Regions::These(regions) = &reach.regions else { return None };
    let regions: Vec<String> = regions.iter().map(|it| bind(it.name())).collect();
    let mut alternatives = Vec::new();
    if !regions.is_empty() {
        alternatives.push(format!("region IN ({})", regions.join(", ")));
    }
    alternatives.extend(reach.assigned_to.as_ref().map(|actor| format!("assignee = {}", bind(actor.as_str()))));
    Some(if alternatives.is_empty() { "1 = 0".to_owned() } else { format!("({})", alternatives.join(" OR ")) })
}

/// The condition that a school is on an offer within a reach.
fn school_within_reach(reach: &Reach) -> Cond {
    if reach.is_everything() {
        return Cond::all();
    }
    let offers =
        Query::select().column(offer::Column::Id).from(offer::Entity).cond_where(within_reach(reach)).to_owned();
    Cond::all().add(offer_school::Column::OfferId.in_subquery(offers))
}

static OFFERS: Table = Table {
    name: "offers",
    shared: &[],
    columns: offer::Model::COLUMNS,
    how: RowWrite::Upsert {
        key: &["id"],
        update: &[
            "region",
            "state",
            "assignee",
            "outcome",
            "before_close",
            "accepted_by",
            "accepted_on",
            "trust_uid",
            "responsible",
            "started_on",
            "search",
        ],
    },
};

static SCHOOLS: Table = Table {
    name: "offer_schools",
    shared: &[],
    columns: offer_school::Model::COLUMNS,
    how: RowWrite::Upsert { key: &["offer_id", "urn"], update: &["open"] },
};

static CONTACTS: Table = Table {
    name: "contacts",
    shared: &[],
    columns: contact::Model::COLUMNS,
    how: RowWrite::Upsert { key: &["programme", "seq"], update: &["corrected_by"] },
};

/// Adds offers to a batch write, with their schools and contacts. The database refuses a second offer to a recipient, and a school on
/// a second open offer.
pub(super) fn put(batch: &mut BatchWrite, offers: &[&Offer]) {
    batch.rows(&OFFERS, [], offers.iter().map(|it| row_of(it).cells()));
    batch.rows(&SCHOOLS, [], offers.iter().flat_map(|it| schools_of(it)).map(Row::cells));
    batch.rows(&CONTACTS, [], offers.iter().flat_map(|it| contacts_of(it)).map(Row::cells));
}

/// The search text of an offer: its name and the other names of its schools, in lower case.
fn search_text(it: &Offer) -> String {
    let mut search = it.name.to_lowercase();
    for school in it.schools.values().filter(|school| school.name != it.name) {
        search.push('\n');
        search.push_str(&school.name.to_lowercase());
    }
    search
}

fn row_of(it: &Offer) -> offer::Model {
    offer::Model {
        id: it.id.0,
        programme: it.programme.to_string(),
        recipient_kind: it.recipient.kind().to_owned(),
        recipient: i64::from(it.recipient.number()),
        name: it.name.clone(),
        region: it.region.name().to_owned(),
        state: it.state.name().to_owned(),
        assignee: it.assignee.as_ref().map(ToString::to_string),
        outcome: it.outcome.map(|outcome| outcome.name().to_owned()),
        before_close: it.before_close.map(|state| state.name().to_owned()),
        accepted_by: it.accepted.map(|accepted| accepted.by.name().to_owned()),
        accepted_on: it.accepted.map(|accepted| accepted.on),
        started_on: it.started,
        trust_uid: it.trust.map(|uid| i64::from(uid.get())),
        responsible: serde_json::to_string(&it.responsible).unwrap_or_default(),
        terms_sha256: it.terms.to_vec(),
        search: search_text(it),
        made_at: it.made_at.0,
    }
}

fn schools_of(it: &Offer) -> impl Iterator<Item = offer_school::Model> {
    it.schools.values().map(|school| offer_school::Model {
        offer_id: it.id.0,
        urn: i64::from(school.urn.get()),
        programme: it.programme.to_string(),
        name: school.name.clone(),
        rules: school.rules.join(" "),
        open: it.is_open(),
    })
}

fn contacts_of(it: &Offer) -> impl Iterator<Item = contact::Model> {
    it.contacts.iter().map(|contact| contact::Model {
        programme: it.programme.to_string(),
        seq: contact.seq.0,
        offer_id: it.id.0,
        party: contact.party.name().to_owned(),
        urn: contact.urn.map(|urn| i64::from(urn.get())),
        happened_on: contact.on,
        corrected_by: contact.corrected_by.map(|seq| seq.0),
    })
}

/// Decodes offers and adds their schools and contacts, with two queries for all offers together.
async fn with_parts(conn: &Conn<'_>, rows: Vec<VersionedRow>) -> Result<BTreeMap<OfferId, Offer>> {
    if rows.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.offer.id).collect();
    let schools = offer_school::Entity::find().filter(uuid_in(conn, offer_school::Column::OfferId, &ids));
    let contacts = contact::Entity::find()
        .filter(uuid_in(conn, contact::Column::OfferId, &ids))
        .order_by_asc(contact::Column::Seq);
    let mut offers = without_parts(rows)?;
    for row in schools.all(&conn.db).await? {
        if let Some(offer) = offers.get_mut(&OfferId(row.offer_id)) {
            let school = decode_school(row)?;
            offer.schools.insert(school.urn, school);
        }
    }
    for row in contacts.all(&conn.db).await? {
        if let Some(offer) = offers.get_mut(&OfferId(row.offer_id)) {
            offer.contacts.push(decode_contact(&row)?);
        }
    }
    Ok(offers)
}

fn decode_school(row: offer_school::Model) -> Result<ListedSchool> {
    let rules = row.rules.split_whitespace().map(ToOwned::to_owned).collect();
    Ok(ListedSchool { urn: urn(row.urn)?, name: row.name, rules })
}

fn decode_contact(row: &contact::Model) -> Result<Contact> {
    Ok(Contact {
        seq: Seq(row.seq),
        party: by_name(Party::named, &row.party)?,
        urn: row.urn.map(urn).transpose()?,
        on: row.happened_on,
        corrected_by: row.corrected_by.map(Seq),
    })
}

/// Decodes offers, without their schools and contacts.
fn without_parts(rows: Vec<VersionedRow>) -> Result<BTreeMap<OfferId, Offer>> {
    rows.into_iter().map(|row| Ok((OfferId(row.offer.id), decode_bare((row.offer, row.version))?))).collect()
}

/// Decodes an offer from its row and its version, without its schools and contacts.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn decode_bare((row, version): (offer::Model, i64)) -> Result<Offer> {
    let recipient = match row.recipient_kind.as_str() {
        "standalone" => Recipient::Standalone(urn(row.recipient)?),
        "mat" => Recipient::Mat(uid(row.recipient)?),
        other => return Err(StoreError::unreadable(format!("recipient kind {other:?}"))),
    };
    let accepted = match (row.accepted_by, row.accepted_on) {
        (Some(by), Some(on)) => Some(Acceptance { by: by_name(Acceptor::named, &by)?, on }),
        (None, None) => None,
        (by, on) => return Err(StoreError::unreadable(format!("accepted by {by:?} on {on:?}"))),
    };
    Ok(Offer {
        id: OfferId(row.id),
        programme: row.programme.parse().map_err(StoreError::unreadable)?,
        recipient,
        name: row.name,
        region: region(&row.region)?,
        state: by_name(State::named, &row.state)?,
        before_close: row.before_close.map(|it| by_name(State::named, &it)).transpose()?,
        outcome: row.outcome.map(|it| by_name(Outcome::named, &it)).transpose()?,
        accepted,
        started: row.started_on,
        assignee: row.assignee.as_deref().map(actor).transpose()?,
        trust: row.trust_uid.map(uid).transpose()?,
        responsible: serde_json::from_str(&row.responsible).map_err(StoreError::unreadable)?,
        terms: hash(&row.terms_sha256)?.0,
        schools: BTreeMap::new(),
        contacts: Vec::new(),
        version: Seq(version),
        made_at: Micros(row.made_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventBody;
    use crate::store::db::bulk_sql::select_rows;
    use crate::store::{Store, Use};

    #[test]
    fn the_version_is_the_last_event_that_changes_the_etag() {
        let (_, kinds) = VERSION.split_once(" IN (").unwrap();
        let (kinds, _) = kinds.split_once(')').unwrap();
        assert_eq!(kinds, format!("'{}'", EventBody::KINDS_THAT_CHANGE_ETAG.join("', '")));
    }

    #[tokio::test]
    async fn the_version_is_found_by_the_index_of_events() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let detail = |(.., detail): (i64, i64, i64, String)| Ok(detail);
        let sql = format!("EXPLAIN QUERY PLAN SELECT {VERSION} FROM offers WHERE id = x'00'");
        let plan = select_rows(&store.at(), &sql, Vec::new(), detail).await.unwrap();
        assert!(plan.iter().any(|it| it == "SEARCH e USING INDEX events_of_offer (offer_id=?)"), "{plan:?}");
        assert!(!plan.iter().any(|it| it.contains("TEMP B-TREE")), "{plan:?}");
    }
}
