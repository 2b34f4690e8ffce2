//! The school-level rules, each over one URN's rows.
//!
//! Rows arrive sorted by as-at date and import, so the first row that meets a rule is its earliest evidence.

use super::{Evidence, Finding, SchoolAssessment, Why};
use crate::Date;
use crate::judgement::{Grade, MonthRow};
use crate::terms::{Rule, Terms, Test};

/// Every school-level rule over one URN's history; nothing for an empty one.
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

/// "receives a judgement during the academic year": any file as at the year's first day or later. Not met, the reason
/// is that of the newest file.
fn judged_in_year(terms: &Terms, rule: &Rule, requested: &[Grade], history: &[&MonthRow]) -> Finding {
    let day = terms.year().from;
    let mut found = Finding::NotMet(Why::NoFileSince { day });
    for row in since(history, day) {
        found = judged(terms, rule, requested, row);
        if found.evidence().is_some() {
            break;
        }
    }
    found
}

fn judged(terms: &Terms, rule: &Rule, requested: &[Grade], row: &MonthRow) -> Finding {
    let Some(current) = &row.current else { return Finding::NotMet(Why::NeverInspected) };
    if !requested.contains(&current.grade) {
        return Finding::NotMet(Why::CurrentGrade { grade: current.grade });
    }
    match terms.judgement_date().of(current) {
        // A file that prints no date shows no judgement in the year; only a school absent on entry is unknown.
        None => Finding::NotMet(Why::NoDate { as_at: row.as_at }),
        Some(on) if !rule.in_effect.contains(on) => Finding::NotMet(Why::Dated { on }),
        Some(_) => met(terms, row),
    }
}

/// "entered the year with a current judgement ... where the previous judgement was also ...": the newest file before
/// the year that shows the school.
fn twice_on_entry(terms: &Terms, current: &[Grade], previous: &[Grade], history: &[&MonthRow]) -> Finding {
    let day = terms.entry();
    let Some(row) = newest_by(history, day) else { return Finding::Unknown(Why::NoFileBy { day }) };
    let Some(judgement) = &row.current else { return Finding::NotMet(Why::NeverInspected) };
    if !current.contains(&judgement.grade) {
        return Finding::NotMet(Why::CurrentGrade { grade: judgement.grade });
    }
    let before = row.previous.as_ref().map(|judgement| judgement.grade);
    if before.is_none_or(|grade| !previous.contains(&grade)) {
        return Finding::NotMet(Why::PreviousGrade { grade: before });
    }
    met(terms, row)
}

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

fn since<'h, 'r>(history: &'h [&'r MonthRow], day: Date) -> &'h [&'r MonthRow] {
    history.get(history.partition_point(|row| row.as_at < day)..).unwrap_or_default()
}

/// The first row of the newest as-at date not after a day: of several imports, the smallest.
pub(super) fn newest_by<'r>(history: &[&'r MonthRow], day: Date) -> Option<&'r MonthRow> {
    let known = history.get(..history.partition_point(|row| row.as_at <= day))?;
    let newest = known.last()?.as_at;
    known.get(known.partition_point(|row| row.as_at < newest)).copied()
}
