//! Values of columns as values of the domain.

use sea_orm::QueryResult;

use crate::domain::hash::Hash;
use crate::domain::ids::{Actor, Uid, Urn};
use crate::domain::person;
use crate::domain::region::Region;
use crate::store::{Result, StoreError};

pub(in crate::store) fn named<T>(find: impl Fn(&str) -> Option<T>, name: &str) -> Result<T> {
    find(name).ok_or_else(|| StoreError::unreadable(format!("the name {name:?}")))
}

/// A region by its name as it is stored: another spelling would be another region to whatever asks by name.
pub(in crate::store) fn region(name: &str) -> Result<Region> {
    named(|name| Region::ALL.into_iter().find(|it| it.name() == name), name)
}

pub(in crate::store) fn urn(number: i64) -> Result<Urn> {
    u32::try_from(number).ok().and_then(Urn::new).ok_or_else(|| StoreError::unreadable(format!("URN {number}")))
}

pub(in crate::store) fn uid(number: i64) -> Result<Uid> {
    u32::try_from(number).ok().and_then(Uid::new).ok_or_else(|| StoreError::unreadable(format!("UID {number}")))
}

pub(in crate::store) fn hash(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map(Hash).map_err(|_| StoreError::unreadable("a hash that is not 32 bytes"))
}

pub(in crate::store) fn actor(text: &str) -> Result<Actor> {
    text.parse().map_err(StoreError::unreadable)
}

/// Whether the event of a row is one since the programme adopted rules, as SQL that says 1 or 0: since then keys are written
/// beside ids. The programme is bound first.
pub(in crate::store) fn since_rules(event: &str) -> String {
    format!(
        "CASE WHEN {event} >= (SELECT MIN(seq) FROM events WHERE programme = $1 AND kind = 'rules_adopted') THEN 1 ELSE 0 END"
    )
}

/// An id that was written since then has its key; what the key is, [`keyed`] looks at.
///
/// # Errors
/// [`StoreError::Unreadable`].
pub(in crate::store) fn has_key(row: &QueryResult, since: &str, by: Option<&str>, key: Option<&str>) -> Result<()> {
    let is_expected = row.try_get::<i32>("", since)? == 1 && by.is_some();
    if is_expected && key.is_none() { Err(StoreError::unreadable("an id without its key")) } else { Ok(()) }
}

/// Refuses a key that is not that of the id beside it. Ids written before there were keys have none.
pub(in crate::store) fn keyed(id: Option<&str>, key: Option<&str>) -> Result<()> {
    match (id, key) {
        (_, None) => Ok(()),
        (Some(id), Some(key)) if person::key(id) == key => Ok(()),
        (id, Some(key)) => Err(StoreError::unreadable(format!("the key {key:?} is not that of the id {id:?}"))),
    }
}
