//! First successes, by caller and request id: answered again, byte for byte, for ever.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult};

use super::{Backend, Conn, Readable, Result, WriteTx};
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::select_by_place;
use crate::store::db::column_values::{actor, hash};
use crate::store::db::entity::record::request;
use crate::store::db::multi_query::{MultiQuery, QueryColumns, QueryRow};

/// A stored success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose request it was.
    pub actor: Actor,
    /// Its id.
    pub request: RequestId,
    /// The method called.
    pub rpc: String,
    /// SHA-256 of the method and the body.
    pub fingerprint: Hash,
    /// The answer, as it went over the wire; empty while a withdrawal is carried out but not yet answered, and while an
    /// approval is not carried out.
    pub answer: Vec<u8>,
    /// The approval that the call opened, where it did.
    pub approval: Option<ApprovalId>,
}

impl Stored {
    /// The approval that has to be carried out before there is an answer.
    #[must_use]
    pub fn waits_for(&self) -> Option<ApprovalId> {
        self.approval.filter(|_| self.answer.is_empty())
    }
}

/// Methods whose successes are in the register's record, from its beginning on: a list in SQL.
pub(super) const OF_REGISTER: &str = "'RegisterService/ImportRegister', 'EligibilityService/ImportOfsted', \
    'RegisterService/WithdrawImport', 'ApprovalService/GiveApproval', 'ApprovalService/DenyApproval', \
    'ApprovalService/WithdrawApproval'";

static REQUESTS: Table = Table {
    name: "requests",
    same: &[("recorded_at", ColumnType::Int)],
    columns: &[
        ("actor", ColumnType::Text),
        ("request_id", ColumnType::Uuid),
        ("rpc", ColumnType::Text),
        ("fingerprint", ColumnType::Bytes),
        ("answer", ColumnType::Bytes),
        ("approval", ColumnType::OptionalUuid),
    ],
    how: RowWrite::Insert,
};

/// Asks for the stored successes among these requests.
pub(super) fn ask(conn: &Conn<'_>, together: &mut MultiQuery, wanted: &[(&Actor, RequestId)]) -> usize {
    match conn.backend {
        Backend::Postgres => {
            let actors: Vec<String> = wanted.iter().map(|(actor, _)| actor.to_string()).collect();
            let requests: Vec<uuid::Uuid> = wanted.iter().map(|(_, request)| request.0).collect();
            together.add(COLUMNS, [actors.into(), requests.into()], |first| {
                let second = first.saturating_add(1);
                format!(
                    "FROM unnest(${first}::text[], ${second}::uuid[]) AS w(a, id) \
                     JOIN requests ON actor = w.a AND request_id = w.id"
                )
            })
        }
        // The order of a CROSS JOIN is kept: from what is wanted to the table, by its key.
        Backend::Sqlite => {
            let list: Vec<_> =
                wanted.iter().map(|(actor, id)| [actor.to_string(), id.0.simple().to_string()]).collect();
            let json = serde_json::to_string(&list).unwrap_or_default();
            together.add(COLUMNS, [json.into()], |place| {
                format!(
                    "FROM json_each(${place}) w CROSS JOIN requests ON actor = w.value ->> 0 \
                     AND request_id = unhex(w.value ->> 1)"
                )
            })
        }
    }
}

/// A stored success.
///
/// # Errors
/// [`super::StoreError::Unreadable`].
pub(super) fn read(row: QueryRow<'_>) -> Result<Stored> {
    Ok(Stored {
        actor: actor(&row.get::<String>(0)?)?,
        request: RequestId(row.get(1)?),
        rpc: row.get(2)?,
        fingerprint: hash(&row.get::<Vec<u8>>(3)?)?,
        answer: row.get(4)?,
        approval: row.get::<Option<uuid::Uuid>>(5)?.map(ApprovalId),
    })
}

const COLUMNS: QueryColumns = &[
    ("actor", ColumnType::Text),
    ("request_id", ColumnType::Uuid),
    ("rpc", ColumnType::Text),
    ("fingerprint", ColumnType::Bytes),
    ("answer", ColumnType::Bytes),
    ("approval", ColumnType::OptionalUuid),
];

/// Adds new successes to what a group writes.
pub(super) fn append(batch: &mut BatchWrite, new: &[Stored], at: Micros) {
    batch.rows(
        &REQUESTS,
        [cell(at.0)],
        new.iter().map(|it| {
            [
                cell(it.actor.as_str()),
                cell(it.request.0),
                cell(it.rpc.as_str()),
                cell(it.fingerprint.0.to_vec()),
                cell(it.answer.clone()),
                it.approval.map(|it| it.0.into()),
            ]
        }),
    );
}

/// Keeps new successes.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] when one of them has come to be there since it was looked for: a request id is the
/// caller's, not the book's, and another book or an import kept it at this moment. Trying again finds it.
pub async fn keep(tx: &WriteTx, new: &[Stored], at: Micros) -> Result<()> {
    let mut batch = BatchWrite::default();
    append(&mut batch, new, at);
    batch.write(tx).await
}

/// Puts the answer of a request kept without one.
pub async fn answer(tx: &WriteTx, (actor, request): (&Actor, RequestId), answer: &[u8]) -> Result<()> {
    request::Entity::update_many()
        .col_expr(request::Column::Answer, Expr::value(answer.to_vec()))
        .filter(request::Column::Actor.eq(actor.as_str()))
        .filter(request::Column::RequestId.eq(request.0))
        .exec(&tx.at().db)
        .await?;
    Ok(())
}

/// When one of the methods that the register's record covers succeeded last. Reads every stored success.
pub async fn last_of_register(from: &impl Readable) -> Result<Option<Micros>> {
    let sql = format!("SELECT MAX(recorded_at) FROM requests WHERE rpc IN ({OF_REGISTER})");
    let read = |row: &QueryResult| Ok(row.try_get_by_index::<Option<i64>>(0)?.map(Micros));
    Ok(select_by_place(&from.at(), &sql, Vec::new(), read).await?.pop().flatten())
}

/// Whether a request id of this caller is taken.
pub async fn one(from: &impl Readable, actor: &Actor, request: RequestId) -> Result<Option<Stored>> {
    let found = request::Entity::find()
        .filter(request::Column::Actor.eq(actor.as_str()))
        .filter(request::Column::RequestId.eq(request.0))
        .one(&from.at().db)
        .await?;
    found
        .map(|row| {
            let fingerprint = hash(&row.fingerprint)?;
            let approval = row.approval.map(ApprovalId);
            Ok(Stored { actor: actor.clone(), request, rpc: row.rpc, fingerprint, answer: row.answer, approval })
        })
        .transpose()
}
