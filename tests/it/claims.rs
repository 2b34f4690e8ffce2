//! Changes of awards: claims and invoices, refunds, and offers that are closed, declined or reopened.

use serde_json::{Value, json};

use super::client::fresh;
use super::harness::{Db, Server, both, cli};
use super::money::{
    WITH_LEADER, WITH_PARTNER, cap_of, counted, fund_row, funded, given, moved, nle_fund, started, taken,
};
use super::samples::{august, done, refused_for, said_by, text, verified};

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
    given(server, "credit", offer, &[&["--amount", pounds], &WITH_PARTNER[..]].concat())
}

/// The arguments of a credit award, dated like the refunds.
fn credit_on_refund_date<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
    [&["awards", "credit", offer, "--on", "2022-02-01", "--amount", pounds], &WITH_PARTNER[..]].concat()
}

/// Awards fees for a new leader, and returns the id of the award.
fn award_fees(server: &Server, offer: &str, pounds: &str, provider: &str) -> String {
    let leader = fresh();
    let words = ["--amount", pounds, "--provider", provider, "--leader", &leader, "--because", "first post"];
    given(server, "npqel", offer, &words)
}

async fn claims_are_paid_and_refunded(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "credit", "9000");
    let school = taken(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    refused_for(&server, "STATE_NOT_ALLOWED", &draw(&award, "1", &[]));
    started(&server, &school);
    assert_eq!(moved(&done(&server, &draw(&award, "1500", &[]))), [400_000, 150_000, 0, 0, 250_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 250_000, 150_000, 600_000]);
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 250_000, 150_000, 500_000]);
    // A draw, refund or release beyond what is possible names the largest amount.
    assert_eq!(refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "2500.01", &[]))["largest"], 250_000);
    assert_eq!(refused_for(&server, "AWARD_EXCEEDED", &refund(&award, "1500.01", &[]))["largest"], 150_000);
    let release = |pounds: &'static str| {
        ["awards", "release", &award, "--amount", pounds, "--on", "2021-12-01"].map(str::to_owned)
    };
    let error = refused_for(&server, "AWARD_EXCEEDED", &release("2500.01").each_ref().map(String::as_str));
    assert_eq!(error["largest"], 250_000);
    // Released and refunded amounts are available again in cap and fund.
    done(&server, &release("500").each_ref().map(String::as_str));
    assert_eq!(moved(&done(&server, &refund(&award, "1000", &[]))), [400_000, 150_000, 50_000, 100_000, 200_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 200_000, 50_000, 750_000]);
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 200_000, 50_000, 650_000]);
    assert_eq!(refused_for(&server, "AWARD_EXCEEDED", &refund(&award, "500.01", &[]))["largest"], 50_000);
    // A release without an amount releases the rest.
    let settled = done(&server, &["awards", "release", &award, "--on", "2021-12-01"]);
    assert_eq!((moved(&settled), &settled["state"]), ([400_000, 150_000, 250_000, 100_000, 0], &json!("settled")));
    refused_for(&server, "AWARD_EXCEEDED", &["awards", "release", &award, "--on", "2021-12-01"]);
    assert_eq!(refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "0.01", &[]))["largest"], 0);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 50_000, 950_000]);
    // A refunded amount can be awarded from the date of the refund on. In December £7,500 are available: the allocation
    // less the £1,500 drawn.
    let early = [&["awards", "credit", &school, "--on", "2021-12-01", "--amount", "8500"], &WITH_PARTNER[..]].concat();
    assert_eq!(refused_for(&server, "FUNDS_INSUFFICIENT", &early)["largest"], 750_000);
    let last = text(&done(&server, &credit_on_refund_date(&school, "8500")), "award");
    // Claims are paid until 31 December 2022.
    let draw_on = |date: &'static str| ["awards", "draw", &last, "--amount", "1", "--on", date].map(str::to_owned);
    done(&server, &draw_on("2022-12-31").each_ref().map(String::as_str));
    refused_for(&server, "OUTSIDE_WINDOW", &draw_on("2023-01-01").each_ref().map(String::as_str));
    verified(&db);
}

async fn an_invoice_is_paid_once(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "npqel", "9000");
    let (first_trust, second_trust) = (taken(&server, 90_001), taken(&server, 90_002));
    let first = award_fees(&server, &first_trust, "900", "Teach First");
    let second = award_fees(&server, &second_trust, "900", "Teach First");
    let other = award_fees(&server, &second_trust, "900", "Ambition Institute");
    started(&server, &first_trust);
    started(&server, &second_trust);
    refused_for(&server, "INVOICE_MISSING", &draw(&first, "300", &[]));
    let paid = done(&server, &draw(&first, "300", &["--invoice", " inv-001/22 "]));
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
            refused_for(&server, "INVOICE_PAID", &draw(award, "1", &["--invoice", invoice]));
        }
    }
    done(&server, &draw(&other, "100", &["--invoice", "INV00122"]));
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 230_000, 40_000, 630_000]);
    // An invoice can be paid again only after a full refund.
    done(&server, &refund(&first, "299.99", &[]));
    refused_for(&server, "INVOICE_PAID", &draw(&second, "1", &["--invoice", "INV00122"]));
    done(&server, &refund(&first, "0.01", &[]));
    done(&server, &draw(&second, "200", &["--invoice", "INV00122"]));
    refused_for(&server, "INVOICE_PAID", &draw(&first, "1", &["--invoice", "INV00122"]));
    // If an award has several paid invoices, a refund must name one of them. It is at most the amount paid on that
    // invoice.
    done(&server, &draw(&second, "100", &["--invoice", "B 2"]));
    refused_for(&server, "INVOICE_MISSING", &refund(&second, "50", &[]));
    let error = refused_for(&server, "AWARD_EXCEEDED", &refund(&second, "100.01", &["--invoice", "b2"]));
    assert_eq!(error["largest"], 10_000);
    let after = done(&server, &refund(&second, "100", &["--invoice", "b2"]));
    let expected = json!([invoice("INV00122", "INV00122", 20_000, 0), invoice("B2", "B 2", 10_000, 10_000)]);
    assert_eq!((&after["invoices"], moved(&after)), (&expected, [90_000, 30_000, 0, 10_000, 60_000]));
    verified(&db);
}

/// Of two parts of an invoice, only the earlier one was drawn by the date of the first refund.
async fn a_refund_applies_to_the_part_drawn_by_its_date(db: Db) {
    let server = august(&db);
    funded(&server, "npqel", "9000");
    let offer = taken(&server, 90_001);
    let award = award_fees(&server, &offer, "1500", "Teach First");
    started(&server, &offer);
    let part = |pounds, on| ["awards", "draw", &award, "--on", on, "--amount", pounds, "--invoice", "INV-9"];
    done(&server, &[&part("500", "2022-05-01")[..], &["--total", "1100"]].concat());
    done(&server, &part("600", "2022-06-01"));
    let refund = |pounds, on| {
        let words = ["awards", "refund", &award, "--on", on, "--amount", pounds, "--reason", "paid in error"];
        [&words[..], &["--invoice", "INV-9"]].concat()
    };
    let late = refused_for(&server, "DATE_ORDER", &refund("500.01", "2022-05-20"));
    let limit = &late["limits"][0];
    assert_eq!(late["largest"], 50_000, "{late}");
    assert!(text(limit, "remedy").ends_with("give a date on or after 2022-06-01, or refund at most £500"), "{late}");
    let error = refused_for(&server, "AWARD_EXCEEDED", &refund("1100", "2022-06-20"));
    assert_eq!(error["limits"][0]["remedy"], "refund each payment apart, at most £600 by this one", "{error}");
    let invoices = |answer: Value| {
        let each = answer["invoices"].as_array().unwrap().clone();
        each.iter().map(|it| it["refunded_pence"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(invoices(done(&server, &refund("500", "2022-05-20"))), [50_000, 0]);
    assert_eq!(invoices(done(&server, &refund("600", "2022-06-20"))), [50_000, 60_000]);
    verified(&db);
}

async fn closing_releases_what_is_committed(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "credit", "9000");
    let school = taken(&server, 910_001);
    let (partly_drawn, fully_drawn) = (award_credit(&server, &school, "4000"), award_credit(&server, &school, "1000"));
    let days = given(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    started(&server, &school);
    done(&server, &draw(&partly_drawn, "1500", &[]));
    done(&server, &draw(&fully_drawn, "1000", &[]));
    done(&server, &["awards", "draw", &days, "--days", "0.5", "--on", "2021-11-02"]);
    let before = counted(&fund_row(&server, &fund));
    assert_eq!(before, [900_000, 250_000, 250_000, 400_000]);
    let closed = done(&server, &["offers", "close", &school, "--outcome", "completed", "--on", "2022-06-30"]);
    assert_eq!((&closed["state"], &closed["outcome"]), (&json!("closed"), &json!("completed")));
    let mut released: Vec<Value> = closed["released"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["award"], it["strand"], it["unit"], it["amount"]]))
        .collect();
    released.sort_by_key(|it| it[3].as_i64());
    assert_eq!(released, [json!([days, "nle", "half_days", 3]), json!([partly_drawn, "credit", "pence", 250_000])]);
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 0, 250_000, 650_000]);
    // One of four half-days was delivered, for £300.
    assert_eq!(counted(&fund_row(&server, &nle_fund(&server))), [0, 0, 30_000, -30_000]);
    assert_eq!(cap_of(&server, &school, "nle"), [6, 0, 1, 5]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 250_000, 750_000]);
    // Nothing more can be awarded or drawn. A refund is still possible; its amount is available again in cap and fund.
    let more = [&["awards", "credit", &school, "--amount", "1", "--on", "2021-10-01"], &WITH_PARTNER[..]].concat();
    refused_for(&server, "STATE_NOT_ALLOWED", &more);
    refused_for(&server, "STATE_NOT_ALLOWED", &draw(&partly_drawn, "1", &[]));
    refused_for(
        &server,
        "STATE_NOT_ALLOWED",
        &["awards", "release", &partly_drawn, "--amount", "1", "--on", "2022-01-01"],
    );
    assert_eq!(moved(&done(&server, &refund(&fully_drawn, "1000", &[]))), [100_000, 100_000, 0, 100_000, 0]);
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 0, 150_000, 750_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 150_000, 850_000]);
    verified(&db);
}

async fn declining_releases_what_is_committed(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "credit", "9000");
    let school = taken(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    let declined = done(&server, &["offers", "decline", &school, "--reason", "no-capacity", "--on", "2021-10-20"]);
    let released = &declined["released"][0];
    assert_eq!(
        (&declined["outcome"], &released["award"], &released["amount"]),
        (&json!("declined"), &json!(award), &json!(400_000))
    );
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 0, 0, 900_000]);
    assert_eq!(moved(&done(&server, &["awards", "show", &award])), [400_000, 0, 400_000, 0, 0]);
    // An offer in delivery cannot be declined, only closed.
    let other = taken(&server, 910_002);
    award_credit(&server, &other, "100");
    started(&server, &other);
    refused_for(
        &server,
        "STATE_NOT_ALLOWED",
        &["offers", "decline", &other, "--reason", "other", "--on", "2021-10-20"],
    );
    verified(&db);
}

async fn a_reopened_offer_keeps_its_releases(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "credit", "9000");
    let school = taken(&server, 910_001);
    let award = award_credit(&server, &school, "4000");
    let days = given(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    done(&server, &["awards", "book", &days, "--days", "1", "--on", "2022-03-14"]);
    started(&server, &school);
    done(&server, &draw(&award, "1500", &[]));
    done(&server, &["offers", "close", &school, "--outcome", "withdrawn", "--on", "2022-01-10"]);
    let ask = said_by("ann", "administrator", &["offers", "reopen", &school, "--reason", "meant another"]);
    let first = text(&refused_for(&server, "APPROVAL_REQUIRED", &ask), "approval");
    // After a refund, the approval no longer states the correct effect of reopening.
    done(&server, &refund(&award, "500", &[]));
    let give = |approval: &str| cli(&server, &said_by("bob", "administrator", &["approvals", "give", approval]));
    assert_eq!(give(&first).json["error"]["reason"], "APPROVAL_NOT_OPEN");
    let second = text(&refused_for(&server, "APPROVAL_REQUIRED", &ask), "approval");
    assert_ne!(first, second);
    let given_now = give(&second);
    assert_eq!((given_now.code, &given_now.json["offer"]["state"]), (0, &json!("delivering")), "{}", given_now.stderr);
    // The amounts that the close released stay released.
    assert_eq!(moved(&done(&server, &["awards", "show", &award])), [400_000, 150_000, 250_000, 50_000, 0]);
    let shown = done(&server, &["awards", "show", &days]);
    assert_eq!((moved(&shown), &shown["bookings"][0]["state"]), ([4, 0, 4, 0, 0], &json!("cancelled")));
    assert_eq!(counted(&fund_row(&server, &fund)), [900_000, 0, 100_000, 800_000]);
    assert_eq!(cap_of(&server, &school, "credit"), [1_000_000, 0, 100_000, 900_000]);
    assert_eq!(refused_for(&server, "AWARD_EXCEEDED", &draw(&award, "0.01", &[]))["largest"], 0);
    // New awards are possible, up to the available amount.
    done(&server, &credit_on_refund_date(&school, "9"));
    let error = refused_for(&server, "FUNDS_INSUFFICIENT", &credit_on_refund_date(&school, "8000"));
    assert_eq!(error["largest"], 799_100, "£8,000 less £9");
    verified(&db);
}
