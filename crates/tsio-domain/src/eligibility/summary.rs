//! Eligibility brought together with placement, counted, and compared between two months.
//!
//! Nothing is decided again here: a school is entitled when a rule it meets is one of its recipient's rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::trusts::TrustAssessment;
use super::{Assessment, Finding, SchoolAssessment};
use crate::Date;
use crate::ids::{Programme, Uid, Urn};
use crate::placement::{Placement, UnplacedReason};
use crate::terms::{RuleId, Terms, Test};

/// What besides the monthly files decides who is entitled.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// Every school of the newest register; one that is not in it is unplaced.
    pub placements: &'a HashMap<Urn, Placement>,
    /// Schools with an approved exceptional referral.
    pub exceptional: &'a BTreeSet<Urn>,
    /// Trusts tested by the trust-level rule, where the terms have one.
    pub trusts: &'a [TrustAssessment],
    /// Schools that the newest register has as closed.
    pub closed: &'a BTreeSet<Urn>,
}

impl Standing<'_> {
    /// Where a school is placed.
    #[must_use]
    pub fn placement(&self, urn: Urn) -> Placement {
        let unknown = Placement::Unplaced(UnplacedReason::NotInRegister);
        self.placements.get(&urn).copied().unwrap_or(unknown)
    }
}

/// A school that an offer may be made for, or that would be if it were placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entitled {
    /// Where it is placed.
    pub placement: Placement,
    /// The rules that entitle it.
    pub rules: BTreeSet<RuleId>,
    /// Whether a file meets one of them: without what people decided, of an entry position or a referral.
    pub by_files: bool,
    /// Whether it has closed: it stays eligible, but no offer is made for it.
    pub closed: bool,
}

/// Every school entitled, under the newest URN of its lineage: by a rule it meets, an approved referral or its
/// trust, as far as the rule is one of its recipient's. An unplaced school counts by any rule it meets.
#[must_use]
pub fn entitled(terms: &Terms, assessment: &Assessment, standing: &Standing<'_>) -> BTreeMap<Urn, Entitled> {
    let mut found: BTreeMap<Urn, Entitled> = BTreeMap::new();
    let mut add = |urn: Urn, rule: &RuleId, by_files: bool| {
        let placement = standing.placement(urn);
        if counts(terms, rule, placement) {
            let (rules, closed) = (BTreeSet::new(), standing.closed.contains(&urn));
            let entry = found.entry(urn).or_insert(Entitled { placement, rules, by_files, closed });
            entry.rules.insert(rule.clone());
            entry.by_files |= by_files;
        }
    };
    for school in assessment.eligible() {
        school.met().for_each(|(rule, evidence)| add(school.urn, rule, evidence.is_some()));
    }
    for rule in terms.rules().iter().filter(|rule| matches!(rule.test, Test::Exceptional { .. })) {
        standing.exceptional.iter().for_each(|urn| add(assessment.heir(*urn), &rule.id, false));
    }
    for trust in standing.trusts.iter().filter(|trust| trust.is_eligible()) {
        trust.listed.iter().for_each(|urn| add(assessment.heir(*urn), &trust.rule, true));
    }
    found
}

fn counts(terms: &Terms, rule: &RuleId, placement: Placement) -> bool {
    placement.recipient_kind().is_none_or(|kind| terms.applies(rule, kind))
}

/// Eligible schools in MATs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MatCount {
    /// The schools.
    pub schools: usize,
    /// The trusts an offer may be made to.
    pub trusts: usize,
}

/// Eligible schools that are offered support on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StandaloneCount {
    /// All of them.
    pub schools: usize,
    /// Local-authority maintained.
    pub maintained: usize,
    /// In a single-academy trust.
    pub single_academy_trust: usize,
    /// The only school of a MAT.
    pub single_school_mat: usize,
}

/// The numbers of a programme: the document `eligibility summary` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The programme.
    pub programme: Programme,
    /// As-at date of the newest file.
    pub as_at: Option<Date>,
    /// Schools in the files, each lineage once.
    pub schools: usize,
    /// Schools entitled, each once.
    pub eligible_schools: usize,
    /// Schools entitled by each rule of the terms; a school counts under each that it meets.
    pub by_rule: BTreeMap<RuleId, usize>,
    /// Those in MATs.
    pub mat: MatCount,
    /// Those on their own.
    pub standalone: StandaloneCount,
    /// Those that fit no row until a person places them.
    pub unplaced: usize,
    /// Those that have closed, wherever they are placed. With those in MATs, on their own and unplaced, all eligible schools.
    pub closed: usize,
    /// Schools not entitled of which the files cannot say whether they are.
    pub unknown: usize,
    /// Schools whose entry position the files cannot say and two people decided, met or not: none of them is unknown.
    pub decided_by_person: usize,
}

/// Counts.
#[must_use]
pub fn summarise(terms: &Terms, assessment: &Assessment, standing: &Standing<'_>) -> Summary {
    let entitled = entitled(terms, assessment, standing);
    let one_more = |n: &mut usize| *n = n.saturating_add(1);
    let mut by_rule: BTreeMap<RuleId, usize> = terms.rules().iter().map(|rule| (rule.id.clone(), 0)).collect();
    let met = standing.trusts.iter().filter(|trust| trust.is_eligible());
    let mut trusts: BTreeSet<Uid> = met.map(|trust| trust.uid).collect();
    let (mut mat, mut standalone, mut unplaced, mut closed) = (MatCount::default(), StandaloneCount::default(), 0, 0);
    for school in entitled.values() {
        for rule in &school.rules {
            by_rule.entry(rule.clone()).and_modify(one_more);
        }
        match school.placement {
            _ if school.closed => one_more(&mut closed),
            Placement::Maintained => one_more(&mut standalone.maintained),
            Placement::SingleAcademyTrust(_) => one_more(&mut standalone.single_academy_trust),
            Placement::SingleSchoolMat(_) => one_more(&mut standalone.single_school_mat),
            Placement::Mat(uid) => {
                one_more(&mut mat.schools);
                trusts.insert(uid);
            }
            Placement::Unplaced(_) => one_more(&mut unplaced),
        }
    }
    mat.trusts = trusts.len();
    standalone.schools = [standalone.maintained, standalone.single_academy_trust, standalone.single_school_mat]
        .into_iter()
        .fold(0, usize::saturating_add);
    let counted = assessment.schools().iter().filter(|school| school.superseded_by.is_none());
    let unknown = |school: &&SchoolAssessment| {
        !entitled.contains_key(&school.urn) && is_unknown(terms, school, standing.placement(school.urn))
    };
    Summary {
        programme: terms.programme().clone(),
        as_at: assessment.as_at(),
        schools: counted.clone().count(),
        eligible_schools: entitled.len(),
        by_rule,
        mat,
        standalone,
        unplaced,
        closed,
        unknown: counted.filter(unknown).count(),
        decided_by_person: decided(terms, assessment, standing).len(),
    }
}

/// Schools of which two people decided what a rule of their recipient's asks, as the files cannot say it.
#[must_use]
pub fn decided(terms: &Terms, assessment: &Assessment, standing: &Standing<'_>) -> BTreeSet<Urn> {
    let of_people = |school: &&SchoolAssessment| {
        let counts = |rule| counts(terms, rule, standing.placement(school.urn));
        let by_people = |it: &Finding| matches!(it, Finding::Decided { .. });
        school.superseded_by.is_none() && school.findings.iter().any(|(rule, it)| by_people(it) && counts(rule))
    };
    assessment.schools().iter().filter(of_people).map(|school| school.urn).collect()
}

fn is_unknown(terms: &Terms, school: &SchoolAssessment, placement: Placement) -> bool {
    let asked = |rule| counts(terms, rule, placement);
    school.findings.iter().any(|(rule, finding)| matches!(finding, Finding::Unknown(_)) && asked(rule))
}

/// A school and rules it now meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewlyMet {
    /// The school.
    pub urn: Urn,
    /// The rules, each with its evidence in the later assessment.
    pub rules: Vec<RuleId>,
}

/// A URN and the one that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Succession {
    /// The older.
    pub from: Urn,
    /// The newest of its lineage.
    pub to: Urn,
}

/// What changed between two assessments, each list by URN.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    /// Eligible now, and not before under this URN or one it follows.
    pub eligible: Vec<NewlyMet>,
    /// Eligible before too, and now by further rules.
    pub further: Vec<NewlyMet>,
    /// Now counted under a newer URN.
    pub superseded: Vec<Succession>,
    /// Eligible before and now neither they nor who follows them: a file was withdrawn or replaced, or what they
    /// inherited has passed to a newer half of a split school.
    pub no_longer: Vec<Urn>,
    /// The files cannot say, and before they could or did not show the school.
    pub unknown: Vec<Urn>,
    /// The files could not say before, and now can.
    pub resolved: Vec<Urn>,
}

/// Compares two assessments under the same terms.
#[must_use]
pub fn changes(before: &Assessment, after: &Assessment) -> Changes {
    let mut found = Changes::default();
    let mut held: BTreeMap<Urn, BTreeSet<&RuleId>> = BTreeMap::new();
    for was in before.eligible() {
        let to = after.heir(was.urn);
        held.entry(to).or_default().extend(was.met().map(|(rule, _)| rule));
        if !after.school(to).is_some_and(SchoolAssessment::is_eligible) {
            found.no_longer.push(was.urn);
        }
    }
    for now in after.schools() {
        let was = before.school(now.urn);
        if let Some(to) = now.superseded_by
            && was.and_then(|was| was.superseded_by) != Some(to)
        {
            found.superseded.push(Succession { from: now.urn, to });
        }
        match (was.is_some_and(SchoolAssessment::is_unknown), now.is_unknown()) {
            (false, true) => found.unknown.push(now.urn),
            (true, false) => found.resolved.push(now.urn),
            (true, true) | (false, false) => {}
        }
        if now.is_eligible() {
            let had = held.get(&now.urn);
            let is_new = |rule: &RuleId| had.is_none_or(|had| !had.contains(rule));
            let rules: Vec<RuleId> = now.met().map(|(rule, _)| rule).filter(|rule| is_new(rule)).cloned().collect();
            if !rules.is_empty() {
                let list = if had.is_some() { &mut found.further } else { &mut found.eligible };
                list.push(NewlyMet { urn: now.urn, rules });
            }
        }
    }
    found
}
