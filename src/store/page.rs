//! Pages of rows in the order of their ids, which is the order in which they were made.

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select};
use uuid::Uuid;

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The newest first.
    pub newest_first: bool,
    /// Beyond this one; from the first when not said.
    pub after: Option<Uuid>,
    /// How many at most.
    pub limit: u64,
}

impl Page {
    /// The rows of the page, out of those found.
    pub(super) fn of<E: EntityTrait>(self, find: Select<E>, id: E::Column) -> Select<E> {
        let (direction, beyond) = if self.newest_first {
            (Order::Desc, self.after.map(|after| id.lt(after)))
        } else {
            (Order::Asc, self.after.map(|after| id.gt(after)))
        };
        let find = beyond.into_iter().fold(find, |find, beyond| find.filter(beyond));
        find.order_by(id, direction).limit(self.limit)
    }
}
