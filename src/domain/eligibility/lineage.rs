//! One inspection makes one school eligible per lineage, under its newest URN.
//!
//! A file prints a predecessor's judgement for an academy not yet inspected under its own URN. Such a row joins the
//! two URNs; nothing else does, so the halves of a split school both stay.

use std::cmp::Reverse;

use super::{Evidence, Finding, SchoolAssessment};
use crate::domain::ids::Urn;
use crate::domain::judgement::MonthRow;

/// Marks every URN that a newer one follows as superseded, and hands its evidence on to the newest.
///
/// `rows` and `schools` are both in order of URN.
pub(super) fn inherit(rows: &[&MonthRow], schools: &mut [SchoolAssessment]) {
    let successions = successions(rows, schools);
    let mut newest: Vec<usize> = (0..schools.len()).collect();
    // A successor's URN is always higher, so from the highest down every successor is already settled.
    for (old, new) in successions.into_iter().rev() {
        let reached = newest.get(new).copied().unwrap_or(new);
        if let Some(of_old) = newest.get_mut(old) {
            *of_old = reached.max(*of_old);
        }
    }
    for (old, new) in newest.into_iter().enumerate().filter(|(old, new)| old != new) {
        hand_on(schools, old, new);
    }
}

/// Pairs (older, newer) of positions in `schools`, in order: a row of the newer prints a judgement of the older.
fn successions(rows: &[&MonthRow], schools: &[SchoolAssessment]) -> Vec<(usize, usize)> {
    let position = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
    let mut pairs = Vec::new();
    for row in rows {
        for judgement in row.current.iter().chain(&row.previous).filter(|j| j.urn_judged < row.urn) {
            pairs.extend(position(judgement.urn_judged).zip(position(row.urn)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn hand_on(schools: &mut [SchoolAssessment], old: usize, new: usize) {
    let Some(to) = schools.get(new).map(|school| school.urn) else { return };
    let Some(from) = schools.get_mut(old) else { return };
    from.superseded_by = Some(to);
    let inherited = from.findings.clone();
    let Some(heir) = schools.get_mut(new) else { return };
    for ((_, own), (_, other)) in heir.findings.iter_mut().zip(inherited) {
        let earlier = match (&*own, &other) {
            (_, Finding::NotMet(_) | Finding::Unknown(_)) => false,
            (Finding::NotMet(_) | Finding::Unknown(_), Finding::Met(_)) => true,
            (Finding::Met(own), Finding::Met(other)) => order(other) < order(own),
        };
        if earlier {
            *own = other;
        }
    }
}

/// The earliest evidence of a lineage stands, so that a later file never changes it; of one day, the newest URN's.
fn order(evidence: &Evidence) -> impl Ord + use<> {
    (evidence.as_at, Reverse(evidence.urn), evidence.import)
}
