//! Reads memberships of schools in groups, in the newest register or in every imported register.

use std::collections::HashMap;

use sea_orm::FromQueryResult;

use super::{group_type, uid_numbers, urn_numbers};
use crate::domain::Date;
use crate::domain::ids::{ImportId, Uid, Urn};
use crate::store::db::bulk_sql::{numbers, select, value_in};
use crate::store::db::column_values::{uid, urn};
use crate::store::{Readable, Result};

/// The SQL condition for the newest register: all landed files of membership with the latest as-at date.
const NEWEST: &str = "AND i.as_at = (SELECT MAX(as_at) FROM imports WHERE kind = 'membership' AND state = 'landed')";

/// A school in a group, as one file of membership says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The as-at date of the file.
    pub as_at: Date,
    /// The file.
    pub import: ImportId,
    /// The school.
    pub urn: Urn,
    /// The group.
    pub uid: Uid,
    /// The group's name.
    pub name: String,
    /// GIAS group type.
    pub kind: u8,
    /// The group type in words.
    pub kind_name: String,
    /// The group's status.
    pub status: String,
    /// When the school joined.
    pub joined: Option<Date>,
}

#[derive(FromQueryResult)]
struct MembershipRow {
    as_at: Date,
    import_id: uuid::Uuid,
    urn: i64,
    uid: i64,
    group_name: String,
    kind: i64,
    kind_name: String,
    status: String,
    joined_on: Option<Date>,
}

/// Which memberships to read.
#[derive(Debug, Clone, Copy)]
pub enum MembershipQuery<'a> {
    /// Of these schools.
    Schools(&'a [Urn]),
    /// Of these groups.
    Groups(&'a [Uid]),
    /// Of every multi-academy trust.
    Mats,
}

/// The requested memberships in the newest register.
pub async fn members(from: &dyn Readable, query: MembershipQuery<'_>) -> Result<Vec<Membership>> {
    memberships(from, query, NEWEST).await
}

/// The memberships of a school in every landed file of membership, the newest file first.
pub async fn history(from: &dyn Readable, school: Urn) -> Result<Vec<Membership>> {
    memberships(from, MembershipQuery::Schools(&[school]), "").await
}

async fn memberships(from: &dyn Readable, query: MembershipQuery<'_>, newest: &str) -> Result<Vec<Membership>> {
    let conn = from.at();
    let (condition, values) = match query {
        MembershipQuery::Schools(urns) => (value_in(&conn, "r.urn", 1), vec![numbers(&conn, &urn_numbers(urns))]),
        MembershipQuery::Groups(uids) => (value_in(&conn, "r.uid", 1), vec![numbers(&conn, &uid_numbers(uids))]),
        MembershipQuery::Mats => ("r.kind = 6".to_owned(), Vec::new()),
    };
    let sql = format!(
        "SELECT i.as_at, r.import_id, r.urn, r.uid, r.group_name, r.kind, r.kind_name, r.status, r.joined_on
         FROM membership_rows r JOIN imports i ON i.id = r.import_id
         WHERE i.state = 'landed' AND {condition} {newest} ORDER BY i.as_at DESC, r.urn, r.uid, r.import_id"
    );
    let rows: Vec<MembershipRow> = select(&conn, &sql, values).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Membership {
                as_at: row.as_at,
                import: ImportId(row.import_id),
                urn: urn(row.urn)?,
                uid: uid(row.uid)?,
                name: row.group_name,
                kind: group_type(row.kind)?,
                kind_name: row.kind_name,
                status: row.status,
                joined: row.joined_on,
            })
        })
        .collect()
}

/// The number of schools of each of these groups in the newest register.
pub async fn sizes(from: &dyn Readable, uids: &[Uid]) -> Result<HashMap<Uid, usize>> {
    #[derive(FromQueryResult)]
    struct Size {
        uid: i64,
        schools: i64,
    }
    let conn = from.at();
    let sql = format!(
        "SELECT r.uid, COUNT(DISTINCT r.urn) AS schools FROM membership_rows r JOIN imports i ON i.id = r.import_id
         WHERE i.state = 'landed' AND {} {NEWEST} GROUP BY r.uid",
        value_in(&conn, "r.uid", 1)
    );
    let rows: Vec<Size> = select(&conn, &sql, vec![numbers(&conn, &uid_numbers(uids))]).await?;
    rows.into_iter().map(|row| Ok((uid(row.uid)?, usize::try_from(row.schools).unwrap_or(0)))).collect()
}
