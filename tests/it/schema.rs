//! Tests that `tsio verify` compares the schema with the migrations: it names each difference, such as a missing trigger,
//! and notes what operators may add.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Db, Server, both, run, tsio};
use crate::raw_sql::{RawSql, verified_heads, verify};

both!(a_schema_that_differs_is_named, additions_by_operators_are_noted);

/// The query that describes the schema of PostgreSQL.
const SCHEMA_QUERY: &str = include_str!("../../src/store/db/schema_check/postgres.sql");
/// The file with the result of the query on a migrated database.
const SCHEMA_FILE: &str = "src/store/db/schema_check/postgres.tsv";

/// The migrated schema of PostgreSQL is stored in a file, because verify cannot create a second database and migrate it. To
/// write the file again: `TSIO_WRITE_SCHEMA=1 tests/run -E 'test(the_file_is_what)'`.
#[test]
fn the_file_is_what_the_migrations_make() {
    let db = Db::postgres();
    let schema = db.psql(SCHEMA_QUERY) + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA_FILE);
    if std::env::var_os("TSIO_WRITE_SCHEMA").is_some() {
        std::fs::write(path, schema).unwrap();
    } else {
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            schema,
            "the file differs from the migrated schema: write it again with TSIO_WRITE_SCHEMA=1"
        );
    }
}

/// Tells whether a text of the list contains this part.
fn names(texts: &Value, part: &str) -> bool {
    texts.as_array().unwrap().iter().any(|it| it.as_str().unwrap().contains(part))
}

/// Makes each change, checks that verify names it, and undoes it. A row contains the SQL of the change, the expected part
/// of the difference, and the SQL that undoes the change.
async fn each_is_named(db: &Db, rows: &[[&str; 3]]) {
    let mut raw_sql = RawSql::of(db).await;
    let verify_unknown = || tsio(&["verify", "--database", &db.url(), "--programme", "1999-00"]).stderr;
    let not_found = verify_unknown();
    assert!(not_found.contains("1999-00"), "{not_found}");
    for [change, expected_difference, undo] in rows {
        raw_sql.run(change).await.unwrap();
        let (code, reports) = verify(db, &[]);
        assert_eq!(code, 1, "{change}");
        let report = &reports[0];
        assert!(names(&report["differences"], &format!("schema: {expected_difference}")), "{change}: {report:#}");
        assert_eq!(verify_unknown(), not_found, "{change}: an unknown programme is not found");
        raw_sql.run(undo).await.unwrap();
        verified_heads(db);
    }
}

/// Starts a server, which migrates the database and adds the two programmes of `terms/`, and stops it.
fn migrate_and_add_programmes(db: &Db) {
    Server::start(db).stop();
    assert_eq!(
        verify(db, &[]).1[0]["notes"],
        Value::Array(Vec::new()),
        "a migrated schema without additions has no notes"
    );
}

async fn a_schema_that_differs_is_named(db: Db) {
    migrate_and_add_programmes(&db);
    if db.is_postgres() {
        each_is_named(&db, POSTGRES).await;
    } else {
        each_is_named(&db, SQLITE).await;
    }
}

const POSTGRES: &[[&str; 3]] = &[
    [
        "ALTER TABLE events DISABLE TRIGGER events_are_not_changed",
        "trigger events_are_not_changed of table events: expected",
        "ALTER TABLE events ENABLE TRIGGER events_are_not_changed",
    ],
    [
        "DROP TRIGGER entries_are_not_truncated ON entries",
        "trigger entries_are_not_truncated of table entries is missing",
        "CREATE TRIGGER entries_are_not_truncated BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    ],
    [
        "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "function append_only(): expected",
        "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
    ],
    [
        "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER mine BEFORE INSERT ON awards FOR EACH ROW EXECUTE FUNCTION mine()",
        "trigger mine of table awards is unexpected",
        "DROP FUNCTION mine() CASCADE",
    ],
    [
        "CREATE RULE silent AS ON DELETE TO texts DO INSTEAD NOTHING",
        "rule silent of table texts is unexpected",
        "DROP RULE silent ON texts",
    ],
    [
        "ALTER TABLE offers ENABLE ROW LEVEL SECURITY",
        "table offers: expected",
        "ALTER TABLE offers DISABLE ROW LEVEL SECURITY",
    ],
    [
        "DROP INDEX one_offer_a_recipient",
        "unique index one_offer_a_recipient of table offers is missing",
        "CREATE UNIQUE INDEX one_offer_a_recipient ON offers (programme, recipient_kind, recipient)",
    ],
    ["CREATE UNIQUE INDEX mine ON offers (name)", "unique index mine of table offers is unexpected", "DROP INDEX mine"],
    [
        "ALTER TABLE approvals DROP CONSTRAINT stated_approvals_check1",
        "constraint stated_approvals_check1 of table approvals is missing",
        "ALTER TABLE approvals ADD CONSTRAINT stated_approvals_check1 CHECK (given_by <> requested_by)",
    ],
    [
        "ALTER TABLE placements DROP CONSTRAINT placements_programme_fkey",
        "constraint placements_programme_fkey of table placements is missing",
        "ALTER TABLE placements ADD CONSTRAINT placements_programme_fkey FOREIGN KEY (programme) REFERENCES books (programme)",
    ],
    [
        "CREATE TABLE mine (offer UUID REFERENCES offers (id))",
        "reference mine mine_offer_fkey of table offers is unexpected",
        "DROP TABLE mine",
    ],
    ["CREATE TABLE mine () INHERITS (awards)", "child mine of table awards is unexpected", "DROP TABLE mine"],
    [
        "ALTER TABLE terms ALTER COLUMN loaded_by DROP NOT NULL",
        "column loaded_by of table terms: expected",
        "ALTER TABLE terms ALTER COLUMN loaded_by SET NOT NULL",
    ],
    [
        "ALTER TABLE trusts ADD COLUMN mine TEXT",
        "column mine of table trusts is unexpected",
        "ALTER TABLE trusts DROP COLUMN mine",
    ],
    [
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database()); END $$",
        "setting session_replication_role is unexpected",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET session_replication_role', current_database()); END $$",
    ],
];

const SQLITE: &[[&str; 3]] = &[
    [
        "DROP TRIGGER events_are_not_updated",
        "trigger events_are_not_updated of table events is missing",
        "CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events\nBEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    ],
    [
        "CREATE TRIGGER mine BEFORE INSERT ON awards BEGIN SELECT 1; END",
        "trigger mine of table awards is unexpected",
        "DROP TRIGGER mine",
    ],
    [
        "DROP INDEX one_offer_a_recipient",
        "unique index one_offer_a_recipient of table offers is missing",
        "CREATE UNIQUE INDEX one_offer_a_recipient ON offers (programme, recipient_kind, recipient)",
    ],
    ["CREATE UNIQUE INDEX mine ON offers (name)", "unique index mine of table offers is unexpected", "DROP INDEX mine"],
    [
        "CREATE TABLE mine (offer BLOB REFERENCES offers (id))",
        "reference mine of table offers is unexpected",
        "DROP TABLE mine",
    ],
    [
        "ALTER TABLE trusts ADD COLUMN mine TEXT",
        "column mine of table trusts is unexpected",
        "ALTER TABLE trusts DROP COLUMN mine",
    ],
    [
        "ALTER TABLE placements RENAME TO kept; \
         CREATE TABLE placements (programme TEXT NOT NULL, urn INTEGER NOT NULL, kind TEXT NOT NULL, uid INTEGER, \
         seq INTEGER NOT NULL, PRIMARY KEY (programme, urn)) STRICT",
        "column programme of table placements: expected",
        "DROP TABLE placements; ALTER TABLE kept RENAME TO placements; PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = REPLACE(sql, '\"placements\"', 'placements') WHERE name = 'placements'; \
         PRAGMA writable_schema = RESET",
    ],
];

async fn additions_by_operators_are_noted(db: Db) {
    migrate_and_add_programmes(&db);
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql
        .run("CREATE INDEX mine ON offers (name); CREATE VIEW mine_as_well AS SELECT name FROM offers")
        .await
        .unwrap();
    raw_sql.run("DROP INDEX offers_by_name; CREATE TABLE my_copy AS SELECT name FROM offers").await.unwrap();
    let mut expected_notes =
        vec!["index mine of", "index offers_by_name of", "table my_copy is", "relation mine_as_well is"];
    if db.is_postgres() {
        raw_sql.run("CREATE STATISTICS mine_too ON name, region FROM offers").await.unwrap();
        expected_notes.push("statistics mine_too of");
    } else {
        raw_sql.run("ANALYZE").await.unwrap();
        expected_notes.push("statistics sqlite_stat1 is");
    }
    let (code, reports) = verify(&db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    for expected in expected_notes {
        assert!(names(&reports[0]["notes"], &format!("schema: {expected}")), "{expected} is not in {reports:#}");
    }
}

/// The role may only read. Verify therefore compares the schema with the file, and creates no second schema.
#[test]
fn the_schema_is_compared_without_a_right_to_make_one() {
    run(async {
        let db = Db::postgres();
        migrate_and_add_programmes(&db);
        let mut raw_sql = RawSql::of(&db).await;
        let role = format!("reader_{}", uuid::Uuid::new_v4().simple());
        raw_sql
            .run(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
            .await
            .unwrap();
        let url = db.url().replace("postgres://tsio@", &format!("postgres://{role}@"));
        let verified = crate::harness::tsio(&["verify", "--database", &url]);
        raw_sql.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
        assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    });
}
