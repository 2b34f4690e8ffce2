//! Tests how the result of rule E2 (the judgements on entry) passes from a predecessor to the newest URN.

use std::collections::HashMap;

use super::tests::{row, terms, urn};
use super::{Assessment, EntitlementInputs, Finding, RuleOutcome, assess_decided, assess_linked, explain, summarise};
use crate::ids::Urn;
use crate::judgement::MonthRow;

/// The result of rule E2 for a URN.
fn e2_result(assessment: &Assessment, number: u32) -> &'static str {
    let school = assessment.school(urn(number)).unwrap();
    let (_, finding) = school.findings.iter().find(|(rule, _)| rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
    match finding {
        Finding::Met(_) => "met",
        Finding::NotMet(_) => "not met",
        Finding::Unknown(_) => "unknown",
        Finding::Decided { met: true, .. } => "decided met",
        Finding::Decided { met: false, .. } => "decided not met",
    }
}

/// A row whose judgements were made under other URNs. `current` and `previous` have the grade and the URN.
fn row_judged_under(number: u32, month: &str, current: (&str, u32), previous: (&str, u32)) -> MonthRow {
    let mut row = row(number, month, current.0, previous.0);
    row.current.iter_mut().for_each(|it| it.urn_judged = urn(current.1));
    row.previous.iter_mut().for_each(|it| it.urn_judged = urn(previous.1));
    row
}

/// A newer URN, and its predecessors by the register's links.
type Link = (u32, &'static [u32]);
/// The case, the row of the newest URN, the links, the expected result of E2, and the URN under which the school
/// entered the year.
type SuccessorRow = (&'static str, MonthRow, Vec<Link>, &'static str, Option<u32>);

fn link_map(links: &[Link]) -> HashMap<Urn, Vec<Urn>> {
    links.iter().map(|(new, old)| (urn(*new), old.iter().map(|it| urn(*it)).collect())).collect()
}

/// E2 is met by 100001 and not met by 100002. 200001 opened in September.
#[test]
fn the_e2_result_passes_to_the_successor() {
    let row_of_new = |current: &str| row(200_001, "2021-09-30", current, "");
    #[rustfmt::skip]
    let rows: Vec<SuccessorRow> = vec![
        ("no predecessor is named",         row_of_new("2"), vec![], "unknown", None),
        ("the file names 100001 (met)",     row_judged_under(200_001, "2021-09-30", ("3", 100_001), ("3", 100_001)), vec![], "met", None),
        ("the file names 100002 (not met)", row_judged_under(200_001, "2021-09-30", ("2", 100_002), ("2", 100_002)), vec![], "not met", Some(100_002)),
        ("the file names a URN in no file", row_judged_under(200_001, "2021-09-30", ("3", 100_009), ("3", 100_009)), vec![], "unknown", None),
        ("the file names two predecessors", row_judged_under(200_001, "2021-09-30", ("2", 100_002), ("2", 100_003)), vec![], "unknown", None),
        ("a link names 100001 (met)",       row_of_new("2"), vec![(200_001, &[100_001])], "met", None),
        ("a link names 100002 (not met)",   row_of_new("2"), vec![(200_001, &[100_002])], "not met", Some(100_002)),
        ("never inspected, a link to 100002", row_of_new(""),  vec![(200_001, &[100_002])], "not met", Some(100_002)),
        ("links name two predecessors",     row_of_new("2"), vec![(200_001, &[100_001, 100_002])], "unknown", None),
        ("a link to a URN in no file",      row_of_new("2"), vec![(200_001, &[100_009])], "unknown", None),
        ("a link to a newer URN",           row_of_new("2"), vec![(200_001, &[300_001])], "unknown", None),
        ("the file precedes the link",      row_judged_under(200_001, "2021-09-30", ("2", 100_002), ("2", 100_002)), vec![(200_001, &[100_001])], "not met", Some(100_002)),
        ("the file and the link differ",    row_judged_under(200_001, "2021-09-30", ("3", 100_009), ("3", 100_009)), vec![(200_001, &[100_001])], "unknown", None),
    ];
    let terms = terms("2021-22");
    for (case, newest, links, expected, entered_as) in rows {
        let months = [
            row(100_001, "2021-08-31", "3", "3"),
            row(100_002, "2021-08-31", "2", "3"),
            row(100_003, "2021-08-31", "2", "3"),
            row(300_001, "2021-08-31", "3", "3"),
            newest,
        ];
        for is_reversed in [false, true] {
            let mut months: Vec<&MonthRow> = months.iter().collect();
            if is_reversed {
                months.reverse();
            }
            let assessment = assess_linked(&terms, months, &link_map(&links));
            assert_eq!(e2_result(&assessment, 200_001), expected, "{case}");
            let school = assessment.school(urn(200_001)).unwrap();
            assert_eq!(school.entered_as, entered_as.map(urn), "{case}");
            // A superseded predecessor counts only under the newest URN.
            let superseded = assessment.schools().iter().filter(|it| it.superseded_by == Some(urn(200_001)));
            let eligible = assessment.eligible().filter(|it| it.urn != urn(300_001)).count();
            assert_eq!(eligible, 1, "{case}: only 100001 or its successor must be eligible");
            // Two printed predecessors are both superseded, although no result passes.
            let file_names_two = case == "the file names two predecessors";
            assert_eq!(
                superseded.count(),
                usize::from(expected != "unknown") + usize::from(file_names_two) * 2,
                "{case}"
            );
        }
    }
}

/// A URN that has a row of its own by entry entered the year under that URN, in spite of any link.
#[test]
fn a_urn_with_a_row_by_entry_is_tested_on_that_row() {
    let months = [row(100_001, "2021-08-31", "3", "3"), row(200_001, "2021-08-31", "2", "3")];
    let assessment = assess_linked(&terms("2021-22"), &months, &link_map(&[(200_001, &[100_001])]));
    assert_eq!((e2_result(&assessment, 100_001), e2_result(&assessment, 200_001)), ("met", "not met"));
    assert_eq!(assessment.school(urn(100_001)).unwrap().superseded_by, None);
}

#[test]
fn an_inherited_not_met_names_the_urn_it_comes_from() {
    let months = [row(100_002, "2021-08-31", "2", "3"), row(200_001, "2021-09-30", "", "")];
    let terms = terms("2021-22");
    let assessment = assess_linked(&terms, &months, &link_map(&[(200_001, &[100_002])]));
    let answers = explain(&terms, &assessment, urn(200_001)).unwrap();
    let e2 = answers.iter().find(|it| it.rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
    assert_eq!(e2.reason, "the current grade is 2; the school entered the year as URN 100002");

    // The same result passes over two steps.
    let newest = row_judged_under(300_001, "2021-10-31", ("2", 200_001), ("2", 200_001));
    let months = [months.as_slice(), &[newest]].concat();
    let assessment = assess_linked(&terms, &months, &link_map(&[(200_001, &[100_002])]));
    assert_eq!(e2_result(&assessment, 300_001), "not met");
    assert_eq!(assessment.school(urn(300_001)).unwrap().entered_as, Some(urn(100_002)));
}

/// The decisions of two people: URN, and whether E2 is met.
type Decided = &'static [(u32, bool)];
/// The case, the rows, the links, the decisions, the URN under test, and its expected result of E2.
type DecidedRow = (&'static str, Vec<MonthRow>, Vec<Link>, Decided, u32, &'static str);

/// E2 is met by 100001 and not met by 100002. The files do not show the result for 200001 and its successor 300001.
#[test]
fn a_decision_of_people_counts_only_while_no_file_shows_the_result() {
    let row_of = |number| row(number, "2021-09-30", "3", "3");
    let successor_of = |old| row_judged_under(300_001, "2021-10-31", ("3", old), ("3", old));
    // Three URNs in a row: 250001 follows an older URN, and 300001 follows 250001.
    let middle_after = |old| row_judged_under(250_001, "2021-09-30", ("3", old), ("3", old));
    let middle_and_newest_after = |old| vec![middle_after(old), successor_of(250_001)];
    let three_urns = || [vec![row_of(200_001)], middle_and_newest_after(200_001)].concat();
    let newest_after_both = |one, other| row_judged_under(300_001, "2021-10-31", ("3", one), ("3", other));
    #[rustfmt::skip]
    let rows: Vec<DecidedRow> = vec![
        ("no decision",                      vec![row_of(200_001)], vec![], &[], 200_001, "unknown"),
        ("decided met",                      vec![row_of(200_001)], vec![], &[(200_001, true)], 200_001, "decided met"),
        ("decided not met",                  vec![row_of(200_001)], vec![], &[(200_001, false)], 200_001, "decided not met"),
        ("a decision of another school",     vec![row_of(200_001)], vec![], &[(300_001, true)], 200_001, "unknown"),
        ("a file shows not met",             vec![row_of(200_001), row(200_001, "2021-08-31", "2", "3")], vec![], &[(200_001, true)], 200_001, "not met"),
        ("a file shows met",                 vec![row_of(200_001), row(200_001, "2021-07-31", "3", "4")], vec![], &[(200_001, false)], 200_001, "met"),
        ("a link to 100002 (not met)",       vec![row_of(200_001)], vec![(200_001, &[100_002])], &[(200_001, true)], 200_001, "not met"),
        ("a link to 100001 (met)",           vec![row_of(200_001)], vec![(200_001, &[100_001])], &[(200_001, false)], 200_001, "met"),
        ("a predecessor that is decided met", vec![row_of(200_001), successor_of(200_001)], vec![], &[(200_001, true)], 300_001, "decided met"),
        ("a predecessor that is decided not met", vec![row_of(200_001), successor_of(200_001)], vec![], &[(200_001, false)], 300_001, "decided not met"),
        ("both decided, the newest met",     vec![row_of(200_001), successor_of(200_001)], vec![], &[(200_001, false), (300_001, true)], 300_001, "decided met"),
        ("both decided, the newest not met", vec![row_of(200_001), successor_of(200_001)], vec![], &[(200_001, true), (300_001, false)], 300_001, "decided not met"),
        ("three URNs, the first decided met", three_urns(), vec![], &[(200_001, true)], 300_001, "decided met"),
        ("three URNs, the first decided not met", three_urns(), vec![], &[(200_001, false)], 300_001, "decided not met"),
        ("three URNs, the nearest decided not met", three_urns(), vec![], &[(200_001, true), (250_001, false)], 300_001, "decided not met"),
        ("three URNs, the nearest decided met", three_urns(), vec![], &[(200_001, false), (250_001, true)], 300_001, "decided met"),
        ("three URNs, the newest decided met", three_urns(), vec![], &[(200_001, false), (250_001, false), (300_001, true)], 300_001, "decided met"),
        ("three URNs, a file shows the first not met", middle_and_newest_after(100_002), vec![], &[], 300_001, "not met"),
        ("the same file, the middle decided met",    middle_and_newest_after(100_002), vec![], &[(250_001, true)], 300_001, "not met"),
        ("the same file, the newest decided met", middle_and_newest_after(100_002), vec![], &[(300_001, true)], 300_001, "not met"),
        ("three URNs, a file shows the first met", middle_and_newest_after(100_001), vec![], &[(250_001, false)], 300_001, "met"),
        ("three URNs by a link and a file",  vec![row_of(200_001), successor_of(200_001)], vec![(200_001, &[100_002])], &[(200_001, true)], 300_001, "not met"),
        ("three URNs by links",              vec![row_of(200_001), row_of(300_001)], vec![(200_001, &[100_002]), (300_001, &[200_001])], &[], 300_001, "not met"),
        ("the middle has two predecessors",  vec![row_of(200_001), row_judged_under(250_001, "2021-09-30", ("3", 100_002), ("3", 200_001)), successor_of(250_001)], vec![], &[(200_001, true)], 300_001, "unknown"),
        ("the newest has two, the first decided met", vec![row_of(200_001), row_of(200_002), newest_after_both(200_001, 200_002)], vec![], &[(200_001, true)], 300_001, "unknown"),
        ("the newest has two, the first decided not met", vec![row_of(200_001), row_of(200_002), newest_after_both(200_001, 200_002)], vec![], &[(200_001, false)], 300_001, "unknown"),
        ("the newest has two, a file shows one met", vec![row_of(200_001), newest_after_both(100_001, 200_001)], vec![], &[(200_001, false)], 300_001, "met"),
        ("the newest has a row by entry",        vec![row_of(200_001), row(300_001, "2021-08-31", "2", "3"), successor_of(200_001)], vec![(200_001, &[100_001])], &[], 300_001, "not met"),
    ];
    let terms = terms("2021-22");
    for (case, months, links, decided, tested_urn, expected) in rows {
        let old = [row(100_001, "2021-08-31", "3", "3"), row(100_002, "2021-08-31", "2", "3")];
        let months: Vec<&MonthRow> = old.iter().chain(&months).collect();
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, months, &link_map(&links), &decided);
        assert_eq!(e2_result(&assessment, tested_urn), expected, "{case}");
        let school = assessment.school(urn(tested_urn)).unwrap();
        let by_e2 = school.met().any(|(rule, _)| rule.as_str() == "E2_RI_TWICE_ON_ENTRY");
        assert_eq!(by_e2, ["met", "decided met"].contains(&expected), "{case}");
        assert_eq!(school.is_unknown(), expected == "unknown", "{case}");
    }
}

/// The case, the rows, the links, the decisions, the expected result of E2, and the URN under which the school entered
/// the year.
type ChainRow = (&'static str, Vec<MonthRow>, Vec<Link>, Decided, &'static str, Option<u32>);

/// A lineage of 110001, then 140001, which a file of August has, then 149001, which opened in September. The row of
/// 149001 prints its current judgement under 140001 and its previous one under 110001.
#[test]
fn the_nearest_urn_of_a_lineage_is_the_predecessor() {
    const NEW: u32 = 149_001;
    let row_in_august = |number, current: &str| row(number, "2021-08-31", current, "3");
    let row_under_both = || row_judged_under(140_001, "2021-08-31", ("2", 140_001), ("3", 110_001));
    let newest = || row_judged_under(NEW, "2021-09-30", ("2", 140_001), ("3", 110_001));
    // 140001 was never inspected: its row and that of the newest URN print only 110001.
    let row_under_first = |number, month| row_judged_under(number, month, ("2", 110_001), ("3", 110_001));
    let both_under_first = || vec![row_under_first(140_001, "2021-08-31"), row_under_first(NEW, "2021-09-30")];
    let middle_in_no_file = |newest| vec![row_in_august(110_001, "2"), newest];
    #[rustfmt::skip]
    let rows: Vec<ChainRow> = vec![
        ("the row of 140001 prints 110001",      vec![row_under_both(), newest()], vec![], &[], "not met", Some(140_001)),
        ("the same row, links of both",          vec![row_under_both(), newest()], vec![(NEW, &[140_001]), (140_001, &[110_001])], &[], "not met", Some(140_001)),
        ("the same row, a link to 110001",       vec![row_under_both(), newest()], vec![(NEW, &[110_001])], &[], "not met", Some(140_001)),
        ("110001 has a row too",                 vec![row(110_001, "2020-08-31", "3", "3"), row_under_both(), newest()], vec![], &[], "not met", Some(140_001)),
        ("a decision about the newest URN",      vec![row_under_both(), newest()], vec![], &[(NEW, true)], "not met", Some(140_001)),
        ("a link of 140001",                     vec![row_in_august(140_001, "2"), newest()], vec![(140_001, &[110_001])], &[], "not met", Some(140_001)),
        ("one of several links of 140001",       vec![row_in_august(140_001, "2"), newest()], vec![(140_001, &[109_999, 110_001])], &[], "not met", Some(140_001)),
        ("a chain of links of 140001",           vec![row_in_august(140_001, "2"), newest()], vec![(140_001, &[130_001]), (130_001, &[110_001])], &[], "not met", Some(140_001)),
        ("one link of the newest URN",           vec![row_in_august(140_001, "2"), newest()], vec![(NEW, &[140_001])], &[], "not met", Some(140_001)),
        ("a link of the newest to 109999",       vec![row_in_august(140_001, "2"), newest()], vec![(NEW, &[109_999])], &[], "unknown", None),
        ("links of the newest URN to both",      vec![row_in_august(140_001, "2"), newest()], vec![(NEW, &[110_001, 140_001])], &[], "unknown", None),
        ("no link or row joins the two",         vec![row_in_august(140_001, "2"), newest()], vec![], &[], "unknown", None),
        ("140001 is met",                        vec![row_in_august(140_001, "3"), newest()], vec![(NEW, &[140_001])], &[], "met", None),
        ("140001 opened in the year",            vec![row_judged_under(140_001, "2021-09-30", ("2", 140_001), ("3", 110_001)), newest()], vec![], &[(140_001, false)], "decided not met", None),
        ("140001 never inspected, no link",      both_under_first(), vec![], &[], "unknown", None),
        ("140001 never inspected, a link",       both_under_first(), vec![(NEW, &[140_001])], &[], "not met", Some(140_001)),
        ("the same, a link to 130001",           both_under_first(), vec![(NEW, &[130_001])], &[], "unknown", None),
        ("140001 in no file",                    middle_in_no_file(newest()), vec![(140_001, &[110_001])], &[], "not met", Some(110_001)),
        ("140001 in no file, two before it",     middle_in_no_file(newest()), vec![(140_001, &[109_999, 110_001])], &[], "unknown", None),
        ("140001 in no file nor printed",        middle_in_no_file(row_under_first(NEW, "2021-09-30")), vec![(NEW, &[140_001]), (140_001, &[109_999, 110_001])], &[], "not met", Some(110_001)),
        ("all by links, 140001 in no file",      middle_in_no_file(row(NEW, "2021-09-30", "2", "")), vec![(NEW, &[140_001]), (140_001, &[110_001])], &[], "not met", Some(110_001)),
    ];
    let terms = terms("2021-22");
    for (case, months, links, decided, expected, entered_as) in rows {
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, &months, &link_map(&links), &decided);
        assert_eq!(e2_result(&assessment, NEW), expected, "{case}");
        assert_eq!(assessment.school(urn(NEW)).unwrap().entered_as, entered_as.map(urn), "{case}");
    }
}

/// The rows of both halves of a split school print its URN. A "not met" passes to both halves, a "met" to one.
#[test]
fn not_met_passes_to_both_halves_and_met_to_one() {
    let half = |number| row_judged_under(number, "2021-09-30", ("2", 140_001), ("3", 140_001));
    let whole = |month, current| row(140_001, month, current, "3");
    #[rustfmt::skip]
    let rows: Vec<(&str, MonthRow, Decided, [&str; 2])> = vec![
        ("a file shows not met", whole("2021-08-31", "2"), &[],                 ["not met", "not met"]),
        ("not met by file, decided met", whole("2021-08-31", "2"), &[(149_001, true)],  ["not met", "not met"]),
        ("a file shows met",    whole("2021-08-31", "3"), &[],                 ["unknown", "met"]),
        ("decided not met",     whole("2021-09-30", "3"), &[(140_001, false)], ["decided not met", "decided not met"]),
        ("decided met",         whole("2021-09-30", "3"), &[(140_001, true)],  ["unknown", "decided met"]),
        ("no decision",         whole("2021-09-30", "3"), &[],                 ["unknown", "unknown"]),
    ];
    let terms = terms("2021-22");
    for (case, whole, decided, expected) in rows {
        let months = [whole, half(149_001), half(149_002)];
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, &months, &HashMap::new(), &decided);
        assert_eq!([149_001, 149_002].map(|number| e2_result(&assessment, number)), expected, "{case}");
    }
}

#[test]
fn a_decided_position_is_explained_and_counted_apart() {
    let months = [
        row(200_001, "2021-09-30", "2", "3"),
        row(200_002, "2021-09-30", "2", "3"),
        row(200_003, "2021-09-30", "2", "3"),
    ];
    let terms = terms("2021-22");
    let decided = [(urn(200_001), true), (urn(200_002), false)].into();
    let assessment = assess_decided(&terms, &months, &HashMap::new(), &decided);
    let e2 = |number| {
        let answers = explain(&terms, &assessment, urn(number)).unwrap();
        let answer = answers.into_iter().find(|it| it.rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
        (answer.outcome, answer.reason)
    };
    let reason = "decided by a person, as no file as at 2021-08-31 or before shows this URN";
    assert_eq!(e2(200_001), (RuleOutcome::Met, reason.to_owned()));
    assert_eq!(e2(200_002), (RuleOutcome::NotMet, reason.to_owned()));
    assert_eq!(e2(200_003).0, RuleOutcome::Unknown);
    let (no_placements, no_schools) = (HashMap::new(), std::collections::BTreeSet::new());
    let inputs =
        EntitlementInputs { placements: &no_placements, exceptional: &no_schools, trusts: &[], closed: &no_schools };
    let summary = summarise(&terms, &assessment, &inputs);
    assert_eq!((summary.eligible_schools, summary.unknown, summary.decided_by_person), (1, 1, 2));
    assert_eq!(summary.by_rule.values().sum::<usize>(), 1);
}
