//! Entry positions that two people decided: what is known of a school before it is asked for, and how the decision is shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::standing::Standings;
use crate::app::register::facts;
use crate::app::{App, Result};
use crate::domain::Date;
use crate::domain::book::entry_position::{EntryDecision, EntryPosition, EntrySchool};
use crate::domain::eligibility::{Finding, Outcome, explain};
use crate::domain::ids::{Actor, Programme, Urn};
use crate::domain::role::Reach;
use crate::domain::terms::{Terms, Test};
use crate::store::{Readable, entry_decisions};

/// What two people decided, by school.
pub(super) type Decisions = BTreeMap<Urn, EntryDecision>;

/// What two people decided of a school, as a caller is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedEntry {
    /// The programme.
    pub programme: Programme,
    /// The decision.
    pub decision: EntryDecision,
    /// Who asked and who decided, where the school lies in the caller's reach.
    pub people: Option<(Actor, Actor)>,
    /// Whether it counts: no file says what it decides.
    pub counts: bool,
}

/// What two people decided in a programme.
pub(super) async fn decisions(from: &impl Readable, programme: &Programme) -> Result<Decisions> {
    let decided = entry_decisions::of_programme(from, programme).await?;
    Ok(decided.into_iter().map(|it| (it.urn, it)).collect())
}

/// The same, as the rules take it.
pub(super) fn positions(decisions: &Decisions) -> BTreeMap<Urn, bool> {
    decisions.iter().map(|(urn, it)| (*urn, it.met)).collect()
}

/// What the files say of these schools before two people decide their entry position; of those only that a file names.
pub(crate) async fn entry_schools(
    from: &impl Readable,
    terms: &Terms,
    urns: &BTreeSet<Urn>,
    day: Date,
) -> Result<HashMap<Urn, EntrySchool>> {
    let standings = Standings::load(from, terms, day).await?;
    let urns: Vec<Urn> = urns.iter().copied().collect();
    let schools = facts::schools(from, Some(terms.programme()), &urns, day).await?;
    let of = |urn: &Urn| position(terms, &standings, *urn);
    Ok(schools.iter().map(|(urn, it)| (*urn, EntrySchool { region: it.region(), position: of(urn) })).collect())
}

fn position(terms: &Terms, standings: &Standings, urn: Urn) -> EntryPosition {
    if !terms.rules().iter().any(|rule| matches!(rule.test, Test::TwiceOnEntry { .. })) {
        return EntryPosition::NotAsked;
    }
    let Some(school) = standings.assessment.school(urn) else { return EntryPosition::NotInMonths };
    if let Some(newer) = school.superseded_by {
        return EntryPosition::Superseded(newer);
    }
    if school.is_unknown_on_entry(terms) {
        return EntryPosition::Unknown;
    }
    let answers = explain(terms, &standings.assessment, urn).unwrap_or_default();
    let on_entry = answers.iter().zip(terms.rules()).filter(|(_, rule)| matches!(rule.test, Test::TwiceOnEntry { .. }));
    let said = on_entry.map(|(answer, _)| {
        let is = if answer.outcome == Outcome::Met { "met" } else { "not met" };
        format!("{} is {is}, {}", answer.rule, answer.reason)
    });
    EntryPosition::Known(said.collect::<Vec<_>>().join("; "))
}

/// What of a programme's decisions about a school counts, for its history.
pub(crate) async fn counting(
    app: &App,
    from: &impl Readable,
    (reach, day): (&Reach, Date),
    urn: Urn,
) -> Result<Vec<DecidedEntry>> {
    let mut found = Vec::new();
    for (programme, decision) in entry_decisions::of_school(from, urn).await? {
        let loaded = app.terms(&programme).await?;
        let standings = Standings::load(from, &loaded.terms, day).await?;
        let region = facts::schools(from, None, &[urn], day).await?.get(&urn).and_then(|it| it.region());
        found.push(shown(&standings, (programme, decision), reach.covers_school(region)));
    }
    Ok(found)
}

/// A decision as it is shown, with its people or without.
pub(super) fn shown(
    standings: &Standings,
    (programme, decision): (Programme, EntryDecision),
    with_people: bool,
) -> DecidedEntry {
    let urn = decision.urn;
    let heir = standings.assessment.school(standings.assessment.heir(urn));
    let by_it = |it: &Finding| matches!(it, Finding::Decided { urn: of, .. } if *of == urn);
    let counts = heir.is_some_and(|it| it.findings.iter().any(|(_, finding)| by_it(finding)));
    let people = with_people.then(|| (decision.asked_by.clone(), decision.given_by.clone()));
    DecidedEntry { programme, decision, people, counts }
}
