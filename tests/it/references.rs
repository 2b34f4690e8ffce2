//! Checks how invoices are identified by issuer and reference, which references are invalid, and how invoices are paid in parts.
//! Also checks bookings of governance support and leaders who are funded once.

use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::{DrawAwardRequest, DrawAwardResponse, RecipientKind, draw_award_request};

use crate::client::{Client, YEAR, fresh, reason};
use crate::files::Folder;
use crate::harness::{Db, Server, both, cli};
use crate::money::{
    Claim, DAY, PROVIDER, Quantity, WITH_LEADER, WITH_PARTNER, accept_offer, amounts, award_amounts, create_award,
    create_fund_with, limit, npqel, npqel_of, start_delivery,
};
use crate::race::{award_fees, of_kind};
use crate::raw_sql::verified_heads;
use crate::samples::{import_args, path, run_ok, run_refused_for, start_with_august, text, verify_ok};
use crate::texts::{set_stored_body, violations};

both!(
    look_alike_letters_pay_nothing_twice,
    a_reference_of_an_earlier_version_is_still_answered,
    an_invoice_belongs_to_its_issuer,
    a_renamed_partner_is_the_same_issuer,
    the_details_of_an_invoice_are_checked,
    an_invoice_is_paid_in_parts,
    two_programmes_pay_no_more_than_the_total,
    a_leader_is_funded_once,
    governance_support_is_booked,
    an_equal_draw_is_a_warning,
);

/// Makes the offers of August, awards fees under one of them, starts its delivery, and returns the id of the award.
async fn seed_with_fees(client: &Client) -> String {
    let offers = client.seed().await;
    let offer = of_kind(&offers, RecipientKind::Mat).remove(0);
    client.create_fund_with(YEAR, "npqel", 1_000_000).await;
    client.accept_offer(&offer).await;
    let award = client.create_award(&offer.offer, npqel(PROVIDER, 900_000)).await;
    client.start(&offer.offer).await.unwrap();
    award
}

/// Regression: an invoice was paid twice if a letter or digit of its reference was typed in another alphabet, because the
/// comparison ignored such letters.
async fn look_alike_letters_pay_nothing_twice(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = seed_with_fees(&client).await;
    client.claim(&award, 100, "INV-A7").await.unwrap();
    // NFKC makes these the same letters and digits.
    for same_reference in ["inv a7", "ＩＮＶ－Ａ７", "INV A⁷", "𝐈𝐍𝐕-𝐀𝟕"] {
        let refused = client.claim(&award, 100, same_reference).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "INVOICE_PAID"),
            "{same_reference}"
        );
    }
    #[rustfmt::skip]
    let invalid_references = [
        ("INV-А7",        r#""А" (U+0410) at character 5"#),
        ("ΙNV-A7",        r#""Ι" (U+0399) at character 1"#),
        ("INV-A٧",        r#""٧" (U+0667) at character 6"#),
        ("INV-A७",        r#""७" (U+096D) at character 6"#),
        ("INV-Á7",        r#""Á" (U+00C1) at character 5"#),
        ("INV-A\u{301}7", r#""Á" (U+00C1) at character 6"#),
        ("IṄV-A7",        r#""Ṅ" (U+1E44) at character 2"#),
        ("INV-🅰7",        r#""🅰" (U+1F170) at character 5"#),
        ("№７ INVОA",      r#""О" (U+041E) at character 7"#),
    ];
    for (reference, named) in invalid_references {
        let refused = client.claim(&award, 100, reference).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::InvalidArgument, "FIELD_VIOLATIONS"),
            "{reference}"
        );
        let expected =
            format!("must have only the letters A to Z and the digits 0 to 9, punctuation and spaces; got {named}");
        assert_eq!(violations(&refused), [("invoice".to_owned(), expected)], "{reference}");
    }
    assert_eq!(client.get_award(&award).await.drawn, 100);
    verified_heads(&db);
}

/// A call that an earlier version accepted gets its stored answer; under another request id it is refused.
async fn a_reference_of_an_earlier_version_is_still_answered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = seed_with_fees(&client).await;
    let id = fresh();
    let claim = |request_id: &str, invoice: &str| DrawAwardRequest {
        request_id: request_id.to_owned(),
        award: award.clone(),
        amount: Some(draw_award_request::Amount::AmountPence(100)),
        date: DAY.to_owned(),
        invoice: invoice.to_owned(),
        ..Default::default()
    };
    let stored: DrawAwardResponse =
        client.award_service().draw_award(client.ask(claim(&id, "INV-7"))).await.unwrap().into_inner();
    // The earlier version ignored the accented letter.
    set_stored_body(&db, "AwardService/DrawAward", &id, &claim(&id, "INV-7é")).await;
    let again = client.award_service().draw_award(client.ask(claim(&id, "INV-7é"))).await.unwrap().into_inner();
    assert_eq!(again.encode_to_vec(), stored.encode_to_vec());
    let refused = client.award_service().draw_award(client.ask(claim(&fresh(), "INV-7é"))).await.unwrap_err();
    let (field, _) = &violations(&refused)[0];
    assert_eq!(field, "invoice");
    assert_eq!(client.get_award(&award).await.drawn, 100);
    verified_heads(&db);
}

/// Returns the command that draws pounds from an award.
fn draw<'a>(award: &'a str, pounds: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["awards", "draw", award, "--on", "2021-11-01", "--amount", pounds], more].concat()
}

/// Returns the issuer, the printed reference and the total of the last invoice that an award paid.
fn last_invoice(award: &Value) -> [Value; 3] {
    let last = award["invoices"].as_array().unwrap().last().unwrap();
    ["issuer", "printed", "total_pence"].map(|key| last[key].clone())
}

/// "A claim's reference belongs to its issuer, who made out the invoice."
async fn an_invoice_belongs_to_its_issuer(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "9000");
    create_fund_with(&server, "nlg", "9000");
    let (school, other, trust) =
        (accept_offer(&server, 910_001), accept_offer(&server, 910_003), accept_offer(&server, 90_001));
    let credit =
        |offer: &str| create_award(&server, "credit", offer, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    let (one, two) = (credit(&school), credit(&other));
    let days = create_award(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    let because = ["--amount", "900", "--because", "a new board"];
    let without_leader = create_award(&server, "nlg", &trust, &because);
    let of_hub = ["--leader", "nlg-4", "--organisation", "Larkrise Teaching School Hub"];
    let governance = create_award(&server, "nlg", &trust, &[&because[..], &of_hub].concat());
    for offer in [&school, &other, &trust] {
        start_delivery(&server, offer);
    }

    // The issuer of a credit invoice is the partner trust, by its name in the register, unless the call names another issuer.
    let paid = run_ok(&server, &draw(&one, "300", &["--invoice", "No. 7/a"]));
    let partner = text(&paid["invoices"][0], "issuer");
    assert_eq!(last_invoice(&paid), [json!(partner), json!("No. 7/a"), Value::Null]);
    run_refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &["--invoice", "no 7A"]));
    run_refused_for(
        &server,
        "INVOICE_PAID",
        &draw(&two, "1", &["--invoice", "NO7A", "--issuer", &partner.to_uppercase()]),
    );
    let named = run_ok(&server, &draw(&two, "300", &["--invoice", "no 7A", "--issuer", "Ash & Co."]));
    assert_eq!(last_invoice(&named), [json!("Ash & Co."), json!("no 7A"), Value::Null]);
    // An invoice of the partner cannot be paid again under another strand.
    run_refused_for(&server, "INVOICE_PAID", &draw(&without_leader, "1", &["--invoice", "NO7A", "--issuer", &partner]));

    // The issuer of an invoice for days is the leader's organisation. It is stored outside the record, and every reader sees it.
    let deliver = |invoice| {
        ["awards", "draw", &days, "--days", "1", "--on", "2021-11-01", "--invoice", invoice].map(str::to_owned)
    };
    let delivered = run_ok(&server, &deliver("H-1").each_ref().map(String::as_str));
    assert_eq!(last_invoice(&delivered), [Value::Null, json!("H-1"), Value::Null]);
    let shown = run_ok(&server, &["awards", "show", &days]);
    assert_eq!(last_invoice(&shown)[0], "Larkrise Teaching School Hub");
    assert_eq!(shown["invoices"][0]["amount_pence"], 60_000);
    run_refused_for(&server, "INVOICE_PAID", &deliver("h1").each_ref().map(String::as_str));
    // Governance support by the same organisation has the same issuer. If the award names no organisation, the call must name
    // the issuer.
    run_refused_for(&server, "INVOICE_PAID", &draw(&governance, "1", &["--invoice", "H1"]));
    run_ok(&server, &draw(&governance, "1", &["--invoice", "H2"]));
    run_refused_for(&server, "CLAIM_ISSUER_MISSING", &draw(&without_leader, "1", &["--invoice", "H3"]));
    run_ok(&server, &draw(&without_leader, "1", &["--invoice", "H3", "--issuer", "Larkrise Teaching School Hub"]));
    run_refused_for(&server, "INVOICE_PAID", &draw(&governance, "1", &["--invoice", "H3"]));
    // A draw without a reference records no invoice.
    let plain = run_ok(&server, &draw(&one, "5", &[]));
    assert_eq!(plain["invoices"].as_array().unwrap().len(), 1);

    // A refund without an invoice refunds draws without one. An invoice may be paid again after it is completely refunded.
    let refund = |pounds: &str, more: &[&str]| {
        let words = ["awards", "refund", &one, "--on", "2022-02-01", "--amount", pounds, "--reason", "in error"];
        cli(&server, &[&words[..], more].concat())
    };
    let too_much = refund("5.01", &[]).json;
    assert_eq!([&too_much["error"]["reason"], &too_much["error"]["largest"]], [&json!("AWARD_EXCEEDED"), &json!(500)]);
    assert_eq!(refund("5", &[]).code, 0);
    run_refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &["--invoice", "NO7A"]));
    assert_eq!(refund("300", &["--invoice", "no.7a"]).code, 0);
    run_ok(&server, &draw(&two, "1", &["--invoice", "NO7A"]));
    verify_ok(&db);
}

/// Regression: the invoice of a partner trust was paid twice once a newer register had renamed the trust.
async fn a_renamed_partner_is_the_same_issuer(db: Db) {
    let (mut server, folder) = (start_with_august(&db), Folder::new());
    create_fund_with(&server, "credit", "9000");
    let offers = [910_001, 910_003].map(|urn| accept_offer(&server, urn));
    let credit =
        |offer: &str| create_award(&server, "credit", offer, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    let [one, two] = offers.each_ref().map(|offer| credit(offer));
    offers.iter().for_each(|offer| start_delivery(&server, offer));
    let without_total = ["--invoice", "INV-1"];
    let with_total = ["--invoice", "INV-2", "--total", "300"];
    let before = run_ok(&server, &draw(&one, "300", &without_total));
    run_ok(&server, &draw(&one, "100", &with_total));
    let groups = std::fs::read_to_string(path("gias_groups_2022-03.csv")).unwrap();
    let renamed = groups.replace("Alderquill Learning Trust", "Abbot Hill Schools");
    assert_ne!(groups, renamed);
    let renamed = folder.write("groups.csv", renamed.as_bytes());
    run_ok(&server, &["import", "register", &renamed, "--as-at", "2022-03-31"]);
    for issuer in [&[][..], &["--issuer", "Abbot Hill Schools"], &["--issuer", "Alderquill Learning Trust"]] {
        run_refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &[&without_total[..], issuer].concat()));
    }
    // Further parts keep the issuer's name of the first part, and are paid up to the same total.
    let second = run_ok(&server, &draw(&two, "150", &with_total));
    assert_eq!(last_invoice(&second), [last_invoice(&before)[0].clone(), json!("INV-2"), json!(30_000)]);
    run_refused_for(&server, "CLAIM_TOTAL_EXCEEDED", &draw(&one, "51", &with_total));
    let new = run_ok(&server, &draw(&two, "1", &["--invoice", "INV-3"]));
    assert_eq!(last_invoice(&new), [json!("Abbot Hill Schools"), json!("INV-3"), Value::Null]);
    // The file of membership of the same day prints the former name. The file of groups takes precedence.
    run_ok(&server, &import_args(("gias_membership_2022-03.csv", "2022-03-31")).each_ref().map(String::as_str));
    let new = run_ok(&server, &draw(&two, "1", &["--invoice", "INV-4"]));
    assert_eq!(last_invoice(&new), [json!("Abbot Hill Schools"), json!("INV-4"), Value::Null]);
    server.stop();
    verified_heads(&db);
}

/// One refusal names every mistake in the details of an invoice.
async fn the_details_of_an_invoice_are_checked(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = seed_with_fees(&client).await;
    #[rustfmt::skip]
    let rows = [
        (Claim { issuer: "Teach First", total_pence: 5, ..Claim::of(&award, 1, "") }, vec![("issuer", "name its reference"), ("total_pence", "name its reference")]),
        (Claim { issuer: "Теach First", ..Claim::of(&award, 1, "A-1") },  vec![("issuer", "\"Т\" (U+0422) at character 1")]),
        (Claim { issuer: "–&–", ..Claim::of(&award, 1, "A-1") },          vec![("issuer", "must have a letter or a digit, got")]),
        (Claim { total_pence: -1, ..Claim::of(&award, 1, "A-1") },        vec![("total_pence", "pence, got -1")]),
        (Claim { issuer: "Оak", total_pence: -1, ..Claim::of(&award, 1, "А-1") }, vec![("invoice", "U+0410"), ("issuer", "U+041E"), ("total_pence", "-1")]),
        (Claim::of(&award, 1, "no digit"),                                vec![("invoice", "at least one of them a digit, got \"NODIGIT\"")]),
    ];
    for (claim, expected) in rows {
        let refused = client.pay(claim).await.unwrap_err();
        let found = violations(&refused);
        assert_eq!(found.len(), expected.len(), "{claim:?}: {found:?}");
        for ((field, part), (found_field, description)) in expected.iter().zip(&found) {
            assert!(found_field == field && description.contains(part), "{claim:?}: {found:?}");
        }
    }
    let other = client.pay(Claim { issuer: "Oak Trust", ..Claim::of(&award, 1, "A-1") }).await.unwrap_err();
    assert_eq!(reason(&other), "INVOICE_NOT_EXPECTED", "only the provider issues invoices of fees");
    client.pay(Claim { issuer: "TEACH FIRST", ..Claim::of(&award, 1, "A-1") }).await.unwrap();
    verified_heads(&db);
}

/// "It may be drawn in parts, from one award or several, up to that total."
async fn an_invoice_is_paid_in_parts(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let one = seed_with_fees(&client).await;
    let offer = client.get_award(&one).await.offer;
    let two = client.create_award(&offer, npqel(PROVIDER, 90_000)).await;
    let of_total = |award, pence, total_pence| Claim { total_pence, ..Claim::of(award, pence, "INV 1") };
    let above = client.pay(of_total(&one, 50_001, 50_000)).await.unwrap_err();
    assert_eq!(reason(&above), "CLAIM_TOTAL_EXCEEDED");
    let first = client.pay(of_total(&one, 20_000, 50_000)).await.unwrap().award.unwrap();
    assert_eq!(first.invoices[0].total_pence, 50_000);
    client.pay(of_total(&two, 10_000, 0)).await.unwrap();
    let differs = client.pay(of_total(&one, 1, 50_001)).await.unwrap_err();
    assert_eq!((differs.code(), reason(&differs).as_str()), (Code::FailedPrecondition, "CLAIM_TOTAL_DIFFERS"));
    let above_rest = client.pay(of_total(&two, 20_001, 50_000)).await.unwrap_err();
    let binding_limit = limit(&above_rest, "award");
    assert_eq!(reason(&above_rest), "CLAIM_TOTAL_EXCEEDED");
    assert_eq!(
        [binding_limit.limit, binding_limit.spent, binding_limit.available],
        [Some(50_000), Some(30_000), Some(20_000)]
    );
    client.pay(of_total(&two, 20_000, 50_000)).await.unwrap();
    assert_eq!(reason(&client.pay(of_total(&one, 1, 50_000)).await.unwrap_err()), "INVOICE_PAID");
    // Without a total, a single draw pays the invoice, and a later total does not raise it.
    client.claim(&one, 5, "INV 2").await.unwrap();
    let later = client.pay(Claim { total_pence: 50, ..Claim::of(&one, 5, "INV 2") }).await.unwrap_err();
    assert_eq!(reason(&later), "INVOICE_PAID");
    // After a complete refund, the invoice may be paid again with another total.
    for (award, pence) in [(&one, 20_000), (&two, 20_000), (&two, 10_000)] {
        client.refund_invoice(award, pence, "inv1").await;
    }
    client.pay(of_total(&two, 40_000, 70_000)).await.unwrap();
    assert_eq!(amounts(&client.get_award(&two).await), [90_000, 70_000, 0, 30_000, 20_000]);
    verified_heads(&db);
}

/// Each programme has a writer of its own, but together two programmes pay no more than the total of an invoice.
async fn two_programmes_pay_no_more_than_the_total(db: Db) {
    const DAYS: [&str; 2] = ["2021-11-01", "2022-11-01"];
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (this, next) = client.seed_both().await;
    let [this, next] = [this, next].map(|offers| of_kind(&offers, RecipientKind::Mat).remove(0));
    let awards = [award_fees(&client, &this, DAYS[0]).await, award_fees(&client, &next, DAYS[1]).await];
    for round in 0..20 {
        let invoice = format!("INV-{round}");
        let pay = |which: usize| {
            let claim = Claim { date: DAYS[which], total_pence: 100, ..Claim::of(&awards[which], 60, &invoice) };
            client.pay(claim)
        };
        let (which, loser) = match tokio::join!(pay(0), pay(1)) {
            (Ok(_), Err(status)) => (0, status),
            (Err(status), Ok(_)) => (1, status),
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!(reason(&loser), "CLAIM_TOTAL_EXCEEDED", "{loser:?}");
        assert_eq!(limit(&loser, "award").available, Some(40));
        // The other programme may pay the rest.
        let rest = Claim { date: DAYS[1 - which], ..Claim::of(&awards[1 - which], 40, &invoice) };
        client.pay(rest).await.unwrap();
        assert_eq!(reason(&pay(which).await.unwrap_err()), "INVOICE_PAID");
    }
    let mut drawn = 0;
    for award in &awards {
        drawn += client.get_award(award).await.drawn;
    }
    assert_eq!(drawn, 20 * 100);
    verified_heads(&db);
}

/// "An NPQEL leader is funded once in a programme, unless the earlier award was wholly released, refunded or undone."
async fn a_leader_is_funded_once(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.create_fund_with(YEAR, "npqel", 1_000_000).await;
    let trusts = of_kind(&offers, RecipientKind::Mat);
    let (one, two) = (&trusts[0], &trusts[1]);
    client.accept_offer(one).await;
    client.accept_offer(two).await;
    let award_to = |leader: &str| vec![npqel_of(leader, PROVIDER, 1_000)];
    let first = client.create_award(&one.offer, award_to("ceo-7").remove(0)).await;
    client.create_award(&one.offer, award_to("ceo-8").remove(0)).await;
    for (offer, leader) in [(one, "ceo-7"), (two, "CEO-7")] {
        let refused = client.award(&offer.offer, award_to(leader), &fresh()).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "LEADER_FUNDED"),
            "{leader}"
        );
        assert_eq!(limit(&refused, "recipient").account, format!("leader {leader}"));
    }
    let twice = [award_to("ceo-9"), award_to("Ceo-9")].concat();
    assert_eq!(reason(&client.award(&two.offer, twice, &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    // The award is drawn, then refunded in part and completely, and the rest is released.
    client.start(&one.offer).await.unwrap();
    client.claim(&first, 400, "A-1").await.unwrap();
    client.release(&first, None).await.unwrap();
    client.refund_invoice(&first, 399, "A-1").await;
    assert_eq!(reason(&client.award(&two.offer, award_to("ceo-7"), &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    client.refund_invoice(&first, 1, "A-1").await;
    let second = client.create_award(&two.offer, award_to("Ceo-7").remove(0)).await;
    assert_eq!(reason(&client.award(&one.offer, award_to("ceo-7"), &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    // After the award is completely released, the leader can be funded again.
    client.release(&second, Some(Quantity::Pence(1_000))).await.unwrap();
    client.create_award(&one.offer, award_to("ceo-7").remove(0)).await;
    verified_heads(&db);
}

/// "NLG support names the leader of governance; its bookings are lines without entries, delivering them moves no money."
async fn governance_support_is_booked(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "nlg", "9000");
    let (trust, school) = (accept_offer(&server, 90_001), accept_offer(&server, 910_001));
    let because = ["--amount", "900", "--because", "a new board"];
    let without_leader = create_award(&server, "nlg", &trust, &because);
    let shown = run_ok(&server, &["awards", "show", &without_leader]);
    assert_eq!(
        [&shown["leader"], &shown["organisation"]],
        [&Value::Null, &Value::Null],
        "a leader or an organisation is recorded"
    );
    let of_hub = ["--leader", "nlg-4", "--organisation", "Larkrise Teaching School Hub"];
    let award = create_award(&server, "nlg", &trust, &[&because[..], &of_hub].concat());
    start_delivery(&server, &trust);
    let book = |award: &str, more: &[&str]| {
        let words = ["awards", "book", award, "--days", "1.5", "--on", "2022-03-14"];
        cli(&server, &[&words[..], more].concat()).json
    };
    assert_eq!(book(&without_leader, &[])["error"]["reason"], "BOOKING_LEADER_MISSING");
    assert_eq!(book(&without_leader, &["--leader", "nlg-9"])["bookings"][0]["leader"], "nlg-9");
    assert_eq!(book(&award, &["--leader-kind", "equivalent"])["error"]["reason"], "UNIT_MISMATCH");
    let entries = run_ok(&server, &["funds", "entries", &fund]);
    let first = book(&award, &[])["booking"].as_i64().unwrap().to_string();
    let second = book(&award, &[])["booking"].as_i64().unwrap().to_string();
    let deliver = |booking: &str, more: &[&str]| {
        cli(&server, &[&["awards", "draw", &award, "--booking", booking, "--on", "2022-03-14"], more].concat()).json
    };
    assert_eq!(deliver(&first, &["--amount", "1"])["error"]["reason"], "UNIT_MISMATCH");
    let delivered = deliver(&first, &[]);
    assert_eq!(
        (award_amounts(&delivered), &delivered["bookings"][0]["state"]),
        ([90_000, 0, 0, 0, 90_000], &json!("delivered"))
    );
    assert_eq!(deliver(&first, &[])["error"]["reason"], "BOOKING_NOT_OPEN");
    assert_eq!(run_ok(&server, &["funds", "entries", &fund]), entries, "bookings move no money");
    // A claim draws money, whether or not there are bookings. Closing the offer cancels the open bookings.
    run_ok(&server, &draw(&award, "900", &["--invoice", "G 1"]));
    let kinds = run_ok(&server, &["offers", "events", &trust]);
    let kinds: Vec<&str> = kinds.as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|it| **it == "booking_delivered").count(), 1);
    let closed = run_ok(&server, &["offers", "close", &trust, "--outcome", "completed", "--on", "2022-06-30"]);
    let released: Vec<&Value> = closed["released"].as_array().unwrap().iter().map(|it| &it["award"]).collect();
    assert_eq!(released, [&json!(without_leader)], "the other award was completely drawn");
    let shown = run_ok(&server, &["awards", "show", &award]);
    let states: Vec<&Value> = shown["bookings"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!((states, second.is_empty()), (vec![&json!("delivered"), &json!("cancelled")], false));

    // The kind of the leader is national leader or equivalent. It is optional.
    let days =
        |kind: &[&str]| create_award(&server, "nle", &school, &[&["--days", "1"], &WITH_LEADER[..], kind].concat());
    let (without_kind, with_kind) = (days(&[]), days(&["--leader-kind", "national-leader"]));
    let book_half_day = |award: &str, more: &[&str]| {
        let words = ["awards", "book", award, "--days", "0.5", "--on", "2022-03-14"];
        let answer = cli(&server, &[&words[..], more].concat()).json;
        answer["bookings"].as_array().unwrap().last().unwrap()["leader_kind"].clone()
    };
    assert_eq!(run_ok(&server, &["awards", "show", &without_kind])["leader_kind"], Value::Null);
    assert_eq!(run_ok(&server, &["awards", "show", &with_kind])["leader_kind"], "national_leader");
    assert_eq!(book_half_day(&without_kind, &[]), Value::Null);
    assert_eq!(book_half_day(&with_kind, &[]), "national_leader");
    assert_eq!(book_half_day(&without_kind, &["--leader", "nle-99", "--leader-kind", "equivalent"]), "equivalent");
    assert_eq!(
        book_half_day(&with_kind, &["--leader", "nle-99"]),
        Value::Null,
        "the award's kind is that of its own leader only"
    );
    verify_ok(&db);
}

/// "Two equal draws of one award on one day without a reference bring a warning."
async fn an_equal_draw_is_a_warning(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let award = create_award(&server, "credit", &school, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    start_delivery(&server, &school);
    let codes = |words: &[&str]| {
        let warnings = run_ok(&server, words)["warnings"].as_array().unwrap().clone();
        warnings.iter().map(|it| text(it, "code")).filter(|it| it == "DRAW_REPEATED").count()
    };
    let on = |date| ["awards", "draw", &award, "--amount", "10", "--on", date].map(str::to_owned);
    assert_eq!(codes(&draw(&award, "10", &[])), 0);
    assert_eq!(codes(&draw(&award, "10", &[])), 1);
    assert_eq!(codes(&draw(&award, "11", &[])), 0);
    assert_eq!(codes(&on("2021-11-02").each_ref().map(String::as_str)), 0);
    assert_eq!(codes(&draw(&award, "10", &["--invoice", "A 1"])), 0);
    verify_ok(&db);
}
