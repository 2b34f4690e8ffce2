//! Erases the free text of events, and reads what a decision needs to know about a text before.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, Statement};

use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::{OfferId, Programme};
use crate::domain::programme::EventText;
use crate::store::db::bulk_sql::{among, numbers, select_rows, texts};

/// The state of the texts of those of these events that exist.
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] for an event that this program cannot read.
pub async fn known(from: &impl Readable, programme: &Programme, of: &[Seq]) -> Result<BTreeMap<Seq, EventText>> {
    if of.is_empty() {
        return Ok(BTreeMap::new());
    }
    let conn = from.at();
    let erased = erased(from, programme, of).await?;
    let seqs: Vec<i64> = of.iter().map(|seq| seq.0).collect();
    let sql =
        format!("SELECT seq, offer_id, text_hash FROM events WHERE programme = $1 AND {}", among(&conn, "seq", 2));
    let known = |(seq, offer, hash): (Seq, Option<OfferId>, Option<Vec<u8>>)| {
        Ok((seq, EventText { offer, was_recorded: hash.is_some(), is_erased: erased.contains(&seq) }))
    };
    let values = vec![programme.as_str().into(), numbers(&conn, &seqs)];
    Ok(select_rows(&conn, &sql, values, known).await?.into_iter().collect())
}

/// Those of these events whose texts were erased, by the record.
async fn erased(from: &impl Readable, programme: &Programme, of: &[Seq]) -> Result<BTreeSet<Seq>> {
    let conn = from.at();
    let bodies: std::result::Result<Vec<String>, _> =
        of.iter().map(|event| serde_json::to_string(&EventBody::TextErased { event: *event })).collect();
    let bodies = bodies.map_err(StoreError::unreadable)?;
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    // Two statements, each with the index of its kind of event.
    let by_event = format!(
        "SELECT body FROM events WHERE programme = $1 AND kind = 'text_erased' AND {}",
        among(&conn, "body", 2)
    );
    let by_rules = "SELECT body FROM events WHERE programme = $1 AND kind = 'rules_adopted'";
    let body = |body: String| serde_json::from_str::<EventBody>(&body).map_err(StoreError::unreadable);
    let mut found = select_rows(&conn, &by_event, vec![programme.as_str().into(), texts(&conn, &bodies)], body).await?;
    found.extend(select_rows(&conn, by_rules, vec![programme.as_str().into()], body).await?);
    Ok(found.iter().flat_map(EventBody::erased_texts).copied().collect())
}

/// Events of a programme that were recorded with a text that is absent now.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn absent(from: &impl Readable, programme: &Programme) -> Result<Vec<Seq>> {
    let sql = "SELECT e.seq FROM events e WHERE e.programme = $1 AND e.text_hash IS NOT NULL AND NOT EXISTS \
               (SELECT 1 FROM texts t WHERE t.programme = e.programme AND t.seq = e.seq) ORDER BY e.seq";
    select_rows(&from.at(), sql, vec![programme.as_str().into()], Ok).await
}

/// Erases the texts of these events, with their salts.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Contention`].
pub async fn erase(tx: &WriteTx, programme: &Programme, of: &[Seq]) -> Result<()> {
    if of.is_empty() {
        return Ok(());
    }
    let conn = tx.at();
    let seqs: Vec<i64> = of.iter().map(|seq| seq.0).collect();
    let sql = format!("DELETE FROM texts WHERE programme = $1 AND {}", among(&conn, "seq", 2));
    let values = [programme.as_str().into(), numbers(&conn, &seqs)];
    conn.db.execute_raw(Statement::from_sql_and_values(conn.db.get_database_backend(), sql, values)).await?;
    Ok(())
}
