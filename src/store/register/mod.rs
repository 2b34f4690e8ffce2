//! Reads schools and trusts from the landed files of the register. Each is as in the newest file that names it.
//!
//! "Newest" is by as-at date, then by kind of file (establishments before membership before Ofsted; groups before
//! membership), then by the values themselves, so the order of imports makes no difference. Everything is read from the rows
//! of the files; only the search by name has its own tables ([`search`]).

mod members;
pub mod record;
pub mod search;

use std::collections::HashMap;

use sea_orm::FromQueryResult;

use super::{Conn, Readable, Result, StoreError};
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Uid, Urn};
use crate::store::db::bulk_sql::{numbers, select, select_rows, value_in};
use crate::store::db::column_values::urn;
use crate::store::db::multi_query::MultiQuery;
use crate::store::db::row::{Row as _, row};
pub use members::{Membership, MembershipQuery, history, members, sizes};
pub use record::{RegisterHead, lock};

/// A school, as in the newest file that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct School {
    /// Its URN.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its local authority.
    pub la: Option<LaCode>,
    /// Its type as printed.
    pub school_type: String,
    /// Its phase.
    pub phase: String,
}

#[derive(FromQueryResult)]
struct SchoolRow {
    urn: i64,
    name: String,
    la_code: i64,
    school_type: String,
    phase: String,
}

/// Those of these schools that a landed file names.
pub async fn schools(from: &dyn Readable, urns: &[Urn]) -> Result<HashMap<Urn, School>> {
    let conn = from.at();
    let sql = newest_schools(&value_in(&conn, "r.urn", 1));
    let rows: Vec<SchoolRow> = select(&conn, &sql, vec![numbers(&conn, &urn_numbers(urns))]).await?;
    rows.into_iter()
        .map(|row| {
            let la = u16::try_from(row.la_code).ok().and_then(LaCode::new);
            let SchoolRow { name, school_type, phase, .. } = row;
            Ok((urn(row.urn)?, School { urn: urn(row.urn)?, name, la, school_type, phase }))
        })
        .collect()
}

/// A query for the newest description of each school whose rows `r` meet the condition.
fn newest_schools(in_urns: &str) -> String {
    format!(
        "SELECT urn, name, la_code, school_type, phase FROM (
           SELECT a.*, ROW_NUMBER() OVER (PARTITION BY urn
               ORDER BY as_at DESC, priority DESC, name DESC, school_type DESC, la_code DESC, phase DESC) AS nth FROM (
             SELECT r.urn, r.name, r.la_code, r.school_type, r.phase, i.as_at, 3 AS priority
               FROM establishment_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_urns}
             UNION ALL
             SELECT r.urn, r.school_name, r.la_code, r.school_type, r.phase, i.as_at, 2
               FROM membership_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_urns}
             UNION ALL
             SELECT r.urn, r.name, r.laestab / 10000, r.school_type, r.phase, i.as_at, 1
               FROM ofsted_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_urns}
           ) a) newest WHERE nth = 1"
    )
}

/// Columns of a school's newest establishment row. Where that row or its LAESTAB is missing, the LAESTAB is that of the newest
/// Ofsted row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Establishment {
    /// LAESTAB.
    pub laestab: Option<Laestab>,
    /// Status in the register.
    pub status: Option<String>,
    /// Diocese.
    pub diocese: Option<String>,
    /// When it closed or will close.
    pub close_date: Option<Date>,
    /// Whether a file of establishments names it. Otherwise it is unknown whether it has a diocese.
    pub in_establishments: bool,
}

#[derive(FromQueryResult)]
struct EstablishmentRow {
    urn: i64,
    laestab: Option<i64>,
    status: Option<String>,
    diocese: Option<String>,
    closed_on: Option<Date>,
}

/// Those of these schools that a file of establishments or a monthly file names.
pub async fn establishments(from: &dyn Readable, urns: &[Urn]) -> Result<HashMap<Urn, Establishment>> {
    let conn = from.at();
    let in_urns = value_in(&conn, "r.urn", 1);
    let sql = format!(
        "SELECT urn, laestab, status, diocese, closed_on FROM (
           SELECT a.*, ROW_NUMBER() OVER (PARTITION BY urn, priority
               ORDER BY as_at DESC, COALESCE(laestab, 0) DESC, status DESC, COALESCE(diocese, '') DESC,
                   closed_on IS NULL, closed_on DESC) AS nth FROM (
             SELECT r.urn, r.laestab, r.status, r.diocese, r.closed_on, i.as_at, 2 AS priority
               FROM establishment_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_urns}
             UNION ALL
             SELECT r.urn, r.laestab, NULL, NULL, NULL, i.as_at, 1
               FROM ofsted_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_urns}
           ) a) newest WHERE nth = 1 ORDER BY urn, priority DESC"
    );
    let rows: Vec<EstablishmentRow> = select(&conn, &sql, vec![numbers(&conn, &urn_numbers(urns))]).await?;
    let mut found: HashMap<Urn, Establishment> = HashMap::new();
    for row in rows {
        let establishment = found.entry(urn(row.urn)?).or_default();
        let laestab = row.laestab.and_then(|number| u32::try_from(number).ok()).and_then(Laestab::new);
        establishment.laestab = establishment.laestab.or(laestab);
        // Only a file of establishments prints a status, and it always does.
        establishment.in_establishments |= row.status.is_some();
        establishment.status = establishment.status.take().or(row.status);
        establishment.diocese = establishment.diocese.take().or(row.diocese);
        establishment.close_date = establishment.close_date.or(row.closed_on);
    }
    Ok(found)
}

/// A group, as in the newest file that names it. Its kind says whether it is a trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Its UID.
    pub uid: Uid,
    /// Its name.
    pub name: String,
    /// GIAS group type.
    pub kind: u8,
    /// The group type in words.
    pub kind_name: String,
    /// Open, Closed, Proposed to open, Proposed to close or Created in error.
    pub status: String,
}

/// Those of these groups that a landed file of groups or of membership names. A file of groups takes precedence over a file of
/// membership with the same date. A newer file of groups shows which trusts have closed since the file
/// of membership was published.
pub async fn trusts(from: &dyn Readable, uids: &[Uid]) -> Result<HashMap<Uid, Trust>> {
    let conn = from.at();
    let mut queries = MultiQuery::default();
    let number = add_trusts_query(&conn, &mut queries, uids);
    let found = queries.run(&conn).await?.read(Some(number), read_trust)?;
    Ok(found.into_iter().map(|it| (it.uid, it)).collect())
}

/// Adds a query for these groups; see [`trusts`]. Returns the query's number.
pub(super) fn add_trusts_query(conn: &Conn<'_>, queries: &mut MultiQuery, uids: &[Uid]) -> usize {
    queries.add(TrustRow::COLUMNS, [numbers(conn, &uid_numbers(uids))], |index| {
        newest_trusts(&value_in(conn, "r.uid", index))
    })
}

/// The part after the columns of a query for the newest description of each trust whose rows `r` meet the condition.
fn newest_trusts(in_uids: &str) -> String {
    format!(
        "FROM (
           SELECT a.*, ROW_NUMBER() OVER (PARTITION BY uid
               ORDER BY as_at DESC, priority DESC, name DESC, status DESC, kind DESC, kind_name DESC) AS nth FROM (
             SELECT r.uid, r.name, r.kind, r.kind_name, r.status, i.as_at, 2 AS priority
               FROM group_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_uids}
             UNION ALL
             SELECT r.uid, r.group_name, r.kind, r.kind_name, r.status, i.as_at, 1
               FROM membership_rows r JOIN imports i ON i.id = r.import_id WHERE i.state = 'landed' AND {in_uids}
           ) a) newest WHERE nth = 1"
    )
}

row! {
    /// A group in one of the files.
    pub(super) struct TrustRow {
        uid: Uid,
        name: String,
        kind: i64,
        kind_name: String,
        status: String,
    }
}

/// Decodes a group.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(super) fn read_trust(row: TrustRow) -> Result<Trust> {
    let TrustRow { uid, name, kind, kind_name, status } = row;
    Ok(Trust { uid, name, kind: group_type(kind)?, kind_name, status })
}

/// All names of each of these trusts in files. The name that [`trusts`] returns is first. Names from files that no longer count
/// come last.
///
/// # Errors
/// [`super::StoreError::Unreadable`]; [`super::StoreError::Unavailable`].
pub async fn trust_names(from: &dyn Readable, uids: &[Uid]) -> Result<HashMap<Uid, Vec<String>>> {
    let conn = from.at();
    let (in_uids, ever_landed) = (value_in(&conn, "r.uid", 1), "i.state IN ('landed', 'replaced', 'withdrawn')");
    let sql = format!(
        "SELECT uid, name FROM (
           SELECT uid, name, ROW_NUMBER() OVER (PARTITION BY uid
               ORDER BY CASE state WHEN 'landed' THEN 0 ELSE 1 END, as_at DESC, priority DESC, name DESC) AS nth FROM (
             SELECT r.uid, r.name, i.state, i.as_at, 2 AS priority
               FROM group_rows r JOIN imports i ON i.id = r.import_id WHERE {ever_landed} AND {in_uids}
             UNION ALL
             SELECT r.uid, r.group_name, i.state, i.as_at, 1
               FROM membership_rows r JOIN imports i ON i.id = r.import_id WHERE {ever_landed} AND {in_uids}
           ) named) ranked GROUP BY uid, name ORDER BY uid, MIN(nth)"
    );
    let mut names: HashMap<Uid, Vec<String>> = HashMap::new();
    for (uid, name) in
        select_rows(&conn, &sql, vec![numbers(&conn, &uid_numbers(uids))], Ok::<(Uid, String), _>).await?
    {
        names.entry(uid).or_default().push(name);
    }
    Ok(names)
}

/// A link between two schools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// The type of the link: Predecessor, Successor, ...
    pub link_type: String,
    /// The day on which it was established, if printed.
    pub on: Option<Date>,
}

/// The direction in which links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkDirection {
    /// To predecessors.
    Predecessors,
    /// To successors.
    Successors,
}

/// The predecessors or successors of these schools in the newest files of links, by the URN of the school. A school that has none
/// is left out. A link counts whether a file prints it at the school or at the linked school.
pub async fn linked_schools(from: &dyn Readable, urns: &[Urn], which: LinkDirection) -> Result<HashMap<Urn, Vec<Urn>>> {
    #[derive(FromQueryResult)]
    struct Row {
        school: i64,
        other: i64,
    }
    let (own_type, other_type) = match which {
        LinkDirection::Predecessors => ("predecessor%", "successor%"),
        LinkDirection::Successors => ("successor%", "predecessor%"),
    };
    let conn = from.at();
    let newest =
        "i.state = 'landed' AND i.as_at = (SELECT MAX(as_at) FROM imports WHERE kind = 'links' AND state = 'landed')";
    let sql = format!(
        "SELECT r.urn AS school, r.link_urn AS other FROM link_rows r JOIN imports i ON i.id = r.import_id
           WHERE {newest} AND LOWER(r.link_type) LIKE '{own_type}' AND r.urn <> r.link_urn AND {}
         UNION
         SELECT r.link_urn, r.urn FROM link_rows r JOIN imports i ON i.id = r.import_id
           WHERE {newest} AND LOWER(r.link_type) LIKE '{other_type}' AND r.urn <> r.link_urn AND {}
         ORDER BY 1, 2",
        value_in(&conn, "r.urn", 1),
        value_in(&conn, "r.link_urn", 1),
    );
    let rows: Vec<Row> = select(&conn, &sql, vec![numbers(&conn, &urn_numbers(urns))]).await?;
    let mut found: HashMap<Urn, Vec<Urn>> = HashMap::new();
    for row in rows {
        found.entry(urn(row.school)?).or_default().push(urn(row.other)?);
    }
    Ok(found)
}

/// A school's links in the newest files of links, in the order of the linked schools' URNs.
pub async fn links(from: &dyn Readable, school: Urn) -> Result<Vec<Link>> {
    #[derive(FromQueryResult)]
    struct Row {
        link_urn: i64,
        link_name: String,
        link_type: String,
        linked_on: Option<Date>,
    }
    let sql = "SELECT DISTINCT r.link_urn, r.link_name, r.link_type, r.linked_on
         FROM link_rows r JOIN imports i ON i.id = r.import_id
         WHERE i.state = 'landed' AND r.urn = $1 AND i.as_at =
             (SELECT MAX(as_at) FROM imports WHERE kind = 'links' AND state = 'landed')
         ORDER BY r.link_urn, r.link_type";
    let rows: Vec<Row> = select(&from.at(), sql, vec![i64::from(school.get()).into()]).await?;
    let link = |row: Row| {
        Ok(Link { urn: urn(row.link_urn)?, name: row.link_name, link_type: row.link_type, on: row.linked_on })
    };
    rows.into_iter().map(link).collect()
}

pub(super) fn urn_numbers(urns: &[Urn]) -> Vec<i64> {
    urns.iter().map(|urn| i64::from(urn.get())).collect()
}

pub(super) fn uid_numbers(uids: &[Uid]) -> Vec<i64> {
    uids.iter().map(|uid| i64::from(uid.get())).collect()
}

pub(super) fn group_type(number: i64) -> Result<u8> {
    u8::try_from(number).map_err(|_| StoreError::unreadable(format!("group type {number}")))
}
