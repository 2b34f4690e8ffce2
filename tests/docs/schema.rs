//! The reference of the database's schema, made from a migrated SQLite database, the list of PostgreSQL's things that a test
//! holds to a migrated one (`tests/it/schema.rs`), and the sentences beside the migrations.

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

/// A row of a query as texts. NULL is an empty text.
type Row = Vec<String>;

/// Finds the items of a kind that a table has on PostgreSQL: name and definition.
fn on_postgres<'a>(kind: &'a str, table: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    POSTGRES.lines().filter_map(move |line| {
        let mut parts = line.splitn(4, '\t');
        let is_it = parts.next() == Some(kind) && parts.next() == Some(table);
        Some((parts.next()?, parts.next()?)).filter(|_| is_it)
    })
}

async fn rows(database: &DatabaseConnection, sql: &str, columns: usize) -> Vec<Row> {
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, at| row.try_get_by_index::<Option<String>>(at).unwrap().unwrap_or_default();
    rows.iter().map(|row| (0..columns).map(|at| text(row, at)).collect()).collect()
}

/// Makes the whole of `docs/reference/schema.md`.
pub(super) async fn page() -> String {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let database = Database::connect(options).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    let listed: Vec<&str> = TABLES.iter().flat_map(|(_, tables)| *tables).map(|(name, _)| *name).collect();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let there: BTreeSet<String> = rows(&database, sql, 1).await.concat().into_iter().collect();
    let missing: Vec<&String> = there.iter().filter(|it| !listed.contains(&it.as_str())).collect();
    assert!(missing.is_empty(), "these tables have no sentence in migrations/src/tables.rs: {missing:?}");
    let gone: Vec<&&str> = listed.iter().filter(|it| !there.contains(**it)).collect();
    assert!(gone.is_empty(), "migrations/src/tables.rs has tables that are not there: {gone:?}");
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

/// Makes the table of columns, each with the table that it refers to.
async fn columns(database: &DatabaseConnection, table: &str) -> String {
    let sql = format!("SELECT \"from\", \"table\" FROM pragma_foreign_key_list('{table}')");
    let references = rows(database, &sql, 2).await;
    let kept = on_postgres("constraint", table).filter(|(_, it)| it.starts_with("FOREIGN KEY")).count();
    assert!(kept == references.len() || kept == 0, "{table}: the foreign keys differ, and the page cannot say how");
    let only = if kept == references.len() { "" } else { ", on SQLite only" };
    let sql = format!(
        "SELECT name, type, CAST(\"notnull\" AS TEXT), dflt_value, CAST(pk AS TEXT) FROM pragma_table_info('{table}')"
    );
    let mut text = String::from("| column | on SQLite | on PostgreSQL | |\n|---|---|---|---|\n");
    let all = rows(database, &sql, 5).await;
    assert_eq!(all.len(), on_postgres("column", table).count(), "{table}: as many columns on both");
    for row in all {
        let [name, kind, not_null, default, key] = row.try_into().unwrap();
        let (_, other) = on_postgres("column", table).find(|(it, _)| *it == name).unwrap();
        assert_eq!(not_null == "1", other.contains("NOT NULL"), "{table}.{name}");
        let other = other.split(" NOT NULL").next().unwrap().split(" DEFAULT").next().unwrap();
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
        let referred = references.iter().find(|it| it[0] == name);
        notes.extend(referred.map(|it| format!("refers to [{0}](#{0}){only}", it[1])));
        writeln!(text, "| `{name}` | {} | {other} | {} |", kind.to_lowercase(), notes.join("; ")).unwrap();
    }
    text
}

/// Makes the list of a table's checks, indexes and triggers.
async fn rules(database: &DatabaseConnection, table: &str) -> String {
    let mut lines = Vec::new();
    let sql = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}'");
    let made = plain(&rows(database, &sql, 1).await.concat().concat());
    let checks: Vec<&str> = made.match_indices("CHECK (").map(|(at, it)| inside(&made[at + it.len()..])).collect();
    let others = on_postgres("constraint", table).filter(|(_, it)| it.starts_with("CHECK")).count();
    assert_eq!(checks.len(), others, "{table}: as many checks on both: {checks:?}");
    lines.extend(checks.iter().map(|it| format!("check `{it}`")));
    let sql = format!(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL ORDER BY name"
    );
    let indexes = rows(database, &sql, 2).await;
    let names: BTreeSet<&str> = indexes.iter().map(|it| it[0].as_str()).collect();
    let others = on_postgres("index", table).chain(on_postgres("unique index", table)).map(|(name, _)| name);
    assert_eq!(names, others.filter(|it| !it.ends_with("_pkey")).collect(), "{table}: the same indexes on both");
    for index in &indexes {
        let text = plain(&index[1]);
        let unique = if text.starts_with("CREATE UNIQUE") { "unique index" } else { "index" };
        let (_, on) = text.split_once(&format!(" ON {table} ")).unwrap();
        lines.push(format!("{unique} `{}` on `{on}`", index[0]));
    }
    let sql =
        format!("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}' ORDER BY name");
    for trigger in rows(database, &sql, 2).await {
        lines.push(format!("trigger on SQLite: {}", when(&trigger[0], &plain(&trigger[1]))));
    }
    lines.extend(on_postgres("trigger", table).map(|(name, it)| format!("trigger on PostgreSQL: {}", when(name, it))));
    if made.ends_with("WITHOUT ROWID") {
        lines.push("on SQLite the rows are stored in the order of the key".to_owned());
    }
    let lines: String = lines.iter().map(|it| format!("* {it}\n")).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// Describes a trigger: its name, and before which statement it runs.
fn when(name: &str, made: &str) -> String {
    let (_, rest) = made.split_once(name).unwrap();
    let (when, _) = rest.split_once(" ON ").unwrap();
    format!("`{name}`, {}", when.trim().to_lowercase())
}

/// Removes comments and the quotes of names, and makes all white space single spaces.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(before, _)| before));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").replace('"', "")
}

/// Returns the text before the bracket that closes an already open one.
fn inside(text: &str) -> &str {
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
