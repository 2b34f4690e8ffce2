//! Erases the free texts of events, and reads the states of texts that the decision to erase depends on.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, Statement};

use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::{OfferId, Programme};
use crate::domain::programme::EventText;
use crate::store::db::bulk_sql::{numbers, select_rows, texts, value_in};

/// The state of each event's text, by the number of the event. An event that does not exist is left out.
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] for an event that this program cannot read.
pub async fn known(from: &dyn Readable, programme: &Programme, seqs: &[Seq]) -> Result<BTreeMap<Seq, EventText>> {
    if seqs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let conn = from.at();
    let erased = read_erased(from, programme, seqs).await?;
    let seq_numbers: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let sql =
        format!("SELECT seq, offer_id, text_hash FROM events WHERE programme = $1 AND {}", value_in(&conn, "seq", 2));
    let state = |(seq, offer, hash): (Seq, Option<OfferId>, Option<Vec<u8>>)| {
        Ok((seq, EventText { offer, was_recorded: hash.is_some(), is_erased: erased.contains(&seq) }))
    };
    let values = vec![programme.as_str().into(), numbers(&conn, &seq_numbers)];
    Ok(select_rows(&conn, &sql, values, state).await?.into_iter().collect())
}

/// The numbers of those events whose texts were erased according to the record. `text_erased` names one such event.
/// `rules_adopted` names those whose texts were absent at that time.
async fn read_erased(from: &dyn Readable, programme: &Programme, seqs: &[Seq]) -> Result<BTreeSet<Seq>> {
    let conn = from.at();
    let bodies: std::result::Result<Vec<String>, _> =
        seqs.iter().map(|event| serde_json::to_string(&EventBody::TextErased { event: *event })).collect();
    let bodies = bodies.map_err(StoreError::unreadable)?;
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    // Two statements, because each kind of event has its own index.
    let by_event = format!(
        "SELECT body FROM events WHERE programme = $1 AND kind = 'text_erased' AND {}",
        value_in(&conn, "body", 2)
    );
    let by_rules = "SELECT body FROM events WHERE programme = $1 AND kind = 'rules_adopted'";
    let decode = |body: String| serde_json::from_str::<EventBody>(&body).map_err(StoreError::unreadable);
    let mut erasing =
        select_rows(&conn, &by_event, vec![programme.as_str().into(), texts(&conn, &bodies)], decode).await?;
    erasing.extend(select_rows(&conn, by_rules, vec![programme.as_str().into()], decode).await?);
    Ok(erasing.iter().flat_map(EventBody::erased_texts).copied().collect())
}

/// The numbers of a programme's events that were recorded with a text but have none now, in order.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn absent(from: &dyn Readable, programme: &Programme) -> Result<Vec<Seq>> {
    let sql = "SELECT e.seq FROM events e WHERE e.programme = $1 AND e.text_hash IS NOT NULL AND NOT EXISTS \
               (SELECT 1 FROM texts t WHERE t.programme = e.programme AND t.seq = e.seq) ORDER BY e.seq";
    select_rows(&from.at(), sql, vec![programme.as_str().into()], Ok).await
}

/// Erases the texts of these events, with their salts.
///
/// # Errors
/// [`StoreError::Unavailable`], [`StoreError::Contention`].
pub async fn erase(tx: &WriteTx, programme: &Programme, seqs: &[Seq]) -> Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    let conn = tx.at();
    let seq_numbers: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let sql = format!("DELETE FROM texts WHERE programme = $1 AND {}", value_in(&conn, "seq", 2));
    let values = [programme.as_str().into(), numbers(&conn, &seq_numbers)];
    conn.db.execute_raw(Statement::from_sql_and_values(conn.db.get_database_backend(), sql, values)).await?;
    Ok(())
}
