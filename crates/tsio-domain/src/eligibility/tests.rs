//! Tests eligibility by cases written by hand, and by properties that hold for any rows.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::{prop_assert, prop_assert_eq};
use uuid::Uuid;

use super::trusts::{LatestGrade, Membership, TrustMember, TrustVerdict, assess_trusts, test_trust};
use super::*;
use crate::ids::Uid;
use crate::placement::{Placement, UnplacedReason};
use crate::terms::{Test, shipped};

pub(super) fn terms(year: &str) -> Terms {
    let (file, text) = shipped().iter().find(|(file, _)| file.starts_with(year)).unwrap();
    Terms::parse(file, text).unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub(super) fn urn(n: u32) -> Urn {
    Urn::new(n).unwrap()
}

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

fn rule(name: &str) -> RuleId {
    RuleId::new(name)
}

/// Reads a judgement: the grade, the day on which it started and was published (`-` for unknown), and the URN judged.
/// For example `3`, `3@2021-10-05`, `3@2021-10-05/100001`. Without a day, it is 2018-03-01. Without a URN,
/// `default_urn` was judged.
fn judgement(text: &str, default_urn: Urn) -> Judgement {
    let (rest, judged) = text.split_once('/').map_or((text, default_urn), |(rest, n)| (rest, n.parse().unwrap()));
    let (grade, day) = rest.split_once('@').unwrap_or((rest, "2018-03-01"));
    let day = day.parse().ok();
    Judgement {
        inspection: format!("I{text}"),
        urn_judged: judged,
        started: day,
        ended: day,
        published: day,
        grade: grade.parse().ok().and_then(Grade::from_code).unwrap(),
    }
}

/// Makes one row. The id of the import is computed from the day. An empty `current` or `previous` means that the row
/// prints no such judgement.
pub(super) fn row(n: u32, as_at: &str, current: &str, previous: &str) -> MonthRow {
    let read = |text: &str| (!text.is_empty()).then(|| judgement(text, urn(n)));
    let as_at = date(as_at);
    let import =
        ImportId(Uuid::from_u128(u128::from(as_at.to_string().bytes().fold(0_u64, |sum, b| sum * 7 + u64::from(b)))));
    MonthRow { urn: urn(n), as_at, import, current: read(current), previous: read(previous) }
}

/// The rules that a file meets, each with the row that meets it.
fn rules_met_by_files(school: &SchoolAssessment) -> impl Iterator<Item = (&RuleId, &Evidence)> {
    school.met().filter_map(|(rule, evidence)| Some((rule, evidence?)))
}

/// The outcome of the rule `name` for the school `n`, and its reason.
fn outcome_and_reason(rows: &[MonthRow], n: u32, name: &str) -> (RuleOutcome, String) {
    let (terms, rows) = (terms("2021-22"), rows.to_vec());
    let assessment = assess(&terms, &rows);
    let answers = explain(&terms, &assessment, urn(n)).unwrap();
    let answer = answers.into_iter().find(|answer| answer.rule.as_str() == name).unwrap();
    (answer.outcome, answer.reason)
}

fn eligible_urns(assessment: &Assessment) -> Vec<u32> {
    assessment.eligible().map(|school| school.urn.get()).collect()
}

#[test]
fn rule_e2_tests_the_judgements_on_entry() {
    use RuleOutcome::{Met, NotMet, Unknown};
    #[rustfmt::skip]
    let rows = [
        // as at        current previous  outcome  reason begins
        ("2021-08-31",  "3",    "3",      Met,     "grade 3 by inspection I3, dated 2018-03-01, after grade 3"),
        ("2021-08-31",  "3",    "4",      Met,     "grade 3 by inspection I3"),
        ("2020-08-31",  "3",    "3",      Met,     "grade 3"),
        ("2021-08-31",  "3",    "2",      NotMet,  "the previous grade is 2"),
        ("2021-08-31",  "3",    "1",      NotMet,  "the previous grade is 1"),
        ("2021-08-31",  "3",    "9",      NotMet,  "the previous grade is 9"),
        ("2021-08-31",  "3",    "8",      NotMet,  "the previous grade is 8"),
        ("2021-08-31",  "3",    "0",      NotMet,  "the previous grade is 0"),
        ("2021-08-31",  "3",    "",       NotMet,  "there is no previous judgement"),
        ("2021-08-31",  "4",    "4",      NotMet,  "the current grade is 4"),
        ("2021-08-31",  "2",    "3",      NotMet,  "the current grade is 2"),
        ("2021-08-31",  "9",    "3",      NotMet,  "the current grade is 9"),
        ("2021-08-31",  "",     "",       NotMet,  "no graded inspection"),
        ("2021-09-01",  "3",    "3",      Unknown, "no file as at 2021-08-31 or before shows this URN"),
    ];
    for (as_at, current, previous, outcome, reason) in rows {
        let got = outcome_and_reason(&[row(100_001, as_at, current, previous)], 100_001, "E2_RI_TWICE_ON_ENTRY");
        assert_eq!(got.0, outcome, "{as_at} {current:?} {previous:?}: {}", got.1);
        assert!(got.1.starts_with(reason), "{as_at} {current:?} {previous:?}: {}", got.1);
    }
}

#[test]
fn rule_e1_tests_the_judgement_in_the_year() {
    use RuleOutcome::{Met, NotMet};
    #[rustfmt::skip]
    let rows = [
        // as at        current         outcome  reason begins
        ("2021-09-30",  "3@2021-09-01", Met,     "grade 3 by inspection I3@2021-09-01, dated 2021-09-01; printed in the file as at 2021-09-30"),
        ("2022-09-30",  "3@2022-08-31", Met,     "grade 3"),
        ("2021-09-01",  "3@2021-09-01", Met,     "grade 3"),
        ("2021-08-31",  "3@2021-09-01", NotMet,  "no file as at 2021-09-01 or later shows this URN"),
        ("2021-09-30",  "3@2021-08-31", NotMet,  "the judgement is dated 2021-08-31"),
        ("2022-09-30",  "3@2022-09-01", NotMet,  "the judgement is dated 2022-09-01"),
        ("2021-09-30",  "4@2021-09-10", NotMet,  "the current grade is 4"),
        ("2021-09-30",  "2@2021-09-10", NotMet,  "the current grade is 2"),
        ("2021-09-30",  "0@2021-09-10", NotMet,  "the current grade is 0"),
        ("2021-09-30",  "",             NotMet,  "no graded inspection"),
        ("2021-09-30",  "3@-",          NotMet,  "the file as at 2021-09-30 prints no date for the judgement"),
    ];
    for (as_at, current, outcome, reason) in rows {
        let got = outcome_and_reason(&[row(100_001, as_at, current, "")], 100_001, "E1_RI_IN_YEAR");
        assert_eq!(got.0, outcome, "{as_at} {current:?}: {}", got.1);
        assert!(got.1.starts_with(reason), "{as_at} {current:?}: {}", got.1);
    }
}

#[test]
fn the_terms_choose_the_date_of_a_judgement() {
    let mut late = row(100_001, "2021-10-31", "3@2021-10-05", "");
    late.current.as_mut().unwrap().started = Some(date("2021-08-20"));
    let text = shipped().first().unwrap().1;
    let by_inspection = text.replacen("\"publication\"", "\"inspection\"", 1);
    let count_eligible = |text: &str| assess(&Terms::parse("x", text).unwrap(), [&late]).eligible().count();
    assert_eq!((count_eligible(text), count_eligible(&by_inspection)), (1, 0));
}

#[test]
fn entry_is_tested_on_the_newest_row_and_the_year_on_every_row() {
    let rows = [
        row(100_001, "2021-07-31", "3", "3"),
        row(100_001, "2021-08-31", "2@2021-07-01", "3"),
        row(100_002, "2021-07-31", "3", "3"),
        row(100_003, "2021-10-31", "3@2021-10-05", "2"),
        row(100_003, "2021-11-30", "3@2021-10-05", "2"),
        row(100_003, "2022-03-31", "2@2022-03-05", "3"),
    ];
    let assessment = assess(&terms("2021-22"), &rows);
    // 100002 is in no file of August: absence changes nothing.
    assert_eq!(eligible_urns(&assessment), [100_002, 100_003]);
    let evidence: Vec<_> = assessment.school(urn(100_003)).unwrap().met().map(|(_, e)| e.unwrap().as_at).collect();
    assert_eq!(evidence, [date("2021-10-31")]);
    assert_eq!(assessment.as_at(), Some(date("2022-03-31")));
    assert_eq!(eligible_urns(&assess(&terms("2021-22"), up_to(&rows, date("2021-09-30")))), [100_002]);
}

#[test]
fn a_converted_school_counts_instead_of_its_predecessor() {
    let rows = [
        row(100_001, "2021-08-31", "3", "3"),
        row(140_000, "2021-10-31", "3/100001", "3/100001"),
        row(150_000, "2022-01-31", "3/140000", "3/100001"),
        // The row prints a predecessor that is in no file. This is not a succession, and the school is unknown on
        // entry.
        row(148_685, "2021-09-30", "3/103803", "3/103803"),
    ];
    let all = assess(&terms("2021-22"), &rows);
    assert_eq!(eligible_urns(&all), [150_000]);
    assert_eq!(all.school(urn(100_001)).unwrap().superseded_by, Some(urn(150_000)));
    assert_eq!(all.school(urn(140_000)).unwrap().superseded_by, Some(urn(150_000)));
    assert!(all.school(urn(148_685)).unwrap().is_unknown());
    let met: Vec<_> = all
        .school(urn(150_000))
        .unwrap()
        .met()
        .map(|(id, e)| (id.as_str(), e.unwrap().urn, e.unwrap().as_at))
        .collect();
    assert_eq!(met, [("E2_RI_TWICE_ON_ENTRY", urn(100_001), date("2021-08-31"))]);

    let october = assess(&terms("2021-22"), up_to(&rows, date("2021-10-31")));
    assert_eq!(eligible_urns(&october), [140_000]);
    let changes = changes(&october, &all);
    let superseded: Vec<_> = changes.superseded.iter().map(|s| (s.from.get(), s.to.get())).collect();
    assert_eq!(superseded, [(100_001, 150_000), (140_000, 150_000)]);
    assert_eq!((changes.eligible.len(), changes.no_longer.len()), (0, 0));
}

/// "entered the year with a current RI judgement": a school that had a new URN by entry is tested on the row of that
/// URN.
#[test]
fn a_successor_with_a_row_by_entry_is_tested_on_that_row() {
    let old_row = || row(100_001, "2020-08-31", "3", "3");
    let new_row = |as_at, current| row(140_000, as_at, current, "3/100001");
    #[rustfmt::skip]
    let cases: [(&str, Vec<MonthRow>, &[u32]); 7] = [
        ("its row shows not met",          vec![old_row(), new_row("2021-08-31", "2@2021-05-01")],                                       &[]),
        ("its row, and a later successor", vec![old_row(), new_row("2021-08-31", "2"), row(150_000, "2021-10-31", "2/140000", "3/100001")], &[]),
        ("its row shows met",              vec![old_row(), new_row("2021-08-31", "3@2021-05-01")],                                       &[140_000]),
        ("the newest row by entry counts", vec![old_row(), new_row("2020-11-30", "3"), new_row("2021-08-31", "2@2021-05-01")],                 &[]),
        ("it follows only in the year",    vec![old_row(), new_row("2021-10-31", "2@2021-10-05")],                                       &[140_000]),
        ("judged in the year passes on",    vec![old_row(), row(100_001, "2021-09-30", "3@2021-09-10", "3"), new_row("2021-08-31", "2")], &[140_000]),
        // A later file does not take away the rule that 100001 met on entry.
        ("only a later file joins them",   vec![old_row(), row(140_000, "2021-08-31", "2", ""), new_row("2021-10-31", "2")],             &[140_000]),
    ];
    for (name, rows, expected) in cases {
        let assessment = assess(&terms("2021-22"), &rows);
        assert_eq!(eligible_urns(&assessment), expected, "{name}");
        assert!(assessment.school(urn(100_001)).unwrap().superseded_by.is_some(), "{name}");
    }
}

#[test]
fn changes_between_two_months() {
    let rows = [
        row(100_001, "2021-08-31", "3", "3"),
        row(100_001, "2021-10-31", "3@2021-10-05", "3"),
        row(100_002, "2021-08-31", "2", "3"),
        row(100_002, "2021-10-31", "3@2021-10-05", "2"),
        row(100_003, "2021-10-31", "3", "3"),
    ];
    let terms = terms("2021-22");
    let (before, after) = (assess(&terms, up_to(&rows, date("2021-08-31"))), assess(&terms, &rows));
    let forward = changes(&before, &after);
    let e1 = || vec![rule("E1_RI_IN_YEAR")];
    assert_eq!(forward.eligible, [NewlyMet { urn: urn(100_002), rules: e1() }]);
    assert_eq!(forward.further, [NewlyMet { urn: urn(100_001), rules: e1() }]);
    assert_eq!(forward.unknown, [urn(100_003)]);
    let backward = changes(&after, &before);
    assert_eq!(backward.no_longer, [urn(100_002)]);
    assert_eq!(changes(&after, &after), Changes::default());
}

#[test]
fn a_summary_counts_each_school_once() {
    let mut rows: Vec<MonthRow> = (1..=7).map(|n| row(100_000 + n, "2021-08-31", "3", "4")).collect();
    rows.push(row(100_001, "2021-10-31", "3@2021-10-05", "3"));
    rows.push(row(100_008, "2021-10-31", "2", "3"));
    rows.push(row(100_009, "2021-10-31", "2", "3"));
    let placements = HashMap::from([
        (urn(100_001), Placement::Mat(uid(1))),
        (urn(100_002), Placement::Mat(uid(1))),
        (urn(100_003), Placement::Mat(uid(2))),
        (urn(100_004), Placement::Maintained),
        (urn(100_005), Placement::SingleAcademyTrust(uid(3))),
        (urn(100_006), Placement::SingleSchoolMat(uid(4))),
        (urn(100_008), Placement::Maintained),
    ]);
    let exceptional = BTreeSet::from([urn(100_008)]);
    let closed = BTreeSet::from([urn(100_002), urn(100_005), urn(100_007)]);
    let inputs =
        EntitlementInputs { placements: &placements, exceptional: &exceptional, trusts: &[], closed: &BTreeSet::new() };
    let terms = terms("2021-22");
    let summary = summarise(&terms, &assess(&terms, &rows), &inputs);
    let expected = serde_json::json!({
        "programme": "2021-22", "as_at": "2021-10-31", "schools": 9, "eligible_schools": 8,
        "by_rule": { "E1_RI_IN_YEAR": 1, "E2_RI_TWICE_ON_ENTRY": 7, "E3_EXCEPTIONAL": 1 },
        "mat": { "schools": 3, "trusts": 2 },
        "standalone": { "schools": 4, "maintained": 2, "single_academy_trust": 1, "single_school_mat": 1 },
        "unplaced": 1, "closed": 0, "unknown": 1, "decided_by_person": 0,
    });
    assert_eq!(serde_json::to_value(&summary).unwrap(), expected);

    // Three eligible schools have closed: one of the two schools of a MAT, the school of a SAT, and an unplaced school.
    // Closed schools count separately.
    let inputs = EntitlementInputs { closed: &closed, ..inputs };
    let expected = serde_json::json!({
        "programme": "2021-22", "as_at": "2021-10-31", "schools": 9, "eligible_schools": 8,
        "by_rule": { "E1_RI_IN_YEAR": 1, "E2_RI_TWICE_ON_ENTRY": 7, "E3_EXCEPTIONAL": 1 },
        "mat": { "schools": 2, "trusts": 2 },
        "standalone": { "schools": 3, "maintained": 2, "single_academy_trust": 0, "single_school_mat": 1 },
        "unplaced": 0, "closed": 3, "unknown": 1, "decided_by_person": 0,
    });
    assert_eq!(serde_json::to_value(summarise(&terms, &assess(&terms, &rows), &inputs)).unwrap(), expected);
    assert_eq!(inputs.placement(urn(100_007)), Placement::Unplaced(UnplacedReason::NotInRegister));
}

/// A school of a trust: joining date (`?` for unknown), latest grade @ day, grade before joining (9 for no grade).
type MemberRow = (&'static str, &'static str, u8);

fn members(rows: &[MemberRow]) -> Vec<TrustMember> {
    let member = |(n, (joined, latest, before)): (u32, &MemberRow)| {
        let latest = (!latest.is_empty()).then(|| judgement(latest, urn(100_000 + n)));
        TrustMember {
            urn: urn(100_000 + n),
            joined: joined.parse().ok(),
            latest: latest.map(|j| LatestGrade { grade: j.grade, inspected: j.started, urn_judged: j.urn_judged }),
            before: Grade::from_code(*before).filter(|grade| grade.graded().is_some()),
        }
    };
    (0..).zip(rows).map(member).collect()
}

#[test]
fn the_trust_level_test_case_by_case() {
    let terms = terms("2022-23");
    let test = terms.rules().iter().find_map(|rule| match &rule.test {
        Test::TrustImprovement(test) => Some(test),
        _ => None,
    });
    let met = |share, declined| TrustVerdict::Met { share, declined };
    #[rustfmt::skip]
    let rows: [(&str, &[MemberRow], TrustVerdict); 13] = [
        ("one school is too few",             &[("2015-09-01", "4@2020-01-01", 1)],                                     TrustVerdict::TooFew),
        ("three years to the day",            &[("2019-09-01", "3@2020-01-01", 3), ("2019-09-01", "2@2020-01-01", 2)],  met(true, false)),
        ("a day short of three years",        &[("2019-09-02", "3@2020-01-01", 3), ("2019-09-01", "2@2020-01-01", 2)],  TrustVerdict::TooFew),
        ("both tests",                        &[("2015-09-01", "3@2020-01-01", 2), ("2015-09-01", "4@2020-01-01", 3)],  met(true, true)),
        ("neither",                           &[("2015-09-01", "2@2020-01-01", 2), ("2015-09-01", "1@2020-01-01", 3)],  TrustVerdict::NotMet),
        ("declined, no school is RI",         &[("2015-09-01", "2@2020-01-01", 1), ("2015-09-01", "1@2020-01-01", 1)],  met(false, true)),
        ("one down, one up",                  &[("2015-09-01", "2@2020-01-01", 1), ("2015-09-01", "1@2020-01-01", 2)],  TrustVerdict::NotMet),
        ("a third is not half",               &[("2015-09-01", "3@2020-01-01", 4), ("2015-09-01", "2@2020-01-01", 2), ("2015-09-01", "2@2020-01-01", 2)], TrustVerdict::NotMet),
        ("judged before joining, not counted", &[("2015-09-01", "3@2014-01-01", 3), ("2015-09-01", "2@2020-01-01", 2)], TrustVerdict::NotMet),
        ("judged on the day of joining",      &[("2015-09-01", "3@2015-09-01", 3), ("2015-09-01", "2@2020-01-01", 2)],  met(true, false)),
        ("no grade before: not compared",     &[("2015-09-01", "2@2020-01-01", 9), ("2015-09-01", "1@2020-01-01", 1)],  TrustVerdict::NotMet),
        ("never inspected",                   &[("2015-09-01", "", 9), ("2015-09-01", "", 9)],                          TrustVerdict::NotMet),
        ("unknown joining date",              &[("?", "4@2020-01-01", 1), ("2015-09-01", "1@2020-01-01", 1)],           TrustVerdict::Unknown),
    ];
    for (name, members_of_trust, expected) in rows {
        assert_eq!(test_trust(test.unwrap(), &members(members_of_trust)).0, expected, "{name}");
    }
}

#[test]
fn an_eligible_trust_stays_eligible_and_lists_its_schools() {
    let joined = Some(date("2015-09-01"));
    let link = |n| Membership { uid: uid(1), urn: urn(n), joined };
    let rows = [
        row(100_001, "2022-08-31", "3@2020-01-01", "2@2012-01-01"),
        row(100_002, "2022-08-31", "2@2020-01-01", "2@2012-01-01"),
        row(100_001, "2022-11-30", "2@2022-11-01", "3@2020-01-01"),
        row(100_002, "2022-11-30", "4@2022-11-01", "2@2020-01-01"),
        row(100_003, "2022-11-30", "3@2022-11-01", ""),
    ];
    let links = [link(100_001), link(100_002)];
    let terms = terms("2022-23");
    let trusts = assess_trusts(&terms, &rows, &links);
    let [trust] = trusts.as_slice() else { panic!("one trust") };
    assert_eq!((trust.verdict, trust.as_at), (TrustVerdict::Met { share: true, declined: true }, date("2022-08-31")));
    assert_eq!(trust.listed, BTreeSet::from([urn(100_001), urn(100_002)]));
    assert_eq!(
        trust.reason(),
        "by share and by decline; as at 2022-08-31: 2 long-standing, 0 of unknown joining date; 1 of 2 inspected since \
         joining hold a grade of the rule; grades of 2 compared add up to 5, before joining to 4"
    );
    // The grade before joining is found, although the newest row does not print it any more.
    let before: Vec<_> = trust.members.iter().map(|member| member.before).collect();
    assert_eq!(before, [Some(Grade::Good), Some(Grade::Good)]);
    assert!(assess_trusts(&self::terms("2021-22"), &rows, &links).is_empty());

    // A judgement in the year entitles a standalone school, but not a school in a MAT.
    let placements = HashMap::from([
        (urn(100_001), Placement::Mat(uid(1))),
        (urn(100_002), Placement::Mat(uid(1))),
        (urn(100_003), Placement::Maintained),
    ]);
    let no_schools = BTreeSet::new();
    let inputs =
        EntitlementInputs { placements: &placements, exceptional: &no_schools, trusts: &trusts, closed: &no_schools };
    let entitled = entitled(&terms, &assess(&terms, &rows), &inputs);
    let rules: Vec<_> = entitled.iter().flat_map(|(urn, e)| e.rules.iter().map(|r| (urn.get(), r.as_str()))).collect();
    let t1 = "T1_TRUST_IMPROVEMENT";
    assert_eq!(rules, [(100_001, t1), (100_002, t1), (100_003, "E1_RI_IN_YEAR")]);
}

const DAYS: [&str; 5] = ["2021-07-31", "2021-08-31", "2021-09-30", "2021-11-30", "2022-02-28"];

/// Rows of a few schools over a few months with random grades and predecessors. Each school has at most one row per
/// month.
fn random_rows() -> impl Strategy<Value = Vec<MonthRow>> {
    let judged = || {
        let grade = proptest::sample::select(vec!["1", "2", "3", "3", "3", "4", "9"]);
        let day = proptest::sample::select(vec!["2019-05-01", "2021-09-10", "2021-11-02", "-"]);
        let judged_urn = proptest::option::weighted(0.3, 100_001_u32..100_007);
        (grade, day, judged_urn).prop_map(|(grade, day, judged_urn)| match judged_urn {
            Some(urn) => format!("{grade}@{day}/{urn}"),
            None => format!("{grade}@{day}"),
        })
    };
    let random_row = (100_001_u32..100_007, proptest::sample::select(DAYS.to_vec()), judged(), judged());
    proptest::collection::vec(random_row, 0..24).prop_map(|cells| {
        let rows = cells.into_iter().map(|(n, day, current, previous)| row(n, day, &current, &previous));
        let by_key: HashMap<_, _> = rows.map(|row| ((row.urn, row.as_at), row)).collect();
        let mut rows: Vec<MonthRow> = by_key.into_values().collect();
        rows.sort_by_key(|row| (row.urn, row.as_at));
        rows
    })
}

/// The results for the newest URN of the lineage of `urn`.
fn newest_of_lineage(assessment: &Assessment, urn: Urn) -> Option<&SchoolAssessment> {
    let school = assessment.school(urn)?;
    school.superseded_by.map_or(Some(school), |newer| assessment.school(newer))
}

proptest! {
    #[test]
    fn the_order_of_rows_is_irrelevant(
        (rows, shuffled) in random_rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let terms = terms("2021-22");
        prop_assert_eq!(assess(&terms, &rows), assess(&terms, &shuffled));
    }

    /// A school that a judgement made eligible stays eligible, on the same evidence, under the newest URN of its
    /// lineage.
    #[test]
    fn a_later_file_never_takes_eligibility_away(rows in random_rows(), month in 2_usize..5) {
        let terms = terms("2021-22");
        let day = date(DAYS[month]);
        let (before, after) = (assess(&terms, rows.iter().filter(|row| row.as_at < day)), assess(&terms, &rows));
        for (id, evidence) in before.eligible().flat_map(rules_met_by_files) {
            let now = newest_of_lineage(&after, evidence.urn).unwrap();
            prop_assert!(now.is_eligible(), "{id} by {} is lost", evidence.urn);
            let kept = rules_met_by_files(now).find(|(rule, _)| *rule == id);
            prop_assert!(kept.is_some_and(|(_, e)| e.as_at <= evidence.as_at));
        }
    }

    /// The same rows in a second import change no result. This happens if two regional files overlap.
    #[test]
    fn a_second_file_of_one_day_changes_nothing(rows in random_rows(), copies_last in any::<bool>()) {
        let terms = terms("2021-22");
        let copy_of = |row: &MonthRow| MonthRow { import: ImportId(Uuid::max()), ..row.clone() };
        let copies: Vec<MonthRow> = rows.iter().map(copy_of).collect();
        let both = if copies_last { [rows.clone(), copies].concat() } else { [copies, rows.clone()].concat() };
        prop_assert_eq!(assess(&terms, &rows), assess(&terms, &both));
    }

    /// Withdrawing a file changes nothing for schools whose evidence is in another file.
    #[test]
    fn withdrawing_a_file_takes_only_its_own_evidence(rows in random_rows(), month in 2_usize..5) {
        let terms = terms("2021-22");
        let day = date(DAYS[month]);
        let (with_file, without_file) = (assess(&terms, &rows), assess(&terms, rows.iter().filter(|row| row.as_at != day)));
        let is_in_another_file = |(_, evidence): &(&RuleId, &Evidence)| evidence.as_at != day;
        for (id, evidence) in with_file.eligible().flat_map(rules_met_by_files).filter(is_in_another_file) {
            let now = newest_of_lineage(&without_file, evidence.urn).unwrap();
            let kept = rules_met_by_files(now).find(|(rule, _)| *rule == id);
            prop_assert!(kept.is_some_and(|(_, e)| e.as_at <= evidence.as_at), "{id} by {} is lost", evidence.urn);
        }
    }
}
