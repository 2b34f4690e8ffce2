//! Stored answers beside the records, for `verify`: each was given with an event, and each event was answered.
//!
//! `verify` reads the answers once, page by page in the order they lie in. Where that shows a difference, the databases
//! compare the two sides as sets.

use uuid::Uuid;

use super::requests::OF_REGISTER;
use super::{Backend, Readable, Result};
use crate::domain::ids::RequestId;
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::page_copy::told;

/// A request in which the two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferingRequest {
    /// Whose it was, as stored.
    pub actor: String,
    /// Its id.
    pub request: RequestId,
}

/// Methods that may succeed and change nothing: identifying once more, and loading the same terms.
const MAY_CHANGE_NOTHING: &str = "'OfferService/IdentifyOffers', 'TermsService/LoadTerms'";
/// What the program does by itself is nobody's request, and an approval that states nothing was opened before its request
/// was kept.
const NOT_ASKED: &str = "kind = 'rules_adopted' OR (kind = 'approval_opened' AND body NOT LIKE '%\"statement\":%')";

/// A stored answer, as far as records tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whose request it was, as stored.
    pub actor: String,
    /// Its id.
    pub request: RequestId,
    /// When it was answered.
    pub recorded: Micros,
    /// Whether a record has an event of it for certain.
    pub needs_event: bool,
}

/// From where the answers are read on: a row's number on SQLite, a block's on PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64);

impl Place {
    /// Before every row, those included that no program writes.
    pub const FIRST: Self = Self(i64::MIN);
}

/// Rows read at a time on SQLite.
const ROWS: i64 = 10_000;
/// Blocks read at a time on PostgreSQL, of 8 KiB each unless it was built otherwise.
const BLOCKS: i64 = 256;

/// A page of stored answers from a place on, and the place after it while there may be more. What the register's record covers
/// needs an event from its beginning on.
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

/// The next so many rows of SQLite, as one text: see [`crate::store::db::page_copy`].
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
    let rows = told::<(String, Uuid, i64, i64)>(&rows)?.into_iter();
    let answered = rows.map(|(actor, request, recorded, needs_event)| Answered {
        actor,
        request: RequestId(request),
        recorded: Micros(recorded),
        needs_event: needs_event == 1,
    });
    Ok((answered.collect(), last.and_then(|last| last.checked_add(1)).map(Place)))
}

/// What is in the next so many blocks of PostgreSQL.
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

/// Answers that were given with no event of their moment, up to so many. What the register's record covers is judged from
/// its beginning on.
pub async fn without_event(from: &impl Readable, begun: Micros, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM requests WHERE rpc NOT IN ({MAY_CHANGE_NOTHING}) \
         AND NOT (rpc IN ({OF_REGISTER}) AND recorded_at <= $1) \
         EXCEPT SELECT actor, request_id, recorded_at FROM events \
         EXCEPT SELECT actor, request_id, recorded_at FROM register_events ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![begun.0.into()], differing).await
}

/// Events whose request was given no answer at their moment, up to so many.
pub async fn without_answer(from: &impl Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM events WHERE NOT ({NOT_ASKED}) \
         UNION SELECT actor, request_id, recorded_at FROM register_events \
         WHERE kind NOT IN ('record_begun', 'import_found', 'approval_found', 'answer_found') \
         EXCEPT SELECT actor, request_id, recorded_at FROM requests ORDER BY 1, 2 LIMIT {limit}"
    );
    select_rows(&from.at(), &sql, vec![], differing).await
}

/// Programmes whose terms were loaded by a call that has no answer. They are loaded at one moment and answered at another.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn of_terms(from: &impl Readable) -> Result<Vec<DifferingRequest>> {
    let sql = "SELECT e.actor, e.request_id FROM events e WHERE e.kind = 'rules_adopted' AND e.actor <> 'tsio' \
               AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.actor = e.actor AND r.request_id = e.request_id)";
    select_rows(&from.at(), sql, vec![], differing).await
}

/// Answers that wait, or no longer wait, for another approval than the one that their call opened.
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
