//! The schema beside the one that the migrations make: guards that are gone, or that somebody else put there.

use super::Result;
use crate::store::ReadTx;
use crate::store::db::schema_check::{self, SchemaFindings};

/// Names every difference of the database's schema in the report of its first programme, and what operators added as
/// notes.
///
/// # Errors
/// [`crate::app::AppError::Unavailable`].
pub(super) async fn compare(snapshot: &ReadTx, stray: &mut Vec<String>) -> Result<Vec<String>> {
    let SchemaFindings { differences, notes } = schema_check::compare(snapshot).await?;
    stray.extend(differences.into_iter().map(|it| format!("schema: {it}")));
    Ok(notes.into_iter().map(|it| format!("schema: {it}")).collect())
}
