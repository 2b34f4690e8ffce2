//! A newest URN takes over its predecessor's answer for entry, yes and no: case by case.

use std::collections::HashMap;

use super::tests::{row, terms, urn};
use super::{Assessment, Finding, assess_linked, explain};
use crate::domain::ids::Urn;
use crate::domain::judgement::MonthRow;

/// What E2 says of a URN: met, not met or unknown.
fn on_entry(assessment: &Assessment, number: u32) -> &'static str {
    let school = assessment.school(urn(number)).unwrap();
    let (_, finding) = school.findings.iter().find(|(rule, _)| rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
    match finding {
        Finding::Met(_) => "met",
        Finding::NotMet(_) => "not met",
        Finding::Unknown(_) => "unknown",
    }
}

/// The row of a month in which a school has its judgements from an older URN.
fn printed(number: u32, month: &str, current: (&str, u32), previous: (&str, u32)) -> MonthRow {
    let mut row = row(number, month, current.0, previous.0);
    row.current.iter_mut().for_each(|it| it.urn_judged = urn(current.1));
    row.previous.iter_mut().for_each(|it| it.urn_judged = urn(previous.1));
    row
}

/// A newer URN, and those that the register links to it.
type Link = (u32, &'static [u32]);
/// What it is, its newest row, the links, the answer for entry, and whose answer that is.
type Row = (&'static str, MonthRow, Vec<Link>, &'static str, Option<u32>);

fn links(of: &[Link]) -> HashMap<Urn, Vec<Urn>> {
    of.iter().map(|(new, old)| (urn(*new), old.iter().map(|it| urn(*it)).collect())).collect()
}

/// 100001 entered the year with a yes, 100002 with a no; 200001 opened in September.
#[test]
fn the_answer_for_entry_goes_to_the_one_who_follows() {
    let own = |current: &str| row(200_001, "2021-09-30", current, "");
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        ("nobody is named",                 own("2"), vec![], "unknown", None),
        ("the file names a yes",            printed(200_001, "2021-09-30", ("3", 100_001), ("3", 100_001)), vec![], "met", None),
        ("the file names a no",             printed(200_001, "2021-09-30", ("2", 100_002), ("2", 100_002)), vec![], "not met", Some(100_002)),
        ("the file names somebody unknown", printed(200_001, "2021-09-30", ("3", 100_009), ("3", 100_009)), vec![], "unknown", None),
        ("the file names two",              printed(200_001, "2021-09-30", ("2", 100_002), ("2", 100_003)), vec![], "unknown", None),
        ("a link names a yes",              own("2"), vec![(200_001, &[100_001])], "met", None),
        ("a link names a no",               own("2"), vec![(200_001, &[100_002])], "not met", Some(100_002)),
        ("never inspected, a link to a no", own(""),  vec![(200_001, &[100_002])], "not met", Some(100_002)),
        ("links name two",                  own("2"), vec![(200_001, &[100_001, 100_002])], "unknown", None),
        ("a link to somebody unknown",      own("2"), vec![(200_001, &[100_009])], "unknown", None),
        ("a link to a newer URN",           own("2"), vec![(200_001, &[300_001])], "unknown", None),
        ("the file goes before the link",   printed(200_001, "2021-09-30", ("2", 100_002), ("2", 100_002)), vec![(200_001, &[100_001])], "not met", Some(100_002)),
        ("a file and a link that differ",   printed(200_001, "2021-09-30", ("3", 100_009), ("3", 100_009)), vec![(200_001, &[100_001])], "unknown", None),
    ];
    let terms = terms("2021-22");
    for (what, newest, of, wanted, entered_as) in rows {
        let months = [
            row(100_001, "2021-08-31", "3", "3"),
            row(100_002, "2021-08-31", "2", "3"),
            row(100_003, "2021-08-31", "2", "3"),
            row(300_001, "2021-08-31", "3", "3"),
            newest,
        ];
        for turned in [false, true] {
            let mut months: Vec<&MonthRow> = months.iter().collect();
            if turned {
                months.reverse();
            }
            let assessment = assess_linked(&terms, months, &links(&of));
            assert_eq!(on_entry(&assessment, 200_001), wanted, "{what}");
            let school = assessment.school(urn(200_001)).unwrap();
            assert_eq!(school.entered_as, entered_as.map(urn), "{what}");
            // Who is followed counts under the newest URN, once.
            let followed = assessment.schools().iter().filter(|it| it.superseded_by == Some(urn(200_001)));
            let eligible = assessment.eligible().filter(|it| it.urn != urn(300_001)).count();
            assert_eq!(eligible, 1, "{what}: 100001 or who follows it");
            let named_two = what == "the file names two";
            assert_eq!(followed.count(), usize::from(wanted != "unknown") + usize::from(named_two) * 2, "{what}");
        }
    }
}

/// A URN that has a row of its own by entry entered the year by itself, whatever the links say.
#[test]
fn whoever_has_a_row_by_entry_answers_for_itself() {
    let months = [row(100_001, "2021-08-31", "3", "3"), row(200_001, "2021-08-31", "2", "3")];
    let assessment = assess_linked(&terms("2021-22"), &months, &links(&[(200_001, &[100_001])]));
    assert_eq!((on_entry(&assessment, 100_001), on_entry(&assessment, 200_001)), ("met", "not met"));
    assert_eq!(assessment.school(urn(100_001)).unwrap().superseded_by, None);
}

#[test]
fn a_no_that_was_taken_over_says_under_which_urn() {
    let months = [row(100_002, "2021-08-31", "2", "3"), row(200_001, "2021-09-30", "", "")];
    let terms = terms("2021-22");
    let assessment = assess_linked(&terms, &months, &links(&[(200_001, &[100_002])]));
    let answers = explain(&terms, &assessment, urn(200_001)).unwrap();
    let e2 = answers.iter().find(|it| it.rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
    assert_eq!(e2.reason, "the current grade is 2; the school entered the year as URN 100002");
}
