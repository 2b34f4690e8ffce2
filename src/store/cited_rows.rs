//! Reads rows that events cite from all files, including those of replaced or withdrawn imports. `verify` uses them to check an
//! event against the data of its time.

use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::register::{group_type, uid_numbers, urn_numbers};
use super::{Readable, Result, events};
use crate::domain::Date;
use crate::domain::event::{Event, Seq};
use crate::domain::ids::{ImportId, Programme, Uid, Urn};
use crate::store::db::bulk_sql::{numbers, select, select_rows, value_in};
use crate::store::db::column_values::{uid, urn};
use crate::store::db::row::{Row as _, row};

/// A group in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The UID of the group.
    pub uid: Uid,
    /// The import of the file.
    pub import: ImportId,
    /// GIAS group type.
    pub kind: u8,
    /// The group's status.
    pub status: String,
    /// Whether the row is from a file of groups. Such a row takes precedence over one from a file of membership.
    pub of_groups: bool,
}

/// A membership of a school in a group, in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CitedMember {
    /// The file.
    pub import: ImportId,
    /// The group.
    pub uid: Uid,
    /// The school.
    pub urn: Urn,
    /// When the school joined.
    pub joined: Option<Date>,
}

row! {
    /// The columns of a group in a file of groups or of membership.
    struct GroupRow {
        uid: Uid,
        import_id: ImportId,
        kind: i64,
        status: String,
    }
}

/// The rows of these groups in every file that was ever imported.
pub async fn groups(from: &dyn Readable, uids: &[Uid]) -> Result<Vec<Group>> {
    let conn = from.at();
    let (names, in_uids) = (GroupRow::names(), value_in(&conn, "uid", 1));
    let sql = format!(
        "SELECT DISTINCT {names}, CAST(1 AS BIGINT) FROM group_rows WHERE {in_uids}
         UNION ALL SELECT DISTINCT {names}, CAST(0 AS BIGINT) FROM membership_rows WHERE {in_uids}"
    );
    let group = |(row, of_groups): (GroupRow, i64)| {
        let kind = group_type(row.kind)?;
        Ok(Group { uid: row.uid, import: row.import_id, kind, status: row.status, of_groups: of_groups == 1 })
    };
    select_rows(&conn, &sql, vec![numbers(&conn, &uid_numbers(uids))], group).await
}

/// Which memberships to read.
#[derive(Debug, Clone, Copy)]
pub enum MembershipAt<'a> {
    /// Those of these schools.
    Schools(&'a [Urn]),
    /// Those in these groups.
    Groups(&'a [Uid]),
}

/// The selected memberships in every file of membership that was ever imported.
pub async fn members(from: &dyn Readable, selection: MembershipAt<'_>) -> Result<Vec<CitedMember>> {
    #[derive(FromQueryResult)]
    struct Row {
        import_id: Uuid,
        uid: i64,
        urn: i64,
        joined_on: Option<Date>,
    }
    let conn = from.at();
    let (column, keys) = match selection {
        MembershipAt::Schools(urns) => ("urn", urn_numbers(urns)),
        MembershipAt::Groups(uids) => ("uid", uid_numbers(uids)),
    };
    let sql = format!(
        "SELECT DISTINCT import_id, uid, urn, joined_on FROM membership_rows WHERE {}",
        value_in(&conn, column, 1)
    );
    let rows: Vec<Row> = select(&conn, &sql, vec![numbers(&conn, &keys)]).await?;
    let member = |it: Row| {
        let (import, uid, urn) = (ImportId(it.import_id), uid(it.uid)?, urn(it.urn)?);
        Ok(CitedMember { import, uid, urn, joined: it.joined_on })
    };
    rows.into_iter().map(member).collect()
}

/// A predecessor of a school in one file of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Predecessor {
    /// The file.
    pub import: ImportId,
    /// The school.
    pub urn: Urn,
    /// Its predecessor.
    pub predecessor: Urn,
}

/// The predecessors of these schools in every file of links that was ever imported. A link counts
/// whether the file prints it at the school or at its predecessor.
pub async fn predecessors(from: &dyn Readable, urns: &[Urn]) -> Result<Vec<Predecessor>> {
    #[derive(FromQueryResult)]
    struct Row {
        import_id: Uuid,
        school: i64,
        other: i64,
    }
    let conn = from.at();
    let sql = format!(
        "SELECT import_id, urn AS school, link_urn AS other FROM link_rows
           WHERE LOWER(link_type) LIKE 'predecessor%' AND urn <> link_urn AND {}
         UNION
         SELECT import_id, link_urn, urn FROM link_rows
           WHERE LOWER(link_type) LIKE 'successor%' AND urn <> link_urn AND {}
         ORDER BY 1, 2, 3",
        value_in(&conn, "urn", 1),
        value_in(&conn, "link_urn", 1),
    );
    let rows: Vec<Row> = select(&conn, &sql, vec![numbers(&conn, &urn_numbers(urns))]).await?;
    let link =
        |it: Row| Ok(Predecessor { import: ImportId(it.import_id), urn: urn(it.school)?, predecessor: urn(it.other)? });
    rows.into_iter().map(link).collect()
}

/// Those of a programme's events that have these numbers, without their entries. Events that cannot be read are left out.
pub async fn of_numbers(from: &dyn Readable, programme: &Programme, seqs: &[Seq]) -> Result<Vec<Event>> {
    let conn = from.at();
    let seqs: Vec<i64> = seqs.iter().map(|it| it.0).collect();
    let found = events::each_numbered(&conn, programme, numbers(&conn, &seqs)).await?;
    Ok(found.into_iter().filter_map(|it| it.recorded.ok()).map(|it| it.event).collect())
}
