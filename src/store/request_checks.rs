//! Stored answers beside the records, for `verify`: each was given with an event, and each event was answered.
//!
//! The databases do the comparing, as sets: neither side is read into memory.

use sea_orm::QueryResult;

use super::bulk::select_by_place;
use super::requests::OF_REGISTER;
use super::{Readable, Result};
use crate::domain::ids::RequestId;
use crate::domain::time::Micros;

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

/// Answers that were given with no event of their moment, up to so many. What the register's record covers is judged from
/// its beginning on.
///
/// # Errors
/// As the database has it.
pub async fn without_event(from: &impl Readable, begun: Micros, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM requests WHERE rpc NOT IN ({MAY_CHANGE_NOTHING}) \
         AND NOT (rpc IN ({OF_REGISTER}) AND recorded_at <= $1) \
         EXCEPT SELECT actor, request_id, recorded_at FROM events \
         EXCEPT SELECT actor, request_id, recorded_at FROM register_events ORDER BY 1, 2 LIMIT {limit}"
    );
    select_by_place(&from.at(), &sql, vec![begun.0.into()], differing).await
}

/// Events whose request was given no answer at their moment, up to so many.
///
/// # Errors
/// As the database has it.
pub async fn without_answer(from: &impl Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT actor, request_id, recorded_at FROM events WHERE NOT ({NOT_ASKED}) \
         UNION SELECT actor, request_id, recorded_at FROM register_events \
         WHERE kind NOT IN ('record_begun', 'import_found', 'approval_found', 'answer_found') \
         EXCEPT SELECT actor, request_id, recorded_at FROM requests ORDER BY 1, 2 LIMIT {limit}"
    );
    let mut found = select_by_place(&from.at(), &sql, vec![], differing).await?;
    // Terms are loaded at one moment and answered at another.
    let sql = "SELECT e.actor, e.request_id FROM events e WHERE e.kind = 'rules_adopted' AND e.actor <> 'tsio' \
               AND NOT EXISTS (SELECT 1 FROM requests r WHERE r.actor = e.actor AND r.request_id = e.request_id)";
    found.extend(select_by_place(&from.at(), sql, vec![], differing).await?);
    Ok(found)
}

/// Answers that wait, or no longer wait, for another approval than the one that their call opened.
///
/// # Errors
/// As the database has it.
pub async fn of_other_approvals(from: &impl Readable, limit: u64) -> Result<Vec<DifferingRequest>> {
    let sql = format!(
        "SELECT r.actor, r.request_id FROM requests r LEFT JOIN approvals a ON a.id = r.approval \
         WHERE r.approval IS NOT NULL AND (a.id IS NULL OR a.requested_by <> r.actor \
         OR COALESCE(a.request_id <> r.request_id, TRUE) OR (a.state = 'carried_out') <> (LENGTH(r.answer) > 0)) \
         UNION SELECT r.actor, r.request_id FROM approvals a \
         JOIN requests r ON r.actor = a.requested_by AND r.request_id = a.request_id \
         WHERE a.statement IS NOT NULL AND COALESCE(r.approval <> a.id, TRUE) LIMIT {limit}"
    );
    select_by_place(&from.at(), &sql, vec![], differing).await
}

fn differing(row: &QueryResult) -> Result<DifferingRequest> {
    Ok(DifferingRequest { actor: row.try_get_by_index(0)?, request: RequestId(row.try_get_by_index(1)?) })
}
