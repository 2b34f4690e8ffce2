//! Compares who loaded the terms and when with the first event of the record.

use super::{Result, VerifyReport};
use crate::domain::event::{EventBody, Seq};
use crate::store::programmes::LoadedTerms;
use crate::store::{ReadTx, events};

/// Compares who loaded the terms, when, and their hash, with the first event. The first event of a record that an earlier
/// version began does not contain this; then nothing is compared.
///
/// # Errors
/// [`crate::app::AppError::Unavailable`].
pub(super) async fn compare(snapshot: &ReadTx, stored: &LoadedTerms, report: &mut VerifyReport) -> Result<()> {
    let first = events::each_for_verify(snapshot, &stored.programme, (Seq(1), Seq(1)), 1).await?;
    // The fold reports an event that cannot be read.
    let Some(Ok(first)) = first.into_iter().next().map(|it| it.recorded) else { return Ok(()) };
    let EventBody::RulesAdopted { terms: Some(terms), .. } = first.event.body else { return Ok(()) };
    report.compare("the terms: who loaded them", &first.event.actor.to_string(), &stored.loaded_by);
    report.compare("the terms: when they were loaded", &first.event.recorded, &stored.loaded_at);
    report.compare("the terms: their hash", &terms, &stored.sha256);
    Ok(())
}
