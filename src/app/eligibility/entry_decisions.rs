//! Decisions of two people about entry positions.

use std::collections::BTreeMap;

use crate::app::Result;
use crate::domain::ids::{Programme, Urn};
use crate::domain::programme::entry_school::EntryDecision;
use crate::store::{Readable, entry_decisions};

/// The decisions by school.
pub(in crate::app::eligibility) type Decisions = BTreeMap<Urn, EntryDecision>;

/// Whether the rule is met, by school, as the rules of the domain take it.
pub(in crate::app::eligibility) fn positions(decisions: &Decisions) -> BTreeMap<Urn, bool> {
    decisions.iter().map(|(urn, it)| (*urn, it.met)).collect()
}

/// Loads the decisions of a programme.
pub(in crate::app::eligibility) async fn decisions(from: &impl Readable, programme: &Programme) -> Result<Decisions> {
    let decided = entry_decisions::of_programme(from, programme).await?;
    Ok(decided.into_iter().map(|it| (it.urn, it)).collect())
}
