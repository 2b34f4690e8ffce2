//! Funds over the command line: creating a fund, allocating, withdrawing and moving money, and balances as of any date,
//! time or sequence.

use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::{ListAwardsRequest, ListFundEntriesRequest, StreamFundEntriesRequest};

use super::client::{Client, YEAR, fresh, offer_of_school};
use super::harness::{Db, Server, both, cli, tsio};
use super::money::{
    WITH_LEADER, WITH_PARTNER, accept_offer, award_amounts, create_award, create_fund_with, fund_amounts, fund_row,
    nle_fund, start_delivery,
};
use super::samples::{as_person, run_filed, run_ok, run_refused, run_refused_for, start_with_august, text, verify_ok};

both!(
    funds_are_created_and_allocated,
    large_movements_need_two_people,
    movements_by_one_person_alone_count_together,
    balances_are_shown_as_of_any_date_or_sequence,
    entries_are_listed,
    a_fund_may_be_over_committed_on_purpose,
    lists_come_in_pages,
    a_regional_fund_comes_first
);

async fn funds_are_created_and_allocated(db: Db) {
    let server = start_with_august(&db);
    // The programme creates this fund itself.
    let list = run_ok(&server, &["funds", "list", "--programme", "2021-22"]);
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    for key in ["fund", "programme", "strand", "region", "unit", "allocated", "committed", "spent", "available"] {
        assert!(list[0].as_object().unwrap().contains_key(key), "{key}: {list}");
    }
    assert_eq!(
        (&list[0]["strand"], &list[0]["unit"], &list[0]["region"]),
        (&json!("nle"), &json!("pence"), &Value::Null)
    );
    assert_eq!(fund_amounts(&list[0]), [0, 0, 0, 0]);

    fn create<'a>(strand: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["funds", "create", "--programme", "2021-22", "--strand", strand], more].concat()
    }
    let fund = text(&run_ok(&server, &create("credit", &[])), "fund");
    for (strand, more) in [("credit", &[][..]), ("nle", &[])] {
        let error = run_refused_for(&server, "FUND_EXISTS", &create(strand, more));
        assert_eq!(error["code"], "ALREADY_EXISTS");
    }
    let regional = run_ok(&server, &create("credit", &["--region", "West Midlands"]));
    assert_eq!((&regional["region"], fund_amounts(&regional)), (&json!("West Midlands"), [0, 0, 0, 0]));
    run_refused_for(&server, "FUND_EXISTS", &create("credit", &["--region", "West Midlands"]));
    assert_eq!(run_refused(&server, &create("nlg", &["--region", "Mercia"]))["code"], "INVALID_ARGUMENT");
    let unknown = run_refused(&server, &create("books", &[]));
    assert!(["NOT_FOUND", "INVALID_ARGUMENT"].map(Value::from).contains(&unknown["code"]), "{unknown}");
    let unknown_programme = ["funds", "create", "--programme", "1999-00", "--strand", "credit"];
    assert_eq!(run_refused(&server, &unknown_programme)["code"], "NOT_FOUND");

    // From an empty fund the largest withdrawal is zero.
    let error =
        run_refused_for(&server, "FUNDS_INSUFFICIENT", &["funds", "withdraw", &fund, "0.01", "--on", "2021-09-02"]);
    assert_eq!((&error["largest"], &error["limits"][0]["available"]), (&json!(0), &json!(0)));
    run_ok(&server, &["funds", "allocate", &fund, "£4,000.50", "--on", "2021-09-02"]);
    run_ok(&server, &["funds", "withdraw", &fund, "1000", "--on", "2021-09-03"]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [300_050, 0, 0, 300_050]);
    let target_fund = text(&run_ok(&server, &create("nlg", &[])), "fund");
    let moved = run_ok(&server, &["funds", "move", &fund, &target_fund, "3000.49", "--on", "2021-09-04"]);
    assert!(moved.is_object() || moved.is_array(), "{moved}");
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [1, 0, 0, 1], "money may move to a fund of another strand");
    assert_eq!(fund_amounts(&fund_row(&server, &target_fund)), [300_049, 0, 0, 300_049]);
    run_refused_for(
        &server,
        "FUNDS_INSUFFICIENT",
        &["funds", "move", &fund, &target_fund, "0.02", "--on", "2021-09-04"],
    );
    run_refused_for(&server, "SAME_FUND", &["funds", "move", &target_fund, &target_fund, "1", "--on", "2021-09-04"]);
    assert_eq!(fund_amounts(&fund_row(&server, &target_fund)), [300_049, 0, 0, 300_049]);
    verify_ok(&db);
}

async fn large_movements_need_two_people(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "50000");
    let target_fund = create_fund_with(&server, "nlg", "1");
    let ask = |words: &[&str]| {
        let words = [words, &["--on", "2021-10-01"]].concat();
        text(&run_filed(&server, &as_person("ann", "finance", &words)), "approval")
    };
    let give = |who: &'static str, roles: &'static str, approval: &str| {
        cli(&server, &as_person(who, roles, &["approvals", "give", approval]))
    };
    // One person may allocate £50,000 alone, but not a penny more.
    let allocation = ask(&["funds", "allocate", &fund, "50000.01"]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [5_000_000, 0, 0, 5_000_000]);
    let open = run_ok(&server, &["approvals", "list"]);
    let seen = json!([
        open[0]["approval"],
        open[0]["action"],
        open[0]["subject"],
        open[0]["amount_pence"],
        open[0]["requested_by"]
    ]);
    assert_eq!(seen, json!([allocation, "allocate_fund", fund, 5_000_001, "ann"]));
    assert_eq!(ask(&["funds", "allocate", &fund, "50000.01"]), allocation, "a repeated call names the same approval");
    assert_eq!(give("ann", "finance,finance-approver", &allocation).json["error"]["reason"], "SELF_APPROVAL");
    assert_eq!(give("bob", "finance", &allocation).json["error"]["reason"], "ROLE_MISSING");
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [5_000_000, 0, 0, 5_000_000]);
    let given = give("bob", "finance-approver", &allocation);
    assert_eq!(given.code, 0, "{}", given.stderr);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [10_000_001, 0, 0, 10_000_001]);
    assert_eq!(give("cleo", "finance-approver", &allocation).json["error"]["reason"], "APPROVAL_NOT_OPEN");

    let withdrawal = ask(&["funds", "withdraw", &fund, "60000"]);
    let movement = ask(&["funds", "move", &fund, &target_fund, "70000"]);
    assert_eq!(give("bob", "finance-approver", &withdrawal).code, 0);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [4_000_001, 0, 0, 4_000_001]);
    // The movement is checked again when the approval is given: the fund no longer has £70,000.
    let late = &give("bob", "finance-approver", &movement).json["error"];
    assert_eq!((&late["reason"], &late["largest"]), (&json!("FUNDS_INSUFFICIENT"), &json!(4_000_001)));
    // The movement is also checked as of its date: money that is allocated a day later is not available.
    let run_alone = |who: &'static str, words: &[&str]| run_ok(&server, &as_person(who, "finance", words));
    run_alone("dan", &["funds", "allocate", &fund, "30000", "--on", "2021-10-02"]);
    let early = &give("bob", "finance-approver", &movement).json["error"];
    assert_eq!((&early["reason"], &early["limits"][0]["kind"]), (&json!("FUNDS_INSUFFICIENT"), &json!("as_of")));
    run_alone("eve", &["funds", "withdraw", &fund, "30000", "--on", "2021-10-02"]);
    run_alone("flo", &["funds", "allocate", &fund, "30000", "--on", "2021-10-01"]);
    assert_eq!(give("bob", "finance-approver", &movement).code, 0);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [1, 0, 0, 1]);
    assert_eq!(fund_amounts(&fund_row(&server, &target_fund)), [7_000_100, 0, 0, 7_000_100]);
    verify_ok(&db);
}

/// The amounts that one person moved alone on a fund are added. Above £50,000 a second person must approve.
async fn movements_by_one_person_alone_count_together(db: Db) {
    let server = start_with_august(&db);
    let (fund, other) = (create_fund_with(&server, "credit", "1"), create_fund_with(&server, "nlg", "1"));
    let move_by = |who: &'static str, words: &[&str]| cli(&server, &as_person(who, "finance", words));
    let check_allowed = |who, words: &[&str]| assert_eq!(move_by(who, words).code, 0, "{who} {words:?}");
    let check_approval_needed = |who, words: &[&str]| {
        let filed = move_by(who, words);
        assert_eq!(filed.code, 3, "{who} {words:?}: {}", filed.stdout);
        filed.json
    };
    check_allowed("ann", &["funds", "allocate", &fund, "30000"]);
    let error = check_approval_needed("ann", &["funds", "allocate", &fund, "20000.01"]);
    let message = text(&error, "message");
    let expected =
        "an allocation of £20,000.01, with £30,000 that one person moved on the fund alone in 30 days, needs a second";
    assert!(message.contains(expected), "{message}");
    let open = run_ok(&server, &["approvals", "list"]);
    assert_eq!((&open[0]["moved_alone_pence"], &open[0]["amount_pence"]), (&json!(3_000_000), &json!(2_000_001)));
    let given = cli(&server, &as_person("bob", "finance-approver", &["approvals", "give", &text(&error, "approval")]));
    assert_eq!(given.code, 0, "{}", given.stderr);
    // An approved allocation is not added to the amounts of either person.
    check_allowed("bob", &["funds", "allocate", &fund, "50000"]);
    check_allowed("ann", &["funds", "withdraw", &fund, "20000"]);
    // `Ann` and `ann` are the same person.
    for words in [
        ["funds", "allocate", &fund, "0.01"].as_slice(),
        &["funds", "withdraw", &fund, "0.01"],
        &["funds", "move", &fund, &other, "0.01"],
        &["funds", "move", &other, &fund, "0.01"],
    ] {
        check_approval_needed("Ann", words);
    }
    check_allowed("ann", &["funds", "allocate", &other, "50000"]);
    check_allowed("cleo", &["funds", "move", &fund, &other, "50000"]);
    verify_ok(&db);
}

/// Makes a fund of credit with seven entries, and returns its id:
///
/// * £10,000 are allocated in September 2021;
/// * on 31 March 2022, the last day of the financial year, £2,000 are allocated and £4,000 awarded;
/// * on 1 April £500 are allocated, and a claim of £1,500 is paid;
/// * on 2 April £1,000 are withdrawn;
/// * recorded last, £100 are allocated with a date in October 2021.
fn fund_with_history(server: &Server) -> String {
    let fund = create_fund_with(server, "credit", "10000");
    let offer = accept_offer(server, 910_001);
    run_ok(server, &["funds", "allocate", &fund, "2000", "--on", "2022-03-31"]);
    let award = [&["awards", "credit", &offer, "--amount", "4000", "--on", "2022-03-31"], &WITH_PARTNER[..]].concat();
    let award = text(&run_ok(server, &award), "award");
    start_delivery(server, &offer);
    run_ok(server, &["funds", "allocate", &fund, "500", "--on", "2022-04-01"]);
    run_ok(server, &["awards", "draw", &award, "--amount", "1500", "--on", "2022-04-01"]);
    run_ok(server, &["funds", "withdraw", &fund, "1000", "--on", "2022-04-02"]);
    run_ok(server, &["funds", "allocate", &fund, "100", "--on", "2021-10-01"]);
    fund
}

async fn balances_are_shown_as_of_any_date_or_sequence(db: Db) {
    let server = start_with_august(&db);
    let fund = fund_with_history(&server);
    let at = |more: &[&str]| {
        let answer = run_ok(&server, &[&["funds", "position", &fund], more].concat());
        fund_amounts(if answer["position"].is_object() { &answer["position"] } else { &answer })
    };
    let entries = run_ok(&server, &["funds", "entries", &fund]);
    let entries = entries.as_array().unwrap();
    let sequence = |n: usize| entries[n].get("event_sequence").unwrap().to_string();
    let time = |n: usize| text(&entries[n], "recorded_time");
    #[rustfmt::skip]
    let rows: [(&[&str], [i64; 4]); 15] = [
        (&[],                                                     [1_160_000, 250_000, 150_000, 760_000]),
        (&["--as-of", "2021-08-31"],                              [0, 0, 0, 0]),
        (&["--as-of", "2021-09-01"],                              [1_000_000, 0, 0, 1_000_000]),
        (&["--as-of", "2022-03-30"],                              [1_010_000, 0, 0, 1_010_000]),
        (&["--as-of", "2022-03-31"],                              [1_210_000, 400_000, 0, 810_000]),
        (&["--as-of", "2022-04-01"],                              [1_260_000, 250_000, 150_000, 860_000]),
        (&["--as-of", "2022-04-02"],                              [1_160_000, 250_000, 150_000, 760_000]),
        // The balances as of the sequence or the recorded time of an entry.
        (&["--sequence", &sequence(0)],                           [1_000_000, 0, 0, 1_000_000]),
        (&["--sequence", &sequence(2)],                           [1_200_000, 400_000, 0, 800_000]),
        (&["--recorded-by", &time(2)],                            [1_200_000, 400_000, 0, 800_000]),
        (&["--recorded-by", &time(5)],                            [1_150_000, 250_000, 150_000, 750_000]),
        (&["--recorded-by", "2021-12-31T00:00:00Z"],              [0, 0, 0, 0]),
        // The balances as of a date, before and after a later entry was recorded.
        (&["--as-of", "2022-03-31", "--sequence", &sequence(5)],  [1_200_000, 400_000, 0, 800_000]),
        (&["--as-of", "2022-03-31", "--sequence", &sequence(6)],  [1_210_000, 400_000, 0, 810_000]),
        (&["--as-of", "2022-04-01", "--recorded-by", &time(3)],   [1_250_000, 400_000, 0, 850_000]),
    ];
    for (words, expected) in rows {
        assert_eq!(at(words), expected, "{words:?}");
    }
    // The financial years add up to the total.
    let years = |more: &[&str]| {
        let answer = run_ok(&server, &[&["funds", "position", &fund], more].concat());
        let years = answer["financial_years"].as_array().unwrap().clone();
        let moved = |it: &Value| fund_amounts(if it["moved"].is_object() { &it["moved"] } else { it });
        years.iter().map(|it| (text(it, "year"), moved(it))).collect::<Vec<_>>()
    };
    let first = ("2021-22".to_owned(), [1_210_000, 400_000, 0, 810_000]);
    let second = ("2022-23".to_owned(), [-50_000, -150_000, 150_000, -50_000]);
    assert_eq!(years(&[]), [first.clone(), second]);
    assert_eq!(years(&["--as-of", "2022-03-31"]), [first]);
    let future_sequence =
        run_refused_for(&server, "FIELD_VIOLATIONS", &["funds", "position", &fund, "--sequence", "999999"]);
    assert_eq!(future_sequence["violations"][0]["field"], "at_sequence", "the record has no such sequence yet");
    // The answer as of a sequence never changes.
    let position = run_ok(&server, &["funds", "position", &fund]);
    let sequence = position["at_sequence"].to_string();
    run_ok(&server, &["funds", "allocate", &fund, "1", "--on", "2021-10-01"]);
    let again = run_ok(&server, &["funds", "position", &fund, "--sequence", &sequence]);
    assert_eq!(
        (&again["financial_years"], &again["at_sequence"]),
        (&position["financial_years"], &position["at_sequence"])
    );
    assert_eq!(at(&[]), [1_160_100, 250_000, 150_000, 760_100]);
    verify_ok(&db);
}

async fn entries_are_listed(db: Db) {
    let server = start_with_august(&db);
    let fund = fund_with_history(&server);
    let list = run_ok(&server, &["funds", "entries", &fund]);
    let seen: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            json!([
                it["event_kind"],
                it["verb"],
                it["from_bucket"],
                it["to_bucket"],
                it["amount_pence"],
                it["period"],
                it["effective_date"]
            ])
        })
        .collect();
    let expected = json!([
        ["fund_allocated", "allocate", "outside", "available", 1_000_000, "FY2021-22/M06", "2021-09-01"],
        ["fund_allocated", "allocate", "outside", "available", 200_000, "FY2021-22/M12", "2022-03-31"],
        ["awarded", "commit", "available", "committed", 400_000, "FY2021-22/M12", "2022-03-31"],
        ["fund_allocated", "allocate", "outside", "available", 50_000, "FY2022-23/M01", "2022-04-01"],
        ["drawn", "spend", "committed", "spent", 150_000, "FY2022-23/M01", "2022-04-01"],
        ["fund_withdrawn", "withdraw", "available", "outside", 100_000, "FY2022-23/M01", "2022-04-02"],
        ["fund_allocated", "allocate", "outside", "available", 10_000, "FY2021-22/M07", "2021-10-01"],
    ]);
    assert_eq!(json!(seen), expected);
    // The CSV output has a header, and a line for each entry.
    let csv = tsio(&["--server", &server.url(), "funds", "entries", &fund, "--csv"]);
    assert_eq!(csv.code, 0, "{}", csv.stderr);
    let mut lines = csv::Reader::from_reader(csv.stdout.as_bytes());
    let column =
        |lines: &mut csv::Reader<&[u8]>, name: &str| lines.headers().unwrap().iter().position(|it| it == name).unwrap();
    let columns = ["verb", "period", "effective_date"].map(|name| column(&mut lines, name));
    let rows: Vec<Value> =
        lines.records().map(|row| json!(columns.map(|at| row.as_ref().unwrap()[at].to_owned()))).collect();
    let expected_rows: Vec<Value> =
        expected.as_array().unwrap().iter().map(|it| json!([it[1], it[5], it[6]])).collect();
    assert_eq!(rows, expected_rows);
    // The stream has the same entries.
    let client = Client::of(&server).await;
    let request = StreamFundEntriesRequest { fund: fund.clone(), ..Default::default() };
    let mut stream = client.fund_service().stream_fund_entries(client.ask(request)).await.unwrap().into_inner();
    let mut streamed = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        streamed.extend(answer.entries);
    }
    assert_eq!(streamed, client.entries(&fund).await);
    assert_eq!(streamed.len(), 7);
}

async fn a_fund_may_be_over_committed_on_purpose(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "5000");
    let spare = create_fund_with(&server, "nlg", "1");
    let offer = accept_offer(&server, 910_001);
    let award = create_award(&server, "credit", &offer, &[&["--amount", "4000"], &WITH_PARTNER[..]].concat());
    start_delivery(&server, &offer);
    run_ok(&server, &["awards", "draw", &award, "--amount", "500", "--on", "2021-11-01"]);
    let cut = ["funds", "withdraw", &fund, "2000", "--on", "2021-11-02"];
    let error = run_refused_for(&server, "FUNDS_INSUFFICIENT", &cut);
    assert_eq!(error["largest"], 100_000, "£1,000 is neither committed nor spent");
    let deliberately = [&cut[..], &["--over-commit"]].concat();
    let approval = text(&run_filed(&server, &as_person("ann", "finance", &deliberately)), "approval");
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [500_000, 350_000, 50_000, 100_000], "not before the approval");
    run_ok(&server, &as_person("bob", "finance-approver", &["approvals", "give", &approval]));
    let row = fund_row(&server, &fund);
    assert_eq!((fund_amounts(&row), &row["over_committed"]), ([300_000, 350_000, 50_000, -100_000], &json!(true)));

    // No award from the fund and no movement out of it is possible. Existing awards continue.
    let more = [&["awards", "credit", &offer, "--amount", "0.01", "--on", "2021-11-03"], &WITH_PARTNER[..]].concat();
    run_refused_for(&server, "FUND_OVER_COMMITTED", &more);
    run_refused_for(&server, "FUND_OVER_COMMITTED", &["funds", "move", &fund, &spare, "0.01", "--on", "2021-11-03"]);
    run_ok(&server, &["awards", "draw", &award, "--amount", "250", "--on", "2021-11-04"]);
    assert_eq!(fund_amounts(&fund_row(&server, &fund)), [300_000, 325_000, 75_000, -100_000]);
    run_ok(&server, &["awards", "release", &award, "--amount", "600", "--on", "2021-11-05"]);
    let row = fund_row(&server, &fund);
    assert_eq!((fund_amounts(&row), &row["over_committed"]), ([300_000, 265_000, 75_000, -40_000], &json!(true)));
    run_refused_for(&server, "FUND_OVER_COMMITTED", &more);
    // A refund of the last missing £400 clears the flag.
    run_ok(&server, &["awards", "refund", &award, "--amount", "400", "--reason", "paid twice", "--on", "2021-11-06"]);
    let row = fund_row(&server, &fund);
    assert_eq!((fund_amounts(&row), &row["over_committed"]), ([300_000, 265_000, 35_000, 0], &json!(false)));
    run_refused_for(&server, "FUNDS_INSUFFICIENT", &more);
    run_ok(&server, &["awards", "release", &award, "--amount", "0.01", "--on", "2021-11-07"]);
    let since = [&["awards", "credit", &offer, "--amount", "0.01", "--on", "2021-11-07"], &WITH_PARTNER[..]].concat();
    run_ok(&server, &since);
    verify_ok(&db);
}

async fn a_regional_fund_comes_first(db: Db) {
    let server = start_with_august(&db);
    let national = create_fund_with(&server, "credit", "10000");
    let create = ["funds", "create", "--programme", "2021-22", "--strand", "credit", "--region", "West Midlands"];
    let regional = text(&run_ok(&server, &create), "fund");
    run_ok(&server, &["funds", "allocate", &regional, "1000", "--on", "2021-09-01"]);
    let here = accept_offer(&server, 910_001);
    let there = run_ok(&server, &["offers", "list"]);
    let there = there
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["recipient_kind"] == "standalone" && it["region"] != "West Midlands");
    let there = accept_offer(&server, there.unwrap()["recipient"].as_i64().unwrap());
    fn credit<'a>(offer: &'a str, pounds: &'a str) -> Vec<&'a str> {
        [&["awards", "credit", offer, "--on", "2021-10-01", "--amount", pounds], &WITH_PARTNER[..]].concat()
    }
    // If a region has a fund, that fund is charged, even if only the national fund has enough money.
    let error = run_refused_for(&server, "FUNDS_INSUFFICIENT", &credit(&here, "1500"));
    assert!(text(&error["limits"][0], "account").contains(&regional), "{error}");
    assert_eq!(error["largest"], 100_000);
    let award = run_ok(&server, &credit(&here, "800"));
    assert_eq!(award["fund"], json!(regional));
    let award = run_ok(&server, &credit(&there, "1500"));
    assert_eq!(award["fund"], json!(national));
    assert_eq!(fund_amounts(&fund_row(&server, &regional)), [100_000, 80_000, 0, 20_000]);
    assert_eq!(fund_amounts(&fund_row(&server, &national)), [1_000_000, 150_000, 0, 850_000]);
    // The award keeps its fund when the offer moves to another region.
    run_ok(&server, &["offers", "region", &here, "--to", "North of England"]);
    run_ok(&server, &["offers", "start", &here, "--on", "2021-10-02"]);
    let kept = text(&run_ok(&server, &["awards", "list", "--offer", &here])[0], "award");
    run_ok(&server, &["awards", "draw", &kept, "--amount", "300", "--on", "2021-10-03"]);
    assert_eq!(fund_amounts(&fund_row(&server, &regional)), [100_000, 50_000, 30_000, 20_000]);
    assert_eq!(
        run_ok(&server, &credit(&here, "0.01"))["fund"],
        json!(national),
        "a new award is charged to the fund of the current region"
    );
    // Days are awarded even from an empty fund; a strand without a fund is refused.
    let days =
        run_ok(&server, &[&["awards", "nle", &here, "--days", "2.5", "--on", "2021-10-01"], &WITH_LEADER[..]].concat());
    assert_eq!((award_amounts(&days), &days["day_rate_pence"]), ([5, 0, 0, 0, 5], &json!(60_000)));
    assert_eq!(fund_amounts(&fund_row(&server, &nle_fund(&server))), [0, 150_000, 0, -150_000]);
    let trust = accept_offer(&server, 90_001);
    let nlg = ["awards", "nlg", &trust, "--amount", "1", "--because", "a new board", "--on", "2021-10-01"];
    run_refused_for(&server, "FUND_MISSING", &nlg);
    verify_ok(&db);
}

async fn lists_come_in_pages(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (fund, other) = (client.create_fund(YEAR, "credit", "").await, client.create_fund_with(YEAR, "nlg", 9).await);
    for pence in 1..=7 {
        client.allocate(&fund, pence, &fresh()).await.unwrap();
    }
    let page = |fund: &str, page_size, page_token: String| {
        let request = ListFundEntriesRequest { fund: fund.to_owned(), page_size, page_token, ..Default::default() };
        let client = client.clone();
        async move { client.fund_service().list_fund_entries(client.ask(request)).await.map(|it| it.into_inner()) }
    };
    let (mut seen, mut token) = (Vec::new(), String::new());
    let first = page(&fund, 3, token.clone()).await.unwrap().next_page_token;
    loop {
        let answer = page(&fund, 3, token).await.unwrap();
        assert!(answer.entries.len() <= 3);
        seen.extend(answer.entries.iter().map(|it| it.amount_pence));
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    // A page token is bound to its fund; a larger page size is reduced to the maximum.
    assert_eq!(page(&other, 3, first).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(page(&fund, 3, "x".to_owned()).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(page(&fund, i32::MAX, String::new()).await.unwrap().entries.len(), 7);

    // The awards of an offer and of a programme are listed in the order of their creation.
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    for pence in 1..=5 {
        client.create_award(&school.offer, crate::money::credit(pence)).await;
    }
    client.create_award(&school.offer, crate::money::nle(1)).await;
    for (offer, programme) in [(school.offer.as_str(), ""), ("", YEAR)] {
        let mut request = ListAwardsRequest {
            offer: offer.to_owned(),
            programme: programme.to_owned(),
            strand: "credit".to_owned(),
            page_size: 2,
            ..Default::default()
        };
        let mut seen = Vec::new();
        loop {
            let answer = client.award_service().list_awards(client.ask(request.clone())).await.unwrap().into_inner();
            assert!(answer.awards.len() <= 2);
            seen.extend(answer.awards.iter().map(|it| it.awarded));
            request.page_token = answer.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5], "{offer}{programme}");
    }
    let neither = ListAwardsRequest { page_size: 2, ..Default::default() };
    let status = client.award_service().list_awards(client.ask(neither)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}
