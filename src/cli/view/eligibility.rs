//! Prints eligibility: counts, answers and their evidence, and the next command for a school that needs a person.

use super::schools::{judgement, placement};
use crate::cli::json::{self, Json, Object};
use crate::cli::names::word;
use crate::cli::output::{TableColumn, counts, field_lines, number, parts, table};
use crate::proto::{
    EligibilityChange, ExplainEligibilityResponse, Placement, RuleAnswer, RuleOutcome, School, SchoolEligibility,
    SummariseEligibilityResponse,
};

/// Rules that the summary always has, so that a script finds their keys; 0 if the programme has no such rule.
const RULES: [&str; 3] = ["E1_RI_IN_YEAR", "E2_RI_TWICE_ON_ENTRY", "E3_EXCEPTIONAL"];

/// Adds the missing rules to a summary, with 0.
pub(in crate::cli) fn complete(mut summary: SummariseEligibilityResponse) -> SummariseEligibilityResponse {
    for rule in RULES {
        summary.by_rule.entry(rule.to_owned()).or_default();
    }
    summary
}

/// Counts of schools, each once.
pub(in crate::cli) fn summary(it: &SummariseEligibilityResponse) -> String {
    let words = [("programme", it.programme.clone()), ("as at", it.as_at.clone())];
    let before = [("schools", it.schools), ("eligible schools", it.eligible_schools)];
    let after = [
        ("in multi-academy trusts", it.mat_schools),
        ("those trusts", it.mat_trusts),
        ("standalone", it.standalone_schools),
        ("  maintained", it.standalone_maintained),
        ("  single-academy trust", it.standalone_single_academy_trust),
        ("  single-school MAT", it.standalone_single_school_mat),
        ("unplaced", it.unplaced),
        ("closed", it.closed),
        ("unknown", it.unknown),
        ("decided by a person", it.decided_by_person),
    ];
    let mut rules: Vec<_> = it.by_rule.iter().map(|(rule, count)| (format!("  {rule}"), count.to_string())).collect();
    rules.sort();
    let number = |(key, count): (&str, i32)| (key.to_owned(), count.to_string());
    let words = words.into_iter().map(|(key, value)| (key.to_owned(), value));
    counts(words.chain(before.into_iter().map(number)).chain(rules).chain(after.into_iter().map(number)))
}

fn rule(it: &RuleAnswer) -> String {
    let outcome = word(it.outcome().as_str_name(), "RULE_OUTCOME_").replace('_', " ");
    let mut text = format!("{}: {outcome}. {}", it.rule, it.reason);
    if let Some(evidence) = &it.evidence {
        text.push_str(&format!("\n    row of {} in the file as at {}", evidence.urn, evidence.as_at));
        for (which, judged) in [("current", &evidence.current), ("previous", &evidence.previous)] {
            if let Some(judged) = judged {
                text.push_str(&format!("\n    {which}: {}", judgement(judged)));
            }
        }
    }
    text
}

/// The answer of one school as JSON, with the next command if the school needs a person.
pub(in crate::cli) fn school_json(it: &SchoolEligibility) -> Object {
    json::of(it).with("command", command(it))
}

/// The next command for a school that is unplaced, closed, unknown, or not eligible and on an open offer.
fn command(answer: &SchoolEligibility) -> Option<String> {
    let school = answer.school.as_ref()?;
    let unknown = answer.rules.iter().any(|rule| rule.outcome() == RuleOutcome::Unknown);
    if !answer.eligible {
        let decide = format!("tsio eligibility decide {} --position POSITION --reason TEXT", school.urn);
        let raise =
            format!("tsio referrals raise --urn {} --origin exceptional --ground GROUND --because TEXT", school.urn);
        let command = if answer.entry_unknown { decide } else { raise };
        if answer.superseded_by != 0 {
            return None;
        }
        let on_offer = (!answer.offer.is_empty()).then(|| format!("tsio offers show {}", answer.offer));
        return (unknown && school.closed_reason.is_empty()).then_some(command).or(on_offer);
    }
    if !school.closed_reason.is_empty() {
        return Some(match (answer.offer.as_str(), school.successor_urns.first()) {
            ("", Some(successor)) => format!("tsio eligibility explain {successor}"),
            ("", None) => format!("tsio schools show {}", school.urn),
            (offer, _) => format!("tsio offers show {offer}"),
        });
    }
    let unplaced = school.placement() == Placement::Unplaced;
    unplaced.then(|| format!("tsio schools place {} --kind KIND --reason TEXT", school.urn))
}

fn school(it: &SchoolEligibility) -> School {
    it.school.clone().unwrap_or_default()
}

fn one(it: &SchoolEligibility) -> String {
    let school = school(it);
    let shown = field_lines([
        ("urn", school.urn.to_string()),
        ("name", school.name.clone()),
        ("placement", placement(school.placement())),
        ("eligible", if it.eligible { "yes" } else { "no" }.to_owned()),
        ("closed because", school.closed_reason),
        ("superseded by", number(it.superseded_by)),
        ("offer", it.offer.clone()),
        ("command", command(it).unwrap_or_default()),
    ]);
    let rules = it.rules.iter().map(|it| format!("  {}", rule(it)));
    std::iter::once(shown).chain(rules).collect::<Vec<_>>().join("\n")
}

/// Schools, a row each.
pub(in crate::cli) fn rows(schools: &[SchoolEligibility]) -> String {
    use TableColumn::{Number, Text};
    let columns = ["NAME", "REGION", "PLACEMENT", "CLOSED", "MET", "UNKNOWN", "COMMAND"].map(Text);
    let columns: Vec<_> = std::iter::once(Number("URN")).chain(columns).collect();
    let rules = |it: &SchoolEligibility, outcome| {
        let rules = it.rules.iter().filter(|rule| rule.outcome() == outcome);
        rules.map(|rule| rule.rule.as_str()).collect::<Vec<_>>().join(" ")
    };
    let row = |it: &SchoolEligibility| {
        let school = school(it);
        vec![
            school.urn.to_string(),
            school.name.clone(),
            school.region.clone(),
            placement(school.placement()),
            if school.closed_reason.is_empty() { "" } else { "closed" }.to_owned(),
            rules(it, RuleOutcome::Met),
            rules(it, RuleOutcome::Unknown),
            command(it).unwrap_or_default(),
        ]
    };
    table(&columns, schools.iter().map(row))
}

/// Every rule of a school, or of a trust and its schools, as json.
pub(in crate::cli) fn explanation_json(it: &ExplainEligibilityResponse) -> Object {
    json::of(it).with("schools", it.schools.iter().map(school_json).collect::<Json>())
}

/// Every rule of a school, or of a trust and its schools.
pub(in crate::cli) fn explanation(it: &ExplainEligibilityResponse) -> String {
    let trust = it.trust.iter().map(|trust| format!("trust {}, {}", trust.uid, trust.name));
    parts(trust.chain(it.trust_rules.iter().map(rule)).chain(it.schools.iter().map(one)))
}

/// The changes between two months, a row each.
pub(in crate::cli) fn changes(changes: &[EligibilityChange]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Number("URN"), Text("NAME"), Text("CHANGE"), Text("RULES"), Number("NEWER URN")];
    let row = |it: &EligibilityChange| {
        vec![it.urn.to_string(), it.name.clone(), it.change.clone(), it.rules.join(" "), number(it.superseded_by)]
    };
    table(&columns, changes.iter().map(row))
}
