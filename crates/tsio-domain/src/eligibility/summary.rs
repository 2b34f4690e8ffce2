//! Combines eligibility with placement, counts the result, and compares two months.
//!
//! A school is entitled if it meets one of the rules of its recipient kind. [`super::assess_decided`] and
//! [`super::trusts::assess_trusts`] test the rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::trusts::TrustAssessment;
use super::{Assessment, Finding, SchoolAssessment};
use crate::Date;
use crate::ids::{Programme, Uid, Urn};
use crate::placement::{Placement, UnplacedReason};
use crate::terms::{RuleId, Terms, Test};

/// The inputs that decide which schools are entitled, in addition to the results of the monthly files.
#[derive(Debug, Clone, Copy)]
pub struct EntitlementInputs<'a> {
    /// The placement of every school of the newest register. A school that is not in this map is unplaced.
    pub placements: &'a HashMap<Urn, Placement>,
    /// Schools with an approved exceptional referral.
    pub exceptional: &'a BTreeSet<Urn>,
    /// The result of the trust-level rule for each trust; empty if the terms have no such rule.
    pub trusts: &'a [TrustAssessment],
    /// Schools that are closed in the newest register.
    pub closed: &'a BTreeSet<Urn>,
}

impl EntitlementInputs<'_> {
    /// The placement of a school.
    #[must_use]
    pub fn placement(&self, urn: Urn) -> Placement {
        let not_in_register = Placement::Unplaced(UnplacedReason::NotInRegister);
        self.placements.get(&urn).copied().unwrap_or(not_in_register)
    }
}

/// A school that meets a rule of its recipient kind, or any rule if it is unplaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entitled {
    /// Its placement.
    pub placement: Placement,
    /// The rules that entitle it.
    pub rules: BTreeSet<RuleId>,
    /// Whether the school meets one of the rules by a file, and not only by the decision of people on an entry position
    /// or a referral.
    pub by_files: bool,
    /// Whether the school is closed. It stays eligible, but no offer is made for it.
    pub closed: bool,
}

/// Returns every entitled school, under the newest URN of its lineage.
///
/// A school is entitled by a rule that it meets, by an approved referral or by its trust. The terms must apply that
/// rule to the recipient kind of the school. An unplaced school is entitled by any rule.
#[must_use]
pub fn entitled(terms: &Terms, assessment: &Assessment, inputs: &EntitlementInputs<'_>) -> BTreeMap<Urn, Entitled> {
    let mut entitled: BTreeMap<Urn, Entitled> = BTreeMap::new();
    let mut add = |urn: Urn, rule: &RuleId, by_files: bool| {
        let placement = inputs.placement(urn);
        if rule_applies(terms, rule, placement) {
            let (rules, closed) = (BTreeSet::new(), inputs.closed.contains(&urn));
            let school = entitled.entry(urn).or_insert(Entitled { placement, rules, by_files, closed });
            school.rules.insert(rule.clone());
            school.by_files |= by_files;
        }
    };
    for school in assessment.eligible() {
        school.met().for_each(|(rule, evidence)| add(school.urn, rule, evidence.is_some()));
    }
    for rule in terms.rules().iter().filter(|rule| matches!(rule.test, Test::Exceptional { .. })) {
        inputs.exceptional.iter().for_each(|urn| add(assessment.newest_urn(*urn), &rule.id, false));
    }
    for trust in inputs.trusts.iter().filter(|trust| trust.is_eligible()) {
        trust.listed.iter().for_each(|urn| add(assessment.newest_urn(*urn), &trust.rule, true));
    }
    entitled
}

/// Whether a rule applies to a school with this placement. Every rule applies to an unplaced school.
fn rule_applies(terms: &Terms, rule: &RuleId, placement: Placement) -> bool {
    placement.recipient_kind().is_none_or(|kind| terms.applies(rule, kind))
}

/// Eligible schools in MATs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MatCount {
    /// The number of schools.
    pub schools: usize,
    /// The number of trusts to which an offer may be made. This includes eligible trusts without an eligible school.
    pub trusts: usize,
}

/// Eligible schools that are offered support on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StandaloneCount {
    /// The sum of the three numbers below.
    pub schools: usize,
    /// Maintained by a local authority.
    pub maintained: usize,
    /// In a single-academy trust.
    pub single_academy_trust: usize,
    /// The only school of a MAT.
    pub single_school_mat: usize,
}

/// The eligibility numbers of a programme, as `eligibility summary` prints them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The programme.
    pub programme: Programme,
    /// As-at date of the newest file.
    pub as_at: Option<Date>,
    /// Schools in the files; a lineage counts once.
    pub schools: usize,
    /// Entitled schools. The sum of [`Self::mat`], [`Self::standalone`], [`Self::unplaced`] and [`Self::closed`].
    pub eligible_schools: usize,
    /// Entitled schools by rule; a school counts under each rule that it meets.
    pub by_rule: BTreeMap<RuleId, usize>,
    /// Entitled open schools in MATs.
    pub mat: MatCount,
    /// Entitled open schools that get an offer of their own.
    pub standalone: StandaloneCount,
    /// Entitled open schools that a person still has to place.
    pub unplaced: usize,
    /// Entitled schools that have closed, with any placement.
    pub closed: usize,
    /// Schools that are not entitled, but the files do not show the result of a rule of their recipient kind.
    pub unknown: usize,
    /// Schools whose entry position two people decided, as met or as not met. None of them counts as unknown.
    pub decided_by_person: usize,
}

/// Counts the schools and trusts of a programme.
#[must_use]
pub fn summarise(terms: &Terms, assessment: &Assessment, inputs: &EntitlementInputs<'_>) -> Summary {
    let entitled = entitled(terms, assessment, inputs);
    let increment = |count: &mut usize| *count = count.saturating_add(1);
    let mut by_rule: BTreeMap<RuleId, usize> = terms.rules().iter().map(|rule| (rule.id.clone(), 0)).collect();
    let eligible_trusts = inputs.trusts.iter().filter(|trust| trust.is_eligible());
    let mut trusts: BTreeSet<Uid> = eligible_trusts.map(|trust| trust.uid).collect();
    let (mut mat, mut standalone, mut unplaced, mut closed) = (MatCount::default(), StandaloneCount::default(), 0, 0);
    for school in entitled.values() {
        for rule in &school.rules {
            by_rule.entry(rule.clone()).and_modify(increment);
        }
        match school.placement {
            _ if school.closed => increment(&mut closed),
            Placement::Maintained => increment(&mut standalone.maintained),
            Placement::SingleAcademyTrust(_) => increment(&mut standalone.single_academy_trust),
            Placement::SingleSchoolMat(_) => increment(&mut standalone.single_school_mat),
            Placement::Mat(uid) => {
                increment(&mut mat.schools);
                trusts.insert(uid);
            }
            Placement::Unplaced(_) => increment(&mut unplaced),
        }
    }
    mat.trusts = trusts.len();
    standalone.schools = [standalone.maintained, standalone.single_academy_trust, standalone.single_school_mat]
        .into_iter()
        .fold(0, usize::saturating_add);
    let current = assessment.schools().iter().filter(|school| school.superseded_by.is_none());
    let counts_as_unknown = |school: &&SchoolAssessment| {
        !entitled.contains_key(&school.urn) && is_unknown(terms, school, inputs.placement(school.urn))
    };
    Summary {
        programme: terms.programme().clone(),
        as_at: assessment.as_at(),
        schools: current.clone().count(),
        eligible_schools: entitled.len(),
        by_rule,
        mat,
        standalone,
        unplaced,
        closed,
        unknown: current.filter(counts_as_unknown).count(),
        decided_by_person: schools_decided_by_people(terms, assessment, inputs).len(),
    }
}

/// Returns the schools for which two people decided a rule of the recipient kind, because the files do not show its
/// result.
#[must_use]
pub fn schools_decided_by_people(
    terms: &Terms,
    assessment: &Assessment,
    inputs: &EntitlementInputs<'_>,
) -> BTreeSet<Urn> {
    let is_decided = |school: &&SchoolAssessment| {
        let applies = |rule| rule_applies(terms, rule, inputs.placement(school.urn));
        let by_people = |it: &Finding| matches!(it, Finding::Decided { .. });
        school.superseded_by.is_none() && school.findings.iter().any(|(rule, it)| by_people(it) && applies(rule))
    };
    assessment.schools().iter().filter(is_decided).map(|school| school.urn).collect()
}

/// Whether the files do not show the result of a rule that applies to the school.
fn is_unknown(terms: &Terms, school: &SchoolAssessment, placement: Placement) -> bool {
    let applies = |rule| rule_applies(terms, rule, placement);
    school.findings.iter().any(|(rule, finding)| matches!(finding, Finding::Unknown(_)) && applies(rule))
}

/// A school and the rules that it meets now and did not meet before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewlyMet {
    /// The school.
    pub urn: Urn,
    /// The rules. Their evidence is in the later assessment.
    pub rules: Vec<RuleId>,
}

/// A URN and the newer URN that superseded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Succession {
    /// The older URN.
    pub from: Urn,
    /// The newest URN of its lineage.
    pub to: Urn,
}

/// The differences between two assessments. Each list is in order of URN.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    /// Schools that are eligible now and were not eligible before, neither under this URN nor under a predecessor.
    pub eligible: Vec<NewlyMet>,
    /// Schools that were eligible before and meet further rules now.
    pub further: Vec<NewlyMet>,
    /// Schools that count under a newer URN now.
    pub superseded: Vec<Succession>,
    /// Schools that were eligible before and are not eligible now under any URN. A file was withdrawn or replaced, or
    /// the result that they had from a predecessor passed to a newer half of a split school.
    pub no_longer: Vec<Urn>,
    /// Schools that are unknown now and were not unknown before, or were in no file before.
    pub unknown: Vec<Urn>,
    /// Schools that were unknown before and are not unknown now.
    pub resolved: Vec<Urn>,
}

/// Compares two assessments under the same terms.
#[must_use]
pub fn changes(before: &Assessment, after: &Assessment) -> Changes {
    let mut changes = Changes::default();
    let mut rules_before: BTreeMap<Urn, BTreeSet<&RuleId>> = BTreeMap::new();
    for school in before.eligible() {
        let newest_urn = after.newest_urn(school.urn);
        rules_before.entry(newest_urn).or_default().extend(school.met().map(|(rule, _)| rule));
        if !after.school(newest_urn).is_some_and(SchoolAssessment::is_eligible) {
            changes.no_longer.push(school.urn);
        }
    }
    for school in after.schools() {
        let earlier = before.school(school.urn);
        if let Some(to) = school.superseded_by
            && earlier.and_then(|it| it.superseded_by) != Some(to)
        {
            changes.superseded.push(Succession { from: school.urn, to });
        }
        match (earlier.is_some_and(SchoolAssessment::is_unknown), school.is_unknown()) {
            (false, true) => changes.unknown.push(school.urn),
            (true, false) => changes.resolved.push(school.urn),
            (true, true) | (false, false) => {}
        }
        if school.is_eligible() {
            let old_rules = rules_before.get(&school.urn);
            let is_new = |rule: &RuleId| old_rules.is_none_or(|old| !old.contains(rule));
            let rules: Vec<RuleId> = school.met().map(|(rule, _)| rule).filter(|rule| is_new(rule)).cloned().collect();
            if !rules.is_empty() {
                let list = if old_rules.is_some() { &mut changes.further } else { &mut changes.eligible };
                list.push(NewlyMet { urn: school.urn, rules });
            }
        }
    }
    changes
}
