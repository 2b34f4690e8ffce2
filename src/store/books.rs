//! Terms and books: which programmes there are, and the lock that every change of a book takes first.

use sea_orm::sea_query::LockType;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, QueryOrder as _, QuerySelect as _, Set, Unchanged};

use super::entity::record::{book, terms};
use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::event::{Hash, Seq, genesis};
use crate::domain::ids::{Actor, Programme};
use crate::domain::time::Micros;

/// The terms of a programme, as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedTerms {
    /// The programme.
    pub programme: Programme,
    /// The text of the terms file.
    pub text: String,
    /// SHA-256 of the text.
    pub sha256: Hash,
    /// Who loaded it.
    pub loaded_by: String,
    /// When.
    pub loaded_at: Micros,
}

/// The head of a book: the number its next event gets, and the hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The next event's number.
    pub next: Seq,
    /// The last event's hash; the book's own beginning when there is none.
    pub hash: Hash,
    /// Whether the book is open.
    pub open: bool,
}

impl Head {
    /// The number of the last event, 0 when there is none.
    #[must_use]
    pub const fn last(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }
}

/// Every programme's terms, by programme.
///
/// # Errors
/// As the database has it.
pub async fn all_terms(from: &impl Readable) -> Result<Vec<LoadedTerms>> {
    let rows = terms::Entity::find().order_by_asc(terms::Column::Programme).all(&from.at().db).await?;
    rows.into_iter().map(loaded).collect()
}

/// One programme's terms.
///
/// # Errors
/// As the database has it.
pub async fn terms_of(from: &impl Readable, programme: &Programme) -> Result<Option<LoadedTerms>> {
    terms::Entity::find_by_id(programme.as_str()).one(&from.at().db).await?.map(loaded).transpose()
}

/// Keeps new terms and opens their book.
///
/// # Errors
/// [`StoreError::Row`] when the programme has terms already.
pub async fn open_book(tx: &WriteTx, new: &LoadedTerms) -> Result<()> {
    let row = terms::ActiveModel {
        programme: Set(new.programme.to_string()),
        text: Set(new.text.clone()),
        sha256: Set(new.sha256.0.to_vec()),
        loaded_by: Set(new.loaded_by.clone()),
        loaded_at: Set(new.loaded_at.0),
    };
    terms::Entity::insert(row).exec_without_returning(&tx.at().db).await?;
    let row = book::ActiveModel {
        programme: Set(new.programme.to_string()),
        next_seq: Set(1),
        head: Set(genesis(&new.programme).0.to_vec()),
        open: Set(true),
    };
    book::Entity::insert(row).exec_without_returning(&tx.at().db).await?;
    Ok(())
}

/// Locks a book's row until the transaction ends, and reads its head. The first statement of every writer.
///
/// # Errors
/// [`StoreError::Busy`] when another process holds it for too long.
pub async fn lock(tx: &WriteTx, programme: &Programme) -> Result<Option<Head>> {
    let find = book::Entity::find_by_id(programme.as_str()).lock(LockType::Update);
    find.one(&tx.at().db).await?.map(head).transpose()
}

/// Reads a book's head without locking it.
///
/// # Errors
/// As the database has it.
pub async fn head_of(from: &impl Readable, programme: &Programme) -> Result<Option<Head>> {
    book::Entity::find_by_id(programme.as_str()).one(&from.at().db).await?.map(head).transpose()
}

/// Moves a locked book's head on.
///
/// # Errors
/// As the database has it.
pub async fn advance(tx: &WriteTx, programme: &Programme, head: &Head) -> Result<()> {
    let row = book::ActiveModel {
        programme: Unchanged(programme.to_string()),
        next_seq: Set(head.next.0),
        head: Set(head.hash.0.to_vec()),
        open: Set(head.open),
    };
    row.update_without_returning(&tx.at().db).await?;
    Ok(())
}

fn loaded(row: terms::Model) -> Result<LoadedTerms> {
    Ok(LoadedTerms {
        programme: row.programme.parse().map_err(StoreError::unreadable)?,
        text: row.text,
        sha256: hash(&row.sha256)?,
        loaded_by: row.loaded_by,
        loaded_at: Micros(row.loaded_at),
    })
}

fn head(row: book::Model) -> Result<Head> {
    Ok(Head { next: Seq(row.next_seq), hash: hash(&row.head)?, open: row.open })
}

pub(super) fn hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::unreadable("a hash that is not 32 bytes"))
}

pub(super) fn actor(text: &str) -> Result<Actor> {
    text.parse().map_err(StoreError::unreadable)
}
