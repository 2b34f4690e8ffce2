//! The dates of an offer stay in order, no balance becomes negative as of any day, and mistakes can be undone.

use serde_json::Value;

use super::harness::{Db, Server, both};
use super::money::{
    WITH_LEADER, WITH_PARTNER, accept_offer, award_amounts, cap_of, create_award, create_fund_with, fund_amounts,
    fund_row, start_delivery,
};
use super::samples::{offer_of, run_ok, run_refused_for, start_with_august, text, verify_ok};

both!(dates_out_of_order_are_refused, past_balances_never_become_negative, a_mistake_is_undone, a_date_is_corrected);

/// Runs a command that must be refused for this reason. Returns the kind and the remedy of the only limit.
fn remedy(server: &Server, reason: &str, words: &[&str]) -> (String, String) {
    let error = run_refused_for(server, reason, words);
    let [limit] = error["limits"].as_array().unwrap().as_slice() else { panic!("one limit: {error}") };
    (text(limit, "kind"), text(limit, "remedy"))
}

/// The kind `period` with this remedy, in the form of [`remedy`].
fn period(remedy: &str) -> (String, String) {
    ("period".to_owned(), remedy.to_owned())
}

/// The sequence of the newest event of this kind of an offer.
fn newest(server: &Server, offer: &str, kind: &str) -> String {
    let events = run_ok(server, &["offers", "events", offer]);
    let of_kind = events.as_array().unwrap().iter().rev().find(|it| it["kind"] == kind);
    of_kind.unwrap_or_else(|| panic!("no {kind}: {events}"))["sequence"].to_string()
}

/// The offer is accepted on 20 September, and started on 1 October.
async fn dates_out_of_order_are_refused(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "7000");
    let offer = accept_offer(&server, 910_001);
    let credit = |on| [&["awards", "credit", &offer, "--amount", "4000", "--on", on], &WITH_PARTNER[..]].concat();
    let order = |words: &[&str]| remedy(&server, "DATE_ORDER", words);
    assert_eq!(order(&credit("2021-09-19")), period("give a date on or after 2021-09-20"));
    let award = text(&run_ok(&server, &credit("2021-09-25")), "award");
    let start = |on| ["offers", "start", &offer, "--on", on];
    assert_eq!(order(&start("2021-09-19")), period("give a date on or after 2021-09-20"));
    start_delivery(&server, &offer);
    let draw = |on| ["awards", "draw", &award, "--amount", "1000", "--on", on];
    assert_eq!(order(&draw("2021-09-30")), period("give a date on or after 2021-10-01"));
    run_ok(&server, &draw("2021-10-10"));
    let refund = |on| ["awards", "refund", &award, "--amount", "400", "--reason", "x", "--on", on];
    assert_eq!(order(&refund("2021-10-09")), period("give a date on or after 2021-10-10"));
    assert_eq!(
        order(&["awards", "release", &award, "--amount", "1", "--on", "2021-09-24"]),
        period("give a date on or after 2021-09-25")
    );
    let close = |on| ["offers", "close", &offer, "--outcome", "completed", "--on", on];
    assert_eq!(order(&close("2021-10-09")), period("give a date on or after 2021-10-10"));
    run_ok(&server, &close("2021-10-10"));
    let late =
        ["offers", "contact", &text(&offer_of(&server, 910_003), "offer"), "--party", "responsible-body", "--on"];
    let late = remedy(&server, "OUTSIDE_WINDOW", &[&late[..], &["2022-11-01"]].concat());
    assert_eq!(late, period("give a date on or before 2022-10-31"));
    verify_ok(&db);
}

async fn past_balances_never_become_negative(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "1000");
    run_ok(&server, &["funds", "allocate", &fund, "6000", "--on", "2021-11-01"]);
    let (first, second) = (accept_offer(&server, 910_001), accept_offer(&server, 910_003));
    let credit =
        |offer, pounds, on| [&["awards", "credit", offer, "--amount", pounds, "--on", on], &WITH_PARTNER[..]].concat();
    let as_of = |words: &[&str]| {
        let error = run_refused_for(&server, "FUNDS_INSUFFICIENT", words);
        let limit = error["limits"][0].clone();
        (text(&limit, "kind"), limit["available"].clone(), error["largest"].clone(), text(&limit, "remedy"))
    };
    let expected = |available: i64, largest: i64, remedy: &str| {
        ("as_of".to_owned(), Value::from(available), Value::from(largest), remedy.to_owned())
    };
    // The fund has £1,000 until the end of October, and then £7,000.
    let early = as_of(&credit(&first, "1000.01", "2021-10-31"));
    assert_eq!(early, expected(100_000, 100_000, "give a date on or after 2021-11-01, or award at most £1,000"));
    run_ok(&server, &credit(&first, "1000", "2021-10-31"));
    // The £1,000 committed in October cannot be used in September, although the fund has £6,000 available now.
    let before = as_of(&credit(&second, "0.01", "2021-09-30"));
    assert_eq!(before, expected(0, 0, "give a date on or after 2021-11-01"));
    let before = as_of(&["funds", "withdraw", &fund, "1", "--on", "2021-09-30"]);
    assert_eq!(before, expected(0, 0, "give a date on or after 2021-11-01"));
    run_ok(&server, &credit(&second, "6000", "2021-11-01"));
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [700_000, 700_000, 0, 0]);
    // The same applies to a cap. Three days are released on 5 November, and are committed until then.
    let days = create_award(&server, "nle", &first, &[&["--days", "3"], &WITH_LEADER[..]].concat());
    run_ok(&server, &["awards", "release", &days, "--days", "3", "--on", "2021-11-05"]);
    let again = |on| [&["awards", "nle", &first, "--days", "1", "--on", on], &WITH_LEADER[..]].concat();
    assert_eq!(as_of(&again("2021-11-04")), expected(0, 0, "give a date on or after 2021-11-05"));
    run_ok(&server, &again("2021-11-05"));
    verify_ok(&db);
}

async fn a_mistake_is_undone(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "7000");
    let offer = accept_offer(&server, 910_001);
    let award = create_award(&server, "credit", &offer, &[&["--amount", "4000"], &WITH_PARTNER[..]].concat());
    start_delivery(&server, &offer);
    let undo = |event: &str| {
        vec![
            "awards".to_owned(),
            "undo".into(),
            award.clone(),
            "--event".into(),
            event.into(),
            "--reason".into(),
            "x".into(),
        ]
    };
    let run = |words: Vec<String>| run_ok(&server, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let run_refused = |reason: &str, words: Vec<String>| {
        run_refused_for(&server, reason, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };

    run_ok(&server, &["awards", "draw", &award, "--amount", "1500", "--on", "2021-11-01"]);
    let draw = newest(&server, &offer, "drawn");
    run_ok(&server, &["awards", "refund", &award, "--amount", "500", "--reason", "x", "--on", "2021-11-02"]);
    let refund = newest(&server, &offer, "refunded");
    run_ok(&server, &["awards", "release", &award, "--amount", "1000", "--on", "2021-11-03"]);
    let release = newest(&server, &offer, "released");

    let first = run_refused("MOVEMENT_NOT_UNDOABLE", undo(&draw));
    assert_eq!(text(&first["limits"][0], "remedy"), "undo the refund first");
    assert_eq!(award_amounts(&run(undo(&refund))), [400_000, 150_000, 100_000, 0, 150_000]);
    assert_eq!(award_amounts(&run(undo(&release))), [400_000, 150_000, 0, 0, 250_000]);
    assert_eq!(award_amounts(&run(undo(&draw))), [400_000, 0, 0, 0, 400_000]);
    run_refused("MOVEMENT_NOT_UNDOABLE", undo(&draw));
    run_refused("MOVEMENT_NOT_UNDOABLE", undo("1"));
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [700_000, 400_000, 0, 300_000]);
    assert_eq!(cap_of(&server, &offer, "credit"), [1_000_000, 400_000, 0, 600_000]);
    // The position as of a day before the correction still shows the mistake.
    let position = run_ok(&server, &["funds", "position", &fund, "--as-of", "2021-11-02"]);
    assert_eq!(position["spent"], 100_000, "{position}");
    // The undone amount is committed again only from today on, so it cannot be released as of an earlier day. Undoing a
    // release commits its amount again, so the fund must have that amount available.
    let early = ["awards", "release", &award, "--on", "2021-11-04"];
    assert_eq!(run_refused_for(&server, "DATE_ORDER", &early)["largest"], 150_000);
    run_ok(&server, &["awards", "release", &award]);
    let release = newest(&server, &offer, "released");
    run_ok(&server, &["funds", "withdraw", &fund, "6000"]);
    assert_eq!(run_refused("FUNDS_INSUFFICIENT", undo(&release))["limits"][0]["kind"], "fund");
    verify_ok(&db);
}

async fn a_date_is_corrected(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "7000");
    let offer = accept_offer(&server, 910_001);
    let correct = |what, on| ["offers", "correct-date", &offer, what, "--on", on, "--reason", "letter of 14 September"];
    run_ok(&server, &correct("accepted", "2021-09-15"));
    let award = create_award(&server, "credit", &offer, &[&["--amount", "4000"], &WITH_PARTNER[..]].concat());
    start_delivery(&server, &offer);
    run_ok(&server, &["awards", "draw", &award, "--amount", "1500", "--on", "2021-11-01"]);
    let changed = run_ok(&server, &correct("started", "2021-11-01"));
    assert_eq!(
        (text(&changed, "accepted"), text(&changed, "started")),
        ("2021-09-15".to_owned(), "2021-11-01".to_owned())
    );
    let order = |words: &[&str]| remedy(&server, "DATE_ORDER", words);
    assert_eq!(order(&correct("started", "2021-11-02")), period("give a date on or before 2021-11-01"));
    assert_eq!(order(&correct("accepted", "2021-10-02")), period("give a date on or before 2021-10-01"));
    run_refused_for(&server, "CONTACT_MISSING", &correct("accepted", "2021-09-12"));
    verify_ok(&db);
}
