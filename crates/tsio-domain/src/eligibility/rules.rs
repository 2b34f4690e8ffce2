//! Tests the school-level rules against the rows of one URN.
//!
//! The rows are sorted by as-at date and import, so the first row that meets a rule is its earliest evidence.

use super::{Evidence, Finding, SchoolAssessment, Why};
use crate::Date;
use crate::judgement::{Grade, MonthRow};
use crate::terms::{Rule, Terms, Test};

/// Tests every school-level rule against the history of one URN. Returns `None` if the history is empty.
pub(super) fn school(terms: &Terms, history: &[&MonthRow]) -> Option<SchoolAssessment> {
    let urn = history.first()?.urn;
    let findings = terms.rules().iter().filter_map(|rule| Some((rule.id.clone(), finding(terms, rule, history)?)));
    Some(SchoolAssessment { urn, findings: findings.collect(), superseded_by: None, entered_as: None })
}

fn finding(terms: &Terms, rule: &Rule, history: &[&MonthRow]) -> Option<Finding> {
    match &rule.test {
        Test::JudgedInYear { current } => Some(judged_in_year(terms, rule, current, history)),
        Test::TwiceOnEntry { current, previous } => Some(twice_on_entry(terms, current, previous, history)),
        Test::Exceptional { .. } | Test::TrustImprovement(_) => None,
    }
}

/// Tests "receives a judgement during the academic year". Any file with an as-at date on the first day of the year or
/// later can meet the rule. If none does, the reason comes from the newest file.
fn judged_in_year(terms: &Terms, rule: &Rule, grades: &[Grade], history: &[&MonthRow]) -> Finding {
    let day = terms.year().from;
    let mut finding = Finding::NotMet(Why::NoFileSince { day });
    for row in since(history, day) {
        finding = test_row(terms, rule, grades, row);
        if finding.evidence().is_some() {
            break;
        }
    }
    finding
}

fn test_row(terms: &Terms, rule: &Rule, grades: &[Grade], row: &MonthRow) -> Finding {
    let Some(current) = &row.current else { return Finding::NotMet(Why::NeverInspected) };
    if !grades.contains(&current.grade) {
        return Finding::NotMet(Why::CurrentGrade { grade: current.grade });
    }
    match terms.judgement_date().of(current) {
        // Not `Unknown`: without a date, the file does not show a judgement in the year.
        None => Finding::NotMet(Why::NoDate { as_at: row.as_at }),
        Some(on) if !rule.in_effect.contains(on) => Finding::NotMet(Why::Dated { on }),
        Some(_) => met(terms, row),
    }
}

/// Tests "entered the year with a current judgement ... where the previous judgement was also ...". The rule is tested
/// on the newest file by entry that has the school.
fn twice_on_entry(terms: &Terms, current: &[Grade], previous: &[Grade], history: &[&MonthRow]) -> Finding {
    let day = terms.entry();
    let Some(row) = newest_by(history, day) else { return Finding::Unknown(Why::NoFileBy { day }) };
    let Some(judgement) = &row.current else { return Finding::NotMet(Why::NeverInspected) };
    if !current.contains(&judgement.grade) {
        return Finding::NotMet(Why::CurrentGrade { grade: judgement.grade });
    }
    let previous_grade = row.previous.as_ref().map(|judgement| judgement.grade);
    if previous_grade.is_none_or(|grade| !previous.contains(&grade)) {
        return Finding::NotMet(Why::PreviousGrade { grade: previous_grade });
    }
    met(terms, row)
}

/// Returns the result `Met` with this row as evidence. Returns `NotMet` if the row has no judgement.
fn met(terms: &Terms, row: &MonthRow) -> Finding {
    let Some(current) = &row.current else { return Finding::NotMet(Why::NeverInspected) };
    Finding::Met(Box::new(Evidence {
        urn: row.urn,
        as_at: row.as_at,
        import: row.import,
        current: current.clone(),
        previous: row.previous.clone(),
        dated: terms.judgement_date().of(current),
    }))
}

/// Returns the rows with an as-at date on `day` or later.
fn since<'h, 'r>(history: &'h [&'r MonthRow], day: Date) -> &'h [&'r MonthRow] {
    history.get(history.partition_point(|row| row.as_at < day)..).unwrap_or_default()
}

/// Returns the row with the newest as-at date on or before `day`; `None` if there is no such row. If several imports
/// have that date, returns the row of the lowest import id.
pub(super) fn newest_by<'r>(history: &[&'r MonthRow], day: Date) -> Option<&'r MonthRow> {
    let up_to_day = history.get(..history.partition_point(|row| row.as_at <= day))?;
    let newest = up_to_day.last()?.as_at;
    up_to_day.get(up_to_day.partition_point(|row| row.as_at < newest)).copied()
}
