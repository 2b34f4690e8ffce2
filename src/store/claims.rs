//! Payments of invoices, whichever programme made them.
//!
//! Rows of rules 2 have a part, and the issuer's key where older ones have the provider's name.

use std::collections::{HashMap, HashSet};

use sea_orm::QueryResult;
use uuid::Uuid;

use super::{Readable, Result, StoreError, WriteTx};
use crate::domain::Date;
use crate::domain::award::claim::{ClaimKey, ClaimPart, ClaimPayments, IssuerKey};
use crate::domain::award::{Award, Invoice, Reference};
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::{AwardId, OfferId, Programme};
use crate::domain::money::Pence;
use crate::store::db::batch_write::{BatchWrite, Cell, ColumnType, RowWrite, Table, cell};
use crate::store::db::bulk_sql::{among, ids, select_by_place, texts, within};
use crate::store::db::pg_date;

static INVOICES: Table = Table {
    name: "invoices",
    same: &[("programme", ColumnType::Text)],
    columns: &[
        ("seq", ColumnType::Int),
        ("award_id", ColumnType::Uuid),
        ("provider", ColumnType::Text),
        ("reference", ColumnType::Text),
        ("amount", ColumnType::Int),
        ("refunded", ColumnType::Int),
        ("issuer", ColumnType::OptionalText),
        ("printed", ColumnType::OptionalText),
        ("total", ColumnType::OptionalInt),
        ("part", ColumnType::OptionalInt),
    ],
    how: RowWrite::Upsert { key: &["programme", "seq"], take: &["provider", "refunded", "issuer", "printed", "part"] },
};

/// Adds the payments of awards, as they are now, to what a group writes.
pub(super) fn put(batch: &mut BatchWrite, programme: &Programme, awards: &[&Award]) {
    batch.rows(&INVOICES, [cell(programme.as_str())], invoices_of(awards).map(row));
}

/// Writes the payments that were refunded in full, where the same group pays one of these invoices anew, or lets an earlier
/// payment of it stand again. The unique index must be free before the new payment comes, and nothing says which of a batch's rows comes first.
pub(super) async fn free(tx: &WriteTx, programme: &Programme, awards: &[&Award], before: Seq) -> Result<()> {
    let key = |it: &Invoice| (stored_issuer(it), it.reference.clone());
    let paid = invoices_of(awards).filter(|(_, it)| it.stands());
    let paid: HashSet<_> = paid.map(|(_, it)| key(it)).collect();
    if paid.is_empty() {
        return Ok(());
    }
    let freed = invoices_of(awards).filter(|(_, it)| it.seq <= before && !it.stands() && paid.contains(&key(it)));
    let mut batch = BatchWrite::default();
    batch.rows(&INVOICES, [cell(programme.as_str())], freed.map(row));
    batch.write(tx).await
}

fn invoices_of<'a>(awards: &[&'a Award]) -> impl Iterator<Item = (AwardId, &'a Invoice)> {
    awards.iter().flat_map(|award| award.invoices.iter().map(|it| (award.id, it)))
}

/// The issuer as the unique indexes have it.
fn stored_issuer(it: &Invoice) -> String {
    it.claim.as_ref().map_or_else(|| it.issuer.clone(), |claim| claim.issuer_key.to_string())
}

fn row((award, it): (AwardId, &Invoice)) -> [Cell; 10] {
    let claim = it.claim.as_ref();
    [
        cell(it.seq.0),
        cell(award.0),
        cell(stored_issuer(it)),
        cell(it.reference.as_str()),
        cell(it.amount.get()),
        cell(it.refunded.get()),
        claim.and_then(|it| it.issuer.as_deref()).map(Into::into),
        claim.map(|it| it.printed.as_str().into()),
        claim.and_then(|it| it.total).map(|it| it.get().into()),
        claim.map(|it| it.part.into()),
    ]
}

/// What has been paid on the invoices with these references, of whichever issuer and programme.
pub async fn payments(from: &impl Readable, wanted: &[Reference]) -> Result<HashMap<ClaimKey, ClaimPayments>> {
    let mut found: HashMap<ClaimKey, ClaimPayments> = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let conn = from.at();
    let wanted: Vec<&str> = wanted.iter().map(Reference::as_str).collect();
    let sql = format!("SELECT {INVOICE} FROM invoices WHERE {}", among(&conn, "reference", 1));
    for (award, paid) in select_by_place(&conn, &sql, vec![texts(&conn, &wanted)], invoice).await? {
        found.entry(paid.key()).or_default().put(award, &paid);
    }
    Ok(found)
}

/// The columns that [`invoice`] reads.
pub(super) const INVOICE: &str = "award_id, seq, provider, reference, amount, refunded, issuer, printed, total, part";

/// One payment, and the award that made it.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn invoice(row: &QueryResult) -> Result<(AwardId, Invoice)> {
    let provider: String = row.try_get_by_index(2)?;
    let issuer: Option<String> = row.try_get_by_index(6)?;
    let part: Option<i64> = row.try_get_by_index(9)?;
    let (issuer, claim) = match part {
        None => {
            let beside = row.try_get_by_index::<Option<String>>(7)?.is_some()
                || row.try_get_by_index::<Option<i64>>(8)?.is_some();
            if issuer.is_some() || beside {
                return Err(StoreError::unreadable("what only a numbered payment says, without its number"));
            }
            (provider, None)
        }
        Some(part) => {
            let issuer_key = provider.parse().map_err(StoreError::unreadable)?;
            if issuer.as_ref().is_some_and(|it| IssuerKey::of(it) != issuer_key) {
                return Err(StoreError::unreadable(format!("the issuer {issuer:?}, whose key is another")));
            }
            let printed: Option<String> = row.try_get_by_index(7)?;
            let printed = printed.ok_or_else(|| StoreError::unreadable("a part without a printed reference"))?;
            let total: Option<i64> = row.try_get_by_index(8)?;
            let claim = ClaimPart { issuer: issuer.clone(), issuer_key, printed, total: total.map(Pence), part };
            (issuer.unwrap_or_default(), Some(claim))
        }
    };
    let invoice = Invoice {
        seq: Seq(row.try_get_by_index(1)?),
        issuer,
        reference: reference(&row.try_get_by_index::<String>(3)?)?,
        amount: Pence(row.try_get_by_index(4)?),
        refunded: Pence(row.try_get_by_index(5)?),
        claim,
    };
    Ok((AwardId(row.try_get_by_index(0)?), invoice))
}

/// A reference as it is stored: one not normalised would be another to the index that keeps it from being paid twice.
fn reference(text: &str) -> Result<Reference> {
    let normal = Reference::read(text).ok().filter(|it| it.as_str() == text);
    normal.ok_or_else(|| StoreError::unreadable(format!("the reference {text:?}")))
}

/// What was drawn without an invoice under these offers and not undone: the award, and the event, day and amount.
pub async fn draws_without_invoice(
    from: &impl Readable,
    offers: &[OfferId],
) -> Result<Vec<(AwardId, (Seq, Date, i64))>> {
    if offers.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let offers: Vec<Uuid> = offers.iter().map(|it| it.0).collect();
    let offer = within(&conn, "offer_id", 1);
    let sql = format!("SELECT effective_on, body, seq FROM events WHERE {offer} AND kind IN ('drawn', 'undone')");
    let read = |row: &QueryResult| {
        let body: String = row.try_get_by_index(1)?;
        let body = serde_json::from_str(&body).map_err(StoreError::unreadable)?;
        Ok((Seq(row.try_get_by_index(2)?), pg_date::of(row, 0)?, body))
    };
    let moved = select_by_place(&conn, &sql, vec![ids(&conn, &offers)], read).await?;
    let undone = moved.iter().filter_map(|(_, _, body)| match body {
        EventBody::Undone { undoes, .. } => Some(*undoes),
        _ => None,
    });
    let undone: HashSet<Seq> = undone.collect();
    let without_invoice = |(seq, on, body)| match body {
        EventBody::Drawn { award, amount, invoice: None, .. } => Some((award, (seq, on, amount))),
        _ => None,
    };
    Ok(moved.into_iter().filter(|(seq, ..)| !undone.contains(seq)).filter_map(without_invoice).collect())
}
