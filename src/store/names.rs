//! Finds the ids of entities by what people call them: the ending of an id, a school, a trust.

use sea_orm::Value;
use uuid::Uuid;

use super::{Readable, Result};
use crate::domain::ids::{OfferId, Programme, Uid, Urn};
use crate::store::Backend;
use crate::store::db::bulk_sql::{numbers, select_rows, texts, value_in};

/// A table whose rows have an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedTable {
    /// Offers.
    Offers,
    /// Awards.
    Awards,
    /// Referrals.
    Referrals,
}

impl NamedTable {
    const fn name(self) -> &'static str {
        match self {
            Self::Offers => "offers",
            Self::Awards => "awards",
            Self::Referrals => "referrals",
        }
    }
}

/// The ids of the rows of a programme whose ids end with one of these eight hex digits, in lower case.
pub async fn by_ending(
    from: &dyn Readable,
    table: NamedTable,
    programme: &Programme,
    endings: &[String],
) -> Result<Vec<Uuid>> {
    if endings.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let ending = match conn.backend {
        Backend::Postgres => "right(CAST(id AS TEXT), 8)",
        Backend::Sqlite => "lower(substr(hex(id), -8))",
    };
    let has_ending = value_in(&conn, ending, 2);
    let sql = format!("SELECT id FROM {} WHERE programme = $1 AND {has_ending}", table.name());
    let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
    let values = vec![programme.as_str().into(), texts(&conn, &endings)];
    select_rows(&conn, &sql, values, Ok).await
}

/// The offers of a programme that list these schools, open and closed.
pub async fn offers_of_schools(from: &dyn Readable, programme: &Programme, urns: &[Urn]) -> Result<Vec<OfferId>> {
    let urns: Vec<i64> = urns.iter().map(|urn| i64::from(urn.get())).collect();
    let sql = |is_listed: String| format!("SELECT offer_id FROM offer_schools WHERE programme = $1 AND {is_listed}");
    offers_with(from, programme, ("urn", &urns), sql).await
}

/// The offers of a programme to these trusts, and those to their schools.
pub async fn offers_of_trusts(from: &dyn Readable, programme: &Programme, uids: &[Uid]) -> Result<Vec<OfferId>> {
    let uids: Vec<i64> = uids.iter().map(|uid| i64::from(uid.get())).collect();
    let sql = |has_uid: String| {
        let to_trust = format!("(recipient_kind = 'mat' AND {})", has_uid.replace("trust_uid", "recipient"));
        format!("SELECT id FROM offers WHERE programme = $1 AND ({has_uid} OR {to_trust})")
    };
    offers_with(from, programme, ("trust_uid", &uids), sql).await
}

/// The offers that a query finds in which a column has one of these numbers.
async fn offers_with(
    from: &dyn Readable,
    programme: &Programme,
    (column, values): (&str, &[i64]),
    sql: impl FnOnce(String) -> String,
) -> Result<Vec<OfferId>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let conn = from.at();
    let sql = sql(value_in(&conn, column, 2));
    let values: Vec<Value> = vec![programme.as_str().into(), numbers(&conn, values)];
    select_rows(&conn, &sql, values, Ok).await
}
