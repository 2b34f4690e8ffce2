//! First successes, by caller and request id: answered again, byte for byte, for ever.

use sea_orm::{ConnectionTrait as _, Statement};

use super::{Backend, Conn, Readable, Result, WriteTx};
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::domain::time::Micros;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{Row as _, row};

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

row! {
    /// A stored success.
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
    same: &[("recorded_at", ColumnType::Int)],
    columns: RequestRow::COLUMNS,
    how: RowWrite::Insert,
};

/// Asks for the stored successes among these requests.
pub(super) fn ask(conn: &Conn<'_>, together: &mut MultiQuery, wanted: &[(&Actor, RequestId)]) -> usize {
    match conn.backend {
        Backend::Postgres => {
            let actors: Vec<String> = wanted.iter().map(|(actor, _)| actor.to_string()).collect();
            let requests: Vec<uuid::Uuid> = wanted.iter().map(|(_, request)| request.0).collect();
            together.add(RequestRow::COLUMNS, [actors.into(), requests.into()], |first| {
                let second = first.saturating_add(1);
                format!(
                    "FROM unnest(${first}::text[], ${second}::uuid[]) AS w(a, id) \
                     JOIN requests ON actor = w.a AND request_id = w.id"
                )
            })
        }
        // The order of a CROSS JOIN is kept: from the keys asked for to the table, by its key.
        Backend::Sqlite => {
            let list: Vec<_> =
                wanted.iter().map(|(actor, id)| [actor.to_string(), id.0.simple().to_string()]).collect();
            let json = serde_json::to_string(&list).unwrap_or_default();
            together.add(RequestRow::COLUMNS, [json.into()], |place| {
                format!(
                    "FROM json_each(${place}) w CROSS JOIN requests ON actor = w.value ->> 0 \
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
pub(super) fn append(batch: &mut BatchWrite, new: &[Stored], at: Micros) {
    batch.rows(&REQUESTS, [cell(at.0)], new.iter().map(|it| row_of(it).cells()));
}

/// Keeps new successes.
///
/// # Errors
/// [`super::StoreError::UniqueConflict`] when one of them has come to be there since it was looked for: a request id is the
/// caller's, not the programme's, and another programme or an import kept it at this moment. Trying again finds it.
pub async fn keep(tx: &WriteTx, new: &[Stored], at: Micros) -> Result<()> {
    let mut batch = BatchWrite::default();
    append(&mut batch, new, at);
    batch.write(tx).await
}

/// Puts the answer of a request kept without one.
pub async fn answer(tx: &WriteTx, (actor, request): (&Actor, RequestId), answer: &[u8]) -> Result<()> {
    let conn = tx.at();
    let sql = "UPDATE requests SET answer = $1 WHERE actor = $2 AND request_id = $3";
    let values = [answer.to_vec().into(), actor.as_str().into(), request.0.into()];
    conn.db.execute_raw(Statement::from_sql_and_values(conn.db.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// When one of the methods that the register's record covers succeeded last. Reads every stored success.
pub async fn last_of_register(from: &impl Readable) -> Result<Option<Micros>> {
    let sql = format!("SELECT MAX(recorded_at) FROM requests WHERE rpc IN ({OF_REGISTER})");
    Ok(select_rows(&from.at(), &sql, Vec::new(), Ok::<Option<Micros>, _>).await?.pop().flatten())
}

/// Whether a request id of this caller is taken.
pub async fn one(from: &impl Readable, actor: &Actor, request: RequestId) -> Result<Option<Stored>> {
    let sql = format!("SELECT {} FROM requests WHERE actor = $1 AND request_id = $2", RequestRow::names());
    let values = vec![actor.as_str().into(), request.0.into()];
    Ok(select_rows(&from.at(), &sql, values, |row: RequestRow| Ok(row.into())).await?.pop())
}
