//! Loads the decisions about entry positions that two people made.

use std::collections::BTreeMap;

use crate::app::Result;
use crate::domain::ids::{Programme, Urn};
use crate::domain::programme::entry_school::EntryDecision;
use crate::store::{Readable, entry_decisions};

/// The decisions by school.
pub(in crate::app::eligibility) type Decisions = BTreeMap<Urn, EntryDecision>;

/// Whether the entry position was decided as met, by school. The rules of the domain take decisions in this form.
pub(in crate::app::eligibility) fn positions(decisions: &Decisions) -> BTreeMap<Urn, bool> {
    decisions.iter().map(|(urn, it)| (*urn, it.met)).collect()
}

/// Loads the decisions of a programme.
pub(in crate::app::eligibility) async fn decisions(from: &dyn Readable, programme: &Programme) -> Result<Decisions> {
    let decided = entry_decisions::of_programme(from, programme).await?;
    Ok(decided.into_iter().map(|it| (it.urn, it)).collect())
}
