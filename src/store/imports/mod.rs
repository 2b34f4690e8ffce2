//! Reads and writes imports of files, with their state.
//!
//! Rows are staged in short transactions under an import that is not visible. They count once the state of the import is
//! `landed`. [`super::register`] and [`super::ofsted`] read the rows.

mod hashes;
mod staged;

use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _, QueryOrder as _, QueryResult, Set,
};
use uuid::Uuid;

use super::verify_rows::{VerifyRows as StoredRows, read_each};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::Date;
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, ImportId};
pub use crate::domain::register_record::{FileKind, ImportState};
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::{missing_inserts, run_statements, select_rows, upsert_all};
use crate::store::db::column_values::{actor, hash};
use crate::store::db::condition::{Comparison, Condition, Operand, compare};
use crate::store::db::entity::register::{import, problem};
use crate::store::db::page::Page;
pub use hashes::{count_rows, findings_hash, rows_hash};
pub(crate) use staged::{Establishment, Group, Link, Member, Month, StagedRows};

/// One import of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The kind of the file.
    pub kind: FileKind,
    /// Its as-at date.
    pub as_at: Date,
    /// Its state, which decides whether its rows count.
    pub state: ImportState,
    /// The file's name as given.
    pub file_name: String,
    /// SHA-256 of the unpacked bytes.
    pub sha256: Hash,
    /// Data rows in the file.
    pub rows: i64,
    /// Rows that were imported.
    pub accepted: i64,
    /// The number of problems beyond those stored.
    pub more_problems: i64,
    /// Who imported it.
    pub imported_by: Actor,
    /// When it was imported.
    pub imported_at: Micros,
    /// Who withdrew it.
    pub withdrawn_by: Option<Actor>,
    /// Why it was withdrawn.
    pub withdrawn_reason: Option<String>,
    /// The import that replaced it.
    pub replaced_by: Option<ImportId>,
    /// Whether the search by name is up to date with its state.
    pub indexed: bool,
}

/// What is wrong with one row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: i64,
    /// The column, by its standard name.
    pub column: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One import, if there is one with this id and it is visible: neither staging nor discarded.
pub async fn get(from: &dyn Readable, id: ImportId) -> Result<Option<Import>> {
    Ok(find(from, id).await?.filter(|it| !matches!(it.state, ImportState::Staging | ImportState::Discarded)))
}

/// One import in any state, if there is one with this id.
pub async fn find(from: &dyn Readable, id: ImportId) -> Result<Option<Import>> {
    import::Entity::find_by_id(id.0).one(&from.at().db).await?.map(decode).transpose()
}

/// Which imports a page shows: those that meet all conditions that are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportFilter {
    /// The imported file is of this kind.
    pub kind: Option<FileKind>,
    /// The caller's filter.
    pub condition: Option<Condition<ImportField>>,
}

/// A field of an import that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportField {
    /// The kind of the file, by name.
    Kind,
    /// Its as-at date.
    AsAt,
    /// Its state, by name.
    State,
    /// The file's name as given.
    FileName,
    /// Data rows in the file.
    Rows,
    /// Rows that were imported.
    Accepted,
    /// Who imported it.
    ImportedBy,
    /// When it was imported.
    Imported,
    /// Who withdrew it.
    WithdrawnBy,
}

/// The condition that a field of an import meets a comparison.
fn field_comparison(field: ImportField, comparison: Comparison, operand: &Operand) -> SimpleExpr {
    use import::Column as C;
    let column = match field {
        ImportField::Kind => C::Kind,
        ImportField::AsAt => C::AsAt,
        ImportField::State => C::State,
        ImportField::FileName => C::FileName,
        ImportField::Rows => C::Rows,
        ImportField::Accepted => C::Accepted,
        ImportField::ImportedBy => C::ImportedBy,
        ImportField::Imported => C::ImportedAt,
        ImportField::WithdrawnBy => C::WithdrawnBy,
    };
    compare(column, comparison, operand)
}

/// A page of visible imports.
pub async fn page(from: &dyn Readable, filter: &ImportFilter, page: Page) -> Result<Vec<Import>> {
    let hidden = [ImportState::Staging.name(), ImportState::Discarded.name()];
    let mut find = import::Entity::find().filter(import::Column::State.is_not_in(hidden));
    if let Some(kind) = filter.kind {
        find = find.filter(import::Column::Kind.eq(kind.name()));
    }
    if let Some(condition) = &filter.condition {
        find = find.filter(condition.to_condition(&field_comparison));
    }
    page.apply_to(find, import::Column::Id).all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// Every import that ever landed, including replaced and withdrawn ones, in any order.
pub async fn ever_landed(from: &dyn Readable) -> Result<Vec<Import>> {
    let ever_landed = [ImportState::Landed, ImportState::Replaced, ImportState::Withdrawn].map(ImportState::name);
    let found = import::Entity::find().filter(import::Column::State.is_in(ever_landed));
    found.all(&from.at().db).await?.into_iter().map(decode).collect()
}

/// The landed imports of a kind, newest as-at date first, then by id.
pub async fn landed(from: &dyn Readable, kind: FileKind) -> Result<Vec<Import>> {
    let rows = import::Entity::find()
        .filter(import::Column::Kind.eq(kind.name()))
        .filter(import::Column::State.eq(ImportState::Landed.name()))
        .order_by_desc(import::Column::AsAt)
        .order_by_asc(import::Column::Id)
        .all(&from.at().db)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// Imports whose rows can be deleted: discarded imports, and imports in state staging that began before a time.
pub async fn leftovers(from: &dyn Readable, before: Micros) -> Result<Vec<Import>> {
    let rows = import::Entity::find()
        .filter(import::Column::State.is_in([ImportState::Staging.name(), ImportState::Discarded.name()]))
        .all(&from.at().db)
        .await?;
    let found = rows.into_iter().map(decode).collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().filter(|it| it.state == ImportState::Discarded || it.imported_at < before).collect())
}

/// Every visible import, for `verify`.
pub async fn all(from: &dyn Readable) -> Result<StoredRows<ImportId, Import>> {
    let sql = "SELECT * FROM imports WHERE state NOT IN ('staging', 'discarded')";
    let id = |row: &QueryResult| Ok(ImportId(row.try_get("", "id")?));
    read_each(&from.at(), sql, vec![], id, |it| decode(import::Model::from_query_result(it, "")?)).await
}

/// Visible imports whose state is not yet taken into account by the search by name.
pub async fn not_indexed(from: &dyn Readable) -> Result<Vec<Import>> {
    let rows = import::Entity::find()
        .filter(import::Column::Indexed.eq(false))
        .filter(import::Column::State.is_not_in([ImportState::Staging.name(), ImportState::Discarded.name()]))
        .all(&from.at().db)
        .await?;
    rows.into_iter().map(decode).collect()
}

/// The line of a note, which is about the file and not about a row. The table of problems also has the notes, after the
/// problems.
const NO_LINE: i64 = 0;
/// The column of a note.
const NO_COLUMN: &str = "(file)";

/// The problems of an import's rows and the notes about its file, each in the order in which they were found.
pub async fn findings(from: &dyn Readable, id: ImportId) -> Result<(Vec<Problem>, Vec<String>)> {
    let rows = problem::Entity::find()
        .filter(problem::Column::ImportId.eq(id.0))
        .order_by_asc(problem::Column::Ordinal)
        .all(&from.at().db)
        .await?;
    let (notes, problems): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.line == NO_LINE);
    let problem = |row: problem::Model| Problem { line: row.line, column: row.column_name, reason: row.reason };
    Ok((problems.into_iter().map(problem).collect(), notes.into_iter().map(|row| row.reason).collect()))
}

/// Writes the current state of imports.
///
/// # Errors
/// [`StoreError::ConstraintViolation`] if the same content has landed for the same date.
pub async fn put(tx: &WriteTx, imports: &[&Import]) -> Result<()> {
    use import::Column as C;
    let rows = imports.iter().map(|it| import::ActiveModel {
        id: Set(it.id.0),
        kind: Set(it.kind.name().to_owned()),
        as_at: Set(it.as_at),
        state: Set(it.state.name().to_owned()),
        file_name: Set(it.file_name.clone()),
        sha256: Set(it.sha256.0.to_vec()),
        rows: Set(it.rows),
        accepted: Set(it.accepted),
        more_problems: Set(it.more_problems),
        imported_by: Set(it.imported_by.to_string()),
        imported_at: Set(it.imported_at.0),
        withdrawn_by: Set(it.withdrawn_by.as_ref().map(Actor::to_string)),
        withdrawn_reason: Set(it.withdrawn_reason.clone()),
        replaced_by: Set(it.replaced_by.map(|id| id.0)),
        indexed: Set(it.indexed),
    });
    let update = [C::State, C::ImportedAt, C::WithdrawnBy, C::WithdrawnReason, C::ReplacedBy, C::Indexed];
    upsert_all::<import::Entity, _>(tx, rows.collect(), &[C::Id], &update).await
}

/// The latest recorded time of reference data: of imports, approvals about imports, events of the register's record, and terms.
/// `None` if there are none of these. A caller that holds the register's lock must not record an earlier time.
pub async fn last_recorded(from: &dyn Readable) -> Result<Option<Micros>> {
    let sql = "SELECT MAX(latest) FROM (SELECT MAX(imported_at) AS latest FROM imports \
               UNION ALL SELECT MAX(requested_at) FROM approvals WHERE programme IS NULL \
               UNION ALL SELECT recorded_at FROM register_events WHERE seq = (SELECT next_seq - 1 FROM register_lock) \
               UNION ALL SELECT MAX(loaded_at) FROM terms) AS times";
    Ok(select_rows(&from.at(), sql, Vec::new(), Ok::<Option<Micros>, _>).await?.pop().flatten())
}

/// Stores the problems of a file's rows, and the notes about the file. Storing them again changes nothing.
pub async fn keep_findings(tx: &WriteTx, id: ImportId, problems: &[Problem], notes: &[String]) -> Result<()> {
    use problem::Column as C;
    let problems = problems.iter().map(|it| (it.line, it.column.as_str(), it.reason.as_str()));
    let notes = notes.iter().map(|note| (NO_LINE, NO_COLUMN, note.as_str()));
    let rows = (0_i64..).zip(problems.chain(notes)).map(|(ordinal, (line, column, reason))| problem::ActiveModel {
        import_id: Set(id.0),
        ordinal: Set(ordinal),
        line: Set(line),
        column_name: Set(column.to_owned()),
        reason: Set(reason.to_owned()),
    });
    let key = [C::ImportId, C::Ordinal];
    run_statements(tx, missing_inserts::<problem::Entity, _>(tx.backend(), rows.collect(), &key)).await
}

/// Deletes an import and its problems. Its rows must have been deleted before.
///
/// # Errors
/// [`StoreError::ConstraintViolation`] while the import has rows; [`StoreError::Unavailable`].
pub async fn delete(tx: &WriteTx, id: ImportId) -> Result<()> {
    let conn = tx.at();
    problem::Entity::delete_many().filter(problem::Column::ImportId.eq(id.0)).exec(&conn.db).await?;
    import::Entity::delete_by_id(id.0).exec(&conn.db).await?;
    Ok(())
}

fn decode(row: import::Model) -> Result<Import> {
    let unreadable = |name: &str| StoreError::unreadable(format!("the import name {name:?}"));
    Ok(Import {
        id: ImportId(row.id),
        kind: FileKind::named(&row.kind).ok_or_else(|| unreadable(&row.kind))?,
        as_at: row.as_at,
        state: ImportState::named(&row.state).ok_or_else(|| unreadable(&row.state))?,
        file_name: row.file_name,
        sha256: hash(&row.sha256)?,
        rows: row.rows,
        accepted: row.accepted,
        more_problems: row.more_problems,
        imported_by: actor(&row.imported_by)?,
        imported_at: Micros(row.imported_at),
        withdrawn_by: row.withdrawn_by.as_deref().map(actor).transpose()?,
        withdrawn_reason: row.withdrawn_reason,
        replaced_by: row.replaced_by.map(ImportId),
        indexed: row.indexed,
    })
}

/// The ids of imports, for a query.
pub(super) fn ids(imports: &[&Import]) -> Vec<Uuid> {
    imports.iter().map(|it| it.id.0).collect()
}
