//! First successes, by caller and request id: answered again, byte for byte, for ever.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};

use super::books::{actor, hash};
use super::bulk::{insert_all, uuid_in};
use super::entity::record::request;
use super::{Readable, Result, StoreError, WriteTx};
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

/// The stored successes among these requests.
///
/// # Errors
/// As the database has it.
pub async fn find(from: &impl Readable, wanted: &[(Actor, RequestId)]) -> Result<Vec<Stored>> {
    let conn = from.at();
    let ids: Vec<uuid::Uuid> = wanted.iter().map(|(_, id)| id.0).collect();
    let rows = request::Entity::find().filter(uuid_in(&conn, request::Column::RequestId, &ids)).all(&conn.db).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let (actor, request) = (actor(&row.actor)?, RequestId(row.request_id));
        if wanted.iter().any(|(whose, id)| *whose == actor && *id == request) {
            let fingerprint = hash(&row.fingerprint)?;
            found.push(Stored { actor, request, rpc: row.rpc, fingerprint, answer: row.answer });
        }
    }
    Ok(found)
}

/// Keeps new successes.
///
/// # Errors
/// [`StoreError::Busy`] when one of them has come to be there since it was looked for: a request id is the caller's, not
/// the book's, and another book or an import kept it at this moment. Trying again finds it.
pub async fn keep(tx: &WriteTx, new: &[Stored], at: Micros) -> Result<()> {
    let rows = new.iter().map(|it| request::ActiveModel {
        actor: Set(it.actor.to_string()),
        request_id: Set(it.request.0),
        rpc: Set(it.rpc.clone()),
        fingerprint: Set(it.fingerprint.0.to_vec()),
        answer: Set(it.answer.clone()),
        recorded_at: Set(at.0),
    });
    insert_all::<request::Entity, _>(tx, rows.collect()).await.map_err(|error| match error {
        StoreError::Row(text) => StoreError::Busy(text),
        other => other,
    })
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
