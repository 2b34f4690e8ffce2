//! Reads rows for `verify`. Decodes each row separately, so that an unreadable row is reported and does not hide the others.
//! Also finds rows of programmes that do not exist.

use std::collections::BTreeMap;
use std::fmt::Display;

use sea_orm::{QueryResult, Value};

use super::{Conn, Readable, Result, StoreError};
use crate::store::db::bulk_sql::{rows, select_rows};

/// Rows by their key. The error of a row is a sentence about the row, such as `it cannot be read: ...`.
#[derive(Debug)]
pub struct VerifyRows<K, T> {
    /// Each row, or the reason why it cannot be read.
    pub rows: BTreeMap<K, std::result::Result<T, String>>,
    /// For each row whose key cannot be read, the reason.
    pub without_key: Vec<String>,
}

impl<K: Ord, T> VerifyRows<K, T> {
    /// The rows with a readable key, in the order of the keys.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for the first row that cannot be read.
    pub fn values(self) -> Result<Vec<T>> {
        self.rows.into_values().map(|row| row.map_err(StoreError::Unreadable)).collect()
    }

    /// Adds the rows of a dependent table to their parents. `part_name` names such a row in messages. An error of a dependent row
    /// becomes an error of its parent. If there is no parent, that is its error.
    pub(super) fn attach<N: Display, P>(
        &mut self,
        part_name: &str,
        parts: VerifyRows<(K, N), P>,
        put: impl Fn(&mut T, P),
    ) {
        for ((key, number), part) in parts.rows {
            let missing = || Err(format!("it is not there, but its {part_name} {number} is"));
            let row = self.rows.entry(key).or_insert_with(missing);
            // If the parent already has an error, that error stays.
            let Ok(parent) = row else { continue };
            match part {
                Ok(part) => put(parent, part),
                Err(error) => *row = Err(format!("its {part_name} {number}: {error}")),
            }
        }
        self.without_key.extend(parts.without_key);
    }
}

/// Reads rows and decodes each of them separately.
///
/// # Errors
/// [`StoreError::Unavailable`]. A row that cannot be read is an error within the result.
pub(super) async fn read_each<K: Ord, T>(
    conn: &Conn<'_>,
    sql: &str,
    values: Vec<Value>,
    key: impl Fn(&QueryResult) -> Result<K>,
    read: impl Fn(&QueryResult) -> Result<T>,
) -> Result<VerifyRows<K, T>> {
    let mut all = VerifyRows { rows: BTreeMap::new(), without_key: Vec::new() };
    for row in &rows(conn, sql, values).await? {
        match key(row) {
            Ok(key) => {
                let row = read(row).map_err(|error| format!("it cannot be read: {}", error.said()));
                all.rows.insert(key, row);
            }
            Err(error) => all.without_key.push(error.said()),
        }
    }
    Ok(all)
}

/// Tables whose key begins with the programme. The query goes from one programme to the next by the key, and does not read all rows.
const BY_PROGRAMME: [&str; 9] =
    ["books", "events", "texts", "entries", "contacts", "placements", "entry_decisions", "bookings", "invoices"];
/// Tables that have a column for the programme, but whose key begins with an id.
const BY_ID: [&str; 7] = ["offers", "offer_schools", "accounts", "account_days", "awards", "approvals", "referrals"];

/// Finds rows of programmes that have no terms. Returns pairs of a table and the name of a programme.
pub async fn of_no_programme(from: &dyn Readable) -> Result<Vec<(&'static str, String)>> {
    let conn = from.at();
    // An approval about reference data has no programme.
    let has_no_terms = "programme IS NOT NULL AND programme NOT IN (SELECT programme FROM terms) ORDER BY 1";
    let mut found = Vec::new();
    for table in BY_PROGRAMME {
        let sql = format!(
            "WITH RECURSIVE p(programme) AS (SELECT MIN(programme) FROM {table} UNION ALL \
             SELECT (SELECT MIN(t.programme) FROM {table} t WHERE t.programme > p.programme) FROM p \
             WHERE p.programme IS NOT NULL) \
             SELECT programme FROM p WHERE {has_no_terms}"
        );
        found.extend(select_rows(&conn, &sql, vec![], |it: String| Ok((table, it))).await?);
    }
    for table in BY_ID {
        let sql = format!("SELECT DISTINCT programme FROM {table} WHERE {has_no_terms}");
        found.extend(select_rows(&conn, &sql, vec![], |it: String| Ok((table, it))).await?);
    }
    Ok(found)
}
