//! How the answer for entry passes from a predecessor to the newest URN, case by case.

use std::collections::HashMap;

use super::tests::{row, terms, urn};
use super::{Assessment, Finding, RuleOutcome, Standing, assess_decided, assess_linked, explain, summarise};
use crate::ids::Urn;
use crate::judgement::MonthRow;

/// The result of rule E2 for a URN.
fn on_entry(assessment: &Assessment, number: u32) -> &'static str {
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

/// A row whose judgements were made of other URNs.
fn printed(number: u32, month: &str, current: (&str, u32), previous: (&str, u32)) -> MonthRow {
    let mut row = row(number, month, current.0, previous.0);
    row.current.iter_mut().for_each(|it| it.urn_judged = urn(current.1));
    row.previous.iter_mut().for_each(|it| it.urn_judged = urn(previous.1));
    row
}

/// A newer URN, and its predecessors by the register's links.
type Link = (u32, &'static [u32]);
/// The case, the row of the newest URN, the links, the expected answer for entry, and the URN it entered the year as.
type Row = (&'static str, MonthRow, Vec<Link>, &'static str, Option<u32>);

fn links(of: &[Link]) -> HashMap<Urn, Vec<Urn>> {
    of.iter().map(|(new, old)| (urn(*new), old.iter().map(|it| urn(*it)).collect())).collect()
}

/// E2 is met by 100001 and not met by 100002. 200001 opened in September.
#[test]
fn the_answer_for_entry_passes_to_the_successor() {
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
    for (what, newest, of, expected, entered_as) in rows {
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
            assert_eq!(on_entry(&assessment, 200_001), expected, "{what}");
            let school = assessment.school(urn(200_001)).unwrap();
            assert_eq!(school.entered_as, entered_as.map(urn), "{what}");
            // A predecessor counts once, under the newest URN.
            let followed = assessment.schools().iter().filter(|it| it.superseded_by == Some(urn(200_001)));
            let eligible = assessment.eligible().filter(|it| it.urn != urn(300_001)).count();
            assert_eq!(eligible, 1, "{what}: 100001 or its successor");
            let named_two = what == "the file names two";
            assert_eq!(followed.count(), usize::from(expected != "unknown") + usize::from(named_two) * 2, "{what}");
        }
    }
}

/// A URN that has a row of its own by entry entered the year under that URN, in spite of any link.
#[test]
fn a_urn_with_a_row_by_entry_has_its_own_answer() {
    let months = [row(100_001, "2021-08-31", "3", "3"), row(200_001, "2021-08-31", "2", "3")];
    let assessment = assess_linked(&terms("2021-22"), &months, &links(&[(200_001, &[100_001])]));
    assert_eq!((on_entry(&assessment, 100_001), on_entry(&assessment, 200_001)), ("met", "not met"));
    assert_eq!(assessment.school(urn(100_001)).unwrap().superseded_by, None);
}

#[test]
fn an_inherited_no_names_the_urn_it_comes_from() {
    let months = [row(100_002, "2021-08-31", "2", "3"), row(200_001, "2021-09-30", "", "")];
    let terms = terms("2021-22");
    let assessment = assess_linked(&terms, &months, &links(&[(200_001, &[100_002])]));
    let answers = explain(&terms, &assessment, urn(200_001)).unwrap();
    let e2 = answers.iter().find(|it| it.rule.as_str() == "E2_RI_TWICE_ON_ENTRY").unwrap();
    assert_eq!(e2.reason, "the current grade is 2; the school entered the year as URN 100002");

    // The same over two steps.
    let newest = printed(300_001, "2021-10-31", ("2", 200_001), ("2", 200_001));
    let months = [months.as_slice(), &[newest]].concat();
    let assessment = assess_linked(&terms, &months, &links(&[(200_001, &[100_002])]));
    assert_eq!(on_entry(&assessment, 300_001), "not met");
    assert_eq!(assessment.school(urn(300_001)).unwrap().entered_as, Some(urn(100_002)));
}

/// The decisions of two people: URN, and whether E2 is met.
type Decided = &'static [(u32, bool)];
/// The case, the rows, the links, the decisions, the URN under test, and its expected answer for entry.
type DecidedRow = (&'static str, Vec<MonthRow>, Vec<Link>, Decided, u32, &'static str);

/// E2 is met by 100001 and not met by 100002. The files cannot say for 200001 and its successor 300001.
#[test]
fn a_decision_of_people_counts_while_no_file_says_it() {
    let own = |number| row(number, "2021-09-30", "3", "3");
    let follows = |old| printed(300_001, "2021-10-31", ("3", old), ("3", old));
    // Three in a row: 250001 follows an older URN, and 300001 follows 250001.
    let middle = |old| printed(250_001, "2021-09-30", ("3", old), ("3", old));
    let three = |old| vec![middle(old), follows(250_001)];
    let of_decided = || [vec![own(200_001)], three(200_001)].concat();
    let two = |one, other| printed(300_001, "2021-10-31", ("3", one), ("3", other));
    #[rustfmt::skip]
    let rows: Vec<DecidedRow> = vec![
        ("nobody decided",                   vec![own(200_001)], vec![], &[], 200_001, "unknown"),
        ("met",                              vec![own(200_001)], vec![], &[(200_001, true)], 200_001, "decided met"),
        ("not met",                          vec![own(200_001)], vec![], &[(200_001, false)], 200_001, "decided not met"),
        ("of another school",                vec![own(200_001)], vec![], &[(300_001, true)], 200_001, "unknown"),
        ("a file says no",                   vec![own(200_001), row(200_001, "2021-08-31", "2", "3")], vec![], &[(200_001, true)], 200_001, "not met"),
        ("a file says yes",                  vec![own(200_001), row(200_001, "2021-07-31", "3", "4")], vec![], &[(200_001, false)], 200_001, "met"),
        ("a link to a no",                   vec![own(200_001)], vec![(200_001, &[100_002])], &[(200_001, true)], 200_001, "not met"),
        ("a link to a yes",                  vec![own(200_001)], vec![(200_001, &[100_001])], &[(200_001, false)], 200_001, "met"),
        ("a predecessor that is decided met", vec![own(200_001), follows(200_001)], vec![], &[(200_001, true)], 300_001, "decided met"),
        ("and one that is decided not met",  vec![own(200_001), follows(200_001)], vec![], &[(200_001, false)], 300_001, "decided not met"),
        ("both decided",                     vec![own(200_001), follows(200_001)], vec![], &[(200_001, false), (300_001, true)], 300_001, "decided met"),
        ("both decided, the other way",      vec![own(200_001), follows(200_001)], vec![], &[(200_001, true), (300_001, false)], 300_001, "decided not met"),
        ("three, the first met",             of_decided(), vec![], &[(200_001, true)], 300_001, "decided met"),
        ("three, the first not met",         of_decided(), vec![], &[(200_001, false)], 300_001, "decided not met"),
        ("three, the nearest counts",        of_decided(), vec![], &[(200_001, true), (250_001, false)], 300_001, "decided not met"),
        ("and so the other way",             of_decided(), vec![], &[(200_001, false), (250_001, true)], 300_001, "decided met"),
        ("three, its own before both",       of_decided(), vec![], &[(200_001, false), (250_001, false), (300_001, true)], 300_001, "decided met"),
        ("three, a file's no of the first",  three(100_002), vec![], &[], 300_001, "not met"),
        ("and before what is decided of the middle", three(100_002), vec![], &[(250_001, true)], 300_001, "not met"),
        ("and of the last",                  three(100_002), vec![], &[(300_001, true)], 300_001, "not met"),
        ("three, a file's yes of the first", three(100_001), vec![], &[(250_001, false)], 300_001, "met"),
        ("three, a link, then the file",     vec![own(200_001), follows(200_001)], vec![(200_001, &[100_002])], &[(200_001, true)], 300_001, "not met"),
        ("three by links",                   vec![own(200_001), own(300_001)], vec![(200_001, &[100_002]), (300_001, &[200_001])], &[], 300_001, "not met"),
        ("the middle has two",               vec![own(200_001), printed(250_001, "2021-09-30", ("3", 100_002), ("3", 200_001)), follows(250_001)], vec![], &[(200_001, true)], 300_001, "unknown"),
        ("the last has two, one decided met", vec![own(200_001), own(200_002), two(200_001, 200_002)], vec![], &[(200_001, true)], 300_001, "unknown"),
        ("one decided not met",              vec![own(200_001), own(200_002), two(200_001, 200_002)], vec![], &[(200_001, false)], 300_001, "unknown"),
        ("one a yes by file",                vec![own(200_001), two(100_001, 200_001)], vec![], &[(200_001, false)], 300_001, "met"),
        ("a link behind who has a row by entry", vec![own(200_001), row(300_001, "2021-08-31", "2", "3"), follows(200_001)], vec![(200_001, &[100_001])], &[], 300_001, "not met"),
    ];
    let terms = terms("2021-22");
    for (what, months, of, decided, of_urn, expected) in rows {
        let old = [row(100_001, "2021-08-31", "3", "3"), row(100_002, "2021-08-31", "2", "3")];
        let months: Vec<&MonthRow> = old.iter().chain(&months).collect();
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, months, &links(&of), &decided);
        assert_eq!(on_entry(&assessment, of_urn), expected, "{what}");
        let school = assessment.school(urn(of_urn)).unwrap();
        let by_e2 = school.met().any(|(rule, _)| rule.as_str() == "E2_RI_TWICE_ON_ENTRY");
        assert_eq!(by_e2, ["met", "decided met"].contains(&expected), "{what}");
        assert_eq!(school.is_unknown(), expected == "unknown", "{what}");
    }
}

/// The case, the rows, the links, the decisions, the expected answer for entry, and the URN it entered the year as.
type ChainRow = (&'static str, Vec<MonthRow>, Vec<Link>, Decided, &'static str, Option<u32>);

/// A lineage of 110001, then 140001, which a file of August has, then 149001, which opened in September. The row of
/// 149001 prints its current judgement under 140001 and its previous one under 110001.
#[test]
fn the_nearest_urn_of_a_lineage_is_the_predecessor() {
    const NEW: u32 = 149_001;
    let own = |number, current: &str| row(number, "2021-08-31", current, "3");
    let by_both = || printed(140_001, "2021-08-31", ("2", 140_001), ("3", 110_001));
    let newest = || printed(NEW, "2021-09-30", ("2", 140_001), ("3", 110_001));
    // 140001 was never inspected: its row and that of the newest URN print only 110001.
    let of_first = |number, month| printed(number, month, ("2", 110_001), ("3", 110_001));
    let both_of_first = || vec![of_first(140_001, "2021-08-31"), of_first(NEW, "2021-09-30")];
    let unseen = |newest| vec![own(110_001, "2"), newest];
    #[rustfmt::skip]
    let rows: Vec<ChainRow> = vec![
        ("the middle's row prints the first",    vec![by_both(), newest()], vec![], &[], "not met", Some(140_001)),
        ("and so with links of both",            vec![by_both(), newest()], vec![(NEW, &[140_001]), (140_001, &[110_001])], &[], "not met", Some(140_001)),
        ("and so with a link to the first",      vec![by_both(), newest()], vec![(NEW, &[110_001])], &[], "not met", Some(140_001)),
        ("the first has a row too",              vec![row(110_001, "2020-08-31", "3", "3"), by_both(), newest()], vec![], &[], "not met", Some(140_001)),
        ("people decide nothing of the newest",  vec![by_both(), newest()], vec![], &[(NEW, true)], "not met", Some(140_001)),
        ("a link of the middle",                 vec![own(140_001, "2"), newest()], vec![(140_001, &[110_001])], &[], "not met", Some(140_001)),
        ("one of several links of the middle",   vec![own(140_001, "2"), newest()], vec![(140_001, &[109_999, 110_001])], &[], "not met", Some(140_001)),
        ("a chain of links of the middle",       vec![own(140_001, "2"), newest()], vec![(140_001, &[130_001]), (130_001, &[110_001])], &[], "not met", Some(140_001)),
        ("the one link of the newest",           vec![own(140_001, "2"), newest()], vec![(NEW, &[140_001])], &[], "not met", Some(140_001)),
        ("a link of the newest to another",      vec![own(140_001, "2"), newest()], vec![(NEW, &[109_999])], &[], "unknown", None),
        ("links of the newest to both",          vec![own(140_001, "2"), newest()], vec![(NEW, &[110_001, 140_001])], &[], "unknown", None),
        ("nothing joins the two",                vec![own(140_001, "2"), newest()], vec![], &[], "unknown", None),
        ("a yes",                                vec![own(140_001, "3"), newest()], vec![(NEW, &[140_001])], &[], "met", None),
        ("the middle opened in the year",        vec![printed(140_001, "2021-09-30", ("2", 140_001), ("3", 110_001)), newest()], vec![], &[(140_001, false)], "decided not met", None),
        ("the middle never inspected, no link",  both_of_first(), vec![], &[], "unknown", None),
        ("the middle never inspected, a link",   both_of_first(), vec![(NEW, &[140_001])], &[], "not met", Some(140_001)),
        ("and a link to another",                both_of_first(), vec![(NEW, &[130_001])], &[], "unknown", None),
        ("the middle in no file",                unseen(newest()), vec![(140_001, &[110_001])], &[], "not met", Some(110_001)),
        ("the middle in no file, two before it", unseen(newest()), vec![(140_001, &[109_999, 110_001])], &[], "unknown", None),
        ("the middle in no file nor printed",    unseen(of_first(NEW, "2021-09-30")), vec![(NEW, &[140_001]), (140_001, &[109_999, 110_001])], &[], "not met", Some(110_001)),
        ("all by links, the middle in no file",  unseen(row(NEW, "2021-09-30", "2", "")), vec![(NEW, &[140_001]), (140_001, &[110_001])], &[], "not met", Some(110_001)),
    ];
    let terms = terms("2021-22");
    for (what, months, of, decided, expected, entered_as) in rows {
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, &months, &links(&of), &decided);
        assert_eq!(on_entry(&assessment, NEW), expected, "{what}");
        assert_eq!(assessment.school(urn(NEW)).unwrap().entered_as, entered_as.map(urn), "{what}");
    }
}

/// Both halves of a split school print the school. A "not met" passes to both halves, a "met" to one.
#[test]
fn a_no_goes_to_both_halves_and_a_yes_to_one() {
    let half = |number| printed(number, "2021-09-30", ("2", 140_001), ("3", 140_001));
    let whole = |month, current| row(140_001, month, current, "3");
    #[rustfmt::skip]
    let rows: Vec<(&str, MonthRow, Decided, [&str; 2])> = vec![
        ("a file's no",         whole("2021-08-31", "2"), &[],                 ["not met", "not met"]),
        ("against any decision", whole("2021-08-31", "2"), &[(149_001, true)],  ["not met", "not met"]),
        ("a file's yes",        whole("2021-08-31", "3"), &[],                 ["unknown", "met"]),
        ("decided not met",     whole("2021-09-30", "3"), &[(140_001, false)], ["decided not met", "decided not met"]),
        ("decided met",         whole("2021-09-30", "3"), &[(140_001, true)],  ["unknown", "decided met"]),
        ("nobody decided",      whole("2021-09-30", "3"), &[],                 ["unknown", "unknown"]),
    ];
    let terms = terms("2021-22");
    for (what, whole, decided, expected) in rows {
        let months = [whole, half(149_001), half(149_002)];
        let decided = decided.iter().map(|(number, met)| (urn(*number), *met)).collect();
        let assessment = assess_decided(&terms, &months, &HashMap::new(), &decided);
        assert_eq!([149_001, 149_002].map(|number| on_entry(&assessment, number)), expected, "{what}");
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
    let because = "decided by a person, as no file as at 2021-08-31 or before shows this URN";
    assert_eq!(e2(200_001), (RuleOutcome::Met, because.to_owned()));
    assert_eq!(e2(200_002), (RuleOutcome::NotMet, because.to_owned()));
    assert_eq!(e2(200_003).0, RuleOutcome::Unknown);
    let (nowhere, nobody) = (HashMap::new(), std::collections::BTreeSet::new());
    let standing = Standing { placements: &nowhere, exceptional: &nobody, trusts: &[], closed: &nobody };
    let counted = summarise(&terms, &assessment, &standing);
    assert_eq!((counted.eligible_schools, counted.unknown, counted.decided_by_person), (1, 1, 2));
    assert_eq!(counted.by_rule.values().sum::<usize>(), 1);
}
