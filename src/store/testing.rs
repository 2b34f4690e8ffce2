//! Reads the whole database in tests.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;

use super::{Readable as _, Store};
use crate::store::db::bulk_sql::select;

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

/// The number of rows in every table of a SQLite database.
pub(crate) async fn counts(store: &Store) -> BTreeMap<String, i64> {
    let conn = store.at();
    let tables: Vec<Name> = select(&conn, "SELECT name FROM sqlite_master WHERE type = 'table'", vec![]).await.unwrap();
    let mut found = BTreeMap::new();
    for Name { name } in tables {
        let rows: Vec<Count> = select(&conn, &format!("SELECT COUNT(*) AS count FROM {name}"), vec![]).await.unwrap();
        found.insert(name, rows[0].count);
    }
    found
}
