//! Compares the stored answers with the records, for `verify`: each answer must have an event, and each event an answer.
//!
//! `verify` reads the answers once, page by page in their physical order. If that shows a difference, the database compares
//! the two sides as sets.

use uuid::Uuid;

use super::requests::REGISTER_METHODS;
use super::{Backend, Readable, Result};
use crate::domain::ids::RequestId;
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::page_copy::json_rows;

/// A request whose stored answer and events do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingRequest {
    /// The caller, as stored.
    pub actor: String,
    /// Its id.
    pub request: RequestId,
}

/// Methods that may succeed without changing anything, as a list for SQL: identifying the same offers again, and loading the same
/// terms again.
const MAY_CHANGE_NOTHING: &str = "'OfferService/IdentifyOffers', 'TermsService/LoadTerms'";
/// The SQL condition for events without a stored request. The program adopts rules without a request. An event that opened an
/// approval without a statement is from a version of the program that did not store the request.
const EVENTS_WITHOUT_REQUEST: &str =
    "kind = 'rules_adopted' OR (kind = 'approval_opened' AND body NOT LIKE '%\"statement\":%')";

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
pub struct PageStart(i64);

impl PageStart {
    /// The start of the first page: no row comes before.
    pub const FIRST: Self = Self(i64::MIN);
}

/// The most rows of a page on SQLite.
const ROWS: i64 = 10_000;
/// The number of blocks in a page on PostgreSQL. A block has 8 KiB by default.
const BLOCKS: i64 = 256;

/// Reads a page of stored answers. Returns the answers, and the start of the next page if there may be one. Answers about
/// reference data need an event only if they are later than `record_began`, the time at which the register's record began.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn answered(
    from: &dyn Readable,
    first: PageStart,
    record_began: Micros,
) -> Result<(Vec<Answered>, Option<PageStart>)> {
    match from.at().backend {
        Backend::Sqlite => answered_rows(from, first, record_began).await,
        Backend::Postgres => answered_blocks(from, first, record_began).await,
    }
}

/// The SQL expression that says whether an answer needs an event. `record_began_param` is the placeholder of the bound time.
fn needs_event(record_began_param: &str) -> String {
    format!(
        "rpc NOT IN ({MAY_CHANGE_NOTHING}) AND NOT (rpc IN ({REGISTER_METHODS}) AND recorded_at <= {record_began_param})"
    )
}

/// Reads a page of rows on SQLite, all as one JSON text; see [`crate::store::db::page_copy`].
async fn answered_rows(
    from: &dyn Readable,
    PageStart(first): PageStart,
    record_began: Micros,
) -> Result<(Vec<Answered>, Option<PageStart>)> {
    let sql = format!(
        "SELECT MAX(row), json_group_array(json_array(actor, hex(request_id), recorded_at, needs_event)) FROM \
         (SELECT rowid AS row, actor, request_id, recorded_at, {} AS needs_event FROM requests \
         WHERE rowid >= $2 ORDER BY rowid LIMIT {ROWS})",
        needs_event("$1")
    );
    let pages = select_rows(&from.at(), &sql, vec![record_began.0.into(), first.into()], Ok).await?;
    let (last, rows): (Option<i64>, String) = pages.into_iter().next().unwrap_or((None, "[]".to_owned()));
    let rows = json_rows::<(String, Uuid, i64, i64)>(&rows)?.into_iter();
    let answered = rows.map(|(actor, request, recorded, needs_event)| Answered {
        actor,
        request: RequestId(request),
        recorded: Micros(recorded),
        needs_event: needs_event == 1,
    });
    Ok((answered.collect(), last.and_then(|last| last.checked_add(1)).map(PageStart)))
}

/// Reads the rows of some consecutive blocks on PostgreSQL.
async fn answered_blocks(
    from: &dyn Readable,
    PageStart(first): PageStart,
    record_began: Micros,
) -> Result<(Vec<Answered>, Option<PageStart>)> {
    let first = first.max(0);
    let conn = from.at();
    let sql = "SELECT pg_relation_size('requests') / current_setting('block_size')::bigint";
    let block_count = select_rows(&conn, sql, vec![], Ok::<i64, _>).await?;
    let end = first.saturating_add(BLOCKS);
    let sql = format!(
        "SELECT actor, request_id, recorded_at, {} FROM requests \
         WHERE ctid >= '({first},0)'::tid AND ctid < '({end},0)'::tid",
        needs_event("$1")
    );
    let read = |(actor, request, recorded, needs_event)| Ok(Answered { actor, request, recorded, needs_event });
    let page = select_rows(&conn, &sql, vec![record_began.0.into()], read).await?;
    let next = block_count.first().is_some_and(|count| end < *count).then_some(PageStart(end));
    Ok((page, next))
}

/// Answers without an event of the same time, at most `limit`. Answers about reference data count only if they are later than
/// `record_began`.
pub async fn without_event(from: &dyn Readable, record_began: Micros, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM requests WHERE rpc NOT IN ({MAY_CHANGE_NOTHING}) \
         AND NOT (rpc IN ({REGISTER_METHODS}) AND recorded_at <= $1) \
         EXCEPT SELECT actor, request_id, recorded_at FROM events \
         EXCEPT SELECT actor, request_id, recorded_at FROM register_events ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![record_began.0.into()], differing).await
}

/// Events whose request has no answer of the same time, at most `limit`.
pub async fn without_answer(from: &dyn Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM events WHERE NOT ({EVENTS_WITHOUT_REQUEST}) \
         UNION SELECT actor, request_id, recorded_at FROM register_events \
         WHERE kind NOT IN ('record_begun', 'import_found', 'approval_found', 'answer_found') \
         EXCEPT SELECT actor, request_id, recorded_at FROM requests ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![], differing).await
}

/// Requests that loaded terms but have no answer. The times of the event and of the answer differ, so they are not compared.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn of_terms(from: &dyn Readable) -> Result<Vec<DifferingRequest>> {
    let sql = "SELECT e.actor, e.request_id FROM events e WHERE e.kind = 'rules_adopted' AND e.actor <> 'tsio' \
               AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.actor = e.actor AND r.request_id = e.request_id)";
    select_rows(&from.at(), sql, vec![], differing).await
}

/// Stored requests that do not agree with their approval, at most `limit`:
///
/// * the approval that the request names does not exist, or another request opened it;
/// * the request has an answer although the approval is not carried out, or no answer although it is carried out;
/// * the request opened an approval, but names none or another one.
pub async fn of_other_approvals(from: &dyn Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
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
