//! One inspection makes one school eligible per lineage, under its newest URN.
//!
//! A file prints a predecessor's judgement for an academy not yet inspected under its own URN. Such a row joins the
//! two URNs; nothing else does, so the halves of a split school both stay. What a URN says "on entry" stays behind with
//! it when another followed it by then: the school entered the year under the other, whose own row answers.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Evidence, Finding, SchoolAssessment};
use crate::domain::ids::Urn;
use crate::domain::judgement::MonthRow;
use crate::domain::terms::{RuleId, Terms, Test};

/// Marks every URN that a newer one follows as superseded, and hands its evidence on to the newest.
///
/// `rows` and `schools` are both in order of URN.
pub(super) fn inherit(terms: &Terms, rows: &[&MonthRow], schools: &mut [SchoolAssessment]) {
    let pairs = successions(rows.iter().copied(), schools);
    let by_entry = rows.iter().copied().filter(|row| row.as_at <= terms.entry());
    let followed: BTreeSet<usize> = successions(by_entry, schools).into_iter().map(|(old, _)| old).collect();
    let mut newest: Vec<usize> = (0..schools.len()).collect();
    // A successor's URN is always higher, so from the highest down every successor is already settled.
    for (old, new) in pairs.into_iter().rev() {
        let reached = newest.get(new).copied().unwrap_or(new);
        if let Some(of_old) = newest.get_mut(old) {
            *of_old = reached.max(*of_old);
        }
    }
    for (old, new) in newest.into_iter().enumerate().filter(|(old, new)| old != new) {
        hand_on(schools, old, new, |rule| !(followed.contains(&old) && is_on_entry(terms, rule)));
    }
}

/// Pairs (older, newer) of positions in `schools`, in order: a row of the newer prints a judgement of the older.
fn successions<'a>(rows: impl Iterator<Item = &'a MonthRow>, schools: &[SchoolAssessment]) -> Vec<(usize, usize)> {
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

fn is_on_entry(terms: &Terms, id: &RuleId) -> bool {
    terms.rules().iter().any(|rule| rule.id == *id && matches!(rule.test, Test::TwiceOnEntry { .. }))
}

fn hand_on(schools: &mut [SchoolAssessment], old: usize, new: usize, goes: impl Fn(&RuleId) -> bool) {
    let Some(to) = schools.get(new).map(|school| school.urn) else { return };
    let Some(from) = schools.get_mut(old) else { return };
    from.superseded_by = Some(to);
    let inherited = from.findings.clone();
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(inherited) {
        let earlier = match (&*own, &other) {
            (_, Finding::NotMet(_) | Finding::Unknown(_)) => false,
            (Finding::NotMet(_) | Finding::Unknown(_), Finding::Met(_)) => true,
            (Finding::Met(own), Finding::Met(other)) => order(other) < order(own),
        };
        if earlier && goes(rule) {
            *own = other;
        }
    }
}

/// The earliest evidence of a lineage stands, so that a later file never changes it; of one day, the newest URN's.
fn order(evidence: &Evidence) -> impl Ord + use<> {
    (evidence.as_at, Reverse(evidence.urn), evidence.import)
}
