//! Finds what is due in the rows of offers, contacts, awards and bookings. Each query returns the items of one kind that fell due
//! first, so that a page costs no more if many offers are overdue.

use sea_orm::Value;
use uuid::Uuid;

use super::offers::{OfferSearch, Values};
use super::{Conn, Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::due::DueStage;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, AwardId, OfferId, Urn};
use crate::domain::offer::Recipient;
use crate::domain::region::Region;
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::column_values::{region, uid, urn};
use crate::store::db::row::{Row as _, row};

/// When a stage began: offers are made at a moment, all else is dated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageStart {
    /// The moment at which an offer was made.
    Moment(Micros),
    /// A day.
    Day(Date),
}

/// What tells items of one kind apart that began at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageItem {
    /// The number of a booking.
    Number(i64),
    /// The id of an offer or an award.
    Id(Uuid),
}

/// The items of one kind that a query returns.
#[derive(Debug, Clone, Copy)]
pub struct StageQuery {
    /// What the items wait for.
    pub stage: DueStage,
    /// The day of the list.
    pub on: Date,
    /// Whether that day is before today, so that events dated later do not count.
    pub is_past: bool,
    /// The last day of the period in which awards are made.
    pub awards_until: Date,
    /// Only stages that began before this.
    pub before: StageStart,
    /// Only stages that began then or later.
    pub from: StageStart,
    /// Only items after this one.
    pub after: Option<(StageStart, StageItem)>,
    /// The most items to return.
    pub limit: u64,
}

/// An offer, as lists of what is due show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueOffer {
    /// Its id.
    pub id: OfferId,
    /// Its region.
    pub region: Region,
    /// The actor to whom it is assigned.
    pub assignee: Option<Actor>,
    /// Its recipient.
    pub recipient: Recipient,
    /// The name of the recipient.
    pub name: String,
}

/// A stage that an offer, an award or a booking has been in since some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStage {
    /// When it began.
    pub since: StageStart,
    /// What tells it apart from others that began at the same time.
    pub item: StageItem,
    /// The offer.
    pub offer: DueOffer,
    /// The award, of a claim.
    pub award: Option<AwardId>,
    /// The strand of the award.
    pub strand: Option<String>,
    /// The booking, of a booked day.
    pub booking: Option<Seq>,
}

row! {
    struct OfferRow {
        id: OfferId,
        region: String,
        assignee: Option<Actor>,
        recipient_kind: String,
        recipient: i64,
        name: String,
    }
}

row! {
    struct StageRow {
        ..offer: OfferRow,
        made_at: Micros,
        since: Option<Date>,
        award_id: Option<AwardId>,
        strand: Option<String>,
        booking: Option<Seq>,
    }
}

row! {
    struct ListedRow {
        ..offer: OfferRow,
        urn: i64,
        school_name: String,
    }
}

/// Which offers' schools are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffersWithSchools {
    /// Those of open offers.
    Open,
    /// Those of all offers.
    All,
}

/// A school on an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSchool {
    /// The school.
    pub urn: Urn,
    /// Its name when it was added.
    pub name: String,
    /// The offer.
    pub offer: DueOffer,
}

impl From<StageStart> for Value {
    fn from(it: StageStart) -> Self {
        match it {
            StageStart::Moment(at) => at.0.into(),
            StageStart::Day(day) => day.into(),
        }
    }
}

impl From<StageItem> for Value {
    fn from(it: StageItem) -> Self {
        match it {
            StageItem::Number(number) => number.into(),
            StageItem::Id(id) => id.into(),
        }
    }
}

/// The items of one kind that fell due first, in the order of their start and of [`StageItem`].
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`].
pub async fn stages(from: &dyn Readable, offers: &OfferSearch<'_>, query: &StageQuery) -> Result<Vec<OpenStage>> {
    let conn = from.at();
    let (sql, values) = stages_sql(&conn, offers, query);
    select_rows(&conn, &sql, values, |row: StageRow| {
        let item = match (row.booking, row.award_id) {
            (Some(booking), _) => StageItem::Number(booking.0),
            (None, Some(award)) => StageItem::Id(award.0),
            (None, None) => StageItem::Id(row.offer.id.0),
        };
        Ok(OpenStage {
            since: row.since.map_or(StageStart::Moment(row.made_at), StageStart::Day),
            item,
            offer: due_offer(row.offer)?,
            award: row.award_id,
            strand: row.strand,
            booking: row.booking,
        })
    })
    .await
}

/// The schools of the offers that are searched, by URN: of open offers only, or also of closed ones.
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`].
pub async fn listed_schools(
    from: &dyn Readable,
    offers: &OfferSearch<'_>,
    which: OffersWithSchools,
) -> Result<Vec<ListedSchool>> {
    let conn = from.at();
    let mut values = Values::default();
    let conditions = offers.conditions(&conn, &mut values);
    let open = if which == OffersWithSchools::Open { "s.open AND " } else { "" };
    let sql = format!(
        "SELECT o.id, o.region, o.assignee, o.recipient_kind, o.recipient, o.name, s.urn, s.name \
         FROM offer_schools s JOIN offers o ON o.id = s.offer_id WHERE {open}{conditions} ORDER BY s.urn"
    );
    let read =
        |row: ListedRow| Ok(ListedSchool { urn: urn(row.urn)?, name: row.school_name, offer: due_offer(row.offer)? });
    select_rows(&conn, &sql, values.0, read).await
}

/// The day of the newest entry of a fund; `None` if it has none.
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`].
pub async fn last_entry_of_fund(from: &dyn Readable, fund: AccountId) -> Result<Option<Date>> {
    let sql = "SELECT v.effective_on FROM entries e JOIN events v ON v.programme = e.programme AND v.seq = e.event_seq \
               WHERE e.account_id = $1 AND e.on_fund ORDER BY e.seq DESC LIMIT 1";
    let days: Vec<Date> = select_rows(&from.at(), sql, vec![fund.0.into()], Ok).await?;
    Ok(days.first().copied())
}

/// The statement of a query, and its values.
fn stages_sql(conn: &Conn<'_>, offers: &OfferSearch<'_>, query: &StageQuery) -> (String, Vec<Value>) {
    let mut values = Values::default();
    let (since, tables, in_stage) = stage_sql(query, &mut values);
    let conditions = offers.conditions(conn, &mut values);
    let (start, item, [award, strand, booking]) = match query.stage {
        DueStage::FirstContact => ("made_at", "id", ["NULL"; 3]),
        DueStage::SchoolContact | DueStage::Acceptance | DueStage::FirstDay | DueStage::Close => {
            ("since", "id", ["NULL"; 3])
        }
        DueStage::Claim => ("since", "booking", ["a.id", "a.strand", "b.seq"]),
        DueStage::Unclaimed => ("since", "award_id", ["a.id", "a.strand", "NULL"]),
    };
    let (first, end) = (values.bind(query.from), values.bind(query.before));
    let after = query.after.map(|(since, key)| {
        let (since, key) = (values.bind(since), values.bind(key));
        format!(" AND ({start}, {item}) > ({since}, {key})")
    });
    let limit = values.bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {} FROM (SELECT o.id, o.region, o.assignee, o.recipient_kind, o.recipient, o.name, o.made_at, {since} AS since, \
         {award} AS award_id, {strand} AS strand, {booking} AS booking FROM {tables} WHERE {in_stage} AND {conditions}) s \
         WHERE {start} >= {first} AND {start} < {end}{} ORDER BY {start}, {item} LIMIT {limit}",
        StageRow::names(),
        after.unwrap_or_default(),
    );
    (sql, values.0)
}

/// The parts of a query that depend on the kind: when the stage began, the tables, and the condition that the stage is not over.
fn stage_sql(query: &StageQuery, values: &mut Values) -> (String, &'static str, String) {
    let on = values.bind(query.on);
    let contact = |party: &str| {
        format!(
            "(SELECT MIN(c.happened_on) FROM contacts c WHERE c.offer_id = o.id AND c.party = {party} \
             AND c.corrected_by IS NULL AND c.happened_on <= {on})"
        )
    };
    let no_contact = |party: &str| format!("{} IS NULL", contact(party));
    // Today the state says how far an offer is. On an earlier day, the dates say it.
    let in_state = |state: &str, on_that_day: String| {
        if query.is_past { format!("{} AND {on_that_day}", open_on(&on)) } else { format!("o.state = '{state}'") }
    };
    let open = if query.is_past { open_on(&on) } else { "o.state <> 'closed'".to_owned() };
    let not_accepted = format!("(o.accepted_on IS NULL OR o.accepted_on > {on})");
    match query.stage {
        DueStage::FirstContact => {
            ("NULL".to_owned(), "offers o", in_state("identified", no_contact("'responsible_body'")))
        }
        DueStage::SchoolContact => (
            contact("'responsible_body'"),
            "offers o",
            format!(
                "{} AND o.recipient_kind = 'standalone' AND {}",
                in_state("contacted", not_accepted),
                no_contact("'school'")
            ),
        ),
        DueStage::Acceptance => (
            contact("CASE o.recipient_kind WHEN 'mat' THEN 'responsible_body' ELSE 'school' END"),
            "offers o",
            in_state("contacted", not_accepted),
        ),
        DueStage::FirstDay => (
            "o.accepted_on".to_owned(),
            "offers o",
            in_state("accepted", format!("o.accepted_on <= {on} AND (o.started_on IS NULL OR o.started_on > {on})")),
        ),
        DueStage::Claim => (
            "b.booked_for".to_owned(),
            "bookings b JOIN awards a ON a.id = b.award_id JOIN offers o ON o.id = a.offer_id",
            format!("b.state = 'booked' AND {open}"),
        ),
        DueStage::Unclaimed => (
            values.bind(query.awards_until),
            "awards a JOIN offers o ON o.id = a.offer_id",
            format!("a.unit = 'pence' AND a.awarded > a.drawn + a.released AND {open}"),
        ),
        DueStage::Close => (
            "(SELECT e.effective_on FROM events e WHERE e.offer_id = o.id AND e.kind IN ('drawn', 'booking_delivered', 'released') \
             ORDER BY e.seq DESC LIMIT 1)"
                .to_owned(),
            "offers o",
            format!(
                "{} AND NOT EXISTS (SELECT 1 FROM awards a WHERE a.offer_id = o.id AND a.awarded > a.drawn + a.released)",
                in_state("delivering", format!("o.started_on <= {on}"))
            ),
        ),
    }
}

/// The condition that an offer was not closed yet at the end of a day.
fn open_on(day: &str) -> String {
    format!(
        "(o.state <> 'closed' OR (SELECT e.effective_on FROM events e WHERE e.offer_id = o.id AND e.kind = 'closed' \
         ORDER BY e.seq DESC LIMIT 1) > {day})"
    )
}

fn due_offer(row: OfferRow) -> Result<DueOffer> {
    let recipient = match row.recipient_kind.as_str() {
        "standalone" => Recipient::Standalone(urn(row.recipient)?),
        "mat" => Recipient::Mat(uid(row.recipient)?),
        other => return Err(StoreError::unreadable(format!("recipient kind {other:?}"))),
    };
    Ok(DueOffer { id: row.id, region: region(&row.region)?, assignee: row.assignee, recipient, name: row.name })
}
