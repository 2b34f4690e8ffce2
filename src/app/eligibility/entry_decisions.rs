//! Entry positions that two people decided.

use std::collections::BTreeMap;

use crate::app::Result;
use crate::domain::ids::{Programme, Urn};
use crate::domain::programme::entry_school::EntryDecision;
use crate::store::{Readable, entry_decisions};

/// What two people decided, by school.
pub(in crate::app::eligibility) type Decisions = BTreeMap<Urn, EntryDecision>;

/// The same, as the rules take it.
pub(in crate::app::eligibility) fn positions(decisions: &Decisions) -> BTreeMap<Urn, bool> {
    decisions.iter().map(|(urn, it)| (*urn, it.met)).collect()
}

/// What two people decided in a programme.
pub(in crate::app::eligibility) async fn decisions(from: &impl Readable, programme: &Programme) -> Result<Decisions> {
    let decided = entry_decisions::of_programme(from, programme).await?;
    Ok(decided.into_iter().map(|it| (it.urn, it)).collect())
}
