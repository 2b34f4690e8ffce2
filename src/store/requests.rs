//! Reads and writes the stored answers of successful requests, by caller and request id. A repeated request always gets the
//! same bytes.

use sea_orm::{ConnectionTrait as _, Statement};

use super::{Backend, Conn, Readable, Result, WriteTx};
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{Row as _, row};

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Who made the request.
    pub actor: Actor,
    /// Its id.
    pub request: RequestId,
    /// The name of the method.
    pub rpc: String,
    /// SHA-256 of the method and the body.
    pub fingerprint: Hash,
    /// The encoded answer; empty while the approval of the request is not carried out. Also empty if an earlier version of the
    /// program carried out a withdrawal but did not store its answer.
    pub answer: Vec<u8>,
    /// The approval that the request opened, if any.
    pub approval: Option<ApprovalId>,
}

impl Stored {
    /// The approval that has to be carried out before there is an answer; `None` if there is an answer, or no approval.
    #[must_use]
    pub fn waits_for(&self) -> Option<ApprovalId> {
        self.approval.filter(|_| self.answer.is_empty())
    }
}

/// The methods whose successes are in the register's record since the record began, as a list for SQL.
pub(super) const REGISTER_METHODS: &str = "'RegisterService/ImportRegister', 'EligibilityService/ImportOfsted', \
    'RegisterService/WithdrawImport', 'ApprovalService/GiveApproval', 'ApprovalService/DenyApproval', \
    'ApprovalService/WithdrawApproval'";

row! {
    /// A stored answer.
    pub(super) struct RequestRow {
        actor: Actor,
        request_id: RequestId,
        rpc: String,
        fingerprint: Hash,
        answer: Vec<u8>,
        approval: Option<ApprovalId>,
    }
}

static REQUESTS: Table = Table {
    name: "requests",
    shared: &[("recorded_at", ColumnType::Int)],
    columns: RequestRow::COLUMNS,
    how: RowWrite::Insert,
};

/// Adds a query for the stored answers of these requests. Returns the query's number.
pub(super) fn add_query(conn: &Conn<'_>, queries: &mut MultiQuery, requests: &[(&Actor, RequestId)]) -> usize {
    match conn.backend {
        Backend::Postgres => {
            let actors: Vec<String> = requests.iter().map(|(actor, _)| actor.to_string()).collect();
            let ids: Vec<uuid::Uuid> = requests.iter().map(|(_, request)| request.0).collect();
            queries.add(RequestRow::COLUMNS, [actors.into(), ids.into()], |first| {
                let second = first.saturating_add(1);
                format!(
                    "FROM unnest(${first}::text[], ${second}::uuid[]) AS w(a, id) \
                     JOIN requests ON actor = w.a AND request_id = w.id"
                )
            })
        }
        // SQLite keeps the order of a CROSS JOIN: it starts from the requested keys and finds their rows by key.
        Backend::Sqlite => {
            let list: Vec<_> =
                requests.iter().map(|(actor, id)| [actor.to_string(), id.0.simple().to_string()]).collect();
            let json = serde_json::to_string(&list).unwrap_or_default();
            queries.add(RequestRow::COLUMNS, [json.into()], |index| {
                format!(
                    "FROM json_each(${index}) w CROSS JOIN requests ON actor = w.value ->> 0 \
                     AND request_id = unhex(w.value ->> 1)"
                )
            })
        }
    }
}

impl From<RequestRow> for Stored {
    fn from(row: RequestRow) -> Self {
        Self {
            actor: row.actor,
            request: row.request_id,
            rpc: row.rpc,
            fingerprint: row.fingerprint,
            answer: row.answer,
            approval: row.approval,
        }
    }
}

fn row_of(it: &Stored) -> RequestRow {
    RequestRow {
        actor: it.actor.clone(),
        request_id: it.request,
        rpc: it.rpc.clone(),
        fingerprint: it.fingerprint,
        answer: it.answer.clone(),
        approval: it.approval,
    }
}

/// Adds new answers to a batch write.
pub(super) fn append(batch: &mut BatchWrite, answers: &[Stored], at: Micros) {
    batch.rows(&REQUESTS, [cell(at.0)], answers.iter().map(|it| row_of(it).cells()));
}

/// Stores new answers.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] if another programme or an import stored an answer for the same caller and request id
/// since this request looked for one; a retry finds that answer. [`super::StoreError::Unavailable`].
pub async fn keep(tx: &WriteTx, answers: &[Stored], at: Micros) -> Result<()> {
    let mut batch = BatchWrite::default();
    append(&mut batch, answers, at);
    batch.write(tx).await
}

/// Sets the answer of a request that was stored without one.
pub async fn answer(tx: &WriteTx, (actor, request): (&Actor, RequestId), answer: &[u8]) -> Result<()> {
    let conn = tx.at();
    let sql = "UPDATE requests SET answer = $1 WHERE actor = $2 AND request_id = $3";
    let values = [answer.to_vec().into(), actor.as_str().into(), request.0.into()];
    conn.db.execute_raw(Statement::from_sql_and_values(conn.db.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// The time of the last stored answer of a method that the register's record covers; `None` if there is none. Reads every
/// stored answer.
pub async fn last_of_register(from: &dyn Readable) -> Result<Option<Micros>> {
    let sql = format!("SELECT MAX(recorded_at) FROM requests WHERE rpc IN ({REGISTER_METHODS})");
    Ok(select_rows(&from.at(), &sql, Vec::new(), Ok::<Option<Micros>, _>).await?.pop().flatten())
}

/// The stored answer of one request, if there is one.
pub async fn one(from: &dyn Readable, actor: &Actor, request: RequestId) -> Result<Option<Stored>> {
    let sql = format!("SELECT {} FROM requests WHERE actor = $1 AND request_id = $2", RequestRow::names());
    let values = vec![actor.as_str().into(), request.0.into()];
    Ok(select_rows(&from.at(), &sql, values, |row: RequestRow| Ok(row.into())).await?.pop())
}
