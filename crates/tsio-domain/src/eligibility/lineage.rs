//! Finds the lineages, so that a school with its predecessors counts once, under its newest URN.
//!
//! *By entry* means: in a monthly file with an as-at date before the academic year. An *entry result* is the result of
//! a rule about the judgements with which the school entered the year (`domain.md` section 2).
//!
//! A school that becomes an academy gets a new URN. Until the academy is inspected, its rows in the monthly files print
//! the judgements of its predecessor. Such a row joins the two URNs. If a school was split, both halves are its
//! successors, and neither half supersedes the other. The links of the register (GIAS) join two URNs only if three
//! conditions hold. The newer URN has no row by entry, the links name exactly one predecessor of it, and the files do
//! not contradict that predecessor.
//!
//! How a result passes from an older URN to a newer URN:
//!
//! * If a file shows that a rule is met, this result goes directly to the newest URN of the lineage, over any number of
//!   URNs.
//! * The other entry results go from each URN to the next one. They are: "not met", if a file shows it; and "met" or
//!   "not met", if people decided it. Such a result goes only to a URN that has no row by entry, and exactly one
//!   predecessor ([`Predecessors::nearest`]). So it comes from the nearest predecessor that has such a result.
//! * "Not met", if a file shows it for the older URN, replaces a decision of people about the newer URN.
//! * If a school was split, "not met" goes to each half. "Met", if people decided it, goes only to the half that has the
//!   same newest URN as the predecessor.
//! * A row by entry may print a judgement of an older URN. Then the older URN does not pass on its entry results. The
//!   school entered the year under the newer URN, so the rules are tested on the row of the newer URN.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::{Evidence, Finding, SchoolAssessment};
use crate::ids::Urn;
use crate::judgement::MonthRow;
use crate::terms::{RuleId, Terms, Test};

/// Marks every URN that has a successor as superseded, and passes its results on as the module describes.
///
/// `rows` and `schools` must both be in order of URN.
pub(super) fn inherit(
    terms: &Terms,
    rows: &[&MonthRow],
    links: &HashMap<Urn, Vec<Urn>>,
    schools: &mut [SchoolAssessment],
) {
    let predecessors = Predecessors { printed: older_urns_printed(rows.iter().copied()), links };
    // A lineage pair and an entry step are both a pair (older, newer) of indexes in `schools`. The URNs of a lineage pair
    // are in one lineage. Entry results pass along entry steps, within a lineage.
    let mut lineage_pairs = successions(rows.iter().copied(), schools);
    let mut entry_steps = predecessors.entry_steps(terms, schools);
    let newest_by_files = newest_of_each(&lineage_pairs, schools.len());
    lineage_pairs.extend(joining_steps(terms, &entry_steps, &newest_by_files, schools));
    lineage_pairs.sort_unstable();
    lineage_pairs.dedup();
    let newest = newest_of_each(&lineage_pairs, schools.len());
    let by_entry = rows.iter().copied().filter(|row| row.as_at <= terms.entry());
    let succeeded_by_entry: BTreeSet<usize> = successions(by_entry, schools).into_iter().map(|(old, _)| old).collect();
    entry_steps.retain(|step| lineage_pairs.binary_search(step).is_ok() && !succeeded_by_entry.contains(&step.0));
    // Oldest first, so that each URN has received its results before it passes them on.
    entry_steps.sort_unstable();
    for (old, new) in entry_steps {
        let same_newest = newest.get(old) == newest.get(new);
        pass_entry_results(schools, (old, new), same_newest, |rule| is_on_entry(terms, rule));
    }
    for (old, new) in newest.into_iter().enumerate().filter(|(old, new)| old != new) {
        let passes_on = |rule: &RuleId| !(succeeded_by_entry.contains(&old) && is_on_entry(terms, rule));
        supersede(schools, (old, new), passes_on);
    }
}

/// The predecessors of each URN, by the files and by the register's links. A predecessor always has a lower URN, so
/// there are no cycles.
struct Predecessors<'a> {
    /// The older URNs that the files print in the rows of each URN.
    printed: HashMap<Urn, BTreeSet<Urn>>,
    /// The predecessors that the links name for each URN.
    links: &'a HashMap<Urn, Vec<Urn>>,
}

impl Predecessors<'_> {
    /// Returns the steps along which entry results may pass: pairs (older, newer) of indexes in `schools`. There is one
    /// step for each URN that has no row by entry and has exactly one predecessor. The step comes from that predecessor.
    /// A predecessor that is in no file is replaced by its own predecessor.
    fn entry_steps(&self, terms: &Terms, schools: &[SchoolAssessment]) -> Vec<(usize, usize)> {
        let index_of = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
        let step = |(new, school): (usize, &SchoolAssessment)| {
            let mut predecessor = self.nearest(school.urn, index_of)?;
            loop {
                match index_of(predecessor) {
                    Some(old) => return Some((old, new)),
                    None => predecessor = self.nearest(predecessor, index_of)?,
                }
            }
        };
        schools.iter().enumerate().filter(|(_, school)| school.has_no_row_by_entry(terms)).filter_map(step).collect()
    }

    /// Returns the nearest predecessor of a URN; `None` if there is not exactly one.
    ///
    /// By the files, the nearest predecessor is an older URN that they print in the rows of `urn`. If they print
    /// several, those that have a successor among the others are left out. One URN must be left.
    ///
    /// If the links name exactly one predecessor, and it has a lower URN, it is returned instead in three cases. It is
    /// one of the URNs that are left. Or the files print no older URN. Or it is in a file, and comes after each URN that
    /// is left (`is_between`).
    fn nearest(&self, urn: Urn, index_of: impl Fn(Urn) -> Option<usize>) -> Option<Urn> {
        let printed = self.printed.get(&urn);
        let all_printed = || printed.into_iter().flatten().copied();
        let nearest: Vec<Urn> =
            all_printed().filter(|it| !all_printed().any(|newer| self.follows(newer, *it))).collect();
        let linked = match self.links.get(&urn).map(Vec::as_slice) {
            Some([linked]) if *linked < urn => Some(*linked),
            _ => None,
        };
        let agrees_with_files = |linked: &Urn| {
            let is_between = || index_of(*linked).is_some() && nearest.iter().all(|it| self.follows(*linked, *it));
            nearest.is_empty() || nearest.contains(linked) || is_between()
        };
        match nearest.as_slice() {
            [only] => linked.filter(agrees_with_files).or(Some(*only)),
            _ => linked.filter(agrees_with_files),
        }
    }

    /// Whether `older` is a predecessor of `newer`, directly or over other URNs.
    fn follows(&self, newer: Urn, older: Urn) -> bool {
        let (mut to_visit, mut seen) = (vec![newer], BTreeSet::new());
        while let Some(urn) = to_visit.pop() {
            let printed = self.printed.get(&urn).into_iter().flatten();
            let predecessors =
                printed.chain(self.links.get(&urn).into_iter().flatten()).copied().filter(|it| *it < urn);
            to_visit.extend(predecessors.filter(|it| *it >= older && seen.insert(*it)));
        }
        seen.contains(&older)
    }
}

/// Returns, for the index of each URN, the index of the newest URN of its lineage. `lineage_pairs` must be sorted.
/// `schools` is the number of URNs.
fn newest_of_each(lineage_pairs: &[(usize, usize)], schools: usize) -> Vec<usize> {
    let mut newest: Vec<usize> = (0..schools).collect();
    // The loop takes the highest URNs first. A successor has a higher URN than its predecessor, so the newest URN of the
    // successor is already computed.
    for (old, new) in lineage_pairs.iter().rev() {
        let newest_of_new = newest.get(*new).copied().unwrap_or(*new);
        if let Some(newest_of_old) = newest.get_mut(*old) {
            *newest_of_old = newest_of_new.max(*newest_of_old);
        }
    }
    newest
}

/// Returns sorted pairs (older, newer) of indexes in `schools`. In each pair, a row of the newer URN prints a judgement
/// of the older URN.
fn successions<'a>(rows: impl Iterator<Item = &'a MonthRow>, schools: &[SchoolAssessment]) -> Vec<(usize, usize)> {
    let index_of = |urn: Urn| schools.binary_search_by_key(&urn, |school| school.urn).ok();
    let mut pairs = Vec::new();
    for row in rows {
        for judgement in row.current.iter().chain(&row.previous).filter(|j| j.urn_judged < row.urn) {
            pairs.extend(index_of(judgement.urn_judged).zip(index_of(row.urn)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Returns, for each URN, the older URNs whose judgements its rows print.
#[must_use]
pub fn older_urns_printed<'a>(rows: impl IntoIterator<Item = &'a MonthRow>) -> HashMap<Urn, BTreeSet<Urn>> {
    let mut printed: HashMap<Urn, BTreeSet<Urn>> = HashMap::new();
    for row in rows {
        for judgement in row.current.iter().chain(&row.previous).filter(|j| j.urn_judged < row.urn) {
            printed.entry(row.urn).or_default().insert(judgement.urn_judged);
        }
    }
    printed
}

/// Returns the steps that also put their two URNs into one lineage. `newest_by_files` has, for each URN, the newest URN
/// of its lineage by the files alone. A step is left out if the newest URN of its lineage has a row by entry, because the
/// rules are then tested on that row.
fn joining_steps(
    terms: &Terms,
    entry_steps: &[(usize, usize)],
    newest_by_files: &[usize],
    schools: &[SchoolAssessment],
) -> Vec<(usize, usize)> {
    let has_no_row = |index: usize| schools.get(index).is_some_and(|it| it.has_no_row_by_entry(terms));
    entry_steps.iter().copied().filter(|(_, new)| newest_by_files.get(*new).copied().is_some_and(has_no_row)).collect()
}

/// Passes the entry results of a predecessor to a URN that has no row by entry. The school entered the year under the
/// URN of this predecessor, or under an older URN.
///
/// "Not met" that a file shows for the predecessor comes first, then a decision of people about the URN, then a decision
/// about the predecessor. A decision "met" passes only if both URNs have the same newest URN (`same_newest`).
fn pass_entry_results(
    schools: &mut [SchoolAssessment],
    (old, new): (usize, usize),
    same_newest: bool,
    on_entry: impl Fn(&RuleId) -> bool,
) {
    let Some(predecessor) = schools.get(old) else { return };
    let (entered_as, inherited) = (predecessor.entered_as.unwrap_or(predecessor.urn), predecessor.findings.clone());
    let Some(successor) = schools.get_mut(new) else { return };
    for ((rule, finding), (_, inherited_finding)) in successor.findings.iter_mut().zip(inherited) {
        match (&*finding, &inherited_finding) {
            (Finding::Unknown(_) | Finding::Decided { .. }, Finding::NotMet(_)) if on_entry(rule) => {
                *finding = inherited_finding;
                successor.entered_as = Some(entered_as);
            }
            (Finding::Unknown(_), Finding::Decided { met, .. }) if on_entry(rule) && (same_newest || !met) => {
                *finding = inherited_finding;
            }
            _ => {}
        }
    }
}

/// Whether the rule tests the judgements with which a school entered the year.
pub(super) fn is_on_entry(terms: &Terms, id: &RuleId) -> bool {
    terms.rules().iter().any(|rule| rule.id == *id && matches!(rule.test, Test::TwiceOnEntry { .. }))
}

/// Marks the URN at the index `old` as superseded by the newest URN of its lineage, at the index `new`. Passes on the
/// results that files show to be met. If both URNs have such a result, keeps the one with the preferred evidence.
fn supersede(schools: &mut [SchoolAssessment], (old, new): (usize, usize), passes_on: impl Fn(&RuleId) -> bool) {
    let Some(newest_urn) = schools.get(new).map(|school| school.urn) else { return };
    let Some(superseded) = schools.get_mut(old) else { return };
    superseded.superseded_by = Some(newest_urn);
    let inherited = superseded.findings.clone();
    let Some(successor) = schools.get_mut(new) else { return };
    for ((rule, finding), (_, inherited_finding)) in successor.findings.iter_mut().zip(inherited) {
        let is_preferred = match (&*finding, &inherited_finding) {
            (_, Finding::NotMet(_) | Finding::Unknown(_) | Finding::Decided { .. }) => false,
            (Finding::NotMet(_) | Finding::Unknown(_) | Finding::Decided { .. }, Finding::Met(_)) => true,
            (Finding::Met(current), Finding::Met(older)) => evidence_order(older) < evidence_order(current),
        };
        if is_preferred && passes_on(rule) {
            *finding = inherited_finding;
        }
    }
}

/// Returns the order in which evidence is preferred. The earliest file comes first, so that a later file never changes
/// the evidence. With equal as-at dates, the newest URN comes first, then the lowest import id.
fn evidence_order(evidence: &Evidence) -> impl Ord + use<> {
    (evidence.as_at, Reverse(evidence.urn), evidence.import)
}
