//! Stages the rows of a file, reads them back, and deletes those of an abandoned import.

use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, Statement};
use uuid::Uuid;

use super::FileKind;
use super::hashes::hash_of_rows;
use crate::domain::ids::ImportId;
use crate::domain::register_record::RowsHash;
use crate::store::db::bulk_sql::{missing_inserts, run_statements};
use crate::store::db::entity::register::{establishment_row, group_row, link_row, membership_row, ofsted_row};
use crate::store::{Backend, Readable, Result, WriteTx};

pub(crate) use establishment_row::Model as Establishment;
pub(crate) use group_row::Model as Group;
pub(crate) use link_row::Model as Link;
pub(crate) use membership_row::Model as Member;
pub(crate) use ofsted_row::Model as Month;

/// The rows of one file, as stored in its table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StagedRows {
    /// GIAS groups.
    Groups(Vec<Group>),
    /// GIAS group membership.
    Membership(Vec<Member>),
    /// GIAS links.
    Links(Vec<Link>),
    /// GIAS establishments.
    Establishments(Vec<Establishment>),
    /// Ofsted months.
    Ofsted(Vec<Month>),
}

/// Matches on the kind of some rows, with the same expression `$do` in each arm. In it `$it` is the list of rows, and `$wrap` makes
/// [`StagedRows`] of the same kind from another list.
macro_rules! match_kind {
    ($rows:expr, $it:ident => $do:expr) => {
        match_kind!($rows, $it, _wrap => $do)
    };
    ($rows:expr, $it:ident, $wrap:ident => $do:expr) => {
        match $rows {
            StagedRows::Groups($it) => { let $wrap = StagedRows::Groups; $do }
            StagedRows::Membership($it) => { let $wrap = StagedRows::Membership; $do }
            StagedRows::Links($it) => { let $wrap = StagedRows::Links; $do }
            StagedRows::Establishments($it) => { let $wrap = StagedRows::Establishments; $do }
            StagedRows::Ofsted($it) => { let $wrap = StagedRows::Ofsted; $do }
        }
    };
}

impl StagedRows {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        match_kind!(self, rows => rows.len())
    }

    /// The same rows in chunks of at most `size` rows.
    pub(crate) fn chunks(&self, size: usize) -> Vec<Self> {
        match_kind!(self, rows, wrap => rows.chunks(size.max(1)).map(|chunk| wrap(chunk.to_vec())).collect())
    }

    /// The hash that the rows will have once they are stored: see [`super::rows_hash`].
    ///
    /// # Errors
    /// [`StoreError::Unusable`](crate::store::StoreError::Unusable) or
    /// [`StoreError::Unreadable`](crate::store::StoreError::Unreadable): bugs of this program.
    pub(crate) fn hash(&self) -> Result<RowsHash> {
        match self {
            Self::Groups(rows) => hash_of_rows(FileKind::Groups, rows),
            Self::Membership(rows) => hash_of_rows(FileKind::Membership, rows),
            Self::Links(rows) => hash_of_rows(FileKind::Links, rows),
            Self::Establishments(rows) => hash_of_rows(FileKind::Establishments, rows),
            Self::Ofsted(rows) => hash_of_rows(FileKind::Ofsted, rows),
        }
    }

    /// Prepares the statements that write the rows. That takes about as long as the database takes to run them, so do it on another
    /// thread.
    pub(crate) fn into_writes(self, backend: Backend) -> StagingWrites {
        StagingWrites(match self {
            Self::Groups(rows) => {
                use group_row::Column as C;
                missing_inserts::<group_row::Entity, _>(backend, rows, &[C::ImportId, C::Uid])
            }
            Self::Membership(rows) => {
                use membership_row::Column as C;
                missing_inserts::<membership_row::Entity, _>(backend, rows, &[C::ImportId, C::Urn, C::Uid])
            }
            Self::Links(rows) => {
                use link_row::Column as C;
                let key = [C::ImportId, C::Urn, C::LinkUrn, C::LinkType];
                missing_inserts::<link_row::Entity, _>(backend, rows, &key)
            }
            Self::Establishments(rows) => {
                use establishment_row::Column as C;
                missing_inserts::<establishment_row::Entity, _>(backend, rows, &[C::ImportId, C::Urn])
            }
            Self::Ofsted(rows) => {
                use ofsted_row::Column as C;
                missing_inserts::<ofsted_row::Entity, _>(backend, rows, &[C::ImportId, C::Urn])
            }
        })
    }

    /// Reads all rows of an import.
    pub(crate) async fn of(from: &dyn Readable, kind: FileKind, import: ImportId) -> Result<Self> {
        let id = import.0;
        Ok(match kind {
            FileKind::Groups => {
                Self::Groups(rows_of_import::<group_row::Entity>(from, group_row::Column::ImportId, id).await?)
            }
            FileKind::Membership => Self::Membership(
                rows_of_import::<membership_row::Entity>(from, membership_row::Column::ImportId, id).await?,
            ),
            FileKind::Links => {
                Self::Links(rows_of_import::<link_row::Entity>(from, link_row::Column::ImportId, id).await?)
            }
            FileKind::Establishments => Self::Establishments(
                rows_of_import::<establishment_row::Entity>(from, establishment_row::Column::ImportId, id).await?,
            ),
            FileKind::Ofsted => {
                Self::Ofsted(rows_of_import::<ofsted_row::Entity>(from, ofsted_row::Column::ImportId, id).await?)
            }
        })
    }

    /// Deletes some of an import's rows and returns their number; 0 if no rows are left. `limit` is the most keys to delete.
    pub(crate) async fn delete_some(tx: &WriteTx, kind: FileKind, import: ImportId, limit: u64) -> Result<u64> {
        let id = import.0;
        match kind {
            FileKind::Groups => {
                delete_first::<group_row::Entity>(tx, group_row::Column::ImportId, group_row::Column::Uid, id, limit)
                    .await
            }
            FileKind::Membership => {
                use membership_row::Column as C;
                delete_first::<membership_row::Entity>(tx, C::ImportId, C::Urn, id, limit).await
            }
            FileKind::Links => {
                delete_first::<link_row::Entity>(tx, link_row::Column::ImportId, link_row::Column::Urn, id, limit).await
            }
            FileKind::Establishments => {
                use establishment_row::Column as C;
                delete_first::<establishment_row::Entity>(tx, C::ImportId, C::Urn, id, limit).await
            }
            FileKind::Ofsted => {
                delete_first::<ofsted_row::Entity>(tx, ofsted_row::Column::ImportId, ofsted_row::Column::Urn, id, limit)
                    .await
            }
        }
    }
}

/// The statements that write some rows of a file, once they are run.
#[derive(Debug)]
#[must_use]
pub(crate) struct StagingWrites(Vec<Statement>);

impl StagingWrites {
    /// Writes the rows. Writing the same rows again changes nothing, so a caller may retry.
    pub(crate) async fn run(&self, tx: &WriteTx) -> Result<()> {
        run_statements(tx, self.0.clone()).await
    }
}

async fn rows_of_import<E: EntityTrait>(from: &dyn Readable, import: E::Column, id: Uuid) -> Result<Vec<E::Model>> {
    Ok(E::find().filter(import.eq(id)).all(&from.at().db).await?)
}

/// Deletes the rows of an import with the first `limit` keys and returns their number. The keys are selected first, because
/// neither database supports `DELETE ... LIMIT`.
async fn delete_first<E: EntityTrait>(
    tx: &WriteTx,
    import: E::Column,
    key: E::Column,
    id: Uuid,
    limit: u64,
) -> Result<u64> {
    let mut first_keys = Query::select();
    first_keys.column(key).from(E::default()).and_where(import.eq(id)).order_by(key, sea_orm::Order::Asc).limit(limit);
    let result = E::delete_many().filter(import.eq(id)).filter(key.in_subquery(first_keys)).exec(&tx.at().db).await?;
    Ok(result.rows_affected)
}
