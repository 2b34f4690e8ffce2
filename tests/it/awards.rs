//! Awards over the command line: the four strands with their caps and conditions, bundles, previews and etags.

use std::fs;

use serde_json::{Value, json};

use super::harness::{Db, Server, both};
use super::money::{
    WITH_LEADER, WITH_PARTNER, accept_offer, award_amounts, cap_of, create_award, create_fund_with, fund_amounts,
    fund_row, nle_fund, start_delivery,
};
use super::samples::{offer_of, run_ok, run_refused, run_refused_for, start_with_august, text, verify_ok};

both!(
    awards_stay_within_the_cap,
    each_strand_has_its_conditions,
    days_are_booked,
    a_bundle_is_all_or_nothing,
    a_check_writes_nothing,
    etags_move_with_awards,
);

/// The arguments of an award of days, dated in the award window. [`create_award`] takes them without the first five.
fn nle<'a>(offer: &'a str, days: &'a str) -> Vec<&'a str> {
    [&["awards", "nle", offer, "--on", "2021-10-01", "--days", days], &WITH_LEADER[..]].concat()
}

/// The arguments of an award of credit, dated in the award window.
fn credit<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
    [&["awards", "credit", offer, "--on", "2021-10-01", "--amount", pounds], &WITH_PARTNER[..]].concat()
}

/// The arguments of an award for governance, dated in the award window.
fn nlg<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
    vec!["awards", "nlg", offer, "--on", "2021-10-01", "--amount", pounds, "--because", "a new board"]
}

/// The arguments of an award of fees, dated in the award window.
fn npqel<'a>(offer: &'a str, pounds: &'a str, provider: &'a str) -> Vec<&'a str> {
    let words = ["awards", "npqel", offer, "--on", "2021-10-01", "--amount", pounds, "--provider", provider];
    [&words[..], &["--leader", "ceo-3", "--because", "first post"]].concat()
}

async fn awards_stay_within_the_cap(db: Db) {
    let server = start_with_august(&db);
    let (school, trust) = (accept_offer(&server, 910_001), accept_offer(&server, 90_001));
    let fund = create_fund_with(&server, "credit", "20000");
    let (governance, fees) = (create_fund_with(&server, "nlg", "3000"), create_fund_with(&server, "npqel", "1000"));
    assert_eq!(cap_of(&server, &school, "nle"), [6, 0, 0, 6], "shown from the terms before any award");
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 0, 1_000_000]);
    assert_eq!(cap_of(&server, &trust, "nle"), [10, 0, 0, 10]);
    // All awards of an offer together have at most three days for a school, and five for a trust.
    for (offer, steps, cap) in [(&school, ["2.5", "0.5"], 6), (&trust, ["4.5", "0.5"], 10)] {
        for days in steps {
            run_ok(&server, &nle(offer, days));
        }
        let error = run_refused_for(&server, "CAP_EXCEEDED", &nle(offer, "0.5"));
        assert_eq!((&error["largest"], &error["limits"][0]["unit"]), (&json!(0), &json!("half_days")));
        assert_eq!(cap_of(&server, offer, "nle"), [cap, cap, 0, 0]);
    }
    // 16 half-days at £300.
    assert_eq!(fund_amounts(&fund_row(&server, &nle_fund(&server))), [0, 480_000, 0, -480_000]);
    // All awards of an offer together have at most £10,000 of credit, although the fund has more.
    let award = run_ok(&server, &credit(&school, "6000"));
    for key in ["award", "offer", "strand", "unit", "awarded", "drawn", "released", "state", "etag"] {
        assert!(!award[key].is_null(), "{key}: {award}");
    }
    let award_fields = json!([award["offer"], award["strand"], award["unit"], award["state"], award["fund"]]);
    assert_eq!(award_fields, json!([school, "credit", "pence", "open", fund]));
    assert_eq!(award_amounts(&award), [600_000, 0, 0, 0, 600_000]);
    assert_eq!(run_refused_for(&server, "CAP_EXCEEDED", &credit(&school, "4000.01"))["largest"], 400_000);
    run_ok(&server, &credit(&school, "4000"));
    assert_eq!(run_refused_for(&server, "CAP_EXCEEDED", &credit(&school, "0.01"))["largest"], 0);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [2_000_000, 1_000_000, 0, 1_000_000]);
    // Strands without a cap are limited by their fund alone.
    run_ok(&server, &nlg(&trust, "2999.99"));
    assert_eq!(run_refused_for(&server, "FUNDS_INSUFFICIENT", &nlg(&trust, "0.02"))["largest"], 1);
    run_ok(&server, &npqel(&trust, "1000", "Teach First"));
    assert_eq!(fund_amounts(&fund_row(&server, &governance)), [300_000, 299_999, 0, 1]);
    assert_eq!(fund_amounts(&fund_row(&server, &fees)), [100_000, 100_000, 0, 0]);
    let shown = run_ok(&server, &["offers", "show", &trust]);
    let strands: Vec<String> = shown["awards"].as_array().unwrap().iter().map(|it| text(it, "strand")).collect();
    assert_eq!(strands, ["nle", "nle", "nlg", "npqel"], "in the order they were made");
    let listed = run_ok(&server, &["awards", "list", "--offer", &trust]);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    verify_ok(&db);
}

async fn each_strand_has_its_conditions(db: Db) {
    let server = start_with_august(&db);
    for strand in ["credit", "nlg", "npqel"] {
        create_fund_with(&server, strand, "5000");
    }
    // 910044 is the only school of the multi-academy trust 90003.
    let (school, lone_school, trust) =
        (accept_offer(&server, 910_001), accept_offer(&server, 910_044), accept_offer(&server, 90_001));
    run_refused_for(&server, "STRAND_NOT_OFFERED", &credit(&trust, "1"));
    run_refused_for(&server, "STRAND_NOT_OFFERED", &nlg(&school, "1"));
    run_refused_for(&server, "STRAND_NOT_OFFERED", &npqel(&school, "1", "Teach First"));
    fn credit_with<'a>(offer: &'a str, partner: &'a str) -> Vec<&'a str> {
        let words = ["awards", "credit", offer, "--on", "2021-10-01", "--amount", "1"];
        [&words[..], &["--partner", partner, "--suitable-because", "near by"]].concat()
    }
    // Unsuitable partners, in this order: a closed trust, a single-academy trust, the school's own trust, a sponsor, a
    // federation, and a UID that is in no file.
    for (offer, partner) in [
        (&school, "90007"),
        (&school, "90021"),
        (&lone_school, "90003"),
        (&school, "90041"),
        (&school, "90051"),
        (&school, "99999"),
    ] {
        let error = run_refused(&server, &credit_with(offer, partner));
        let reason = text(&error, "reason");
        assert!(["PARTNER_NOT_SUITABLE", "NOT_FOUND"].contains(&reason.as_str()), "{partner}: {error}");
    }
    let own_trust = run_refused_for(&server, "PARTNER_NOT_SUITABLE", &credit_with(&lone_school, "90003"));
    assert_eq!(own_trust["limits"][0]["kind"], "recipient", "{own_trust}");
    run_ok(&server, &credit_with(&school, "90003"));
    run_ok(&server, &credit_with(&lone_school, "90001"));
    // A provider must be accredited in the terms. Upper and lower case are equal.
    run_refused_for(&server, "PROVIDER_NOT_ACCREDITED", &npqel(&trust, "1", "Acme Leadership"));
    let fees = create_award(&server, "npqel", &trust, &npqel(&trust, "1", "UCL Institute of Education")[5..]);
    let shown = run_ok(&server, &["awards", "show", &fees]);
    assert_eq!((&shown["provider"], &shown["because"]), (&json!("UCL Institute of Education"), &json!("first post")));
    // Free text is stored separately: it is shown, but no body of an event contains it.
    let events = run_ok(&server, &["offers", "events", &trust]);
    let awarded = events.as_array().unwrap().iter().find(|it| it["kind"] == "awarded").unwrap();
    assert!(!awarded["body"].to_string().contains("first post"), "{awarded}");
    // An award needs an accepted offer, and a date between the first and the last day of the award window.
    let identified = text(&offer_of(&server, 910_002), "offer");
    run_refused_for(&server, "STATE_NOT_ALLOWED", &nle(&identified, "1"));
    fn nle_on<'a>(offer: &'a str, date: &'a str) -> Vec<&'a str> {
        [&["awards", "nle", offer, "--on", date, "--days", "0.5"], &WITH_LEADER[..]].concat()
    }
    for date in ["2021-08-31", "2022-09-01"] {
        let error = run_refused(&server, &nle_on(&school, date));
        assert!(["OUTSIDE_WINDOW", "OUTSIDE_PROGRAMME"].contains(&text(&error, "reason").as_str()), "{error}");
        assert_eq!(error["limits"][0]["kind"], "period");
    }
    // A date inside the window is refused if it is before the offer was accepted.
    run_refused_for(&server, "DATE_ORDER", &nle_on(&school, "2021-09-01"));
    for date in ["2021-09-20", "2022-08-31"] {
        let award = run_ok(&server, &nle_on(&school, date));
        assert_eq!((&award["date"], &award["warnings"][0]["code"]), (&json!(date), &json!("DATE_IN_THE_PAST")));
    }
    // After the window, an award without a date gets the date of acceptance, with a warning. Days that are delivered
    // later can be drawn.
    let award = run_ok(&server, &[&["awards", "nle", &school, "--days", "0.5"], &WITH_LEADER[..]].concat());
    assert_eq!((&award["date"], &award["warnings"][0]["code"]), (&json!("2021-09-20"), &json!("DATE_ASSUMED")));
    let award = text(&award, "award");
    let booked = run_ok(&server, &["awards", "book", &award, "--days", "0.5", "--on", "2021-09-21"]);
    let booking = booked["booking"].to_string();
    start_delivery(&server, &school);
    let drawn =
        run_ok(&server, &["awards", "draw", &award, "--days", "0.5", "--on", "2021-10-04", "--booking", &booking]);
    assert_eq!(award_amounts(&drawn), [1, 1, 0, 0, 0]);
    verify_ok(&db);
}

async fn days_are_booked(db: Db) {
    let server = start_with_august(&db);
    let school = accept_offer(&server, 910_001);
    let award = create_award(&server, "nle", &school, &nle(&school, "2.5")[5..]);
    let book = |days: &'static str, on: &'static str| {
        ["awards", "book", &award, "--days", days, "--on", on].map(str::to_owned)
    };
    let run = |args: &[String; 7]| run_ok(&server, &args.each_ref().map(String::as_str));
    let first = run(&book("1", "2022-03-14"));
    let second = run(&book("1", "2022-03-21"));
    assert_eq!(
        (award_amounts(&second), &second["state"]),
        ([5, 0, 0, 0, 5], &json!("open")),
        "a booking moves no days"
    );
    let error = run_refused_for(&server, "AWARD_EXCEEDED", &book("1", "2022-03-28").each_ref().map(String::as_str));
    assert_eq!((&error["largest"], &error["limits"][0]["requested"]), (&json!(1), &json!(2)));
    run(&book("0.5", "2022-03-28"));
    let numbers: Vec<String> = run_ok(&server, &["awards", "show", &award])["bookings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["booking"].to_string())
        .collect();
    assert_eq!((first["booking"].to_string(), second["booking"].to_string()), (numbers[0].clone(), numbers[1].clone()));
    // Cancelling frees the days for another booking. A booking can be cancelled only once, and 1 is no booking.
    let cancel = ["awards", "cancel", &award, "--booking", &numbers[1]];
    run_ok(&server, &cancel);
    run_refused_for(&server, "BOOKING_NOT_OPEN", &cancel);
    run_refused_for(&server, "BOOKING_NOT_OPEN", &["awards", "cancel", &award, "--booking", "1"]);
    run(&book("1", "2022-05-09"));
    let late = book("0.5", "2023-01-01");
    run_refused_for(&server, "OUTSIDE_WINDOW", &late.each_ref().map(String::as_str));
    // A booking is delivered as a whole, on its date, and only after the delivery of the offer has started.
    let deliver = ["awards", "draw", &award, "--booking", &numbers[0], "--on", "2022-03-14"];
    run_refused_for(&server, "STATE_NOT_ALLOWED", &deliver);
    start_delivery(&server, &school);
    let delivered = run_ok(&server, &deliver);
    assert_eq!(award_amounts(&delivered), [5, 2, 0, 0, 3]);
    run_refused_for(&server, "BOOKING_NOT_OPEN", &deliver);
    let states: Vec<String> = delivered["bookings"].as_array().unwrap().iter().map(|it| text(it, "state")).collect();
    assert_eq!(states, ["delivered", "cancelled", "booked", "booked"]);
    // 2 of 5 half-days at £300, on the cap and on the fund.
    assert_eq!(cap_of(&server, &school, "nle"), [6, 3, 2, 1]);
    assert_eq!(fund_amounts(&fund_row(&server, &nle_fund(&server))), [0, 90_000, 60_000, -150_000]);
    run_refused_for(&server, "UNIT_MISMATCH", &["awards", "draw", &award, "--amount", "300", "--on", "2022-03-14"]);
    let closed = run_ok(&server, &["offers", "close", &school, "--outcome", "completed", "--on", "2022-06-30"]);
    assert_eq!(closed["released"][0]["amount"], 3, "{closed}");
    let shown = run_ok(&server, &["awards", "show", &award]);
    let states: Vec<String> = shown["bookings"].as_array().unwrap().iter().map(|it| text(it, "state")).collect();
    assert_eq!(states, ["delivered", "cancelled", "cancelled", "cancelled"]);
    assert_eq!((award_amounts(&shown), &shown["state"]), ([5, 2, 3, 0, 0], &json!("settled")));
    verify_ok(&db);
}

/// Writes a bundle file with days for a leader and with credit, and returns its path.
fn bundle(folder: &std::path::Path, days: &str, pounds: &str, partner: u32) -> String {
    let file = folder.join(format!("{days}-{pounds}-{partner}.toml"));
    let lines = format!(
        "[[awards]]\nstrand = \"nle\"\ndays = \"{days}\"\nleader = \"nle-17\"\norganisation = \"Larkrise\"\n\n\
         [[awards]]\nstrand = \"credit\"\namount = \"{pounds}\"\npartner = {partner}\nsuitable_because = \"near by\"\n"
    );
    fs::write(&file, lines).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn a_bundle_is_all_or_nothing(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "8000");
    let school = accept_offer(&server, 910_001);
    let folder = tempfile::tempdir().unwrap();
    let before = state(&server, &school);
    // Too many days; more than the fund has; more than cap and fund have; then all of these with a closed partner. Each
    // time every limit is named.
    #[rustfmt::skip]
    let wrong = [
        ("3.5", "£4,000",  90_001, vec!["cap"]),
        ("1",   "£8,000.01", 90_001, vec!["fund"]),
        ("1",   "£10,000.01", 90_001, vec!["cap", "fund"]),
        ("3.5", "£10,000.01", 90_007, vec!["cap", "recipient", "cap", "fund"]),
    ];
    for (days, pounds, partner, kinds) in wrong {
        let error = run_refused(
            &server,
            &["awards", "bundle", &school, &bundle(folder.path(), days, pounds, partner), "--on", "2021-10-01"],
        );
        let mut named: Vec<String> = error["limits"].as_array().unwrap().iter().map(|it| text(it, "kind")).collect();
        let mut expected: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
        named.sort();
        expected.sort();
        assert_eq!(named, expected, "{days} {pounds} {partner}: {error}");
        assert_eq!(state(&server, &school), before, "all or nothing");
    }
    // Two lines of a strand count together.
    let twice = folder.path().join("twice.json");
    let line =
        |pounds: &str| json!({"strand": "credit", "amount": pounds, "partner": 90_001, "suitable_because": "near by"});
    fs::write(&twice, json!({"awards": [line("5000"), line("3000.01")]}).to_string()).unwrap();
    let twice = ["awards", "bundle", &school, twice.to_str().unwrap(), "--on", "2021-10-01"];
    let error = run_refused_for(&server, "FUNDS_INSUFFICIENT", &twice);
    assert_eq!(
        (&error["largest"], &error["limits"][0]["available"]),
        (&json!(300_000), &json!(300_000)),
        "the largest amount of one line if the other stays as it is"
    );
    assert_eq!(state(&server, &school), before);
    let made = run_ok(
        &server,
        &["awards", "bundle", &school, &bundle(folder.path(), "3", "£8,000", 90_001), "--on", "2021-10-01"],
    );
    let made: Vec<Value> = made.as_array().unwrap().iter().map(|it| json!([it["strand"], it["awarded"]])).collect();
    assert_eq!(made, [json!(["nle", 6]), json!(["credit", 800_000])]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [800_000, 800_000, 0, 0]);
    verify_ok(&db);
}

/// Reads what a refused command must not change: an offer, its events and the funds.
fn state(server: &Server, offer: &str) -> (Value, Value, Value) {
    (
        run_ok(server, &["offers", "show", offer]),
        run_ok(server, &["offers", "events", offer]),
        run_ok(server, &["funds", "list"]),
    )
}

async fn a_check_writes_nothing(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "8000");
    let school = accept_offer(&server, 910_001);
    let before = state(&server, &school);
    let check = |words: Vec<&str>| run_ok(&server, &[&words[..], &["--check"]].concat());
    let days = check(nle(&school, "2.5"));
    assert_eq!(json!([days["strand"], days["awarded"], days["committed"]]), json!(["nle", 5, 5]));
    assert_eq!(check(credit(&school, "8000"))["awarded"], 800_000);
    assert_eq!(check(credit(&school, "8000"))["awarded"], 800_000, "the check used up nothing");
    // A check is refused with the same error as the award.
    let too_large = credit(&school, "10000.01");
    let mut check_error = run_refused_for(&server, "CAP_EXCEEDED", &[&too_large[..], &["--check"]].concat());
    let mut award_error = run_refused_for(&server, "CAP_EXCEEDED", &too_large);
    for error in [&mut check_error, &mut award_error] {
        error.as_object_mut().unwrap().remove("request_id");
    }
    assert_eq!(check_error, award_error);
    assert_eq!(state(&server, &school), before);
    run_ok(&server, &credit(&school, "8000"));
    assert_ne!(state(&server, &school), before);
    verify_ok(&db);
}

async fn etags_move_with_awards(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "8000");
    let school = accept_offer(&server, 910_001);
    let etag = || text(&offer_of(&server, 910_001), "etag");
    let first = etag();
    let award = create_award(&server, "credit", &school, &credit(&school, "100")[5..]);
    let second = etag();
    assert_ne!(first, second);
    let stale = run_refused_for(&server, "ETAG_STALE", &[&credit(&school, "1")[..], &["--etag", &first]].concat());
    assert_eq!(stale["code"], "ABORTED");
    run_ok(&server, &[&credit(&school, "1")[..], &["--etag", &second]].concat());
    start_delivery(&server, &school);
    // The etag of an award changes with the award, not with another award of the offer.
    let shown_etag = || text(&run_ok(&server, &["awards", "show", &award]), "etag");
    let award_etag = shown_etag();
    run_ok(&server, &credit(&school, "1"));
    assert_eq!(shown_etag(), award_etag);
    let draw = |etag: &str| {
        ["awards", "draw", &award, "--amount", "10", "--on", "2021-11-01", "--etag", etag].map(str::to_owned)
    };
    let offer_before = etag();
    run_ok(&server, &draw(&award_etag).each_ref().map(String::as_str));
    assert_ne!(etag(), offer_before, "the etag of the offer covers its awards");
    run_refused_for(&server, "ETAG_STALE", &draw(&award_etag).each_ref().map(String::as_str));
    let amounts = award_amounts(&run_ok(&server, &["awards", "show", &award]));
    assert_eq!(amounts, [10_000, 1_000, 0, 0, 9_000]);
    // The etag of a fund covers its settings, not its balances.
    let before = text(&fund_row(&server, &fund), "etag");
    run_ok(&server, &["funds", "allocate", &fund, "1", "--on", "2021-10-01"]);
    assert_eq!(text(&fund_row(&server, &fund), "etag"), before);
    verify_ok(&db);
}
