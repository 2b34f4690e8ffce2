//! Compares the stored answers with the records, for `verify`: each answer must have an event, and each event an answer.
//!
//! `verify` reads the answers once, page by page in their physical order. If that shows a difference, the database compares
//! the two sides as sets.

use uuid::Uuid;

use super::requests::OF_REGISTER;
use super::{Backend, Readable, Result};
use crate::domain::ids::RequestId;
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::page_copy::json_rows;

/// A request for which answer and events differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingRequest {
    /// The caller, as stored.
    pub actor: String,
    /// Its id.
    pub request: RequestId,
}

/// Methods that may succeed without changing anything: a repeated identify, and loading the same terms again.
const MAY_CHANGE_NOTHING: &str = "'OfferService/IdentifyOffers', 'TermsService/LoadTerms'";
/// Events without a request: the program adopts rules by itself, and an approval without a statement is from a version that
/// did not store its request.
const NOT_ASKED: &str = "kind = 'rules_adopted' OR (kind = 'approval_opened' AND body NOT LIKE '%\"statement\":%')";

/// The part of a stored answer that is compared with the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The caller, as stored.
    pub actor: String,
    /// Its id.
    pub request: RequestId,
    /// When it was answered.
    pub recorded: Micros,
    /// Whether a record must have an event for it.
    pub needs_event: bool,
}

/// The start of a page: a row number on SQLite, a block number on PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64);

impl Place {
    /// Before every row, even those that no program writes.
    pub const FIRST: Self = Self(i64::MIN);
}

/// The number of rows in a page on SQLite.
const ROWS: i64 = 10_000;
/// The number of blocks in a page on PostgreSQL, by default of 8 KiB each.
const BLOCKS: i64 = 256;

/// A page of stored answers, and the start of the next page if there may be more. Answers about reference data need an event
/// only from `begun` on, when the register's record began.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn answered(from: &impl Readable, first: Place, begun: Micros) -> Result<(Vec<Answered>, Option<Place>)> {
    match from.at().backend {
        Backend::Sqlite => answered_rows(from, first, begun).await,
        Backend::Postgres => answered_blocks(from, first, begun).await,
    }
}

fn needs_event(begun: &str) -> String {
    format!("rpc NOT IN ({MAY_CHANGE_NOTHING}) AND NOT (rpc IN ({OF_REGISTER}) AND recorded_at <= {begun})")
}

/// A page of rows on SQLite, as one text: see [`crate::store::db::page_copy`].
async fn answered_rows(
    from: &impl Readable,
    Place(first): Place,
    begun: Micros,
) -> Result<(Vec<Answered>, Option<Place>)> {
    let sql = format!(
        "SELECT MAX(row), json_group_array(json_array(actor, hex(request_id), recorded_at, needs_event)) FROM \
         (SELECT rowid AS row, actor, request_id, recorded_at, {} AS needs_event FROM requests \
         WHERE rowid >= $2 ORDER BY rowid LIMIT {ROWS})",
        needs_event("$1")
    );
    let found = select_rows(&from.at(), &sql, vec![begun.0.into(), first.into()], Ok).await?;
    let (last, rows): (Option<i64>, String) = found.into_iter().next().unwrap_or((None, "[]".to_owned()));
    let rows = json_rows::<(String, Uuid, i64, i64)>(&rows)?.into_iter();
    let answered = rows.map(|(actor, request, recorded, needs_event)| Answered {
        actor,
        request: RequestId(request),
        recorded: Micros(recorded),
        needs_event: needs_event == 1,
    });
    Ok((answered.collect(), last.and_then(|last| last.checked_add(1)).map(Place)))
}

/// The rows of a page of blocks on PostgreSQL.
async fn answered_blocks(
    from: &impl Readable,
    Place(first): Place,
    begun: Micros,
) -> Result<(Vec<Answered>, Option<Place>)> {
    let first = first.max(0);
    let conn = from.at();
    let sql = "SELECT pg_relation_size('requests') / current_setting('block_size')::bigint";
    let blocks = select_rows(&conn, sql, vec![], Ok::<i64, _>).await?;
    let upto = first.saturating_add(BLOCKS);
    let sql = format!(
        "SELECT actor, request_id, recorded_at, {} FROM requests \
         WHERE ctid >= '({first},0)'::tid AND ctid < '({upto},0)'::tid",
        needs_event("$1")
    );
    let read = |(actor, request, recorded, needs_event)| Ok(Answered { actor, request, recorded, needs_event });
    let page = select_rows(&conn, &sql, vec![begun.0.into()], read).await?;
    let next = blocks.first().is_some_and(|blocks| upto < *blocks).then_some(Place(upto));
    Ok((page, next))
}

/// Answers without an event of the same time, at most `limit`. Answers about reference data count only from the beginning of
/// the register's record on.
pub async fn without_event(from: &impl Readable, begun: Micros, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM requests WHERE rpc NOT IN ({MAY_CHANGE_NOTHING}) \
         AND NOT (rpc IN ({OF_REGISTER}) AND recorded_at <= $1) \
         EXCEPT SELECT actor, request_id, recorded_at FROM events \
         EXCEPT SELECT actor, request_id, recorded_at FROM register_events ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![begun.0.into()], differing).await
}

/// Events whose request has no answer of the same time, at most `limit`.
pub async fn without_answer(from: &impl Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM events WHERE NOT ({NOT_ASKED}) \
         UNION SELECT actor, request_id, recorded_at FROM register_events \
         WHERE kind NOT IN ('record_begun', 'import_found', 'approval_found', 'answer_found') \
         EXCEPT SELECT actor, request_id, recorded_at FROM requests ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![], differing).await
}

/// Requests that loaded terms but have no answer. Loading and answering have different times.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn of_terms(from: &impl Readable) -> Result<Vec<DifferingRequest>> {
    let sql = "SELECT e.actor, e.request_id FROM events e WHERE e.kind = 'rules_adopted' AND e.actor <> 'tsio' \
               AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.actor = e.actor AND r.request_id = e.request_id)";
    select_rows(&from.at(), sql, vec![], differing).await
}

/// Stored answers whose approval is not the one that their request opened.
pub async fn of_other_approvals(from: &impl Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT r.actor, r.request_id FROM requests r LEFT JOIN approvals a ON a.id = r.approval \
         WHERE r.approval IS NOT NULL AND (a.id IS NULL OR a.requested_by <> r.actor \
         OR COALESCE(a.request_id <> r.request_id, TRUE) OR (a.state = 'carried_out') <> (LENGTH(r.answer) > 0)) \
         UNION SELECT r.actor, r.request_id FROM approvals a \
         JOIN requests r ON r.actor = a.requested_by AND r.request_id = a.request_id \
         WHERE a.statement IS NOT NULL AND COALESCE(r.approval <> a.id, TRUE) LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![], differing).await
}

fn differing((actor, request): (String, RequestId)) -> Result<DifferingRequest> {
    Ok(DifferingRequest { actor, request })
}
