//! One inspection makes one school eligible per lineage, under its newest URN.
//!
//! A file prints a predecessor's judgement for an academy not yet inspected under its own URN. Such a row joins the
//! two URNs, so the halves of a split school both stay. Where a URN has no row by entry, the one predecessor that the register's
//! links name is joined too, if the files name none, or only such as that one follows.
//!
//! What a file shows to be met goes to the newest URN, however many it follows. Any other answer for entry, a file's no and what
//! people decided, goes from each URN to the next, and only where that has one predecessor ([`Predecessors::one`]): so the nearest
//! answer counts. A no goes to each half of a split school, a yes to one of them. What a
//! URN says "on entry" stays behind with it when another followed it by then: the school entered the year under the other, whose
//! own row answers.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::{Evidence, Finding, SchoolAssessment};
use crate::ids::Urn;
use crate::judgement::MonthRow;
use crate::terms::{RuleId, Terms, Test};

/// Marks every URN that a newer one follows as superseded, and hands its answers on to the newest.
///
/// `rows` and `schools` are both in order of URN.
pub(super) fn inherit(
    terms: &Terms,
    rows: &[&MonthRow],
    links: &HashMap<Urn, Vec<Urn>>,
    schools: &mut [SchoolAssessment],
) {
    let predecessors = Predecessors { printed: printed(rows.iter().copied()), links };
    let mut pairs = successions(rows.iter().copied(), schools);
    let mut steps = predecessors.steps(terms, schools);
    pairs.extend(joined(terms, &steps, &newest(&pairs, schools.len()), schools));
    pairs.sort_unstable();
    pairs.dedup();
    let newest = newest(&pairs, schools.len());
    let by_entry = rows.iter().copied().filter(|row| row.as_at <= terms.entry());
    let followed: BTreeSet<usize> = successions(by_entry, schools).into_iter().map(|(old, _)| old).collect();
    steps.retain(|step| pairs.binary_search(step).is_ok() && !followed.contains(&step.0));
    // The oldest first: each URN has its answer before it hands it on.
    steps.sort_unstable();
    for (old, new) in steps {
        let on_the_way = newest.get(old) == newest.get(new);
        step_on(schools, (old, new), on_the_way, |rule| is_on_entry(terms, rule));
    }
    for (old, new) in newest.into_iter().enumerate().filter(|(old, new)| old != new) {
        hand_on(schools, (old, new), |rule| !(followed.contains(&old) && is_on_entry(terms, rule)));
    }
}

/// What the files and the register's links say of who follows whom. What is followed is older, so nothing goes in circles.
struct Predecessors<'a> {
    /// The older URNs that the files print for each.
    printed: HashMap<Urn, BTreeSet<Urn>>,
    /// The predecessors that the links name.
    links: &'a HashMap<Urn, Vec<Urn>>,
}

impl Predecessors<'_> {
    /// Pairs (older, newer) of positions in `schools`: of each URN that has no row by entry, the one that it follows. What stands
    /// between them is in no file.
    fn steps(&self, terms: &Terms, schools: &[SchoolAssessment]) -> Vec<(usize, usize)> {
        let position = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
        let step = |(new, school): (usize, &SchoolAssessment)| {
            let mut one = self.one(school.urn, position)?;
            loop {
                match position(one) {
                    Some(old) => return Some((old, new)),
                    None => one = self.one(one, position)?,
                }
            }
        };
        schools.iter().enumerate().filter(|(_, school)| school.has_no_row_by_entry(terms)).filter_map(step).collect()
    }

    /// The one predecessor of a URN, as the files print it; what one of several follows lies further back. The one that links name
    /// takes its place where that is one of several, or where the files pass over it and print only what it follows.
    fn one(&self, urn: Urn, position: impl Fn(Urn) -> Option<usize>) -> Option<Urn> {
        let printed = self.printed.get(&urn);
        let all = || printed.into_iter().flatten().copied();
        let nearest: Vec<Urn> = all().filter(|it| !all().any(|by| self.follows(by, *it))).collect();
        let linked = match self.links.get(&urn).map(Vec::as_slice) {
            Some([one]) if *one < urn => Some(*one),
            _ => None,
        };
        let agrees = |one: &Urn| {
            let passed_over = || position(*one).is_some() && nearest.iter().all(|it| self.follows(*one, *it));
            nearest.is_empty() || nearest.contains(one) || passed_over()
        };
        match nearest.as_slice() {
            [one] => linked.filter(agrees).or(Some(*one)),
            _ => linked.filter(agrees),
        }
    }

    /// Whether a URN follows another, over however many steps.
    fn follows(&self, newer: Urn, older: Urn) -> bool {
        let (mut next, mut seen) = (vec![newer], BTreeSet::new());
        while let Some(urn) = next.pop() {
            let printed = self.printed.get(&urn).into_iter().flatten();
            let before = printed.chain(self.links.get(&urn).into_iter().flatten()).copied().filter(|it| *it < urn);
            next.extend(before.filter(|it| *it >= older && seen.insert(*it)));
        }
        seen.contains(&older)
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
#[must_use]
pub fn printed<'a>(rows: impl IntoIterator<Item = &'a MonthRow>) -> HashMap<Urn, BTreeSet<Urn>> {
    let mut printed: HashMap<Urn, BTreeSet<Urn>> = HashMap::new();
    for row in rows {
        for judgement in row.current.iter().chain(&row.previous).filter(|j| j.urn_judged < row.urn) {
            printed.entry(row.urn).or_default().insert(judgement.urn_judged);
        }
    }
    printed
}

/// Those of the steps that join two URNs. Not where the newest URN by the files (`newest`) has a row by entry: that one answers
/// for itself.
fn joined(
    terms: &Terms,
    steps: &[(usize, usize)],
    newest: &[usize],
    schools: &[SchoolAssessment],
) -> Vec<(usize, usize)> {
    let cannot_say = |at: usize| schools.get(at).is_some_and(|it| it.has_no_row_by_entry(terms));
    steps.iter().copied().filter(|(_, new)| newest.get(*new).copied().is_some_and(cannot_say)).collect()
}

/// Hands on an answer for entry to a URN that cannot say: it entered the year under its predecessor. What a file says of the
/// predecessor goes before what people decided of the URN itself, and that before what they decided of the predecessor. What they
/// decided to be met goes `on_the_way` to the newest URN alone.
fn step_on(
    schools: &mut [SchoolAssessment],
    (old, new): (usize, usize),
    on_the_way: bool,
    on_entry: impl Fn(&RuleId) -> bool,
) {
    let Some(from) = schools.get(old) else { return };
    let (entered_as, answers) = (from.entered_as.unwrap_or(from.urn), from.findings.clone());
    let Some(heir) = schools.get_mut(new) else { return };
    for ((rule, own), (_, other)) in heir.findings.iter_mut().zip(answers) {
        match (&*own, &other) {
            (Finding::Unknown(_) | Finding::Decided { .. }, Finding::NotMet(_)) if on_entry(rule) => {
                *own = other;
                heir.entered_as = Some(entered_as);
            }
            (Finding::Unknown(_), Finding::Decided { met, .. }) if on_entry(rule) && (on_the_way || !met) => {
                *own = other;
            }
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
