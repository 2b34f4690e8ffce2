//! Everything one group of commands changes in a book, written together.

use super::batch::Batch;
use super::books::Head;
use super::events::{Recorded, Text};
use super::requests::Stored;
use super::{Result, WriteTx, accounts, awards, books, entries, events, offers, requests};
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{Account, Ledger, Owner};
use crate::domain::offer::Offer;
use crate::domain::time::Micros;

/// What a group changes often: the record, money, answers. What it changes seldom (offers in full, approvals,
/// placements) has statements of its own.
#[derive(Debug)]
pub struct Written<'a> {
    /// The book's head, moved on.
    pub head: &'a Head,
    /// New events.
    pub events: &'a [Recorded],
    /// Their texts.
    pub texts: &'a [Text],
    /// The accounts, for telling funds from caps.
    pub ledger: &'a Ledger,
    /// Accounts that are new.
    pub opened: Vec<&'a Account>,
    /// Accounts that were stored, and moved.
    pub moved: Vec<&'a Account>,
    /// Awards made or changed.
    pub awards: Vec<&'a Award>,
    /// The last event before the group.
    pub before: Seq,
    /// Offers of which only the version moved.
    pub touched: Vec<&'a Offer>,
    /// New answers.
    pub answers: &'a [Stored],
    /// When.
    pub at: Micros,
}

/// Writes it.
///
/// # Errors
/// [`super::StoreError::Taken`] when a request id or an invoice was kept by another book at this moment; otherwise as the
/// database has it.
pub async fn write(tx: &WriteTx, programme: &Programme, it: Written<'_>) -> Result<()> {
    awards::free(tx, programme, &it.awards, it.before).await?;
    let mut batch = Batch::default();
    events::append(&mut batch, programme, it.at, it.events, it.texts);
    let is_fund = |id: AccountId| it.ledger.get(id).is_some_and(|found| matches!(found.owner, Owner::Fund { .. }));
    entries::append(&mut batch, programme, it.events, is_fund);
    accounts::put(&mut batch, programme, &it.opened, &it.moved);
    awards::put(&mut batch, programme, &it.awards, it.before);
    offers::touch(&mut batch, &it.touched);
    requests::append(&mut batch, it.answers, it.at);
    books::advance(&mut batch, programme, it.head);
    batch.write(tx).await
}
