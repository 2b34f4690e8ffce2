//! Reads and writes decisions about entry positions. The people who asked for a decision and gave it are stored with its approval.

use sea_orm::{FromQueryResult, QueryResult, Set, Value};
use uuid::Uuid;

use super::verify_rows::{VerifyRows, read_each};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::Date;
use crate::domain::event::Seq;
use crate::domain::ids::{ApprovalId, Programme, Urn};
use crate::domain::programme::entry_school::EntryDecision;
use crate::store::db::bulk_sql::{rows, upsert_all};
use crate::store::db::column_values::{actor, urn};
use crate::store::db::entity::record::entry_decision;

const OF_PROGRAMME: &str = "SELECT d.programme, d.urn, d.met, d.approval, d.decided_on, d.seq, a.requested_by, a.given_by \
    FROM entry_decisions d LEFT JOIN approvals a ON a.id = d.approval WHERE d.programme = $1";
const OF_SCHOOL: &str = "SELECT d.programme, d.urn, d.met, d.approval, d.decided_on, d.seq, a.requested_by, a.given_by \
    FROM entry_decisions d LEFT JOIN approvals a ON a.id = d.approval WHERE d.urn = $1 ORDER BY d.programme";

#[derive(Debug, FromQueryResult)]
struct EntryDecisionRow {
    programme: String,
    urn: i64,
    met: bool,
    approval: Uuid,
    decided_on: Date,
    seq: i64,
    requested_by: Option<String>,
    given_by: Option<String>,
}

fn decode(row: &QueryResult) -> Result<(Programme, EntryDecision)> {
    let row = EntryDecisionRow::from_query_result(row, "")?;
    let (Some(asked_by), Some(given_by)) = (&row.requested_by, &row.given_by) else {
        return Err(StoreError::unreadable(format!("approval {} was not given", row.approval)));
    };
    let decision = EntryDecision {
        urn: urn(row.urn)?,
        met: row.met,
        approval: ApprovalId(row.approval),
        asked_by: actor(asked_by)?,
        given_by: actor(given_by)?,
        on: row.decided_on,
        seq: Seq(row.seq),
    };
    Ok((row.programme.parse().map_err(StoreError::unreadable)?, decision))
}

/// The decisions of a programme.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
pub async fn of_programme(from: &dyn Readable, programme: &Programme) -> Result<Vec<EntryDecision>> {
    let values: Vec<Value> = vec![programme.as_str().into()];
    let found = rows(&from.at(), OF_PROGRAMME, values).await?;
    found.iter().map(|row| decode(row).map(|(_, decision)| decision)).collect()
}

/// The decisions about a school, in the order of the programmes.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
pub async fn of_school(from: &dyn Readable, school: Urn) -> Result<Vec<(Programme, EntryDecision)>> {
    let values: Vec<Value> = vec![i64::from(school.get()).into()];
    rows(&from.at(), OF_SCHOOL, values).await?.iter().map(decode).collect()
}

/// The decisions of a programme by school, for `verify`.
///
/// # Errors
/// [`StoreError::Unavailable`]. A row that cannot be read is an error within the result.
pub async fn for_verify(from: &dyn Readable, programme: &Programme) -> Result<VerifyRows<Urn, EntryDecision>> {
    let school = |row: &QueryResult| urn(row.try_get("", "urn")?);
    let decision = |row: &QueryResult| decode(row).map(|(_, decision)| decision);
    read_each(&from.at(), OF_PROGRAMME, vec![programme.as_str().into()], school, decision).await
}

/// Writes the current decisions.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::ConstraintViolation`].
pub async fn put(tx: &WriteTx, programme: &Programme, decisions: &[&EntryDecision]) -> Result<()> {
    use entry_decision::Column as C;
    let rows = decisions.iter().map(|it| entry_decision::ActiveModel {
        programme: Set(programme.to_string()),
        urn: Set(i64::from(it.urn.get())),
        met: Set(it.met),
        approval: Set(it.approval.0),
        decided_on: Set(it.on),
        seq: Set(it.seq.0),
    });
    let update = [C::Met, C::Approval, C::DecidedOn, C::Seq];
    upsert_all::<entry_decision::Entity, _>(tx, rows.collect(), &[C::Programme, C::Urn], &update).await
}
