//! Tests the JSON of eligibility, and that `explain` takes a number as a URN first.

use std::sync::OnceLock;

use clap::Parser as _;
use serde_json::Value;

use super::*;
use crate::cli::command::Cli;
use crate::cli::tests_server::{FakeServer, TRUST, serve};
use crate::proto::{
    EligibilityChange, Evidence, Judgement, Placement, RuleAnswer, RuleOutcome, School, SchoolEligibility,
    SummariseEligibilityResponse,
};

fn value(printed: &impl serde::Serialize) -> Value {
    serde_json::to_value(printed).unwrap()
}

/// Parses a document, so that the order of keys does not matter.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_summary_has_the_shape_of_the_contract() {
    let answer = SummariseEligibilityResponse {
        programme: "2021-22".to_owned(),
        as_at: "2021-11-30".to_owned(),
        schools: 2400,
        eligible_schools: 101,
        by_rule: [("E2_RI_TWICE_ON_ENTRY".to_owned(), 100)].into(),
        mat_schools: 50,
        mat_trusts: 30,
        standalone_schools: 49,
        standalone_maintained: 40,
        standalone_single_academy_trust: 6,
        standalone_single_school_mat: 3,
        unplaced: 2,
        closed: 0,
        unknown: 5,
        decided_by_person: 4,
    };
    let expected = concat!(
        r#"{"programme":"2021-22","as_at":"2021-11-30","schools":2400,"eligible_schools":101,"#,
        r#""by_rule":{"E1_RI_IN_YEAR":0,"E2_RI_TWICE_ON_ENTRY":100,"E3_EXCEPTIONAL":0},"#,
        r#""mat":{"schools":50,"trusts":30},"standalone":{"schools":49,"maintained":40,"#,
        r#""single_academy_trust":6,"single_school_mat":3},"unplaced":2,"closed":0,"unknown":5,"decided_by_person":4}"#,
    );
    assert_eq!(value(&json::of(&eligibility::with_all_rules(answer))), document(expected));
}

#[test]
fn an_answer_carries_the_school_its_rules_and_their_evidence() {
    let judgement = Judgement {
        inspection_number: "10158231".to_owned(),
        urn_judged: 103_150,
        started: "2021-09-21".to_owned(),
        ended: String::new(),
        published: "2021-11-03".to_owned(),
        grade: 3,
    };
    let evidence = Evidence {
        as_at: "2021-11-30".to_owned(),
        import_id: "3c".to_owned(),
        urn: 103_150,
        current: Some(judgement),
        previous: None,
    };
    let rule = RuleAnswer {
        rule: "E1_RI_IN_YEAR".to_owned(),
        outcome: RuleOutcome::NotMet.into(),
        reason: "why".to_owned(),
        evidence: Some(evidence),
        decided: None,
    };
    let school = School {
        urn: 103_150,
        name: "Elm".to_owned(),
        placement: Placement::SingleSchoolMat.into(),
        trust_uid: 2044,
        ..School::default()
    };
    let answer = SchoolEligibility { school: Some(school), rules: vec![rule], ..SchoolEligibility::default() };
    let expected = concat!(
        r#"{"urn":103150,"name":"Elm","laestab":null,"la_code":null,"la_name":null,"region":null,"phase":null,"#,
        r#""school_type":null,"diocese":null,"status":null,"placement":"single_school_mat","#,
        r#""unplaced_reason":null,"trust_uid":2044,"close_date":null,"closed_reason":null,"successors":[],"eligible":false,"#,
        r#""rules":[{"rule":"E1_RI_IN_YEAR","outcome":"not_met","reason":"why","#,
        r#""evidence":{"as_at":"2021-11-30","import_id":"3c","urn":103150,"#,
        r#""current":{"inspection_number":"10158231","urn_judged":103150,"started":"2021-09-21","ended":null,"#,
        r#""published":"2021-11-03","grade":3},"previous":null},"decided":null}],"superseded_by":null,"offer":null,"command":null}"#,
    );
    assert_eq!(value(&eligibility::school_json(&answer)), document(expected));
}

#[test]
fn a_school_that_waits_for_a_person_names_the_command() {
    let command_of = |school: School, eligible, offer: &str, unknown| {
        let outcome = if unknown { RuleOutcome::Unknown } else { RuleOutcome::Met };
        let rules = vec![RuleAnswer { outcome: outcome.into(), ..RuleAnswer::default() }];
        let school = Some(School { urn: 103_150, ..school });
        let offer = offer.to_owned();
        let answer = SchoolEligibility { school, eligible, rules, offer, ..Default::default() };
        value(&eligibility::school_json(&answer))["command"].clone()
    };
    let placed = || School { placement: Placement::Maintained.into(), ..School::default() };
    let closed = |successors: &[i32]| School {
        closed_reason: "closed".to_owned(),
        successor_urns: successors.to_vec(),
        placement: Placement::Unplaced.into(),
        ..School::default()
    };
    let unplaced = School { placement: Placement::Unplaced.into(), ..School::default() };
    assert_eq!(command_of(placed(), true, "", false), Value::Null);
    assert_eq!(command_of(placed(), false, "", false), Value::Null);
    // A school that is not eligible, but is still on an open offer.
    assert_eq!(command_of(placed(), false, "2f", false), "tsio offers show 2f");
    assert_eq!(command_of(unplaced, true, "", false), "tsio schools place 103150 --kind KIND --reason TEXT");
    assert_eq!(command_of(closed(&[148_685]), true, "", false), "tsio eligibility explain 148685");
    assert_eq!(command_of(closed(&[]), true, "", false), "tsio schools show 103150");
    assert_eq!(command_of(closed(&[148_685]), true, "2f", false), "tsio offers show 2f");
    let raise = "tsio referrals raise --urn 103150 --origin exceptional --ground GROUND --because TEXT";
    assert_eq!(command_of(placed(), false, "", true), raise);
    // The files do not contain the entry position, so two people may decide it.
    let entry_command_of = |school: School| {
        let rules = vec![RuleAnswer { outcome: RuleOutcome::Unknown.into(), ..RuleAnswer::default() }];
        let school = Some(School { urn: 103_150, ..school });
        let answer = SchoolEligibility { school, rules, entry_unknown: true, ..SchoolEligibility::default() };
        value(&eligibility::school_json(&answer))["command"].clone()
    };
    assert_eq!(entry_command_of(placed()), "tsio eligibility decide 103150 --position POSITION --reason TEXT");
    assert_eq!(entry_command_of(closed(&[])), Value::Null);
}

#[test]
fn a_change_names_its_rules() {
    let change = EligibilityChange {
        urn: 103_150,
        name: "Elm".to_owned(),
        change: "became_eligible".to_owned(),
        rules: vec!["E1_RI_IN_YEAR".to_owned()],
        superseded_by: 0,
    };
    let expected =
        r#"{"urn":103150,"name":"Elm","change":"became_eligible","rules":["E1_RI_IN_YEAR"],"superseded_by":null}"#;
    assert_eq!(value(&json::of(&change)), document(expected));
}

/// Explains a number with a fake server. Returns the result, and the subjects that the server was asked for.
async fn explained_subjects(number: i32, trust: bool) -> (Result<(), String>, Vec<Subject>) {
    let fake = FakeServer::default();
    let server = serve(fake.clone()).await;
    let line =
        ["tsio", "import", "list", "--server", &server, "--timeout", "9", "--actor", "a.clerk", "--roles", "reader"];
    let cli = Cli::parse_from(line);
    let request_id_used = OnceLock::new();
    let answer =
        async { explain(&Session::open(&cli.global, &request_id_used).await?, "2021-22", number, trust).await };
    let answer = match answer.await {
        Ok(_) => Ok(()),
        Err(Failure::Refused(status)) => Err(status.message().to_owned()),
        Err(other) => Err(format!("{other:?}")),
    };
    let received = fake.received();
    assert_eq!((received.actor.as_str(), received.roles.as_str()), ("a.clerk", "reader"));
    // gRPC sends the 9 seconds of `--timeout` in microseconds.
    assert_eq!(received.timeout, "9000000u");
    assert_eq!(request_id_used.get(), None, "a read takes no request id");
    (answer, received.subjects)
}

#[tokio::test]
async fn a_number_is_a_urn_first_and_a_uid_if_no_file_has_the_urn() {
    let no_school = Err("no such school".to_owned());
    assert_eq!(explained_subjects(TRUST, false).await, (Ok(()), vec![Subject::Urn(TRUST), Subject::Uid(TRUST)]));
    assert_eq!(explained_subjects(7, false).await, (no_school, vec![Subject::Urn(7), Subject::Uid(7)]));
    assert_eq!(explained_subjects(TRUST, true).await, (Ok(()), vec![Subject::Uid(TRUST)]));
}
