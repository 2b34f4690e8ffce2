//! Reads and writes payments of invoices, of all programmes.
//!
//! The column `part` has the number of the payment among the payments of its invoice. Rows that were written before rules version
//! 2 have no such number. The column `provider` has the key of the issuer, but in these older rows the name of the provider.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::Date;
use crate::domain::award::claim::{ClaimKey, ClaimPart, ClaimPayments, IssuerKey};
use crate::domain::award::{Award, Invoice, Reference};
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::{AwardId, OfferId, Programme};
use crate::domain::money::Pence;
use crate::store::db::batch_write::{BatchWrite, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{id_in, ids, select_rows, texts, value_in};
use crate::store::db::row::{Row as _, row};

row! {
    /// A payment of an invoice.
    pub(super) struct InvoiceRow {
        award_id: AwardId,
        seq: Seq,
        provider: String,
        reference: String,
        amount: Pence,
        refunded: Pence,
        issuer: Option<String>,
        printed: Option<String>,
        total: Option<Pence>,
        part: Option<i64>,
    }
}

static INVOICES: Table = Table {
    name: "invoices",
    shared: &[("programme", ColumnType::Text)],
    columns: InvoiceRow::COLUMNS,
    how: RowWrite::Upsert {
        key: &["programme", "seq"],
        update: &["provider", "refunded", "issuer", "printed", "part"],
    },
};

/// Adds the current payments of awards to a batch write.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, awards: &[&Award]) {
    batch.rows(&INVOICES, [cell(programme.as_str())], invoices_of(awards).map(|it| row_of(it).cells()));
}

/// If a batch pays again an invoice that was refunded in full, or restores an earlier payment of it, writes the refund ahead of the
/// batch write. The new payment has the same key in a unique index as the refunded one, so the refund must be written first, but a
/// batch write has no order of rows. `before` is the last event before the batch: only stored payments need this.
pub(super) async fn free_unique_keys(
    tx: &WriteTx,
    programme: &Programme,
    awards: &[&Award],
    before: Seq,
) -> Result<()> {
    let key = |it: &Invoice| (stored_issuer(it), it.reference.clone());
    let paid = invoices_of(awards).filter(|(_, it)| it.is_outstanding());
    let paid: HashSet<_> = paid.map(|(_, it)| key(it)).collect();
    if paid.is_empty() {
        return Ok(());
    }
    let freed =
        invoices_of(awards).filter(|(_, it)| it.seq <= before && !it.is_outstanding() && paid.contains(&key(it)));
    let mut batch = BatchWrite::default();
    batch.rows(&INVOICES, [cell(programme.as_str())], freed.map(|it| row_of(it).cells()));
    batch.write(tx).await
}

fn invoices_of<'a>(awards: &[&'a Award]) -> impl Iterator<Item = (AwardId, &'a Invoice)> {
    awards.iter().flat_map(|award| award.invoices.iter().map(|it| (award.id, it)))
}

/// The issuer, in the form that the unique indexes compare.
fn stored_issuer(it: &Invoice) -> String {
    it.claim.as_ref().map_or_else(|| it.issuer.clone(), |claim| claim.issuer_key.to_string())
}

fn row_of((award, it): (AwardId, &Invoice)) -> InvoiceRow {
    let claim = it.claim.as_ref();
    InvoiceRow {
        award_id: award,
        seq: it.seq,
        provider: stored_issuer(it),
        reference: it.reference.as_str().to_owned(),
        amount: it.amount,
        refunded: it.refunded,
        issuer: claim.and_then(|it| it.issuer.clone()),
        printed: claim.map(|it| it.printed.clone()),
        total: claim.and_then(|it| it.total),
        part: claim.map(|it| it.part),
    }
}

/// The payments of invoices with these references, of all issuers and programmes, by claim.
pub async fn payments(from: &dyn Readable, references: &[Reference]) -> Result<HashMap<ClaimKey, ClaimPayments>> {
    let mut found: HashMap<ClaimKey, ClaimPayments> = HashMap::new();
    if references.is_empty() {
        return Ok(found);
    }
    let conn = from.at();
    let references: Vec<&str> = references.iter().map(Reference::as_str).collect();
    let sql = format!("SELECT {} FROM invoices WHERE {}", InvoiceRow::names(), value_in(&conn, "reference", 1));
    for (award, paid) in select_rows(&conn, &sql, vec![texts(&conn, &references)], decode_invoice).await? {
        found.entry(paid.key()).or_default().put(award, &paid);
    }
    Ok(found)
}

/// Decodes one payment, with the award that it was paid from.
///
/// # Errors
/// [`StoreError::Unreadable`] if the columns do not fit each other.
pub(super) fn decode_invoice(row: InvoiceRow) -> Result<(AwardId, Invoice)> {
    let InvoiceRow { provider, issuer, printed, total, .. } = row;
    let (issuer, claim) = match row.part {
        None => {
            if issuer.is_some() || printed.is_some() || total.is_some() {
                return Err(StoreError::unreadable("an issuer, a printed reference or a total, without a part number"));
            }
            (provider, None)
        }
        Some(part) => {
            let issuer_key = provider.parse().map_err(StoreError::unreadable)?;
            if let Some(issuer) = issuer.as_ref().filter(|it| IssuerKey::of(it) != issuer_key) {
                return Err(StoreError::unreadable(format!("the issuer {issuer:?}, whose key is another")));
            }
            let printed = printed.ok_or_else(|| StoreError::unreadable("a part without a printed reference"))?;
            let claim = ClaimPart { issuer: issuer.clone(), issuer_key, printed, total, part };
            (issuer.unwrap_or_default(), Some(claim))
        }
    };
    let reference = reference(&row.reference)?;
    let invoice = Invoice { seq: row.seq, issuer, reference, amount: row.amount, refunded: row.refunded, claim };
    Ok((row.award_id, invoice))
}

/// Parses a stored reference. It must be normalised, or the index that prevents paying an invoice twice would not find it.
fn reference(text: &str) -> Result<Reference> {
    let normalised = Reference::read(text).ok().filter(|it| it.as_str() == text);
    normalised.ok_or_else(|| StoreError::unreadable(format!("the reference {text:?}")))
}

/// The draws without an invoice under these offers that were not undone. Each is an award with the number, the day and the
/// amount of the draw's event.
pub async fn draws_without_invoice(
    from: &dyn Readable,
    offers: &[OfferId],
) -> Result<Vec<(AwardId, (Seq, Date, i64))>> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|it| it.0).collect();
    let of_offers = id_in(&conn, "offer_id", 1);
    let sql = format!("SELECT effective_on, body, seq FROM events WHERE {of_offers} AND kind IN ('drawn', 'undone')");
    let read = |(on, body, seq): (Date, String, Seq)| {
        Ok((seq, on, serde_json::from_str(&body).map_err(StoreError::unreadable)?))
    };
    let events = select_rows(&conn, &sql, vec![ids(&conn, &offers)], read).await?;
    let undone: HashSet<Seq> = events.iter().filter_map(|(_, _, body)| EventBody::undoes(body)).collect();
    let without_invoice = |(seq, on, body)| {
        let EventBody::Drawn { award, amount, invoice: None, .. } = body else { return None };
        Some((award, (seq, on, amount)))
    };
    Ok(events.into_iter().filter(|(seq, ..)| !undone.contains(seq)).filter_map(without_invoice).collect())
}
