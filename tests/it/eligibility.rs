//! Explanations of eligibility, with rule, evidence, judged URN and file; and the changes of eligibility between
//! months.

use serde_json::{Value, json};
use tsio::proto::ListEligibilityChangesRequest;
use tsio::proto::eligibility_service_client::EligibilityServiceClient;

use super::client::Client;
use super::harness::{Db, Server, both};
use super::samples::{
    AUGUST, JANUARY, NOVEMBER, REGISTER_AUGUST, SEPTEMBER, import, import_all, numbers, run_ok, run_refused,
    run_refused_for, start_with_august, text,
};

both!(each_answer_has_its_evidence, changes_follow_the_dates_of_the_files, changes_have_pages,);

/// The answer of a rule for the first school of an explanation.
fn rule<'a>(explained: &'a Value, id: &str) -> &'a Value {
    let rules = explained["schools"][0]["rules"].as_array().unwrap();
    rules.iter().find(|it| it["rule"] == id).unwrap_or_else(|| panic!("{id}: {explained}"))
}

async fn each_answer_has_its_evidence(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    let [august, september, november, january] =
        [AUGUST, SEPTEMBER, NOVEMBER, JANUARY].map(|file| text(&import(&server, file), "import_id"));
    check_outcomes(&server);
    let explained = |urn: &str| run_ok(&server, &["eligibility", "explain", urn]);

    // 910001 is eligible by E2, by its row of August, in which it was judged under its own URN.
    let school = explained("910001");
    let evidence = &rule(&school, "E2_RI_TWICE_ON_ENTRY")["evidence"];
    assert_eq!((&evidence["as_at"], &evidence["import_id"]), (&json!("2021-08-31"), &json!(august)));
    let expected = json!({"inspection_number": "10990003", "urn_judged": 910_001, "started": "2019-03-12",
        "ended": "2019-03-13", "published": "2019-04-11", "grade": 3});
    assert_eq!((&evidence["urn"], &evidence["current"]), (&json!(910_001), &expected));
    let expected = json!({"inspection_number": "ITS900004", "urn_judged": 910_001, "started": "2015-03-11",
        "ended": "2015-03-12", "published": "2015-04-10", "grade": 3});
    assert_eq!(evidence["previous"], expected);

    // 910017 was inspected in July, but the report was published in September. The date of publication counts.
    let school = explained("910017");
    let evidence = &rule(&school, "E1_RI_IN_YEAR")["evidence"];
    assert_eq!((&evidence["as_at"], &evidence["import_id"]), (&json!("2021-09-30"), &json!(september)));
    let judged = &evidence["current"];
    assert_eq!((&judged["started"], &judged["published"]), (&json!("2021-07-06"), &json!("2021-09-13")));

    // Both judgements of 910040 are of its predecessor. They count, because the file has them in the row of the
    // academy.
    let school = explained("910040");
    let evidence = &rule(&school, "E2_RI_TWICE_ON_ENTRY")["evidence"];
    assert_eq!(evidence["urn"], 910_040);
    assert_eq!(
        (&evidence["current"]["urn_judged"], &evidence["previous"]["urn_judged"]),
        (&json!(900_010), &json!(900_010))
    );

    // A school that converted on 1 September: the new URN is eligible by the row of the old one, which is superseded.
    let school = explained("990001");
    assert_eq!(school["schools"][0]["eligible"], true);
    let evidence = &rule(&school, "E2_RI_TWICE_ON_ENTRY")["evidence"];
    assert_eq!((&evidence["urn"], &evidence["import_id"]), (&json!(900_001), &json!(august)));
    let school = explained("900001");
    assert_eq!(
        (&school["schools"][0]["superseded_by"], &school["schools"][0]["eligible"]),
        (&json!(990_001), &json!(false))
    );
    // The predecessor of 990002 is in no file, so its eligibility is unknown.
    let school = explained("990002");
    assert_eq!(rule(&school, "E2_RI_TWICE_ON_ENTRY")["outcome"], "unknown");
    assert_eq!(rule(&school, "E2_RI_TWICE_ON_ENTRY")["evidence"], Value::Null);

    // The regional file of November makes 910030 eligible.
    let school = explained("910030");
    assert_eq!(rule(&school, "E1_RI_IN_YEAR")["evidence"]["import_id"], json!(november));
    // 910005 is eligible by both rules, by a different file for each.
    let school = explained("910005");
    assert_eq!(rule(&school, "E1_RI_IN_YEAR")["evidence"]["import_id"], json!(january));
    assert_eq!(rule(&school, "E2_RI_TWICE_ON_ENTRY")["evidence"]["import_id"], json!(august));
    check_lists_and_trusts(&server);
}

/// Checks the outcomes in the appendix of samples/README.md, up to January.
fn check_outcomes(server: &Server) {
    #[rustfmt::skip]
    let rows = [
        // URN    E1         E2         eligible
        (910_002, "not_met", "met",     true),  // "or worse"
        (910_004, "not_met", "not_met", false), // good now
        (910_006, "not_met", "not_met", false), // inadequate now
        (910_010, "not_met", "not_met", false), // previous was good
        (910_011, "not_met", "not_met", false), // previous 9
        (910_012, "not_met", "not_met", false), // previous 8
        (910_013, "not_met", "not_met", false), // previous 0
        (910_014, "not_met", "not_met", false), // no previous inspection
        (910_015, "not_met", "not_met", false), // never inspected
        (910_016, "not_met", "not_met", false), // "Not judged"
        (910_018, "not_met", "not_met", false), // published a day before the year
        (910_019, "met",     "not_met", true),  // stays eligible although it is good again
        (910_020, "not_met", "met",     true),  // stays eligible although it is absent from later files
        (910_021, "met",     "not_met", true),  // stays eligible although it is absent from later files
        (910_022, "met",     "not_met", true),
        (910_023, "not_met", "not_met", false), // inadequate twice
        (910_024, "not_met", "met",     true),  // the grades at the start of the year count
        (910_029, "not_met", "not_met", false), // published 31/12/1899, which means unknown
        (910_031, "not_met", "unknown", false), // opened in the year
        (910_032, "not_met", "unknown", false),
        (990_003, "met",     "unknown", true),
    ];
    for (urn, e1, e2, eligible) in rows {
        let explained = run_ok(server, &["eligibility", "explain", &urn.to_string()]);
        let found =
            (&rule(&explained, "E1_RI_IN_YEAR")["outcome"], &rule(&explained, "E2_RI_TWICE_ON_ENTRY")["outcome"]);
        assert_eq!(found, (&json!(e1), &json!(e2)), "{urn}");
        assert_eq!(explained["schools"][0]["eligible"], eligible, "{urn}");
        for rule in explained["schools"][0]["rules"].as_array().unwrap() {
            assert!(!rule["reason"].as_str().unwrap().is_empty(), "{urn}: {rule}");
            assert_eq!(rule["outcome"] == "met", rule["evidence"].is_object(), "{urn}: {rule}");
        }
    }
}

fn check_lists_and_trusts(server: &Server) {
    let list = |filter| numbers(&run_ok(server, &["eligibility", "list", "--filter", filter]), "urn");
    assert_eq!(list("unknown"), [910_031, 910_032, 990_002]);
    assert_eq!(list("unplaced"), [910_060, 910_062, 910_063, 910_064, 990_001, 990_003]);
    assert_eq!((list("eligible").len(), list("E1_RI_IN_YEAR").len(), list("E2_RI_TWICE_ON_ENTRY").len()), (37, 10, 28));
    assert_eq!(list("E3_EXCEPTIONAL"), [0; 0]);
    run_refused_for(server, "FIELD_VIOLATIONS", &["eligibility", "list", "--filter", "E9_OTHER"]);
    // The explanation of a trust has an answer for each of its schools. Trust 90001 has five.
    let trust = run_ok(server, &["eligibility", "explain", "90001"]);
    assert_eq!((&trust["trust"]["uid"], &trust["trust_rules"]), (&json!(90_001), &json!([])));
    let mut eligible: Vec<_> = trust["schools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["urn"].as_i64().unwrap(), it["eligible"] == true))
        .collect();
    eligible.sort_unstable();
    assert_eq!(eligible, [(910_045, true), (910_046, true), (910_047, true), (910_048, true), (910_049, false)]);
    // The placements by the register of August.
    #[rustfmt::skip]
    let placed = [
        ("910001", "maintained",           Value::Null,   false), // in a federation, which does not change the placement
        ("910006", "maintained",           Value::Null,   false), // in a foundation trust
        ("910040", "single_academy_trust", Value::Null,   false),
        ("910044", "single_school_mat",    Value::Null,   false),
        ("910045", "mat",                  json!(90_001), false),
        ("910061", "mat",                  json!(90_005), false), // a closed link and an open one
        ("910060", "unplaced",             Value::Null,   true),
        ("910063", "unplaced",             Value::Null,   true),
    ];
    for (urn, placement, trust, unplaced) in placed {
        let school = run_ok(server, &["schools", "show", urn]);
        assert_eq!(school["placement"], placement, "{urn}");
        assert_eq!(school["unplaced_reason"].is_string(), unplaced, "{urn}: {school}");
        if placement == "mat" {
            assert_eq!(school["trust_uid"], trust, "{urn}");
        }
    }
    assert_eq!(run_refused(server, &["eligibility", "explain", "123456"])["code"], "NOT_FOUND");
    assert_eq!(run_refused(server, &["eligibility", "summary", "--programme", "2030-31"])["code"], "NOT_FOUND");
}

async fn changes_follow_the_dates_of_the_files(db: Db) {
    let server = Server::start(&db);
    // The files are not imported in the order of their dates. The changes follow the dates.
    import_all(&server, &[JANUARY, AUGUST, NOVEMBER, SEPTEMBER]);
    import_all(&server, &REGISTER_AUGUST);
    type Change = (i64, &'static str, Option<i64>);
    #[rustfmt::skip]
    let months: [(&str, &str, &[Change]); 4] = [
        ("2021-08-31", "2021-09-30", &[
            (900_001, "superseded",      Some(990_001)), // 990001 succeeds it: one change, of one school
            (910_017, "became_eligible", None),
            (910_019, "became_eligible", None),
            (910_021, "became_eligible", None),
            (910_032, "became_unknown",  None),
            (990_002, "became_unknown",  None),
            (990_003, "became_unknown",  None),
        ]),
        ("2021-09-30", "2021-11-30", &[
            (910_030, "became_eligible", None),
            (910_031, "became_unknown",  None),
            (910_048, "became_eligible", None),
        ]),
        ("2021-11-30", "2022-01-31", &[
            (910_005, "rule_added",      None),
            (910_022, "became_eligible", None),
            (910_025, "became_eligible", None),
            (910_041, "became_eligible", None),
            (990_003, "became_eligible", None),
        ]),
        ("2022-01-31", "2022-01-31", &[]),
    ];
    for (from, to, expected) in months {
        let changes = run_ok(&server, &["eligibility", "changes", "--from", from, "--to", to]);
        let changes = changes.as_array().unwrap();
        let change = |it: &Value| (it["urn"].as_i64().unwrap(), text(it, "change"), it["superseded_by"].as_i64());
        let found: Vec<_> = changes.iter().map(change).collect();
        let expected: Vec<_> = expected.iter().map(|it| (it.0, it.1.to_owned(), it.2)).collect();
        assert_eq!(found, expected, "{from} to {to}");
        for change in changes.iter().filter(|it| it["change"] == "became_eligible" || it["change"] == "rule_added") {
            assert_eq!(change["rules"], json!(["E1_RI_IN_YEAR"]), "not by E2 after August: {change}");
        }
    }
    assert_eq!(super::harness::cli(&server, &["eligibility", "changes", "--from", "2021-11-30"]).code, 2);
}

async fn changes_have_pages(db: Db) {
    let server = start_with_august(&db);
    import(&server, ("ofsted_2021-09-30.csv", "2021-09-30"));
    let client = Client::of(&server).await;
    let mut service = EligibilityServiceClient::new(client.channel());
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListEligibilityChangesRequest {
            programme: "2021-22".to_owned(),
            from_date: "2021-08-31".to_owned(),
            to_date: "2021-09-30".to_owned(),
            page_size: 2,
            page_token,
        };
        let page = service.list_eligibility_changes(client.ask(request)).await.unwrap().into_inner();
        assert!(page.changes.len() <= 2);
        seen.extend(page.changes.into_iter().map(|it| it.urn));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [900_001, 910_017, 910_019, 910_021, 910_032, 990_002, 990_003], "samples/README.md, September");
}
