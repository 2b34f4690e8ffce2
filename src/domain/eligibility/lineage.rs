//! One inspection makes one school eligible per lineage, under its newest URN.
//!
//! A file prints a predecessor's judgement for an academy not yet inspected under its own URN. Such a row joins the
//! two URNs, so the halves of a split school both stay. Where the files name no predecessor of a URN that has no row by entry,
//! the one predecessor that the register's links name is joined too.
//!
//! What a file shows to be met goes to the newest URN, however many it follows. Any other answer for entry, a file's no and what
//! people decided, goes from each URN to the next, and only where that has one predecessor: so the nearest answer counts. What a
//! URN says "on entry" stays behind with it when another followed it by then: the school entered the year under the other, whose
//! own row answers.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::{Evidence, Finding, SchoolAssessment};
use crate::domain::ids::Urn;
use crate::domain::judgement::MonthRow;
use crate::domain::terms::{RuleId, Terms, Test};

/// Marks every URN that a newer one follows as superseded, and hands its answers on to the newest.
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
    pairs.extend(linked(terms, links, &newest(&pairs, schools.len()), &named, schools));
    pairs.sort_unstable();
    // Who has one predecessor only, by the files or, where those are silent, by the links.
    let only = |old: usize, new: usize| {
        let [old, new] = [old, new].map(|at| schools.get(at).map(|school| school.urn));
        let by_files = new.and_then(|new| named.get(&new));
        by_files.is_none_or(|of| of.len() == 1 && of.first() == old.as_ref())
    };
    let newest = newest(&pairs, schools.len());
    let by_entry = rows.iter().copied().filter(|row| row.as_at <= terms.entry());
    let followed: BTreeSet<usize> = successions(by_entry, schools).into_iter().map(|(old, _)| old).collect();
    // A step on the way to the newest: what a split school says goes to one of its halves.
    let on_the_way = |old: usize, new: usize| newest.get(old) == newest.get(new);
    let steps = pairs.into_iter().filter(|(old, new)| only(*old, *new) && on_the_way(*old, *new));
    let steps: Vec<(usize, usize)> = steps.filter(|(old, _)| !followed.contains(old)).collect();
    // The oldest first: each URN has its answer before it hands it on.
    for step in steps {
        step_on(schools, step, |rule| is_on_entry(terms, rule));
    }
    for (old, new) in newest.into_iter().enumerate().filter(|(old, new)| old != new) {
        hand_on(schools, (old, new), |rule| !(followed.contains(&old) && is_on_entry(terms, rule)));
    }
}

/// The position of the newest URN of each lineage, by the position of each of `schools` URNs.
fn newest(pairs: &[(usize, usize)], schools: usize) -> Vec<usize> {
    let mut newest: Vec<usize> = (0..schools).collect();
    // A successor's URN is always higher, so from the highest down every successor is already settled.
    for (old, new) in pairs.iter().rev() {
        let reached = newest.get(*new).copied().unwrap_or(*new);
        if let Some(of_old) = newest.get_mut(*old) {
            *of_old = reached.max(*of_old);
        }
    }
    newest
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

/// The same pairs by the register's links: of URNs that have no row by entry and of which the files name no predecessor, where
/// the links name one. Not where the newest URN by the files (`newest`) has a row by entry: that one answers for itself.
fn linked(
    terms: &Terms,
    links: &HashMap<Urn, Vec<Urn>>,
    newest: &[usize],
    named: &HashMap<Urn, BTreeSet<Urn>>,
    schools: &[SchoolAssessment],
) -> Vec<(usize, usize)> {
    let position = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
    let cannot_say = |at: usize| schools.get(at).is_some_and(|it| it.has_no_row_by_entry(terms));
    let pair = |(urn, predecessors): (&Urn, &Vec<Urn>)| {
        let [one] = predecessors.as_slice() else { return None };
        let (old, new) = position(*one).zip(position(*urn))?;
        let unknown = cannot_say(new) && newest.get(new).copied().is_some_and(cannot_say);
        (unknown && one < urn && !named.contains_key(urn)).then_some((old, new))
    };
    links.iter().filter_map(pair).collect()
}

/// Hands on an answer for entry to a URN that cannot say: it entered the year under its predecessor. What a file says of the
/// predecessor goes before what people decided of the URN itself, and that before what they decided of the predecessor.
fn step_on(schools: &mut [SchoolAssessment], (old, new): (usize, usize), on_entry: impl Fn(&RuleId) -> bool) {
    let Some(from) = schools.get(old) else { return };
    let (entered_as, answers) = (from.entered_as.unwrap_or(from.urn), from.findings.clone());
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(answers) {
        match (&*own, &other) {
            (Finding::Unknown(_) | Finding::Decided { .. }, Finding::NotMet(_)) if on_entry(rule) => {
                *own = other;
                heir.entered_as = Some(entered_as);
            }
            (Finding::Unknown(_), Finding::Decided { .. }) if on_entry(rule) => *own = other,
            _ => {}
        }
    }
}

pub(super) fn is_on_entry(terms: &Terms, id: &RuleId) -> bool {
    terms.rules().iter().any(|rule| rule.id == *id && matches!(rule.test, Test::TwiceOnEntry { .. }))
}

/// Marks a URN as superseded by the newest of its lineage, and hands on what files show to be met.
fn hand_on(schools: &mut [SchoolAssessment], (old, new): (usize, usize), goes: impl Fn(&RuleId) -> bool) {
    let Some(to) = schools.get(new).map(|school| school.urn) else { return };
    let Some(from) = schools.get_mut(old) else { return };
    from.superseded_by = Some(to);
    let inherited = from.findings.clone();
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(inherited) {
        let earlier = match (&*own, &other) {
            (_, Finding::NotMet(_) | Finding::Unknown(_) | Finding::Decided { .. }) => false,
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
