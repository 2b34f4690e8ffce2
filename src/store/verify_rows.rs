//! What `verify` alone asks for: rows one by one, so that one which cannot be read is named and hides no other, and rows of
//! programmes that there are not.

use std::collections::BTreeMap;
use std::fmt::Display;

use sea_orm::{QueryResult, Value};

use super::{Conn, Readable, Result, StoreError};
use crate::store::db::bulk_sql::{rows, select_rows};

/// Rows by their key. What is wrong with one is said as a sentence goes on: `it cannot be read: ...`.
#[derive(Debug)]
pub struct VerifyRows<K, T> {
    /// What each row says, or what is wrong with it.
    pub rows: BTreeMap<K, std::result::Result<T, String>>,
    /// Why the keys of others cannot be read.
    pub keyless: Vec<String>,
}

impl<K: Ord, T> VerifyRows<K, T> {
    /// The rows whose keys can be read, in the order of these.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for the first of them that cannot be read.
    pub fn values(self) -> Result<Vec<T>> {
        self.rows.into_values().map(|row| row.map_err(StoreError::Unreadable)).collect()
    }

    /// Puts rows of another table into those they belong to. What is wrong with one is wrong with what it belongs to.
    pub(super) fn take<N: Display, P>(&mut self, what: &str, parts: VerifyRows<(K, N), P>, put: impl Fn(&mut T, P)) {
        for ((key, number), part) in parts.rows {
            let alone = || Err(format!("it is not there, but its {what} {number} is"));
            let row = self.rows.entry(key).or_insert_with(alone);
            // Of one that is wrong already nothing more is said.
            let Ok(whole) = row else { continue };
            match part {
                Ok(part) => put(whole, part),
                Err(wrong) => *row = Err(format!("its {what} {number}: {wrong}")),
            }
        }
        self.keyless.extend(parts.keyless);
    }
}

/// Reads rows one by one.
pub(super) async fn each<K: Ord, T>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
    key: impl Fn(&QueryResult) -> Result<K>,
    read: impl Fn(&QueryResult) -> Result<T>,
) -> Result<VerifyRows<K, T>> {
    let mut all = VerifyRows { rows: BTreeMap::new(), keyless: Vec::new() };
    for row in &rows(conn, sql, values).await? {
        match key(row) {
            Ok(key) => {
                let row = read(row).map_err(|error| format!("it cannot be read: {}", error.said()));
                all.rows.insert(key, row);
            }
            Err(error) => all.keyless.push(error.said()),
        }
    }
    Ok(all)
}

/// Tables whose key begins with the programme: one step through the key a programme, however many rows.
const BY_PROGRAMME: [&str; 9] =
    ["books", "events", "texts", "entries", "contacts", "placements", "entry_decisions", "bookings", "invoices"];
/// The others.
const BY_ID: [&str; 7] = ["offers", "offer_schools", "accounts", "account_days", "awards", "approvals", "referrals"];

/// Tables that have rows of a programme without terms, each with that programme.
pub async fn of_no_programme(from: &impl Readable) -> Result<Vec<(&'static str, String)>> {
    let conn = from.at();
    // An approval about reference data has none.
    let of_none = "programme IS NOT NULL AND programme NOT IN (SELECT programme FROM terms) ORDER BY 1";
    let mut found = Vec::new();
    for table in BY_PROGRAMME {
        let sql = format!(
            "WITH RECURSIVE p(programme) AS (SELECT MIN(programme) FROM {table} UNION ALL \
             SELECT (SELECT MIN(t.programme) FROM {table} t WHERE t.programme > p.programme) FROM p \
             WHERE p.programme IS NOT NULL) \
             SELECT programme FROM p WHERE {of_none}"
        );
        found.extend(select_rows(&conn, &sql, vec![], |it: String| Ok((table, it))).await?);
    }
    for table in BY_ID {
        let sql = format!("SELECT DISTINCT programme FROM {table} WHERE {of_none}");
        found.extend(select_rows(&conn, &sql, vec![], |it: String| Ok((table, it))).await?);
    }
    Ok(found)
}
