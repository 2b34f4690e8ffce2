//! Placeholder until the register branch is merged.
use crate::domain::book::{RegisterAnswer, identify::Candidates};
use crate::domain::ids::Urn;
use crate::domain::terms::Terms;
use crate::store::{Readable, StoreError};
pub(crate) async fn lock_register(_: &impl Readable) -> Result<(), StoreError> {
    Ok(())
}
pub(crate) async fn candidates(_: &impl Readable, _: &Terms) -> super::Result<Candidates> {
    Ok(Candidates::default())
}
pub(crate) async fn register_answer(_: &impl Readable, _: &Terms, _: Urn) -> super::Result<Option<RegisterAnswer>> {
    Ok(None)
}
