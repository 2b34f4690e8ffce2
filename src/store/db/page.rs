//! Selects pages of rows. The rows are in the order of a key that grows with time: an id, or the number of an event.

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value};
use uuid::Uuid;

/// Which rows a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K = Uuid> {
    /// Whether the newest row comes first.
    pub newest_first: bool,
    /// The key of the last row of the page before; `None` for the first page.
    pub after: Option<K>,
    /// The most rows of the page.
    pub limit: u64,
}

impl Page {
    /// Limits a query to the rows of the page, in the order of the page.
    pub(in crate::store) fn apply_to<E: EntityTrait>(self, find: Select<E>, id: E::Column) -> Select<E> {
        let (direction, beyond) = if self.newest_first {
            (Order::Desc, self.after.map(|after| id.lt(after)))
        } else {
            (Order::Asc, self.after.map(|after| id.gt(after)))
        };
        let find = beyond.into_iter().fold(find, |find, beyond| find.filter(beyond));
        find.order_by(id, direction).limit(self.limit)
    }
}

impl<K: Into<Value>> Page<K> {
    /// The end of an SQL query for the page: WHERE with these conditions and that of the page, ORDER BY and LIMIT. The values of
    /// the page are added to `values` and appear as `$n`.
    pub(in crate::store) fn into_sql(self, key: &str, mut conditions: Vec<String>, values: &mut Vec<Value>) -> String {
        let (beyond, direction) = if self.newest_first { ("<", " DESC") } else { (">", "") };
        if let Some(after) = self.after {
            values.push(after.into());
            conditions.push(format!("{key} {beyond} ${}", values.len()));
        }
        values.push(i64::try_from(self.limit).unwrap_or(i64::MAX).into());
        format!("WHERE {} ORDER BY {key}{direction} LIMIT ${}", conditions.join(" AND "), values.len())
    }
}
