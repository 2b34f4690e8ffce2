//! Pages of rows in the order of a key that tells when they were made: their ids, or the numbers of events.

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value};
use uuid::Uuid;

/// The position of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K = Uuid> {
    /// The newest first.
    pub newest_first: bool,
    /// Beyond this one; from the first when not said.
    pub after: Option<K>,
    /// How many at most.
    pub limit: u64,
}

impl Page {
    /// The rows of the page, out of those found.
    pub(in crate::store) fn of<E: EntityTrait>(self, find: Select<E>, id: E::Column) -> Select<E> {
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
    /// The same for a query that is written out: these conditions and those of the page, the order and the limit. Values are
    /// added to `values`, and stand as `$n`.
    pub(in crate::store) fn written(self, key: &str, mut conditions: Vec<String>, values: &mut Vec<Value>) -> String {
        let (beyond, direction) = if self.newest_first { ("<", " DESC") } else { (">", "") };
        if let Some(after) = self.after {
            values.push(after.into());
            conditions.push(format!("{key} {beyond} ${}", values.len()));
        }
        values.push(i64::try_from(self.limit).unwrap_or(i64::MAX).into());
        format!("WHERE {} ORDER BY {key}{direction} LIMIT ${}", conditions.join(" AND "), values.len())
    }
}
