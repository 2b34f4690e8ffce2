//! Changes of awards: claims and invoices, refunds, and offers that are closed, declined or reopened.

use serde_json::{Value, json};

use super::client::fresh;
use super::harness::{Db, Server, both, cli};
use super::money::{
    WITH_LEADER, WITH_PARTNER, accept_offer, award_amounts, cap_of, create_award, create_fund_with, fund_amounts,
    fund_row, nle_fund, start_delivery,
};
use super::samples::{as_person, run_filed, run_ok, run_refused_for, start_with_august, text, verify_ok};

both!(
    claims_are_paid_and_refunded,
    an_invoice_is_paid_once,
    a_refund_applies_to_the_part_drawn_by_its_date,
    closing_releases_what_is_committed,
    declining_releases_what_is_committed,
    a_reopened_offer_keeps_its_releases
);

/// The arguments of a draw, with these further arguments.
fn draw<'a>(award: &'a str, pounds: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["awards", "draw", award, "--on", "2021-11-01", "--amount", pounds], more].concat()
}

/// The arguments of a refund, with these further arguments.
fn refund<'a>(award: &'a str, pounds: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["awards", "refund", award, "--on", "2022-02-01", "--amount", pounds, "--reason", "paid in error"];
    [&words[..], more].concat()
}

/// Awards credit, and returns the id of the award.
fn award_credit(server: &Server, offer: &str, pounds: &str) -> String {
    create_award(server, "credit", offer, &[&["--amount", pounds], &WITH_PARTNER[..]].concat())
}

/// The arguments of a credit award, dated like the refunds.
fn credit_on_refund_date<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
    [&["awards", "credit", offer, "--on", "2022-02-01", "--amount", pounds], &WITH_PARTNER[..]].concat()
}

/// Awards fees for a new leader, and returns the id of the award.
fn award_fees(server: &Server, offer: &str, pounds: &str, provider: &str) -> String {
    let leader = fresh();
    let words = ["--amount", pounds, "--provider", provider, "--leader", &leader, "--because", "first post"];
    create_award(server, "npqel", offer, &words)
}

async fn claims_are_paid_and_refunded(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    run_refused_for(&server, "STATE_NOT_ALLOWED", &draw(&award, "1", &[]));
    start_delivery(&server, &school);
    assert_eq!(award_amounts(&run_ok(&server, &draw(&award, "1500", &[]))), [400_000, 150_000, 0, 0, 250_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 250_000, 150_000, 600_000]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 250_000, 150_000, 500_000]);
    // A draw, refund or release beyond what is possible names the largest amount.
    assert_eq!(run_refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "2500.01", &[]))["largest"], 250_000);
    assert_eq!(run_refused_for(&server, "AWARD_EXCEEDED", &refund(&award, "1500.01", &[]))["largest"], 150_000);
    let release = |pounds: &'static str| {
        ["awards", "release", &award, "--amount", pounds, "--on", "2021-12-01"].map(str::to_owned)
    };
    let error = run_refused_for(&server, "AWARD_EXCEEDED", &release("2500.01").each_ref().map(String::as_str));
    assert_eq!(error["largest"], 250_000);
    // Released and refunded amounts are available again in cap and fund.
    run_ok(&server, &release("500").each_ref().map(String::as_str));
    assert_eq!(
        award_amounts(&run_ok(&server, &refund(&award, "1000", &[]))),
        [400_000, 150_000, 50_000, 100_000, 200_000]
    );
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 200_000, 50_000, 750_000]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 200_000, 50_000, 650_000]);
    assert_eq!(run_refused_for(&server, "AWARD_EXCEEDED", &refund(&award, "500.01", &[]))["largest"], 50_000);
    // A release without an amount releases the rest.
    let settled = run_ok(&server, &["awards", "release", &award, "--on", "2021-12-01"]);
    assert_eq!(
        (award_amounts(&settled), &settled["state"]),
        ([400_000, 150_000, 250_000, 100_000, 0], &json!("settled"))
    );
    run_refused_for(&server, "AWARD_EXCEEDED", &["awards", "release", &award, "--on", "2021-12-01"]);
    assert_eq!(run_refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "0.01", &[]))["largest"], 0);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 50_000, 950_000]);
    // A refunded amount can be awarded from the date of the refund on. In December £7,500 are available: the allocation
    // less the £1,500 drawn.
    let early = [&["awards", "credit", &school, "--on", "2021-12-01", "--amount", "8500"], &WITH_PARTNER[..]].concat();
    assert_eq!(run_refused_for(&server, "FUNDS_INSUFFICIENT", &early)["largest"], 750_000);
    let last = text(&run_ok(&server, &credit_on_refund_date(&school, "8500")), "award");
    // Claims are paid until 31 December 2022.
    let draw_on = |date: &'static str| ["awards", "draw", &last, "--amount", "1", "--on", date].map(str::to_owned);
    run_ok(&server, &draw_on("2022-12-31").each_ref().map(String::as_str));
    run_refused_for(&server, "OUTSIDE_WINDOW", &draw_on("2023-01-01").each_ref().map(String::as_str));
    verify_ok(&db);
}

async fn an_invoice_is_paid_once(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "npqel", "9000");
    let (first_trust, second_trust) = (accept_offer(&server, 90_001), accept_offer(&server, 90_002));
    let first = award_fees(&server, &first_trust, "900", "Teach First");
    let second = award_fees(&server, &second_trust, "900", "Teach First");
    let other = award_fees(&server, &second_trust, "900", "Ambition Institute");
    start_delivery(&server, &first_trust);
    start_delivery(&server, &second_trust);
    run_refused_for(&server, "INVOICE_MISSING", &draw(&first, "300", &[]));
    let paid = run_ok(&server, &draw(&first, "300", &["--invoice", " inv-001/22 "]));
    let invoice = |reference: &str, printed: &str, amount: i64, refunded: i64| {
        json!({
            "reference": reference, "amount_pence": amount, "refunded_pence": refunded, "issuer": "Teach First",
            "printed": printed, "total_pence": null,
        })
    };
    assert_eq!(paid["invoices"], json!([invoice("INV00122", "inv-001/22", 30_000, 0)]));
    // An invoice counts as paid under any spelling of its reference, on all awards of its provider. The same reference
    // of another provider is another invoice.
    for award in [&first, &second] {
        for invoice in ["INV00122", "Inv 001 22", "inv.001.22"] {
            run_refused_for(&server, "INVOICE_PAID", &draw(award, "1", &["--invoice", invoice]));
        }
    }
    run_ok(&server, &draw(&other, "100", &["--invoice", "INV00122"]));
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 230_000, 40_000, 630_000]);
    // An invoice can be paid again only after a full refund.
    run_ok(&server, &refund(&first, "299.99", &[]));
    run_refused_for(&server, "INVOICE_PAID", &draw(&second, "1", &["--invoice", "INV00122"]));
    run_ok(&server, &refund(&first, "0.01", &[]));
    run_ok(&server, &draw(&second, "200", &["--invoice", "INV00122"]));
    run_refused_for(&server, "INVOICE_PAID", &draw(&first, "1", &["--invoice", "INV00122"]));
    // If an award has several paid invoices, a refund must name one of them. It is at most the amount paid on that
    // invoice.
    run_ok(&server, &draw(&second, "100", &["--invoice", "B 2"]));
    run_refused_for(&server, "INVOICE_MISSING", &refund(&second, "50", &[]));
    let error = run_refused_for(&server, "AWARD_EXCEEDED", &refund(&second, "100.01", &["--invoice", "b2"]));
    assert_eq!(error["largest"], 10_000);
    let after = run_ok(&server, &refund(&second, "100", &["--invoice", "b2"]));
    let expected = json!([invoice("INV00122", "INV00122", 20_000, 0), invoice("B2", "B 2", 10_000, 10_000)]);
    assert_eq!((&after["invoices"], award_amounts(&after)), (&expected, [90_000, 30_000, 0, 10_000, 60_000]));
    verify_ok(&db);
}

/// Of two parts of an invoice, only the earlier one was drawn by the date of the first refund.
async fn a_refund_applies_to_the_part_drawn_by_its_date(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "npqel", "9000");
    let offer = accept_offer(&server, 90_001);
    let award = award_fees(&server, &offer, "1500", "Teach First");
    start_delivery(&server, &offer);
    let part = |pounds, on| ["awards", "draw", &award, "--on", on, "--amount", pounds, "--invoice", "INV-9"];
    run_ok(&server, &[&part("500", "2022-05-01")[..], &["--total", "1100"]].concat());
    run_ok(&server, &part("600", "2022-06-01"));
    let refund = |pounds, on| {
        let words = ["awards", "refund", &award, "--on", on, "--amount", pounds, "--reason", "paid in error"];
        [&words[..], &["--invoice", "INV-9"]].concat()
    };
    let late = run_refused_for(&server, "DATE_ORDER", &refund("500.01", "2022-05-20"));
    let limit = &late["limits"][0];
    assert_eq!(late["largest"], 50_000, "{late}");
    assert!(text(limit, "remedy").ends_with("give a date on or after 2022-06-01, or refund at most £500"), "{late}");
    let error = run_refused_for(&server, "AWARD_EXCEEDED", &refund("1100", "2022-06-20"));
    assert_eq!(error["limits"][0]["remedy"], "refund each payment apart, at most £600 by this one", "{error}");
    let invoices = |answer: Value| {
        let each = answer["invoices"].as_array().unwrap().clone();
        each.iter().map(|it| it["refunded_pence"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(invoices(run_ok(&server, &refund("500", "2022-05-20"))), [50_000, 0]);
    assert_eq!(invoices(run_ok(&server, &refund("600", "2022-06-20"))), [50_000, 60_000]);
    verify_ok(&db);
}

async fn closing_releases_what_is_committed(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let (partly_drawn, fully_drawn) = (award_credit(&server, &school, "4000"), award_credit(&server, &school, "1000"));
    let days = create_award(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    start_delivery(&server, &school);
    run_ok(&server, &draw(&partly_drawn, "1500", &[]));
    run_ok(&server, &draw(&fully_drawn, "1000", &[]));
    run_ok(&server, &["awards", "draw", &days, "--days", "0.5", "--on", "2021-11-02"]);
    let before = fund_amounts(&fund_row(&server, &fund));
    assert_eq!(before, [900_000, 250_000, 250_000, 400_000]);
    let closed = run_ok(&server, &["offers", "close", &school, "--outcome", "completed", "--on", "2022-06-30"]);
    assert_eq!((&closed["state"], &closed["outcome"]), (&json!("closed"), &json!("completed")));
    let mut released: Vec<Value> = closed["released"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["award"], it["strand"], it["unit"], it["amount"]]))
        .collect();
    released.sort_by_key(|it| it[3].as_i64());
    assert_eq!(released, [json!([days, "nle", "half_days", 3]), json!([partly_drawn, "credit", "pence", 250_000])]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 0, 250_000, 650_000]);
    // One of four half-days was delivered, for £300.
    assert_eq!(fund_amounts(&fund_row(&server, &nle_fund(&server))), [0, 0, 30_000, -30_000]);
    assert_eq!(cap_of(&server, &school, "nle"), [6, 0, 1, 5]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 250_000, 750_000]);
    // Nothing more can be awarded or drawn. A refund is still possible; its amount is available again in cap and fund.
    let more = [&["awards", "credit", &school, "--amount", "1", "--on", "2021-10-01"], &WITH_PARTNER[..]].concat();
    run_refused_for(&server, "STATE_NOT_ALLOWED", &more);
    run_refused_for(&server, "STATE_NOT_ALLOWED", &draw(&partly_drawn, "1", &[]));
    run_refused_for(
        &server,
        "STATE_NOT_ALLOWED",
        &["awards", "release", &partly_drawn, "--amount", "1", "--on", "2022-01-01"],
    );
    assert_eq!(award_amounts(&run_ok(&server, &refund(&fully_drawn, "1000", &[]))), [100_000, 100_000, 0, 100_000, 0]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 0, 150_000, 750_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 150_000, 850_000]);
    verify_ok(&db);
}

async fn declining_releases_what_is_committed(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    let declined = run_ok(&server, &["offers", "decline", &school, "--reason", "no-capacity", "--on", "2021-10-20"]);
    let released = &declined["released"][0];
    assert_eq!(
        (&declined["outcome"], &released["award"], &released["amount"]),
        (&json!("declined"), &json!(award), &json!(400_000))
    );
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 0, 0, 900_000]);
    assert_eq!(award_amounts(&run_ok(&server, &["awards", "show", &award])), [400_000, 0, 400_000, 0, 0]);
    // An offer in delivery cannot be declined, only closed.
    let other = accept_offer(&server, 910_002);
    award_credit(&server, &other, "100");
    start_delivery(&server, &other);
    run_refused_for(
        &server,
        "STATE_NOT_ALLOWED",
        &["offers", "decline", &other, "--reason", "other", "--on", "2021-10-20"],
    );
    verify_ok(&db);
}

async fn a_reopened_offer_keeps_its_releases(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    let days = create_award(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    run_ok(&server, &["awards", "book", &days, "--days", "1", "--on", "2022-03-14"]);
    start_delivery(&server, &school);
    run_ok(&server, &draw(&award, "1500", &[]));
    run_ok(&server, &["offers", "close", &school, "--outcome", "withdrawn", "--on", "2022-01-10"]);
    let reopen = as_person("ann", "administrator", &["offers", "reopen", &school, "--reason", "meant another"]);
    let first = text(&run_filed(&server, &reopen), "approval");
    // After a refund, the approval no longer states the correct effect of reopening.
    run_ok(&server, &refund(&award, "500", &[]));
    let give = |approval: &str| cli(&server, &as_person("bob", "administrator", &["approvals", "give", approval]));
    assert_eq!(give(&first).json["error"]["reason"], "APPROVAL_NOT_OPEN");
    let second = text(&run_filed(&server, &reopen), "approval");
    assert_ne!(first, second);
    let given_now = give(&second);
    assert_eq!((given_now.code, &given_now.json["offer"]["state"]), (0, &json!("delivering")), "{}", given_now.stderr);
    // The amounts that the close released stay released.
    assert_eq!(award_amounts(&run_ok(&server, &["awards", "show", &award])), [400_000, 150_000, 250_000, 50_000, 0]);
    let shown = run_ok(&server, &["awards", "show", &days]);
    assert_eq!((award_amounts(&shown), &shown["bookings"][0]["state"]), ([4, 0, 4, 0, 0], &json!("cancelled")));
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [900_000, 0, 100_000, 800_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 100_000, 900_000]);
    assert_eq!(run_refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "0.01", &[]))["largest"], 0);
    // New awards are possible, up to the available amount.
    run_ok(&server, &credit_on_refund_date(&school, "9"));
    let error = run_refused_for(&server, "FUNDS_INSUFFICIENT", &credit_on_refund_date(&school, "8000"));
    assert_eq!(error["largest"], 799_100, "£8,000 less £9");
    verify_ok(&db);
}
