//! Builds the answers that are shown to a caller: the findings of the domain, with the school, its offer and its trust.

use std::collections::HashMap;

use super::entry::{self, DecidedEntry};
use super::standing::Standings;
use super::{ChangeKind, ChangedEligibility, RuleAnswer, SchoolEligibility};
use crate::app::Result;
use crate::app::register::{School, facts};
use crate::domain::Date;
use crate::domain::eligibility::trusts::{TrustAssessment, TrustVerdict};
use crate::domain::eligibility::{Changes, Finding, RuleOutcome, SchoolAssessment, explain};
use crate::domain::ids::Urn;
use crate::domain::programme::entry_school::EntryDecision;
use crate::domain::role::Reach;
use crate::domain::terms::{Rule, Terms, Test};
use crate::store::{Readable, offers, register};

/// Builds the eligibility of these schools, in the same order. Each has the answer of every rule, and its offer if that is
/// within reach. Schools that no file names are left out.
pub(super) async fn schools(
    from: &dyn Readable,
    terms: &Terms,
    standings: &Standings,
    (reach, day): (&Reach, Date),
    urns: &[Urn],
) -> Result<Vec<SchoolEligibility>> {
    let missing: Vec<Urn> = urns.iter().filter(|urn| !standings.schools.contains_key(urn)).copied().collect();
    let others = facts::schools(from, Some(terms.programme()), &missing, day).await?;
    let on_offers = offers::listing(from, terms.programme(), reach, urns).await?;
    // The people of a decision are shown if the school that they decided about is within reach.
    let decided_urns = urns.iter().filter_map(|urn| entry::decided_urn(terms, standings.assessment.school(*urn)?));
    let regions = entry::regions(from, &decided_urns.collect::<Vec<_>>(), day).await?;
    let may_see_people = |urn: Urn| reach.covers_school(regions.get(&urn).copied().flatten());
    let find = |urn: &Urn| standings.schools.get(urn).or_else(|| others.get(urn)).cloned();
    let answer = |school: School| SchoolEligibility {
        eligible: standings.entitled.contains_key(&school.urn),
        rules: rules(terms, standings, (reach, &may_see_people), school.urn),
        superseded_by: standings.assessment.school(school.urn).and_then(|it| it.superseded_by),
        offer: on_offers.get(&school.urn).copied(),
        entry_unknown: is_entry_unknown(terms, standings, school.urn),
        school,
    };
    Ok(urns.iter().filter_map(find).map(answer).collect())
}

/// Whether the entry position of a school is unknown and not decided, so that two people can decide it.
fn is_entry_unknown(terms: &Terms, standings: &Standings, urn: Urn) -> bool {
    let unknown = |school: &SchoolAssessment| {
        school.superseded_by.is_none() && school.on_entry(terms).any(|it| matches!(it, Finding::Unknown(_)))
    };
    standings.assessment.school(urn).is_some_and(unknown)
}

/// Adds to an answer the decision of two people that it depends on. If the answer comes from the files although there is a
/// decision, adds a remark that the files take precedence.
fn with_decision(
    answer: RuleAnswer,
    terms: &Terms,
    standings: &Standings,
    (urn, may_see_people): (Urn, &impl Fn(Urn) -> bool),
) -> RuleAnswer {
    let finding = standings.assessment.school(urn).and_then(|school| {
        let mut findings = school.findings.iter();
        findings.find(|(rule, _)| *rule == answer.rule).map(|(_, finding)| finding)
    });
    let show = |decision: &EntryDecision| {
        let with_people = may_see_people(decision.urn);
        entry::to_shown_decision(&standings.assessment, (terms.programme().clone(), decision.clone()), with_people)
    };
    if let Some(Finding::Decided { urn: decided_urn, .. }) = finding {
        let Some(decided) = standings.decisions.get(decided_urn).map(show) else { return answer };
        return RuleAnswer {
            reason: format!("{}; {}", answer.reason, describe_decision(&decided)),
            decided: Some(decided),
            ..answer
        };
    }
    match standings.decisions.get(&urn) {
        Some(decision) => {
            let remark = entry::files_take_precedence(decision);
            RuleAnswer { reason: format!("{}; {remark}", answer.reason), ..answer }
        }
        None => answer,
    }
}

/// Describes who made a decision and when, and that a file would take precedence over it.
fn describe_decision(decided: &DecidedEntry) -> String {
    let (on, event) = (decided.decision.on, decided.decision.seq.0);
    let when = match &decided.people {
        Some((asked, given)) => format!("asked by {asked}, decided by {given} on {on}, event {event}"),
        None => format!("on {on}, event {event}"),
    };
    format!("{when}; a file that says with what judgements the school entered the year goes before it")
}

/// The answers of all rules for a school, in the order of the terms.
fn rules(
    terms: &Terms,
    standings: &Standings,
    (reach, may_see_people): (&Reach, &impl Fn(Urn) -> bool),
    urn: Urn,
) -> Vec<RuleAnswer> {
    let Some(answers) = explain(terms, &standings.assessment, urn) else {
        let answer = |rule: &Rule| by_person(standings, reach, rule, urn).unwrap_or_else(|| not_in_months(&rule.id));
        return terms.rules().iter().map(answer).collect();
    };
    let trust = standings.trusts.iter().find(|trust| trust.members.iter().any(|member| member.urn == urn));
    answers
        .into_iter()
        .zip(terms.rules())
        .map(|(answer, rule)| match (&rule.test, trust) {
            (Test::TrustImprovement(_), Some(trust)) => {
                let is_listed = trust.listed.contains(&urn);
                let of_trust = trust_rule(trust);
                // The trust met the rule, and this school is not one of those that the rule makes eligible.
                let is_met_by_others = of_trust.outcome == RuleOutcome::Met && !is_listed;
                let outcome = if is_met_by_others { RuleOutcome::NotMet } else { of_trust.outcome };
                let reason = format!("its trust {}: {}", trust.uid, of_trust.reason);
                RuleAnswer { outcome, reason, ..of_trust }
            }
            (Test::TrustImprovement(_), None) => RuleAnswer {
                rule: answer.rule.clone(),
                outcome: RuleOutcome::NotMet,
                reason: "in no open multi-academy trust".to_owned(),
                evidence: None,
                decided: None,
            },
            (Test::TwiceOnEntry { .. }, _) => {
                let (rule, evidence) = (answer.rule.clone(), answer.evidence.cloned());
                let by_files =
                    RuleAnswer { rule, outcome: answer.outcome, reason: answer.reason, evidence, decided: None };
                with_decision(by_files, terms, standings, (urn, may_see_people))
            }
            _ => by_person(standings, reach, rule, urn).unwrap_or_else(|| RuleAnswer {
                rule: answer.rule.clone(),
                outcome: answer.outcome,
                reason: answer.reason,
                evidence: answer.evidence.cloned(),
                decided: None,
            }),
        })
        .collect()
}

/// The answer of a rule that a person decides on a referral; `None` for other rules.
fn by_person(standings: &Standings, reach: &Reach, rule: &Rule, urn: Urn) -> Option<RuleAnswer> {
    let Test::Exceptional { .. } = &rule.test else { return None };
    let granted = standings.granted.get(&standings.assessment.newest_urn(urn)).filter(|it| it.rule == rule.id);
    let (outcome, reason) = match granted.and_then(|it| Some((it, it.decision.as_ref()?))) {
        Some((it, _)) if !reach.covers_region(it.region) => {
            (RuleOutcome::Met, "approved by a person, on a referral".to_owned())
        }
        Some((it, decision)) => {
            let ground = &it.ground;
            (RuleOutcome::Met, format!("approved on {} on the ground {ground}: referral {}", decision.on, it.id))
        }
        None => (RuleOutcome::DecidedElsewhere, "decided by a person, on a referral".to_owned()),
    };
    Some(RuleAnswer { rule: rule.id.clone(), outcome, reason, evidence: None, decided: None })
}

/// The answer of a rule for a school that no monthly file shows.
fn not_in_months(rule: &crate::domain::terms::RuleId) -> RuleAnswer {
    let reason = "no monthly file shows this URN".to_owned();
    RuleAnswer { rule: rule.clone(), outcome: RuleOutcome::Unknown, reason, evidence: None, decided: None }
}

/// The answer of the trust-level rule for a trust.
pub(super) fn trust_rule(trust: &TrustAssessment) -> RuleAnswer {
    let outcome = match trust.verdict {
        TrustVerdict::Met { .. } => RuleOutcome::Met,
        TrustVerdict::Unknown => RuleOutcome::Unknown,
        TrustVerdict::TooFew | TrustVerdict::NotMet => RuleOutcome::NotMet,
    };
    RuleAnswer { rule: trust.rule.clone(), outcome, reason: trust.reason(), evidence: None, decided: None }
}

/// Lists the changes by URN, with the names of the schools.
pub(super) async fn changes(from: &dyn Readable, changes: Changes) -> Result<Vec<ChangedEligibility>> {
    let mut list = Vec::new();
    let mut add = |urn, kind, rules, superseded_by| {
        list.push(ChangedEligibility { urn, name: String::new(), kind, rules, superseded_by });
    };
    changes.eligible.into_iter().for_each(|it| add(it.urn, ChangeKind::BecameEligible, it.rules, None));
    changes.further.into_iter().for_each(|it| add(it.urn, ChangeKind::RuleAdded, it.rules, None));
    changes.superseded.into_iter().for_each(|it| add(it.from, ChangeKind::Superseded, Vec::new(), Some(it.to)));
    changes.unknown.into_iter().for_each(|urn| add(urn, ChangeKind::BecameUnknown, Vec::new(), None));
    changes.no_longer.into_iter().for_each(|urn| add(urn, ChangeKind::NoLongerEligible, Vec::new(), None));
    list.sort_by_key(|change| (change.urn, change.kind));
    let urns: Vec<Urn> = list.iter().map(|change| change.urn).collect();
    let names: HashMap<Urn, String> =
        register::schools(from, &urns).await?.into_iter().map(|(urn, school)| (urn, school.name)).collect();
    for change in &mut list {
        change.name = names.get(&change.urn).cloned().unwrap_or_default();
    }
    Ok(list)
}
