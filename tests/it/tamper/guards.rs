//! Drops the triggers, constraints and indexes that prevent changes of rows, as an administrator of the database can. Copies
//! all tables, and restores single tables from their copies.

use std::collections::BTreeSet;

use crate::raw_sql::RawSql;

/// A query that returns statements. They drop the triggers, the constraints, and the unique indexes that are no primary keys.
const POSTGRES: &str = "SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname) \
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f') \
    UNION ALL SELECT 'DROP INDEX ' || indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indrelid \
    WHERE c.relnamespace = 'public'::regnamespace AND indisunique AND NOT indisprimary \
    UNION ALL SELECT 'DROP TRIGGER ' || quote_ident(tgname) || ' ON ' || tgrelid::regclass FROM pg_trigger \
    JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal";
const SQLITE: &str = "SELECT 'DROP ' || type || ' ' || name FROM sqlite_schema \
    WHERE type = 'trigger' OR (type = 'index' AND sql LIKE 'CREATE UNIQUE%')";

/// Drops all guards, which are not restored, and copies each table.
pub(super) async fn drop_guards(raw_sql: &mut RawSql, tables: &BTreeSet<String>) {
    let (drop_query, prepare_copies) = match raw_sql {
        RawSql::Postgres(_) => (POSTGRES, "CREATE SCHEMA kept"),
        RawSql::Sqlite(_) => {
            (SQLITE, "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; ATTACH ':memory:' AS kept")
        }
    };
    for drop in raw_sql.lines(drop_query).await {
        raw_sql.run(&drop).await.unwrap();
    }
    raw_sql.run(prepare_copies).await.unwrap();
    for table in tables {
        raw_sql.run(&format!("CREATE TABLE kept.{table} AS SELECT * FROM {table}")).await.unwrap();
    }
}

/// Restores a table from its copy.
pub(super) async fn restore(raw_sql: &mut RawSql, table: &str) {
    raw_sql
        .run(&format!("BEGIN; DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept.{table}; COMMIT"))
        .await
        .unwrap();
}
