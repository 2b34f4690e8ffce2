//! Wrong amounts, dates, ids and names in calls about money. Each is a field violation or a refusal. A call reports all
//! its mistakes together, and writes nothing.

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tsio::proto::{
    AllocateFundRequest, BookDaysRequest, CreateAwardsRequest, CreateFundRequest, CreditSupport, DrawAwardRequest,
    GetFundPositionRequest, GetFundRequest, GiveApprovalRequest, ListAwardsRequest, MoveFundsRequest, NewAward,
    NoteOfferRequest, RefundAwardRequest, ReleaseAwardRequest, WithdrawFundRequest, draw_award_request, new_award,
    refund_award_request, release_award_request,
};
use uuid::Uuid;

use super::client::{Client, NEXT_YEAR, YEAR, fresh, offer_of_school, reason};
use super::harness::{Db, Server, both, cli};
use super::money::{
    DAY, PROVIDER, Quantity, WITH_LEADER, WITH_PARTNER, accept_offer, balances, create_award, create_fund_with, credit,
    nle, nlg, npqel, refusal, start_delivery,
};
use super::raw_sql::{Head, verified_heads};
use super::samples::{run_ok, run_refused, run_refused_for, start_with_august, text};

both!(
    wrong_arguments_are_refused,
    wrong_fields_are_violations,
    a_programme_has_its_own_dates_funds_and_caps,
    amounts_beyond_the_limits_are_refused,
    every_wrong_line_of_a_bundle_is_named,
    wrong_names_and_reasons_are_refused,
    overlong_texts_are_refused_in_a_short_status,
);

/// Reads what a refused command must not change: the events of an offer, the funds, and the heads of the records.
fn state(server: &Server, db: &Db, offer: &str) -> (Value, Value, Vec<Head>) {
    (run_ok(server, &["offers", "events", offer]), run_ok(server, &["funds", "list"]), verified_heads(db))
}

async fn wrong_arguments_are_refused(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let award = create_award(&server, "credit", &school, &[&["--amount", "100"], &WITH_PARTNER[..]].concat());
    let days = create_award(&server, "nle", &school, &[&["--days", "1"], &WITH_LEADER[..]].concat());
    let before = state(&server, &db, &school);
    // Other number formats are usage errors of the command line, and so are fractions of a penny or of a half-day. They
    // write nothing.
    let amounts = [
        "€4.000,00",
        "4.000,50",
        "4,00",
        "0,500",
        "00,500",
        "0,001",
        "1e3",
        "-5",
        "+5",
        "4000.5",
        "4000.505",
        "$5",
        "5 GBP",
        "",
        "£",
        "0x10",
        "NaN",
        "١٢",
    ];
    for amount in amounts {
        let option = format!("--amount={amount}");
        let words: [Vec<&str>; 4] = [
            vec!["funds", "allocate", &fund, "--", amount],
            vec!["funds", "withdraw", &fund, "--", amount],
            [&["awards", "credit", &school, "--on", "2021-10-01", &option], &WITH_PARTNER[..]].concat(),
            vec!["awards", "draw", &award, "--on", "2021-11-01", &option],
        ];
        for words in words {
            assert_eq!(cli(&server, &words).code, 2, "{words:?}");
        }
    }
    for amount in ["0.25", "2.75", "2,5", "-1", "half", "1/2", "", "1e1", "2.5.0", "99999999999"] {
        let option = format!("--days={amount}");
        let words: [Vec<&str>; 3] = [
            [&["awards", "nle", &school, "--on", "2021-10-01", &option], &WITH_LEADER[..]].concat(),
            vec!["awards", "book", &days, "--on", "2021-11-01", &option],
            vec!["awards", "draw", &days, "--on", "2021-11-01", &option],
        ];
        for words in words {
            assert_eq!(cli(&server, &words).code, 2, "{words:?}");
        }
    }
    check_invalid_dates_and_amounts(&server, [&fund, &school, &award, &days]);
    assert_eq!(state(&server, &db, &school), before);
}

/// Checks that invalid dates are refused, and amounts with two units, without a unit, or of zero.
fn check_invalid_dates_and_amounts(server: &Server, [fund, school, award, days]: [&str; 4]) {
    for words in [
        &["awards", "draw", award, "--amount", "1", "--on", "31/11/2021"][..],
        &["awards", "draw", award, "--amount", "1", "--on", "2021-02-30"],
        &["awards", "draw", award, "--amount", "1", "--days", "1", "--on", "2021-11-01"],
        &["awards", "draw", award, "--on", "2021-11-01"],
        &["awards", "refund", award, "--reason", "x"],
        &["awards", "refund", award, "--amount", "1"],
        &["awards", "credit", school, "--amount", "1", "--partner", "trust", "--suitable-because", "x"],
        &["funds", "position", fund, "--as-of", "tomorrow"],
    ] {
        assert_eq!(cli(server, words).code, 2, "{words:?}");
    }
    // Zero is a number, but not a valid amount: the server names each field.
    for words in [
        &["funds", "allocate", fund, "0"][..],
        &["funds", "withdraw", fund, "£0.00"],
        &["awards", "draw", award, "--amount", "0", "--on", "2021-11-01"],
        &["awards", "draw", days, "--days", "0", "--on", "2021-11-01"],
        &["awards", "book", days, "--days", "0", "--on", "2021-11-01"],
        &["awards", "release", award, "--amount", "0", "--on", "2021-11-01"],
        &["awards", "refund", award, "--amount", "0", "--reason", "x", "--on", "2021-11-01"],
    ] {
        let error = run_refused_for(server, "FIELD_VIOLATIONS", words);
        assert_eq!(error["code"], "INVALID_ARGUMENT", "{words:?}");
    }
}

/// The fields in the violations of a status, sorted. Panics if the status reports no violations of fields.
fn wrong_fields(status: &Status) -> Vec<String> {
    assert_eq!((status.code(), reason(status).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"), "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let mut fields: Vec<String> = violations.into_iter().map(|it| it.field).collect();
    fields.sort();
    fields
}

async fn wrong_fields_are_violations(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    let fund = client.create_fund_with(YEAR, "credit", 100_000).await;
    let award = client.create_award(&school.offer, credit(1_000)).await;
    let days = client.create_award(&school.offer, nle(2)).await;
    let before = verified_heads(&db);

    // All mistakes of a call are reported together.
    for pence in [0, -1, i64::MIN] {
        let request = AllocateFundRequest {
            request_id: "x".to_owned(),
            fund: "y".to_owned(),
            amount_pence: pence,
            date: "2999-01-01".to_owned(),
            note: "n".repeat(10_001),
            ..Default::default()
        };
        let status = client.fund_service().allocate_fund(client.ask(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["amount_pence", "date", "fund", "note", "request_id"]);
        let request = WithdrawFundRequest { amount_pence: pence, date: "today".to_owned(), ..Default::default() };
        let status = client.fund_service().withdraw_fund(client.ask(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["amount_pence", "date", "fund", "request_id"]);
        let request = MoveFundsRequest { amount_pence: pence, ..Default::default() };
        let status = client.fund_service().move_funds(client.ask(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["amount_pence", "from_fund", "request_id", "to_fund"]);
        let status = client.allocate(&fund, pence, &fresh()).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["amount_pence"]);
        assert!(!wrong_fields(&client.draw(&award, Quantity::Pence(pence), &fresh()).await.unwrap_err()).is_empty());
        assert!(!wrong_fields(&client.release(&award, Some(Quantity::Pence(pence))).await.unwrap_err()).is_empty());
        assert!(!wrong_fields(&client.refund(&award, Quantity::Pence(pence)).await.unwrap_err()).is_empty());
    }
    let nil = Uuid::nil().to_string();
    assert_eq!(wrong_fields(&client.allocate(&fund, 1, &nil).await.unwrap_err()), ["request_id"]);
    for half_days in [0, -1, i32::MIN] {
        let request = BookDaysRequest { request_id: fresh(), award: days.clone(), half_days, ..Default::default() };
        let status = client.award_service().book_days(client.ask(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["date", "half_days"], "a booking needs a date");
        assert!(!wrong_fields(&client.draw(&days, Quantity::Days(half_days), &fresh()).await.unwrap_err()).is_empty());
    }
    // Dates in the future, which only a booking may have.
    let future = || "2999-01-01".to_owned();
    let (request_id, award_id) = (fresh(), award.clone());
    let amount = Some(draw_award_request::Amount::AmountPence(1));
    let request = DrawAwardRequest { request_id, award: award_id, amount, date: future(), ..Default::default() };
    assert_eq!(wrong_fields(&client.award_service().draw_award(client.ask(request)).await.unwrap_err()), ["date"]);
    let amount = Some(release_award_request::Amount::AmountPence(1));
    let request =
        ReleaseAwardRequest { request_id: fresh(), award: award.clone(), amount, date: future(), ..Default::default() };
    assert_eq!(wrong_fields(&client.award_service().release_award(client.ask(request)).await.unwrap_err()), ["date"]);
    let amount = Some(refund_award_request::Amount::AmountPence(1));
    let request =
        RefundAwardRequest { request_id: fresh(), award: award.clone(), amount, date: future(), ..Default::default() };
    let status = client.award_service().refund_award(client.ask(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["date", "reason"], "a refund needs a reason");
    let request =
        BookDaysRequest { request_id: fresh(), award: days, half_days: 1, date: future(), ..Default::default() };
    let status = client.award_service().book_days(client.ask(request)).await.unwrap_err();
    assert_eq!(reason(&status), "OUTSIDE_WINDOW", "the date is valid, but after the last day of claims");
    assert_eq!(verified_heads(&db), before);
}

async fn a_programme_has_its_own_dates_funds_and_caps(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (_, next) = client.seed_both().await;
    let this = client.create_fund_with(YEAR, "nlg", 100_000).await;
    let other = client.create_fund(NEXT_YEAR, "nlg", "").await;
    let allocate = |date: &str| {
        let (request_id, fund, date) = (fresh(), other.clone(), date.to_owned());
        client.ask(AllocateFundRequest { request_id, fund, amount_pence: 50_000, date, ..Default::default() })
    };
    let early = client.fund_service().allocate_fund(allocate("2022-08-31")).await.unwrap_err();
    assert_eq!((early.code(), reason(&early).as_str()), (Code::FailedPrecondition, "OUTSIDE_PROGRAMME"));
    client.fund_service().allocate_fund(allocate("2022-09-01")).await.unwrap();
    let before = verified_heads(&db);
    for (from, to) in [(&this, &other), (&other, &this)] {
        let request = MoveFundsRequest {
            request_id: fresh(),
            from_fund: from.clone(),
            to_fund: to.clone(),
            amount_pence: 1,
            date: "2022-10-01".to_owned(),
            ..Default::default()
        };
        let status = client.fund_service().move_funds(client.ask(request)).await.unwrap_err();
        assert!(
            [Code::NotFound, Code::FailedPrecondition, Code::InvalidArgument].contains(&status.code()),
            "{status:?}"
        );
    }
    assert_eq!(verified_heads(&db), before);
    // A programme has its own caps and funds: the second one has ten days for a school, and no partnership credit.
    let school = next.iter().find(|it| it.recipient_kind() == tsio::proto::RecipientKind::Standalone).unwrap();
    let whole = client.offer_details(&school.offer).await;
    assert_eq!(whole.caps.iter().map(|it| (it.strand.as_str(), it.allocated)).collect::<Vec<_>>(), [("nle", 20)]);
    let funds = client.funds(NEXT_YEAR).await;
    assert_eq!(
        funds.iter().map(|it| (it.strand.as_str(), it.allocated)).collect::<Vec<_>>(),
        [("nle", 0), ("nlg", 50_000)]
    );
}

async fn amounts_beyond_the_limits_are_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    let trust = offers.iter().find(|it| it.recipient == 90_001).unwrap();
    client.accept_offer(school).await;
    client.accept_offer(trust).await;
    let (fund, governance) =
        (client.create_fund_with(YEAR, "credit", 100_000).await, client.create_fund_with(YEAR, "nlg", 1).await);
    let heads = verified_heads(&db);
    for pence in [i64::MAX, i64::MAX - 1, 1 << 53] {
        let refused = [
            client.award(&school.offer, vec![credit(pence)], &fresh()).await.unwrap_err(),
            client.award(&school.offer, vec![credit(pence), credit(pence)], &fresh()).await.unwrap_err(),
            client.award(&trust.offer, vec![nlg(pence), nlg(i64::MAX)], &fresh()).await.unwrap_err(),
            client.award(&trust.offer, vec![npqel(PROVIDER, pence)], &fresh()).await.unwrap_err(),
        ];
        for status in refused {
            let code = status.code();
            assert!([Code::FailedPrecondition, Code::InvalidArgument].contains(&code), "{pence}: {status:?}");
        }
    }
    for half_days in [i32::MAX, i32::MAX - 1] {
        let status = client.award(&school.offer, vec![nle(half_days)], &fresh()).await.unwrap_err();
        assert!([Code::FailedPrecondition, Code::InvalidArgument].contains(&status.code()), "{status:?}");
    }
    assert_eq!(verified_heads(&db), heads);
    // Two people may allocate £100 billion in one call. A penny more is not a valid amount.
    const MAX_ALLOCATION: i64 = 10_000_000_000_000;
    for pence in [MAX_ALLOCATION + 1, i64::MAX - 100_000, i64::MAX] {
        assert_eq!(wrong_fields(&client.allocate(&fund, pence, &fresh()).await.unwrap_err()), ["amount_pence"]);
    }
    let huge = client.allocate(&fund, MAX_ALLOCATION, &fresh()).await.unwrap_err();
    assert_eq!(reason(&huge), "APPROVAL_REQUIRED");
    let request = GiveApprovalRequest { request_id: fresh(), approval: refusal(&huge).approval, ..Default::default() };
    let second = client.named("second");
    second.approval_service().give_approval(second.ask(request)).await.unwrap();
    let total = MAX_ALLOCATION + 100_000;
    assert_eq!(balances(&client.fund(&fund).await), [total, 0, 0, total]);
    client.create_award(&school.offer, credit(1_000_000)).await;
    let position = GetFundPositionRequest { fund: fund.clone(), ..Default::default() };
    let position = client.fund_service().get_fund_position(client.ask(position)).await.unwrap().into_inner();
    assert_eq!(position.position.unwrap().available, total - 1_000_000);
    assert_eq!(client.fund(&governance).await.available, 1);
    verified_heads(&db);
}

async fn every_wrong_line_of_a_bundle_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    client.create_fund_with(YEAR, "credit", 100_000).await;
    let before = verified_heads(&db);
    let send = |awards: Vec<NewAward>| {
        let request = CreateAwardsRequest {
            request_id: fresh(),
            offer: school.offer.clone(),
            awards,
            date: DAY.to_owned(),
            ..Default::default()
        };
        let client = client.clone();
        async move { client.award_service().create_awards(client.ask(request)).await.unwrap_err() }
    };
    // Field violations: each of the four wrong lines is named, and no violation hides another. The fifth line is right.
    let mut without_names = nle(1);
    if let Some(new_award::Support::Nle(nle)) = &mut without_names.support {
        nle.leader.clear();
        nle.organisation.clear();
    }
    let wrong_partner = CreditSupport { partner_uid: -7, suitable_because: String::new() };
    let without_amount = NewAward { amount: None, support: Some(new_award::Support::Credit(wrong_partner)) };
    let lines = vec![
        credit(0),
        without_names,
        without_amount,
        NewAward { amount: Some(new_award::Amount::AmountPence(5)), support: None },
        credit(1),
    ];
    let fields = wrong_fields(&send(lines).await);
    for line in 0..4 {
        let name = format!("awards[{line}]");
        assert!(fields.iter().any(|it| it.starts_with(&name)), "{name} is not in {fields:?}");
    }
    assert!(!fields.iter().any(|it| it.starts_with("awards[4]")), "{fields:?}");
    let expected = "a leader, an organisation, a partner, a reason, two amounts, a support";
    assert!(fields.len() >= 6, "{expected}: {fields:?}");
    // A call must have between one and twenty lines.
    for count in [0, 21] {
        let fields = wrong_fields(&send(vec![credit(1); count]).await);
        assert!(fields.iter().all(|it| it.starts_with("awards")), "{count}: {fields:?}");
    }
    // Refusals: the strand, the partner, the cap, the fund and the provider are all named.
    let lines =
        vec![nlg(1), super::money::credit_with(90_007, 1), nle(7), credit(100_001), npqel("Acme Leadership", 1)];
    let refused = refusal(&send(lines).await);
    let mut kinds: Vec<&str> = refused.limits.iter().map(|it| it.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["cap", "fund", "recipient", "terms"], "{refused:?}");
    assert!(refused.limits.len() >= 6, "{refused:?}");
    assert_eq!(verified_heads(&db), before);
    // A status that cannot carry all limits counts the others. Each of the twenty lines breaks three limits: its strand
    // is not offered, its provider is not accredited, and it has no fund. The other 19 lines also name the same leader
    // as the first one: 20 × 3 + 19.
    let refused = refusal(&send(vec![npqel("Acme Leadership", 1); 20]).await);
    assert_eq!(refused.limits.len() + usize::try_from(refused.more_limits).unwrap(), 79, "{refused:?}");
    assert!(refused.more_limits > 0 && !refused.limits.is_empty());
    // A text with NUL, which a database cannot store, and a text that is too long.
    for because in ["a\0b".to_owned(), "x".repeat(10_001)] {
        let support = CreditSupport { partner_uid: 90_001, suitable_because: because };
        let line = NewAward {
            amount: Some(new_award::Amount::AmountPence(1)),
            support: Some(new_award::Support::Credit(support)),
        };
        assert_eq!(wrong_fields(&send(vec![line]).await).len(), 1);
    }
    assert_eq!(verified_heads(&db), before);
}

async fn wrong_names_and_reasons_are_refused(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "9000");
    let school = accept_offer(&server, 910_001);
    let closed = accept_offer(&server, 910_002);
    let award = create_award(&server, "nle", &closed, &[&["--days", "1"], &WITH_LEADER[..]].concat());
    start_delivery(&server, &closed);
    run_ok(&server, &["offers", "close", &closed, "--outcome", "withdrawn", "--on", "2021-10-10"]);
    let before = state(&server, &db, &school);
    let nle =
        |offer: &str, more: &[&str]| run_refused(&server, &[&["awards", "nle", offer, "--days", "1"], more].concat());
    // The refused awards, in this order: on a closed offer, without a leader, without an organisation, dated in the
    // future, and dated before the programme.
    let on = ["--on", "2021-11-01"];
    assert_eq!(nle(&closed, &[&WITH_LEADER[..], &on].concat())["reason"], "STATE_NOT_ALLOWED");
    assert_eq!(nle(&school, &["--leader", "", "--organisation", "Larkrise"])["reason"], "FIELD_VIOLATIONS");
    assert_eq!(nle(&school, &["--leader", "nle-17", "--organisation", "  "])["reason"], "FIELD_VIOLATIONS");
    assert_eq!(nle(&school, &[&WITH_LEADER[..], &["--on", "2999-01-01"]].concat())["reason"], "FIELD_VIOLATIONS");
    let early = nle(&school, &[&WITH_LEADER[..], &["--on", "2021-08-31"]].concat());
    assert!(["OUTSIDE_WINDOW", "OUTSIDE_PROGRAMME"].contains(&text(&early, "reason").as_str()), "{early}");
    for words in [
        &["awards", "draw", &award, "--days", "0.5", "--on", "2021-11-01"][..],
        &["awards", "book", &award, "--days", "0.5", "--on", "2021-11-01"],
        &["awards", "release", &award, "--on", "2021-11-01"],
    ] {
        run_refused_for(&server, "STATE_NOT_ALLOWED", words);
    }
    // Empty reasons are refused.
    let empty = ["awards", "credit", &school, "--amount", "1", "--partner", "90001", "--on", "2021-11-01"];
    run_refused_for(&server, "FIELD_VIOLATIONS", &[&empty[..], &["--suitable-because", " "]].concat());
    let refund = ["awards", "refund", &award, "--days", "0.5", "--reason", "", "--on", "2021-11-01"];
    let error = run_refused_for(&server, "FIELD_VIOLATIONS", &refund);
    assert_eq!(error["violations"][0]["field"], json!("reason"));
    assert_eq!(state(&server, &db, &school), before);
}

/// A text of any length is refused with a status that fits in the response headers.
async fn overlong_texts_are_refused_in_a_short_status(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    let fund = client.create_fund_with(YEAR, "credit", 100_000).await;
    let award = client.create_award(&school.offer, credit(1_000)).await;
    let before = verified_heads(&db);
    let (awards, funds, long_text) = (client.award_service(), client.fund_service(), "é".repeat(9_000));
    let long = || long_text.clone();

    let mut line = npqel(&long(), 1);
    if let Some(new_award::Support::Npqel(npqel)) = &mut line.support {
        npqel.leader = long();
    }
    let request = CreateAwardsRequest {
        request_id: long(),
        offer: long(),
        awards: vec![line],
        date: long(),
        etag: long(),
        ..Default::default()
    };
    let fields = wrong_fields(&awards.clone().create_awards(client.ask(request)).await.unwrap_err());
    let expected = ["awards[0].npqel.leader", "awards[0].npqel.provider", "date", "etag", "offer", "request_id"];
    assert_eq!(fields, expected);
    let amount = Some(draw_award_request::Amount::AmountPence(1));
    let request = DrawAwardRequest {
        request_id: fresh(),
        award: award.clone(),
        amount,
        date: DAY.to_owned(),
        invoice: long(),
        etag: long(),
        ..Default::default()
    };
    assert_eq!(wrong_fields(&awards.clone().draw_award(client.ask(request)).await.unwrap_err()), ["etag", "invoice"]);
    let (award, date, leader) = (long(), long(), long());
    let request =
        BookDaysRequest { request_id: fresh(), award, date, leader, half_days: 1, etag: long(), ..Default::default() };
    let fields = wrong_fields(&awards.clone().book_days(client.ask(request)).await.unwrap_err());
    assert_eq!(fields, ["award", "date", "etag", "leader"]);
    let list = client.ask(ListAwardsRequest { programme: long(), strand: long(), ..Default::default() });
    assert_eq!(wrong_fields(&awards.clone().list_awards(list).await.unwrap_err()), ["programme", "strand"]);
    let request =
        AllocateFundRequest { request_id: fresh(), fund, amount_pence: 1, etag: long(), ..Default::default() };
    assert_eq!(wrong_fields(&funds.clone().allocate_fund(client.ask(request)).await.unwrap_err()), ["etag"]);
    let request = CreateFundRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        strand: long(),
        region: long(),
        ..Default::default()
    };
    assert_eq!(wrong_fields(&funds.clone().create_fund(client.ask(request)).await.unwrap_err()), ["region", "strand"]);
    let status = funds.clone().get_fund(client.ask(GetFundRequest { fund: long() })).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["fund"]);
    let note = |etag: String| {
        let (request_id, offer, text) = (fresh(), school.offer.clone(), "called".to_owned());
        client.ask(NoteOfferRequest { request_id, offer, text, etag, ..Default::default() })
    };
    assert_eq!(wrong_fields(&client.offers().note_offer(note(long())).await.unwrap_err()), ["etag"]);
    // An etag of the maximum length is stale; a longer one is a violation.
    let stale = client.offers().note_offer(note("é".repeat(64))).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "ETAG_STALE"));
    assert_eq!(wrong_fields(&client.offers().note_offer(note("é".repeat(65))).await.unwrap_err()), ["etag"]);
    assert_eq!(verified_heads(&db), before);
}
