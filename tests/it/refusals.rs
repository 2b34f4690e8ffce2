//! Checks the content of refusals: every limit that prevents the request, with its numbers, and the largest amount that would
//! pass.

use serde_json::{Value, json};

use super::harness::{Db, Server, both, cli, tsio};
use super::money::{WITH_LEADER, WITH_PARTNER, accept_offer, create_award, create_fund_with, nle_fund, start_delivery};
use super::samples::{run_filed, run_ok, run_refused_for, start_with_august, text, verify_ok};

both!(every_limit_with_its_numbers, limits_that_are_no_number, a_person_reads_a_table);

/// Removes the message, the remedies and the request id of an error, because they vary or are sentences.
fn without_texts(answer: &Value) -> Value {
    let mut error = answer.clone();
    let fields = error.as_object_mut().unwrap();
    let message = fields.remove("message").unwrap();
    assert!(!message.as_str().unwrap().is_empty(), "{answer}");
    fields.remove("request_id");
    for limit in fields["limits"].as_array_mut().unwrap() {
        let remedy = limit.as_object_mut().unwrap().remove("remedy").unwrap();
        assert!(!remedy.as_str().unwrap().is_empty(), "a limit has no remedy: {answer}");
    }
    error
}

/// Adds the subject's keys to a limit, from an account such as `offer ID (credit)` or `approval ID`.
fn with_subject(mut limit: Value, account: &str) -> Value {
    let mut words = account.split([' ', '(', ')', ',']).filter(|it| !it.is_empty());
    limit["subject_kind"] = json!(words.next());
    limit["subject_id"] = json!(words.next());
    limit["subject_part_of"] = Value::Null;
    limit["strand"] = json!(words.next());
    limit
}

/// Makes a limit with numbers: limit, committed, spent, available, requested, largest.
fn limit(kind: &str, account: &str, unit: &str, numbers: [i64; 6]) -> Value {
    let [limit, committed, spent, available, requested, largest] = numbers;
    let limit = json!({
        "kind": kind, "account": account, "unit": unit, "limit": limit, "committed": committed, "spent": spent,
        "available": available, "requested": requested, "largest": largest,
    });
    with_subject(limit, account)
}

/// Makes a limit without numbers.
fn limit_without_numbers(kind: &str, account: &str) -> Value {
    let limit = json!({
        "kind": kind, "account": account, "unit": null, "limit": null, "committed": null, "spent": null,
        "available": null, "requested": null, "largest": null,
    });
    with_subject(limit, account)
}

/// Makes an error as [`without_texts`] leaves it.
fn error(reason: &str, largest: i64, limits: &[Value]) -> Value {
    json!({"code": "FAILED_PRECONDITION", "reason": reason, "largest": largest, "limits": limits})
}

/// Returns the command that awards credit.
fn credit<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
    [&["awards", "credit", offer, "--on", "2021-10-01", "--amount", pounds], &WITH_PARTNER[..]].concat()
}

async fn every_limit_with_its_numbers(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "7000");
    let (school, other) = (accept_offer(&server, 910_001), accept_offer(&server, 910_003));
    let (cap, days) = (format!("offer {school} (credit)"), format!("offer {school} (nle)"));
    let fund_account = format!("fund {fund} (credit, national)");
    let award = create_award(&server, "credit", &school, &credit(&school, "5000")[5..]);
    start_delivery(&server, &school);
    run_ok(&server, &["awards", "draw", &award, "--amount", "1250.50", "--on", "2021-11-01"]);
    let refused = |reason: &str, words: &[&str]| without_texts(&run_refused_for(&server, reason, words));

    // Only the fund prevents it. It has £7,000, of which £3,749.50 is committed and £1,250.50 is spent.
    let expected = limit("fund", &fund_account, "pence", [700_000, 374_950, 125_050, 200_000, 200_001, 200_000]);
    assert_eq!(
        refused("FUNDS_INSUFFICIENT", &credit(&other, "2000.01")),
        error("FUNDS_INSUFFICIENT", 200_000, &[expected])
    );
    // Only the cap prevents it. The fund has more money now, and £5,000 of the cap's £10,000 is used.
    run_ok(&server, &["funds", "allocate", &fund, "10000", "--on", "2021-10-01"]);
    let expected = limit("cap", &cap, "pence", [1_000_000, 374_950, 125_050, 500_000, 500_001, 500_000]);
    assert_eq!(refused("CAP_EXCEEDED", &credit(&school, "5000.01")), error("CAP_EXCEEDED", 500_000, &[expected]));
    // The cap and the fund prevent it. The largest amount is the smaller one of the two.
    let more = [
        limit("cap", &cap, "pence", [1_000_000, 374_950, 125_050, 500_000, 1_300_000, 500_000]),
        limit("fund", &fund_account, "pence", [1_700_000, 374_950, 125_050, 1_200_000, 1_300_000, 1_200_000]),
    ];
    assert_eq!(refused("CAP_EXCEEDED", &credit(&school, "13000")), error("CAP_EXCEEDED", 500_000, &more));
    // Days are limited by the cap, never by their fund.
    let words = [&["awards", "nle", &school, "--on", "2021-10-01", "--days", "3.5"], &WITH_LEADER[..]].concat();
    let expected = limit("cap", &days, "half_days", [6, 0, 0, 6, 7, 6]);
    assert_eq!(refused("CAP_EXCEEDED", &words), error("CAP_EXCEEDED", 6, &[expected]));
    // A withdrawal of more than the fund has available.
    let expected =
        limit("fund", &fund_account, "pence", [1_700_000, 374_950, 125_050, 1_200_000, 1_200_001, 1_200_000]);
    let withdraw = ["funds", "withdraw", &fund, "12000.01", "--on", "2021-10-02"];
    assert_eq!(refused("FUNDS_INSUFFICIENT", &withdraw), error("FUNDS_INSUFFICIENT", 1_200_000, &[expected]));
    // A draw and a refund of more than the award has: £3,749.50 is committed, and £1,250.50 is drawn.
    let award_account = format!("award {award} (credit)");
    let expected = |requested, largest| {
        limit("award", &award_account, "pence", [500_000, 374_950, 125_050, largest, requested, largest])
    };
    let draw = ["awards", "draw", &award, "--amount", "4000", "--on", "2021-11-02"];
    assert_eq!(refused("AWARD_EXCEEDED", &draw), error("AWARD_EXCEEDED", 374_950, &[expected(400_000, 374_950)]));
    let refund = ["awards", "refund", &award, "--amount", "2000", "--reason", "x", "--on", "2021-11-02"];
    assert_eq!(refused("AWARD_EXCEEDED", &refund), error("AWARD_EXCEEDED", 125_050, &[expected(200_000, 125_050)]));
    // Exactly the largest amount passes.
    run_ok(&server, &credit(&school, "5000"));
    assert_eq!(refused("CAP_EXCEEDED", &credit(&school, "0.01"))["largest"], 0);
    verify_ok(&db);
}

async fn limits_that_are_no_number(db: Db) {
    let server = start_with_august(&db);
    let offer = text(&super::samples::offer_of(&server, 910_002), "offer");
    let trust = accept_offer(&server, 90_001);
    let refused = |reason: &str, words: &[&str]| without_texts(&run_refused_for(&server, reason, words));
    let limit_kinds = |error: &Value| {
        let mut kinds: Vec<String> = error["limits"].as_array().unwrap().iter().map(|it| text(it, "kind")).collect();
        kinds.sort();
        kinds
    };
    // The state prevents it, and the fund is missing: no amount would pass.
    let wrong_state = refused("STATE_NOT_ALLOWED", &credit(&offer, "4000"));
    assert_eq!(
        (limit_kinds(&wrong_state), &wrong_state["largest"]),
        (vec!["fund".to_owned(), "state".to_owned()], &json!(0))
    );
    assert!(
        wrong_state["limits"].as_array().unwrap().contains(&limit_without_numbers("state", &format!("offer {offer}"))),
        "{wrong_state}"
    );
    // The date is outside the award window (`period`), and trust 90007 cannot be the partner (`recipient`).
    let words = ["awards", "credit", &offer, "--on", "2022-09-01", "--amount", "4000", "--partner", "90007"];
    let all = refused("STATE_NOT_ALLOWED", &[&words[..], &["--suitable-because", "x"]].concat());
    assert_eq!(limit_kinds(&all), ["fund", "period", "recipient", "state"]);
    // Every limit without numbers shows nulls.
    for limit in all["limits"].as_array().unwrap() {
        for key in ["limit", "committed", "spent", "available", "requested", "largest"] {
            assert_eq!(limit[key], Value::Null, "{all}");
        }
    }
    // A trust is not offered credit.
    let not_offered = refused("STRAND_NOT_OFFERED", &credit(&trust, "1"));
    assert!(limit_kinds(&not_offered).contains(&"recipient".to_owned()), "{not_offered}");
    let fund = create_fund_with(&server, "credit", "1");
    let large_allocation = ["funds", "allocate", &fund, "50000.01", "--on", "2021-10-01"];
    let filed = run_filed(&server, &large_allocation);
    let says = "an allocation of £50,000.01 needs a second person: approval";
    assert!(text(&filed, "message").starts_with(says), "{filed}");
    verify_ok(&db);
}

async fn a_person_reads_a_table(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "7000");
    let school = accept_offer(&server, 910_001);
    create_award(&server, "credit", &school, &credit(&school, "5000")[5..]);
    let url = server.url();
    let answer = tsio(&[&["--server", &url], &credit(&school, "6000")[..]].concat());
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{}", answer.stderr);
    // Both limits, in pounds: £10,000 with £5,000 left, £7,000 with £2,000 left.
    for expected_text in ["CAP_EXCEEDED", "£10,000", "£5,000", "£7,000", "£2,000", "£6,000"] {
        assert!(answer.stderr.contains(expected_text), "{expected_text} is not in:\n{}", answer.stderr);
    }
    let days = [&["awards", "nle", &school, "--on", "2021-10-01", "--days", "3.5"], &WITH_LEADER[..]].concat();
    let answer = tsio(&[&["--server", &url], &days[..]].concat());
    for expected_text in ["CAP_EXCEEDED", "3 days", "3.5 days"] {
        assert!(answer.stderr.contains(expected_text), "{expected_text} is not in:\n{}", answer.stderr);
    }
    // Awards and funds are printed as tables too.
    for words in
        [&["funds", "list"][..], &["awards", "list", "--offer", &school], &["funds", "position", &nle_fund(&server)]]
    {
        let answer = tsio(&[&["--server", &url], words].concat());
        assert_eq!((answer.code, answer.json), (0, Value::Null), "{words:?} prints a table: {}", answer.stderr);
        assert!(answer.stdout.lines().count() > 1, "{words:?}: {}", answer.stdout);
    }
    check_unknown_ids(&server, &school);
}

/// Checks that an unknown id is NOT_FOUND, and that a malformed id is INVALID_ARGUMENT.
fn check_unknown_ids(server: &Server, offer: &str) {
    let unknown_id = "00000000-0000-4000-8000-000000000000";
    let words: [&[&str]; 9] = [
        &["awards", "show", unknown_id],
        &["awards", "draw", unknown_id, "--amount", "1", "--on", "2021-11-01"],
        &["awards", "release", unknown_id, "--on", "2021-11-01"],
        &["awards", "refund", unknown_id, "--amount", "1", "--reason", "x", "--on", "2021-11-01"],
        &["awards", "book", unknown_id, "--days", "1", "--on", "2021-11-01"],
        &["funds", "allocate", unknown_id, "1"],
        &["funds", "withdraw", unknown_id, "1"],
        &["funds", "position", unknown_id],
        // The id of an offer names no fund.
        &["funds", "allocate", offer, "1"],
    ];
    for words in words {
        let answer = cli(server, words);
        assert_eq!(
            (answer.code, &answer.json["error"]["code"]),
            (1, &json!("NOT_FOUND")),
            "{words:?}: {}",
            answer.stdout
        );
    }
    // Any word may be the name of a strand, so `x` is a fund that does not exist, and no malformed one.
    let rows = [
        (&["awards", "show", "x"][..], "INVALID_ARGUMENT"),
        (&["funds", "position", "x"], "NOT_FOUND"),
        (&["funds", "allocate", "x", "1"], "NOT_FOUND"),
    ];
    for (words, code) in rows {
        let answer = cli(server, words);
        assert_eq!((answer.code, &answer.json["error"]["code"]), (1, &json!(code)), "{words:?}");
    }
}
