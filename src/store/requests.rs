//! First successes, by caller and request id: answered again, byte for byte, for ever.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::batch::{Batch, How, Kind, Table, cell};
use super::books::{actor, hash};
use super::entity::record::request;
use super::together::{At, Columns, Together};
use super::{Backend, Conn, Readable, Result, WriteTx};
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, RequestId};
use crate::domain::time::Micros;

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
    /// The answer, as it went over the wire; empty while a withdrawal is carried out but not yet answered.
    pub answer: Vec<u8>,
}

static REQUESTS: Table = Table {
    name: "requests",
    same: &[("recorded_at", Kind::Int)],
    columns: &[
        ("actor", Kind::Text),
        ("request_id", Kind::Uuid),
        ("rpc", Kind::Text),
        ("fingerprint", Kind::Bytes),
        ("answer", Kind::Bytes),
    ],
    how: How::Insert,
};

/// Asks for the stored successes among these requests.
pub(super) fn ask(conn: &Conn<'_>, together: &mut Together, wanted: &[(&Actor, RequestId)]) -> usize {
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
pub(super) fn read(row: At<'_>) -> Result<Stored> {
    Ok(Stored {
        actor: actor(&row.get::<String>(0)?)?,
        request: RequestId(row.get(1)?),
        rpc: row.get(2)?,
        fingerprint: hash(&row.get::<Vec<u8>>(3)?)?,
        answer: row.get(4)?,
    })
}

const COLUMNS: Columns = &[
    ("actor", Kind::Text),
    ("request_id", Kind::Uuid),
    ("rpc", Kind::Text),
    ("fingerprint", Kind::Bytes),
    ("answer", Kind::Bytes),
];

/// Adds new successes to what a group writes.
pub(super) fn append(batch: &mut Batch, new: &[Stored], at: Micros) {
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
            ]
        }),
    );
}

/// Keeps new successes.
///
/// # Errors
/// [`super::StoreError::Taken`] when one of them has come to be there since it was looked for: a request id is the
/// caller's, not the book's, and another book or an import kept it at this moment. Trying again finds it.
pub async fn keep(tx: &WriteTx, new: &[Stored], at: Micros) -> Result<()> {
    let mut batch = Batch::default();
    append(&mut batch, new, at);
    batch.write(tx).await
}

/// Puts the answer of a request kept without one.
///
/// # Errors
/// As the database has it.
pub async fn answer(tx: &WriteTx, it: &Stored) -> Result<()> {
    request::Entity::update_many()
        .col_expr(request::Column::Answer, Expr::value(it.answer.clone()))
        .filter(request::Column::Actor.eq(it.actor.as_str()))
        .filter(request::Column::RequestId.eq(it.request.0))
        .exec(&tx.at().db)
        .await?;
    Ok(())
}

/// Whether a request id of this caller is taken.
///
/// # Errors
/// As the database has it.
pub async fn one(from: &impl Readable, actor: &Actor, request: RequestId) -> Result<Option<Stored>> {
    let found = request::Entity::find()
        .filter(request::Column::Actor.eq(actor.as_str()))
        .filter(request::Column::RequestId.eq(request.0))
        .one(&from.at().db)
        .await?;
    found
        .map(|row| {
            let fingerprint = hash(&row.fingerprint)?;
            Ok(Stored { actor: actor.clone(), request, rpc: row.rpc, fingerprint, answer: row.answer })
        })
        .transpose()
}
