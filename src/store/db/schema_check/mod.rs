//! Compares the schema that a database has with the one that the migrations make.
//!
//! | database | what the migrations make |
//! |---|---|
//! | SQLite | a database in memory, migrated here |
//! | PostgreSQL | `schema_check/postgres.tsv`, which a test compares with a database that was just migrated |
//!
//! Each schema is read as a list of things: tables, columns, indexes and so on. A thing has a kind, a name and a definition. ADR
//! 0037 says why PostgreSQL has a file.

mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::bulk_sql::select_rows;
use crate::store::{Backend, Conn, Readable, Result, StoreError};

/// The query for the things of a PostgreSQL schema.
const READ_POSTGRES: &str = include_str!("postgres.sql");
/// The result of that query for a database that was just migrated.
const MIGRATED_POSTGRES: &str = include_str!("postgres.tsv");

/// The findings of a comparison, each as a sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaFindings {
    /// Things that are missing, changed, or unexpected.
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
/// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] if the answer of the catalog has another form.
pub async fn compare(from: &dyn Readable) -> Result<SchemaFindings> {
    let conn = from.at();
    Ok(match conn.backend {
        Backend::Sqlite => compare_things(sqlite::migrated_things().await?, &sqlite::read(&conn).await?),
        Backend::Postgres => compare_things(&parse(MIGRATED_POSTGRES.lines())?, &read_postgres(&conn).await?),
    })
}

async fn read_postgres(conn: &Conn<'_>) -> Result<Things> {
    let lines = select_rows(conn, READ_POSTGRES, Vec::new(), Ok::<String, _>).await?;
    parse(lines.iter().map(String::as_str))
}

fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Things> {
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

fn tables(things: &Things) -> BTreeSet<&str> {
    things.keys().filter(|it| it.kind == "table").map(|it| it.table.as_str()).collect()
}

/// Compares the things that the migrations make with those that a database has.
fn compare_things(made: &Things, found: &Things) -> SchemaFindings {
    let [made_tables, found_tables] = [made, found].map(tables);
    let mut findings = SchemaFindings::default();
    for (name, definition) in made {
        let finding = match found.get(name) {
            Some(other) if other == definition => continue,
            Some(other) => format!("{name}: expected {definition:?}, got {other:?}"),
            None => format!("{name} is missing: {definition:?}"),
        };
        // The columns and other things of a missing table are not reported as well.
        if name.kind != "table" && !name.table.is_empty() && !found_tables.contains(name.table.as_str()) {
            continue;
        }
        findings.add(is_harmless(&name.kind), finding);
    }
    for (name, definition) in found.iter().filter(|(name, _)| !made.contains_key(*name)) {
        let is_on_made_table = made_tables.contains(name.table.as_str());
        let finding = format!("{name} is unexpected: the migrations do not make {definition:?}");
        match name.kind.as_str() {
            "table" => findings.add(true, finding),
            kind if name.table.is_empty() || is_on_made_table => findings.add(is_harmless(kind), finding),
            "relation" => findings.add(true, finding),
            // A thing on a table that operators have added is theirs, and not reported.
            _ => {}
        }
    }
    findings
}

impl SchemaFindings {
    fn add(&mut self, is_note: bool, finding: String) {
        if is_note { self.notes.push(finding) } else { self.differences.push(finding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = "table\toffers\t\tkept\ncolumn\toffers\tid\tuuid NOT NULL\nindex\toffers\tby_id\tON offers (id)\n\
                        trigger\toffers\tguard\tBEFORE DELETE\nfunction\t\tappend_only()\ttrigger plpgsql\n\
                        table\tawards\t\tkept\ncolumn\tawards\tid\tuuid NOT NULL";

    /// The findings for a schema without the line `without` and with the further line `with`.
    fn findings_for(without: &str, with: &str) -> SchemaFindings {
        let lines = MADE.lines().filter(|it| *it != without);
        let lines = lines.chain(Some(with).filter(|it| !it.is_empty()));
        compare_things(&parse(MADE.lines()).unwrap(), &parse(lines).unwrap())
    }

    #[test]
    fn a_missing_changed_or_unexpected_thing_is_a_difference() {
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
        for (without, with, expected) in rows {
            let findings = findings_for(without, with);
            assert_eq!(findings.differences.len(), usize::from(!expected.is_empty()), "{without} {with}: {findings:?}");
            assert!(findings.differences.iter().all(|it| it.contains(expected)), "{without} {with}: {findings:?}");
            assert_eq!(findings.notes, Vec::<String>::new(), "{without} {with}");
        }
    }

    #[test]
    fn a_missing_table_is_named_once() {
        let lines = MADE.lines().filter(|it| !it.contains("awards"));
        let findings = compare_things(&parse(MADE.lines()).unwrap(), &parse(lines).unwrap());
        assert_eq!(findings.differences, ["table awards is missing: \"kept\""]);
    }

    #[test]
    fn an_addition_of_operators_is_a_note() {
        let rows = [
            ("", "index\toffers\tmine\tON offers (id)", 1),
            ("index\toffers\tby_id\tON offers (id)", "", 1),
            ("", "extension\t\tpg_stat_statements\t1.10", 1),
            ("", "statistics\toffers\tmine\tCREATE STATISTICS", 1),
            ("", "table\tcopied\t\tkept", 1),
            ("", "relation\treport\t\trelkind v", 1),
            // A thing on a table that operators have added is not reported.
            ("", "trigger\tcopied\tmine\tBEFORE INSERT", 0),
        ];
        for (without, with, notes) in rows {
            let findings = findings_for(without, with);
            assert_eq!(
                (findings.differences.len(), findings.notes.len()),
                (0, notes),
                "{without} {with}: {findings:?}"
            );
        }
    }
}
