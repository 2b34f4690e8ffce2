//! Explains the eligibility of one school. For each rule it gives the outcome, the reason and the evidence.

use serde::Serialize;

use super::{Assessment, Evidence, Finding, SchoolAssessment};
use crate::ids::Urn;
use crate::terms::{Rule, RuleId, Terms, Test};

/// The outcome of a rule for one school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// Met.
    Met,
    /// Not met by any file so far.
    NotMet,
    /// The files do not show whether the rule is met. A person must decide.
    Unknown,
    /// The rule is not tested on the rows of the school. A referral decides it, or the test of the school's trust.
    DecidedElsewhere,
}

/// The explanation of one rule for one school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleAnswer<'a> {
    /// The rule.
    pub rule: &'a RuleId,
    /// The wording of the rule in the terms.
    pub text: &'a str,
    /// The outcome.
    pub outcome: RuleOutcome,
    /// The reason of the outcome, in a sentence.
    pub reason: String,
    /// The row that meets the rule; `None` if no file meets it.
    pub evidence: Option<&'a Evidence>,
}

/// Explains every rule of the terms, in their order, for one URN. Returns `None` if no file has the URN.
#[must_use]
pub fn explain<'a>(terms: &'a Terms, assessment: &'a Assessment, urn: Urn) -> Option<Vec<RuleAnswer<'a>>> {
    let school = assessment.school(urn)?;
    Some(terms.rules().iter().map(|rule| explain_rule(rule, school)).collect())
}

fn explain_rule<'a>(rule: &'a Rule, school: &'a SchoolAssessment) -> RuleAnswer<'a> {
    let finding = school.findings.iter().find(|(id, _)| *id == rule.id).map(|(_, finding)| finding);
    let (outcome, reason) = match (finding, &rule.test) {
        (Some(Finding::Met(evidence)), _) => (RuleOutcome::Met, evidence_sentence(school.urn, evidence)),
        (Some(Finding::NotMet(why)), Test::TwiceOnEntry { .. }) => {
            let entered = school.entered_as.map(|urn| format!("; the school entered the year as URN {urn}"));
            (RuleOutcome::NotMet, format!("{why}{}", entered.unwrap_or_default()))
        }
        (Some(Finding::NotMet(why)), _) => (RuleOutcome::NotMet, why.to_string()),
        (Some(Finding::Unknown(why)), _) => (RuleOutcome::Unknown, format!("{why}: a person must decide")),
        (Some(Finding::Decided { met, urn, why }), _) => (
            if *met { RuleOutcome::Met } else { RuleOutcome::NotMet },
            format!("decided by a person{}, as {why}", decided_urn_phrase(school.urn, *urn)),
        ),
        (None, Test::TrustImprovement(_)) => {
            (RuleOutcome::DecidedElsewhere, "decided for its trust as a whole".to_owned())
        }
        (None, _) => (RuleOutcome::DecidedElsewhere, "decided by a person, on a referral".to_owned()),
    };
    let reason = match school.superseded_by {
        Some(newer) => format!("{reason}; the school now counts as URN {newer}"),
        None => reason,
    };
    RuleAnswer { rule: &rule.id, text: &rule.text, outcome, reason, evidence: finding.and_then(Finding::evidence) }
}

/// Names the URN that people decided about, if it is not the URN of the school. Otherwise returns an empty text.
fn decided_urn_phrase(school: Urn, decided: Urn) -> String {
    if school == decided { String::new() } else { format!(" for URN {decided}, a predecessor of this school") }
}

/// Describes the row that meets a rule.
fn evidence_sentence(urn: Urn, evidence: &Evidence) -> String {
    let Evidence { current, previous, .. } = evidence;
    let mut text = format!("grade {} by inspection {}", current.grade.code(), current.inspection);
    if let Some(day) = evidence.dated {
        text.push_str(&format!(", dated {day}"));
    }
    if let Some(previous) = previous {
        text.push_str(&format!(", after grade {} by inspection {}", previous.grade.code(), previous.inspection));
    }
    if current.urn_judged != urn {
        text.push_str(&format!(", judged under URN {}", current.urn_judged));
    }
    text.push_str(&format!("; printed in the file as at {}", evidence.as_at));
    if evidence.urn != urn {
        text.push_str(&format!(" in the row of URN {}", evidence.urn));
    }
    text
}
