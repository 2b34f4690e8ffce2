//! Counts, answers and their evidence, as they are printed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::schools::{DecisionView, JudgementView, SchoolView};
use super::trusts::TrustView;
use crate::cli::names::{name, some_number, some_text};
use crate::cli::output::{TableColumn, View, cell, counts, facts, table};
use crate::proto::{
    EligibilityChange, Evidence, ExplainEligibilityResponse, Placement, RuleAnswer, RuleOutcome, SchoolEligibility,
    SummariseEligibilityResponse,
};

/// Always counted, so that a script finds its keys: 0 where the programme has no such rule.
const RULES: [&str; 3] = ["E1_RI_IN_YEAR", "E2_RI_TWICE_ON_ENTRY", "E3_EXCEPTIONAL"];

/// Counts of schools, each once.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SummaryView {
    programme: String,
    as_at: Option<String>,
    schools: i32,
    eligible_schools: i32,
    by_rule: BTreeMap<String, i32>,
    mat: MatCounts,
    standalone: StandaloneCounts,
    unplaced: i32,
    closed: i32,
    unknown: i32,
    decided_by_person: i32,
}

#[derive(Debug, Serialize)]
struct MatCounts {
    schools: i32,
    trusts: i32,
}

#[derive(Debug, Serialize)]
struct StandaloneCounts {
    schools: i32,
    maintained: i32,
    single_academy_trust: i32,
    single_school_mat: i32,
}

impl From<SummariseEligibilityResponse> for SummaryView {
    fn from(answer: SummariseEligibilityResponse) -> Self {
        let mut by_rule: BTreeMap<_, _> = RULES.map(|rule| (rule.to_owned(), 0)).into();
        by_rule.extend(answer.by_rule);
        Self {
            programme: answer.programme,
            as_at: some_text(answer.as_at),
            schools: answer.schools,
            eligible_schools: answer.eligible_schools,
            by_rule,
            mat: MatCounts { schools: answer.mat_schools, trusts: answer.mat_trusts },
            standalone: StandaloneCounts {
                schools: answer.standalone_schools,
                maintained: answer.standalone_maintained,
                single_academy_trust: answer.standalone_single_academy_trust,
                single_school_mat: answer.standalone_single_school_mat,
            },
            unplaced: answer.unplaced,
            closed: answer.closed,
            unknown: answer.unknown,
            decided_by_person: answer.decided_by_person,
        }
    }
}

impl View for SummaryView {
    fn text(&self) -> String {
        let words = [("programme", self.programme.clone()), ("as at", cell(self.as_at.as_ref()))];
        let before = [("schools", self.schools), ("eligible schools", self.eligible_schools)];
        let after = [
            ("in multi-academy trusts", self.mat.schools),
            ("those trusts", self.mat.trusts),
            ("standalone", self.standalone.schools),
            ("  maintained", self.standalone.maintained),
            ("  single-academy trust", self.standalone.single_academy_trust),
            ("  single-school MAT", self.standalone.single_school_mat),
            ("unplaced", self.unplaced),
            ("closed", self.closed),
            ("unknown", self.unknown),
            ("decided by a person", self.decided_by_person),
        ];
        let rules = self.by_rule.iter().map(|(rule, count)| (format!("  {rule}"), count.to_string()));
        let number = |(key, count): (&str, i32)| (key.to_owned(), count.to_string());
        let words = words.into_iter().map(|(key, value)| (key.to_owned(), value));
        counts(words.chain(before.into_iter().map(number)).chain(rules).chain(after.into_iter().map(number)))
    }
}

/// One rule's answer.
#[derive(Debug, Serialize)]
struct RuleView {
    rule: String,
    outcome: Option<String>,
    reason: String,
    evidence: Option<EvidenceView>,
    decided: Option<DecisionView>,
}

#[derive(Debug, Serialize)]
struct EvidenceView {
    as_at: String,
    import_id: String,
    urn: i32,
    current: Option<JudgementView>,
    previous: Option<JudgementView>,
}

impl From<RuleAnswer> for RuleView {
    fn from(answer: RuleAnswer) -> Self {
        Self {
            outcome: name(answer.outcome().as_str_name(), "RULE_OUTCOME_"),
            rule: answer.rule,
            reason: answer.reason,
            evidence: answer.evidence.map(EvidenceView::from),
            decided: answer.decided.map(DecisionView::from),
        }
    }
}

impl From<Evidence> for EvidenceView {
    fn from(evidence: Evidence) -> Self {
        Self {
            as_at: evidence.as_at,
            import_id: evidence.import_id,
            urn: evidence.urn,
            current: evidence.current.map(JudgementView::from),
            previous: evidence.previous.map(JudgementView::from),
        }
    }
}

impl RuleView {
    fn text(&self) -> String {
        let outcome = self.outcome.as_deref().unwrap_or_default().replace('_', " ");
        let mut text = format!("{}: {outcome}. {}", self.rule, self.reason);
        if let Some(evidence) = &self.evidence {
            text.push_str(&format!("\n    row of {} in the file as at {}", evidence.urn, evidence.as_at));
            for (which, judgement) in [("current", &evidence.current), ("previous", &evidence.previous)] {
                if let Some(judgement) = judgement {
                    text.push_str(&format!("\n    {which}: {}", judgement.text()));
                }
            }
        }
        text
    }
}

/// One school's answer.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SchoolAnswer {
    #[serde(flatten)]
    school: SchoolView,
    eligible: bool,
    rules: Vec<RuleView>,
    superseded_by: Option<i32>,
    offer: Option<String>,
    /// What deals with a school that waits for a person: unplaced, closed, unknown, or not eligible and on an open offer.
    command: Option<String>,
}

impl From<SchoolEligibility> for SchoolAnswer {
    fn from(answer: SchoolEligibility) -> Self {
        Self {
            command: command(&answer),
            school: answer.school.unwrap_or_default().into(),
            eligible: answer.eligible,
            rules: answer.rules.into_iter().map(RuleView::from).collect(),
            superseded_by: some_number(answer.superseded_by),
            offer: some_text(answer.offer),
        }
    }
}

/// The command that deals with a school that waits for a person.
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

impl SchoolAnswer {
    fn rules_with(&self, outcome: &str) -> String {
        let rules = self.rules.iter().filter(|rule| rule.outcome.as_deref() == Some(outcome));
        rules.map(|rule| rule.rule.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl View for SchoolAnswer {
    fn text(&self) -> String {
        let school = facts([
            ("urn", self.school.urn.to_string()),
            ("name", self.school.name.clone()),
            ("placement", cell(self.school.placement.as_ref())),
            ("eligible", if self.eligible { "yes" } else { "no" }.to_owned()),
            ("closed because", cell(self.school.closed_reason.as_ref())),
            ("superseded by", cell(self.superseded_by.as_ref())),
            ("offer", cell(self.offer.as_ref())),
            ("command", cell(self.command.as_ref())),
        ]);
        let rules = self.rules.iter().map(|rule| format!("  {}", rule.text()));
        std::iter::once(school).chain(rules).collect::<Vec<_>>().join("\n")
    }
}

impl View for Vec<SchoolAnswer> {
    fn text(&self) -> String {
        let columns = [
            TableColumn::Number("URN"),
            TableColumn::Text("NAME"),
            TableColumn::Text("REGION"),
            TableColumn::Text("PLACEMENT"),
            TableColumn::Text("CLOSED"),
            TableColumn::Text("MET"),
            TableColumn::Text("UNKNOWN"),
            TableColumn::Text("COMMAND"),
        ];
        let row = |answer: &SchoolAnswer| {
            vec![
                answer.school.urn.to_string(),
                answer.school.name.clone(),
                cell(answer.school.region.as_ref()),
                cell(answer.school.placement.as_ref()),
                if answer.school.closed_reason.is_some() { "closed" } else { "" }.to_owned(),
                answer.rules_with("met"),
                answer.rules_with("unknown"),
                cell(answer.command.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

/// Every rule of a school, or of a trust and its schools.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ExplanationView {
    programme: String,
    trust: Option<TrustView>,
    trust_rules: Vec<RuleView>,
    schools: Vec<SchoolAnswer>,
}

impl From<ExplainEligibilityResponse> for ExplanationView {
    fn from(answer: ExplainEligibilityResponse) -> Self {
        Self {
            programme: answer.programme,
            trust: answer.trust.map(TrustView::from),
            trust_rules: answer.trust_rules.into_iter().map(RuleView::from).collect(),
            schools: answer.schools.into_iter().map(SchoolAnswer::from).collect(),
        }
    }
}

impl View for ExplanationView {
    fn text(&self) -> String {
        let trust = self.trust.iter().map(|trust| format!("trust {}, {}", trust.uid, trust.name));
        let rules = self.trust_rules.iter().map(RuleView::text);
        let schools = self.schools.iter().map(View::text);
        trust.chain(rules).chain(schools).collect::<Vec<_>>().join("\n\n")
    }
}

/// One school's change between two months.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangeView {
    urn: i32,
    name: String,
    change: String,
    rules: Vec<String>,
    superseded_by: Option<i32>,
}

impl From<EligibilityChange> for ChangeView {
    fn from(change: EligibilityChange) -> Self {
        Self {
            urn: change.urn,
            name: change.name,
            change: change.change,
            rules: change.rules,
            superseded_by: some_number(change.superseded_by),
        }
    }
}

impl View for Vec<ChangeView> {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let columns = [Number("URN"), Text("NAME"), Text("CHANGE"), Text("RULES"), Number("NEWER URN")];
        let row = |change: &ChangeView| {
            let newer = cell(change.superseded_by.as_ref());
            vec![change.urn.to_string(), change.name.clone(), change.change.clone(), change.rules.join(" "), newer]
        };
        table(&columns, self.iter().map(row))
    }
}
