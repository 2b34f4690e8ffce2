//! Drops the triggers and constraints of a database, then changes each column of each table by SQL and deletes a row of each
//! table. After each change `verify` has to name it. `NOT_COVERED` lists the columns that verify does not compare.
//!
//! `verify` runs in this process, some hundred times in a row. By default the test tries the first and the last change of
//! each column. For a nullable column, the last change replaces NULL by a value. `TSIO_TAMPER_STRIDE=1` tries every change.

mod column;
mod guards;

use std::collections::BTreeSet;

use tsio::app::verify;
use tsio::store::{Store, Use};

use crate::client::Client;
use crate::fixtures::casework;
use crate::harness::{Db, Server, run_within, setting};
use crate::raw_sql::{RawSql, verified_heads};
use column::{Change, Column};

/// The time limit of a test. With `TSIO_TAMPER_STRIDE=1` it takes some minutes.
const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(1_800);

/// Columns that verify does not compare with the programmes' records: table, column, reason. An empty column means the whole
/// table. `docs/reference/record.md` has the same list.
const NOT_COVERED: [(&str, &str, &str); 10] = [
    ("requests", "rpc", "what an answer says is in no record, only that it was given"),
    ("requests", "fingerprint", "what an answer says is in no record, only that it was given"),
    ("requests", "answer", "what an answer says is in no record, only that it was given"),
    ("register_lock", "id", "the number of its only row"),
    ("imports", "indexed", "whether the caches for finding by name are up to date with it"),
    ("schools", "", "a cache for finding schools by name, brought up to date from the imports"),
    ("trusts", "", "a cache for finding trusts by name, brought up to date from the imports"),
    ("seaql_migrations", "", "which migrations were made: the schema itself is compared"),
    ("sqlite_stat1", "", "statistics"),
    ("sqlite_stat4", "", "statistics"),
];

/// For each table, words that name its rows. A difference in the table contains at least one of them.
const WORDS_OF_DIFFERENCES: [(&str, &[&str]); 28] = [
    ("terms", &["terms"]),
    ("books", &["head", "is open", "rules", "offer", "its row"]),
    ("events", &["event"]),
    ("texts", &["text"]),
    ("entries", &["entry", "event"]),
    ("offers", &["offer"]),
    ("offer_schools", &["offer", "school"]),
    ("contacts", &["contact"]),
    ("awards", &["award"]),
    ("bookings", &["booking"]),
    ("invoices", &["invoice"]),
    // A cap is named by its offer and its strand.
    ("accounts", &["account", "fund", "offer"]),
    ("account_days", &["account"]),
    ("approvals", &["approval"]),
    ("referrals", &["referral"]),
    ("placements", &["placement"]),
    ("entry_decisions", &["entry position"]),
    ("requests", &["request"]),
    ("register_events", &["event"]),
    ("register_salts", &["salt", "the reason of"]),
    ("register_lock", &["head"]),
    ("imports", &["import"]),
    ("import_problems", &["import"]),
    ("group_rows", &["import"]),
    ("membership_rows", &["import"]),
    ("link_rows", &["import"]),
    ("establishment_rows", &["import"]),
    ("ofsted_rows", &["import"]),
];

#[test]
fn each_column_that_is_changed_is_named_on_sqlite() {
    run_within(TIME_LIMIT, each_column_that_is_changed_is_named(Db::sqlite()));
}

#[test]
fn each_column_that_is_changed_is_named_on_postgres() {
    run_within(TIME_LIMIT, each_column_that_is_changed_is_named(Db::postgres()));
}

/// Tells whether verify compares this column. With an empty column name: whether it compares the table at all.
fn is_covered(table: &str, column: &str) -> bool {
    let excludes = |excluded: &str| excluded.is_empty() || excluded == column;
    !NOT_COVERED.iter().any(|(name, excluded, _)| *name == table && excludes(excluded))
}

/// Verifies the database, and returns the differences of every programme: the first hundred of each, with those of the
/// schema last. If verify fails, returns its error.
async fn differences(store: &Store) -> BTreeSet<String> {
    match verify::verify(store, None, None).await {
        Ok(reports) => reports.into_iter().flat_map(|it| it.differences).collect(),
        Err(error) => [error.to_string()].into(),
    }
}

async fn each_column_that_is_changed_is_named(db: Db) {
    let mut server = Server::start(&db);
    casework::carry_out(Client::of(&server).await.channel()).await;
    server.stop();
    verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let columns = column::all(&mut raw_sql).await;
    let tables: BTreeSet<String> = columns.iter().map(|it| it.table.clone()).collect();
    for table in tables.iter().filter(|table| is_covered(table, "")) {
        let rows = raw_sql.number(&format!("SELECT count(*) FROM {table}")).await;
        assert!(rows > 0, "the casework stores no row in {table}");
    }
    guards::drop_guards(&mut raw_sql, &tables).await;
    let store = Store::open(&db.url(), Use::Look).await.unwrap();
    let before = differences(&store).await;
    assert!(before.iter().all(|it| it.starts_with("schema: ")), "{before:#?}");

    let stride = usize::try_from(setting("TSIO_TAMPER_STRIDE").unwrap_or(0)).unwrap();
    let (mut tried, mut missed) = (0, Vec::new());
    for column in columns.iter().filter(|it| is_covered(&it.table, &it.name)) {
        let changes = column.changes();
        let last = changes.len() - 1;
        let is_tried =
            |index: usize| if stride == 0 { index == 0 || index == last } else { index.is_multiple_of(stride) };
        for (_, change) in changes.iter().enumerate().filter(|(index, _)| is_tried(*index)) {
            if !change.apply(&mut raw_sql).await {
                continue;
            }
            tried += 1;
            let found = differences(&store).await;
            missed.extend(unnamed_change(column, change, found.difference(&before)));
            guards::restore(&mut raw_sql, &column.table).await;
        }
    }
    for table in tables.iter().filter(|it| is_covered(it, "")) {
        let change = Change::delete_last_row(table, &columns);
        assert!(change.apply(&mut raw_sql).await, "{change:?}");
        tried += 1;
        let column = columns.iter().find(|it| it.table == *table).unwrap();
        missed.extend(unnamed_change(column, &change, differences(&store).await.difference(&before)));
        guards::restore(&mut raw_sql, table).await;
    }
    eprintln!("{tried} changes, {} missed", missed.len());
    assert_eq!(missed, Vec::<String>::new(), "verify missed changes, of {tried} tried");
    assert!(tried > 150, "only {tried} changes were tried");
    assert_eq!(differences(&store).await, before, "every changed table was restored");
}

/// Describes the change, or returns `None` if a difference names it.
fn unnamed_change<'a>(column: &Column, change: &Change, found: impl Iterator<Item = &'a String>) -> Option<String> {
    let found: Vec<&String> = found.collect();
    let nouns = WORDS_OF_DIFFERENCES
        .iter()
        .find(|(table, _)| *table == column.table)
        .map_or(&["entry position"][..], |(_, nouns)| nouns);
    let named = found.iter().any(|it| nouns.iter().any(|noun| it.contains(noun)) || it.contains(&column.table));
    (!named).then(|| format!("{}: {found:?}", change.sql))
}
