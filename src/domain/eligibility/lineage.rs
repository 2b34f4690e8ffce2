//! One inspection makes one school eligible per lineage, under its newest URN.
//!
//! A file prints a predecessor's judgement for an academy not yet inspected under its own URN. Such a row joins the
//! two URNs, so the halves of a split school both stay. Where the files name no predecessor of a URN that has no row by entry,
//! the one predecessor that the register's links name is joined too. With one predecessor, such a URN takes over its answer for
//! entry, yes and no. What a URN says "on entry" stays behind with
//! it when another followed it by then: the school entered the year under the other, whose own row answers.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::{Evidence, Finding, SchoolAssessment};
use crate::domain::ids::Urn;
use crate::domain::judgement::MonthRow;
use crate::domain::terms::{RuleId, Terms, Test};

/// Marks every URN that a newer one follows as superseded, and hands its evidence on to the newest.
///
/// `rows` and `schools` are both in order of URN.
pub(super) fn inherit(
    terms: &Terms,
    rows: &[&MonthRow],
    links: &HashMap<Urn, Vec<Urn>>,
    schools: &mut [SchoolAssessment],
) {
    let named = named(rows);
    let mut pairs = successions(rows.iter().copied(), schools);
    pairs.extend(linked(terms, links, &named, schools));
    pairs.sort_unstable();
    // Who has one predecessor only, by the files or, where those are silent, by the links.
    let only = |old: usize, new: usize| {
        let [old, new] = [old, new].map(|at| schools.get(at).map(|school| school.urn));
        let by_files = new.and_then(|new| named.get(&new));
        by_files.is_none_or(|of| of.len() == 1 && of.first() == old.as_ref())
    };
    let only: BTreeSet<(usize, usize)> = pairs.iter().copied().filter(|(old, new)| only(*old, *new)).collect();
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
        let on_entry = |rule: &RuleId| is_on_entry(terms, rule);
        hand_on(schools, (old, new), |rule| !(followed.contains(&old) && on_entry(rule)));
        if only.contains(&(old, new)) {
            hand_on_no(schools, (old, new), on_entry);
        }
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

/// The older URNs that the files print for each.
fn named(rows: &[&MonthRow]) -> HashMap<Urn, BTreeSet<Urn>> {
    let mut named: HashMap<Urn, BTreeSet<Urn>> = HashMap::new();
    for row in rows {
        for judgement in row.current.iter().chain(&row.previous).filter(|j| j.urn_judged < row.urn) {
            named.entry(row.urn).or_default().insert(judgement.urn_judged);
        }
    }
    named
}

/// The same pairs by the register's links: of URNs that are unknown on entry and of which the files name no predecessor,
/// where the links name one.
fn linked(
    terms: &Terms,
    links: &HashMap<Urn, Vec<Urn>>,
    named: &HashMap<Urn, BTreeSet<Urn>>,
    schools: &[SchoolAssessment],
) -> Vec<(usize, usize)> {
    let position = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
    let pair = |(urn, predecessors): (&Urn, &Vec<Urn>)| {
        let [one] = predecessors.as_slice() else { return None };
        let (old, new) = position(*one).zip(position(*urn))?;
        let unknown = schools.get(new)?.is_unknown_on_entry(terms);
        (unknown && one < urn && !named.contains_key(urn)).then_some((old, new))
    };
    links.iter().filter_map(pair).collect()
}

/// Hands on a no for entry to a URN that cannot say: it entered the year under its predecessor. What a file says of the
/// predecessor goes before what people decided of the URN itself, and that before what they decided of the predecessor.
fn hand_on_no(schools: &mut [SchoolAssessment], (old, new): (usize, usize), on_entry: impl Fn(&RuleId) -> bool) {
    let Some(from) = schools.get(old) else { return };
    let (urn, answers) = (from.urn, from.findings.clone());
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(answers) {
        match (&*own, &other) {
            (Finding::Unknown(_) | Finding::Decided { .. }, Finding::NotMet(_)) if on_entry(rule) => {
                *own = other;
                heir.entered_as = Some(urn);
            }
            (Finding::Unknown(_), Finding::Decided { met: false, .. }) if on_entry(rule) => *own = other,
            _ => {}
        }
    }
}

pub(super) fn is_on_entry(terms: &Terms, id: &RuleId) -> bool {
    terms.rules().iter().any(|rule| rule.id == *id && matches!(rule.test, Test::TwiceOnEntry { .. }))
}

fn hand_on(schools: &mut [SchoolAssessment], (old, new): (usize, usize), goes: impl Fn(&RuleId) -> bool) {
    let Some(to) = schools.get(new).map(|school| school.urn) else { return };
    let Some(from) = schools.get_mut(old) else { return };
    from.superseded_by = Some(to);
    let inherited = from.findings.clone();
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(inherited) {
        let earlier = match (&*own, &other) {
            (_, Finding::NotMet(_) | Finding::Unknown(_)) => false,
            // What a file says goes before what people decided.
            (own, Finding::Decided { met, .. }) => *met && matches!(own, Finding::Unknown(_)),
            (Finding::NotMet(_) | Finding::Unknown(_) | Finding::Decided { .. }, Finding::Met(_)) => true,
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
