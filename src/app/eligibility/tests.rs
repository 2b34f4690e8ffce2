//! Tests the eligibility of the sample schools from end to end. The expected values are those of the tables in
//! `samples/README.md`, which were worked out by hand.

use super::standing::{every_row, relevant_rows};
use super::*;
use crate::app::testing::{
    AUGUST, LAST_MONTH, MARCH, MONTHS, TestApp, admin, date, programme, replacing_header, sample, urn,
};
use crate::app::{Comparison, Operand};
use crate::domain::eligibility::assess;
use crate::domain::ids::Uid;
use crate::domain::offer::{Recipient, ResponsibleBody};
use crate::domain::placement::Placement;
use crate::domain::programme::candidates::Candidates;
use crate::domain::refusal::EntityKind;
use crate::domain::terms::{Terms, shipped};
use crate::store::imports;

/// A row of the table: schools, eligible, E1, E2, both, MAT schools, MAT trusts, standalone, maintained, SAT, single-school
/// MAT, unplaced, unknown.
type SummaryRow = [usize; 13];

async fn summary_row(test_app: &TestApp, year: &str) -> SummaryRow {
    let summary = test_app.app.eligibility_summary(&admin("ann"), test_app.today(), &programme(year)).await.unwrap();
    let rule = |id| summary.by_rule.get(&RuleId::new(id)).copied().unwrap_or(0);
    let (e1, e2) = (rule("E1_RI_IN_YEAR"), rule("E2_RI_TWICE_ON_ENTRY"));
    let alone = summary.standalone;
    [
        summary.schools,
        summary.eligible_schools,
        e1,
        e2,
        (e1 + e2).saturating_sub(summary.eligible_schools),
        summary.mat.schools,
        summary.mat.trusts,
        alone.schools,
        alone.maintained,
        alone.single_academy_trust,
        alone.single_school_mat,
        summary.unplaced,
        summary.unknown,
    ]
}

/// The last row of the table in `samples/README.md`.
const LAST_ROW: SummaryRow = [77, 38, 11, 28, 1, 13, 4, 21, 17, 2, 2, 4, 3];

#[tokio::test]
async fn each_file_of_the_year_changes_the_summary_as_worked_out_by_hand() {
    let test_app = TestApp::with_files(&AUGUST).await;
    #[rustfmt::skip]
    let steps: [(&[(&str, &str)], SummaryRow); 6] = [
        (&MONTHS[0..1], [73, 28,  0, 28, 0, 10, 5, 14, 11, 2, 1, 4, 0]),
        (&MONTHS[1..2], [76, 31,  3, 28, 0, 10, 5, 16, 13, 2, 1, 5, 3]),
        (&MONTHS[2..3], [77, 33,  5, 28, 0, 11, 5, 17, 14, 2, 1, 5, 4]),
        (&MONTHS[3..4], [77, 37, 10, 28, 1, 11, 5, 20, 16, 3, 1, 6, 3]),
        (&MARCH,        [77, 37, 10, 28, 1, 13, 4, 20, 16, 2, 2, 4, 3]),
        (&[LAST_MONTH],       LAST_ROW),
    ];
    for (files, expected) in steps {
        for (name, as_at) in files {
            test_app.import_sample(name, as_at).await;
        }
        assert_eq!(summary_row(&test_app, "2021-22").await, expected, "after {files:?}");
    }
}

#[tokio::test]
async fn the_order_of_imports_changes_nothing() {
    let mut files: Vec<(&str, &str)> = [&AUGUST[..], &MONTHS, &MARCH, &[LAST_MONTH]].concat();
    for _ in 0..2 {
        files.reverse();
        files.rotate_left(5);
        let test_app = TestApp::with_files(&files).await;
        assert_eq!(summary_row(&test_app, "2021-22").await, LAST_ROW, "{files:?}");
    }
}

#[tokio::test]
async fn the_corrected_file_of_september_counts_if_it_replaces_the_wrong_one() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..2]].concat()).await;
    let wrong = test_app.imports(None).await[0].id;
    let name = "ofsted_2021-09-30_corrected.csv";
    test_app.upload(replacing_header(name, "2021-09-30", wrong), sample(name)).await.unwrap();
    assert_eq!(summary_row(&test_app, "2021-22").await, [76, 32, 4, 28, 0, 10, 5, 17, 14, 2, 1, 5, 3]);
}

/// A test app that has imported all samples.
async fn app_with_all_files() -> TestApp {
    TestApp::with_files(&[&AUGUST[..], &MONTHS, &MARCH, &[LAST_MONTH]].concat()).await
}

#[tokio::test]
async fn rows_that_are_not_read_would_change_no_answer() {
    let test_app = app_with_all_files().await;
    let rows = every_row(test_app.app.store(), None).await.unwrap();
    for (file, text) in shipped() {
        let terms = Terms::parse(file, text).unwrap();
        let relevant = relevant_rows(test_app.app.store(), &terms).await.unwrap();
        assert!(relevant.len() < rows.len(), "{file}: {} of {} rows are read", relevant.len(), rows.len());
        assert_eq!(assess(&terms, &relevant), assess(&terms, &rows), "{file}");
    }
}

#[tokio::test]
async fn the_next_year_has_other_rules() {
    let test_app = app_with_all_files().await;
    let summary =
        test_app.app.eligibility_summary(&admin("ann"), test_app.today(), &programme("2022-23")).await.unwrap();
    let alone = summary.standalone;
    assert_eq!(
        (
            alone.schools,
            alone.maintained,
            alone.single_academy_trust,
            alone.single_school_mat,
            summary.unplaced,
            summary.unknown
        ),
        (4, 2, 1, 1, 1, 0)
    );
    assert_eq!(summary.mat.trusts, 2);
    let explained =
        test_app.app.explain_trust(&admin("ann"), test_app.today(), &programme("2022-23"), uid(90011)).await.unwrap();
    assert_eq!(explained.trust.map(|it| it.schools), Some(4));
    assert_eq!(explained.trust_rules.iter().map(|it| it.outcome).collect::<Vec<_>>(), [RuleOutcome::NotMet]);
    assert!(explained.schools.iter().all(|it| !it.eligible));
}

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

async fn candidates_of(test_app: &TestApp, year: &str) -> Candidates {
    let loaded = test_app.app.terms(&programme(year)).await.unwrap();
    candidates(test_app.app.store(), &loaded.terms, std::iter::empty(), test_app.today()).await.unwrap()
}

#[tokio::test]
async fn candidates_are_recipients_with_their_schools() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..2]].concat()).await;
    let found = candidates_of(&test_app, "2021-22").await;
    assert_eq!((found.recipients.len(), found.unplaced.len()), (16 + 5, 5));
    let candidate_to = |recipient| found.recipients.iter().find(|it| it.recipient == recipient).unwrap();
    let diocesan = candidate_to(Recipient::Standalone(urn(910_003)));
    assert_eq!(diocesan.responsible, ResponsibleBody::Diocese("Diocese of Quenby".to_owned()));
    assert_eq!((diocesan.trust, diocesan.schools[0].rules.clone()), (None, vec!["E2_RI_TWICE_ON_ENTRY".to_owned()]));
    let maintained = candidate_to(Recipient::Standalone(urn(910_001)));
    assert!(matches!(maintained.responsible, ResponsibleBody::LocalAuthority(_)), "{maintained:?}");
    let mat = candidate_to(Recipient::Mat(uid(90_001)));
    assert_eq!((mat.responsible.clone(), mat.trust), (ResponsibleBody::Trust(uid(90_001)), Some(uid(90_001))));
    assert_eq!(mat.schools.iter().map(|it| it.urn.get()).collect::<Vec<_>>(), [910_045, 910_046, 910_047]);
    assert!(found.recipients.is_sorted_by_key(|it| it.recipient));
    let (march_membership, as_at) = MARCH[1];
    test_app.import_sample(march_membership, as_at).await;
    let found = candidates_of(&test_app, "2021-22").await;
    let newest = found.recipients.iter().flat_map(|it| &it.schools).find(|it| it.urn == urn(990_001)).unwrap();
    assert_eq!(newest.predecessors, [urn(900_001)]);
}

#[tokio::test]
async fn a_school_is_explained_rule_by_rule() {
    let test_app = app_with_all_files().await;
    let year = programme("2021-22");
    #[rustfmt::skip]
    let cases = [
        (910_005, true,  [RuleOutcome::Met,    RuleOutcome::Met]),
        (910_004, false, [RuleOutcome::NotMet, RuleOutcome::NotMet]),
        (910_032, false, [RuleOutcome::NotMet, RuleOutcome::Unknown]),
        (990_001, true,  [RuleOutcome::NotMet, RuleOutcome::Met]),
    ];
    for (number, eligible, [e1, e2]) in cases {
        let explained = test_app.app.explain_school(&admin("ann"), test_app.today(), &year, urn(number)).await.unwrap();
        let school = &explained.schools[0];
        let outcome_of = |id| school.rules.iter().find(|it| it.rule == RuleId::new(id)).map(|it| it.outcome);
        assert_eq!(school.eligible, eligible, "{number}");
        assert_eq!(outcome_of("E1_RI_IN_YEAR"), Some(e1), "{number}: {:?}", school.rules);
        assert_eq!(outcome_of("E2_RI_TWICE_ON_ENTRY"), Some(e2), "{number}: {:?}", school.rules);
    }
    let unnamed = test_app.app.explain_school(&admin("ann"), test_app.today(), &year, urn(123_456)).await;
    assert_eq!(unnamed, Err(AppError::not_found(EntityKind::School, 123_456)));
}

/// Lists all schools that meet a condition, page by page.
async fn list_all(
    test_app: &TestApp,
    condition: Option<Condition<EligibilityField>>,
    order: EligibilityOrder,
) -> Vec<SchoolEligibility> {
    let (ann, year) = (admin("ann"), programme("2021-22"));
    let mut query = EligibilityQuery { condition, order, after: None, limit: 7 };
    let mut seen = Vec::new();
    loop {
        let page = test_app.app.list_eligibility(&ann, test_app.today(), &year, &query).await.unwrap();
        query.after = page.last().map(|it| EligibilityPageStart { urn: it.school.urn, name: it.school.name.clone() });
        let is_last_page = page.len() < query.limit;
        seen.extend(page);
        if is_last_page {
            return seen;
        }
    }
}

#[tokio::test]
async fn a_list_has_pages_and_conditions() {
    let test_app = app_with_all_files().await;
    let text = |it: &str| Operand::Text(it.to_owned());
    let word = |it: &str| Condition::Is(EligibilityField::Word, Comparison::Equal, text(it));
    assert_eq!(list_all(&test_app, None, EligibilityOrder::Urn).await.len(), 38);
    for (name, count) in [("eligible", 38), ("unknown", 3), ("unplaced", 4), ("E1_RI_IN_YEAR", 11)] {
        assert_eq!(list_all(&test_app, Some(word(name)), EligibilityOrder::Urn).await.len(), count, "{name}");
    }
    let both = Condition::Any(vec![word("eligible"), word("unknown")]);
    let all = list_all(&test_app, Some(both.clone()), EligibilityOrder::Urn).await;
    assert_eq!(all.len(), 41, "the eligible and the unknown schools");
    type Holds = fn(&SchoolEligibility) -> bool;
    let rows: Vec<(Condition<EligibilityField>, Holds)> = vec![
        (word("eligible").negated(), |it| !it.eligible),
        (Condition::Is(EligibilityField::Urn, Comparison::AtLeast, Operand::Number(910_040)), |it| {
            it.eligible && it.school.urn.get() >= 910_040
        }),
        // A condition that names the words itself applies to the unknown schools too.
        (
            Condition::All(vec![
                both,
                Condition::Is(EligibilityField::Urn, Comparison::AtLeast, Operand::Number(910_040)),
            ]),
            |it| it.school.urn.get() >= 910_040,
        ),
        (Condition::Is(EligibilityField::Name, Comparison::Has, text("PRIMARY")), |it| {
            it.eligible && it.school.name.contains("Primary")
        }),
        (Condition::Is(EligibilityField::Region, Comparison::Equal, text("West Midlands")), |it| {
            it.eligible && it.school.region().is_some_and(|it| it.name() == "West Midlands")
        }),
        (Condition::Is(EligibilityField::Placement, Comparison::Equal, Operand::Nothing), |it| {
            it.eligible && it.school.placement.kind().is_none()
        }),
        (Condition::Is(EligibilityField::Placement, Comparison::Equal, text("mat")), |it| {
            it.eligible && matches!(it.school.placement, Placement::Mat(_))
        }),
        (Condition::Is(EligibilityField::Trust, Comparison::NotEqual, Operand::Nothing), |it| {
            it.eligible && it.school.placement.trust().is_some()
        }),
        (Condition::All(vec![word("E2_RI_TWICE_ON_ENTRY"), word("unplaced").negated()]), |it| {
            let met = |id| it.rules.iter().any(|rule| rule.rule == RuleId::new(id) && rule.outcome == RuleOutcome::Met);
            it.eligible && it.school.placement.kind().is_some() && met("E2_RI_TWICE_ON_ENTRY")
        }),
    ];
    let name = |it: &SchoolEligibility| (it.school.name.clone(), it.school.urn);
    for (condition, holds) in rows {
        let mut expected: Vec<SchoolEligibility> = all.iter().filter(|it| holds(it)).cloned().collect();
        assert!((1..all.len()).contains(&expected.len()), "{condition:?} holds for some schools, but not for all");
        for order in
            [EligibilityOrder::Urn, EligibilityOrder::UrnLast, EligibilityOrder::Name, EligibilityOrder::NameLast]
        {
            match order {
                EligibilityOrder::Urn => expected.sort_by_key(|it| it.school.urn),
                EligibilityOrder::Name => expected.sort_by_key(name),
                EligibilityOrder::UrnLast | EligibilityOrder::NameLast => expected.reverse(),
            }
            assert_eq!(
                list_all(&test_app, Some(condition.clone()), order).await,
                expected,
                "{condition:?} by {order:?}"
            );
        }
    }
}

#[tokio::test]
async fn changes_between_august_and_september_are_listed() {
    let test_app = app_with_all_files().await;
    let changes = test_app
        .app
        .eligibility_changes(&admin("ann"), &programme("2021-22"), date("2021-08-31"), date("2021-09-30"))
        .await
        .unwrap();
    let urns_of = |kind| changes.iter().filter(|it| it.kind == kind).map(|it| it.urn.get()).collect::<Vec<_>>();
    assert_eq!(urns_of(ChangeKind::BecameEligible), [910_017, 910_019, 910_021]);
    assert_eq!(urns_of(ChangeKind::Superseded), [900_001]);
    assert_eq!(urns_of(ChangeKind::BecameUnknown), [910_032, 990_002, 990_003]);
    assert_eq!(urns_of(ChangeKind::NoLongerEligible), [0_u32; 0]);
    assert_eq!(changes.iter().find(|it| it.urn == urn(910_017)).unwrap().name, "Oxhollow Primary School");
}

#[tokio::test]
async fn register_answer_says_how_the_register_places_a_school() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let answer = async |number| register_answer(test_app.app.store(), urn(number), test_app.today()).await.unwrap();
    use crate::domain::programme::RegisterAnswer as A;
    assert_eq!(answer(910_063).await, Some(A::Unplaced { name: "Zennor Court School".to_owned() }));
    assert_eq!(answer(910_045).await, Some(A::Placed("in multi-academy trust 90001".to_owned())));
    assert_eq!(answer(123_456).await, None);
}

#[tokio::test]
async fn a_search_goes_on_after_schools_that_no_file_names_any_more() {
    let test_app = TestApp::with_files(&MONTHS[..2]).await;
    let ann = admin("ann");
    let all = async |limit| {
        let (mut shown, mut keys, mut after) = (Vec::new(), 0, None);
        loop {
            let page = test_app.app.find_schools(&ann, test_app.today(), "school", after, limit).await.unwrap();
            (after, keys) = (page.keys.last().cloned(), keys + page.keys.len());
            shown.extend(page.shown.iter().map(|it| it.urn));
            if u64::try_from(page.keys.len()).unwrap() < limit {
                return (shown, keys);
            }
        }
    };
    let (before, _) = all(500).await;
    // The file of September is withdrawn, but the search is not updated yet.
    let import = test_app.imports(None).await.remove(0);
    let withdrawn = imports::Import { state: imports::ImportState::Withdrawn, indexed: false, ..import };
    let tx = test_app.app.store().write(test_app.app.store().write_permit().await.unwrap()).await.unwrap();
    imports::put(&tx, &[&withdrawn]).await.unwrap();
    tx.commit().await.unwrap();
    let (shown, keys) = all(500).await;
    assert!(shown.len() < before.len() && keys == before.len(), "{} of {keys} schools are shown", shown.len());
    for limit in [1, 2, 3] {
        assert_eq!(all(limit).await, (shown.clone(), keys), "{limit} schools per page");
    }
}

#[tokio::test]
async fn schools_and_trusts_are_found_and_shown() {
    let test_app = app_with_all_files().await;
    let ann = admin("ann");
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = test_app.app.find_schools(&ann, test_app.today(), "PRIMARY", after, 7).await.unwrap();
        after = page.keys.last().cloned();
        found.extend(page.shown);
        if page.keys.len() < 7 {
            break;
        }
    }
    assert!(found.len() > 14 && found.iter().all(|it| it.name.to_lowercase().contains("primary")), "{}", found.len());
    let keys: Vec<_> = found.iter().map(|it| (it.name.to_lowercase(), it.urn)).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    for (text, count) in [("910003", 1), ("100%", 0), ("q_enby", 0)] {
        assert_eq!(
            test_app.app.find_schools(&ann, test_app.today(), text, None, 9).await.unwrap().shown.len(),
            count,
            "{text:?}"
        );
    }
    let school = test_app.app.get_school(&ann, test_app.today(), urn(910_042)).await.unwrap();
    assert_eq!(school.school.placement.trust(), Some(uid(90_002)));
    assert_eq!(school.memberships.first().map(|it| it.as_at), Some(date("2022-03-31")));
    assert_eq!(school.memberships.last().map(|it| it.as_at), Some(date("2021-08-31")));
    assert!(school.months.is_sorted_by(|a, b| a.as_at >= b.as_at) && school.months.len() > 2);
    let (trust, schools) = test_app.app.get_trust(&ann, test_app.today(), uid(90_004)).await.unwrap();
    assert_eq!((trust.schools, schools.len(), schools[0].urn), (1, 1, urn(910_053)));
    let trusts = test_app.app.find_trusts(&ann, "alder", None, 9).await.unwrap();
    assert_eq!(trusts.shown.iter().map(|it| it.uid).collect::<Vec<_>>(), [uid(90_001)]);
    let short = test_app.app.find_schools(&ann, test_app.today(), "a", None, 9).await;
    assert!(matches!(short, Err(AppError::Invalid(_))));
}
