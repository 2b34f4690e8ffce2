//! Compares the schema of the database with the schema that the migrations make, to find what was removed,
//! changed or added.

use super::Result;
use crate::store::ReadTx;
use crate::store::db::schema_check::{self, SchemaFindings};

/// Adds every difference of the schema to `differences_found`. Returns the additions of operators as notes.
///
/// # Errors
/// [`crate::app::AppError::Unavailable`].
pub(super) async fn compare(snapshot: &ReadTx, differences_found: &mut Vec<String>) -> Result<Vec<String>> {
    let SchemaFindings { differences, notes } = schema_check::compare(snapshot).await?;
    differences_found.extend(differences.into_iter().map(|it| format!("schema: {it}")));
    Ok(notes.into_iter().map(|it| format!("schema: {it}")).collect())
}
