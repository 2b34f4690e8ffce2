//! Reads the things of a SQLite schema from the SQL texts that SQLite stores for them.

use std::time::Duration;

use migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, Database};
use tokio::sync::OnceCell;

use super::{ThingName, Things};
use crate::store::db::bulk_sql::select_rows;
use crate::store::{Backend, Conn, Result};

/// How long to wait for a connection to the database in memory.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The query for foreign keys: each table, and a table that its rows refer to. Rows that are referred to cannot be deleted.
const REFERENCES: &str = "SELECT m.name, f.\"table\" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f \
                          WHERE m.type = 'table'";

/// The things that the migrations make, read once, because they do not change while this program runs.
static MADE: OnceCell<Things> = OnceCell::const_new();

/// The things that the migrations make.
///
/// # Errors
/// [`crate::store::StoreError::Unavailable`].
pub(super) async fn migrated_things() -> Result<&'static Things> {
    MADE.get_or_try_init(migrate_in_memory).await
}

/// Migrates a database in memory and reads its things.
async fn migrate_in_memory() -> Result<Things> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false);
    let database = Database::connect(options).await?;
    Migrator::up(&database, None).await?;
    let things = read(&Conn { db: (&database).into(), backend: Backend::Sqlite }).await?;
    database.close().await?;
    Ok(things)
}

/// The things that a database has.
///
/// # Errors
/// [`crate::store::StoreError::Unreadable`].
pub(super) async fn read(conn: &Conn<'_>) -> Result<Things> {
    type Text = Option<String>;
    // The index of a key has no text of its own: the text of its table declares the key.
    let sql = "SELECT type, tbl_name, name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
    let mut things = Things::new();
    let texts = |(kind, table, name, text): (Text, Text, Text, Text)| {
        Ok([kind, table, name, text].map(Option::unwrap_or_default))
    };
    for [kind, table, name, text] in select_rows(conn, sql, Vec::new(), texts).await? {
        let text = normalise(&text);
        match kind.as_str() {
            "table" if name.starts_with("sqlite_stat") => add(&mut things, ["statistics", "", &name], text),
            "table" => add_table(&mut things, &name, &text),
            "index" if text.starts_with("CREATE UNIQUE") => add(&mut things, ["unique index", &table, &name], text),
            "index" | "trigger" => add(&mut things, [&kind, &table, &name], text),
            _ => add(&mut things, ["relation", &name, ""], text),
        }
    }
    for (from, to) in select_rows(conn, REFERENCES, Vec::new(), Ok::<(String, String), _>).await? {
        add(&mut things, ["reference", &to, &from], "REFERENCES".to_owned());
    }
    Ok(things)
}

fn add(things: &mut Things, [kind, table, name]: [&str; 3], definition: String) {
    let [kind, table, name] = [kind, table, name].map(ToOwned::to_owned);
    things.insert(ThingName { kind, table, name }, definition);
}

/// Adds a table, and its columns and constraints as separate things, so that a finding names each separately.
fn add_table(things: &mut Things, table: &str, text: &str) {
    let (before, rest) = text.split_once('(').unwrap_or((text, ""));
    let (inside, after) = rest.rsplit_once(')').unwrap_or((rest, ""));
    let table_kind = before.split(' ').nth(1).unwrap_or_default();
    add(things, ["table", table, ""], format!("{table_kind} {}", after.trim()).trim().to_owned());
    for part in parts(inside) {
        let (name, definition) = part.split_once(' ').unwrap_or((part, ""));
        match name.split('(').next().unwrap_or_default() {
            "CHECK" | "PRIMARY" | "UNIQUE" | "FOREIGN" | "CONSTRAINT" => {
                // The name of a constraint is its whole text.
                add(things, ["constraint", table, part], "as named".to_owned());
            }
            _ => add(things, ["column", table, name], definition.to_owned()),
        }
    }
}

/// The parts of a list between commas that are outside brackets and quotes.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut part_start, mut found) = (0_i32, false, 0, Vec::new());
    for (index, character) in list.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth = depth.saturating_add(1),
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                found.extend(list.get(part_start..index));
                part_start = index.saturating_add(1);
            }
            _ => {}
        }
    }
    found.extend(list.get(part_start..));
    found.into_iter().map(str::trim).filter(|it| !it.is_empty()).collect()
}

/// Normalises an SQL text: removes comments and the quotes that renaming a table adds, and reduces white space to single spaces.
fn normalise(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(before, _)| before));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").replace('"', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_separate_things() {
        let mut things = Things::new();
        let text = "CREATE TABLE \"t\" ( -- the key\n id BLOB NOT NULL PRIMARY KEY,\n  n INTEGER CHECK (n IN (1, 2)),\n\
                    CHECK (s <> 'a,)b'), \"s\" TEXT ) STRICT";
        add_table(&mut things, "t", &normalise(text));
        let shown: Vec<_> = things.iter().map(|(name, definition)| format!("{name}: {definition}")).collect();
        let expected = [
            "column id of table t: BLOB NOT NULL PRIMARY KEY",
            "column n of table t: INTEGER CHECK (n IN (1, 2))",
            "column s of table t: TEXT",
            "constraint CHECK (s <> 'a,)b') of table t: as named",
            "table t: TABLE STRICT",
        ];
        assert_eq!(shown, expected);
    }
}
