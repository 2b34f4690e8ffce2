//! References of invoices: which texts are the same reference, and which are invalid.

use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::{DrawAwardRequest, DrawAwardResponse, RecipientKind, draw_award_request};

use crate::client::{Client, YEAR, fresh, reason};
use crate::files::Folder;
use crate::harness::{Db, Server, both, cli};
use crate::money::{
    Claim, DAY, Much, PROVIDER, WITH_LEADER, WITH_PARTNER, amounts, funded, given, limit, moved, npqel, npqel_of,
    started, taken,
};
use crate::race::{fees as fees_in, of_kind};
use crate::raw_sql::proved;
use crate::samples::{august, done, path, refused_for, text, verified};
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

/// Makes an award of fees and starts its delivery.
async fn fees(client: &Client) -> String {
    let offers = client.seed().await;
    let offer = of_kind(&offers, RecipientKind::Mat).remove(0);
    client.financed(YEAR, "npqel", 1_000_000).await;
    client.accepted(&offer).await;
    let award = client.awarded(&offer.offer, npqel(PROVIDER, 900_000)).await;
    client.start(&offer.offer).await.unwrap();
    award
}

/// Regression: an invoice was paid twice if one of its letters or digits was typed in another alphabet, because the
/// comparison left such letters out.
async fn look_alike_letters_pay_nothing_twice(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = fees(&client).await;
    client.claim(&award, 100, "INV-A7").await.unwrap();
    // NFKC makes these the same letters and digits.
    for same in ["inv a7", "ＩＮＶ－Ａ７", "INV A⁷", "𝐈𝐍𝐕-𝐀𝟕"] {
        let refused = client.claim(&award, 100, same).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "INVOICE_PAID"), "{same}");
    }
    #[rustfmt::skip]
    let others = [
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
    for (other, named) in others {
        let refused = client.claim(&award, 100, other).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"), "{other}");
        let expected =
            format!("must have only the letters A to Z and the digits 0 to 9, punctuation and spaces; got {named}");
        assert_eq!(violations(&refused), [("invoice".to_owned(), expected)], "{other}");
    }
    assert_eq!(client.get_award(&award).await.drawn, 100);
    proved(&db);
}

/// A call that an earlier version accepted gets its stored answer; under another request id it is refused.
async fn a_reference_of_an_earlier_version_is_still_answered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = fees(&client).await;
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
    // The earlier version left the accented letter out.
    set_stored_body(&db, "AwardService/DrawAward", &id, &claim(&id, "INV-7é")).await;
    let again = client.award_service().draw_award(client.ask(claim(&id, "INV-7é"))).await.unwrap().into_inner();
    assert_eq!(again.encode_to_vec(), stored.encode_to_vec());
    let refused = client.award_service().draw_award(client.ask(claim(&fresh(), "INV-7é"))).await.unwrap_err();
    assert_eq!(violations(&refused)[0].0, "invoice");
    assert_eq!(client.get_award(&award).await.drawn, 100);
    proved(&db);
}

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
    let server = august(&db);
    funded(&server, "credit", "9000");
    funded(&server, "nlg", "9000");
    let (school, other, trust) = (taken(&server, 910_001), taken(&server, 910_003), taken(&server, 90_001));
    let credit = |offer: &str| given(&server, "credit", offer, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    let (one, two) = (credit(&school), credit(&other));
    let days = given(&server, "nle", &school, &[&["--days", "2"], &WITH_LEADER[..]].concat());
    let because = ["--amount", "900", "--because", "a new board"];
    let silent = given(&server, "nlg", &trust, &because);
    let of_hub = ["--leader", "nlg-4", "--organisation", "Larkrise Teaching School Hub"];
    let governance = given(&server, "nlg", &trust, &[&because[..], &of_hub].concat());
    for offer in [&school, &other, &trust] {
        started(&server, offer);
    }

    // Credit: the partner trust, by its name in the register, or the issuer named.
    let paid = done(&server, &draw(&one, "300", &["--invoice", "No. 7/a"]));
    let partner = text(&paid["invoices"][0], "issuer");
    assert_eq!(last_invoice(&paid), [json!(partner), json!("No. 7/a"), Value::Null]);
    refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &["--invoice", "no 7A"]));
    refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &["--invoice", "NO7A", "--issuer", &partner.to_uppercase()]));
    let named = done(&server, &draw(&two, "300", &["--invoice", "no 7A", "--issuer", "Ash & Co."]));
    assert_eq!(last_invoice(&named), [json!("Ash & Co."), json!("no 7A"), Value::Null]);
    // The partner's invoice is the same one under another strand.
    refused_for(&server, "INVOICE_PAID", &draw(&silent, "1", &["--invoice", "NO7A", "--issuer", &partner]));

    // Leader time: the leader's organisation, which is stored apart and is shown to every reader.
    let deliver = |invoice| {
        ["awards", "draw", &days, "--days", "1", "--on", "2021-11-01", "--invoice", invoice].map(str::to_owned)
    };
    let delivered = done(&server, &deliver("H-1").each_ref().map(String::as_str));
    assert_eq!(last_invoice(&delivered), [Value::Null, json!("H-1"), Value::Null]);
    let shown = done(&server, &["awards", "show", &days]);
    assert_eq!(last_invoice(&shown)[0], "Larkrise Teaching School Hub");
    assert_eq!(shown["invoices"][0]["amount_pence"], 60_000);
    refused_for(&server, "INVOICE_PAID", &deliver("h1").each_ref().map(String::as_str));
    // Governance support: the same organisation, so the same invoice. Without a recorded one, the call has to name it.
    refused_for(&server, "INVOICE_PAID", &draw(&governance, "1", &["--invoice", "H1"]));
    done(&server, &draw(&governance, "1", &["--invoice", "H2"]));
    refused_for(&server, "CLAIM_ISSUER_MISSING", &draw(&silent, "1", &["--invoice", "H3"]));
    done(&server, &draw(&silent, "1", &["--invoice", "H3", "--issuer", "Larkrise Teaching School Hub"]));
    refused_for(&server, "INVOICE_PAID", &draw(&governance, "1", &["--invoice", "H3"]));
    // A reference is optional: without one, none is recorded.
    let plain = done(&server, &draw(&one, "5", &[]));
    assert_eq!(plain["invoices"].as_array().unwrap().len(), 1);

    // A refund without an invoice takes back draws without one. An invoice is free again once all of it is refunded.
    let refund = |pounds: &str, more: &[&str]| {
        let words = ["awards", "refund", &one, "--on", "2022-02-01", "--amount", pounds, "--reason", "in error"];
        cli(&server, &[&words[..], more].concat())
    };
    let too_much = refund("5.01", &[]).json;
    assert_eq!([&too_much["error"]["reason"], &too_much["error"]["largest"]], [&json!("AWARD_EXCEEDED"), &json!(500)]);
    assert_eq!(refund("5", &[]).code, 0);
    refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &["--invoice", "NO7A"]));
    assert_eq!(refund("300", &["--invoice", "no.7a"]).code, 0);
    done(&server, &draw(&two, "1", &["--invoice", "NO7A"]));
    verified(&db);
}

/// Regression: the invoice of a partner trust was paid twice once a newer register had renamed the trust.
async fn a_renamed_partner_is_the_same_issuer(db: Db) {
    let (mut server, folder) = (august(&db), Folder::new());
    funded(&server, "credit", "9000");
    let offers = [910_001, 910_003].map(|urn| taken(&server, urn));
    let credit = |offer: &str| given(&server, "credit", offer, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    let [one, two] = offers.each_ref().map(|offer| credit(offer));
    offers.iter().for_each(|offer| started(&server, offer));
    let whole = ["--invoice", "INV-1"];
    let part = ["--invoice", "INV-2", "--total", "300"];
    let before = done(&server, &draw(&one, "300", &whole));
    done(&server, &draw(&one, "100", &part));
    let groups = std::fs::read_to_string(path("gias_groups_2022-03.csv")).unwrap();
    let renamed = groups.replace("Alderquill Learning Trust", "Quern Hill Schools");
    assert_ne!(groups, renamed);
    let renamed = folder.write("groups.csv", renamed.as_bytes());
    done(&server, &["import", "register", &renamed, "--as-at", "2022-03-31"]);
    for issuer in [&[][..], &["--issuer", "Quern Hill Schools"], &["--issuer", "Alderquill Learning Trust"]] {
        refused_for(&server, "INVOICE_PAID", &draw(&two, "1", &[&whole[..], issuer].concat()));
    }
    // Further parts are paid under the name of the first part, up to the same total.
    let second = done(&server, &draw(&two, "150", &part));
    assert_eq!(last_invoice(&second), [last_invoice(&before)[0].clone(), json!("INV-2"), json!(30_000)]);
    refused_for(&server, "CLAIM_TOTAL_EXCEEDED", &draw(&one, "51", &part));
    let new = done(&server, &draw(&two, "1", &["--invoice", "INV-3"]));
    assert_eq!(last_invoice(&new), [json!("Quern Hill Schools"), json!("INV-3"), Value::Null]);
    server.stop();
    proved(&db);
}

/// One refusal names every mistake in the details of an invoice.
async fn the_details_of_an_invoice_are_checked(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let award = fees(&client).await;
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
        for ((field, part), (at, what)) in expected.iter().zip(&found) {
            assert!(at == field && what.contains(part), "{claim:?}: {found:?}");
        }
    }
    let other = client.pay(Claim { issuer: "Oak Trust", ..Claim::of(&award, 1, "A-1") }).await.unwrap_err();
    assert_eq!(reason(&other), "INVOICE_NOT_EXPECTED", "its provider alone issues the invoices of fees");
    client.pay(Claim { issuer: "TEACH FIRST", ..Claim::of(&award, 1, "A-1") }).await.unwrap();
    proved(&db);
}

/// "It may be drawn in parts, from one award or several, up to that total."
async fn an_invoice_is_paid_in_parts(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let one = fees(&client).await;
    let offer = client.get_award(&one).await.offer;
    let two = client.awarded(&offer, npqel(PROVIDER, 90_000)).await;
    let of_total = |award, pence, total_pence| Claim { total_pence, ..Claim::of(award, pence, "INV 1") };
    let above = client.pay(of_total(&one, 50_001, 50_000)).await.unwrap_err();
    assert_eq!(reason(&above), "CLAIM_TOTAL_EXCEEDED");
    let first = client.pay(of_total(&one, 20_000, 50_000)).await.unwrap().award.unwrap();
    assert_eq!(first.invoices[0].total_pence, 50_000);
    client.pay(of_total(&two, 10_000, 0)).await.unwrap();
    let differs = client.pay(of_total(&one, 1, 50_001)).await.unwrap_err();
    assert_eq!((differs.code(), reason(&differs).as_str()), (Code::FailedPrecondition, "CLAIM_TOTAL_DIFFERS"));
    let above = client.pay(of_total(&two, 20_001, 50_000)).await.unwrap_err();
    let binds = limit(&above, "award");
    assert_eq!(reason(&above), "CLAIM_TOTAL_EXCEEDED");
    assert_eq!([binds.limit, binds.spent, binds.available], [Some(50_000), Some(30_000), Some(20_000)]);
    client.pay(of_total(&two, 20_000, 50_000)).await.unwrap();
    assert_eq!(reason(&client.pay(of_total(&one, 1, 50_000)).await.unwrap_err()), "INVOICE_PAID");
    // Without a total, a single draw pays the invoice, and a later total does not raise it.
    client.claim(&one, 5, "INV 2").await.unwrap();
    let later = client.pay(Claim { total_pence: 50, ..Claim::of(&one, 5, "INV 2") }).await.unwrap_err();
    assert_eq!(reason(&later), "INVOICE_PAID");
    // Once all of it is refunded, it may be paid again with another total.
    for (award, pence) in [(&one, 20_000), (&two, 20_000), (&two, 10_000)] {
        client.refund_invoice(award, pence, "inv1").await;
    }
    client.pay(of_total(&two, 40_000, 70_000)).await.unwrap();
    assert_eq!(amounts(&client.get_award(&two).await), [90_000, 70_000, 0, 30_000, 20_000]);
    proved(&db);
}

/// Two programmes have a writer each, but together they pay no more of an invoice than is left.
async fn two_programmes_pay_no_more_than_the_total(db: Db) {
    const DAYS: [&str; 2] = ["2021-11-01", "2022-11-01"];
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (this, next) = client.seed_both().await;
    let [this, next] = [this, next].map(|offers| of_kind(&offers, RecipientKind::Mat).remove(0));
    let awards = [fees_in(&client, &this, DAYS[0]).await, fees_in(&client, &next, DAYS[1]).await];
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
        // Each programme may pay the rest.
        let rest = Claim { date: DAYS[1 - which], ..Claim::of(&awards[1 - which], 40, &invoice) };
        client.pay(rest).await.unwrap();
        assert_eq!(reason(&pay(which).await.unwrap_err()), "INVOICE_PAID");
    }
    let mut drawn = 0;
    for award in &awards {
        drawn += client.get_award(award).await.drawn;
    }
    assert_eq!(drawn, 20 * 100);
    proved(&db);
}

/// "An NPQEL leader is funded once in a programme, unless the earlier award was wholly released, refunded or undone."
async fn a_leader_is_funded_once(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.financed(YEAR, "npqel", 1_000_000).await;
    let trusts = of_kind(&offers, RecipientKind::Mat);
    let (one, two) = (&trusts[0], &trusts[1]);
    client.accepted(one).await;
    client.accepted(two).await;
    let of = |leader: &str| vec![npqel_of(leader, PROVIDER, 1_000)];
    let first = client.awarded(&one.offer, of("ceo-7").remove(0)).await;
    client.awarded(&one.offer, of("ceo-8").remove(0)).await;
    for (offer, leader) in [(one, "ceo-7"), (two, "CEO-7")] {
        let refused = client.award(&offer.offer, of(leader), &fresh()).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "LEADER_FUNDED"),
            "{leader}"
        );
        assert_eq!(limit(&refused, "recipient").account, format!("leader {leader}"));
    }
    let twice = [of("ceo-9"), of("Ceo-9")].concat();
    assert_eq!(reason(&client.award(&two.offer, twice, &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    // The award is drawn, then refunded in part and completely, and the rest is released.
    client.start(&one.offer).await.unwrap();
    client.claim(&first, 400, "A-1").await.unwrap();
    client.release(&first, None).await.unwrap();
    client.refund_invoice(&first, 399, "A-1").await;
    assert_eq!(reason(&client.award(&two.offer, of("ceo-7"), &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    client.refund_invoice(&first, 1, "A-1").await;
    let second = client.awarded(&two.offer, of("Ceo-7").remove(0)).await;
    assert_eq!(reason(&client.award(&one.offer, of("ceo-7"), &fresh()).await.unwrap_err()), "LEADER_FUNDED");
    // Once the award is completely released, the leader can be funded again at once.
    client.release(&second, Some(Much::Pence(1_000))).await.unwrap();
    client.awarded(&one.offer, of("ceo-7").remove(0)).await;
    proved(&db);
}

/// "NLG support names the leader of governance; its bookings are lines without entries, delivering them moves no money."
async fn governance_support_is_booked(db: Db) {
    let server = august(&db);
    let fund = funded(&server, "nlg", "9000");
    let (trust, school) = (taken(&server, 90_001), taken(&server, 910_001));
    let because = ["--amount", "900", "--because", "a new board"];
    let silent = given(&server, "nlg", &trust, &because);
    let shown = done(&server, &["awards", "show", &silent]);
    assert_eq!([&shown["leader"], &shown["organisation"]], [&Value::Null, &Value::Null], "not recorded");
    let of_hub = ["--leader", "nlg-4", "--organisation", "Larkrise Teaching School Hub"];
    let award = given(&server, "nlg", &trust, &[&because[..], &of_hub].concat());
    started(&server, &trust);
    let book = |award: &str, more: &[&str]| {
        let words = ["awards", "book", award, "--days", "1.5", "--on", "2022-03-14"];
        cli(&server, &[&words[..], more].concat()).json
    };
    assert_eq!(book(&silent, &[])["error"]["reason"], "BOOKING_LEADER_MISSING");
    assert_eq!(book(&silent, &["--leader", "nlg-9"])["bookings"][0]["leader"], "nlg-9");
    assert_eq!(book(&award, &["--leader-kind", "equivalent"])["error"]["reason"], "UNIT_MISMATCH");
    let entries = done(&server, &["funds", "entries", &fund]);
    let first = book(&award, &[])["booking"].as_i64().unwrap().to_string();
    let second = book(&award, &[])["booking"].as_i64().unwrap().to_string();
    let deliver = |booking: &str, more: &[&str]| {
        cli(&server, &[&["awards", "draw", &award, "--booking", booking, "--on", "2022-03-14"], more].concat()).json
    };
    assert_eq!(deliver(&first, &["--amount", "1"])["error"]["reason"], "UNIT_MISMATCH");
    let delivered = deliver(&first, &[]);
    assert_eq!(
        (moved(&delivered), &delivered["bookings"][0]["state"]),
        ([90_000, 0, 0, 0, 90_000], &json!("delivered"))
    );
    assert_eq!(deliver(&first, &[])["error"]["reason"], "BOOKING_NOT_OPEN");
    assert_eq!(done(&server, &["funds", "entries", &fund]), entries, "they move no money");
    // Claims draw money, independent of bookings. Closing the offer cancels the open bookings.
    done(&server, &draw(&award, "900", &["--invoice", "G 1"]));
    let kinds = done(&server, &["offers", "events", &trust]);
    let kinds: Vec<&str> = kinds.as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|it| **it == "booking_delivered").count(), 1);
    let closed = done(&server, &["offers", "close", &trust, "--outcome", "completed", "--on", "2022-06-30"]);
    let released: Vec<&Value> = closed["released"].as_array().unwrap().iter().map(|it| &it["award"]).collect();
    assert_eq!(released, [&json!(silent)], "nothing of the other was left");
    let shown = done(&server, &["awards", "show", &award]);
    let states: Vec<&Value> = shown["bookings"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!((states, second.is_empty()), (vec![&json!("delivered"), &json!("cancelled")], false));

    // The leader's kind is national leader or equivalent, or it is not recorded.
    let days = |kind: &[&str]| given(&server, "nle", &school, &[&["--days", "1"], &WITH_LEADER[..], kind].concat());
    let (unsaid, said) = (days(&[]), days(&["--leader-kind", "national-leader"]));
    let half = |award: &str, more: &[&str]| {
        let words = ["awards", "book", award, "--days", "0.5", "--on", "2022-03-14"];
        let answer = cli(&server, &[&words[..], more].concat()).json;
        answer["bookings"].as_array().unwrap().last().unwrap()["leader_kind"].clone()
    };
    assert_eq!(done(&server, &["awards", "show", &unsaid])["leader_kind"], Value::Null);
    assert_eq!(done(&server, &["awards", "show", &said])["leader_kind"], "national_leader");
    assert_eq!(half(&unsaid, &[]), Value::Null);
    assert_eq!(half(&said, &[]), "national_leader");
    assert_eq!(half(&unsaid, &["--leader", "nle-99", "--leader-kind", "equivalent"]), "equivalent");
    assert_eq!(half(&said, &["--leader", "nle-99"]), Value::Null, "of another leader the award does not say it");
    verified(&db);
}

/// "Two equal draws of one award on one day without a reference bring a warning."
async fn an_equal_draw_is_a_warning(db: Db) {
    let server = august(&db);
    funded(&server, "credit", "9000");
    let school = taken(&server, 910_001);
    let award = given(&server, "credit", &school, &[&["--amount", "2000"], &WITH_PARTNER[..]].concat());
    started(&server, &school);
    let codes = |words: &[&str]| {
        let warnings = done(&server, words)["warnings"].as_array().unwrap().clone();
        warnings.iter().map(|it| text(it, "code")).filter(|it| it == "DRAW_REPEATED").count()
    };
    let on = |date| ["awards", "draw", &award, "--amount", "10", "--on", date].map(str::to_owned);
    assert_eq!(codes(&draw(&award, "10", &[])), 0);
    assert_eq!(codes(&draw(&award, "10", &[])), 1);
    assert_eq!(codes(&draw(&award, "11", &[])), 0);
    assert_eq!(codes(&on("2021-11-02").each_ref().map(String::as_str)), 0);
    assert_eq!(codes(&draw(&award, "10", &["--invoice", "A 1"])), 0);
    verified(&db);
}
