//! Formats eligibility: counts, the answer of each rule with its evidence, and the next command for a school that a person has to deal with.

use super::schools::{judgement, placement};
use crate::cli::json::{self, Json, Object};
use crate::cli::names::word;
use crate::cli::output::{TableColumn, counts, field_lines, number, parts, table};
use crate::proto::{
    EligibilityChange, ExplainEligibilityResponse, Placement, RuleAnswer, RuleOutcome, School, SchoolEligibility,
    SummariseEligibilityResponse,
};

/// The rules that are always in the summary, so that a script finds their keys. The count is 0 if the programme has no such rule.
const SUMMARY_RULES: [&str; 3] = ["E1_RI_IN_YEAR", "E2_RI_TWICE_ON_ENTRY", "E3_EXCEPTIONAL"];

/// Adds the missing rules of [`SUMMARY_RULES`] to a summary, with the count 0.
pub(in crate::cli) fn with_all_rules(mut summary: SummariseEligibilityResponse) -> SummariseEligibilityResponse {
    for rule in SUMMARY_RULES {
        summary.by_rule.entry(rule.to_owned()).or_default();
    }
    summary
}

/// Formats a summary: the counts of schools.
pub(in crate::cli) fn summary(it: &SummariseEligibilityResponse) -> String {
    let texts = [("programme", it.programme.clone()), ("as at", it.as_at.clone())];
    let counts_before_rules = [("schools", it.schools), ("eligible schools", it.eligible_schools)];
    let counts_after_rules = [
        ("in multi-academy trusts", it.mat_schools),
        ("number of these trusts", it.mat_trusts),
        ("standalone", it.standalone_schools),
        ("  maintained", it.standalone_maintained),
        ("  single-academy trust", it.standalone_single_academy_trust),
        ("  single-school MAT", it.standalone_single_school_mat),
        ("unplaced", it.unplaced),
        ("closed", it.closed),
        ("unknown", it.unknown),
        ("entry position decided by two people", it.decided_by_person),
    ];
    let mut rules: Vec<_> = it.by_rule.iter().map(|(rule, count)| (format!("  {rule}"), count.to_string())).collect();
    rules.sort();
    let row = |(key, count): (&str, i32)| (key.to_owned(), count.to_string());
    let texts = texts.into_iter().map(|(key, value)| (key.to_owned(), value));
    counts(
        texts
            .chain(counts_before_rules.into_iter().map(row))
            .chain(rules)
            .chain(counts_after_rules.into_iter().map(row)),
    )
}

/// Formats the answer of one rule with its evidence.
fn rule(it: &RuleAnswer) -> String {
    let outcome = word(it.outcome().as_str_name(), "RULE_OUTCOME_").replace('_', " ");
    let mut text = format!("{}: {outcome}. {}", it.rule, it.reason);
    if let Some(evidence) = &it.evidence {
        text.push_str(&format!("\n    row of {} in the file as at {}", evidence.urn, evidence.as_at));
        for (label, judged) in [("current", &evidence.current), ("previous", &evidence.previous)] {
            if let Some(judged) = judged {
                text.push_str(&format!("\n    {label}: {}", judgement(judged)));
            }
        }
    }
    text
}

/// Returns the answer of one school as JSON. The key `command` is null if the school has no next command.
pub(in crate::cli) fn school_json(it: &SchoolEligibility) -> Object {
    json::of(it).with("command", next_command(it))
}

/// Returns the next command for a school that a person has to deal with, or `None`. A person has to deal with it in these cases:
///
/// * It is eligible, and closed or unplaced.
/// * It is not eligible because a rule is unknown, and it is not closed.
/// * It is not eligible, and is on an open offer.
///
/// A school that is not eligible and is superseded by a newer URN has no next command.
fn next_command(answer: &SchoolEligibility) -> Option<String> {
    let school = answer.school.as_ref()?;
    let is_unknown = answer.rules.iter().any(|rule| rule.outcome() == RuleOutcome::Unknown);
    if !answer.eligible {
        let decide = format!("tsio eligibility decide {} --position POSITION --reason TEXT", school.urn);
        let raise =
            format!("tsio referrals raise --urn {} --origin exceptional --ground GROUND --because TEXT", school.urn);
        let command = if answer.entry_unknown { decide } else { raise };
        if answer.superseded_by != 0 {
            return None;
        }
        let on_offer = (!answer.offer.is_empty()).then(|| format!("tsio offers show {}", answer.offer));
        return (is_unknown && school.closed_reason.is_empty()).then_some(command).or(on_offer);
    }
    if !school.closed_reason.is_empty() {
        return Some(match (answer.offer.as_str(), school.successor_urns.first()) {
            ("", Some(successor)) => format!("tsio eligibility explain {successor}"),
            ("", None) => format!("tsio schools show {}", school.urn),
            (offer, _) => format!("tsio offers show {offer}"),
        });
    }
    let is_unplaced = school.placement() == Placement::Unplaced;
    is_unplaced.then(|| format!("tsio schools place {} --kind KIND --reason TEXT", school.urn))
}

fn school(it: &SchoolEligibility) -> School {
    it.school.clone().unwrap_or_default()
}

/// Formats one school with the answer of each rule.
fn school_detail(it: &SchoolEligibility) -> String {
    let school = school(it);
    let fields = field_lines([
        ("urn", school.urn.to_string()),
        ("name", school.name.clone()),
        ("placement", placement(school.placement())),
        ("eligible", if it.eligible { "yes" } else { "no" }.to_owned()),
        ("closed because", school.closed_reason),
        ("superseded by", number(it.superseded_by)),
        ("offer", it.offer.clone()),
        ("command", next_command(it).unwrap_or_default()),
    ]);
    let rules = it.rules.iter().map(|it| format!("  {}", rule(it)));
    std::iter::once(fields).chain(rules).collect::<Vec<_>>().join("\n")
}

/// Formats schools as a table, one row per school.
pub(in crate::cli) fn rows(schools: &[SchoolEligibility]) -> String {
    use TableColumn::{Number, Text};
    let columns = ["NAME", "REGION", "PLACEMENT", "CLOSED", "MET", "UNKNOWN", "COMMAND"].map(Text);
    let columns: Vec<_> = std::iter::once(Number("URN")).chain(columns).collect();
    let rules_with = |it: &SchoolEligibility, outcome| {
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
            rules_with(it, RuleOutcome::Met),
            rules_with(it, RuleOutcome::Unknown),
            next_command(it).unwrap_or_default(),
        ]
    };
    table(&columns, schools.iter().map(row))
}

/// Returns the answer of every rule, for a school or for a trust and its schools, as JSON.
pub(in crate::cli) fn explanation_json(it: &ExplainEligibilityResponse) -> Object {
    json::of(it).with("schools", it.schools.iter().map(school_json).collect::<Json>())
}

/// Formats the answer of every rule, for a school or for a trust and its schools.
pub(in crate::cli) fn explanation(it: &ExplainEligibilityResponse) -> String {
    let trust = it.trust.iter().map(|trust| format!("trust {}, {}", trust.uid, trust.name));
    parts(trust.chain(it.trust_rules.iter().map(rule)).chain(it.schools.iter().map(school_detail)))
}

/// Formats the changes between two months as a table, one row per change.
pub(in crate::cli) fn changes(changes: &[EligibilityChange]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Number("URN"), Text("NAME"), Text("CHANGE"), Text("RULES"), Number("NEWER URN")];
    let row = |it: &EligibilityChange| {
        vec![it.urn.to_string(), it.name.clone(), it.change.clone(), it.rules.join(" "), number(it.superseded_by)]
    };
    table(&columns, changes.iter().map(row))
}
