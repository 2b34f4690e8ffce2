//! Compares the schema that a database has with the one that the migrations make.
//!
//! | database | what the migrations make |
//! |---|---|
//! | SQLite | a database in memory, migrated here |
//! | PostgreSQL | `schema_check/postgres.tsv`, which a test compares with a database that was just migrated |
//!
//! Both are read as things of a kind, by name. Why PostgreSQL has a file: ADR 0037.

mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::bulk_sql::select_rows;
use crate::store::{Backend, Conn, Readable, Result, StoreError};

/// Reads the things of a PostgreSQL schema.
const READ_POSTGRES: &str = include_str!("postgres.sql");
/// What that reads of a database that was just migrated.
const MADE_ON_POSTGRES: &str = include_str!("postgres.tsv");

/// What a comparison found, each as a sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaFindings {
    /// What is missing, changed, or unexpected.
    pub differences: Vec<String>,
    /// Additions that operators may make, and indexes that only make reads faster.
    pub notes: Vec<String>,
}

/// The name of a thing in a schema: its kind, the table it is on (empty for none) and its own name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ThingName {
    kind: String,
    table: String,
    name: String,
}

impl fmt::Display for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, table, name } = self;
        match (table.as_str(), name.as_str()) {
            (_, "") => write!(f, "{kind} {table}"),
            ("", _) => write!(f, "{kind} {name}"),
            _ => write!(f, "{kind} {name} of table {table}"),
        }
    }
}

/// The things of a schema, each with its definition.
type Things = BTreeMap<ThingName, String>;

/// Compares the schema of the database that is read from.
///
/// # Errors
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] for a catalog that says something else than it is asked.
pub async fn compare(from: &impl Readable) -> Result<SchemaFindings> {
    let conn = from.at();
    Ok(match conn.backend {
        Backend::Sqlite => compared(sqlite::made().await?, &sqlite::read(&conn).await?),
        Backend::Postgres => compared(&parsed(MADE_ON_POSTGRES.lines())?, &read_postgres(&conn).await?),
    })
}

async fn read_postgres(conn: &Conn<'_>) -> Result<Things> {
    let lines = select_rows(conn, READ_POSTGRES, Vec::new(), Ok::<String, _>).await?;
    parsed(lines.iter().map(String::as_str))
}

fn parsed<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Things> {
    let thing = |line: &str| {
        let mut parts = line.splitn(4, '\t').map(ToOwned::to_owned);
        let mut next =
            || parts.next().ok_or_else(|| StoreError::unreadable(format!("a thing of the schema: {line:?}")));
        Ok((ThingName { kind: next()?, table: next()?, name: next()? }, next()?))
    };
    lines.map(thing).collect()
}

/// Whether a thing of this kind changes neither what can be stored nor what is read.
fn is_harmless(kind: &str) -> bool {
    matches!(kind, "index" | "relation" | "extension" | "statistics")
}

fn tables(of: &Things) -> BTreeSet<&str> {
    of.keys().filter(|it| it.kind == "table").map(|it| it.table.as_str()).collect()
}

fn compared(made: &Things, found: &Things) -> SchemaFindings {
    let [ours, there] = [made, found].map(tables);
    let mut findings = SchemaFindings::default();
    for (name, definition) in made {
        let said = match found.get(name) {
            Some(other) if other == definition => continue,
            Some(other) => format!("{name}: expected {definition:?}, got {other:?}"),
            None => format!("{name} is missing: {definition:?}"),
        };
        // Of a table that is missing nothing more is said.
        if name.kind != "table" && !name.table.is_empty() && !there.contains(name.table.as_str()) {
            continue;
        }
        findings.add(is_harmless(&name.kind), said);
    }
    for (name, definition) in found.iter().filter(|(name, _)| !made.contains_key(*name)) {
        let is_on_ours = ours.contains(name.table.as_str());
        let said = format!("{name} is unexpected: the migrations do not make {definition:?}");
        match name.kind.as_str() {
            "table" => findings.add(true, said),
            kind if name.table.is_empty() || is_on_ours => findings.add(is_harmless(kind), said),
            "relation" => findings.add(true, said),
            // What is on a table of the operators' own is theirs.
            _ => {}
        }
    }
    findings
}

impl SchemaFindings {
    fn add(&mut self, is_note: bool, said: String) {
        if is_note { self.notes.push(said) } else { self.differences.push(said) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "table\toffers\t\tkept\ncolumn\toffers\tid\tuuid NOT NULL\nindex\toffers\tby_id\tON offers (id)\n\
                        trigger\toffers\tguard\tBEFORE DELETE\nfunction\t\tappend_only()\ttrigger plpgsql\n\
                        table\tawards\t\tkept\ncolumn\tawards\tid\tuuid NOT NULL";

    /// What is found in a schema from which this line is taken, and to which this one is added.
    fn found(without: &str, with: &str) -> SchemaFindings {
        let lines = MADE.lines().filter(|it| *it != without);
        let lines = lines.chain(Some(with).filter(|it| !it.is_empty()));
        compared(&parsed(MADE.lines()).unwrap(), &parsed(lines).unwrap())
    }

    #[test]
    fn what_is_missing_different_or_unexpected_is_a_difference() {
        let rows = [
            ("", "", ""),
            ("trigger\toffers\tguard\tBEFORE DELETE", "", "trigger guard of table offers is missing"),
            ("function\t\tappend_only()\ttrigger plpgsql", "function\t\tappend_only()\tvoid sql", "expected \"trigger"),
            ("column\toffers\tid\tuuid NOT NULL", "column\toffers\tid\tuuid", "got \"uuid\""),
            ("", "trigger\toffers\tmine\tBEFORE INSERT", "trigger mine of table offers is unexpected"),
            ("", "function\t\tmine()\tvoid sql", "function mine() is unexpected"),
            ("", "rule\tawards\tnothing\tDO INSTEAD NOTHING", "rule nothing of table awards is unexpected"),
            ("", "unique index\tawards\tmine\tON awards (id)", "unique index mine of table awards is unexpected"),
            ("", "setting\t\tsession_replication_role\treplica", "setting session_replication_role is unexpected"),
        ];
        for (without, with, named) in rows {
            let findings = found(without, with);
            assert_eq!(findings.differences.len(), usize::from(!named.is_empty()), "{without} {with}: {findings:?}");
            assert!(findings.differences.iter().all(|it| it.contains(named)), "{without} {with}: {findings:?}");
            assert_eq!(findings.notes, Vec::<String>::new(), "{without} {with}");
        }
    }

    #[test]
    fn a_missing_table_is_named_once() {
        let lines = MADE.lines().filter(|it| !it.contains("awards"));
        let findings = compared(&parsed(MADE.lines()).unwrap(), &parsed(lines).unwrap());
        assert_eq!(findings.differences, ["table awards is missing: \"kept\""]);
    }

    #[test]
    fn what_operators_add_by_themselves_is_a_note() {
        let rows = [
            ("", "index\toffers\tmine\tON offers (id)", 1),
            ("index\toffers\tby_id\tON offers (id)", "", 1),
            ("", "extension\t\tpg_stat_statements\t1.10", 1),
            ("", "statistics\toffers\tmine\tCREATE STATISTICS", 1),
            ("", "table\tcopied\t\tkept", 1),
            ("", "relation\treport\t\trelkind v", 1),
            // What is on a table of their own is theirs.
            ("", "trigger\tcopied\tmine\tBEFORE INSERT", 0),
        ];
        for (without, with, notes) in rows {
            let findings = found(without, with);
            assert_eq!(
                (findings.differences.len(), findings.notes.len()),
                (0, notes),
                "{without} {with}: {findings:?}"
            );
        }
    }
}
