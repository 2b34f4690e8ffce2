//! Loads what is needed to decide the entry position of a school: with what judgements the school entered the year. One person
//! requests such a decision and another approves it. This module loads what the files say of schools about which a decision is to
//! be made, and the decisions to show to a caller.

use std::collections::{BTreeSet, HashMap};

use super::standing::{self, Standings};
use crate::app::eligibility::entry_decisions::{decisions, positions};
use crate::app::register::facts;
use crate::app::{App, Result};
use crate::domain::Date;
use crate::domain::eligibility::{Assessment, Finding, RuleOutcome, SchoolAssessment, explain};
use crate::domain::ids::{Actor, Programme, Urn};
use crate::domain::programme::entry_school::{EntryDecision, EntryPosition, EntrySchool};
use crate::domain::region::Region;
use crate::domain::role::Reach;
use crate::domain::terms::{Terms, Test};
use crate::store::{Readable, entry_decisions};

/// A decision about the entry position of a school, as it is shown to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedEntry {
    /// The programme.
    pub programme: Programme,
    /// The decision.
    pub decision: EntryDecision,
    /// Who requested the decision, and who approved it; `None` if the school is outside the caller's reach.
    pub people: Option<(Actor, Actor)>,
    /// Whether the decision counts, for the school or its successors. It counts if a monthly file shows the school, no file
    /// says with what judgements the school entered the year, and there is no decision about a newer URN.
    pub counts: bool,
}

/// Loads the regions of these schools, by URN. Schools that no file names are left out. A region is `None` if the local
/// authority is not known.
pub(crate) async fn regions(from: &dyn Readable, urns: &[Urn], day: Date) -> Result<HashMap<Urn, Option<Region>>> {
    if urns.is_empty() {
        return Ok(HashMap::new());
    }
    let schools = facts::schools(from, None, urns, day).await?;
    Ok(schools.into_values().map(|it| (it.urn, it.region())).collect())
}

/// Loads what the files say of schools whose entry position is to be decided, by URN. Schools that no file names are left
/// out.
pub(crate) async fn entry_schools(
    from: &dyn Readable,
    terms: &Terms,
    urns: &BTreeSet<Urn>,
    day: Date,
) -> Result<HashMap<Urn, EntrySchool>> {
    let decisions = decisions(from, terms.programme()).await?;
    let assessment = standing::by_school_rules(from, terms, &positions(&decisions)).await?;
    let urns: Vec<Urn> = urns.iter().copied().collect();
    let school = |(urn, region): (Urn, Option<Region>)| {
        let predecessors = assessment.schools().iter().filter(|it| it.superseded_by == Some(urn)).map(|it| it.urn);
        let decided_urn = assessment.school(urn).and_then(|it| decided_urn(terms, it)).filter(|it| *it != urn);
        let inherited_decision = decided_urn.and_then(|it| decisions.get(&it)).cloned();
        let (position, predecessors) = (position(terms, &assessment, urn), predecessors.collect());
        (urn, EntrySchool { region, position, inherited_decision, predecessors })
    };
    Ok(regions(from, &urns, day).await?.into_iter().map(school).collect())
}

/// The URN that was decided about, if a decision counts for the entry position of this school. It may be an older URN.
pub(super) fn decided_urn(terms: &Terms, school: &SchoolAssessment) -> Option<Urn> {
    school.on_entry(terms).find_map(|it| if let Finding::Decided { urn, .. } = it { Some(*urn) } else { None })
}

/// What the files say of the entry position of a school.
fn position(terms: &Terms, assessment: &Assessment, urn: Urn) -> EntryPosition {
    if !terms.rules().iter().any(|rule| matches!(rule.test, Test::TwiceOnEntry { .. })) {
        return EntryPosition::NotNeeded;
    }
    let Some(school) = assessment.school(urn) else { return EntryPosition::NotInMonths };
    if let Some(newer) = school.superseded_by {
        return EntryPosition::Superseded(newer);
    }
    if school.is_unknown_on_entry(terms) {
        return EntryPosition::Unknown;
    }
    EntryPosition::Known(describe_rules(terms, assessment, urn, |test| matches!(test, Test::TwiceOnEntry { .. })))
}

/// Describes the outcome of the selected rules for a school, with reasons, in one sentence.
fn describe_rules(terms: &Terms, assessment: &Assessment, urn: Urn, selects: impl Fn(&Test) -> bool) -> String {
    let Some(answers) = explain(terms, assessment, urn) else { return "no monthly file shows it".to_owned() };
    let answers = answers.iter().zip(terms.rules()).filter(|(_, rule)| selects(&rule.test));
    let descriptions = answers.map(|(answer, _)| {
        let outcome = match answer.outcome {
            RuleOutcome::Met => "met",
            RuleOutcome::NotMet | RuleOutcome::DecidedElsewhere => "not met",
            RuleOutcome::Unknown => "unknown",
        };
        format!("{} is {outcome}, {}", answer.rule, answer.reason)
    });
    descriptions.collect::<Vec<_>>().join("; ")
}

/// Explains why no rule makes a school eligible, under the newest URN of its lineage. `None` if it is eligible.
pub(super) fn why_not_eligible(terms: &Terms, standings: &Standings, urn: Urn) -> Option<String> {
    let assessment = &standings.assessment;
    let newest_urn = assessment.newest_urn(urn);
    let by_trust = standings
        .trusts
        .iter()
        .any(|it| it.is_eligible() && it.listed.iter().any(|listed| assessment.newest_urn(*listed) == newest_urn));
    let by_referral = standings.granted.contains_key(&newest_urn);
    if by_trust || by_referral || assessment.school(newest_urn).is_some_and(SchoolAssessment::is_eligible) {
        return None;
    }
    let is_by_judgement = |test: &Test| matches!(test, Test::TwiceOnEntry { .. } | Test::JudgedInYear { .. });
    let reason = describe_rules(terms, assessment, newest_urn, is_by_judgement);
    let says_no = |it: &SchoolAssessment| it.on_entry(terms).any(|it| matches!(it, Finding::NotMet(_)));
    // If there are several decisions about a lineage, only the one about the newest URN can count.
    let lineage = assessment.schools().iter().filter(|it| assessment.newest_urn(it.urn) == newest_urn);
    let newest_decision = lineage.rev().find_map(|it| standings.decisions.get(&it.urn));
    let reason = match newest_decision.filter(|it| it.met && assessment.school(newest_urn).is_some_and(says_no)) {
        Some(decision) => format!("{reason}; {}", files_take_precedence(decision)),
        None => reason,
    };
    Some(if newest_urn == urn { reason } else { format!("it counts as URN {newest_urn} now: {reason}") })
}

/// The remark that the answer of the files takes precedence over this decision.
pub(super) fn files_take_precedence(decision: &EntryDecision) -> String {
    let (outcome, event) = (if decision.met { "met" } else { "not met" }, decision.seq.0);
    format!("the files take precedence over the decision `{outcome}` in event {event}")
}

/// Loads the decisions about the entry position of a school in all programmes, for the history of the school.
pub(crate) async fn decisions_of_school(
    app: &App,
    from: &dyn Readable,
    (reach, day): (&Reach, Date),
    urn: Urn,
) -> Result<Vec<DecidedEntry>> {
    let mut shown_decisions = Vec::new();
    let stored = entry_decisions::of_school(from, urn).await?;
    if stored.is_empty() {
        return Ok(shown_decisions);
    }
    let region = regions(from, &[urn], day).await?.remove(&urn).flatten();
    for (programme, decision) in stored {
        let loaded = app.terms(&programme).await?;
        let decisions = positions(&decisions(from, &programme).await?);
        let assessment = standing::by_school_rules(from, &loaded.terms, &decisions).await?;
        shown_decisions.push(to_shown_decision(&assessment, (programme, decision), reach.covers_school(region)));
    }
    Ok(shown_decisions)
}

/// Converts a decision to the form that is shown, with or without its people.
pub(super) fn to_shown_decision(
    assessment: &Assessment,
    (programme, decision): (Programme, EntryDecision),
    with_people: bool,
) -> DecidedEntry {
    let urn = decision.urn;
    let depends_on_decision = |it: &Finding| matches!(it, Finding::Decided { urn: decided, .. } if *decided == urn);
    // If a school was split, each successor takes over the decision.
    let newest = assessment.schools().iter().filter(|it| it.superseded_by.is_none());
    let counts = newest.flat_map(|it| &it.findings).any(|(_, finding)| depends_on_decision(finding));
    let people = with_people.then(|| (decision.asked_by.clone(), decision.given_by.clone()));
    DecidedEntry { programme, decision, people, counts }
}
