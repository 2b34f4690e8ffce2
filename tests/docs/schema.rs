//! Makes the reference page of the database's schema. The sources are a migrated SQLite database, the stored description of a
//! migrated PostgreSQL database, which `tests/it/schema.rs` checks, and the sentences in `migrations/src/tables.rs`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use migrations::tables::TABLES;
use migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

/// The items of a migrated PostgreSQL database, one per line: kind, table, name, definition.
const POSTGRES: &str = include_str!("../../src/store/db/schema_check/postgres.tsv");

const INTRODUCTION: &str = "# The database's schema

Generated from a migrated database and from the sentences in `migrations/src/tables.rs`: `TSIO_WRITE_DOCS=1 tests/run the_schema_page`.
`tsio verify` compares the schema of a database with the one that is described here.

Both databases have the same tables, columns, checks and indexes. Types differ, and so do the triggers that prevent changes of rows. The table
`books` has one row for each programme. Earlier versions had another name for programmes: see the [glossary](glossary.md).

| what | on SQLite | on PostgreSQL |
|---|---|---|
| an id | 16 bytes of a UUID | `uuid` |
| a hash | 32 bytes of SHA-256 | `bytea` |
| a day | text, `2021-09-14` | `date` |
| a moment (`.._at`) | microseconds since 1970, UTC | the same |
| an amount | pence, or half days | the same |
| yes or no | 1 or 0 | `boolean` |

The kind and the effect of each event are in its `body`, as JSON: see [the record](record.md).
";

/// The values of a row, as texts. NULL is an empty text.
type Row = Vec<String>;

/// Returns the items of a kind that a table has on PostgreSQL, each as its name and definition.
fn on_postgres<'a>(kind: &'a str, table: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    POSTGRES.lines().filter_map(move |line| {
        let mut parts = line.splitn(4, '\t');
        let is_requested = parts.next() == Some(kind) && parts.next() == Some(table);
        Some((parts.next()?, parts.next()?)).filter(|_| is_requested)
    })
}

/// Runs a query on SQLite, and returns its rows with this number of text columns.
async fn rows(database: &DatabaseConnection, sql: &str, columns: usize) -> Vec<Row> {
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let text =
        |row: &sea_orm::QueryResult, index| row.try_get_by_index::<Option<String>>(index).unwrap().unwrap_or_default();
    rows.iter().map(|row| (0..columns).map(|index| text(row, index)).collect()).collect()
}

/// Returns the text of `docs/reference/schema.md`.
pub(super) async fn page() -> String {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let database = Database::connect(options).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    let described: Vec<&str> = TABLES.iter().flat_map(|(_, tables)| *tables).map(|(name, _)| *name).collect();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let migrated: BTreeSet<String> = rows(&database, sql, 1).await.concat().into_iter().collect();
    let missing: Vec<&String> = migrated.iter().filter(|it| !described.contains(&it.as_str())).collect();
    assert!(missing.is_empty(), "these tables have no sentence in migrations/src/tables.rs: {missing:?}");
    let removed: Vec<&&str> = described.iter().filter(|it| !migrated.contains(**it)).collect();
    assert!(removed.is_empty(), "migrations/src/tables.rs describes tables that do not exist: {removed:?}");
    let mut page = INTRODUCTION.to_owned();
    for (group, tables) in TABLES {
        write!(page, "\n## {group}\n").unwrap();
        for (table, sentence) in tables {
            assert!(sentence.ends_with('.') && sentence.len() > 20, "{table} needs a sentence: {sentence:?}");
            write!(page, "\n### {table}\n\n{sentence}\n\n").unwrap();
            page.push_str(&columns(&database, table).await);
            page.push_str(&rules(&database, table).await);
        }
    }
    for (name, definition) in on_postgres("function", "") {
        write!(page, "\n## A function on PostgreSQL\n\n`{name}` is what the triggers run: `{definition}`\n").unwrap();
    }
    page
}

/// Returns the Markdown table of a table's columns, each with the table to which it refers.
async fn columns(database: &DatabaseConnection, table: &str) -> String {
    let sql = format!("SELECT \"from\", \"table\" FROM pragma_foreign_key_list('{table}')");
    let references = rows(database, &sql, 2).await;
    let on_both = on_postgres("constraint", table).filter(|(_, it)| it.starts_with("FOREIGN KEY")).count();
    assert!(on_both == references.len() || on_both == 0, "{table}: PostgreSQL has to have all foreign keys or none");
    let only = if on_both == references.len() { "" } else { ", on SQLite only" };
    let sql = format!(
        "SELECT name, type, CAST(\"notnull\" AS TEXT), dflt_value, CAST(pk AS TEXT) FROM pragma_table_info('{table}')"
    );
    let mut text = String::from("| column | on SQLite | on PostgreSQL | |\n|---|---|---|---|\n");
    let all = rows(database, &sql, 5).await;
    assert_eq!(
        all.len(),
        on_postgres("column", table).count(),
        "{table}: both databases must have the same number of columns"
    );
    for row in all {
        let [name, kind, not_null, default, key] = row.try_into().unwrap();
        let (_, definition) = on_postgres("column", table).find(|(it, _)| *it == name).unwrap();
        assert_eq!(not_null == "1", definition.contains("NOT NULL"), "{table}.{name}");
        let postgres_type = definition.split(" NOT NULL").next().unwrap().split(" DEFAULT").next().unwrap();
        let mut notes = Vec::new();
        if key != "0" {
            notes.push("key".to_owned());
        }
        if not_null == "0" {
            notes.push("may be NULL".to_owned());
        }
        if !default.is_empty() {
            notes.push(format!("{default} where nothing is given"));
        }
        let reference = references.iter().find(|it| it[0] == name);
        notes.extend(reference.map(|it| format!("refers to [{0}](#{0}){only}", it[1])));
        writeln!(text, "| `{name}` | {} | {postgres_type} | {} |", kind.to_lowercase(), notes.join("; ")).unwrap();
    }
    text
}

/// Returns the Markdown list of a table's checks, indexes and triggers.
async fn rules(database: &DatabaseConnection, table: &str) -> String {
    let mut lines = Vec::new();
    let sql = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}'");
    let table_sql = plain(&rows(database, &sql, 1).await.concat().concat());
    let checks: Vec<&str> = table_sql
        .match_indices("CHECK (")
        .map(|(offset, it)| before_closing(&table_sql[offset + it.len()..]))
        .collect();
    let on_other = on_postgres("constraint", table).filter(|(_, it)| it.starts_with("CHECK")).count();
    assert_eq!(checks.len(), on_other, "{table}: both databases must have the same number of checks: {checks:?}");
    lines.extend(checks.iter().map(|it| format!("check `{it}`")));
    let sql = format!(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL ORDER BY name"
    );
    let indexes = rows(database, &sql, 2).await;
    let names: BTreeSet<&str> = indexes.iter().map(|it| it[0].as_str()).collect();
    let others = on_postgres("index", table).chain(on_postgres("unique index", table)).map(|(name, _)| name);
    assert_eq!(
        names,
        others.filter(|it| !it.ends_with("_pkey")).collect(),
        "{table}: both databases must have the same indexes"
    );
    for index in &indexes {
        let text = plain(&index[1]);
        let unique = if text.starts_with("CREATE UNIQUE") { "unique index" } else { "index" };
        let (_, on) = text.split_once(&format!(" ON {table} ")).unwrap();
        lines.push(format!("{unique} `{}` on `{on}`", index[0]));
    }
    let sql =
        format!("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}' ORDER BY name");
    for trigger in rows(database, &sql, 2).await {
        lines.push(format!("trigger on SQLite: {}", describe_trigger(&trigger[0], &plain(&trigger[1]))));
    }
    lines.extend(
        on_postgres("trigger", table)
            .map(|(name, it)| format!("trigger on PostgreSQL: {}", describe_trigger(name, it))),
    );
    if table_sql.ends_with("WITHOUT ROWID") {
        lines.push("on SQLite the rows are stored in the order of the key".to_owned());
    }
    let lines: String = lines.iter().map(|it| format!("* {it}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// Describes a trigger by its SQL: its name, and before which statement it runs.
fn describe_trigger(name: &str, sql: &str) -> String {
    let (_, rest) = sql.split_once(name).unwrap();
    let (time, _) = rest.split_once(" ON ").unwrap();
    format!("`{name}`, {}", time.trim().to_lowercase())
}

/// Removes comments and the quotes around names, and replaces all white space by single spaces.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(before, _)| before));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").replace('"', "")
}

/// Returns the text up to the bracket that closes the one before `text`.
fn before_closing(text: &str) -> &str {
    let mut depth = 1;
    let close = text.char_indices().find(|(_, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[..close.unwrap().0]
}
