//! Entry positions that two people decided: what is known of a school before it is asked for, and how the decision is shown.

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

/// What two people decided of a school, as a caller is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedEntry {
    /// The programme.
    pub programme: Programme,
    /// The decision.
    pub decision: EntryDecision,
    /// Who asked and who decided, where the school of which it was decided lies in the caller's reach.
    pub people: Option<(Actor, Actor)>,
    /// Whether it counts, for the school or for who follows it: a monthly file shows the school, none says what it decides, and
    /// no decision about a newer URN takes its place.
    pub counts: bool,
}

/// Where these schools lie, of those that a file names.
pub(crate) async fn regions(from: &impl Readable, urns: &[Urn], day: Date) -> Result<HashMap<Urn, Option<Region>>> {
    if urns.is_empty() {
        return Ok(HashMap::new());
    }
    let schools = facts::schools(from, None, urns, day).await?;
    Ok(schools.into_values().map(|it| (it.urn, it.region())).collect())
}

/// What the files say of these schools before two people decide their entry position; of those only that a file names.
pub(crate) async fn entry_schools(
    from: &impl Readable,
    terms: &Terms,
    urns: &BTreeSet<Urn>,
    day: Date,
) -> Result<HashMap<Urn, EntrySchool>> {
    let decisions = decisions(from, terms.programme()).await?;
    let assessment = standing::by_school_rules(from, terms, &positions(&decisions)).await?;
    let urns: Vec<Urn> = urns.iter().copied().collect();
    let school = |(urn, region): (Urn, Option<Region>)| {
        let followed = assessment.schools().iter().filter(|it| it.superseded_by == Some(urn)).map(|it| it.urn);
        let of = assessment.school(urn).and_then(|it| decided_of(terms, it)).filter(|of| *of != urn);
        let taken_over = of.and_then(|of| decisions.get(&of)).cloned();
        let (position, follows) = (position(terms, &assessment, urn), followed.collect());
        (urn, EntrySchool { region, position, taken_over, follows })
    };
    Ok(regions(from, &urns, day).await?.into_iter().map(school).collect())
}

/// Of which URN what counts of a school's entry position was decided by two people.
pub(super) fn decided_of(terms: &Terms, school: &SchoolAssessment) -> Option<Urn> {
    school.on_entry(terms).find_map(|it| if let Finding::Decided { urn, .. } = it { Some(*urn) } else { None })
}

fn position(terms: &Terms, assessment: &Assessment, urn: Urn) -> EntryPosition {
    if !terms.rules().iter().any(|rule| matches!(rule.test, Test::TwiceOnEntry { .. })) {
        return EntryPosition::NotAsked;
    }
    let Some(school) = assessment.school(urn) else { return EntryPosition::NotInMonths };
    if let Some(newer) = school.superseded_by {
        return EntryPosition::Superseded(newer);
    }
    if school.is_unknown_on_entry(terms) {
        return EntryPosition::Unknown;
    }
    EntryPosition::Known(said_of(terms, assessment, urn, |test| matches!(test, Test::TwiceOnEntry { .. })))
}

/// What these rules come to for a school, and why, as one sentence; of one that no monthly file shows, that.
fn said_of(terms: &Terms, assessment: &Assessment, urn: Urn, asks: impl Fn(&Test) -> bool) -> String {
    let Some(answers) = explain(terms, assessment, urn) else { return "no monthly file shows it".to_owned() };
    let answers = answers.iter().zip(terms.rules()).filter(|(_, rule)| asks(&rule.test));
    let said = answers.map(|(answer, _)| {
        let is = match answer.outcome {
            RuleOutcome::Met => "met",
            RuleOutcome::NotMet | RuleOutcome::Elsewhere => "not met",
            RuleOutcome::Unknown => "unknown",
        };
        format!("{} is {is}, {}", answer.rule, answer.reason)
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Why no rule makes a school eligible, under the newest URN of its lineage; nothing where one does.
pub(super) fn not_eligible(terms: &Terms, standings: &Standings, urn: Urn) -> Option<String> {
    let assessment = &standings.assessment;
    let heir = assessment.heir(urn);
    let by_trust =
        standings.trusts.iter().any(|it| it.is_eligible() && it.listed.iter().any(|of| assessment.heir(*of) == heir));
    let by_referral = standings.granted.contains_key(&heir);
    if by_trust || by_referral || assessment.school(heir).is_some_and(SchoolAssessment::is_eligible) {
        return None;
    }
    let asks = |test: &Test| matches!(test, Test::TwiceOnEntry { .. } | Test::JudgedInYear { .. });
    let said = said_of(terms, assessment, heir, asks);
    let says_no = |it: &SchoolAssessment| it.on_entry(terms).any(|it| matches!(it, Finding::NotMet(_)));
    // Of several decisions about a lineage the newest URN's is the one that would count.
    let lineage = assessment.schools().iter().filter(|it| assessment.heir(it.urn) == heir);
    let decided = lineage.rev().find_map(|it| standings.decisions.get(&it.urn));
    let said = match decided.filter(|it| it.met && assessment.school(heir).is_some_and(says_no)) {
        Some(met) => format!("{said}; {}", goes_before(met)),
        None => said,
    };
    Some(if heir == urn { said } else { format!("it counts as URN {heir} now: {said}") })
}

/// That an answer of the files counts, and not what two people decided.
pub(super) fn goes_before(decision: &EntryDecision) -> String {
    let (is, event) = (if decision.met { "met" } else { "not met" }, decision.seq.0);
    format!("this goes before what a person decided, {is}, in event {event}")
}

/// What of a programme's decisions about a school counts, for its history.
pub(crate) async fn counting(
    app: &App,
    from: &impl Readable,
    (reach, day): (&Reach, Date),
    urn: Urn,
) -> Result<Vec<DecidedEntry>> {
    let mut found = Vec::new();
    let decided = entry_decisions::of_school(from, urn).await?;
    if decided.is_empty() {
        return Ok(found);
    }
    let region = regions(from, &[urn], day).await?.remove(&urn).flatten();
    for (programme, decision) in decided {
        let loaded = app.terms(&programme).await?;
        let decisions = positions(&decisions(from, &programme).await?);
        let assessment = standing::by_school_rules(from, &loaded.terms, &decisions).await?;
        found.push(shown(&assessment, (programme, decision), reach.covers_school(region)));
    }
    Ok(found)
}

/// A decision as it is shown, with its people or without.
pub(super) fn shown(
    assessment: &Assessment,
    (programme, decision): (Programme, EntryDecision),
    with_people: bool,
) -> DecidedEntry {
    let urn = decision.urn;
    let by_it = |it: &Finding| matches!(it, Finding::Decided { urn: of, .. } if *of == urn);
    // Each half of a split school follows it, and both take over that it is not met.
    let newest = assessment.schools().iter().filter(|it| it.superseded_by.is_none());
    let counts = newest.flat_map(|it| &it.findings).any(|(_, finding)| by_it(finding));
    let people = with_people.then(|| (decision.asked_by.clone(), decision.given_by.clone()));
    DecidedEntry { programme, decision, people, counts }
}
