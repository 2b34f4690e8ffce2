//! Compares the schema with the one that the migrations make, to find guards that were removed or added.

use super::Result;
use crate::store::ReadTx;
use crate::store::db::schema_check::{self, SchemaFindings};

/// Adds every difference of the schema to `stray`. Returns the additions of operators as notes.
///
/// # Errors
/// [`crate::app::AppError::Unavailable`].
pub(super) async fn compare(snapshot: &ReadTx, stray: &mut Vec<String>) -> Result<Vec<String>> {
    let SchemaFindings { differences, notes } = schema_check::compare(snapshot).await?;
    stray.extend(differences.into_iter().map(|it| format!("schema: {it}")));
    Ok(notes.into_iter().map(|it| format!("schema: {it}")).collect())
}
